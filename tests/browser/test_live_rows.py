"""Rows that change by themselves, and never under the reader's hands. No worker: each change is made by a verb here."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from orders import lifecycle
from orders.models import Order
from orders.statuses import OrderStatus
from tests.browser.conftest import Shop
from tests.browser.pages import NewContext, badge, card, focused, page_of, row, tick, title_badge
from tests.harness.browser import Problems
from tests.harness.world import order_in, verdict_approved, verdict_done, verdict_refused

pytestmark = pytest.mark.appearance

STARTED, FAILED = OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FAILED


def list_of(shop: Shop, new_context: NewContext, *orders: Order, with_clock: bool = False, **options: object) -> Page:
    page = page_of(shop.world.harbour.manager, shop.portal, new_context, **options)
    if with_clock:
        page.clock.install()
    page.goto(f"{shop.url}/orders/")
    for order in orders:
        expect(row(page, order)).to_be_visible()
    return page


def order_of_rows(page: Page) -> list[str]:
    return page.locator("#rows tr").evaluate_all("rows => rows.map((row) => row.id)")


def watch_announcements(page: Page) -> None:
    page.evaluate(
        """() => {
            window.announced = [];
            new MutationObserver(() => {
                const text = document.getElementById("announce").textContent.trim();
                if (text) window.announced.push(text);
            }).observe(document.getElementById("announce"), { childList: true, characterData: true, subtree: true });
        }"""
    )


def test_a_row_changes_by_itself_and_is_announced_in_one_sentence(shop: Shop, new_context: NewContext) -> None:
    order = order_in(STARTED, shop.world)
    page = list_of(shop, new_context, order)
    watch_announcements(page)
    expect(page.locator("#live-line")).to_contain_text("Live")
    expect(row(page, order).locator(".status-why")).to_have_text(re.compile(r"Waiting for vendor, \d+ s"))
    before = order_of_rows(page)
    attention = page.get_by_role("link", name="Needs attention")
    counted = int(attention.locator("b").inner_text())

    verdict_refused(order.attempts.get())
    # Nothing is touched: the page asks by itself.
    expect(badge(page, order)).to_have_text("Provisioning Failed", timeout=15_000)
    expect(row(page, order)).to_have_class(re.compile("just-changed"))
    expect(row(page, order)).to_contain_text("Customer details not accepted")
    assert order_of_rows(page) == before
    assert page.evaluate("window.announced") == [f"Order {order.number}: Provisioning Failed. A detail of the customer isn’t accepted."]
    expect(attention.locator("b")).to_have_text(str(counted + 1))

    # The row that came in is as good as the one that was there: its card opens and closes, and its copy button shows.
    badge(page, order).hover()
    expect(card(page, order)).to_be_visible()
    expect(card(page, order).get_by_role("button", name="Copy")).to_be_visible()
    page.keyboard.press("Escape")

    # Nothing new: 204, and not a single node is touched.
    page.evaluate(
        "() => { window.touched = 0; new MutationObserver((all) => { "
        # Ages count on by themselves.
        "window.touched += all.filter((one) => !one.target.closest('time')).length; })"
        ".observe(document.getElementById('rows'), { childList: true, subtree: true }); }"
    )
    assert tick(page) == 204
    assert page.evaluate("window.touched") == 0
    assert len(page.evaluate("window.announced")) == 1

    # Completed leaves Recent: the row stays until the page is loaded again, and says where the order is.
    again = order_in(STARTED, shop.world)
    page.reload()
    verdict_done(again.attempts.get())
    assert tick(page) == 200
    expect(badge(page, again)).to_have_text("Completed")
    expect(row(page, again).get_by_role("link", name="Moved to Historical")).to_be_visible()
    page.reload()
    expect(row(page, again)).to_have_count(0)


def test_four_changes_at_once_are_one_short_sentence(shop: Shop, new_context: NewContext) -> None:
    orders = [order_in(STARTED, shop.world) for _ in range(4)]
    page = list_of(shop, new_context, *orders)
    watch_announcements(page)
    verdict_refused(orders[0].attempts.get())
    for order in orders[1:]:
        verdict_approved(order.attempts.get())
    assert tick(page) == 200
    expect(page.locator("#announce")).to_have_text("4 orders changed, 1 failed.")
    expect(badge(page, orders[0])).to_have_text("Provisioning Failed")
    expect(badge(page, orders[1])).to_have_text("Provisioning Finished")
    assert page.evaluate("window.announced") == ["4 orders changed, 1 failed."]


def test_an_open_card_the_focus_and_the_scroll_position_survive_a_change_in_that_very_row(shop: Shop, new_context: NewContext) -> None:
    order, other = order_in(FAILED, shop.world), order_in(STARTED, shop.world)
    for _ in range(6):
        order_in(OrderStatus.DRAFT, shop.world)
    page = list_of(shop, new_context, order, other, viewport={"width": 1280, "height": 500})
    badge(page, order).focus()
    page.keyboard.press("Enter")
    expect(card(page, order)).to_be_visible()
    card(page, order).get_by_role("button", name="Copy").focus()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0

    lifecycle.retry(order, by=shop.world.harbour.manager)
    verdict_refused(other.attempts.get())
    assert tick(page) == 200
    # Another row changed at once; this one waits for its reader.
    expect(badge(page, other)).to_have_text("Provisioning Failed")
    expect(badge(page, order)).to_contain_text("Provisioning Failed")
    expect(card(page, order)).to_be_visible()
    expect(card(page, order).get_by_role("button", name="Copy")).to_be_focused()
    assert page.evaluate("scrollY") == scrolled
    # It is not sent again and again meanwhile.
    assert tick(page) == 204

    # Closed, but the focus is on its badge: still waiting. Then let go.
    page.keyboard.press("Escape")
    expect(card(page, order)).to_be_hidden()
    expect(badge(page, order)).to_be_focused()
    expect(badge(page, order)).to_contain_text("Provisioning Failed")
    page.get_by_role("link", name=other.number).focus()
    expect(badge(page, order)).to_have_text("Provisioning Started")
    expect(page.get_by_role("link", name=other.number)).to_be_focused()
    assert page.evaluate("scrollY") == scrolled
    assert order.attempts.count() == 2


def test_a_card_opened_by_the_pointer_survives_and_the_keyboard_stays_where_it_was(shop: Shop, new_context: NewContext) -> None:
    order = order_in(FAILED, shop.world)
    page = list_of(shop, new_context, order)
    page.get_by_label("Search orders").focus()
    page.keyboard.type("alder")
    badge(page, order).hover()
    expect(card(page, order)).to_be_visible()
    lifecycle.retry(order, by=shop.world.harbour.manager)
    assert tick(page) == 200
    expect(card(page, order)).to_be_visible()
    page.mouse.move(5, 5)
    expect(badge(page, order)).to_have_text("Provisioning Started")
    expect(page.get_by_label("Search orders")).to_be_focused()
    expect(page.get_by_label("Search orders")).to_have_value("alder")

    # The keyboard on the row's own link: the row changes when it has left, and the focus is not thrown to the top.
    page.get_by_role("link", name=order.number).focus()
    verdict_refused(order.attempts.last())
    assert tick(page) == 200
    assert focused(page) == order.number
    page.keyboard.press("Tab")
    assert focused(page) != "BODY"
    expect(badge(page, order)).to_have_text("Provisioning Failed")


def test_orders_that_are_not_on_the_page_are_counted_and_move_nothing(shop: Shop, new_context: NewContext) -> None:
    shown = order_in(OrderStatus.DRAFT, shop.world)
    page = list_of(shop, new_context, shown)
    before = order_of_rows(page)
    order_in(OrderStatus.DRAFT, shop.world)
    newest = order_in(STARTED, shop.world)
    assert tick(page) == 200
    expect(page.locator("#fresh")).to_contain_text("2 more orders changed or came in.")
    assert order_of_rows(page) == before
    # Said once, not with every look.
    assert tick(page) == 204
    page.locator("#fresh").get_by_role("link", name="Show").click()
    expect(row(page, newest)).to_be_visible()
    expect(page.locator("#fresh")).to_have_text("")


def test_a_hidden_page_asks_nothing_and_looks_at_once_when_seen_again(shop: Shop, new_context: NewContext) -> None:
    order = order_in(STARTED, shop.world)
    page = list_of(shop, new_context, order, with_clock=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/orders/live/" in request.url else None)

    def show(state: str) -> None:
        page.evaluate(
            """(state) => {
                Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
                Object.defineProperty(document, "hidden", { configurable: true, get: () => state === "hidden" });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            state,
        )

    with page.expect_response(re.compile("/orders/live/")):
        page.clock.run_for(4_100)
    assert len(asked) == 1
    show("hidden")
    page.clock.run_for(120_000)
    assert len(asked) == 1
    verdict_refused(order.attempts.get())
    show("visible")
    expect(badge(page, order)).to_have_text("Provisioning Failed")
    assert len(asked) == 2


def test_without_the_server_it_says_paused_and_goes_on_when_it_is_back(shop: Shop, new_context: NewContext, problems: Problems) -> None:
    problems.allow(r"net::ERR_CONNECTION_REFUSED|htmx:(sendError|afterRequest)")
    order = order_in(STARTED, shop.world)
    page = list_of(shop, new_context, order, with_clock=True)
    live = page.locator("#live-line .live")
    expect(live).to_have_text("Live")
    away = [True]

    def no_connection(route: Route) -> None:
        route.abort("connectionrefused") if away[0] else route.continue_()

    page.route("**/orders/live/**", no_connection)
    for pause in (4_100, 8_100, 16_100):
        expect(live).to_have_text("Live")
        with page.expect_event("requestfailed"):
            page.clock.run_for(pause)
    expect(live).to_have_text("Paused, no connection")
    expect(live).to_have_attribute("data-state", "paused")
    # The rest of the page says nothing of it.
    expect(page.locator("#trouble")).to_have_text("")
    verdict_refused(order.attempts.get())
    away[0] = False
    with page.expect_response(re.compile("/orders/live/")):
        page.clock.run_for(60_100)
    expect(live).to_have_text("Live")
    expect(badge(page, order)).to_have_text("Provisioning Failed")


def test_the_page_of_an_order_follows_unless_somebody_reads_in_it(shop: Shop, new_context: NewContext) -> None:
    order = order_in(STARTED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/")
    expect(title_badge(page)).to_have_text("Provisioning Started")
    page.locator("details.attempt summary").click()
    verdict_refused(order.attempts.get())
    assert tick(page) == 200
    # Somebody reads: it only offers.
    expect(page.locator("#fresh")).to_contain_text("This order is Provisioning Failed now.")
    expect(page.locator("#announce")).to_have_text(f"Order {order.number}: Provisioning Failed.")
    expect(title_badge(page)).to_have_text("Provisioning Started")
    assert tick(page) == 204
    page.locator("#fresh").get_by_role("link", name="Show").click()
    expect(title_badge(page)).to_have_text("Provisioning Failed")

    # Nobody does: it shows what is now by itself.
    lifecycle.retry(order, by=shop.world.harbour.manager)
    page.evaluate("() => document.body.dispatchEvent(new CustomEvent('portal:tick'))")
    expect(title_badge(page)).to_have_text("Provisioning Started")
    expect(page.locator(".timeline")).to_contain_text("Retried")
