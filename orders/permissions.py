"""Who may do what with an order, and why not: one answer for view, template, admin and verb."""

from dataclasses import dataclass

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
    return Allowed()
