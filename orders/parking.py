"""Attempts that nothing can tell of any more: staff ask the vendor by other ways and decide, with the evidence and a reason.

There are two verdicts and no third. Bought: with the vendor's own order number, which the portal then asks for itself, so that what
it records is the vendor's word. Not bought: the attempt is over, and a retry is a new one. Source: product.md rule 5; age decides nothing.
"""

from collections.abc import Sequence

from django.db import transaction

from orders import clock, lifecycle
from orders.lifecycle import Refusal
from orders.models import AttemptState, Failure, FailureClass, Incident, ParkedVerdict, PurchaseAttempt, User
from orders.wake import wake

NOT_FOUND = "not_found_by_staff"


class AlreadyDecided(Refusal):
    """Somebody was faster; the text says so."""


@transaction.atomic
def was_bought(attempt: PurchaseAttempt, *, by: User, vendor_order_refs: Sequence[str], evidence: str, reason: str) -> None:
    """The vendor sold it, as these orders of his: one cart may become several. The portal asks for each and records what it says.

    Raises AlreadyDecided, or Refusal when one of them belongs to another attempt.
    """
    attempt = _parked(attempt)
    used = PurchaseAttempt.objects.filter(account=attempt.account_id).exclude(pk=attempt.pk)
    known = {ref for found in used.values_list("vendor_order_refs", "adopted") for refs in found for ref in refs}
    if taken := [ref for ref in vendor_order_refs if ref in known]:
        raise Refusal(f"{', '.join(taken)} at the vendor belongs to another order of the portal.")
    _decide(attempt, is_bought=True, by=by, vendor_order_refs=vendor_order_refs, evidence=evidence, reason=reason)
    now = clock.now()
    PurchaseAttempt.objects.filter(pk=attempt.pk).update(
        state=AttemptState.UNKNOWN, unknown_since=now, adopted=list(vendor_order_refs), asked=0, next_action_at=now, woken_at=now
    )
    lifecycle.record(attempt.order, "found_bought", by, attempt=attempt.number, vendor=attempt.vendor.name, reason=reason)
    wake(lifecycle.RUN_ATTEMPT, attempt.pk)
    lifecycle.settle(attempt.order)


@transaction.atomic
def was_not_bought(attempt: PurchaseAttempt, *, by: User, evidence: str, reason: str) -> None:
    """The vendor has nothing of it. The attempt is over; what the seller does next is a new one.

    Raises AlreadyDecided, or Refusal when the vendor has told of a subscription already: a retry would buy it again.
    """
    attempt = _parked(attempt)
    if told := [subscription.vendor_ref for subscription in attempt.subscriptions.living()]:
        raise Refusal(f"{attempt.vendor} has told of subscription {', '.join(told)} already. Name the orders that it is in.")
    _decide(attempt, is_bought=False, by=by, vendor_order_refs=(), evidence=evidence, reason=reason)
    now = clock.now()
    PurchaseAttempt.objects.filter(pk=attempt.pk).update(
        state=AttemptState.FAILED_DEFINITE,
        failure_class=FailureClass.NOT_FOUND,
        unknown_since=None,
        finished_at=now,
        next_action_at=None,
    )
    Failure.objects.create(attempt=attempt, code=NOT_FOUND, at=now)
    lifecycle.record(attempt.order, "found_not_bought", by, attempt=attempt.number, vendor=attempt.vendor.name, reason=reason)
    lifecycle.settle(attempt.order)


def _parked(attempt: PurchaseAttempt) -> PurchaseAttempt:
    """The attempt as it is now, its order locked."""
    lifecycle.lock(attempt.order)
    found = PurchaseAttempt.objects.select_related("order", "vendor").get(pk=attempt.pk)
    if found.state != AttemptState.PARKED:
        raise AlreadyDecided("Somebody decided this attempt before you. Nothing was changed.")
    return found


def _decide(attempt: PurchaseAttempt, *, is_bought: bool, by: User, vendor_order_refs: Sequence[str], evidence: str, reason: str) -> None:
    now = clock.now()
    ParkedVerdict.objects.create(
        attempt=attempt, is_bought=is_bought, vendor_order_refs=list(vendor_order_refs), evidence=evidence, reason=reason, by=by, at=now
    )
    Incident.objects.filter(kind="parked", order=attempt.order, closed_at=None).update(closed_at=now, closed_by=by, resolution=reason)
