"""Verbs on orders: each is one transaction that locks, moves, saves and records. Nothing else calls a transition.

Shape of a verb: lock the row -> transition (legality only) -> save -> event -> attempts -> wake.
A verb that is refused raises Refusal (a sentence for the person who asked) or django_fsm.TransitionNotAllowed.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import transaction

from orders import acceptance, addons, catalogue, clock, epoch, money, permissions
from orders.failures import latest_attempts, refused_line_numbers
from orders.models import (
    AttemptState,
    Customer,
    DiscountKind,
    Failure,
    FailureClass,
    FloorApproval,
    Incident,
    Membership,
    Notice,
    Offer,
    Order,
    OrderEvent,
    OrderLine,
    OrderNote,
    Price,
    PurchaseAttempt,
    QuoteLink,
    Seller,
    User,
    VendorAccount,
)
from orders.models.orders import TOTAL_FIELDS, next_order_number
from orders.statuses import OrderStatus
from orders.wake import wake

log = logging.getLogger(__name__)
PORTAL = "Portal"
RUN_ATTEMPT = "orders.tasks.run_attempt"
# What is still being worked on. A scheduled change keeps the prices that it was agreed with.
REPRICED = frozenset({OrderStatus.START, OrderStatus.DRAFT, OrderStatus.PROVISIONING_FAILED})
SEND_NOTICES = "orders.tasks.send_notices"


class Refusal(Exception):
    """A verb that may not be done now. The text is a sentence for the seller."""


class NotDue(Refusal):
    """A scheduled change whose time has not come, or that somebody else has sent."""


class StaleVersion(Refusal):
    """Somebody saved the order after the form was opened."""


@dataclass(frozen=True, slots=True)
class LineInput:
    """What a person chose for one line: an offer and one of its prices, and how many.

    `term_price` is what was agreed before; without it the seller's rule of today makes the price.
    """

    price: Price
    quantity: int
    term_price: Decimal | None = None
    discount: money.Discount = money.NO_DISCOUNT
    is_optional: bool = False

    def sold_by(self, seller: Seller) -> Decimal:
        """What a customer pays for one unit and the whole term, exact."""
        return self.price.sold_by(seller) if self.term_price is None else self.term_price


@dataclass(frozen=True, slots=True)
class QuoteTexts:
    """What a quote says besides its lines. The internal note stays with the team."""

    recipients: tuple[str, ...] = ()
    valid_until: date | None = None
    customer_note: str = ""
    internal_note: str = ""

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(tuple(order.quote_recipients), order.valid_until, order.customer_note, order.internal_note)

    def write_to(self, order: Order) -> None:
        order.quote_recipients, order.valid_until = list(self.recipients), self.valid_until
        order.customer_note, order.internal_note = self.customer_note, self.internal_note


NO_TEXTS = QuoteTexts()
TEXT_FIELDS = ("quote_recipients", "valid_until", "customer_note", "internal_note")


# --- drafts


@transaction.atomic
def create(
    customer: Customer,
    lines: Sequence[LineInput],
    *,
    by: User | None,
    reference: str = "",
    kind: str = Order.Kind.NEW,
    as_cart: bool = True,
    follow_up_of: Order | None = None,
    follow_up_kind: str = "",
    token: str = "",
    texts: QuoteTexts = NO_TEXTS,
) -> Order:
    """A new order of the customer's seller: Start while all lines allow a cart and `as_cart` is asked for, else Draft."""
    in_cart = as_cart and kind == Order.Kind.NEW and all(line.price.offer.vendor.capabilities.allows_start for line in lines)
    now = clock.now()
    order = Order(
        number=next_order_number(),
        seller=customer.seller,
        customer=customer,
        kind=kind,
        status=OrderStatus.START if in_cart else OrderStatus.DRAFT,
        currency=customer.currency,
        reference=reference,
        created_by=by,
        created_at=now,
        changed_at=now,
        editor_token=token,
        follow_up_of=follow_up_of,
        follow_up_kind=follow_up_kind,
    )
    texts.write_to(order)
    order.save(force_insert=True)
    _write_lines(order, lines)
    _apply_totals(order)
    order.save(update_fields=TOTAL_FIELDS)
    record(order, "created", by, **({"follow_up_of": follow_up_of.number, "why": follow_up_kind} if follow_up_of else {}))
    return order


@transaction.atomic
def edit(
    order: Order,
    lines: Sequence[LineInput],
    *,
    by: User,
    version: int,
    reference: str = "",
    customer: Customer | None = None,
    token: str = "",
    keeps_editing: bool = False,
    texts: QuoteTexts | None = None,
    reason: str = "",
) -> Order:
    """Replace the lines of an editable order. Raises StaleVersion when somebody else saved after `version`.

    `token` is of the form that sends this: what it saved itself, last, is not somebody else's, as long as it `keeps_editing`.

    `reason` is why a failed order differs from what the customer accepted (acceptance.py).

    A line that Start refuses (a Microsoft offer) turns a Start order into a Draft; nothing typed is lost (product.md rule 1).
    """
    order = lock(order)
    if not order.is_editable:
        raise Refusal(f"The order is {order.info.status.label}; its content can’t be changed.")
    if order.version != version and not (token and order.editor_token == token):
        raise StaleVersion("Somebody else changed this order after you opened it.")
    if customer and customer.pk != order.customer_id:
        if customer.seller_id != order.seller_id:
            raise Refusal("Choose one of your customers.")
        if order.attempts.exists():
            raise Refusal("After the first attempt the customer can’t be exchanged. Start a new order for him.")
        order.customer, order.currency = customer, customer.currency
    else:
        lines = as_agreed(order, lines)
    if order.status == OrderStatus.PROVISIONING_FAILED:
        # All that it has will be sent, so all of it is summed up: nobody is asked to choose any more.
        lines = [replace(line, is_optional=False) for line in lines]
    order.reference = reference
    if texts:
        texts.write_to(order)
    _write_lines(order, lines)
    _apply_totals(order)
    other = _other_than_accepted(order, reason)
    order.version += 1
    order.editor_token = token if keeps_editing else ""
    order.changed_at = clock.now()
    fields = ["customer", "currency", "reference", "version", "editor_token", "changed_at", *TEXT_FIELDS, *TOTAL_FIELDS]
    order.save(update_fields=fields)
    latest = order.events.first()
    if other or latest is None or (latest.name, latest.actor_id) != ("edited", by.pk):
        why: dict[str, Any] = {"other_than_accepted": other, "reason": reason.strip()} if other else {}
        record(order, "edited", by, **why)
    if order.status == OrderStatus.START and order.refuses_start():
        order.keep_as_quote()
        save(order)
        record(order, "kept_as_quote", None, from_status=OrderStatus.START)
    return order


def _other_than_accepted(order: Order, reason: str) -> list[str]:
    """What the order has otherwise than its customer accepted, in sentences. Raises Refusal where it may not."""
    agreed = acceptance.binding(order)
    if agreed is None:
        return []
    if objection := acceptance.objection(order, agreed, reason):
        raise Refusal(objection)
    found = acceptance.differences(order, agreed)
    return [*(f"Added: {text}" for text in found.added), *(f"Removed: {text}" for text in found.removed), *found.changed][:20]


@transaction.atomic
def keep_as_quote(order: Order, *, by: User) -> Order:
    """Make a quote of a cart, so that it can be sent to the customer (product.md section 2)."""
    order = lock(order)
    order.keep_as_quote()
    save(order)
    record(order, "kept_as_quote", by, from_status=OrderStatus.START, by_hand=True)
    return order


def as_agreed(order: Order, lines: Iterable[LineInput]) -> list[LineInput]:
    """The lines with the prices that the order keeps: an offer, term and cycle that it has already costs what it cost.

    Only `reprice`, another offer or plan, and another customer bring the price of today (product.md section 5).
    """
    agreed: dict[tuple[int, str, str], list[OrderLine]] = defaultdict(list)
    for line in order.lines.all():
        agreed[line.offer_id, line.term, line.billing_cycle].append(line)
    kept = []
    for wanted in lines:
        same = agreed[wanted.price.offer_id, wanted.price.term, wanted.price.billing_cycle]
        kept.append(_agreed(same.pop(0), wanted) if same else wanted)
    return kept


def _agreed(line: OrderLine, wanted: LineInput) -> LineInput:
    return replace(wanted, price=_price_of(line, wanted.price.offer), term_price=line.term_price)


def _write_lines(order: Order, lines: Sequence[LineInput]) -> None:
    """Make the order's lines these. Rows are reused by position, because failures and subscriptions point at them."""
    existing = {line.position: line for line in order.lines.all()}
    base = _bases(lines)
    for position, wanted in enumerate(lines, start=1):
        line = existing.pop(position, None) or OrderLine(order=order, position=position)
        line.offer = wanted.price.offer
        line.title = wanted.price.offer.title
        line.base_position = base[position - 1]
        line.quantity = wanted.quantity
        line.term = wanted.price.term
        line.billing_cycle = wanted.price.billing_cycle
        line.term_cost = wanted.price.term_cost
        line.term_price = wanted.sold_by(order.seller)
        line.discount_kind = DiscountKind.PERCENT if wanted.discount.is_percent else DiscountKind.AMOUNT
        line.discount_value = wanted.discount.value
        line.is_optional = wanted.is_optional
        _price(line, order)
        line.save()
    for line in existing.values():
        if line.failures.exists() or line.subscriptions.exists():
            raise Refusal("An item that was sent to a vendor can be changed, and not removed. Close the order and start a new one.")
        line.delete()
    order._prefetched_objects_cache = {}


def _bases(lines: Sequence[LineInput]) -> list[int | None]:
    """For each line the position of the line that it is an add-on of."""
    offers = [wanted.price.offer_id for wanted in lines]
    needed: dict[int, set[int]] = defaultdict(set)
    for addon, base in Offer.bases.through.objects.filter(from_offer__in=offers).values_list("from_offer", "to_offer"):
        needed[addon].add(base)
    return [None if index is None else index + 1 for index in addons.base_of(offers, [needed[offer] for offer in offers])]


def _price(line: OrderLine, order: Order) -> None:
    line.price(Decimal(order.customer.tax_rate), order.currency)
    if line.term_price >= money.MOST_FOR_ONE or line.amount >= money.MOST:
        raise Refusal(f"{line.title}: {money.TOO_MUCH}")


def _apply_totals(order: Order) -> None:
    order.apply_totals()
    if order.due_now >= money.MOST:
        raise Refusal(money.TOO_MUCH)


@transaction.atomic
def reprice(order: Order, prices: Mapping[int, Price], *, by: User, version: int) -> Order:
    """Give lines the prices named, by position, and leave the others as they are. Nothing else reprices an order.

    Raises StaleVersion when `version` is not the saved one: its lines are not those that the person saw.
    """
    order = lock(order)
    if order.status not in REPRICED:
        raise Refusal(f"The order is {order.info.status.label}; its prices can’t be changed.")
    if order.version != version:
        raise StaleVersion("Somebody else changed this order after you opened it.")
    for line in order.lines.filter(position__in=prices):
        price = prices[line.position]
        if (price.offer_id, price.term, price.billing_cycle) != (line.offer_id, line.term, line.billing_cycle):
            raise Refusal("The price is of another offer or plan.")
        line.term_cost, line.term_price = price.term_cost, price.sold_by(order.seller)
        _price(line, order)
        line.save()
    order._prefetched_objects_cache = {}
    _apply_totals(order)
    _other_than_accepted(order, "Today’s prices")
    order.version += 1
    order.editor_token = ""
    order.changed_at = clock.now()
    order.save(update_fields=["version", "editor_token", "changed_at", *TOTAL_FIELDS])
    record(order, "repriced", by, lines=sorted(prices))
    return order


@transaction.atomic
def retax(customer: Customer, *, by: User | None) -> int:
    """Give the orders that are still worked on the tax rate that their customer has now; returns how many changed.

    What is with a customer or a vendor, scheduled or historical keeps the tax that it was agreed with. The version stays:
    whoever is editing one of them saves it with the new rate too.
    """
    return sum(_apply_tax(lock(order), by) for order in Order.objects.filter(customer=customer, status__in=REPRICED).order_by("id"))


def _apply_tax(order: Order, by: User | None) -> bool:
    """Tax the locked order by its customer's rate, if it may still change and is taxed otherwise."""
    before = {line.tax_rate for line in order.lines.all()} - {order.customer.tax_rate}
    if order.status not in REPRICED or not before:
        return False
    for line in taxed(order):
        line.save(update_fields=["tax_rate", "tax"])
    order.apply_totals()
    order.changed_at = clock.now()
    order.save(update_fields=["changed_at", *TOTAL_FIELDS])
    record(order, "retaxed", by, before=[str(rate) for rate in sorted(before)], after=str(order.customer.tax_rate))
    return True


def taxed(order: Order) -> list[OrderLine]:
    """The order's lines with their customer's tax of today, nothing saved."""
    lines = list(order.lines.all())
    for line in lines:
        line.tax_rate = order.customer.tax_rate
        line.tax = money.tax(line.amount, line.tax_rate, order.currency)
    return lines


@transaction.atomic
def delete(order: Order, *, by: User | None, reason: str = "") -> Order:
    """Remove from the cart what never went to a vendor. Undo makes a new order of the same content."""
    order = lock(order)
    before = order.status
    order.delete_from_cart()
    end_links(order, QuoteLink.Ended.DELETED)
    order.closed_at = clock.now()
    order.status_note = reason[:200]
    order.needs_attention = False
    # The event first: afterwards the row is history and takes no change.
    record(order, "deleted", by, from_status=before, reason=reason)
    save(order, "closed_at")
    return order


@transaction.atomic
def undo(order: Order, *, by: User) -> Order:
    """A new order with the content of a deleted one, linked to it; the deleted one stays in Historical (rule 9)."""
    order = lock(order)
    if order.status != OrderStatus.DELETED:
        raise Refusal("Only a deletion can be undone.")
    if earlier := order.follow_ups.filter(follow_up_kind=Order.FollowUp.UNDO).first():
        return earlier
    lines = [
        LineInput(_price_of(line, line.offer), line.quantity, line.term_price, line.discount, line.is_optional)
        for line in order.lines.select_related("offer__vendor")
    ]
    return create(
        order.customer,
        lines,
        by=by,
        reference=order.reference,
        kind=order.kind,
        texts=QuoteTexts.of(order),
        follow_up_of=order,
        follow_up_kind=Order.FollowUp.UNDO,
    )


@transaction.atomic
def duplicate(order: Order, *, by: User) -> tuple[Order, list[str]]:
    """A new order of the same customer and items at today's prices; also the titles of what is not sold to him any more."""
    prices = catalogue.listed_for(order)
    lines, gone = [], []
    for line in order.lines.select_related("offer__vendor"):
        price = prices.get((line.offer_id, line.term, line.billing_cycle))
        if price and line.offer.is_active and line.offer.vendor.is_active:
            lines.append(LineInput(price, line.quantity, None, line.discount, line.is_optional))
        else:
            gone.append(line.title)
    if not lines:
        raise Refusal("Nothing of this order is sold to the customer any more, so there is nothing to copy.")
    if order.customer.is_archived:
        raise Refusal("The customer is archived. Restore it first.")
    kind = Order.FollowUp.COPY
    # Its day of validity is over or nearly so; the copy gets one of its own when it is sent.
    texts = replace(QuoteTexts.of(order), valid_until=None)
    return create(order.customer, lines, by=by, reference="", follow_up_of=order, follow_up_kind=kind, texts=texts), gone


def end_links(order: Order, ended_as: str) -> None:
    """No link of the order takes an answer any more, and each says why."""
    QuoteLink.objects.open().filter(revision__order=order).update(ended_as=ended_as, ended_at=clock.now())


def _price_of(line: OrderLine, offer: Offer) -> Price:
    """The line's price as it was, not as the list says now: an undo changes nothing."""
    return Price(
        offer=offer,
        term=line.term,
        billing_cycle=line.billing_cycle,
        term_cost=line.term_cost,
        term_price=line.term_price,
    )


# --- to the vendor and back


@transaction.atomic
def place(order: Order, *, by: User | None, reason: str = "") -> Order:
    """Send the order to its vendors: one attempt per vendor, written here and sent by the worker.

    `reason` is why a seller admin places it below the margin floor. Without `by` it is the customer who accepted what was sent.
    """
    order = lock(order)
    _apply_tax(order, by)
    before = order.status
    order.place()
    if by:
        keep_floor(order, by, reason)
    end_links(order, QuoteLink.Ended.ACCEPTED)
    _drop_options(order)
    _to_vendor(order)
    record(order, "placed", by, from_status=before)
    return order


def _drop_options(order: Order) -> None:
    """What the customer could have chosen and has not is no part of the order."""
    left = [line for line in order.lines.all() if line.is_optional]
    if left:
        # Positions stay: the revision that the customer saw numbers its lines by them.
        OrderLine.objects.filter(pk__in=[line.pk for line in left]).delete()
        order._prefetched_objects_cache = {}
        record(order, "options_left", None, lines=[line.title for line in left])


@transaction.atomic
def approve_below_floor(order: Order, *, by: User, reason: str) -> Order:
    """A seller admin lets the order go below the margin floor at these prices, whoever sends or places it then."""
    order = lock(order)
    if order.status not in {OrderStatus.START, OrderStatus.DRAFT, OrderStatus.QUOTE_SENT, OrderStatus.PROVISIONING_FAILED}:
        raise Refusal(f"The order is {order.info.status.label}; there is nothing to approve.")
    keep_floor(order, by, reason)
    return order


def keep_floor(order: Order, by: User, reason: str = "") -> None:
    """Raises Refusal for somebody who may not go below the margin floor; who may has it written down.

    What was approved at these very prices isn't asked again. The caller has locked the order.
    """
    if not order.is_below_floor or permissions.is_approved(order):
        return
    membership = Membership.objects.filter(user=by, seller=order.seller, is_active=True).first()
    if membership is None:
        raise Refusal("The margin is below the seller’s floor. Only a seller admin may place this order.")
    floor = permissions.floor_of(order, membership)
    if not (answer := permissions.can_place_below(floor, reason)):
        raise Refusal(answer.reason)
    assert floor is not None, "is_below_floor says the same."
    FloorApproval.objects.create(
        order=order,
        prices_sha256=permissions.prices_of(order),
        # Sold for next to nothing, the percentage has no end.
        margin_percent=max(round(floor.margin, 2), FloorApproval.LOWEST),
        floor_percent=floor.floor,
        reason=reason.strip(),
        is_own=floor.is_own,
        by=by,
        at=clock.now(),
    )
    record(
        order,
        "below_floor",
        by,
        reason=reason.strip(),
        margin=f"{floor.margin:.1f}",
        floor=f"{floor.floor.normalize():f}",
        own=floor.is_own,
    )


@transaction.atomic
def retry(order: Order, *, by: User | None, reason: str = "") -> Order:
    """A new attempt, with new keys, after a definite refusal (rule 6). The earlier attempts stay on the timeline.

    `reason` is why staff did it in the seller's place.
    """
    order = lock(order)
    _apply_tax(order, by)
    before = order.status
    order.retry()
    if by and not by.is_staff:
        # Items may have been changed since it was placed.
        keep_floor(order, by)
    _to_vendor(order)
    record(order, "retried", by, from_status=before, reason=reason)
    return order


@transaction.atomic
def schedule(order: Order, *, by: User | None, at: datetime, on: date, zone: str) -> Order:
    """A change waits for its date. `at` is the instant that `on` begins in `zone`."""
    order = lock(order)
    before = order.status
    order.schedule()
    _drop_options(order)
    order.scheduled_for, order.scheduled_on, order.scheduled_zone = at, on, zone
    order.status_note, order.needs_attention = "", False
    save(order, "scheduled_for", "scheduled_on", "scheduled_zone")
    record(order, "scheduled", by, from_status=before, on=on.isoformat(), zone=zone)
    return order


@transaction.atomic
def fire(order: Order) -> Order:
    """The date of a scheduled change has come. Raises NotDue, or Refusal when it can't be sent."""
    order = lock(order)
    if order.status != OrderStatus.SCHEDULED or order.scheduled_for is None or order.scheduled_for > clock.now():
        raise NotDue("This change is not due.")
    before = order.status
    order.fire()
    _to_vendor(order)
    record(order, "fired", None, from_status=before)
    return order


@transaction.atomic
def hold_back(order: Order, why: str) -> None:
    """A due change could not be sent: the order says so and staff are told, once; it is tried again."""
    order = lock(order)
    if order.status != OrderStatus.SCHEDULED or (order.status_note, order.needs_attention) == (why[:200], True):
        return
    order.status_note, order.needs_attention = why[:200], True
    save(order)
    Incident.objects.tell_once("change-not-sent", f"{order.number} is due and was not sent: {why}", order=order, at=clock.now())


def _to_vendor(order: Order) -> None:
    """Freeze the order as placed and write one attempt per vendor; the order has made its transition already."""
    now = clock.now()
    order.placed_at = order.placed_at or now
    order.customer_snapshot = order.customer.snapshot()
    order.status_note, order.needs_attention = "", False
    save(order, "placed_at", "customer_snapshot")
    lines = list(order.lines.select_related("offer__vendor"))
    for vendor in sorted({line.offer.vendor for line in lines}, key=lambda vendor: vendor.pk):
        account = VendorAccount.objects.usable_by(order.seller).filter(vendor=vendor).first()
        if account is None:
            raise Refusal(f"There is no account at {vendor} to order with. Our staff must connect one first.")
        attempt = PurchaseAttempt.objects.prepare(
            order, vendor, account, [line for line in lines if line.offer.vendor_id == vendor.pk], at=now, must_look=epoch.must_look(now)
        )
        wake(RUN_ATTEMPT, attempt.pk)


@transaction.atomic
def settle(order: Order) -> Order:
    """Move the order to what its vendors' verdicts say; leave it where some are still out (rule 2).

    Called by purchasing after every verdict, in the same transaction.
    """
    order = lock(order)
    latest = latest_attempts(order)
    states = {attempt.state for attempt in latest}
    refused = bool(refused_line_numbers(order))
    is_decided = states <= {AttemptState.SUCCEEDED, AttemptState.FAILED_DEFINITE}
    is_approved = states <= {AttemptState.APPROVED, AttemptState.SUCCEEDED} and not refused
    if order.status == OrderStatus.PROVISIONING_STARTED and is_approved:
        _move(order, "confirm", "confirmed")
    if order.status == OrderStatus.PROVISIONING_FINISHED and is_decided:
        if refused:
            _tell(order, _move(order, "finish_with_errors", "finished_with_errors", close=True))
        else:
            _move(order, "complete", "completed", close=True)
    elif order.status == OrderStatus.PROVISIONING_STARTED and is_decided:
        if AttemptState.SUCCEEDED in states:
            _tell(order, _move(order, "finish_with_errors", "finished_with_errors", close=True))
        else:
            _tell(order, _move(order, "fail", "failed", needs_attention=True))
    elif order.status == OrderStatus.PROVISIONING_STARTED:
        # Still waiting; what was refused already, or waits for a person, needs somebody's eyes now.
        order.needs_attention = refused or any(attempt.action and not attempt.is_final for attempt in latest)
        save(order)
    return order


def _move(order: Order, transition: str, event: str, *, close: bool = False, needs_attention: bool = False) -> OrderEvent:
    before = order.status
    getattr(order, transition)()
    order.needs_attention = needs_attention
    if close:
        order.closed_at = clock.now()
    happened = record(order, event, None, from_status=before)
    save(order, "closed_at")
    return happened


def _tell(order: Order, event: OrderEvent) -> None:
    """Have people told of a failed order. A verdict stands whether or not they can be: what goes wrong here is an incident."""
    try:
        with transaction.atomic():
            _write_notices(order, event)
    except Exception as error:
        log.exception("Nobody could be told of %s", order.number)
        detail = f"Nobody was told of {order.number}: {error}"
        Incident.objects.create(kind="mail-given-up", order=order, detail=detail[:2000], at=event.at)


def _write_notices(order: Order, event: OrderEvent) -> None:
    """Write who is to be told, and wake the sender after a moment, so that many failures are one mail."""
    placed = order.events.filter(name="placed").select_related("actor").first()
    due_at = event.at + timedelta(seconds=settings.NOTICE_SECONDS)
    if Notice.objects.tell(event, order.seller, [order.created_by, placed.actor if placed else None], due_at=due_at):
        wake(SEND_NOTICES, at=due_at)


@transaction.atomic
def stop_waiting(order: Order, *, by: User, reason: str = "") -> Order:
    """End the waiting for a busy vendor while nothing was sent (rule 5). Raises Refusal when the worker was faster.

    The card says whether the seller stopped it or staff did, who also give a `reason`.
    """
    order = lock(order)
    waiting = [attempt for attempt in order.attempts.all() if not attempt.is_final]
    if order.status != OrderStatus.PROVISIONING_STARTED or not waiting:
        raise Refusal("The order is not waiting any more.")
    for attempt in waiting:
        if not give_up(attempt, code="stopped_by_staff" if by.is_staff else "stopped"):
            raise Refusal("The order was sent meanwhile. Only the vendor’s answer can end the waiting now.")
    record(order, "stopped", by, reason=reason)
    return settle(order)


def give_up(attempt: PurchaseAttempt, *, code: str) -> bool:
    """Refuse an attempt that was never sent; `code` names why in the failure catalogue. False when it was sent meanwhile.

    Guarded like the worker's claim: one of the two wins, and the loser changes nothing.
    """
    now = clock.now()
    unsent = PurchaseAttempt.objects.filter(pk=attempt.pk, state=AttemptState.PREPARED, lease_until=None)
    # After a restored backup nobody knows whether an earlier life of the database sent it.
    changed = unsent.filter(must_look=False).update(
        state=AttemptState.FAILED_DEFINITE, failure_class=FailureClass.NEVER_SENT, finished_at=now, next_action_at=None
    )
    if changed:
        Failure.objects.create(attempt=attempt, code=code, at=now)
    return bool(changed)


@transaction.atomic
def close(order: Order, *, by: User | None, reason: str = "") -> Order:
    """Give a failed order up: it was sent, so it is Completed with Errors and the vendor's words stay readable (rule 3)."""
    order = lock(order)
    before = order.status
    order.close()
    order.closed_at, order.needs_attention = clock.now(), False
    record(order, "closed", by, from_status=before, reason=reason)
    save(order, "closed_at")
    return order


@transaction.atomic
def add_note(order: Order, text: str, *, by: User) -> OrderNote:
    """A note, on Historical orders too; it changes nothing of the order."""
    return OrderNote.objects.create(order=order, author=by, text=text, at=clock.now())


# --- what every verb shares


def lock(order: Order) -> Order:
    """The order as it is now, locked until the transaction ends."""
    return Order.objects.locked().select_related("seller", "customer__seller").get(pk=order.pk)


def save(order: Order, *fields: str) -> None:
    """Save a moved order: what every verb touches, and the fields named."""
    order.changed_at = clock.now()
    order.save(update_fields=["status", "status_note", "needs_attention", "changed_at", *fields])


def record(order: Order, name: str, by: User | None, *, actor_name: str = "", from_status: str = "", **data: Any) -> OrderEvent:
    """Write what happened into the order's log, in the caller's transaction."""
    return OrderEvent.objects.create(
        order=order,
        name=name,
        from_status=from_status,
        to_status=order.status,
        actor=by,
        actor_name=by.acts_as if by else actor_name or PORTAL,
        data=data,
        at=clock.now(),
    )
