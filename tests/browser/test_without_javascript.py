"""Everything works without JavaScript: script only saves presses."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from orders.models import Order
from orders.statuses import OrderStatus
from tests.browser.conftest import Shop
from tests.browser.pages import (
    MICROSOFT,
    NORTHGATE,
    NewContext,
    badge,
    card,
    fill_item,
    page_of,
    row,
    start_order,
    title_badge,
)
from tests.harness.browser import Problems, sign_in
from tests.harness.world import again, order_in

pytestmark = pytest.mark.appearance
# The console tells of every answer above 399; a form with errors is one.
UNPROCESSABLE = "status of 422"


@pytest.fixture
def page(shop: Shop, new_context: NewContext) -> Iterator[Page]:
    """The seller's page in a browser that runs no script at all."""
    page = page_of(shop.world.harbour.manager, shop.portal, new_context, java_script_enabled=False)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    yield page
    assert not [url for url in requested if url.endswith("/live/")]


def test_signing_in_finding_and_paging(shop: Shop, new_context: NewContext) -> None:
    seller = shop.world.northwind
    drafts = [order_in(OrderStatus.DRAFT, shop.world, at=seller) for _ in range(27)]
    failed = order_in(OrderStatus.PROVISIONING_FAILED, shop.world, at=seller)
    Order.objects.filter(pk=drafts[3].pk).update(reference="PO 4711")
    page = new_context(java_script_enabled=False).new_page()

    sign_in(page, shop.portal, "max@northwind.example", "wrong")
    expect(page.get_by_role("alert").first).to_contain_text("don’t belong together")
    sign_in(page, shop.portal, "max@northwind.example")
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders")
    # What only works with script is not there.
    for hidden in ("#live-line", "[data-theme-toggle]"):
        expect(page.locator(hidden)).to_be_hidden()

    # Pages, there and back.
    rows = page.locator("#rows tr")
    expect(rows).to_have_count(25)
    first_page = rows.evaluate_all("rows => rows.map((row) => row.id)")
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(3)
    assert not set(first_page) & set(rows.evaluate_all("rows => rows.map((row) => row.id)"))
    page.get_by_role("link", name="Newer").click()
    assert rows.evaluate_all("rows => rows.map((row) => row.id)") == first_page

    # Views, the status filter and the search; all of it in the address.
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Needs attention").click()
    expect(rows).to_have_count(1)
    expect(row(page, failed)).to_be_visible()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="All").click()
    page.locator("summary", has_text="Status").click()
    page.get_by_label("Provisioning Failed").check()
    page.get_by_role("button", name="Filter").click()
    assert "status=provisioning_failed" in page.url
    expect(rows).to_have_count(1)
    expect(page.locator("summary", has_text="Status: 1")).to_be_visible()
    page.reload()
    expect(row(page, failed)).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Search orders").fill("PO 4711")
    page.get_by_label("Search orders").press("Enter")
    expect(rows).to_have_count(1)
    expect(row(page, drafts[3])).to_be_visible()
    page.get_by_label("Search orders").fill("nobody")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("heading", name="No order matches")).to_be_visible()
    page.go_back()
    expect(row(page, drafts[3])).to_be_visible()
    page.get_by_role("navigation", name="Order sections").get_by_role("link", name="Historical").click()
    expect(page.get_by_role("heading", name="No historical orders yet")).to_be_visible()

    # And out.
    page.get_by_role("button", name="Northwind IT").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{shop.url}/orders/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_card_opens_by_a_press_and_its_retry_works(shop: Shop, page: Page) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, shop.world)
    page.goto(f"{shop.url}/orders/")
    badge(page, order).click()
    expect(card(page, order)).to_be_visible()
    expect(card(page, order).locator("pre")).to_have_text("The contact e-mail is not valid.")
    expect(card(page, order).get_by_role("button", name="Copy")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(card(page, order)).to_be_hidden()
    badge(page, order).focus()
    page.keyboard.press("Enter")
    expect(card(page, order)).to_be_visible()
    card(page, order).get_by_role("button", name="Close").click()
    expect(card(page, order)).to_be_hidden()

    badge(page, order).click()
    card(page, order).get_by_role("link", name="Edit customer").click()
    expect(page.locator("#fix-reason")).to_contain_text("A detail of the customer isn’t accepted")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.go_back()
    badge(page, order).click()
    card(page, order).get_by_role("button", name="Retry").click()
    expect(title_badge(page)).to_have_text("Provisioning Started")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order.number}")
    assert order.attempts.count() == 2


def test_two_cards_of_one_list_retry_two_orders(shop: Shop, page: Page) -> None:
    """Both forms came with one page: the second press must not be taken for a repeat of the first."""
    orders = [order_in(OrderStatus.PROVISIONING_FAILED, shop.world) for _ in range(2)]
    for order in orders:
        if order is orders[0]:
            page.goto(f"{shop.url}/orders/")
        else:
            page.go_back()
        badge(page, order).click()
        card(page, order).get_by_role("button", name="Retry").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order.number}")
        assert again(order).status == OrderStatus.PROVISIONING_STARTED


def test_an_order_is_written_reviewed_and_placed(shop: Shop, page: Page, problems: Problems) -> None:
    problems.allow(UNPROCESSABLE)
    page.goto(f"{shop.url}/orders/")
    start_order(page, "Alder Dental (alderdentalharbour.onmicrosoft.com)", [(NORTHGATE, 3), (MICROSOFT, 2)])
    page.get_by_role("button", name="Update totals").click()
    expect(page.locator("#totals")).to_contain_text("€\u00a081.30")
    expect(page.locator("#amount-0")).to_contain_text("€\u00a028.50 per month, €\u00a09.50 each")
    page.get_by_role("button", name=f"Remove {NORTHGATE}").click()
    expect(page.get_by_role("group", name="Item 2")).to_have_count(0)
    expect(page.get_by_role("group", name="Item 1").get_by_label("Quantity")).to_have_value("2")
    expect(page.locator("#totals")).to_contain_text("€\u00a052.80")

    # What is wrong is said, and nothing typed is lost.
    fill_item(page, 2, NORTHGATE, 0)
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("alert").first).to_contain_text("1 thing to correct")
    expect(page.get_by_role("group", name="Item 2")).to_contain_text("Write a number from 1 up.")
    expect(page.get_by_role("group", name="Item 2").get_by_label("Quantity")).to_be_focused()
    page.get_by_role("group", name="Item 2").get_by_label("Quantity").fill("4")
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    expect(page.get_by_role("complementary", name="Place")).to_contain_text("€\u00a0109.87")
    page.get_by_role("button", name="Place order").click()
    expect(title_badge(page)).to_have_text("Provisioning Started")
    placed = Order.objects.latest("id")
    assert [line.quantity for line in placed.lines.order_by("position")] == [2, 4]
    assert placed.attempts.count() == 2


def test_notes_closing_deleting_undoing_and_stopping(shop: Shop, page: Page, problems: Problems) -> None:
    problems.allow(UNPROCESSABLE)
    failed = order_in(OrderStatus.PROVISIONING_FAILED, shop.world)
    page.goto(f"{shop.url}/orders/{failed.number}/")
    page.locator("summary", has_text="Add note").click()
    page.get_by_label("Note").fill("   ")
    page.get_by_role("button", name="Save note").click()
    expect(page.get_by_text("Write the note first.")).to_be_visible()
    page.get_by_label("Note").fill("Called Anna.\n<b>Tuesday</b> again.")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".note-text")).to_have_text("Called Anna.\n<b>Tuesday</b> again.")
    page.locator("details.attempt summary").click()
    expect(page.locator(".exchanges")).to_contain_text("HTTP 400")
    page.get_by_role("link", name="Close order").click()
    page.get_by_role("link", name="Keep it open").click()
    expect(title_badge(page)).to_have_text("Provisioning Failed")
    page.get_by_role("link", name="Close order").click()
    page.get_by_role("button", name="Close order").click()
    expect(title_badge(page)).to_have_text("Completed with Errors")
    # Historical takes a note and can be copied, and nothing else.
    page.locator("summary", has_text="Add note").click()
    page.get_by_label("Note").fill("Closed after the call.")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".note-text").first).to_have_text("Closed after the call.")
    assert page.locator("main form").evaluate_all("forms => forms.map((form) => form.getAttribute('action'))") == [
        f"/orders/{failed.number}/duplicate/",
        f"/orders/{failed.number}/notes/",
    ]

    sent = order_in(OrderStatus.QUOTE_SENT, shop.world)
    page.goto(f"{shop.url}/orders/{sent.number}/")
    page.get_by_role("button", name="Delete").click()
    expect(title_badge(page)).to_have_text("Deleted")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name=sent.number)).to_be_visible()

    waiting = order_in(OrderStatus.PROVISIONING_STARTED, shop.world)
    page.goto(f"{shop.url}/orders/{waiting.number}/")
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#why")).to_have_text("Stopped by you. Nothing was sent.")
