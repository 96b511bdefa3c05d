"""The seller's price rule reaches the form's totals, the order and its undo, and its way of writing reaches the page."""

from decimal import Decimal

import pytest
from django.test import Client

from orders import lifecycle, money
from orders.models import Pricing, Seller
from tests.harness.world import World, again, cart_of
from tests.walls.pages import HtmlPage


@pytest.mark.parametrize(
    ("pricing", "markup", "cycle", "unit"),
    [
        ("list", "25", "annual", "264.00"), ("cost", "0", "annual", "211.20"), ("cost", "25", "annual", "264.00"),
        ("cost", "25", "monthly", "22.00"), ("cost", "33.33", "annual", "281.59"), ("cost", "33.33", "monthly", "23.47"),
    ],
)  # fmt: skip
def test_a_price_is_the_lists_or_cost_plus_markup(pricing: str, markup: str, cycle: str, unit: str) -> None:
    term = money.term_price(Decimal("264.00"), Decimal("211.20"), pricing, Decimal(markup))
    assert money.unit_price(term, "P1Y", cycle, "EUR") == Decimal(unit)


def test_nothing_is_rounded_before_the_unit_price() -> None:
    """0.0599 a year with 0.1 % is 0.0599599; rounded first to four decimals it would be 0.06, and half a cent a month."""
    term = money.term_price(Decimal(0), Decimal("0.0599"), "cost", Decimal("0.10"))
    assert term == Decimal("0.0599599")
    assert money.unit_price(term, "P1Y", "monthly", "EUR") == Decimal("0.00")


def price_from_cost(world: World) -> None:
    Seller.objects.filter(pk=world.harbour.seller.pk).update(pricing=Pricing.COST, markup_percent=Decimal("50"), language="nl_NL")
    for customer in (world.harbour.customer, world.harbour.other_customer):
        customer.refresh_from_db()


def test_form_and_order_say_the_same_and_an_undo_keeps_what_was(client: Client, world: World) -> None:
    price_from_cost(world)
    order = cart_of(world, world.line(quantity=2))  # cost 6.40, so 9.60 each
    assert (order.lines.get().unit_price, again(order).due_now) == (Decimal("9.60"), Decimal("19.20"))
    client.force_login(world.harbour.manager)
    sent = {"customer": world.harbour.customer.code, "version": "0", "token": "t", "lines-0-offer": world.backup.code}
    totals = client.post("/orders/new/", {**sent, "action": "totals", "lines-0-plan": "P1M:monthly", "lines-0-quantity": "2"})
    assert HtmlPage(totals).says("€ 19,20")
    deleted = lifecycle.delete(order, by=world.harbour.manager)
    Seller.objects.filter(pk=world.harbour.seller.pk).update(markup_percent=Decimal("75"))
    assert lifecycle.undo(deleted, by=world.harbour.manager).due_now == Decimal("19.20")


def test_the_way_of_writing_ends_with_the_request(client: Client, world: World) -> None:
    price_from_cost(world)
    cart_of(world, world.line(quantity=2))
    cart_of(world, world.line(quantity=2), at=world.northwind)
    client.force_login(world.harbour.manager)
    assert HtmlPage(client.get("/orders/")).says("€ 19,20")
    client.force_login(world.northwind.manager)
    assert HtmlPage(client.get("/orders/")).says("€ 19.00")
