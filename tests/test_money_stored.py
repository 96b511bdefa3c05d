"""What an order stores, sends and shows of money, to the smallest unit, against the calculation in whole numbers."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from orders import lifecycle, money, quoting
from orders.lifecycle import LineInput, Refusal
from orders.models import Customer, Offer, Order, OrderLine, Price, PurchaseAttempt, QuoteLink, Seller
from orders.pricing import changes_of
from orders.statuses import OrderStatus
from tests.harness.whole_numbers import DIGITS, PERIODS, PLANS, SUMS, Item, Terms
from tests.harness.world import World, again, manual_price
from tests.test_quote_pdf import squeezed, text
from tests.views.test_forms import NEW, order_data, refused_at
from tests.walls.pages import HtmlPage, text_of
from tests.walls.state import state

# Each writes a number in another way.
LANGUAGES = ("en_GB", "de_DE", "fr_FR", "pl_PL")
MOST_ITEMS = 5


# --- cases


@some.composite
def items(draw: some.DrawFn, currency: str) -> Item:
    """Some prices lie exactly between two smallest units of a billing period, where half up is told from its likenesses."""
    plan = draw(some.sampled_from(PLANS))
    halfway = 10 ** (4 - DIGITS[currency]) * PERIODS.get(plan, 1) // 2
    price = some.integers(0, 10**9) | some.integers(0, 5_000).map(lambda step: halfway * (2 * step + 1))
    quantity, listed, cost, is_percent = draw(some.integers(1, 3_000)), draw(price), draw(price), draw(some.booleans())
    discount = some.sampled_from([0, 50_000, 125_000]) | some.integers(0, 10**6)
    return Item(plan, quantity, listed, cost, draw(discount), is_percent, is_optional=draw(some.booleans()))


@some.composite
def cases(draw: some.DrawFn) -> tuple[Terms, list[Item], list[Item]]:
    """How the seller prices, what he orders at first, and what is left of it after an edit and what came to it."""
    rates = some.sampled_from([0, 600, 2_100, 5_000]) | some.integers(0, 10_000)
    markup = some.sampled_from([0, 2_500]) | some.integers(0, 50_000)
    currency = draw(some.sampled_from(sorted(DIGITS)))
    terms = Terms(currency, draw(some.booleans()), draw(markup), draw(rates))
    first = draw(some.lists(items(currency), min_size=1, max_size=MOST_ITEMS - 1))
    # One at least is ordered whatever the customer chooses.
    first[0] = replace(first[0], is_optional=False)
    kept = [replace(item, quantity=draw(some.integers(1, 3_000))) for item in first]
    return terms, first, [*kept, *draw(some.lists(items(currency), max_size=MOST_ITEMS - len(first)))]


def euro(*listed: int, quantity: int = 1, tax_rate: int = 2_100) -> tuple[Terms, list[Item], list[Item]]:
    ordered = [Item(("P1Y", "monthly"), quantity, price, price) for price in listed]
    return Terms("EUR", is_from_cost=False, markup=0, tax_rate=tax_rate), ordered, ordered


class Scene:
    """A seller who prices by the terms, his customer, and one offer for each item, of three vendors in turn."""

    def __init__(self, world: World, terms: Terms, language: str) -> None:
        self.world, self.terms = world, terms
        Seller.objects.filter(pk=world.harbour.seller.pk).update(
            pricing="cost" if terms.is_from_cost else "list", markup_percent=Decimal(terms.markup).scaleb(-2), language=language
        )
        Customer.objects.filter(pk=world.harbour.customer.pk).update(currency=terms.currency, tax_rate=Decimal(terms.tax_rate).scaleb(-2))
        self.customer = Customer.objects.select_related("seller").get(pk=world.harbour.customer.pk)
        vendors = [world.microsoft, world.northgate, manual_price(world).offer.vendor]
        self.offers = [
            Offer.objects.create(
                vendor=vendors[number % 3], code=f"MONEY{number}", product_id=f"MONEY{number}", sku_id="0001", title=f"Item {number}"
            )
            for number in range(MOST_ITEMS)
        ]

    def priced(self, number: int, item: Item) -> Price:
        """As the list has it."""
        term, cycle = item.plan
        price, _ = Price.objects.get_or_create(
            offer=self.offers[number], market="NL", currency=self.terms.currency, term=term, billing_cycle=cycle,
            defaults={"term_cost": Decimal(item.cost).scaleb(-4), "term_price": Decimal(item.listed).scaleb(-4)},
        )  # fmt: skip
        return Price.objects.select_related("offer__vendor").get(pk=price.pk)

    def inputs(self, wanted: list[Item]) -> list[LineInput]:
        return [
            LineInput(
                self.priced(number, item),
                item.quantity,
                discount=money.Discount(Decimal(item.discount).scaleb(-4), item.is_percent),
                is_optional=item.is_optional,
            )
            for number, item in enumerate(wanted)
        ]

    def ordered(self, wanted: list[Item]) -> Order:
        return lifecycle.create(self.customer, self.inputs(wanted), by=self.world.harbour.manager)

    def edited(self, order: Order, wanted: list[Item]) -> Order:
        """The list is dearer by now; what the order has already keeps its price."""
        inputs = self.inputs(wanted)
        for line in inputs[: order.lines.count()]:
            line.price.term_cost, line.price.term_price = 2 * line.price.term_cost + 1, 2 * line.price.term_price + 1
        return lifecycle.edit(order, inputs, by=self.world.harbour.manager, version=order.version)


@contextmanager
def undone() -> Iterator[None]:
    """What an example wrote is gone for the next one."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# --- stored, sent, shown


def units(amount: Decimal, currency: str) -> int:
    """In smallest units; a fraction of one is a mistake."""
    scaled = amount.scaleb(DIGITS[currency])
    assert scaled == int(scaled), f"{amount} is no whole number of the smallest unit of {currency}"
    return int(scaled)


def stored(order: Order) -> dict[str, Any]:
    """Read back from the database, the lines too."""
    found = Order.objects.get(pk=order.pk)
    lines = OrderLine.objects.filter(order=order.pk)
    return {
        "currency": found.currency,
        "lines": [tuple(units(amount, found.currency) for amount in (line.unit_price, line.amount, line.tax)) for line in lines],
        **{name: units(getattr(found, name), found.currency) for name in SUMS},
    }


def chosen(wanted: list[Item], positions: list[int]) -> list[Item]:
    """The items as they are once the customer has chosen the optional ones at these positions."""
    return [replace(item, is_optional=item.is_optional and number not in positions) for number, item in enumerate(wanted, start=1)]


def calculated(terms: Terms, wanted: list[Item]) -> dict[str, Any]:
    lines = [(terms.unit(item), terms.amount(item), terms.tax(item)) for item in wanted]
    return {"currency": terms.currency, "lines": lines, **terms.sums(wanted)}


def read(element: Element | str | None) -> int:
    """A sum of money as a person reads it, in smallest units: every decimal of the currency is written, in any language."""
    text = element if isinstance(element, str) else text_of(element) if element is not None else ""
    return int(re.sub(r"\D", "", text))


def labelled(parent: Element, name: str, value: str) -> dict[str, int]:
    """Each `value` inside the element, by the words of its `name`."""
    found = {}
    for one in parent.iter():
        term, amount = one.find(name), one.find(value)
        if amount is not None:
            found[text_of(term) if term is not None else str(one.text).strip()] = read(amount)
    return found


def shown_sums(page: HtmlPage) -> dict[str, int]:
    (sums,) = (element for element in page.all("span") if "sums" in element.get("class", "").split())
    return labelled(sums, "dt", "b")


def shown_lines(page: HtmlPage) -> list[tuple[int, int, int]]:
    """Quantity, unit price and amount of each row."""
    (table,) = (table for table in page.all("table") if table.get("class") == "lines")
    rows = []
    for row in table.iter("tr"):
        cells = {cell.get("data-label"): cell for cell in row.iter("td")}
        if cells:
            # Under the amount stands how often it is billed.
            rows.append((read(cells["Quantity"]), read(cells["Unit price"]), read(cells["Amount"].text)))
    return rows


def without_zero(found: dict[str, int]) -> dict[str, int]:
    return {words: amount for words, amount in found.items() if amount}


def check_pages(client: Client, order: Order, scene: Scene, wanted: list[Item], expected: dict[str, Any]) -> None:
    """The list, the order, the review before placing, and the form as it is saved, in which the server adds up again."""
    per = {"Per month": expected["per_month"], "Per year": expected["per_year"], "Per 3 years": expected["per_three_years"]}
    now = {"Due now": expected["due_now"], "Tax": expected["tax_now"], "First payment": expected["first_payment"]}
    off = {"Discount": sum(scene.terms.off(item) for item in wanted if not item.is_optional)}
    lines = [(item.quantity, unit, amount) for item, (unit, amount, _) in zip(wanted, expected["lines"], strict=True)]
    for name in ("", "place/"):
        page = HtmlPage(client.get(f"/orders/{order.number}/{name}"))
        assert without_zero(shown_sums(page)) == without_zero(per | {"First payment with tax": expected["first_payment"]})
        assert shown_lines(page) == lines
    (totals,) = page.all("dl", class_="totals")
    assert labelled(totals, "dt", "dd") == now
    row = HtmlPage(client.get(f"/orders/?q={order.number}")).by_id(f"order-{order.number}")
    (total,) = (cell for cell in row.iter("td") if "c-total" in cell.get("class", "").split())
    assert read(total.text) == expected["due_now"]
    form = HtmlPage(client.get(f"/orders/{order.number}/edit/"))
    then = {words.replace("Per", "Then every"): amount for words, amount in per.items()}
    if order.status == OrderStatus.DRAFT:
        now["Due on acceptance"] = now.pop("Due now")
    assert without_zero(labelled(form.by_id("totals"), "dt", "dd")) == without_zero(then | now | off)
    assert [read(form.by_id(f"amount-{number}").find("b")) for number in range(len(wanted))] == [amount for _, _, amount in lines]


def check_requests(order: Order, scene: Scene, wanted: list[Item]) -> None:
    """What each vendor is asked for, byte for byte: how many of what, in which currency, and no price of ours."""
    asked = []
    for attempt in PurchaseAttempt.objects.filter(order=order.pk):
        body = json.loads(bytes(attempt.request))
        assert body["currency"] == scene.terms.currency
        assert set(body) == {"reference", "currency", "customer", "lines"}
        for line in body["lines"]:
            keys = {"number", "product_id", "sku_id", "title", "quantity", "term", "billing_cycle", "segment"}
            assert set(line) == keys
            assert scene.offers[line["number"] - 1].vendor_id == attempt.vendor_id
            asked.append((line["number"], line["product_id"], line["quantity"], (line["term"], line["billing_cycle"])))
    firm = [(number, item) for number, item in enumerate(wanted, start=1) if not item.is_optional]
    assert sorted(asked) == [(number, f"MONEY{number - 1}", item.quantity, item.plan) for number, item in firm]


def check_quote(client: Client, link: QuoteLink, scene: Scene, wanted: list[Item], positions: list[int]) -> None:
    """The customer's page and his PDF, with the optional items that he chose: each line, and the sums of what counts."""
    expected = calculated(scene.terms, chosen(wanted, positions))
    query = "?" + "&".join(f"o={position}" for position in positions)
    page = HtmlPage(client.get(quoting.address_of(link) + query))
    found = {
        words.split(" ")[0] if words.startswith("Tax") else words: amount
        for words, amount in labelled(page.by_id("quote-sums"), "dt", "dd").items()
    }
    per = {"Then every month": "per_month", "Then every year": "per_year", "Then every 3 years": "per_three_years"}
    sums = {words: expected[name] for words, name in per.items()} | {
        "Due on acceptance": expected["due_now"], "Tax": expected["tax_now"], "First payment": expected["first_payment"],
        "Discount included": sum(scene.terms.off(item) for item in chosen(wanted, positions) if not item.is_optional),
    }  # fmt: skip
    assert without_zero(found) == without_zero(sums)
    cells = [{cell.get("data-label"): cell for cell in row.iter("td")} for row in page.by_id("quote-lines").iter("tr")]
    rows = [(read(row["Quantity"].text), read(row["Price"].text), read(row["Amount"].text)) for row in cells if row]
    assert rows == [(item.quantity, unit, amount) for item, (unit, amount, _) in zip(wanted, expected["lines"], strict=True)]
    paper = text(b"".join(client.get(f"{quoting.address_of(link)}pdf/{query}")))
    printed = [text_of(cell) for cell in page.by_id("quote-sums").iter("dd")] + [row["Amount"].text for row in cells if row]
    assert [amount for amount in printed if squeezed(str(amount)) not in paper] == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(case=cases(), language=some.sampled_from(LANGUAGES))
@example(case=euro(600, 3_000), language="en_GB")  # half a cent and two and a half: up, both
@example(case=euro(1_200, 1_200, 1_200), language="de_DE")  # 0.01 each, tax 0.0021 each: none, and none of the total
@example(case=euro(36_000, 36_000, quantity=1, tax_rate=500), language="fr_FR")  # tax of 0.015 twice is 0.04, of both at once 0.03
def test_an_order_stores_sends_and_shows_what_whole_numbers_say(
    client: Client, world: World, case: tuple[Terms, list[Item], list[Item]], language: str
) -> None:
    terms, first, edited = case
    # How often one address may ask is no matter here.
    cache.clear()
    with undone():
        scene = Scene(world, terms, language)
        client.force_login(world.harbour.manager)
        order = scene.ordered(first)
        assert stored(order) == calculated(terms, first)
        order = scene.edited(order, edited)
        expected = calculated(terms, edited)
        assert stored(order) == expected
        check_pages(client, again(order), scene, edited, expected)
        if order.status == OrderStatus.START:
            order = lifecycle.keep_as_quote(order, by=world.harbour.admin)
        # A seller admin, because some of these orders are sold below what they cost.
        link = quoting.send(order, by=world.harbour.admin, reason="Agreed with the customer").quote_link
        assert link
        optional = [number for number, item in enumerate(edited, start=1) if item.is_optional]
        for positions in ([], optional):
            check_quote(Client(), link, scene, edited, positions)
        signature = quoting.Signature("Anna Alder")
        order = quoting.accept(link, signature, content_sha256=link.revision.content_sha256, chosen=optional[:1])
        assert order.status == OrderStatus.PROVISIONING_STARTED
        edited = chosen(edited, optional[:1])
        # What he left is no part of the order any more.
        expected = calculated(terms, [item for item in edited if not item.is_optional])
        assert stored(order) == expected
        check_requests(order, scene, edited)
        page = HtmlPage(client.get(f"/orders/{order.number}/"))
        assert shown_sums(page)["First payment with tax"] == expected["first_payment"]


# --- the ends of the columns


def test_a_price_a_hair_below_the_half_stays_there(world: World) -> None:
    """8,953,282.6891 yen with 37.89 % are 12,345,681.49999999: cut to fifteen digits that is half a yen, and a yen more."""
    item = Item(("P1Y", "annual"), 3, listed=0, cost=89_532_826_891)
    terms = Terms("JPY", is_from_cost=True, markup=3_789, tax_rate=2_100)
    assert terms.unit(item) == 12_345_681
    scene = Scene(world, terms, "en_GB")
    order = scene.ordered([item])
    assert order.lines.get().term_price == Decimal("12345681.49999999")
    order = lifecycle.edit(order, scene.inputs([item]), by=world.harbour.manager, version=order.version)
    assert stored(order) == calculated(terms, [item])
    assert changes_of(again(order)) == []
    copied = lifecycle.undo(lifecycle.delete(order, by=world.harbour.manager), by=world.harbour.manager)
    assert stored(copied) == calculated(terms, [item])


@pytest.fixture
def dear(world: World) -> Price:
    """Ten million of it cost what no order can hold."""
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal("100000.00"))
    return Price.objects.select_related("offer__vendor").get(pk=world.backup_monthly.pk)


def test_an_order_holds_the_largest_amounts_to_the_last_cent(world: World, dear: Price) -> None:
    dear.term_price = Decimal("99999.99")
    order = lifecycle.create(world.harbour.customer, [LineInput(dear, 9_999_999)], by=world.harbour.manager)
    assert stored(order)["due_now"] == 9_999_999 * 9_999_999
    assert again(order).first_payment == Decimal("999999800000.01") + Decimal("209999958000.00")


def test_what_costs_more_than_an_order_can_hold_is_refused_beside_its_quantity(client: Client, world: World, dear: Price) -> None:
    client.force_login(world.harbour.manager)
    before = state()
    refused_at(client.post(NEW, order_data(world, lines_0_quantity="10000000")), "lines-0-quantity", money.TOO_MUCH)
    answer = client.post(NEW, order_data(world, action="autosave", lines_0_quantity="10000000"))
    assert text_of(HtmlPage(answer).by_id("save-state")).startswith("Not saved yet")
    # Each of two fits, both together don't.
    two = {"lines_1_offer": world.backup.code, "lines_1_plan": "P1M:monthly", "lines_1_quantity": "6000000"}
    both = client.post(NEW, order_data(world, lines_0_quantity="6000000", **two))
    assert both.status_code == 422
    assert HtmlPage(both).says(money.TOO_MUCH)
    assert state() == before


def test_no_verb_makes_an_order_that_costs_more_than_it_can_hold(world: World, dear: Price) -> None:
    by = world.harbour.manager
    with pytest.raises(Refusal, match="more than one order can hold"):
        lifecycle.create(world.harbour.customer, [LineInput(dear, 10_000_000)], by=by)
    with pytest.raises(Refusal, match="more than one order can hold"):
        lifecycle.create(world.harbour.customer, [LineInput(dear, 6_000_000), LineInput(dear, 6_000_000)], by=by)
    order = lifecycle.create(world.harbour.customer, [LineInput(dear, 9_000_000)], by=by)
    with pytest.raises(Refusal, match="more than one order can hold"):
        lifecycle.edit(order, [LineInput(dear, 10_000_000)], by=by, version=order.version)
    dear.term_price *= 2
    with pytest.raises(Refusal, match="more than one order can hold"):
        lifecycle.reprice(order, {1: dear}, by=by, version=order.version)
    assert again(order).due_now == Decimal("900000000000.00")
