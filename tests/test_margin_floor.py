"""Below the seller's margin floor a seller admin decides: what the review page says, who may, and what the timeline keeps."""

from decimal import Decimal

import pytest
from django.test import Client

from orders import lifecycle
from orders.lifecycle import LineInput, Refusal
from orders.models import FloorApproval, Membership, Order, OrderEvent, Price, Role, Seller, User
from tests.harness.world import World, again
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage

pytestmark = pytest.mark.django_db
WHY = "A first order, to win the customer."


@pytest.fixture(autouse=True)
def floor(world: World) -> None:
    """Northgate Backup costs 6.40 and sells at 9.50: a margin of 32.6 %."""
    Seller.objects.filter(pk=world.harbour.seller.pk).update(margin_floor_percent=40)


def order_by(world: World, person: User, *lines: LineInput) -> Order:
    return lifecycle.create(world.harbour.customer, lines or [world.line()], by=person)


def review(client: Client, person: User, order: Order) -> HtmlPage:
    client.force_login(person)
    response = client.get(f"/orders/{order.number}/place/")
    assert response.status_code == 200
    page = HtmlPage(response)
    assert complaints(page) == []
    return page


def press(client: Client, person: User, order: Order, reason: str = "", token: str = "press-floor") -> int:
    client.force_login(person)
    return client.post(f"/orders/{order.number}/place/", {"token": token, "reason": reason}).status_code


@pytest.mark.parametrize(
    ("costs", "margin"),
    [([("6.40", "9.50", 2)], "32.63"), ([("6.40", "9.50", 2), ("211.20", "264.00", 1)], "20.85"), ([("0", "0", 3)], None), ([("1", "0", 1)], "-100.00")],
)  # fmt: skip
def test_the_margin_is_what_is_left_of_all_prices_after_all_costs(
    world: World, costs: list[tuple[str, str, int]], margin: str | None
) -> None:
    lines = []
    for cost, price, quantity in costs:
        sold = Price(offer=world.backup, market="NL", currency="EUR", term="P1M", billing_cycle="monthly", term_cost=Decimal(cost), term_price=Decimal(price))  # fmt: skip
        lines.append(LineInput(sold, quantity))
    found = order_by(world, world.harbour.manager, *lines).margin_percent()
    assert (None if found is None else f"{found:.2f}") == margin


def test_an_account_manager_is_told_why_and_who_may_and_cannot_place_it(client: Client, world: World) -> None:
    order = order_by(world, world.harbour.manager)
    page = review(client, world.harbour.manager, order)
    assert page.says("The margin of this order is 32.6 % and your floor is 40 %. A seller admin must place it: Ada Harbour.")
    assert "Place order" not in page.text
    assert press(client, world.harbour.manager, order, WHY) == 409
    with pytest.raises(Refusal, match="below your floor"):
        lifecycle.place(order, by=world.harbour.manager, reason=WHY)
    assert (again(order).status, order.attempts.count()) == ("start", 0)


def test_an_admin_places_it_with_a_reason_that_stands_in_the_timeline(client: Client, world: World) -> None:
    order = order_by(world, world.harbour.manager)
    assert review(client, world.harbour.admin, order).field("reason").get("required") is not None
    for nothing in ("", "   "):
        assert press(client, world.harbour.admin, order, nothing, f"press-{len(nothing)}") == 422
    with pytest.raises(Refusal, match="Say why"):
        lifecycle.place(order, by=world.harbour.admin)
    assert press(client, world.harbour.admin, order, WHY) == 302
    assert again(order).status == "provisioning_started"
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get(f"/orders/{order.number}/"))
    assert page.says("Placed below the margin floor")
    assert page.says(f"Margin 32.6 %, floor 40 %. Approved by a seller admin: {WHY}")
    # A viewer hears nothing of margins.
    client.force_login(world.harbour.viewer)
    assert not HtmlPage(client.get(f"/orders/{order.number}/")).says("margin")


def test_what_is_sold_for_next_to_nothing_is_approved_like_the_rest(world: World) -> None:
    sold = Price(offer=world.backup, market="NL", currency="EUR", term="P1M", billing_cycle="monthly", term_cost=Decimal("90000000"), term_price=Decimal("0.01"))  # fmt: skip
    order = order_by(world, world.harbour.admin, LineInput(sold, 1))
    lifecycle.approve_below_floor(order, by=world.harbour.admin, reason=WHY)
    assert order.floor_approvals.get().margin_percent == FloorApproval.LOWEST


def test_the_only_admin_may_approve_himself_and_it_says_so_and_with_a_second_one_he_may_not(client: Client, world: World) -> None:
    order = order_by(world, world.harbour.admin)
    assert press(client, world.harbour.admin, order, WHY) == 302
    event = OrderEvent.objects.get(order=order, name="below_floor")
    assert (event.actor, event.data["own"], event.data["reason"]) == (world.harbour.admin, True, WHY)
    assert HtmlPage(client.get(f"/orders/{order.number}/")).says("Approved by whoever made it, the only seller admin")
    Membership.objects.filter(user=world.harbour.manager).update(role=Role.ADMIN)
    second = order_by(world, world.harbour.admin)
    assert review(client, world.harbour.admin, second).says("another seller admin must place it: Max Harbour")
    assert press(client, world.harbour.admin, second, WHY, "press-2") == 409
    assert press(client, world.harbour.manager, second, WHY, "press-3") == 302


def test_at_or_above_the_floor_nobody_is_asked(client: Client, world: World) -> None:
    Seller.objects.filter(pk=world.harbour.seller.pk).update(margin_floor_percent="32.64")
    below = order_by(world, world.harbour.manager)
    assert again(below).is_below_floor, "32.6 is shown, and 32.63 is left"
    Seller.objects.filter(pk=world.harbour.seller.pk).update(margin_floor_percent="32.60")
    order = order_by(world, world.harbour.manager)
    assert not review(client, world.harbour.manager, order).says("floor")
    assert press(client, world.harbour.manager, order) == 302
    assert not OrderEvent.objects.filter(name="below_floor").exists()


def test_what_the_order_costs_is_asked_again_with_the_order_locked(client: Client, world: World) -> None:
    """The page was opened at a good price; a colleague made it a bad one since."""
    Seller.objects.filter(pk=world.harbour.seller.pk).update(margin_floor_percent=10)
    order = order_by(world, world.harbour.manager)
    review(client, world.harbour.manager, order)
    order.lines.update(term_cost=Decimal("9.40"))
    assert press(client, world.harbour.manager, order) == 409
    assert again(order).status == "start"
