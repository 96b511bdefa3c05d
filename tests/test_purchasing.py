"""The attempt engine against the sandbox vendor: what sellers are promised, on both databases."""

import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from orders import clock as portal_clock
from orders import lifecycle, purchasing
from orders.failures import Catalogue
from orders.lifecycle import LineInput, Refusal
from orders.models import (
    AttemptState,
    Customer,
    Failure,
    Incident,
    Order,
    PurchaseAttempt,
    Seller,
    Subscription,
    VendorAccount,
    VendorExchange,
)
from orders.progress import second_line
from orders.statuses import OrderStatus
from orders.vendors import microsoft_login, partner_center
from orders.vendors.contract import Refusal as VendorRefusal
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import CLIENT_SECRET, Sandbox
from tests.harness.world import World, again, cart_of, claimed, order_in

WITH_VENDOR = {OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FINISHED}


@pytest.fixture(autouse=True)
def engine(committed_db: Database, vendor: Sandbox) -> None:
    """Real commits and a real vendor for every test here."""
    microsoft_login.TOKENS.clear()


def placed(world: World, *lines: LineInput, email: str = "", domain: str = "") -> Order:
    if email or domain:
        changes = {key: value for key, value in {"contact_email": email, "domain": domain}.items() if value}
        Customer.objects.filter(pk=world.harbour.customer.pk).update(**changes)
        world.harbour.customer.refresh_from_db()
    return lifecycle.place(cart_of(world, *lines), by=world.harbour.manager)


def work(order: Order, clock: Clock, *, rounds: int = 40) -> Order:
    """Do what the worker does, with time that passes at once, until the order is no longer with its vendors."""
    for _ in range(rounds):
        order = again(order)
        if order.status not in WITH_VENDOR:
            return order
        now = portal_clock.now()
        purchasing.expire_leases(now)
        for attempt in PurchaseAttempt.objects.due(now).filter(order=order):
            purchasing.run(attempt.pk)
        clock.advance(seconds=5)
    pytest.fail(f"{order} is still {order.status}: {list(order.attempts.values('state', 'vendor_status', 'number'))}")


def bought(vendor: Sandbox) -> list[dict[str, object]]:
    return [order for order in vendor.ledger()["orders"] if order["status"] not in {"error", "cancelled"}]


def words(order: Order) -> str:
    loaded = Order.objects.for_list().get(pk=order.pk)
    return second_line(loaded, tuple(Catalogue().explain(loaded))).text


# --- the way of an order


def test_an_order_is_approved_and_completed_with_its_subscriptions(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 24), world.line(world.premium_yearly, 3))
    done = work(order, clock)
    assert done.status == OrderStatus.COMPLETED
    assert [subscription.quantity for subscription in Subscription.objects.filter(line__order=order)] == [24, 3]
    assert len({row["cartId"] for row in bought(vendor)}) == 1
    assert [event.name for event in done.events.order_by("id")] == ["created", "placed", "accepted", "confirmed", "completed"]
    attempt = done.attempts.get()
    assert attempt.state == AttemptState.SUCCEEDED
    assert attempt.vendor_order_ref


@pytest.mark.parametrize(
    ("quantity", "email", "status", "short"),
    [
        (2, "refused.desk@alder.example", "provisioning_failed", "Contact email isn’t valid"),
        (2, "desk@alder.invalid", "provisioning_failed", "Contact email isn’t valid"),
        (402, "", "provisioning_failed", "Credit line too low"),
        (26, "", "provisioning_failed", "Quantity above the limit"),
        (204, "", "provisioning_failed", "The vendor gave no reason"),
        (207, "", "provisioning_failed", "Refused by a risk check"),
        (202, "", "completed", ""),
        (428, "", "completed", ""),
        (429, "", "completed", ""),
        (503, "", "completed", ""),
    ],
    ids=["contact", "burnt domain", "credit", "seats", "no reason", "risk", "slow", "action needed", "busy", "down for a while"],
)
def test_every_magic_value_ends_as_it_says(
    world: World, vendor: Sandbox, clock: Clock, quantity: int, email: str, status: str, short: str
) -> None:
    order = work(placed(world, world.line(world.premium_monthly, quantity), email=email), clock)
    assert (order.status, words(order)) == (status, short)
    assert len(bought(vendor)) == (1 if status == "completed" else 0)
    assert order.needs_attention is (status == "provisioning_failed")


def test_a_partly_refused_order_is_completed_with_errors_once_its_subscriptions_are_recorded(
    world: World, vendor: Sandbox, clock: Clock
) -> None:
    order = work(placed(world, world.line(world.premium_monthly, 5), world.line(world.premium_yearly, 207)), clock)
    assert order.status == OrderStatus.COMPLETED_WITH_ERRORS
    assert words(order) == "Provisioning failed: 1 of 2 items"
    assert Subscription.objects.get(line__order=order).line.position == 1


def test_while_one_vendor_is_out_the_others_no_shows_at_once(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 5), world.line(world.backup_monthly, 26))
    for attempt in order.attempts.all():
        purchasing.run(attempt.pk)
    waiting = again(order)
    assert (waiting.status, waiting.needs_attention) == (OrderStatus.PROVISIONING_STARTED, True)
    assert words(order) == "Northgate Backup refused 1 item, waiting for Microsoft"
    assert work(order, clock).status == OrderStatus.COMPLETED_WITH_ERRORS


def test_a_refused_order_is_fixed_and_retried_with_new_keys_and_the_first_attempt_stays(
    world: World, vendor: Sandbox, clock: Clock
) -> None:
    order = work(placed(world, world.line(world.premium_monthly, 402)), clock)
    order = lifecycle.edit(order, [world.line(world.premium_monthly, 40)], by=world.harbour.manager, version=order.version)
    order = work(lifecycle.retry(order, by=world.harbour.manager), clock)
    assert order.status == OrderStatus.COMPLETED
    first, second = order.attempts.all()
    assert (first.state, second.state) == (AttemptState.FAILED_DEFINITE, AttemptState.SUCCEEDED)
    assert first.failures.get().code == "800023"
    keys = [{row.key for row in attempt.exchanges.filter(is_write=True)} for attempt in (first, second)]
    assert keys[0].isdisjoint(keys[1])
    assert len({cart["id"] for cart in vendor.ledger()["carts"]}) == 2
    assert len(bought(vendor)) == 1


@pytest.mark.parametrize("refused", [402, 26], ids=["as a whole", "by its line"])
def test_an_item_exchanged_for_another_vendors_leaves_the_first_vendors_no_behind(
    world: World, vendor: Sandbox, clock: Clock, refused: int
) -> None:
    order = work(placed(world, world.line(world.premium_monthly, refused)), clock)
    order = lifecycle.edit(order, [world.line(world.backup_monthly, 4)], by=world.harbour.manager, version=order.version)
    # Saved and not sent again: it still says why it failed.
    assert words(order) == ("Credit line too low" if refused == 402 else "Quantity above the limit")
    order = lifecycle.retry(order, by=world.harbour.manager)
    assert words(order).startswith("Waiting for vendor")
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


def test_only_the_vendors_that_an_order_still_asks_decide_it(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = work(placed(world, world.line(world.premium_monthly, 402), world.line(world.backup_monthly, 26)), clock)
    assert (order.status, words(order)) == (OrderStatus.PROVISIONING_FAILED, "Credit line too low")
    lines = [world.line(world.backup_monthly, 3), world.line(world.backup_monthly, 4)]
    order = lifecycle.edit(order, lines, by=world.harbour.manager, version=order.version)
    assert words(order) == "Quantity above the limit"
    order = work(lifecycle.retry(order, by=world.harbour.manager), clock)
    assert order.status == OrderStatus.COMPLETED
    assert [subscription.quantity for subscription in Subscription.objects.filter(line__order=order)] == [3, 4]


# --- a busy vendor (rule 5)


def test_each_try_of_a_busy_vendor_is_an_attempt_and_the_fifth_ends_it(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 599))
    purchasing.run(order.attempts.get().pk)
    assert words(order).startswith("Vendor busy, try 2 of 5 at ")
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    order = work(order, clock)
    assert (order.status, words(order)) == (OrderStatus.PROVISIONING_FAILED, "Vendor not reachable")
    assert [attempt.try_number for attempt in order.attempts.all()] == [1, 2, 3, 4, 5]
    keys = [row.key for row in VendorExchange.objects.filter(attempt__order=order, step="create cart", kind="request")]
    assert len(set(keys)) == 5


def test_waiting_can_be_stopped_while_nothing_was_sent(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = placed(world, world.line(world.premium_monthly, 599))
    purchasing.run(order.attempts.get().pk)
    order = lifecycle.stop_waiting(order, by=world.harbour.manager)
    assert (order.status, words(order)) == (OrderStatus.PROVISIONING_FAILED, "Stopped by you. Nothing was sent.")
    assert not PurchaseAttempt.objects.current().filter(order=order).exists()


def test_waiting_can_not_be_stopped_once_the_order_is_on_its_way(world: World, vendor: Sandbox) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    with pytest.raises(Refusal, match="was sent meanwhile"):
        lifecycle.stop_waiting(order, by=world.harbour.manager)
    assert again(order).status == OrderStatus.PROVISIONING_STARTED


# --- at most once


def test_a_second_open_attempt_can_not_exist(world: World) -> None:
    order = placed(world)
    attempt = order.attempts.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        PurchaseAttempt.objects.prepare(order, attempt.vendor, attempt.account, list(order.lines.all()), at=portal_clock.now())


def test_of_many_workers_one_wins_the_claim(world: World) -> None:
    attempt = placed(world).attempts.get()
    won: list[PurchaseAttempt | None] = []
    barrier = threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        won.append(purchasing.claim(attempt.pk))
        connection.close()

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 8
    assert len([claim for claim in won if claim]) == 1


def test_a_verdict_of_a_worker_that_lost_its_lease_changes_nothing(world: World, clock: Clock) -> None:
    held = purchasing.claim(placed(world).attempts.get().pk)
    assert held
    clock.advance(seconds=settings.PURCHASE_LEASE_SECONDS + 1)
    purchasing.expire_leases(portal_clock.now())
    newer = purchasing.claim(held.pk)
    assert newer
    purchasing.record_refused(held, (VendorRefusal("3000", 400, "late"),))
    attempt = PurchaseAttempt.objects.get(pk=held.pk)
    assert (attempt.state, attempt.fence) == (AttemptState.UNKNOWN, newer.fence)
    assert not attempt.failures.exists()


def test_an_expired_lease_makes_a_doubt_and_nothing_else(world: World, clock: Clock) -> None:
    order = placed(world)
    purchasing.claim(order.attempts.get().pk)
    assert purchasing.expire_leases(portal_clock.now()) == 0
    clock.advance(seconds=settings.PURCHASE_LEASE_SECONDS + 1)
    assert purchasing.expire_leases(portal_clock.now()) == 1
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert words(order).startswith("Confirming with Northgate Backup since ")


@pytest.mark.parametrize(
    "fault",
    ["drop_after_commit", "drop_before_commit", "status:500", "status_after_commit:500", "html502", "truncate", "empty", "bad_json"],
)
def test_a_checkout_without_a_clear_answer_is_asked_again_with_the_same_cart(
    world: World, vendor: Sandbox, clock: Clock, fault: str
) -> None:
    vendor.faults(fault, method="POST", path="*/checkout")
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1
    assert len({row.key for row in VendorExchange.objects.filter(step="checkout", kind="request")}) == 1
    assert order.attempts.count() == 1


def test_no_answer_for_days_is_still_no_verdict(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("status:503", method="POST", path="*/checkout", times=None)
    order = placed(world, world.line(world.premium_monthly, 5))
    for _ in range(6):
        for attempt in PurchaseAttempt.objects.due(portal_clock.now()):
            purchasing.run(attempt.pk)
        clock.advance(days=1)
        microsoft_login.TOKENS.clear()  # it ends by the vendor's clock, which jumps here
        purchasing.expire_leases(portal_clock.now())
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.get().state == AttemptState.UNKNOWN
    vendor.clear_faults()
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


def test_a_lost_answer_to_creating_the_customer_makes_no_second_one(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("drop_after_commit", method="POST", path="/v1/customers")
    order = placed(world, world.line(world.premium_monthly, 5))
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert len(vendor.ledger()["customers"]) == 1


def test_two_orders_of_a_new_customer_create_him_once(world: World, vendor: Sandbox, clock: Clock) -> None:
    orders = [placed(world, world.line(world.premium_monthly, 5)) for _ in range(2)]
    first = purchasing.claim(orders[0].attempts.get().pk)
    assert first
    assert purchasing.claim(orders[1].attempts.get().pk) is None
    clock.advance(seconds=settings.PURCHASE_LEASE_SECONDS + 1)
    assert [work(order, clock).status for order in orders] == [OrderStatus.COMPLETED] * 2
    assert len(vendor.ledger()["customers"]) == 1


def test_a_decided_attempt_takes_no_other_verdict(world: World, vendor: Sandbox, clock: Clock) -> None:
    order = work(placed(world, world.line(world.premium_monthly, 402)), clock)
    attempt = order.attempts.get()
    assert purchasing.claim(attempt.pk) is None
    with pytest.raises(IntegrityError), transaction.atomic():
        PurchaseAttempt.objects.filter(pk=attempt.pk).update(state=AttemptState.SUCCEEDED, vendor_order_ref="x")


# --- our own side


def test_a_refused_login_pauses_the_account_and_orders_wait(world: World, vendor: Sandbox, clock: Clock) -> None:
    account = VendorAccount.objects.get(pk=world.microsoft_account.pk)
    account.client_secret = "wrong"
    account.save()
    order = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(order.attempts.get().pk)
    account.refresh_from_db()
    assert account.is_paused
    assert order.attempts.get().state == AttemptState.PREPARED
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert words(order) == "Waiting: our login at Microsoft is being renewed"
    assert Incident.objects.get().kind == "login-refused"
    account.client_secret, account.is_paused = CLIENT_SECRET, False
    account.save()
    assert work(order, clock).status == OrderStatus.COMPLETED


def test_a_seller_switched_off_after_the_press_sends_nothing(world: World, vendor: Sandbox) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    Seller.objects.filter(pk=world.harbour.seller.pk).update(is_active=False)
    purchasing.run(order.attempts.get().pk)
    assert (again(order).status, words(order)) == (OrderStatus.PROVISIONING_FAILED, "Seller switched off")
    assert vendor.calls() == []


def test_a_mistake_of_ours_in_the_middle_is_a_doubt_and_an_incident(world: World, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    monkeypatch.setattr(partner_center.PartnerCenter, "_look", lambda *_: 1 / 0)
    purchasing.run(order.attempts.get().pk)
    assert order.attempts.get().state == AttemptState.UNKNOWN
    assert Incident.objects.get().kind == "connector-failed"


def test_the_sweep_wakes_what_was_forgotten_once(world: World, clock: Clock) -> None:
    placed(world)
    assert purchasing.sweep() == 0
    clock.advance(seconds=settings.REWAKE_SECONDS + 1)
    assert purchasing.sweep() == 1
    assert purchasing.sweep() == 0


def test_the_sweep_fires_a_scheduled_change_once(world: World) -> None:
    order = order_in(OrderStatus.SCHEDULED, world)
    purchasing.sweep()
    purchasing.sweep()
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.count() == 1


def test_a_change_is_not_fired_before_its_date(world: World) -> None:
    order = cart_of(world, kind=Order.Kind.CHANGE)
    due = portal_clock.now() + timedelta(hours=1)
    order = lifecycle.schedule(order, by=world.harbour.manager, at=due, on=due.date(), zone="Europe/Amsterdam")
    purchasing.sweep()
    with pytest.raises(Refusal):
        lifecycle.fire(order)
    assert again(order).status == OrderStatus.SCHEDULED


def test_no_secret_is_kept_anywhere(world: World, vendor: Sandbox, clock: Clock) -> None:
    work(placed(world, world.line(world.premium_monthly, 5)), clock)
    exchanges = VendorExchange.objects.filter(~Q(body=b""))
    assert exchanges.exists()
    for exchange in exchanges:
        for secret in (CLIENT_SECRET.encode(), b"Bearer", b"Sbx!", b"access_token"):
            assert secret not in bytes(exchange.body)
            assert secret.decode() not in str(exchange.headers)
    assert CLIENT_SECRET not in VendorAccount.objects.get(pk=world.microsoft_account.pk).sealed_secret


def test_the_vendors_reason_is_kept_whole_however_long_it_is(world: World) -> None:
    held = claimed(placed(world, world.line(world.premium_monthly, 5)).attempts.get())
    words = "  Refused.\n" + "Why not. " * 4000
    purchasing.record_refused(held, (VendorRefusal("3000", 400, words),))
    assert Failure.objects.get().text == words


def test_hostile_vendor_text_is_stored_and_the_order_still_fails(world: World, vendor: Sandbox, clock: Clock) -> None:
    vendor.faults("nul", method="POST", path="/v1/customers")
    order = work(placed(world, world.line(world.premium_monthly, 5)), clock)
    assert order.status == OrderStatus.PROVISIONING_FAILED
    assert "\ufffd" in order.attempts.get().failures.get().text
