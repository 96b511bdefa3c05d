"""Who may do what with an order, and why not: one answer for view, template, admin and verb."""

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal

from orders.models import Membership, Order, Role
from orders.models.purchases import AttemptState
from orders.statuses import OrderStatus


@dataclass(frozen=True, slots=True)
class StaffRights:
    """Stands for staff in place of a membership: their permission was asked for already, what is left is what the order allows."""

    may_write: bool = True


@dataclass(frozen=True, slots=True)
class Allowed:
    reason: str = ""

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Refused:
    """Falsy, so that templates can ask `if`; the reason is a sentence for the seller."""

    reason: str

    def __bool__(self) -> bool:
        return False


Answer = Allowed | Refused
VIEWERS_READ = Refused("Viewers can read orders and not change them.")


def can_manage(membership: Membership) -> Answer:
    """People and settings."""
    return Allowed() if membership.role == Role.ADMIN else Refused("Only a seller admin can open the settings. Ask one of yours.")


def can_write(membership: Membership) -> Answer:
    return Allowed() if membership.may_write else VIEWERS_READ


def can_edit(order: Order, membership: Membership) -> Answer:
    if not membership.may_write:
        return VIEWERS_READ
    if order.is_historical:
        return Refused("Historical orders are final and can’t be changed.")
    if not order.is_editable or order.status == OrderStatus.SCHEDULED:
        return Refused("The content is frozen while the order is with the vendor.")
    return Allowed()


def can_place(order: Order, membership: Membership) -> Answer:
    if not membership.may_write:
        return VIEWERS_READ
    if order.status not in {OrderStatus.START, OrderStatus.DRAFT, OrderStatus.QUOTE_SENT}:
        return Refused(f"The order is {order.info.status.label} and can’t be placed again.")
    if not list(order.lines.all()):
        return Refused("Add an item first.")
    return Allowed()


def can_send(order: Order, membership: Membership) -> Answer:
    """To the customer, as a quote."""
    if not membership.may_write:
        return VIEWERS_READ
    if order.status != OrderStatus.DRAFT or order.kind != Order.Kind.NEW:
        return Refused(f"The order is {order.info.status.label} and can’t be sent as a quote.")
    if not list(order.lines.all()):
        return Refused("Add an item first.")
    return Allowed()


@dataclass(frozen=True, slots=True)
class Floor:
    """An order below its seller's margin floor: what it has and should have, in percent, and what this member can do about it.

    `may_pass`: he may place it with a reason, which is shown as his; else `text` says who may.
    """

    margin: Decimal
    floor: Decimal
    is_own: bool
    may_pass: bool
    text: str


def floor_of(order: Order, membership: Membership, verb: str = "place") -> Floor | None:
    """None for an order that keeps the floor, or was approved at these prices. `verb` is what he wants to do with it.

    Below it a seller admin decides, and of his own order another one, if there is one.
    """
    margin = order.margin_percent()
    if margin is None or not order.is_below_floor or is_approved(order):
        return None
    is_admin, is_own = membership.role == Role.ADMIN, order.created_by_id == membership.user_id
    active = order.seller.memberships.filter(role=Role.ADMIN, is_active=True, user__is_active=True)
    others = [member.user.name for member in active.select_related("user").exclude(user=membership.user_id).order_by("user__name")]
    may_pass = is_admin and not (is_own and others)
    who = _names(others)
    if may_pass:
        text = (
            f"You are the only seller admin, so you may {verb} it yourself." if is_own else f"You are a seller admin, so you may {verb} it."
        )
        text += " Say why; it stands in the order’s timeline."
    elif is_admin:
        text = f"You made this order yourself, so another seller admin must {verb} it: {who}. Or change its items."
    else:
        text = f"A seller admin must {verb} it: {who}. Send over the address of this page, or change its items."
    return Floor(margin, Decimal(order.seller.margin_floor_percent), is_own, may_pass, text)


def prices_of(order: Order) -> str:
    """SHA-256 of what the margin is made of: an approval counts as long as it stays the same, whoever changes what."""
    parts = [
        [
            line.offer_id,
            line.quantity,
            f"{line.term_cost.normalize():f}",
            f"{line.sold_term_price.normalize():f}",
            line.term,
            line.billing_cycle,
        ]
        for line in order.firm_lines()
    ]
    return hashlib.sha256(json.dumps(sorted(parts, key=repr)).encode()).hexdigest()


def is_approved(order: Order) -> bool:
    """Whether a seller admin let the order go below the floor at the prices that it has now, for a floor no lower than today's."""
    floor = order.seller.margin_floor_percent
    return order.floor_approvals.filter(prices_sha256=prices_of(order), floor_percent__gte=floor).exists()


def _names(people: list[str]) -> str:
    return " or ".join(people[:3]) or "you have none now, ask our staff"


def can_place_below(floor: Floor | None, reason: str) -> Answer:
    """The rule for an order that can be placed otherwise."""
    if floor is None:
        return Allowed()
    if not floor.may_pass:
        return Refused(f"Not placed: the margin is below your floor. {floor.text}")
    return Allowed() if reason.strip() else Refused("Not placed: the margin is below your floor. Say why it is placed all the same.")


def can_retry(order: Order, membership: Membership | StaffRights, reasons_forbid: str = "") -> Answer:
    """`reasons_forbid` is the sentence of failures.why_not_retry: some refusals make a retry unsafe or senseless."""
    if not membership.may_write:
        return VIEWERS_READ
    if order.status != OrderStatus.PROVISIONING_FAILED:
        return Refused(f"Only a failed order can be retried; this one is {order.info.status.label}.")
    return Refused(reasons_forbid) if reasons_forbid else Allowed()


def can_close(order: Order, membership: Membership | StaffRights) -> Answer:
    if not membership.may_write:
        return VIEWERS_READ
    if order.status != OrderStatus.PROVISIONING_FAILED:
        return Refused("Only a failed order can be closed.")
    return Allowed()


def can_delete(order: Order, membership: Membership | StaffRights) -> Answer:
    if not membership.may_write:
        return VIEWERS_READ
    if order.status not in {OrderStatus.START, OrderStatus.DRAFT, OrderStatus.QUOTE_SENT, OrderStatus.SCHEDULED}:
        return Refused("Only what never went to a vendor can be deleted.")
    return Allowed()


def can_undo(order: Order, membership: Membership) -> Answer:
    if not membership.may_write:
        return VIEWERS_READ
    return Allowed() if order.status == OrderStatus.DELETED else Refused("Only a deletion can be undone.")


def can_stop_waiting(order: Order, membership: Membership | StaffRights) -> Answer:
    """Only while nothing was sent: every open attempt still waits to be sent."""
    if not membership.may_write:
        return VIEWERS_READ
    open_attempts = [attempt for attempt in order.attempts.all() if not attempt.is_final]
    if order.status != OrderStatus.PROVISIONING_STARTED or not open_attempts:
        return Refused("The order is not waiting.")
    if any(attempt.state != AttemptState.PREPARED for attempt in open_attempts):
        return Refused("The order was sent. Only the vendor’s answer can end the waiting now.")
    if any(attempt.must_look for attempt in open_attempts):
        return Refused("The vendor is asked first what he has of the order. Then the waiting can be ended.")
    return Allowed()
