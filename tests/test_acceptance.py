"""A failed order that its customer had accepted: what he pays may fall, never rise, and other items need a reason."""

from decimal import Decimal

import pytest
from django.test import Client

from orders import lifecycle, quoting
from orders.lifecycle import LineInput, Refusal
from orders.models import Order
from orders.statuses import OrderStatus
from tests.harness.world import World, again, order_in, verdict_refused
from tests.walls.pages import HtmlPage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


@pytest.fixture
def failed(world: World) -> Order:
    """Five firm seats and two optional ones that the customer chose, accepted and refused by the vendor."""
    lines = [world.line(quantity=5), LineInput(world.premium_monthly, 2, is_optional=True)]
    draft = order_in(OrderStatus.DRAFT, world, *lines)
    link = quoting.send(draft, by=world.harbour.manager).quote_link
    assert link
    order = quoting.accept(link, quoting.Signature("Anna Alder"), content_sha256=link.revision.content_sha256, chosen=[2])
    for attempt in order.attempts.all():
        verdict_refused(attempt)
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
    return again(order)


def edit(order: Order, world: World, *quantities: int, reason: str = "") -> Order:
    lines = [world.line(quantity=quantities[0]), world.line(world.premium_monthly, quantities[1])]
    return lifecycle.edit(order, lines, by=world.harbour.manager, version=again(order).version, reason=reason)


def test_what_the_customer_pays_never_rises(world: World, failed: Order) -> None:
    with pytest.raises(Refusal, match="What the customer pays may fall and never rise"):
        edit(failed, world, 6, 2, reason="He called")
    # Neither by a dearer item that a cheaper one makes up for in all but one sum.
    yearly = [LineInput(world.premium_yearly, 1), world.line(quantity=1)]
    with pytest.raises(Refusal, match=r"every year|at first"):
        lifecycle.edit(failed, yearly, by=world.harbour.manager, version=failed.version, reason="He called")
    assert [line.quantity for line in again(failed).lines.all()] == [5, 2]


def test_less_needs_a_reason_that_stands_in_the_timeline(world: World, failed: Order) -> None:
    with pytest.raises(Refusal, match="Say why the items differ"):
        edit(failed, world, 4, 2)
    edit(failed, world, 4, 2, reason="One left the company")
    latest = failed.events.first()
    assert latest
    assert latest.data["reason"] == "One left the company"
    assert latest.data["other_than_accepted"] == [f"{world.backup.title}: 5 → 4"]


def test_delivery_data_is_free(world: World, failed: Order) -> None:
    lines = [world.line(quantity=5), world.line(world.premium_monthly, 2)]
    lifecycle.edit(failed, lines, by=world.harbour.manager, version=failed.version, reference="PO 4711")
    assert again(failed).reference == "PO 4711"


def test_a_dearer_price_of_the_day_is_refused(world: World, failed: Order) -> None:
    price = world.backup_monthly
    type(price).objects.filter(pk=price.pk).update(term_price=Decimal("99"))
    dearer = type(price).objects.select_related("offer__vendor").get(pk=price.pk)
    with pytest.raises(Refusal, match="never rise"):
        lifecycle.reprice(failed, {1: dearer}, by=world.harbour.manager, version=failed.version)
    assert again(failed).lines.get(position=1).unit_price < Decimal("99")


def test_an_order_that_nobody_accepted_may_rise(world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    lifecycle.edit(order, [world.line(quantity=50)], by=world.harbour.manager, version=order.version)
    assert again(order).lines.get().quantity == 50


@pytest.mark.pages
def test_the_page_asks_for_the_reason_and_loses_nothing(world: World, failed: Order) -> None:
    client = Client()
    client.force_login(world.harbour.manager)
    path = f"/orders/{failed.number}/edit/"
    page = HtmlPage(client.get(path))
    assert page.says("Anna Alder accepted this quote")
    data = page.sent() | {"lines-0-quantity": "4", "action": "save"}
    refused = client.post(path, data)
    assert refused.status_code == 409
    assert HtmlPage(refused).says("Say why the items differ from what the customer accepted.")
    assert HtmlPage(refused).sent()["lines-0-quantity"] == "4"
    assert client.post(path, HtmlPage(refused).sent() | {"change_reason": "One left", "action": "save"}).status_code == 302
    assert HtmlPage(client.get(f"/orders/{failed.number}/")).says("Otherwise than accepted:")
