"""The catalogue: search, filters and pages from the URL, prices by role, why a customer can't buy; and new prices on drafts."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import lifecycle, pricing
from orders.models import Offer, Order, Price, PriceList
from tests.harness.price_lists import row, rows, write
from tests.harness.world import World, again, cart_of, order_in
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage

PATH = "/catalogue/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


@pytest.fixture
def viewer(static_files: Path, world: World) -> Client:
    made = Client()
    made.force_login(world.harbour.viewer)
    return made


def titles(client: Client, path: str = PATH, **parameters: Any) -> list[str]:
    response = client.get(path, parameters)
    assert response.status_code == 200
    return [str(element.text) for element in HtmlPage(response).all("a", class_="row-link")]


def offer(world: World, title: str, sku: str = "1", **fields: Any) -> Offer:
    """An offer with one price: a year, billed monthly, 10 a month."""
    found = Offer.objects.create(
        **{"vendor": world.microsoft, "code": f"P{sku}-{sku}", "product_id": f"P{sku}", "sku_id": sku, "title": title, **fields}
    )
    price(found)
    return found


def price(found: Offer, **fields: Any) -> Price:
    plain = {"market": "NL", "currency": "EUR", "term": "P1Y", "billing_cycle": "monthly", "term_cost": 96, "term_price": 120}
    return Price.objects.create(offer=found, **{**plain, **fields})


# --- which offers


def test_all_offers_stand_there_by_title(manager: Client, world: World) -> None:
    assert titles(manager) == ["Microsoft 365 Business Premium", "Northgate Backup for Mailboxes"]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"q": "premium"}, ["Microsoft 365 Business Premium"]),
        ({"q": "PREMIUM business"}, ["Microsoft 365 Business Premium"]),
        ({"q": "CFQ7TTC0LCHC:0002"}, ["Microsoft 365 Business Premium"]),
        ({"q": "cfq7ttc0lchc-0002"}, ["Microsoft 365 Business Premium"]),
        ({"q": "mailboxes backup"}, ["Northgate Backup for Mailboxes"]),
        ({"q": "calendar"}, ["Zebra"]),
        ({"q": "%"}, []),
        ({"q": "premium backup"}, []),
        ({"vendor": "northgate"}, ["Northgate Backup for Mailboxes"]),
        ({"segment": "Education"}, ["Zebra"]),
        ({"term": "P1M"}, ["Microsoft 365 Business Premium", "Northgate Backup for Mailboxes"]),
        ({"term": "P3Y"}, []),
        ({"vendor": "microsoft", "term": "P1Y", "q": "e"}, ["Microsoft 365 Business Premium", "Zebra"]),
    ],
)  # fmt: skip
def test_search_and_filters(manager: Client, world: World, parameters: dict[str, str], found: list[str]) -> None:
    offer(world, "Zebra", segment="Education", description="Mail and a calendar")
    assert titles(manager, **parameters) == found


@pytest.mark.parametrize(
    "parameters",
    [{"vendor": "x"}, {"segment": "x"}, {"term": "P9Y"}, {"after": "x"}, {"before": "WzEsMl0"}, {"after": "W1tdLDJd"}, {"customer": "\0"},
     {"after": "WyJcdWQ4MDAiLDFd"}, {"after": "WyJhIiwxZTk5OV0"}, {"q": "\0"}, {"customer": "ZZZZ"}],
)  # fmt: skip
def test_nonsense_in_the_address_is_ignored(manager: Client, world: World, parameters: dict[str, str]) -> None:
    assert len(titles(manager, **parameters)) in {0, 2}


def test_what_an_unfinished_import_brought_is_not_there(manager: Client, world: World, tmp_path: Path) -> None:
    pricing.import_prices(write(tmp_path / "x.csv", row(Market="BE")), world.microsoft)
    assert "Mail Plan 1" in titles(manager)
    PriceList.objects.update(state=PriceList.State.WRITING)
    assert "Mail Plan 1" not in titles(manager)
    assert manager.get("/catalogue/CFQ7TTC0TEST-0002/").status_code == 404


def test_sixty_offers_are_each_on_one_page_forwards_and_backwards(manager: Client, world: World) -> None:
    for number in range(60):
        offer(world, f"Plan {number // 3}", sku=str(number))
    forwards, path = [], f"{PATH}?vendor=microsoft"
    while path:
        page = HtmlPage(manager.get(path))
        forwards += [element.get("href") for element in page.all("a", class_="row-link")]
        links = page.all("a", rel="next")
        last, path = path, f"{PATH}{links[0].get('href')}" if links else ""
    assert len(forwards) == len(set(forwards)) == 61
    backwards, path = [], last
    while path:
        page = HtmlPage(manager.get(path))
        backwards = [element.get("href") for element in page.all("a", class_="row-link")] + backwards
        links = page.all("a", rel="prev")
        path = f"{PATH}{links[0].get('href')}" if links else ""
    assert backwards == forwards


def test_the_list_costs_the_same_queries_for_ten_offers_and_for_a_thousand(manager: Client, world: World, tmp_path: Path) -> None:
    counts = []
    for number in (10, 1000):
        pricing.import_prices(write(tmp_path / "x.csv", *rows(number)), world.microsoft)
        for path in (PATH, f"{PATH}?customer={world.harbour.customer.code}"):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                manager.get(path)
            counts.append(len(queries))
    assert counts[:2] == counts[2:]
    assert max(counts) <= 18


def test_an_empty_catalogue_and_an_empty_search_say_so(manager: Client, world: World) -> None:
    assert HtmlPage(manager.get(PATH, {"q": "nothing like it"})).says("No offer matches")
    Price.objects.all().delete()
    assert HtmlPage(manager.get(PATH)).says("The catalogue is empty")


# --- prices


def test_prices_are_per_billing_period_and_cost_is_for_those_who_may_see_it(manager: Client, viewer: Client, world: World) -> None:
    offer(world, "Zebra")
    for path in (PATH, "/catalogue/P1-1/"):
        mine, theirs = HtmlPage(manager.get(path)), HtmlPage(viewer.get(path))
        assert mine.says("€ 10.00")
        assert theirs.says("€ 10.00")
        assert mine.says("€ 8.00")
        assert not theirs.says("€ 8.00")
        assert mine.says("20.0 %")
        assert not theirs.says("20.0 %")
        assert mine.says("argin")
        assert not theirs.says("argin")


def test_the_pages_hold_nothing_inline_and_the_words_of_a_list_stay_words(manager: Client, world: World, tmp_path: Path) -> None:
    pricing.import_prices(write(tmp_path / "x.csv", row(SkuTitle=HOSTILE, SkuDescription=HOSTILE)), world.microsoft)
    for path in (PATH, "/catalogue/CFQ7TTC0TEST-0002/"):
        page = HtmlPage(manager.get(path))
        assert complaints(page) == []
        assert page.says(HOSTILE)


def test_the_page_of_an_offer_has_its_history_its_add_ons_and_the_list_for_staff_only(
    manager: Client, world: World, tmp_path: Path
) -> None:
    pricing.import_prices(write(tmp_path / "may.csv", row()), world.microsoft)
    pricing.import_prices(
        write(tmp_path / "june.csv", row(ERP="60"), row(ERP="72", EffectiveStartDate="2150-01-01T00:00:00.0000000Z")), world.microsoft
    )
    addon = Offer.objects.get(product_id="CFQ7TTC0TEST")
    addon.bases.add(world.premium)
    page = HtmlPage(manager.get("/catalogue/CFQ7TTC0TEST-0002/"))
    assert page.says("€ 5.00")
    assert page.says("€ 4.00")
    assert page.says("€ 6.00")
    assert page.says("Coming")
    assert page.says("Ended")
    assert page.says("Add-on of")
    assert not page.says("may.csv")
    world.harbour.manager.is_staff = True
    world.harbour.manager.save()
    assert HtmlPage(manager.get("/catalogue/CFQ7TTC0TEST-0002/")).says("may.csv")
    assert HtmlPage(manager.get(f"/catalogue/{world.premium.code}/")).says("Its add-ons")


def test_the_history_of_prices_with_other_dates_reads_right(manager: Client, world: World, tmp_path: Path) -> None:
    def month(**changes: str) -> None:
        pricing.import_prices(write(tmp_path / "x.csv", row(**changes)), world.microsoft)

    month()
    month(ERP="60", EffectiveStartDate="2150-01-01T00:00:00.0000000Z")
    page = HtmlPage(manager.get("/catalogue/CFQ7TTC0TEST-0002/"))
    # Today's price only got an end: one price, and not an ended one beside one that goes on.
    assert page.says("since 1 May 2024 until 1 Jan 2150")
    assert page.says("from 1 Jan 2150 on")
    assert page.says("Coming")
    assert not page.says("Ended")
    assert not page.says("No longer sold")
    month(ERP="72", EffectiveStartDate="2025-11-01T00:00:00.0000000Z")
    page = HtmlPage(manager.get("/catalogue/CFQ7TTC0TEST-0002/"))
    assert page.says("since 1 Nov 2025")
    assert page.says("was to begin 1 Jan 2150")
    assert page.says("Withdrawn")
    assert page.says("Ended")
    assert not page.says("Coming")


@pytest.mark.parametrize("code", ["no-such", "%00", "x" * 300, "a%0ab"])
def test_an_offer_that_is_not_there_is_not_found(manager: Client, world: World, code: str) -> None:
    assert manager.get(f"/catalogue/{code}/").status_code == 404


def test_another_currency_or_country_is_not_shown(manager: Client, world: World) -> None:
    found = offer(world, "Zebra")
    price(found, market="BE", term_price=999)
    price(found, currency="USD", term_price=888)
    text = manager.get(PATH).content.decode()
    assert "83.25" not in text
    assert "74.00" not in text


# --- for one customer


def test_what_a_customer_can_not_buy_says_why(manager: Client, world: World) -> None:
    offer(world, "Zebra", segment="Education")
    page = HtmlPage(manager.get(PATH, {"customer": world.harbour.customer.code}))
    assert page.says("Only for the segment Education; this customer is Commercial.")
    assert not HtmlPage(manager.get(PATH)).says("Only for the segment")
    detail = HtmlPage(manager.get("/catalogue/P1-1/", {"customer": world.harbour.customer.code}))
    assert detail.says(f"{world.harbour.customer.name} can’t buy this")


def test_a_withdrawn_offer_says_so_to_everybody(manager: Client, world: World, tmp_path: Path) -> None:
    pricing.import_prices(write(tmp_path / "1.csv", row(), row(SkuId="3", SkuTitle="Other")), world.microsoft)
    pricing.import_prices(write(tmp_path / "2.csv", row()), world.microsoft)
    assert "Other" in titles(manager)
    assert HtmlPage(manager.get(PATH)).says("No longer sold: its last price ended on")


def test_another_sellers_customer_is_nobody(manager: Client, world: World) -> None:
    theirs = manager.get(PATH, {"customer": world.northwind.customer.code})
    assert world.northwind.customer.name not in theirs.content.decode() or world.northwind.customer.name == world.harbour.customer.name
    assert theirs.content.count(b" selected") == manager.get(PATH, {"customer": "ZZZZZZ"}).content.count(b" selected")


# --- new prices on drafts


def banner(client: Client, path: str) -> bool:
    return HtmlPage(client.get(path)).says("Prices changed since this was drafted")


def reprice(client: Client, order: Order, token: str = "a", **changes: Any) -> Any:
    return client.post(f"/orders/{order.number}/reprice/", {"token": token, "version": order.version, **changes})


@pytest.mark.parametrize("status", ["start", "draft", "provisioning_failed"])
def test_a_draft_shows_what_changed_and_one_press_takes_it(manager: Client, viewer: Client, world: World, status: str) -> None:
    order = order_in(status, world)
    pages = (f"/orders/{order.number}/", f"/orders/{order.number}/edit/")
    assert not any(banner(manager, page) for page in pages)
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal(12), term_cost=Decimal(7))
    assert all(banner(manager, page) for page in pages)
    shown = manager.get(pages[0]).content.decode()
    assert all(words in shown for words in ("€\u00a09.50", "€\u00a012.00", "€\u00a06.40", "€\u00a07.00", "Use today’s prices"))
    seen = viewer.get(pages[0]).content.decode()
    assert "€\u00a012.00" in seen
    assert not re.search("€\u00a07.00|our cost|Use today", seen)
    assert [line.unit_price for line in again(order).lines.all()] == [Decimal("9.5")]
    assert reprice(manager, order).status_code == 302
    assert [line.unit_price for line in again(order).lines.all()] == [Decimal(12)]
    assert not any(banner(manager, page) for page in pages)
    assert HtmlPage(manager.get(pages[0])).says("Given today’s prices")


def test_a_change_of_cost_alone_is_nothing_to_a_viewer(manager: Client, viewer: Client, world: World) -> None:
    order = cart_of(world)
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_cost=Decimal(7))
    assert banner(manager, f"/orders/{order.number}/")
    assert not banner(viewer, f"/orders/{order.number}/")


def test_what_is_no_longer_sold_keeps_its_price(manager: Client, world: World) -> None:
    order = cart_of(world)
    Price.objects.filter(pk=world.backup_monthly.pk).update(valid_to=datetime(2020, 1, 1, tzinfo=UTC))
    assert HtmlPage(manager.get(f"/orders/{order.number}/")).says("no longer sold this way")
    assert reprice(manager, order).status_code == 409
    assert [line.unit_price for line in again(order).lines.all()] == [Decimal("9.5")]


def test_repricing_needs_the_version_that_was_seen_and_who_may_write(manager: Client, viewer: Client, world: World) -> None:
    order = cart_of(world)
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal(12))
    lifecycle.edit(order, [world.line(quantity=5)], by=world.harbour.admin, version=order.version)
    assert reprice(manager, order, "b").status_code == 409
    for number, version in enumerate(("", "x", "-1", "9" * 30, "１")):
        assert reprice(manager, again(order), f"n{number}", version=version).status_code == 409
    assert reprice(viewer, again(order), "c").status_code == 403
    assert [line.unit_price for line in again(order).lines.all()] == [Decimal("9.5")]


def test_an_order_with_the_vendor_shows_no_banner(manager: Client, world: World) -> None:
    for status in ("provisioning_started", "completed", "scheduled"):
        order = order_in(status, world)
        Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal(12))
        assert not banner(manager, f"/orders/{order.number}/")
        assert reprice(manager, order, status).status_code == 409
