"""kill -9 of the real worker while orders are on their way: the vendor's own ledger says what was bought."""

import time
from collections.abc import Callable

import pytest
from django.conf import settings

from orders import lifecycle
from orders.models import AttemptState, Order, Subscription, VendorExchange
from orders.statuses import OrderStatus
from tests.harness.portal import Portal
from tests.harness.world import World, again, cart_of

# Orders of one customer go one after the other, each behind the lease of a worker that died; a busy machine takes its time too.
PATIENCE = 120 + settings.PURCHASE_LEASE_SECONDS


def until(what: Callable[[], object], about: str) -> None:
    """Real processes, real time: wait for it, and say what never came."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, f"{about} did not happen in {PATIENCE} s"
        time.sleep(0.1)


def placed(world: World) -> Order:
    return lifecycle.place(cart_of(world, world.line(world.premium_monthly, 5)), by=world.harbour.manager)


@pytest.mark.vendor_faults
@pytest.mark.parametrize(
    ("hold", "path"),
    [
        ("hold_after_commit", "*/checkout"),
        ("hold_before_commit", "*/checkout"),
        ("hold_before_commit", "*/carts"),
        ("hold_after_commit", "/v1/customers"),
    ],
)
def test_a_worker_killed_while_the_vendor_holds_a_call_buys_exactly_once(world: World, portal: Portal, hold: str, path: str) -> None:
    portal.sandbox.faults(hold, method="POST", path=path)
    order = placed(world)
    until(portal.sandbox.held, "the held call")
    portal.worker.kill()
    assert order.attempts.get().state == AttemptState.SENDING
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    # What the dead worker asked for may still take effect while the next one asks.
    portal.sandbox.release()
    portal.worker.restart()
    until(lambda: again(order).status == OrderStatus.COMPLETED, "the completion")
    ledger = portal.sandbox.ledger()
    assert len(ledger["orders"]) == 1
    assert len(ledger["customers"]) == 1
    assert Subscription.objects.get(line__order=order).vendor_order_ref == ledger["orders"][0]["id"]
    assert len({row.key for row in VendorExchange.objects.filter(step="checkout", kind="request")}) == 1


def test_a_worker_killed_again_and_again_loses_nothing_and_buys_nothing_twice(world: World, portal: Portal) -> None:
    orders = [placed(world) for _ in range(6)]
    for pause in (0.15, 0.6, 0.3, 1.1, 0.4):
        time.sleep(pause)
        portal.worker.restart()
    until(lambda: all(again(order).status == OrderStatus.COMPLETED for order in orders), "the completion of all")
    ledger = portal.sandbox.ledger()
    assert len(ledger["orders"]) == len(orders)
    references = set(Subscription.objects.filter(line__order__in=orders).values_list("vendor_order_ref", flat=True))
    assert references == {order["id"] for order in ledger["orders"]}


@pytest.mark.vendor_faults
def test_the_web_server_killed_while_an_order_is_on_its_way_changes_nothing(world: World, portal: Portal) -> None:
    order = placed(world)
    portal.web.restart()
    until(lambda: again(order).status == OrderStatus.COMPLETED, "the completion")
    assert len(portal.sandbox.ledger()["orders"]) == 1
