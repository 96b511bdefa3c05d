"""The list: two sections, filters, pages by key, a fixed price in queries, and rows that change live."""

import gzip
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import clock, lifecycle
from orders.models import Customer, Order, OrderLine
from orders.search import COUNT_LIMIT, PAGE_SIZE
from orders.statuses import HISTORICAL, RECENT, OrderStatus, Section
from tests.harness.world import World, again, customer_of, order_in
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of
from tests.walls.state import state

LISTS = {Section.RECENT: "/orders/", Section.HISTORICAL: "/orders/historical/"}
SECTIONS = {Section.RECENT: RECENT, Section.HISTORICAL: HISTORICAL}


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


@pytest.fixture
def all_ten(world: World) -> dict[OrderStatus, Order]:
    return {status: order_in(status, world) for status in OrderStatus}


def rows(page: HtmlPage) -> list[str]:
    """The numbers of the orders on the page, in their order."""
    return [element.attrib["id"].removeprefix("order-") for element in page.all("tr") if element.get("id", "").startswith("order-")]


def listed(client: Client, path: str, **parameters: Any) -> list[str]:
    response = client.get(path, parameters)
    assert response.status_code == 200, path
    return rows(HtmlPage(response))


def numbers(orders: Iterable[Order]) -> set[str]:
    return {order.number for order in orders}


# --- sections


def test_every_order_stands_in_exactly_one_of_the_two_sections(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    recent, historical = (listed(manager, path) for path in LISTS.values())
    assert set(recent) == numbers(order for status, order in all_ten.items() if status in RECENT)
    assert set(historical) == numbers(order for status, order in all_ten.items() if status in HISTORICAL)
    assert len(recent) + len(historical) == 10


def test_a_row_shows_the_official_word_of_its_status(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    for path in LISTS.values():
        page = HtmlPage(manager.get(path))
        for number in rows(page):
            status = OrderStatus(Order.objects.get(number=number).status)
            [badge] = [element for element in page.by_id(f"order-{number}").iter() if element.get("data-status")]
            assert (badge.get("data-status"), text_of(badge)) == (status.value, status.label)


def test_the_last_change_stands_first(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    for section, path in LISTS.items():
        wanted = Order.objects.filter(status__in=SECTIONS[section]).order_by("-changed_at", "-id").values_list("number", flat=True)
        assert listed(manager, path) == list(wanted)


# --- filters


def test_a_status_filter_shows_that_status_and_in_the_other_section_nothing_of_it(
    manager: Client, all_ten: dict[OrderStatus, Order]
) -> None:
    for section, path in LISTS.items():
        everything = listed(manager, path)
        for status, order in all_ten.items():
            # A status of the other section is nonsense here and ignored.
            right = [order.number] if status in SECTIONS[section] else everything
            assert listed(manager, path, status=status.value) == right, (path, status)


def test_several_statuses_show_all_of_them(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    wanted = [OrderStatus.DRAFT, OrderStatus.PROVISIONING_FAILED]
    found = listed(manager, "/orders/", status=[status.value for status in wanted])
    assert set(found) == numbers(all_ten[status] for status in wanted)


VIEWS = [
    (Section.RECENT, "attention", {OrderStatus.PROVISIONING_FAILED}),
    (Section.RECENT, "vendor", {OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FINISHED}),
    (Section.RECENT, "scheduled", {OrderStatus.SCHEDULED}),
    (Section.RECENT, "drafts", {OrderStatus.START, OrderStatus.DRAFT}),
    (Section.HISTORICAL, "completed", {OrderStatus.COMPLETED}),
    (Section.HISTORICAL, "errors", {OrderStatus.COMPLETED_WITH_ERRORS}),
    (Section.HISTORICAL, "deleted", {OrderStatus.DELETED}),
]


def test_a_quick_view_shows_its_orders_and_says_how_many(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    for section, view, statuses in VIEWS:
        page = HtmlPage(manager.get(LISTS[section], {"view": view}))
        assert set(rows(page)) == numbers(all_ten[status] for status in statuses), view
        [current] = [link for link in page.by_id("views").iter("a") if link.get("aria-current")]
        if section == Section.RECENT:
            assert text_of(current).endswith(f" {len(statuses)}"), view


def test_a_view_and_a_status_and_a_search_narrow_together(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    draft = all_ten[OrderStatus.DRAFT]
    assert listed(manager, "/orders/", view="drafts", status="draft", q=draft.number) == [draft.number]
    assert listed(manager, "/orders/", view="drafts", status="provisioning_failed") == []
    assert listed(manager, "/orders/", view="drafts", q=all_ten[OrderStatus.SCHEDULED].number) == []


@pytest.mark.parametrize(
    "q",
    [
        "{number}",
        "{digits}",
        "so-{digits}",
        " {number} ",
        "cedar",
        "CEDAR CLINIC",
        "Clinic, ",
        "cedarclinic",
        "cedarclinic.onmicrosoft.com",
        "PO-2026",
        "po-2026/ä",
    ],
)
def test_search_finds_by_number_customer_domain_and_purchase_order_number(manager: Client, world: World, q: str) -> None:
    other = order_in(OrderStatus.DRAFT, world)
    cedar = customer_of(world.harbour.seller, "Cedar Clinic, Utrecht", "cedarclinic")
    wanted = lifecycle.create(cedar, [world.line()], by=world.harbour.manager, reference="PO-2026/ä 7")
    found = listed(manager, "/orders/", q=q.format(number=wanted.number, digits=wanted.number.removeprefix("SO-")))
    assert found == [wanted.number]
    assert other.number not in found


def test_characters_that_mean_something_to_a_database_are_only_characters(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    Order.objects.filter(pk=order.pk).update(reference="100%_\\'")
    plain = order_in(OrderStatus.DRAFT, world)
    for q in ("%", "_", "\\", "'", "100%_\\'"):
        assert listed(manager, "/orders/", q=q) == [order.number], q
    assert plain.number in listed(manager, "/orders/", q="")


NONSENSE: list[dict[str, Any]] = [
    {"after": "x"}, {"after": "x" * 5_000}, {"before": "\0"}, {"after": "é"}, {"before": "%%%"}, {"after": "MjAyNi0wMS0wMXw1"},
    {"after": "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMHx4"}, {"status": "Completed"}, {"status": "completed"}, {"status": ["draft", "nonsense", "\0"]},
    {"view": "nonsense"}, {"view": "\0"}, {"q": "x" * 10_000}, {"q": "\0"}, {"q": "a\0b"}, {"q": "%%%"}, {"q": "\ud7ff\ue000\U0010ffff"},
    {"page": "-1"}, {"page": "1e9"}, {"page_size": "1000000000"}, {"sort": "-seller__secret"}, {"status__regex": "(a+)+$"}, {"_connector": "OR"},
    {"seller": "2"}, {"customer": "nobody"}, {"q": "' OR 1=1--"}, {"q": "SO-"}, {"q": "<script>alert(1)</script>"}, {"fresh": "x"},
]  # fmt: skip


@pytest.mark.pages
def test_nonsense_in_the_address_is_ignored(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    for path in LISTS.values():
        everything = len(listed(manager, path))
        for parameters in NONSENSE:
            response = manager.get(path, parameters)
            assert response.status_code == 200, parameters
            page = HtmlPage(response)
            assert complaints(page) == [], parameters
            if not {"q", "status"} & set(parameters):
                assert len(rows(page)) == everything, parameters


CURSORS = ("0001-01-01T00:00:00+14:00|1", "9999-12-31T23:59:59.999999-14:00|1", "0001-01-01T00:00:00+00:00|9223372036854775807",
           "2026-01-01T00:00:00+00:00|0", "2026-01-01T00:00:00+00:00|-1", "2026-01-01T00:00:00|1", "2026-01-01T00:00:00+00:00|9223372036854775808",
           "2026-01-01T00:00:00+00:00|1_0", "|", "2026-01-01T00:00:00+23:59|1")  # fmt: skip


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("name", ["after", "before"])
def test_a_forged_cursor_at_the_edges_of_time_opens_a_page(manager: Client, world: World, name: str, cursor: str) -> None:
    import base64

    order_in(OrderStatus.DRAFT, world)
    encoded = base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")
    for path in LISTS.values():
        assert manager.get(path, {name: encoded}).status_code == 200


# --- empty


@pytest.mark.parametrize(("path", "words"), [("/orders/", "No recent orders"), ("/orders/historical/", "No historical orders yet")])
def test_an_empty_section_says_what_will_stand_there(manager: Client, world: World, path: str, words: str) -> None:
    page = HtmlPage(manager.get(path))
    assert page.says(words)
    assert not page.all("table")


def test_an_empty_search_says_so_and_offers_to_clear_it(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    page = HtmlPage(manager.get("/orders/", {"q": "nobody has this"}))
    assert page.says("No order matches")
    [clear] = [link for link in page.all("a") if text_of(link) == "Clear search and filters"]
    assert clear.get("href") == "/orders/"


def test_a_viewer_of_an_empty_list_is_not_offered_what_he_may_not_do(client: Client, world: World) -> None:
    client.force_login(world.harbour.viewer)
    assert "/orders/new/" not in HtmlPage(client.get("/orders/")).links()


# --- pages by key


def many(world: World, count: int, *, minutes: int = 1) -> list[Order]:
    """Drafts, the newest first; `minutes` 0 gives all of them the same instant of change."""
    seller, now = world.harbour, clock.now()
    made = Order.objects.bulk_create(
        Order(
            number=f"SO-5{number:05}", seller=seller.seller, customer=seller.customer, status=OrderStatus.DRAFT, currency="EUR",
            created_by=seller.manager, created_at=now, changed_at=now - timedelta(minutes=number * minutes),
        )
        for number in range(count)
    )  # fmt: skip
    price = world.backup_monthly
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order, position=1, offer=world.backup, title=world.backup.title, quantity=1, term=price.term, billing_cycle=price.billing_cycle,
            term_cost=price.term_cost, term_price=price.term_price, unit_price=9, amount=9, tax_rate=21, tax=2,
        )
        for order in made
    )  # fmt: skip
    return sorted(made, key=lambda order: (order.changed_at, order.pk), reverse=True)


def link(page: HtmlPage, rel: str) -> str:
    found = page.all("a", rel=rel)
    return found[0].attrib["href"] if found else ""


def walk(client: Client, start: str, rel: str) -> Iterator[HtmlPage]:
    """The page and all that follow it in one direction, each address as the browser would resolve it."""
    path, address = start.partition("?")[0], start
    for _ in range(50):
        page = HtmlPage(client.get(address))
        yield page
        following = link(page, rel)
        if not following:
            return
        address = path + following
    pytest.fail("The pages never end.")


@pytest.mark.parametrize("minutes", [1, 0], ids=["different instants", "one instant for all"])
def test_sixty_orders_are_each_on_exactly_one_page_forwards_and_backwards(manager: Client, world: World, minutes: int) -> None:
    wanted = [order.number for order in many(world, 60, minutes=minutes)]
    with CaptureQueriesContext(connection) as queries:
        forward = list(walk(manager, "/orders/", "next"))
        last = f"/orders/?after={link(forward[-2], 'next').partition('after=')[2]}"
        back = list(walk(manager, last, "prev"))
    assert [rows(page) for page in forward] == [wanted[:25], wanted[25:50], wanted[50:]]
    assert [rows(page) for page in back] == [wanted[50:], wanted[25:50], wanted[:25]]
    assert link(forward[0], "prev") == ""
    assert link(back[-1], "prev") == ""
    assert not [query["sql"] for query in queries if " OFFSET " in query["sql"].upper()]


def test_the_links_between_pages_keep_filter_and_search(manager: Client, world: World) -> None:
    many(world, 60)
    Order.objects.filter(number__endswith="7").update(reference="odd")
    pages = list(walk(manager, "/orders/?status=draft&view=drafts&q=alder", "next"))
    assert [len(rows(page)) for page in pages] == [25, 25, 10]
    for page in pages:
        assert page.field("q").get("value") == "alder"
        assert [box.get("value") for box in page.all("input", type="checkbox") if "checked" in box.attrib] == ["draft"]


def test_an_order_that_moves_while_one_reads_costs_no_other_order_its_place(manager: Client, world: World) -> None:
    """The moved one goes to the front; each of the others is read exactly once, which an OFFSET would not keep."""
    orders = many(world, 60)
    for mover in (orders[40], orders[2]):
        first = HtmlPage(manager.get("/orders/"))
        seen = rows(first)
        lifecycle.edit(mover, [world.line()], by=world.harbour.manager, version=again(mover).version)
        for page in walk(manager, f"/orders/{link(first, 'next')}", "next"):
            seen += rows(page)
        others = [number for number in seen if number != mover.number]
        assert sorted(others) == sorted(numbers(orders) - {mover.number})
        assert seen.count(mover.number) <= 1
        assert rows(HtmlPage(manager.get("/orders/")))[0] == mover.number


def test_an_order_that_leaves_the_section_while_one_reads_costs_no_other_order_its_place(manager: Client, world: World) -> None:
    orders = many(world, 60)
    first = HtmlPage(manager.get("/orders/"))
    last_seen = Order.objects.get(number=rows(first)[-1])
    lifecycle.delete(last_seen, by=world.harbour.manager)
    seen = rows(first)
    for page in walk(manager, f"/orders/{link(first, 'next')}", "next"):
        seen += rows(page)
    assert sorted(seen) == sorted(numbers(orders))


def test_a_page_of_exactly_the_last_orders_offers_no_further_one(manager: Client, world: World) -> None:
    many(world, PAGE_SIZE)
    page = HtmlPage(manager.get("/orders/"))
    assert len(rows(page)) == PAGE_SIZE
    assert link(page, "next") == ""


# --- the price in queries

THEN = "2020-01-01T00:00:00+00:00"
BOUNDS = {"/orders/": 17, "/orders/historical/": 17, "/orders/live/": 21}


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as queries:
        yield queries


def statements(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "ROLLBACK"))]


def of_every_shape(world: World) -> None:
    """One order of each shape that a row may have, so that no prefetch finds nothing to do."""
    for status in OrderStatus:
        order_in(status, world)
    order_in(OrderStatus.COMPLETED_WITH_ERRORS, world, world.line(), world.line(world.premium_yearly))


def ask(client: Client, path: str) -> Any:
    parameters: dict[str, Any] = {}
    if path == "/orders/live/":
        on_page = Order.objects.filter(seller__code="harbour").order_by("-changed_at")[:PAGE_SIZE]
        parameters = {"since": THEN, "opened": THEN, "fresh": "0", "row": [f"{order.number}@1" for order in on_page]}
    return client.get(path, parameters)


@pytest.mark.parametrize("path", list(BOUNDS))
def test_a_list_costs_the_same_few_queries_for_ten_orders_and_for_a_thousand(manager: Client, world: World, path: str) -> None:
    of_every_shape(world)
    ask(manager, path)
    with counted() as few:
        assert ask(manager, path).status_code == 200
    many(world, 1_000)
    # Those of every shape are the newest still, so that a page holds what it held, and 25 rows instead of ten.
    deleted = many_deleted(world, 1_000)
    assert Order.objects.count() >= 2_000
    assert deleted
    with counted() as lots:
        assert ask(manager, path).status_code == 200
    difference = "\n".join(statement[:200] for statement in statements(lots))
    # The look for the rows on the page is the test's own.
    assert len(statements(lots)) == len(statements(few)), difference
    assert len(statements(lots)) <= BOUNDS[path], difference


def test_a_full_page_and_what_it_loads_stay_light(manager: Client, world: World) -> None:
    """What travels, compressed (interface.md A24): 5 KB of HTML; under 35 KB for all CSS and JavaScript."""
    many(world, PAGE_SIZE - 10)
    of_every_shape(world)
    of_every_shape(world)
    response = manager.get("/orders/")
    assert len(rows(HtmlPage(response))) == PAGE_SIZE
    assert len(gzip.compress(response.content)) <= 5_000
    files = re.findall(rb'(?:href|src)="/static/([^"]+\.(?:css|js))"', response.content)
    assert len(files) >= 4
    sizes = {name.decode(): len(gzip.compress((settings.STATIC_ROOT / name.decode()).read_bytes())) for name in files}
    assert sum(sizes.values()) < 35_000, sizes


def many_deleted(world: World, count: int) -> int:
    """Historical ones, by the one way that the database allows: born as drafts, then deleted."""
    now = clock.now()
    Order.objects.bulk_create(
        Order(
            number=f"SO-6{number:05}", seller=world.harbour.seller, customer=world.harbour.customer, status=OrderStatus.DRAFT, currency="EUR",
            created_by=world.harbour.manager, created_at=now, changed_at=now - timedelta(days=1, minutes=number),
        )
        for number in range(count)
    )  # fmt: skip
    return Order.objects.filter(number__startswith="SO-6", status=OrderStatus.DRAFT).update(status=OrderStatus.DELETED)


# Orders are counted over a limited subquery or not at all.
WHOLE_COUNT = re.compile(r"COUNT\((?!.*\bFROM \(SELECT\b.*\bLIMIT \d+\))", re.IGNORECASE | re.DOTALL)


@pytest.mark.parametrize("path", [*BOUNDS, "/orders/?view=attention&q=alder&status=draft"])
def test_no_list_counts_a_whole_table(manager: Client, world: World, path: str) -> None:
    of_every_shape(world)
    with counted() as queries:
        ask(manager, path)
    asked = statements(queries)
    assert not [statement for statement in asked if WHOLE_COUNT.search(statement)]
    unlimited = [statement for statement in asked if re.search(r'FROM "orders_order"(?!.*\b(LIMIT \d+|"id" (=|IN)))', statement, re.DOTALL)]
    assert not [statement for statement in unlimited if '"number" IN (' not in statement]


def test_the_count_expression_of_this_file_would_notice_a_whole_count() -> None:
    assert WHOLE_COUNT.search('SELECT COUNT(*) AS "__count" FROM "orders_order" WHERE x')
    assert not WHOLE_COUNT.search('SELECT COUNT(*) FROM (SELECT 1 AS "__col1" FROM "orders_order" WHERE x LIMIT 100) subquery')


def test_a_number_that_is_too_large_to_count_is_shown_as_more_than_the_limit(manager: Client, world: World) -> None:
    many(world, COUNT_LIMIT + 1)
    assert text_of(HtmlPage(manager.get("/orders/")).by_id("recent-count")) == f"{COUNT_LIMIT}+"


# --- live


class Watcher:
    """An open list page that polls: it knows what it shows, as portal.js does."""

    def __init__(self, client: Client, path: str = "/orders/", **parameters: Any) -> None:
        self.client = client
        page = HtmlPage(client.get(path, parameters))
        self.shown = dict(field.get("value", "").split("@") for field in page.all("input", name="row"))
        self.fields = {field.attrib["name"]: field.get("value", "") for field in page.by_id("live").iter("input")}

    def poll(self) -> Any:
        """The raw answer; what it brought is shown from then on."""
        rows_ = [f"{number}@{stamp}" for number, stamp in self.shown.items()]
        response = self.client.get("/orders/live/", {**self.fields, "row": rows_})
        if response.status_code == 200:
            text = response.content.decode()
            self.shown |= dict(re.findall(r'name="row" value="([^"@]+)@(\d+)"', text))
            for name in ("since", "fresh"):
                self.fields[name] = re.findall(rf'name="{name}" id="live-{name}" value="([^"]*)"', text)[0]
        return response


def changed_rows(response: Any) -> list[str]:
    return re.findall(r'<tr role="row" id="order-([^"]+)" hx-swap-oob="true"', response.content.decode())


def sentence(response: Any) -> str:
    found = re.findall(r'<div id="announce"[^>]*>(.*?)</div>', response.content.decode(), re.DOTALL)
    assert len(found) <= 1, "more than one sentence"
    return str(found[0]) if found else ""


def touch(order: Order, world: World) -> None:
    """The order changes, as an edit would change it."""
    lifecycle.edit(again(order), [world.line(quantity=again(order).version + 5)], by=world.harbour.admin, version=again(order).version)


def test_while_nothing_changes_a_poll_answers_nothing(manager: Client, world: World) -> None:
    order_in(OrderStatus.DRAFT, world)
    watcher, before = Watcher(manager), state()
    for _ in range(3):
        response = watcher.poll()
        assert (response.status_code, response.content) == (204, b"")
    assert state() == before


def test_a_changed_row_comes_out_of_band_once_and_only_that_one(manager: Client, world: World) -> None:
    first, _second = order_in(OrderStatus.DRAFT, world), order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager)
    touch(first, world)
    response = watcher.poll()
    assert changed_rows(response) == [first.number]
    assert sentence(response) == f"Order {first.number}: Draft."
    assert watcher.poll().status_code == 204, "looking back a few seconds repeats nothing"


def test_a_change_that_happens_between_the_query_and_the_first_poll_is_not_missed(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager)
    Order.objects.filter(pk=order.pk).update(changed_at=again(order).changed_at + timedelta(microseconds=1))
    assert changed_rows(watcher.poll()) == [order.number]


def test_an_order_that_is_not_on_the_page_is_announced_as_a_number_and_not_as_a_row(manager: Client, world: World) -> None:
    order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager)
    new = order_in(OrderStatus.DRAFT, world)
    response = watcher.poll()
    assert changed_rows(response) == []
    assert new.number not in response.content.decode()
    assert "1 more order changed or came in." in response.content.decode()
    assert watcher.poll().status_code == 204, "the same number is not told again"
    order_in(OrderStatus.DRAFT, world)
    assert "2 more orders changed or came in." in watcher.poll().content.decode()


def test_a_number_counts_only_what_the_filters_let_through(manager: Client, world: World) -> None:
    order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager, status="scheduled")
    order_in(OrderStatus.DRAFT, world)
    assert watcher.poll().status_code == 204
    order_in(OrderStatus.SCHEDULED, world)
    assert "1 more order changed or came in." in watcher.poll().content.decode()


def test_what_happens_at_another_seller_is_nothing_here(manager: Client, world: World) -> None:
    theirs = order_in(OrderStatus.DRAFT, world, at=world.northwind)
    order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager)
    watcher.shown[theirs.number] = "1"
    lifecycle.edit(theirs, [world.line(quantity=9)], by=world.northwind.manager, version=theirs.version)
    order_in(OrderStatus.PROVISIONING_FAILED, world, at=world.northwind)
    response = watcher.poll()
    assert (response.status_code, response.content) == (204, b"")


def test_three_changes_are_told_one_by_one_and_four_in_one_number(manager: Client, world: World) -> None:
    orders = [order_in(OrderStatus.DRAFT, world) for _ in range(4)]
    watcher = Watcher(manager)
    for order in orders[:3]:
        touch(order, world)
    three = sentence(watcher.poll())
    assert three.count("Order SO-") == 3
    for order in orders:
        touch(order, world)
    assert sentence(watcher.poll()) == "4 orders changed."


def test_failures_among_many_changes_are_counted(manager: Client, world: World) -> None:
    order_in(OrderStatus.DRAFT, world)
    drafts = [order_in(OrderStatus.DRAFT, world) for _ in range(3)]
    failing = order_in(OrderStatus.PROVISIONING_STARTED, world)
    watcher = Watcher(manager)
    for order in drafts:
        touch(order, world)
    fail(failing)
    assert sentence(watcher.poll()) == "4 orders changed, 1 failed."


def fail(order: Order) -> None:
    from tests.harness.world import verdict_refused

    verdict_refused(order.attempts.get())


def test_a_failure_is_told_with_its_reason_and_its_row_brings_the_card(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_STARTED, world)
    watcher = Watcher(manager)
    fail(order)
    response = watcher.poll()
    text = response.content.decode()
    assert changed_rows(response) == [order.number]
    assert sentence(response).startswith(f"Order {order.number}: Provisioning Failed. ")
    assert f'id="reason-{order.number}"' in text
    assert "The contact e-mail is not valid." in text, "the vendor's own words"
    assert 'id="recent-count"' in text
    assert 'id="views"' in text


def test_an_order_that_went_to_historical_keeps_its_row_with_a_link_to_where_it_is(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager)
    lifecycle.delete(order, by=world.harbour.admin)
    response = watcher.poll()
    text = response.content.decode()
    assert changed_rows(response) == [order.number]
    assert "Deleted" in sentence(response)
    assert re.search(r'<a class="link[^"]*" href="/orders/historical/">Moved to Historical</a>', text)
    assert order.number not in listed(manager, "/orders/")


def test_a_words_of_a_customer_in_a_live_row_are_only_words(manager: Client, world: World) -> None:
    Customer.objects.filter(pk=world.harbour.customer.pk).update(name='"><img src=x onerror=1>')
    order = order_in(OrderStatus.DRAFT, world)
    watcher = Watcher(manager)
    touch(order, world)
    text = watcher.poll().content.decode()
    assert "<img" not in text
    assert "&lt;img" in text


def test_the_page_of_an_order_hears_of_its_own_order_only(manager: Client, world: World) -> None:
    mine, other = order_in(OrderStatus.DRAFT, world), order_in(OrderStatus.DRAFT, world)
    theirs = order_in(OrderStatus.DRAFT, world, at=world.northwind)
    fields = {
        field.attrib["name"]: field.get("value", "")
        for field in HtmlPage(manager.get(f"/orders/{mine.number}/")).by_id("live").iter("input")
    }
    assert manager.get("/orders/live/", fields).status_code == 204
    touch(other, world)
    assert manager.get("/orders/live/", fields).status_code == 204, "another order's change is nothing here"
    assert manager.get("/orders/live/", fields | {"row": f"{theirs.number}@1"}).status_code == 204
    touch(mine, world)
    response = manager.get("/orders/live/", fields)
    assert response.status_code == 200
    assert sentence(response) == f"Order {mine.number}: Draft."
    assert changed_rows(response) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {}, {"since": "x", "opened": "x"}, {"since": THEN}, {"since": "2026-01-01", "opened": "2026-01-01"}, {"since": "0001-01-01T00:00:00+00:00", "opened": THEN},
        {"since": THEN, "opened": "0001-01-01T00:00:00+14:00"}, {"since": "9999-12-31T23:59:59-14:00", "opened": THEN}, {"since": "\0", "opened": "\0"},
        {"since": THEN, "opened": "9999-12-31T23:59:59-14:00"}, {"since": THEN, "opened": THEN, "row": "\0"}, {"since": THEN, "opened": THEN, "row": "@@@"},
        {"since": THEN, "opened": THEN, "row": ["x"] * 900}, {"since": THEN, "opened": THEN, "fresh": "-1"}, {"since": THEN, "opened": THEN, "section": "\0"},
        {"since": THEN, "opened": THEN, "q": "a\0", "status": "\0", "view": "\0"}, {"since": "0001-01-01T00:00:09+00:00", "opened": THEN},
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_in_a_poll_breaks_nothing(manager: Client, world: World, parameters: dict[str, Any]) -> None:
    order_in(OrderStatus.DRAFT, world)
    assert manager.get("/orders/live/", parameters).status_code in {200, 204}


def test_a_list_that_htmx_asks_for_is_only_the_results_and_caches_apart(manager: Client, all_ten: dict[OrderStatus, Order]) -> None:
    whole, part = manager.get("/orders/"), manager.get("/orders/", headers={"HX-Request": "true"})
    assert b"<html" in whole.content
    assert b"<html" not in part.content
    assert re.findall(rb'id="order-[^"]+"', part.content) == re.findall(rb'id="order-[^"]+"', whole.content)
    assert "HX-Request" in part["Vary"]
    assert b"<html" in manager.get("/orders/", headers={"HX-Request": "true", "HX-Boosted": "true"}).content
