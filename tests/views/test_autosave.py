"""Saving while somebody types: one order however often it arrives, never over a colleague's, never what was not asked for."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from orders import lifecycle
from orders.models import Customer, Order, Price
from orders.statuses import OrderStatus
from tests.harness.world import World, again, cart_of, order_in
from tests.views.test_forms import NEW, opened, order_data
from tests.walls.pages import HtmlPage, text_of, value_of
from tests.walls.state import state


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def autosave(world: World, **changes: Any) -> dict[str, Any]:
    return order_data(world, action="autosave", **changes)


def said(response: Any) -> str:
    return text_of(HtmlPage(response).by_id("save-state"))


def test_the_first_autosave_makes_the_order_and_a_repeat_whose_answer_was_lost_goes_on_with_it(manager: Client, world: World) -> None:
    first = manager.post(NEW, autosave(world))
    order = Order.objects.get()
    assert first["HX-Replace-Url"] == f"/orders/{order.number}/edit/"
    assert value_of(HtmlPage(first).by_id("id_version")) == str(order.version)
    assert (said(first), first["X-Saved"]) == ("Saved", "yes")
    again_ = manager.post(NEW, autosave(world, lines_0_quantity="9"))
    assert again_["HX-Replace-Url"] == f"/orders/{order.number}/edit/"
    assert Order.objects.get().lines.get().quantity == 9
    # The button that is pressed before the answer came leads to the same order.
    pressed = manager.post(NEW, order_data(world, action="review", lines_0_quantity="10"))
    assert pressed["Location"] == f"/orders/{order.number}/place/"
    assert Order.objects.get().lines.get().quantity == 10
    # And an autosave that was overtaken by the button changes nothing.
    before = state()
    late = manager.post(NEW, autosave(world, lines_0_quantity="9"))
    assert (late.status_code, said(late)) == (200, "Not saved yet: use the buttons")
    assert state() == before
    # Whoever still has that page and presses its button is shown what was typed, to be saved as an order of its own.
    late = manager.post(NEW, order_data(world, lines_0_quantity="9"))
    assert late.status_code == 422
    assert HtmlPage(late).says("sent before with other content")
    assert state() == before


def test_what_is_not_finished_is_not_saved_and_says_so(manager: Client, world: World) -> None:
    before = state()
    for changes in ({"lines_0_quantity": "x"}, {"customer": ""}, {"lines_0_offer": ""}):
        response = manager.post(NEW, autosave(world, **changes))
        assert response.status_code == 200
        assert said(response).startswith("Not saved yet")
        assert "X-Saved" not in response
    assert state() == before


def test_a_form_is_never_stale_against_itself_and_always_against_a_colleague(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    path, sent = opened(manager, order)
    typed = sent | {"action": "autosave"}
    assert said(manager.post(path, typed | {"lines-0-quantity": "3"})) == "Saved"
    # The answer was lost: the form comes again with the version that it had.
    assert said(manager.post(path, typed | {"lines-0-quantity": "4"})) == "Saved"
    assert order.lines.get().quantity == 4

    lifecycle.edit(order, [world.line(quantity=40)], by=world.harbour.admin, version=again(order).version)
    before = state()
    refused = manager.post(path, typed | {"lines-0-quantity": "5"})
    assert "somebody else changed this order" in said(refused)
    assert state() == before
    shown = value_of(HtmlPage(refused).field("their_version"))
    assert shown == str(again(order).version)

    # "Save mine" is over the version that was shown, not over a still later one.
    lifecycle.edit(order, [world.line(quantity=41)], by=world.harbour.admin, version=int(shown))
    mine = sent | {"lines-0-quantity": "5", "action": "keep-mine", "token": "mine"}
    assert manager.post(path, mine | {"their_version": shown}).status_code == 409
    assert order.lines.get().quantity == 41
    now = str(again(order).version)
    assert manager.post(path, mine | {"their_version": now}).status_code == 302
    assert order.lines.get().quantity == 5


def test_a_failed_order_and_its_customer_are_saved_by_the_buttons_only(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, sent = opened(manager, order)
    response = manager.post(path, sent | {"action": "autosave", "city": "Elders", "lines-0-quantity": "3"})
    assert said(response) != "Saved"
    assert Customer.objects.get(pk=order.customer_id).city != "Elders"
    assert "X-Saved" not in response


def test_a_save_keeps_the_agreed_prices_and_a_new_plan_or_customer_brings_those_of_today(manager: Client, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly, 2), world.line())
    Price.objects.filter(pk__in=(world.premium_yearly.pk, world.backup_monthly.pk)).update(term_price=Decimal(600), term_cost=Decimal(300))
    page = manager.get(f"/orders/{order.number}/edit/")
    assert "528.00" in text_of(HtmlPage(page).by_id("amount-0"))
    data = autosave(
        world,
        version=order.version,
        token="kept",
        lines_0_offer=world.premium_yearly.offer.code,
        lines_0_plan="P1Y:annual",
        lines_0_quantity="3",
    )
    saved = manager.post(f"/orders/{order.number}/edit/", data)
    assert said(saved) == "Saved"
    assert "792.00" in text_of(HtmlPage(saved).by_id("amount-0"))
    [kept] = again(order).lines.all()
    assert (kept.unit_price, kept.term_cost, kept.amount) == (Decimal(264), world.premium_yearly.term_cost, Decimal(792))
    # Another plan of it: today's.
    data = autosave(
        world, version=again(order).version, token="kept", lines_0_offer=world.backup.code, lines_0_plan="P1M:monthly", lines_0_quantity="3"
    )
    assert "1,800.00" in text_of(HtmlPage(manager.post(f"/orders/{order.number}/edit/", data)).by_id("amount-0"))
    assert again(order).lines.get().unit_price == Decimal(600)
    # Another customer: today's.
    order = cart_of(world, world.line(world.premium_monthly))
    Price.objects.filter(pk=world.premium_monthly.pk).update(term_price=Decimal(1200))
    other = world.harbour.other_customer
    premium = {"lines_0_offer": world.premium_monthly.offer.code, "lines_0_plan": "P1M:monthly", "lines_0_quantity": "1"}
    moved = manager.post(
        f"/orders/{order.number}/edit/", autosave(world, version=order.version, token="moved", customer=other.code, **premium)
    )
    assert said(moved) == "Saved"
    assert again(order).lines.get().unit_price == Decimal(1200)
