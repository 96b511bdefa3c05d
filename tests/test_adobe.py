"""Adobe orders through the whole engine, on both databases: a vendor of another shape keeps the same promises."""

from datetime import timedelta
from typing import Any

import pytest

from orders import clock as portal_clock
from orders import epoch, purchasing
from orders.lifecycle import LineInput
from orders.models import AttemptState, Order, Price, PurchaseAttempt, Subscription
from orders.statuses import OrderStatus
from orders.vendors import adobe_login
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, adobe_price, again
from tests.test_purchasing import placed, words, work

ORDERS = {"method": "POST", "path": "/v3/customers/*/orders"}


@pytest.fixture(autouse=True)
def engine(committed_db: Database, vendor: Sandbox) -> None:
    """Real commits and a real vendor for every test here."""
    adobe_login.TOKENS.clear()


@pytest.fixture
def price(world: World) -> Price:
    return adobe_price(world)


def purchases(vendor: Sandbox) -> list[dict[str, Any]]:
    return [order for order in vendor.ledger()["adobe"]["orders"] if order["status"] in {"1000", "1002"}]


def correlations(vendor: Sandbox) -> list[str]:
    return [
        call["requestHeaders"]["x-correlation-id"]
        for call in vendor.calls()
        if call["method"] == "POST" and call["path"].startswith("/v3/customers/")
    ]


def follow(order: Order, clock: Clock, *, step: timedelta) -> Order:
    """As work(), for waits that are longer."""
    for _ in range(40):
        for attempt in PurchaseAttempt.objects.due(portal_clock.now()).filter(order=order):
            purchasing.run(attempt.pk)
        purchasing.sweep()
        order = again(order)
        if order.status not in {OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FINISHED}:
            return order
        clock.advance(seconds=step.total_seconds())
    pytest.fail(f"{order} is still {order.status}: {list(order.attempts.values('state', 'vendor_status', 'number'))}")


def test_an_order_lies_in_the_cart_is_placed_and_completed_with_its_subscription(
    world: World, vendor: Sandbox, clock: Clock, price: Price
) -> None:
    order = work(placed(world, LineInput(price, 5)), clock)
    assert order.status == OrderStatus.COMPLETED
    assert [event.name for event in order.events.order_by("id")] == ["created", "placed", "accepted", "confirmed", "completed"]
    subscription = Subscription.objects.get(line__order=order)
    assert subscription.vendor_order_ref == purchases(vendor)[0]["orderId"]
    assert subscription.vendor_ref == purchases(vendor)[0]["lineItems"][0]["subscriptionId"]
    assert (subscription.quantity, bool(subscription.unit_cost and subscription.ends_at)) == (5, True)
    assert purchases(vendor)[0]["externalReferenceId"] == order.attempts.get().reference


@pytest.mark.parametrize(
    ("quantities", "status", "short"),
    [
        ((1125,), OrderStatus.PROVISIONING_FAILED, "Account pending or blocked"),
        ((204,), OrderStatus.PROVISIONING_FAILED, ""),
        ((5, 204), OrderStatus.COMPLETED_WITH_ERRORS, "Provisioning failed: 1 of 2 items"),
    ],
)
def test_a_no_is_told_in_the_catalogues_words(
    world: World, vendor: Sandbox, clock: Clock, price: Price, quantities: tuple[int, ...], status: str, short: str
) -> None:
    order = work(placed(world, *(LineInput(price, quantity) for quantity in quantities)), clock)
    assert order.status == status
    assert short in words(order)
    assert words(order) != "Refused by the vendor", "The catalogue has no words for it."
    assert len(purchases(vendor)) == len(quantities) - 1


@pytest.mark.parametrize("fault", ["drop_after_commit", "drop_before_commit", "status_after_commit:500", "truncate", "late_effect:PT30S"])
def test_an_order_without_a_clear_answer_is_asked_again_with_its_key_and_completed_once(
    world: World, vendor: Sandbox, clock: Clock, price: Price, fault: str
) -> None:
    vendor.faults(fault, **ORDERS)
    order = placed(world, LineInput(price, 5))
    purchasing.run(order.attempts.get().pk)
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.get().state in {AttemptState.UNKNOWN, AttemptState.ACCEPTED}
    assert work(order, clock).status == OrderStatus.COMPLETED
    assert (len(purchases(vendor)), len(set(correlations(vendor)))) == (1, 1)
    assert Subscription.objects.filter(line__order=order).count() == 1


def test_each_try_of_a_vendor_that_takes_no_orders_is_an_attempt_with_a_key_of_its_own(
    world: World, vendor: Sandbox, clock: Clock, price: Price
) -> None:
    order = follow(placed(world, LineInput(price, 5122)), clock, step=timedelta(minutes=1))
    assert order.status == OrderStatus.COMPLETED
    assert [attempt.state for attempt in order.attempts.all()] == ["failed_definite", "failed_definite", "succeeded"]
    assert (len(purchases(vendor)), len(set(correlations(vendor)))) == (1, 3)


def test_after_ten_days_the_order_is_looked_up_and_not_sent_again(world: World, vendor: Sandbox, clock: Clock, price: Price) -> None:
    vendor.faults("drop_after_commit", **ORDERS)
    order = placed(world, LineInput(price, 5))
    purchasing.run(order.attempts.get().pk)
    clock.advance(days=11)
    adobe_login.TOKENS.clear()
    assert follow(order, clock, step=timedelta(minutes=1)).status == OrderStatus.COMPLETED
    assert (len(purchases(vendor)), len(correlations(vendor))) == (1, 1)


def test_after_a_restored_backup_a_busy_vendor_is_asked_until_he_tells(
    world: World, vendor: Sandbox, clock: Clock, database: Database, price: Price
) -> None:
    """He has the order, which the database forgot: an attempt that could not look is not over, and no other one begins."""
    order = placed(world, LineInput(price, 5))
    with database.backed_up():
        assert work(order, clock).status == OrderStatus.COMPLETED
    assert order.attempts.get().state == AttemptState.PREPARED
    vendor.faults("status:503", method="GET", path="/v3/*", times=2)
    purchasing.sweep()
    assert epoch.is_reconciling()
    assert follow(order, clock, step=timedelta(minutes=2)).status == OrderStatus.COMPLETED
    assert order.attempts.count() == 1
    assert (len(purchases(vendor)), len(correlations(vendor))) == (1, 1)


def test_a_refused_repeat_is_no_verdict_while_the_order_before_it_may_still_be_taken(
    world: World, vendor: Sandbox, clock: Clock, price: Price
) -> None:
    vendor.faults("late_effect:PT30S", **ORDERS)
    vendor.faults("code:400/1117", **ORDERS)
    order = follow(placed(world, LineInput(price, 5)), clock, step=timedelta(seconds=40))
    assert order.status == OrderStatus.COMPLETED
    assert (order.attempts.count(), len(purchases(vendor))) == (1, 1)
