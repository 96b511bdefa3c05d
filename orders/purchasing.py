"""The attempt engine: claim, call, record; and the sweep that finds whatever was left lying.

Promise: never more than once, never silently lost. How:
- the attempt is committed as `sending` before a socket opens, by an UPDATE that only one worker can win;
- no transaction is open while a vendor is called; every writing call is committed, byte for byte, before it is sent;
- a verdict is recorded only by the worker whose fence is current;
- an expired lease turns `sending` into `unknown`, and nothing else: only the same attempt, with the same keys, asks again;
- age is never a verdict. A time-out, a 5xx or a broken answer of the buying call is `unknown`, not refused; where nothing that the
  vendor offers can tell any more, the attempt is parked, and staff decide with the evidence;
- while a kill switch is on, or after a restored backup, vendors are asked and nothing is sent.
Source: product.md rules 2, 4-6.
"""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q

from orders import clock, epoch, failures, lifecycle, provisioning, throttling
from orders.journal import AttemptJournal, LostLease, SendsHeld
from orders.models import (
    AttemptState,
    Customer,
    Failure,
    FailureClass,
    Incident,
    Order,
    PurchaseAttempt,
    Subscription,
    VendorAccount,
)
from orders.models.purchases import MAX_TRIES, storable
from orders.statuses import OrderStatus
from orders.vendors import registry
from orders.vendors.contract import (
    CLOCK_DRIFT,
    AuthBroken,
    Bought,
    Busy,
    Connector,
    MustPark,
    NothingSent,
    OutcomeUnknown,
    Phase,
    Refusal,
    Rejected,
    Snapshot,
)
from orders.vendors.http import ForbiddenAddress, Login
from orders.wake import wake

log = logging.getLogger(__name__)

# After so long without an answer staff are told; and after so long more than the vendor knows a repeat they decide.
SILENT_AFTER = timedelta(days=1)
# How long an attempt that waits for staff may lie when every wake was lost: their last answer wakes it at once.
STAFF_POLL = timedelta(hours=1)
OUT = (OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FINISHED)


def run(attempt_id: int) -> None:
    """Do what is due for one attempt: claim it, talk to the vendor, record the verdict. Does nothing if it isn't due."""
    attempt = claim(attempt_id)
    if attempt is None:
        return
    calls: list[None] = []
    try:
        login = login_to(attempt.account, mark_sent=lambda: calls.append(None))
        connector = registry.connect(attempt.vendor.connector, login, failures.meanings(attempt.vendor.dialect))
    except (ForbiddenAddress, InvalidToken) as error:
        # The account can't be used as it is set up; that is no order's fault.
        record_auth_broken(attempt, f"{type(error).__name__}: {error}".strip(": "), AttemptJournal(attempt))
        return
    journal = AttemptJournal(attempt, connector.decides)
    with closing(connector):
        _converse(attempt, connector, journal)
    if calls:
        with transaction.atomic():
            throttling.record(
                attempt.account, calls=len(calls), answered=not journal.vendor_failed, wait=journal.asked_to_wait, now=clock.now()
            )


def _converse(attempt: PurchaseAttempt, connector: Connector, journal: AttemptJournal) -> None:
    """Talk to the vendor and record what came of it."""
    try:
        _talk(attempt, connector, journal)
    except Exception:
        # Our own mistake in the middle of a purchase, or in writing down what the vendor said, is a doubt too, never a verdict.
        log.exception("%s: the conversation failed", attempt)
        record_unknown(attempt, "Our own program failed; staff were told.")
        _report("connector-failed", attempt, "Our own program failed; see the log of this time.")


def _talk(attempt: PurchaseAttempt, connector: Connector, journal: AttemptJournal) -> None:
    try:
        if attempt.must_look and not _has_looked(attempt, connector, journal):
            return
        snapshot = _last_word(attempt, connector, journal)
    except LostLease:
        log.warning("%s: the lease ended while talking to the vendor; whoever holds it goes on", attempt)
    except SendsHeld:
        hold(attempt, timedelta(seconds=settings.HELD_SECONDS), journal)
    except Rejected as error:
        record_refused(attempt, error.refusals)
    except Busy as error:
        if attempt.must_look:
            # Not even asked what an earlier life of the database bought: the attempt is not over, and no other one begins.
            hold(attempt, error.retry_after or timedelta(seconds=settings.HELD_SECONDS), journal)
        else:
            record_busy(attempt, error)
    except AuthBroken as error:
        record_auth_broken(attempt, str(error), journal)
    except MustPark as error:
        record_parked(attempt, str(error))
    except (OutcomeUnknown, NothingSent) as error:
        record_unknown(attempt, str(error))
    else:
        record_snapshot(attempt, snapshot)


def _has_looked(attempt: PurchaseAttempt, connector: Connector, journal: AttemptJournal) -> bool:
    """After a restored backup: whether it is known now what an earlier life of the database bought for this order.

    False: what this attempt does next was recorded here. Raises what the connector raises, and MustPark.
    """
    capabilities = attempt.vendor.capabilities
    if not capabilities.has_api:
        _release(attempt, must_look=False)
        return False
    if not capabilities.finds_orders:
        raise MustPark("A backup was restored, and this vendor can't be asked what was bought before.")
    now, sent_until = clock.now(), epoch.sent_until()
    if sent_until and now < (visible := sent_until + capabilities.in_flight + capabilities.lookup_lag):
        # What was sent last before the backup was restored may not show yet, or only a part of it.
        hold(attempt, visible - now, journal)
        return False
    found = connector.find(attempt.order_request(), journal, epoch.look_since(attempt))
    if found and not epoch.was_there_before_restore(attempt):
        raise MustPark(f"The vendor has an order of the same items that the portal does not know: {', '.join(found)}.")
    if found:
        journal.adopt(found)
        return True
    _release(attempt, must_look=False)
    return False


def _last_word(attempt: PurchaseAttempt, connector: Connector, journal: AttemptJournal) -> Snapshot:
    """What the vendor says of this attempt. Raises what the connector raises.

    A no to a repeated call says nothing of an earlier one whose answer was lost: that may be on its way yet, or have bought.
    """
    try:
        return connector.advance(attempt.order_request(), journal)
    except (Rejected, Busy):
        lost_at = journal.lost(connector.buying_step)
        if lost_at is None or journal.adopted():
            raise
        found = _made_by_lost_call(lost_at, attempt, connector, journal)
        if not found:
            raise
    journal.adopt(found)
    return connector.advance(attempt.order_request(), journal)


def _made_by_lost_call(lost_at: datetime, attempt: PurchaseAttempt, connector: Connector, journal: AttemptJournal) -> tuple[str, ...]:
    """The vendor's orders that the call made, or none when it can have made none. Raises OutcomeUnknown while that is open, or MustPark."""
    request, capabilities = attempt.order_request(), attempt.vendor.capabilities
    over, since = lost_at + capabilities.in_flight, (journal.first_sent(connector.buying_step) or lost_at) - CLOCK_DRIFT
    try:
        found = connector.find(request, journal, since) if capabilities.finds_orders else ()
        if not found and clock.now() < over:
            raise OutcomeUnknown("The repeat was refused, and the call whose answer was lost may still take effect.")
        if found or connector.is_unsold(request, journal):
            return found
    except Busy as error:
        raise OutcomeUnknown(f"The repeat was refused, and the vendor can't be asked about the lost call: {error}") from error
    if clock.now() < over + capabilities.lookup_lag:
        raise OutcomeUnknown("The repeat was refused, and what the lost call bought may not show yet.")
    return ()


# --- claim


def claim(attempt_id: int) -> PurchaseAttempt | None:
    """Take the attempt for PURCHASE_LEASE_SECONDS, or None when it isn't due, is held, or may not be sent.

    Committed before it returns: from here on a crash leaves `sending`, which only the sweep may touch.
    """
    assert not connection.in_atomic_block or settings.PROFILE == "test", "A claim must be committed before the call."
    epoch.look_after()
    now = clock.now()
    attempt = PurchaseAttempt.objects.select_related("order__seller", "vendor", "account").get(pk=attempt_id)
    if attempt.state == AttemptState.PREPARED and not attempt.must_look and not attempt.order.seller.is_active:
        # Rights are checked when the order is sent, not only when the button was pressed.
        with transaction.atomic():
            order = lifecycle.lock(attempt.order)
            if lifecycle.give_up(attempt, code="seller_inactive"):
                lifecycle.settle(order)
        return None
    is_new = attempt.state == AttemptState.PREPARED and not attempt.must_look
    number = 0
    with transaction.atomic():
        # One conversation per customer and account: two at once would both create him, and the second one's domain be taken.
        Customer.objects.locked().get(pk=attempt.order.customer_id)
        known = bool(AttemptJournal(attempt).tenant())
        if PurchaseAttempt.objects.in_the_way_of(attempt, now, customer_is_known=known).exists():
            _wake_later(attempt, now + timedelta(seconds=settings.SWEEP_SECONDS))
            return None
        mine = PurchaseAttempt.objects.due(now).filter(pk=attempt_id, fence=attempt.fence, state=attempt.state, order__status__in=OUT)
        if attempt.vendor.capabilities.has_api and mine.exists():
            if is_new and (attempt.vendor.is_stopped or epoch.is_reconciling()):
                mine.update(next_action_at=now + timedelta(seconds=settings.HELD_SECONDS), woken_at=None)
                return None
            if later := throttling.wait_until(attempt.account, now):
                mine.update(next_action_at=later, woken_at=now)
                wake(lifecycle.RUN_ATTEMPT, attempt.pk, at=later)
                return None
        won = mine.update(
            state=AttemptState.SENDING if is_new else attempt.state,
            fence=F("fence") + 1,
            lease_owner=worker_name(),
            lease_until=now + timedelta(seconds=settings.PURCHASE_LEASE_SECONDS),
            sent_at=(attempt.sent_at or now) if is_new else attempt.sent_at,
        )
        if won and is_new and not attempt.vendor.capabilities.has_api:
            # What staff order by hand no call will count.
            number = epoch.count_sent()
    if not won:
        return None
    held = PurchaseAttempt.objects.select_related("order__customer", "order__seller", "vendor", "account").get(pk=attempt_id)
    if number and not epoch.note(number):
        # The database is not the one that the file outside knows: nothing was sent, and the next look says why.
        _release(held)
        return None
    return held


def _wake_later(attempt: PurchaseAttempt, at: datetime) -> None:
    if PurchaseAttempt.objects.due(clock.now()).filter(pk=attempt.pk).update(woken_at=clock.now()):
        wake(lifecycle.RUN_ATTEMPT, attempt.pk, at=at)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def login_to(account: VendorAccount, mark_sent: Callable[[], None] | None = None) -> Login:
    """How to speak as this account; `mark_sent` is called before each call. Raises InvalidToken when no key opens its secrets."""
    stored = _StoredToken(account.pk) if account.sealed_refresh_token else None
    return Login(
        account=f"{account.pk}",
        base_url=account.base_url.rstrip("/"),
        login_url=account.login_url.rstrip("/"),
        tenant=account.tenant,
        client_id=account.client_id,
        client_secret=account.client_secret,
        deadline_seconds=settings.PURCHASE_DEADLINE_SECONDS,
        allow_loopback=settings.VENDOR_ALLOW_LOOPBACK,
        refresh_token=stored.read if stored else None,
        keep_refresh_token=stored.replace if stored else None,
        mark_sent=mark_sent,
    )


class _StoredToken:
    """The refresh token of an account, which each use of it may replace by a newer one."""

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self._used = ""

    def read(self) -> str:
        self._used = VendorAccount.objects.get(pk=self._account_id).refresh_token
        return self._used

    @transaction.atomic
    def replace(self, newer: str) -> None:
        """Store the newer one, whole or not at all, before the access token that came with it is used.

        What staff typed meanwhile stays: it is of a new consent, and the newer one is of the old.
        """
        account = VendorAccount.objects.select_for_update().get(pk=self._account_id)
        if account.refresh_token == self._used:
            account.refresh_token = self._used = newer
            account.save(update_fields=["sealed_refresh_token"])


# --- record: one transaction each, fenced


@transaction.atomic
def record_snapshot(attempt: PurchaseAttempt, snapshot: Snapshot) -> None:
    """What the vendor says now: still waiting, approved, or bought with every subscription known."""
    order = lifecycle.lock(attempt.order)
    if shared := _told_twice(attempt, snapshot.bought):
        # Nothing is sent and nothing fails by it; which item it belongs to only a person can find out at the vendor.
        record_parked(attempt, f"{attempt.vendor} tells subscription {shared} for more than one item.")
        return
    state = {Phase.APPROVED: AttemptState.APPROVED, Phase.DONE: AttemptState.SUCCEEDED}.get(snapshot.phase, AttemptState.ACCEPTED)
    if attempt.state == AttemptState.APPROVED and state == AttemptState.ACCEPTED:
        # The vendor never goes back from approved to waiting; a word of that kind is kept and changes nothing.
        state = AttemptState.APPROVED
    vendor_status = storable(snapshot.raw_status)[:60]
    changed = (state, vendor_status, snapshot.action) != (attempt.state, attempt.vendor_status, attempt.action)
    asked = 0 if changed else attempt.asked + 1
    next_at = None if state == AttemptState.SUCCEEDED else _next_look(attempt, asked)
    saved = _save_fenced(
        attempt,
        state=state,
        unknown_since=None,
        vendor_order_ref=snapshot.order_refs[0] if snapshot.order_refs else attempt.vendor_order_ref,
        vendor_order_refs=list(snapshot.order_refs) or attempt.vendor_order_refs,
        vendor_status=vendor_status,
        action=snapshot.action,
        asked=asked,
        next_action_at=next_at,
        finished_at=clock.now() if state == AttemptState.SUCCEEDED else None,
    )
    if not saved:
        return
    if attempt.unknown_since:
        lifecycle.record(order, "vendor_answered", None, actor_name=attempt.vendor.name, attempt=attempt.number)
    if changed and state == AttemptState.ACCEPTED and not attempt.vendor.capabilities.has_api:
        lifecycle.record(order, "with_staff", None, attempt=attempt.number, vendor=attempt.vendor.name)
    elif changed and state == AttemptState.ACCEPTED:
        lifecycle.record(
            order,
            "action_needed" if snapshot.action else "accepted",
            None,
            actor_name=attempt.vendor.name,
            attempt=attempt.number,
            action=snapshot.action,
        )
    if snapshot.phase is Phase.UNKNOWN and changed:
        _report("unknown-vendor-status", attempt, f"The vendor said {snapshot.raw_status!r}, which we don't know. The order waits.")
    _record_bought(attempt, order, snapshot.bought)
    if state == AttemptState.SUCCEEDED:
        _take_back(attempt, but=[item.subscription_ref for item in snapshot.bought])
        _record_failures(attempt, snapshot.refusals)
    if changed or state in {AttemptState.APPROVED, AttemptState.SUCCEEDED}:
        lifecycle.settle(order)


@transaction.atomic
def record_refused(attempt: PurchaseAttempt, refusals: tuple[Refusal, ...]) -> None:
    """A definite no: nothing was bought by this attempt."""
    order = lifecycle.lock(attempt.order)
    if _save_fenced(
        attempt,
        state=AttemptState.FAILED_DEFINITE,
        failure_class=FailureClass.VENDOR_REJECTED,
        unknown_since=None,
        action="",
        next_action_at=None,
        finished_at=clock.now(),
    ):
        _take_back(attempt)
        _record_failures(attempt, refusals)
        lifecycle.record(order, "refused", None, actor_name=attempt.vendor.name, attempt=attempt.number, vendor=attempt.vendor.name)
        lifecycle.settle(order)


@transaction.atomic
def record_busy(attempt: PurchaseAttempt, busy: Busy) -> None:
    """The vendor is busy or away and did nothing: this try is over, the next one waits; the fifth ends it (rule 5)."""
    order = lifecycle.lock(attempt.order)
    if not _save_fenced(
        attempt,
        state=AttemptState.FAILED_DEFINITE,
        failure_class=FailureClass.VENDOR_BUSY,
        next_action_at=None,
        finished_at=clock.now(),
    ):
        return
    _record_failures(attempt, (busy.refusal,))
    if attempt.try_number < MAX_TRIES:
        now = clock.now()
        wait = max(busy.retry_after or timedelta(), _pause(settings.BUSY_SECONDS, attempt.try_number - 1))
        following = PurchaseAttempt.objects.prepare_next_try(attempt, at=now, due_at=now + wait)
        wake(lifecycle.RUN_ATTEMPT, following.pk, at=now + wait)
        lifecycle.record(
            order,
            "vendor_busy",
            None,
            actor_name=attempt.vendor.name,
            attempt=attempt.number,
            next_try=following.try_number,
            next_at=(now + wait).isoformat(),
        )
    lifecycle.settle(order)


@transaction.atomic
def record_unknown(attempt: PurchaseAttempt, why: str) -> None:
    """Something may have been sent and no answer came: this same attempt asks again later. Never a verdict."""
    now = clock.now()
    known_for = attempt.vendor.capabilities.resend_for
    if attempt.unknown_since and known_for and now - attempt.unknown_since > known_for + SILENT_AFTER:
        record_parked(attempt, f"The vendor could not be asked what became of it for {(now - attempt.unknown_since).days} days: {why}")
        return
    order = lifecycle.lock(attempt.order)
    first = attempt.unknown_since is None
    keep = attempt.state if attempt.state in {AttemptState.ACCEPTED, AttemptState.APPROVED} else AttemptState.UNKNOWN
    if _save_fenced(
        attempt,
        state=keep,
        unknown_since=(attempt.unknown_since or now) if keep == AttemptState.UNKNOWN else None,
        asked=attempt.asked + 1,
        next_action_at=_after(settings.UNKNOWN_SECONDS, attempt.asked),
    ):
        log.warning("%s: outcome unknown: %s", attempt, why)
        if first and keep == AttemptState.UNKNOWN:
            lifecycle.record(order, "outcome_unknown", None, attempt=attempt.number, vendor=attempt.vendor.name)
            lifecycle.settle(order)
        if now - (attempt.unknown_since or attempt.sent_at or now) > SILENT_AFTER:
            _report("vendor-silent", attempt, f"{attempt}: nothing has told for a day what became of it. It is still asked. Last: {why}")


@transaction.atomic
def record_parked(attempt: PurchaseAttempt, why: str) -> None:
    """Nothing that the vendor offers can tell what became of this attempt: staff look, and nothing is sent meanwhile."""
    order = lifecycle.lock(attempt.order)
    saved = _save_fenced(
        attempt,
        state=AttemptState.PARKED,
        unknown_since=attempt.unknown_since or attempt.sent_at or clock.now(),
        parked_reason=storable(why)[:300],
        must_look=False,
        next_action_at=None,
    )
    if saved:
        lifecycle.record(order, "parked", None, attempt=attempt.number, vendor=attempt.vendor.name)
        _report("parked", attempt, f"{attempt}: {why}")
        lifecycle.settle(order)


def hold(attempt: PurchaseAttempt, wait: timedelta, journal: AttemptJournal) -> None:
    """Nothing may be sent now: the attempt is as it was, and is looked at again later. What was never sent is prepared again."""
    never_sent = attempt.state == AttemptState.SENDING and not journal.anything_sent()
    now = clock.now()
    state = AttemptState.PREPARED if never_sent else AttemptState.UNKNOWN if attempt.state == AttemptState.SENDING else attempt.state
    _save_fenced(attempt, state=state, unknown_since=_unknown_since(attempt, state, now), next_action_at=now + wait)


def _release(attempt: PurchaseAttempt, **fields: object) -> None:
    """Nothing was sent under this claim: the attempt goes on as if it had not been claimed."""
    state = AttemptState.PREPARED if attempt.state == AttemptState.SENDING else attempt.state
    _save_fenced(attempt, state=state, next_action_at=clock.now(), **fields)


@transaction.atomic
def record_auth_broken(attempt: PurchaseAttempt, why: str, journal: AttemptJournal) -> None:
    """Our login is refused: the account stops until staff renew it, the order waits. Nobody's order fails for it."""
    order = lifecycle.lock(attempt.order)
    now = clock.now()
    doubtful = journal.anything_sent() or attempt.state != AttemptState.SENDING
    state = AttemptState.PREPARED if not doubtful else AttemptState.UNKNOWN if attempt.state == AttemptState.SENDING else attempt.state
    VendorAccount.objects.filter(pk=attempt.account_id).update(is_paused=True, paused_reason="The vendor refuses our login.")
    if _save_fenced(attempt, state=state, unknown_since=_unknown_since(attempt, state, now), next_action_at=now):
        log.error("%s: %s", attempt, why)
        lifecycle.record(order, "account_paused", None, attempt=attempt.number, vendor=attempt.vendor.name)
        _report("login-refused", attempt, f"{attempt.account} was paused: {why}")
        lifecycle.settle(order)


def _unknown_since(attempt: PurchaseAttempt, state: str, now: datetime) -> datetime | None:
    return (attempt.unknown_since or attempt.sent_at or now) if state == AttemptState.UNKNOWN else None


def _save_fenced(attempt: PurchaseAttempt, *, next_action_at: datetime | None, **fields: object) -> bool:
    """Write the verdict, and wake the next action, if this worker still holds the attempt. False: somebody took over, whose word counts."""
    written = (
        PurchaseAttempt.objects.filter(pk=attempt.pk, fence=attempt.fence, lease_owner=attempt.lease_owner)
        .exclude(state__in=[AttemptState.SUCCEEDED, AttemptState.FAILED_DEFINITE])
        .update(lease_owner="", lease_until=None, next_action_at=next_action_at, woken_at=clock.now(), **fields)
    )
    if not written:
        log.warning("%s: a newer claim holds this attempt; our answer stays as evidence", attempt)
    elif next_action_at:
        wake(lifecycle.RUN_ATTEMPT, attempt.pk, at=next_action_at)
    return bool(written)


def _record_failures(attempt: PurchaseAttempt, refusals: tuple[Refusal, ...]) -> None:
    lines = {line.position: line for line in attempt.order.lines.all()}
    now = clock.now()
    for refusal in refusals:
        Failure.objects.create(
            attempt=attempt,
            line=lines.get(refusal.line) if refusal.line else None,
            code=storable(refusal.code)[:60],
            http_status=refusal.http_status,
            field=storable(refusal.field)[:100],
            text=storable(refusal.text),
            raw=refusal.raw,
            at=now,
        )


def _told_twice(attempt: PurchaseAttempt, bought: tuple[Bought, ...]) -> str:
    """A subscription that the vendor names for two items, of this order or of another one; empty when there is none."""
    refs = [item.subscription_ref for item in bought]
    items = {(attempt.order_id, item.line): item.subscription_ref for item in bought}
    known = Subscription.objects.filter(account=attempt.account, vendor_ref__in=refs)
    others = [
        ref
        for order, position, ref in known.values_list("line__order", "line__position", "vendor_ref")
        if items.get((order, position)) != ref
    ]
    return next((ref for ref in refs if refs.count(ref) > 1 or ref in others), "")


def _record_bought(attempt: PurchaseAttempt, order: Order, bought: tuple[Bought, ...]) -> None:
    """One subscription per line, whoever records it first."""
    lines = {line.position: line for line in order.lines.select_related("offer")}
    for item in bought:
        line = lines[item.line]
        subscription, is_new = Subscription.objects.living().get_or_create(
            line=line,
            defaults={
                "seller": order.seller,
                "customer": order.customer,
                "account": attempt.account,
                "offer": line.offer,
                "attempt": attempt,
                "vendor_ref": item.subscription_ref,
                "vendor_order_ref": item.vendor_order_ref,
                "quantity": line.quantity,
                "unit_cost": item.unit_cost,
                "starts_at": item.starts_at,
                "ends_at": item.ends_at,
                "created_at": clock.now(),
            },
        )
        if is_new:
            subscription.activate()
            subscription.save(update_fields=["status"])


def _take_back(attempt: PurchaseAttempt, but: Sequence[str] = ()) -> None:
    """The vendor took back what he had sold already, but for these: its subscriptions end, and the line may be bought again."""
    for subscription in attempt.subscriptions.living().exclude(vendor_ref__in=but):
        subscription.cancel()
        subscription.save(update_fields=["status"])
        lifecycle.record(attempt.order, "taken_back", None, actor_name=attempt.vendor.name, subscription=subscription.vendor_ref)


def _report(kind: str, attempt: PurchaseAttempt, detail: str) -> None:
    Incident.objects.tell_once(kind, storable(detail)[:2000], order=attempt.order, at=clock.now())


def _next_look(attempt: PurchaseAttempt, asked: int) -> datetime:
    """When to ask again what became of a purchase. The order is locked."""
    if attempt.vendor.capabilities.has_api:
        return clock.now() + _poll_wait(attempt, asked)
    # The last answer may have come after we looked, and found the attempt held by us.
    return clock.now() if provisioning.is_answered(attempt) else clock.now() + STAFF_POLL


def _poll_wait(attempt: PurchaseAttempt, asked: int) -> timedelta:
    """Soon at first, then by how long the order has been with the vendor; an order never fails by age (Partner Center, polling)."""
    if attempt.action or "review" in attempt.vendor_status:
        return timedelta(seconds=settings.POLL_PERSON_SECONDS)
    if asked < len(settings.POLL_SECONDS):
        return timedelta(seconds=settings.POLL_SECONDS[asked])
    age = (clock.now() - (attempt.sent_at or attempt.created_at)).total_seconds()
    for until, seconds in settings.POLL_BY_AGE:
        if age < until:
            return timedelta(seconds=seconds)
    _report(
        "waits-long", attempt, f"{attempt} has been with the vendor for more than {int(age // 86400)} days. It is still asked once a day."
    )
    return timedelta(days=1)


def _pause(steps: list[int], index: int) -> timedelta:
    return timedelta(seconds=steps[min(index, len(steps) - 1)])


def _after(steps: list[int], index: int) -> datetime:
    return clock.now() + _pause(steps, index)


# --- sweep


def sweep() -> int:
    """Find what is due or was left lying and wake it; fire what is scheduled. Safe to run anywhere, any number of times."""
    now = clock.now()
    epoch.look_after()
    expire_leases(now)
    epoch.finish_when_looked()
    # A task was enqueued for each of these already. One that was not done by now was lost, or waits behind others.
    forgotten = Q(woken_at=None) | Q(woken_at__lt=now - timedelta(seconds=settings.REWAKE_SECONDS))
    woken = 0
    for attempt_id in list(
        PurchaseAttempt.objects.due(now).filter(forgotten).order_by("next_action_at").values_list("pk", flat=True)[:200]
    ):
        with transaction.atomic():
            if PurchaseAttempt.objects.due(now).filter(forgotten, pk=attempt_id).update(woken_at=now):
                wake(lifecycle.RUN_ATTEMPT, attempt_id)
                woken += 1
    due = Order.objects.filter(status=OrderStatus.SCHEDULED, scheduled_for__lte=now)
    # Some of those that could not be sent before are tried again, and none of them keeps another one waiting.
    held_back = due.filter(needs_attention=True).order_by("?")
    for order in [*due.filter(needs_attention=False).order_by("scheduled_for")[:100], *held_back[:20]]:
        _fire(order)
    return woken


def _fire(order: Order) -> None:
    """One order that can't be sent must not keep the others waiting."""
    try:
        lifecycle.fire(order)
    except lifecycle.NotDue:
        log.info("%s was sent by somebody else", order)
    except lifecycle.Refusal as refusal:
        lifecycle.hold_back(order, str(refusal))
    except Exception:
        log.exception("%s could not be sent", order)
        lifecycle.hold_back(order, "It could not be sent by a fault of the portal. Our staff were told.")


def expire_leases(now: datetime) -> int:
    """`sending` whose lease is over becomes `unknown`: the worker may be dead or about to send. Nothing is sent here."""
    expired = PurchaseAttempt.objects.filter(state=AttemptState.SENDING, lease_until__lt=now)
    count = 0
    for attempt in list(expired.select_related("order", "vendor")[:200]):
        with transaction.atomic():
            order = lifecycle.lock(attempt.order)
            changed = PurchaseAttempt.objects.filter(
                pk=attempt.pk, state=AttemptState.SENDING, fence=attempt.fence, lease_until__lt=now
            ).update(
                state=AttemptState.UNKNOWN,
                lease_owner="",
                lease_until=None,
                unknown_since=attempt.sent_at or now,
                asked=0,
                next_action_at=now,
                woken_at=None,
            )
            if changed:
                lifecycle.record(order, "outcome_unknown", None, attempt=attempt.number, vendor=attempt.vendor.name)
                lifecycle.settle(order)
                count += 1
    return count
