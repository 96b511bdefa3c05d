"""What ends a doubt, and what does not: the catalogue's word, a look at the vendor, staff with evidence; never age, never a guess."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction

from orders import clock as portal_clock
from orders import lifecycle, parking, purchasing
from orders.journal import AttemptJournal
from orders.lifecycle import LineInput, Refusal
from orders.models import (
    AccountHealth,
    AttemptState,
    Customer,
    FailureReason,
    Incident,
    Order,
    ParkedVerdict,
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
from orders.vendors.contract import Answer, Bought, Call, Phase, Snapshot
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, again, cart_of, claimed, customer_of, exchanged, order_in
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
        parking.was_bought(attempt, by=world.staff, vendor_order_refs=[taken], evidence="Seen", reason="Seen")
    parking.was_bought(attempt, by=world.staff, vendor_order_refs=["no-such-order"], evidence="By telephone.", reason="It was bought.")
    assert ParkedVerdict.objects.get().is_bought
    run_due()
    assert PurchaseAttempt.objects.get(pk=attempt.pk).state == AttemptState.PARKED, "The vendor knows no such order."
    # Somebody mistyped it; the attempt waits again, and gets another verdict.
    parking.was_not_bought(attempt, by=world.staff, evidence="Looked once more.", reason="It was another customer’s.")
    assert list(ParkedVerdict.objects.values_list("is_bought", flat=True)) == [True, False]
    assert again(attempt.order).status == OrderStatus.PROVISIONING_FAILED


def test_staff_name_every_order_that_one_cart_became(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("drop_after_commit", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5), world.line(world.premium_yearly, 3))
    purchasing.run(order.attempts.get().pk)
    clock.advance(minutes=2)
    purchasing.record_parked(claimed(order.attempts.get()), "Nothing can tell.")
    refs = [row["id"] for row in bought(vendor)]
    assert len(refs) == 2
    parking.was_bought(order.attempts.get(), by=world.staff, vendor_order_refs=refs, evidence="Seen", reason="Seen")
    assert work(order, clock).status == OrderStatus.COMPLETED


def test_what_the_vendor_has_told_already_staff_can_not_call_not_bought(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 5), world.line(world.premium_yearly, 3))
    held = claimed(order.attempts.get())
    exchanged(held)
    one = Bought(1, "sub-1", "o1", None, portal_clock.now(), None)
    purchasing.record_snapshot(held, Snapshot(Phase.ACCEPTED, order_refs=("o1", "o2"), raw_status="completed, pending", bought=(one,)))
    clock.advance(minutes=5)
    purchasing.record_parked(claimed(order.attempts.get()), "The vendor knows no order o2")
    with pytest.raises(Refusal, match="subscription sub-1 already"):
        parking.was_not_bought(order.attempts.get(), by=world.staff, evidence="e", reason="r")
    assert again(order).status == OrderStatus.PROVISIONING_STARTED


def test_what_the_vendor_takes_back_is_no_subscription_any_more_and_a_retry_records_the_new_one(
    world: World, vendor: Sandbox, clock: Clock
) -> None:
    order = placed(world, world.line(world.premium_monthly, 5), world.line(world.premium_yearly, 202))
    while not Subscription.objects.exists():
        run_due()
        clock.advance(seconds=1)
    first = Subscription.objects.get()
    for row in vendor.ledger()["orders"]:
        vendor.set_order(row["id"], "cancelled" if row["id"] == first.vendor_order_ref else "error")
    while again(order).status == OrderStatus.PROVISIONING_STARTED:
        run_due()
        clock.advance(seconds=30)
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
    assert not Subscription.objects.living().exists()
    assert order.events.get(name="taken_back").data["subscription"] == first.vendor_ref
    work(lifecycle.retry(again(order), by=world.harbour.manager), clock, rounds=200)
    assert {row.vendor_order_ref for row in Subscription.objects.living()} <= {row["id"] for row in bought(vendor)}
    assert Subscription.objects.living().exists()


@pytest.mark.parametrize("gone", ["reset", "relationship"])
def test_a_doubt_that_nobody_can_look_at_is_told_to_staff_and_then_left_to_them(
    world: World, vendor: Sandbox, clock: Clock, gone: str
) -> None:
    vendor.faults("drop_after_commit", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    if gone == "reset":
        vendor.reset()
    else:
        vendor.set_customer(vendor.ledger()["customers"][0]["id"], relationship="none")
    for _ in range(2):
        pass_days(clock, 1)
        run_due()
    assert Incident.objects.filter(kind="vendor-silent", order=order).count() == 1
    for _ in range(8):
        pass_days(clock, 1)
        run_due()
    assert order.attempts.get().state == AttemptState.PARKED


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


def test_the_kill_switch_acts_on_the_very_next_call(world: World, vendor: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    real = AttemptJournal.write

    def write(journal: AttemptJournal, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        answer = real(journal, step, call, send)
        if step == "create cart":
            Vendor.objects.filter(pk=world.microsoft.pk).update(is_stopped=True)
        return answer

    monkeypatch.setattr(AttemptJournal, "write", write)
    purchasing.run(order.attempts.get().pk)
    assert bought(vendor) == []
    attempt = order.attempts.get()
    assert (attempt.state, bool(attempt.unknown_since)) == (AttemptState.UNKNOWN, True)
    Vendor.objects.update(is_stopped=False)
    monkeypatch.undo()
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


# --- what we can not write down, or may not send


@pytest.mark.parametrize("status", ["in\ud800progress", "in\0progress", "x" * 100])
def test_a_status_that_no_column_holds_is_kept_as_well_as_it_can_be(world: World, vendor: Sandbox, clock: Clock, status: str) -> None:
    held = claimed(placed(world, world.line(world.premium_monthly, 5)).attempts.get())
    purchasing.record_snapshot(held, Snapshot(Phase.UNKNOWN, order_refs=("o1",), raw_status=status))
    assert PurchaseAttempt.objects.get(pk=held.pk).state == AttemptState.ACCEPTED


def test_a_verdict_that_can_not_be_written_down_is_a_doubt_that_staff_are_told_of(
    world: World, vendor: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    with monkeypatch.context() as broken:
        broken.setattr(purchasing, "record_snapshot", lambda attempt, snapshot: int("no number"))
        purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert Incident.objects.filter(kind="connector-failed", order=order).exists()
    assert work(order, clock).status == OrderStatus.COMPLETED


def test_a_frozen_request_that_somebody_changed_is_not_sent(world: World, vendor: Sandbox) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    attempt = order.attempts.get()
    PurchaseAttempt.objects.filter(pk=attempt.pk).update(request=bytes(attempt.request).replace(b'"quantity":5', b'"quantity":500'))
    purchasing.run(attempt.pk)
    assert vendor.ledger()["carts"] == []
    assert Incident.objects.filter(kind="connector-failed", order=order).exists()


def test_the_next_try_sends_the_customer_as_he_was_when_the_order_was_placed(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    vendor.faults("status:503", method="HEAD", path="/v1/domains/*")
    Customer.objects.filter(pk=order.customer_id).update(domain="otheralder.onmicrosoft.com")
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.count() == 2
    first, second = order.attempts.order_by("number")
    assert second.order_request().customer == first.order_request().customer
    assert second.reference != first.reference


def test_a_customer_who_is_another_one_at_the_vendor_already_is_refused(world: World, vendor: Sandbox, clock: Clock) -> None:
    assert work(placed(world, world.line(world.premium_monthly, 5)), clock).status == OrderStatus.COMPLETED
    mine = world.harbour.customer
    twice = customer_of(world.harbour.seller, mine.name, "twice", domain=mine.domain, contact_email=mine.contact_email)
    order = lifecycle.create(twice, [world.line(world.premium_monthly, 1)], by=world.harbour.manager)
    order = work(lifecycle.place(order, by=world.harbour.manager), clock)
    assert order.status == OrderStatus.PROVISIONING_FAILED
    assert order.attempts.get().failures.get().code == "domain_taken"
    assert len(bought(vendor)) == 1


# --- a change that is due


def test_a_due_change_that_can_not_be_sent_says_so_and_goes_when_it_can(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = order_in(OrderStatus.SCHEDULED, world)
    VendorAccount.objects.update(is_active=False)
    clock.advance(days=3)
    purchasing.sweep()
    assert again(order).needs_attention
    assert "no account" in words(order)
    changed = again(order).changed_at
    clock.advance(minutes=1)
    purchasing.sweep()
    assert again(order).changed_at == changed
    assert Incident.objects.filter(kind="change-not-sent", order=order).count() == 1
    VendorAccount.objects.update(is_active=True)
    purchasing.sweep()
    assert (again(order).status, again(order).needs_attention) == (OrderStatus.PROVISIONING_STARTED, False)


def test_many_changes_that_can_not_be_sent_keep_no_other_one_waiting(world: World, vendor: Sandbox, clock: Clock) -> None:
    def due(*lines: LineInput) -> Order:
        order = cart_of(world, *lines, kind=Order.Kind.CHANGE, as_cart=False)
        return lifecycle.schedule(order, by=world.harbour.manager, at=portal_clock.now(), on=date(2026, 12, 1), zone="Europe/Amsterdam")

    for _ in range(101):
        due()
    last = due(world.line(world.premium_monthly))
    VendorAccount.objects.filter(pk=world.northgate_account.pk).update(is_active=False)
    purchasing.sweep()
    purchasing.sweep()
    assert again(last).status == OrderStatus.PROVISIONING_STARTED


# --- what the account says of itself


def test_what_staff_typed_stays_when_a_worker_brings_a_newer_token_of_the_old_consent(world: World) -> None:
    account = world.microsoft_account
    account.refresh_token = "old"
    account.save()
    login = purchasing.login_to(account)
    assert login.refresh_token
    assert login.keep_refresh_token
    assert login.refresh_token() == "old"
    account.refresh_token = "typed by staff"
    account.save()
    login.keep_refresh_token("newer than old")
    assert login.refresh_token() == "typed by staff"


def test_a_refresh_token_is_replaced_by_the_newer_one_and_never_shown(world: World) -> None:
    account = world.microsoft_account
    account.refresh_token = "first-canary-token"
    account.save()
    login = purchasing.login_to(account)
    assert login.refresh_token
    assert login.keep_refresh_token
    assert login.refresh_token() == "first-canary-token"
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


@pytest.mark.parametrize(
    "fault",
    [
        "late_effect:PT30S",
        "late_effect:PT14M",
        "drop_after_commit",
        "truncate",
        "status_after_commit:502",
        *(f"status_after_commit:{status}" for status in (403, 409, 429)),
    ],
)
def test_a_refused_repeat_is_no_verdict_where_the_call_before_it_may_have_bought(
    world: World, vendor: Sandbox, clock: Clock, fault: str
) -> None:
    vendor.faults(fault, **CHECKOUT)
    vendor.faults("code:400/3000", **CHECKOUT)
    order = placed(world, world.line(world.premium_monthly, 5))
    for _ in range(32):
        run_due()
        clock.advance(seconds=30)
    assert len(bought(vendor)) == 1
    assert again(order).status != OrderStatus.PROVISIONING_FAILED
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
