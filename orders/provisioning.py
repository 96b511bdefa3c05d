"""Staff answer for a vendor without an API: verbs that approve or refuse one line of an attempt.

Each is one transaction that locks the order, writes the verdict (append-only, one per attempt and line) and the event, and wakes
the attempt once its last line is answered; the engine then records the whole, as it does for any vendor. Source: product.md rule 2.
"""

from datetime import date

from django.db import transaction

from orders import clock, lifecycle
from orders.lifecycle import Refusal
from orders.models import AttemptState, OrderLine, PurchaseAttempt, StaffVerdict, Subscription, User, VendorAccount
from orders.wake import wake


class AlreadyAnswered(Refusal):
    """Somebody was faster; the text says who."""


class UsedReference(Refusal):
    """The vendor's reference stands for another item already."""


def open_lines(attempt: PurchaseAttempt) -> list[OrderLine]:
    """The lines of the attempt that nobody has answered, by position."""
    answered = set(attempt.verdicts.values_list("line_id", flat=True))
    return [line for line in lines_of(attempt) if line.pk not in answered]


def lines_of(attempt: PurchaseAttempt) -> list[OrderLine]:
    """The lines that the attempt wants bought, by position: its frozen request says which."""
    wanted = [line.number for line in attempt.order_request().lines]
    return list(OrderLine.objects.filter(order=attempt.order_id, position__in=wanted).select_related("offer"))


def is_answered(attempt: PurchaseAttempt) -> bool:
    """Whether every line of the attempt has its verdict."""
    return not open_lines(attempt)


@transaction.atomic
def approve(
    attempt: PurchaseAttempt, line: OrderLine, *, by: User, vendor_ref: str, starts_on: date, ends_on: date | None = None
) -> StaffVerdict:
    """The vendor sold the line. `vendor_ref` names the contract; the dates are days, the last one included.

    Raises AlreadyAnswered, UsedReference, or Refusal when the attempt does not wait for staff.
    """
    attempt = _waiting(attempt, line)
    if ends_on and ends_on < starts_on:
        raise Refusal("The end lies before the start.")
    _refuse_used(attempt, vendor_ref)
    verdict = StaffVerdict.objects.create(
        attempt=attempt, line=line, is_approved=True, vendor_ref=vendor_ref, starts_on=starts_on, ends_on=ends_on, by=by, at=clock.now()
    )
    _tell(verdict, "approved_by_staff", vendor_ref=vendor_ref, starts_on=starts_on.isoformat())
    return verdict


@transaction.atomic
def refuse(attempt: PurchaseAttempt, line: OrderLine, *, by: User, code: str, text: str = "", reason: str = "") -> StaffVerdict:
    """The vendor did not sell the line. `code` is a row of the failure catalogue, `reason` its words for the timeline,
    `text` what the seller reads as the vendor's message; empty when he gave no reason.

    Raises AlreadyAnswered, or Refusal when the attempt does not wait for staff.
    """
    attempt = _waiting(attempt, line)
    verdict = StaffVerdict.objects.create(attempt=attempt, line=line, is_approved=False, code=code, text=text, by=by, at=clock.now())
    _tell(verdict, "refused_by_staff", reason=reason or text)
    return verdict


def _waiting(attempt: PurchaseAttempt, line: OrderLine) -> PurchaseAttempt:
    """The attempt as it is now, its order locked. The lock decides between two staff; the table's constraint would, too."""
    lifecycle.lock(attempt.order)
    found = PurchaseAttempt.objects.by_hand().select_related("order__seller", "vendor", "account").filter(pk=attempt.pk).first()
    if found is None or line.pk not in {one.pk for one in lines_of(found)}:
        raise Refusal("This item is not answered by staff.")
    if earlier := StaffVerdict.objects.filter(attempt=found, line=line).select_related("by").first():
        word = "approved" if earlier.is_approved else "refused"
        raise AlreadyAnswered(f"{earlier.by.name} {word} {line} before you. Nothing was changed.")
    if found.state != AttemptState.ACCEPTED:
        # Before, the seller may still stop the waiting; afterwards it is decided.
        raise Refusal("This order does not wait for our staff now.")
    return found


def _refuse_used(attempt: PurchaseAttempt, vendor_ref: str) -> None:
    """One reference, one subscription of an account: a second one could not be told from the first."""
    VendorAccount.objects.select_for_update().get(pk=attempt.account_id)
    promised = StaffVerdict.objects.filter(attempt__account=attempt.account_id, is_approved=True, vendor_ref=vendor_ref)
    sold = Subscription.objects.filter(account=attempt.account_id, vendor_ref=vendor_ref)
    if promised.exists() or sold.exists():
        raise UsedReference(
            "This reference stands for another item already. Add what tells the two apart, for example the item’s position at the vendor."
        )


def _tell(verdict: StaffVerdict, event: str, **data: str) -> None:
    """Into the timeline; and the engine goes on when nothing is open any more."""
    attempt = verdict.attempt
    lifecycle.record(
        attempt.order, event, verdict.by, attempt=attempt.number, line=str(verdict.line), position=verdict.line.position, **data
    )
    # The page of the seller follows what changed.
    lifecycle.save(attempt.order)
    if is_answered(attempt):
        now = clock.now()
        PurchaseAttempt.objects.filter(pk=attempt.pk, state=AttemptState.ACCEPTED).update(next_action_at=now, woken_at=now)
        wake(lifecycle.RUN_ATTEMPT, attempt.pk)
