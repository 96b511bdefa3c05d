"""What stands between an order and its vendor, as far as we can know it before anything is sent: every problem at once.

A problem that blocks is one that the vendor will refuse or that the rules forbid; one that only warns is the seller's to
judge. Each leads to where it is mended. Source: product.md section 4, the ordering screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Sum
from django.urls import reverse

from orders import catalogue
from orders.formats import number
from orders.models import Customer, Offer, Order, OrderLine, Subscription
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
        found = _agreement(customer, lines) + _twice(customer, lines, order)
    found += _items(lines) + _repeated(lines) + _bases(lines)
    return sorted(found, key=lambda check: (check.is_good, not check.blocks))


def of(order: Order) -> list[Check]:
    """All points about an order as it is saved; links lead to its fields. Four queries."""
    edit = reverse("orders:order-edit", args=[order.number])
    customer, prices = order.customer, catalogue.listed_for(order)
    wanted = []
    for index, line in enumerate(order.lines.select_related("offer__vendor").prefetch_related("offer__bases")):
        wanted.append(
            Wanted(line.offer, f"{line.term}:{line.billing_cycle}", line.quantity, _why(line, customer), f"{edit}#id_lines-{index}-offer")
        )
    found = checks(customer, wanted, order)
    ended = [
        Check(f"{line.title} is not in today’s price list of the vendor, which may refuse it.", f"{edit}#id_lines-{index}-offer")
        for index, line in enumerate(order.lines.all())
        if (line.offer_id, line.term, line.billing_cycle) not in prices
    ]
    return sorted(found + ended, key=lambda check: (check.is_good, not check.blocks))


def _why(line: OrderLine, customer: Customer) -> str:
    if not (line.offer.is_active and line.offer.vendor.is_active):
        return "can’t be ordered any more."
    if line.offer.segment != customer.segment:
        return f"only for the segment {line.offer.segment}; this customer is {customer.segment}."
    return ""


def _items(lines: Sequence[Wanted]) -> list[Check]:
    if not lines:
        return [Check("Add at least one item.", "#id_q", blocks=True)]
    refused = [Check(f"{line.offer.title}: {line.why}", line.link, blocks=True) for line in lines if line.why]
    return refused or [Check("Everything is sold to this customer", is_good=True)]


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


def _bases(lines: Sequence[Wanted]) -> list[Check]:
    """An add-on without its base in the same order; the customer may have it already, which only the vendor knows for sure."""
    ordered = {line.offer.pk for line in lines}
    found = []
    for line in lines:
        bases = list(line.offer.bases.all())
        if bases and not ordered & {base.pk for base in bases}:
            names = " or ".join(base.title for base in bases[:3])
            found.append(Check(f"{line.offer.title} needs {names}, in this order or bought before.", line.link))
    return found
