"""The ordering screen beyond its fields: add-ons under their base, many customers, the last look before placing, the cart."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as some

from orders import addons, lifecycle
from orders.models import Customer, Offer, Order, Price, Subscription
from orders.statuses import OrderStatus
from tests.harness.world import World, again, cart_of, customer_of, order_in
from tests.views.test_forms import NEW, order_data
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of
from tests.walls.state import state


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


@pytest.fixture
def archive(world: World) -> Price:
    """An add-on of the backup."""
    offer = Offer.objects.create(vendor=world.northgate, code="NGARCHIVE-0001", product_id="NGARCHIVE", sku_id="0001", title="Archive")
    offer.bases.add(world.backup)
    return Price.objects.create(
        offer=offer, market="NL", currency="EUR", term="P1M", billing_cycle="monthly", term_cost=Decimal(2), term_price=Decimal(3)
    )


# --- add-ons


def test_an_add_on_stands_after_its_base_and_all_else_as_it_was() -> None:
    #      premium  backup  archive(backup)  copilot(premium)  other
    assert addons.base_of([1, 2, 3, 4, 5], [set(), set(), {2}, {1, 9}, set()]) == [None, None, 1, 0, None]
    assert addons.in_order([None, None, 1, 0, None]) == [0, 3, 1, 2, 4]
    assert addons.in_order([1, 2, None]) == [2, 1, 0]


@given(some.lists(some.none() | some.integers(0, 11), max_size=12))
def test_however_lines_hang_together_each_stands_there_once(base: list[int | None]) -> None:
    base = [index if index is not None and index < len(base) else None for index in base]
    assert sorted(addons.in_order(base)) == list(range(len(base)))


def test_what_can_be_added_under_an_item_is_offered_there_and_stands_under_it_everywhere(
    manager: Client, world: World, archive: Price
) -> None:
    order = cart_of(world, world.line(), world.line(world.premium_monthly), world.line(archive))
    assert [line.base_position for line in again(order).lines.all()] == [None, None, 1]
    for path in (f"/orders/{order.number}/", f"/orders/{order.number}/place/", f"/orders/{order.number}/edit/"):
        page = HtmlPage(manager.get(path))
        text = text_of(page.by_id("main"))
        assert text.index(world.backup.title) < text.index("Archive") < text.index(world.premium.title), path
        assert complaints(page) == [], path
    # Before it is chosen it is offered under its base, and only there.
    data = order_data(world, action="totals") | {
        "lines-1-offer": world.premium.code,
        "lines-1-plan": "P1M:monthly",
        "lines-1-quantity": "1",
    }
    page = HtmlPage(manager.post(NEW, data))
    [button] = [one for one in page.all("button") if one.get("value") == f"add-{archive.offer.code}"]
    [under] = [item for item in page.by_id("items") if button in list(item.iter())]
    assert world.backup.title in text_of(under)
    added = HtmlPage(manager.post(NEW, data | {"action": f"add-{archive.offer.code}"}))
    assert added.says(f"Add-on of {world.backup.title}")
    assert not [one for one in added.all("button") if one.get("value") == f"add-{archive.offer.code}"]


@pytest.mark.parametrize("change", ["no price", "inactive", "segment"])
def test_an_add_on_that_the_customer_can_not_have_is_not_offered(manager: Client, world: World, archive: Price, change: str) -> None:
    if change == "no price":
        archive.delete()
    else:
        Offer.objects.filter(pk=archive.offer_id).update(**({"is_active": False} if change == "inactive" else {"segment": "Education"}))
    page = HtmlPage(manager.post(NEW, order_data(world, action="totals")))
    assert "add-NGARCHIVE-0001" not in page.text


def test_a_form_of_twenty_items_asks_as_often_as_one_of_two(manager: Client, world: World, archive: Price) -> None:
    def asked(count: int) -> int:
        lines = {
            f"lines-{number}-{field}": value
            for number in range(count)
            for field, value in (("offer", archive.offer.code if number % 2 else world.backup.code), ("plan", "P1M:monthly"), ("quantity", "1"))
        }  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            assert manager.post(NEW, order_data(world, action="totals") | lines).status_code == 200
        return len(queries)

    assert asked(20) == asked(2)


# --- many customers


def test_with_many_customers_they_are_searched_and_the_chosen_one_stays(manager: Client, world: World) -> None:
    assert "id_customer_q" not in manager.get(NEW).content.decode()
    for number in range(60):
        customer_of(world.harbour.seller, f"Many {number:02}", f"many{number}")
    page = HtmlPage(manager.get(f"{NEW}?customer={world.harbour.customer.code}"))
    assert complaints(page) == []
    assert page.says("The first 50 by name")
    data = order_data(world, action="customers") | {"customer_q": "many 07"}
    found = HtmlPage(manager.post(NEW, data))
    options = [text_of(option) for option in found.field("customer").iter("option")]
    assert [option.partition(" (")[0] for option in options] == ["Choose a customer", world.harbour.customer.name, "Many 07"]
    assert found.says("1 customer for “many 07”")
    nothing = HtmlPage(manager.post(NEW, order_data(world, action="customers") | {"customer_q": "\0nobody"}))
    assert nothing.says("0 customers")
    # Whoever is not among those shown can be ordered for all the same.
    last = Customer.objects.get(name="Many 59")
    assert manager.post(NEW, order_data(world, customer=last.code)).status_code == 302
    assert Order.objects.get().customer == last


# --- the last look before placing


def test_the_review_says_what_is_bought_twice_before_it_is(manager: Client, world: World) -> None:
    other, order = order_in(OrderStatus.DRAFT, world), cart_of(world)
    page = HtmlPage(manager.get(f"/orders/{order.number}/place/"))
    assert page.says(f"{other.number} is open with")
    assert page.says("Place order")


def test_what_the_customer_holds_is_offered_to_be_changed_and_stands_on_his_page(manager: Client, client: Client, world: World) -> None:
    bought = order_in(OrderStatus.COMPLETED, world, world.line(quantity=24))
    Subscription.objects.filter(line__order=bought).update(ends_at=datetime(2027, 5, 4, 12, tzinfo=UTC))
    page = HtmlPage(manager.get(f"/orders/{cart_of(world).number}/edit/"))
    words = f"This customer already has 24 seats of {world.backup.title}: change them instead?"
    [link] = [one for one in page.all("a") if text_of(one) == words]
    address, _, anchor = link.attrib["href"].partition("#")
    assert address == f"/customers/{world.harbour.customer.code}/"
    for user in (world.harbour.manager, world.harbour.viewer):
        client.force_login(user)
        theirs = HtmlPage(client.get(address))
        assert f"{world.backup.title}24 seats · renews on 4 May 2027" in text_of(theirs.by_id(anchor))
        assert "6.40" not in theirs.text
        assert complaints(theirs) == []


def test_a_customer_with_much_costs_as_many_queries_as_one_with_little(manager: Client, world: World) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert manager.get(f"/customers/{world.harbour.customer.code}/").status_code == 200
        return len(queries)

    order_in(OrderStatus.COMPLETED, world)
    few = cost()
    for _ in range(4):
        order_in(OrderStatus.COMPLETED, world, world.line(), world.line(world.premium_monthly))
    assert cost() == few


def test_one_offer_on_two_lines_with_one_plan_is_a_warning_and_with_two_plans_none(manager: Client, world: World) -> None:
    line = {"lines-1-offer": world.backup.code, "lines-1-plan": "P1M:monthly", "lines-1-quantity": "1"}
    warning = f"{world.backup.title} stands here twice with the same term and billing."
    page = HtmlPage(manager.post(NEW, order_data(world, action="totals") | line))
    assert page.says(warning)
    assert not HtmlPage(manager.post(NEW, order_data(world, action="totals") | line | {"lines-1-plan": "P1Y:monthly"})).says(warning)
    saved = manager.post(NEW, order_data(world, action="review") | line)
    review = HtmlPage(manager.get(saved["Location"]))
    assert review.says(warning)
    assert review.says("Place order")


@pytest.mark.parametrize("change", ["inactive", "segment"])
def test_what_the_vendor_will_refuse_is_not_placed_and_says_why(manager: Client, world: World, change: str) -> None:
    order = cart_of(world)
    Offer.objects.filter(pk=world.backup.pk).update(**({"is_active": False} if change == "inactive" else {"segment": "Education"}))
    page = HtmlPage(manager.get(f"/orders/{order.number}/place/"))
    assert complaints(page) == []
    assert not page.says("Place order")
    assert f"/orders/{order.number}/edit/#id_lines-0-offer" in page.links()
    before = state()
    response = manager.post(f"/orders/{order.number}/place/", {"token": "place"})
    assert (response.status_code, HtmlPage(response).says("Not placed")) == (409, True)
    assert state() == before


def test_a_price_that_the_vendor_no_longer_lists_is_said_and_is_the_sellers_to_judge(manager: Client, world: World) -> None:
    order = cart_of(world)
    Price.objects.filter(offer=world.backup).delete()
    page = HtmlPage(manager.get(f"/orders/{order.number}/place/"))
    assert page.says("not in today’s price list")
    assert page.says("Place order")


# --- the cart


def test_a_customers_cart_is_his_start_orders_with_what_they_cost_together(manager: Client, client: Client, world: World) -> None:
    first, second = cart_of(world), cart_of(world, world.line(quantity=3))
    order_in(OrderStatus.DRAFT, world)
    lifecycle.create(world.harbour.other_customer, [world.line()], by=world.harbour.manager)
    path = f"/customers/{world.harbour.customer.code}/"
    page = HtmlPage(manager.get(path))
    assert complaints(page) == []
    cart = text_of(page.by_id("cart"))
    assert [number for number in Order.objects.values_list("number", flat=True) if number in cart] == [first.number, second.number]
    assert f"{first.first_payment + second.first_payment:.2f}" in cart
    deleted = manager.post(f"/orders/{first.number}/delete/", {"token": "d"})
    assert deleted.status_code == 302
    assert first.number not in text_of(HtmlPage(manager.get(path)).by_id("cart"))
    client.force_login(world.harbour.viewer)
    assert "Review" not in text_of(HtmlPage(client.get(path)).by_id("cart"))
