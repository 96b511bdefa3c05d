"""What stands between an order and its vendor, as far as we can know it before anything is sent: every problem at once.

A problem that blocks is one that the vendor will refuse or that the rules forbid; one that only warns is the seller's to
judge. Each leads to where it is mended. Source: product.md section 4, the ordering screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from django.db.models import Sum
from django.urls import reverse

from orders import catalogue, clock, customer_checks
from orders.formats import number
from orders.models import Customer, Offer, Order, OrderLine, Seller, Subscription, VendorAccount
from orders.models.subscriptions import SubscriptionStatus
from orders.statuses import HISTORICAL

HELD = (SubscriptionStatus.PENDING, SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Check:
    """One point: `is_good`, or a problem that `blocks` or only warns. `link` is where it is mended."""

    text: str
    link: str = ""
    is_good: bool = False
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line as the checklist needs it; `why` is why the customer can't buy the offer, `link` leads to its field.

    `plan` is term and billing cycle, "P1Y:monthly".
    """

    offer: Offer
    plan: str
    quantity: int
    why: str
    link: str


def checks(customer: Customer | None, lines: Sequence[Wanted], order: Order | None) -> list[Check]:
    """All points, those that block first. `order` is the one being drafted, which is no purchase besides itself."""
    if customer is None:
        found = [Check("Choose a customer.", "#id_customer", blocks=True)]
    else:
        found = _customer(customer, lines) + _agreement(customer, lines) + _twice(customer, lines, order) + _accounts(customer, lines)
    found += _items(lines) + _repeated(lines) + _bases(customer, lines)
    return sorted(found, key=lambda check: (check.is_good, not check.blocks))


def of(order: Order) -> list[Check]:
    """All points about an order as it is saved; links lead to its fields. As many queries for one line as for many."""
    edit = reverse("orders:order-edit", args=[order.number])
    customer, prices = order.customer, catalogue.listed_for(order)
    wanted = []
    for index, line in enumerate(order.lines.select_related("offer__vendor").prefetch_related("offer__bases")):
        why = _why(line, customer)
        link = f"{edit}#id_lines-{index}-{'offer' if why else 'quantity'}"
        wanted.append(Wanted(line.offer, f"{line.term}:{line.billing_cycle}", line.quantity, why, link))
    found = checks(customer, wanted, order)
    ended = [
        Check(f"{line.title} is not in today’s price list of the vendor, which may refuse it.", f"{edit}#id_lines-{index}-offer")
        for index, line in enumerate(order.lines.all())
        if (line.offer_id, line.term, line.billing_cycle) not in prices
    ]
    return sorted(found + ended, key=lambda check: (check.is_good, not check.blocks))


def for_quote(order: Order) -> list[Check]:
    """What stands between a draft as it is saved and its customer: the same, and what the mail and the page need besides."""
    edit = reverse("orders:order-edit", args=[order.number])
    found = of(order) + quote_checks(order.seller, order.quote_recipients, order.valid_until, has_firm=bool(order.firm_lines()), at=edit)
    return sorted(found, key=lambda check: (check.is_good, not check.blocks))


def quote_checks(seller: Seller, recipients: Sequence[str], valid_until: date | None, *, has_firm: bool, at: str = "") -> list[Check]:
    """What only a quote needs. `at`: the page with the fields, unless it is this one."""
    if recipients:
        found = [Check(f"Goes to {', '.join(recipients)}", is_good=True)]
    else:
        found = [Check("No recipient is named: nobody gets a mail, you pass the link on yourself.", f"{at}#id_recipients")]
    if valid_until and valid_until < clock.now().astimezone(ZoneInfo(seller.time_zone)).date():
        found.append(Check("The last day is over. Choose a later one.", f"{at}#id_valid_until", blocks=True))
    if not has_firm:
        found.append(Check("Every item is optional. One at least must be firm.", f"{at}#id_lines-0-is_optional", blocks=True))
    return found


def _why(line: OrderLine, customer: Customer) -> str:
    if not (line.offer.is_active and line.offer.vendor.is_active):
        return "can’t be ordered any more."
    if line.offer.segment != customer.segment:
        return f"only for the segment {line.offer.segment}; this customer is {customer.segment}."
    return ""


def _items(lines: Sequence[Wanted]) -> list[Check]:
    if not lines:
        return [Check("Add at least one item.", "#id_q", blocks=True)]
    why = [(line, line.why or _out_of_range(line)) for line in lines]
    refused = [Check(f"{line.offer.title}: {words}", line.link, blocks=True) for line, words in why if words]
    return refused or [Check("Everything is sold to this customer", is_good=True)]


def _out_of_range(line: Wanted) -> str:
    offer = line.offer
    if offer.min_quantity <= line.quantity <= offer.max_quantity:
        return ""
    return f"sold from {number(offer.min_quantity)} to {number(offer.max_quantity)}, and these are {number(line.quantity)}."


def _customer(customer: Customer, lines: Sequence[Wanted]) -> list[Check]:
    """What the vendors will refuse of the customer himself. One query, for others of the same domain."""
    edit = reverse("orders:customer-edit", args=[customer.code])
    vendors = {line.offer.vendor_id: line.offer.vendor for line in lines}.values()
    found = [Check(text, f"{edit}#id_{field}", blocks=True) for field, text in customer_checks.problems(customer, vendors)]
    if customer.is_archived:
        page = reverse("orders:customer-detail", args=[customer.code])
        found.insert(0, Check(f"{customer.name} is archived. Restore it first.", page, blocks=True))
    if other := customer.others_of_domain().first():
        found.append(Check(f"{other.name} has the domain {customer.domain}, too. A tenant belongs to one customer.", f"{edit}#id_domain"))
    return found or [Check("Customer details are complete", is_good=True)]


def _accounts(customer: Customer, lines: Sequence[Wanted]) -> list[Check]:
    """A vendor that nobody of us can order at. One query."""
    first = {line.offer.vendor_id: line for line in reversed(lines)}
    usable = set(VendorAccount.objects.usable_by(customer.seller).filter(vendor__in=first).values_list("vendor", flat=True))
    return [
        Check(
            f"There is no account at {line.offer.vendor} to order with. Our staff must connect one, or take the item out.",
            line.link,
            blocks=True,
        )
        for vendor, line in first.items()
        if vendor not in usable
    ]


def _agreement(customer: Customer, lines: Sequence[Wanted]) -> list[Check]:
    """Microsoft sells nothing to a customer who has not accepted its agreement; other vendors don't ask."""
    if not any(line.offer.vendor.capabilities.needs_agreement for line in lines):
        return []
    if customer.agreement_on:
        return [Check("Customer agreement accepted", is_good=True)]
    link = reverse("orders:customer-edit", args=[customer.code])
    return [Check("The customer’s agreement is not recorded.", f"{link}#id_agreement_on")]


def _twice(customer: Customer, lines: Sequence[Wanted], order: Order | None) -> list[Check]:
    """A purchase besides what the customer has already, or besides an order that is still open: two queries."""
    offers = {line.offer.pk: line.offer for line in lines}
    held = dict(
        Subscription.objects.filter(customer=customer, offer__in=offers, status__in=HELD)
        .order_by()
        .values_list("offer")
        .annotate(Sum("quantity"))
    )
    found = [
        Check(
            f"This customer already has {number(seats)} seat{'' if seats == 1 else 's'} of {offers[offer].title}: change them instead?",
            f"{reverse('orders:customer-detail', args=[customer.code])}#subscriptions",
        )
        for offer, seats in held.items()
    ]
    others = Order.objects.filter(customer=customer, lines__offer__in=offers).exclude(status__in=sorted(HISTORICAL))
    others = others.exclude(pk=order.pk) if order else others
    for code, title, quantity in others.order_by("id").values_list("number", "lines__title", "lines__quantity").distinct()[:5]:
        text = f"{code} is open with {number(quantity)} of {title} for this customer."
        found.append(Check(text, reverse("orders:order-detail", args=[code])))
    return found


def _repeated(lines: Sequence[Wanted]) -> list[Check]:
    """An offer that stands on two lines with the same term and cycle: most often it was added once too often."""
    seen: set[tuple[int, str]] = set()
    found = []
    for line in lines:
        if (line.offer.pk, line.plan) in seen:
            found.append(Check(f"{line.offer.title} stands here twice with the same term and billing. Is one of them too many?", line.link))
        seen.add((line.offer.pk, line.plan))
    return found


def _bases(customer: Customer | None, lines: Sequence[Wanted]) -> list[Check]:
    """Add-ons whose base is neither in this order nor an active subscription of the customer; he may have it from elsewhere.

    One query, where a base is missing in the order.
    """
    bases = {line.offer.pk: {base.pk: base.title for base in line.offer.bases.all()} for line in lines}
    ordered = {line.offer.pk for line in lines}
    lacking = [line for line in lines if bases[line.offer.pk] and not ordered & bases[line.offer.pk].keys()]
    held: set[int] = set()
    if customer and lacking:
        wanted = {base for line in lacking for base in bases[line.offer.pk]}
        active = Subscription.objects.filter(customer=customer, offer__in=wanted, status=SubscriptionStatus.ACTIVE)
        held = set(active.order_by().values_list("offer", flat=True))
    found = []
    for line in lacking:
        if not held & bases[line.offer.pk].keys():
            names = " or ".join(list(bases[line.offer.pk].values())[:3])
            found.append(Check(f"{line.offer.title} needs {names}, in this order or bought before.", line.link))
    return found
