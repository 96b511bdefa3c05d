"""How much we ask of a vendor: calls a minute, conversations at once, and a breaker when it does not answer.

The limits are data of the account, and what was used lies in AccountHealth, so that all workers share it. A conversation that has
begun is never cut short: its calls are paid for afterwards, and the next ones wait. Source: product.md section 3; Partner Center,
API throttling guidance (500 calls a minute for a tenant; immediate repeats count against us).
"""

from datetime import datetime, timedelta

from django.db.models import F

from orders.models import AccountHealth, PurchaseAttempt, VendorAccount

POLITE_WAIT = timedelta(seconds=1)


def wait_until(account: VendorAccount, now: datetime) -> datetime | None:
    """When the next conversation may begin; None: now. Call it in the transaction that claims: it locks the account's row."""
    health = _locked(account)
    if health.not_before and health.not_before > now:
        return health.not_before
    if PurchaseAttempt.objects.filter(account=account, lease_until__gte=now).count() >= account.parallel_calls:
        return now + POLITE_WAIT
    health.calls_left, health.filled_at = _filled(health, account, now), now
    if health.calls_left < 1:
        health.save(update_fields=["calls_left", "filled_at"])
        missing = 1 - health.calls_left
        return now + max(POLITE_WAIT, timedelta(minutes=missing / account.calls_per_minute))
    if health.down_since:
        # One goes ahead to see whether the vendor answers again; the others wait for what it finds.
        health.not_before = now + timedelta(seconds=account.breaker_seconds)
    health.save(update_fields=["calls_left", "filled_at", "not_before"])
    return None


def record(account: VendorAccount, *, calls: int, answered: bool, wait: timedelta | None, now: datetime) -> None:
    """What a conversation cost, and whether the vendor answered. `wait`: he asked all of us to come back later."""
    health = _locked(account)
    health.calls_left = F("calls_left") - calls
    health.failures = 0 if answered else health.failures + 1
    is_down = health.failures >= account.breaker_failures
    health.down_since = (health.down_since or now) if is_down else None
    pause = wait or (timedelta(seconds=account.breaker_seconds) if is_down else None)
    health.not_before = now + pause if pause else None
    health.save(update_fields=["calls_left", "failures", "down_since", "not_before"])


def _locked(account: VendorAccount) -> AccountHealth:
    AccountHealth.objects.get_or_create(account=account, defaults={"calls_left": account.calls_per_minute})
    return AccountHealth.objects.select_for_update().get(account=account)


def _filled(health: AccountHealth, account: VendorAccount, now: datetime) -> float:
    """Calls that may be made: what was left, and what time has brought since, at most a minute's."""
    if health.filled_at is None:
        return float(account.calls_per_minute)
    minutes = max(0.0, (now - health.filled_at).total_seconds() / 60)
    return min(float(account.calls_per_minute), health.calls_left + minutes * account.calls_per_minute)
