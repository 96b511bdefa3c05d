"""What ends a doubt, and what does not: the catalogue's word, a look at the vendor, staff with evidence; never age, never a guess."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from orders import clock as portal_clock
from orders import epoch, lifecycle, parking, purchasing
from orders.journal import AttemptJournal
from orders.lifecycle import Refusal
from orders.models import (
    AccountHealth,
    AttemptState,
    Customer,
    FailureReason,
    Incident,
    ParkedVerdict,
    PortalEpoch,
    PurchaseAttempt,
    RetryClass,
    Subscription,
    Vendor,
    VendorAccount,
    VendorExchange,
)
from orders.parking import AlreadyDecided
from orders.statuses import OrderStatus
from orders.vendors import microsoft_login
from orders.vendors.contract import Answer, Call
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, again, cart_of, claimed
from tests.test_purchasing import bought, placed, words, work

CHECKOUT = {"method": "POST", "path": "*/checkout"}


@pytest.fixture(autouse=True)
def engine(committed_db: Database, vendor: Sandbox) -> None:
    """Real commits and a real vendor for every test here."""
    microsoft_login.TOKENS.clear()


def run_due() -> None:
    for attempt in PurchaseAttempt.objects.due(portal_clock.now()):
        purchasing.run(attempt.pk)


def pass_days(clock: Clock, days: int) -> None:
    """Our token ends by the vendor's clock, which jumps here, and not by the computer's."""
    clock.advance(days=days)
    microsoft_login.TOKENS.clear()


# --- the call that buys: what is definite


@pytest.mark.parametrize("status", [400, 403, 404, 417, 500, 503])
def test_a_pair_that_the_catalogue_calls_refused_is_definite_whatever_its_status(
    world: World, vendor: Sandbox, clock: Clock, status: int
) -> None:
    FailureReason.objects.create(
        slug="made-up", dialect="partner_center", http_status=status, code="777001", short="No", summary="No", meaning="No", fix="No",
        who="seller", retry=RetryClass.RETRY,
    )  # fmt: skip
    vendor.faults(f"code:{status}/777001", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
    assert bought(vendor) == []


def test_the_same_code_with_another_status_is_no_verdict_of_the_catalogue(world: World, vendor: Sandbox, clock: Clock) -> None:
    FailureReason.objects.create(
        slug="made-up", dialect="partner_center", http_status=400, code="777001", short="No", summary="No", meaning="No", fix="No",
        who="seller", retry=RetryClass.RETRY,
    )  # fmt: skip
    vendor.faults("code:500/777001", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert work(order, clock).status == OrderStatus.COMPLETED


def test_an_unknown_no_in_the_vendors_own_shape_counts_after_a_look_found_the_cart_unsold(
    world: World, vendor: Sandbox, clock: Clock
) -> None:
    vendor.faults("code:422/999999", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
    attempt = order.attempts.get()
    assert attempt.failures.get().code == "999999"
    assert attempt.exchanges.filter(step="look at cart", kind="answer").exists()


def test_an_unknown_no_is_a_doubt_while_the_vendor_can_not_be_looked_at(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("code:422/999999", **CHECKOUT)
    vendor.faults("status:503", method="GET", path="*/carts/*")
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


@pytest.mark.parametrize("status", [408, 409, 425, 429])
def test_statuses_that_decide_nothing_decide_nothing_with_an_unknown_code_either(
    world: World, vendor: Sandbox, clock: Clock, status: int
) -> None:
    vendor.faults(f"code:{status}/999999", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


def test_an_expired_cart_whose_order_is_in_the_list_is_adopted(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("drop_after_commit", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    pass_days(clock, 7)
    run_due()
    attempt = order.attempts.get()
    assert len(attempt.adopted) == 1
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


# --- parked


def parked(world: World, vendor: Sandbox, clock: Clock) -> PurchaseAttempt:
    """A checkout that never arrived, and whose cart is too old to be sent again."""
    vendor.faults("drop_before_commit", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    pass_days(clock, 7)
    run_due()
    attempt = order.attempts.get()
    assert attempt.state == AttemptState.PARKED
    return attempt


def test_what_nothing_can_tell_any_more_is_parked_and_shown_as_confirming(world: World, vendor: Sandbox, clock: Clock) -> None:
    attempt = parked(world, vendor, clock)
    assert again(attempt.order).status == OrderStatus.PROVISIONING_STARTED
    assert words(attempt.order).startswith("Confirming with Microsoft since ")
    assert Incident.objects.filter(kind="parked", order=attempt.order, closed_at=None).exists()
    pass_days(clock, 30)
    purchasing.sweep()
    run_due()
    assert PurchaseAttempt.objects.get(pk=attempt.pk).state == AttemptState.PARKED
    with pytest.raises(IntegrityError), transaction.atomic():
        PurchaseAttempt.objects.prepare(
            attempt.order, attempt.vendor, attempt.account, list(attempt.order.lines.all()), at=portal_clock.now()
        )


def test_staff_who_found_nothing_end_it_and_a_retry_buys_once(world: World, vendor: Sandbox, clock: Clock) -> None:
    attempt = parked(world, vendor, clock)
    parking.was_not_bought(attempt, by=world.staff, evidence="Order list of 3 December, page 1.", reason="Microsoft has no such order.")
    assert words(attempt.order) == "Not found at the vendor"
    assert not Incident.objects.filter(kind="parked", closed_at=None).exists()
    with pytest.raises(AlreadyDecided):
        parking.was_not_bought(attempt, by=world.staff, evidence="x", reason="y")
    order = work(lifecycle.retry(attempt.order, by=world.harbour.manager), clock)
    assert order.status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


def test_staff_who_found_the_order_name_it_and_the_vendor_is_asked_for_it(world: World, vendor: Sandbox, clock: Clock) -> None:
    attempt = parked(world, vendor, clock)
    other = work(lifecycle.place(cart_of(world, world.line(world.premium_monthly, 5)), by=world.harbour.manager), clock)
    taken = other.attempts.get().vendor_order_ref
    with pytest.raises(Refusal, match="another order of the portal"):
        parking.was_bought(attempt, by=world.staff, vendor_order_ref=taken, evidence="Seen", reason="Seen")
    parking.was_bought(attempt, by=world.staff, vendor_order_ref="no-such-order", evidence="By telephone.", reason="It was bought.")
    assert ParkedVerdict.objects.get().is_bought
    run_due()
    assert PurchaseAttempt.objects.get(pk=attempt.pk).state == AttemptState.PARKED, "The vendor knows no such order."


def test_a_vendor_that_forgot_an_order_is_not_read_as_one_that_sold_nothing(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 202))
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.ACCEPTED
    vendor.reset()
    microsoft_login.TOKENS.clear()
    clock.advance(minutes=5)
    run_due()
    assert order.attempts.get().state == AttemptState.ACCEPTED
    clock.advance(minutes=30)
    run_due()
    attempt = order.attempts.get()
    assert (attempt.state, again(order).status) == (AttemptState.PARKED, OrderStatus.PROVISIONING_STARTED)
    assert "may have been reset" in attempt.parked_reason


# --- the vendor is down


def test_a_vendor_that_does_not_answer_is_left_alone_for_a_while_and_orders_go_by_themselves(
    world: World, vendor: Sandbox, clock: Clock
) -> None:
    VendorAccount.objects.update(breaker_failures=2, breaker_seconds=60)
    vendor.faults("html502", method="*", path="/v1/*", times=None)
    orders = [placed(world, world.line(world.premium_monthly, 5)) for _ in range(3)]
    for order in orders[:2]:
        purchasing.run(order.attempts.get().pk)
    health = AccountHealth.objects.get(account=world.microsoft_account)
    assert health.down_since
    calls = len(vendor.calls())
    purchasing.run(orders[2].attempts.get().pk)
    assert len(vendor.calls()) == calls, "Nothing is asked while the breaker is open."
    assert orders[2].attempts.get().try_number == 1
    assert words(orders[2]).startswith("Microsoft does not answer, next try at ")
    vendor.clear_faults()
    clock.advance(seconds=61)
    assert {work(order, clock).status for order in orders} == {OrderStatus.COMPLETED}
    assert AccountHealth.objects.get(account=world.microsoft_account).down_since is None
    assert len(bought(vendor)) == 3


def test_a_vendor_that_asks_to_wait_is_not_asked_by_others_meanwhile(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("429:57", method="POST", path="*/carts")
    first, second = (placed(world, world.line(world.premium_monthly, 5)) for _ in range(2))
    purchasing.run(first.attempts.get().pk)
    calls = len(vendor.calls())
    purchasing.run(second.attempts.get().pk)
    assert len(vendor.calls()) == calls
    waits = second.attempts.get().next_action_at - portal_clock.now()
    assert timedelta(seconds=40) < waits <= timedelta(seconds=57)


def test_no_more_calls_a_minute_than_the_account_allows(world: World, vendor: Sandbox, clock: Clock) -> None:
    VendorAccount.objects.update(calls_per_minute=6)
    orders = [placed(world, world.line(world.premium_monthly, 5)) for _ in range(2)]
    purchasing.run(orders[0].attempts.get().pk)
    calls = len(vendor.calls())
    assert calls >= 6
    purchasing.run(orders[1].attempts.get().pk)
    assert len(vendor.calls()) == calls
    for order in orders:
        assert work(order, clock, rounds=200).status == OrderStatus.COMPLETED


def test_no_more_conversations_at_once_than_the_account_allows(world: World, vendor: Sandbox, clock: Clock) -> None:
    VendorAccount.objects.update(parallel_calls=1)
    customers = [world.harbour.customer, world.harbour.other_customer]
    attempts = []
    for customer in customers:
        order = lifecycle.create(customer, [world.line(world.premium_monthly, 5)], by=world.harbour.manager)
        attempts.append(lifecycle.place(order, by=world.harbour.manager).attempts.get())
    assert purchasing.claim(attempts[0].pk)
    assert purchasing.claim(attempts[1].pk) is None


# --- the kill switch


def test_the_kill_switch_stops_sending_and_not_asking(world: World, vendor: Sandbox, clock: Clock) -> None:
    sent = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(sent.attempts.get().pk)
    doubtful = placed(world, world.line(world.premium_monthly, 6))
    vendor.faults("drop_before_commit", **CHECKOUT)
    purchasing.run(doubtful.attempts.get().pk)
    Vendor.objects.filter(pk=world.microsoft.pk).update(is_stopped=True, stopped_reason="Drill")
    waiting = placed(world, world.line(world.premium_monthly, 7))
    writes = VendorExchange.objects.filter(is_write=True, kind="request").count()
    assert work(sent, clock).status == OrderStatus.COMPLETED
    for _ in range(3):
        clock.advance(seconds=20)
        run_due()
    assert VendorExchange.objects.filter(is_write=True, kind="request").count() == writes
    assert waiting.attempts.get().state == AttemptState.PREPARED
    assert words(waiting) == "Waiting: ordering from Microsoft is stopped by our staff"
    assert doubtful.attempts.get().state == AttemptState.UNKNOWN
    Vendor.objects.update(is_stopped=False)
    assert {work(order, clock).status for order in (doubtful, waiting)} == {OrderStatus.COMPLETED}
    assert len(bought(vendor)) == 3


# --- a restored backup


def lose(attempt_ids: list[int]) -> None:
    """The database as a backup would have it that was made before these attempts were sent: nothing of them was ever known."""
    PortalEpoch.objects.update(sent=0)
    assert not VendorExchange.objects.filter(attempt__in=attempt_ids).exists()


def test_a_restored_backup_asks_first_and_adopts_what_was_bought(world: World, vendor: Sandbox, clock: Clock, database: Database) -> None:
    bought_before = lifecycle.create(world.harbour.customer, [world.line(world.premium_monthly, 5)], by=world.harbour.manager)
    order = lifecycle.place(bought_before, by=world.harbour.manager)
    other = lifecycle.create(world.harbour.other_customer, [world.line(world.premium_monthly, 9)], by=world.harbour.manager)
    other = lifecycle.place(other, by=world.harbour.manager)
    with database.backed_up():
        assert work(order, clock).status == OrderStatus.COMPLETED
    # The backup is back: it knows both orders as waiting to be sent, and one of them was bought.
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.get().state == AttemptState.PREPARED
    microsoft_login.TOKENS.clear()
    purchasing.sweep()
    assert epoch.is_reconciling()
    assert words(order) == "Comparing with Microsoft before anything is sent"
    for _ in range(30):
        clock.advance(minutes=2)
        run_due()
        purchasing.sweep()
        if again(order).status == again(other).status == OrderStatus.COMPLETED:
            break
    assert (again(order).status, again(other).status) == (OrderStatus.COMPLETED, OrderStatus.COMPLETED)
    assert not epoch.is_reconciling()
    assert len(bought(vendor)) == 2
    assert Subscription.objects.filter(line__order__in=[order, other]).count() == 2
    assert not Incident.objects.filter(kind="backup-restored", closed_at=None).exists()


def test_nothing_is_sent_while_the_file_outside_knows_more_than_the_database(world: World, vendor: Sandbox, clock: Clock) -> None:
    first = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(first.attempts.get().pk)
    PortalEpoch.objects.update(sent=0)
    second = placed(world, world.line(world.premium_monthly, 6))
    carts = len(vendor.ledger()["carts"])
    purchasing.run(second.attempts.get().pk)
    assert second.attempts.get().state == AttemptState.PREPARED
    assert len(vendor.ledger()["carts"]) == carts
    assert Incident.objects.filter(kind="backup-restored", closed_at=None).exists()


def test_a_database_that_sent_something_and_has_no_file_beside_it_was_restored(world: World, vendor: Sandbox, clock: Clock) -> None:
    purchasing.run(placed(world, world.line(world.premium_monthly, 5)).attempts.get().pk)
    settings.EPOCH_FILE.unlink()
    assert epoch.look_after()


def test_a_new_database_begins_without_looking(world: World) -> None:
    assert not epoch.look_after()
    assert not epoch.look_after()


def test_what_another_worker_sends_while_we_look_is_no_restored_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """He commits and notes his number between any two of our steps; both workers' looks were taken for a backup once."""
    assert not epoch.look_after()
    locked = epoch._locked

    @contextmanager
    def after_somebody_else() -> Iterator[None]:
        monkeypatch.setattr(epoch, "_locked", locked)
        assert epoch.note(epoch.count_sent())
        with locked():
            yield

    monkeypatch.setattr(epoch, "_locked", after_somebody_else)
    assert not epoch.look_after()
    assert epoch._locked is locked
    assert not Incident.objects.exists()


# --- what the account says of itself


def test_a_refresh_token_is_replaced_by_the_newer_one_and_never_shown(world: World) -> None:
    account = world.microsoft_account
    account.refresh_token = "first-canary-token"
    account.save()
    login = purchasing.login_to(account)
    assert login.refresh_token
    assert login.keep_refresh_token
    login.keep_refresh_token("second-canary-token")
    assert login.refresh_token() == "second-canary-token"
    stored = VendorAccount.objects.get(pk=account.pk)
    assert "canary" not in stored.sealed_refresh_token
    assert "canary" not in repr(login) + str(login)


def test_the_customer_of_a_lost_attempt_is_found_and_not_created_again(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = work(placed(world, world.line(world.premium_monthly, 402)), clock)
    Customer.objects.get(pk=order.customer_id).tenants.all().delete()
    order = lifecycle.edit(order, [world.line(world.premium_monthly, 4)], by=world.harbour.manager, version=order.version)
    assert work(lifecycle.retry(order, by=world.harbour.manager), clock).status == OrderStatus.COMPLETED
    assert len(vendor.ledger()["customers"]) == 1


# --- a call whose answer was lost may still take effect after its repeat was refused


@pytest.mark.parametrize("fault", ["late_effect:PT30S", "drop_after_commit", "truncate", "status_after_commit:502"])
def test_a_refused_repeat_is_no_verdict_where_the_call_before_it_may_have_bought(
    world: World, vendor: Sandbox, clock: Clock, fault: str
) -> None:
    vendor.faults(fault, **CHECKOUT)
    vendor.faults("code:400/3000", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    for _ in range(20):
        run_due()
        clock.advance(seconds=5)
    assert len(bought(vendor)) == 1
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    # Until then the list of orders may not show it.
    clock.advance(minutes=15)
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


def test_a_refused_repeat_counts_when_the_call_before_it_can_have_no_effect_any_more(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("drop_before_commit", **CHECKOUT)
    vendor.faults("code:400/3000", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    began = portal_clock.now()
    while again(order).status == OrderStatus.PROVISIONING_STARTED:
        run_due()
        clock.advance(seconds=30)
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
    assert order.attempts.get().failures.get().code == "3000"
    assert portal_clock.now() - began > timedelta(minutes=15)


def test_a_yes_that_comes_after_the_no_to_its_repeat_counts(world: World) -> None:
    held = claimed(placed(world, world.line(world.premium_monthly, 5)).attempts.get())
    call = Call("POST", "/v1/carts/cart-1/checkout")

    def slow(_call: Call, _key: str) -> Answer:
        AttemptJournal(held).write("checkout", call, lambda _call, _key: Answer(400, {}, b'{"code": 3000}'))
        assert AttemptJournal(held).lost("checkout")
        return Answer(201, {}, b'{"orders": []}')

    AttemptJournal(held).write("checkout", call, slow)
    answer = AttemptJournal(held).answered("checkout")
    assert answer
    assert answer.status == 201
    assert AttemptJournal(held).lost("checkout") is None
