"""Drafting a quote: nothing typed is lost, whatever happens to network and browser, and rows come, move and go as a person expects."""

import json

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from orders.models import Order, User
from orders.statuses import OrderStatus
from tests.browser.conftest import Shop
from tests.browser.pages import MICROSOFT, NORTHGATE, NewContext, page_of, saved
from tests.harness.browser import Problems
from tests.harness.world import again, order_in

KEPT = "Edits that were not saved are on this device"
SECRET = "We buy it for nothing"
NO_NETWORK = r"net::ERR_|htmx:(afterRequest|sendError)"


def draft(shop: Shop, by: User | None = None, *, new_context: NewContext) -> tuple[Order, Page]:
    world = shop.world
    order = order_in(OrderStatus.DRAFT, world, world.line(quantity=5), world.line(world.premium_monthly, 6))
    page = page_of(by or world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/edit/")
    return order, page


def quantity(page: Page, item: int = 1):  # type: ignore[no-untyped-def]
    return page.get_by_role("group", name=f"Item {item}").get_by_label("Quantity")


def on_the_device(page: Page) -> str:
    return str(page.evaluate("JSON.stringify(Object.entries(localStorage).filter(([key]) => key.startsWith('draft:')))"))


def cut_and_type(page: Page) -> None:
    """Typing while nothing goes through, and the browser closed in the middle of it."""
    page.context.set_offline(True)
    quantity(page).fill("77")
    page.get_by_label("To the customer").fill("As agreed on Monday")
    page.get_by_label("Internal").fill(SECRET)
    expect(page.locator("#save-state")).to_contain_text("Not saved. No connection")


# --- nothing is lost


def test_a_browser_closed_while_the_network_was_gone_loses_nothing(shop: Shop, new_context: NewContext, problems: Problems) -> None:
    problems.allow(NO_NETWORK)
    order, page = draft(shop, new_context=new_context)
    cut_and_type(page)
    kept = on_the_device(page)
    assert "As agreed on Monday" in kept
    assert "77" in kept
    for hidden in (SECRET, "csrf", "cost", "margin", "internal"):
        assert hidden not in kept
    page.close(run_before_unload=False)
    assert [line.quantity for line in order.lines.all()] == [5, 6]

    page.context.set_offline(False)
    later = page.context.new_page()
    later.goto(f"{shop.url}/orders/{order.number}/edit/")
    expect(quantity(later)).to_have_value("5")
    later.get_by_role("button", name="Put them back").click()
    expect(quantity(later)).to_have_value("77")
    expect(later.get_by_label("To the customer")).to_have_value("As agreed on Monday")
    saved(later)
    assert ([line.quantity for line in order.lines.all()], again(order).customer_note) == ([77, 6], "As agreed on Monday")
    assert on_the_device(later) == "[]"
    later.reload()
    expect(later.get_by_text(KEPT)).to_have_count(0)


def test_what_was_kept_may_be_thrown_away_and_goes_at_sign_out(shop: Shop, new_context: NewContext, problems: Problems) -> None:
    problems.allow(NO_NETWORK)
    order, page = draft(shop, new_context=new_context)
    cut_and_type(page)
    page.close(run_before_unload=False)
    page.context.set_offline(False)
    later = page.context.new_page()
    later.goto(f"{shop.url}/orders/{order.number}/edit/")
    later.get_by_role("button", name="Throw them away").click()
    expect(later.get_by_text(KEPT)).to_have_count(0)
    assert on_the_device(later) == "[]"
    assert [line.quantity for line in order.lines.all()] == [5, 6]
    cut_and_type(later)
    assert on_the_device(later) != "[]"
    later.close(run_before_unload=False)
    page.context.set_offline(False)
    last = page.context.new_page()
    last.goto(f"{shop.url}/orders/")
    # A page that is being closed may be online again for a moment, as the browser lets go of it, and save then.
    before = [line.quantity for line in order.lines.all()]
    last.get_by_role("button", name=shop.world.harbour.seller.name).click()
    last.get_by_role("button", name="Sign out").click()
    expect(last.get_by_role("button", name="Sign in")).to_be_visible()
    assert on_the_device(last) == "[]"
    assert [line.quantity for line in order.lines.all()] == before


def test_what_a_colleague_kept_on_the_same_device_is_not_shown(shop: Shop, new_context: NewContext, problems: Problems) -> None:
    problems.allow(NO_NETWORK)
    order, page = draft(shop, new_context=new_context)
    cut_and_type(page)
    kept = json.loads(on_the_device(page))
    page.close(run_before_unload=False)
    other = page_of(shop.world.harbour.admin, shop.portal, new_context)
    other.goto(f"{shop.url}/orders/")
    other.evaluate("rows => rows.forEach(([key, value]) => localStorage.setItem(key, value))", kept)
    other.goto(f"{shop.url}/orders/{order.number}/edit/")
    expect(quantity(other)).to_have_value("5")
    expect(other.get_by_text(KEPT)).to_have_count(0)


def test_edits_that_were_kept_do_not_overwrite_what_a_colleague_saved_meanwhile(
    shop: Shop, new_context: NewContext, problems: Problems
) -> None:
    problems.allow(NO_NETWORK)
    order, page = draft(shop, new_context=new_context)
    cut_and_type(page)
    page.close(run_before_unload=False)
    colleague = page_of(shop.world.harbour.admin, shop.portal, new_context)
    colleague.goto(f"{shop.url}/orders/{order.number}/edit/")
    quantity(colleague).fill("50")
    saved(colleague)
    page.context.set_offline(False)
    later = page.context.new_page()
    later.goto(f"{shop.url}/orders/{order.number}/edit/")
    later.get_by_role("button", name="Put them back").click()
    expect(later.locator("#conflict")).to_contain_text(f"{shop.world.harbour.admin.name} changed this order")
    expect(later.locator("#conflict")).to_contain_text("77 × 1 month, monthly")
    assert [line.quantity for line in order.lines.all()] == [50, 6]
    later.get_by_role("link", name="Take the saved one").click()
    expect(quantity(later)).to_have_value("50")
    expect(later.get_by_text(KEPT)).to_have_count(0)


def test_what_a_button_saved_is_not_kept_any_more(shop: Shop, new_context: NewContext) -> None:
    order, page = draft(shop, new_context=new_context)
    quantity(page).fill("8")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order.number}")
    assert on_the_device(page) == "[]"
    assert [line.quantity for line in order.lines.all()] == [8, 6]


# --- rows


@pytest.mark.appearance
def test_rows_pasted_into_the_search_become_items_and_unknown_ones_say_why(shop: Shop, new_context: NewContext) -> None:
    order, page = draft(shop, new_context=new_context)
    premium = shop.world.premium
    rows = f"SKU\tQuantity\n{premium.sku}\t12\nNO-SUCH:0009\t3\n{premium.sku.lower()};4\n"
    search = page.get_by_role("combobox", name="Add an item")
    search.focus()
    search.evaluate("""(field, text) => { const data = new DataTransfer(); data.setData("text/plain", text);
        field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }""", rows)  # fmt: skip
    expect(page.locator("#items")).to_contain_text("Added 2 items. 2 rows stay in the box, with why each could not be added.")
    box = page.get_by_label("SKU and quantity, a row for each")
    expect(box).to_have_value("SKU\tQuantity\nNO-SUCH:0009\t3")
    expect(page.locator("#paste")).to_contain_text("NO-SUCH:0009 3 The catalogue has no such SKU.")
    saved(page)
    assert [(line.title, line.quantity) for line in order.lines.all()] == [(NORTHGATE, 5), (MICROSOFT, 6), (MICROSOFT, 12), (MICROSOFT, 4)]


@pytest.mark.appearance
def test_rows_pasted_while_the_customers_answer_is_on_its_way_stay(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order, page = draft(shop, new_context=new_context)
    late: list[tuple[Route, APIResponse]] = []
    holding = True

    def hold(route: Route) -> None:
        if holding and route.request.method == "POST":
            late.append((route, route.fetch()))
        else:
            route.continue_()

    page.route("**/edit/", hold)
    page.get_by_role("combobox", name="Customer").select_option(world.harbour.other_customer.code)
    page.locator("#paste summary").click()
    page.get_by_label("SKU and quantity, a row for each").fill(f"{world.premium.sku}\t12\n{world.premium.sku}\t4")
    page.locator("#paste-add").click()
    page.wait_for_timeout(700)  # for requests that wait for nothing
    holding = False
    for route, answer in late:
        route.fulfill(response=answer)
    expect(page.locator("#items > li.order-line")).to_have_count(4)
    saved(page)
    assert [line.quantity for line in order.lines.all()] == [5, 6, 12, 4]
    assert late


@pytest.mark.appearance
def test_an_item_moves_with_the_keyboard_and_stays_where_it_was_put(shop: Shop, new_context: NewContext) -> None:
    order, page = draft(shop, new_context=new_context)
    page.get_by_role("button", name=f"Move {MICROSOFT} up").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text=f"Moved {MICROSOFT} to 1 of 2.")).to_be_attached()
    expect(page.get_by_role("button", name=f"Move {MICROSOFT} down")).to_be_focused()
    saved(page)
    assert [line.title for line in order.lines.all()] == [MICROSOFT, NORTHGATE]


@pytest.mark.appearance
def test_the_margin_is_told_beside_the_floor_while_one_types(shop: Shop, new_context: NewContext) -> None:
    seller = shop.world.harbour.seller
    type(seller).objects.filter(pk=seller.pk).update(margin_floor_percent=8)
    try:
        _, page = draft(shop, new_context=new_context)
        first = page.get_by_role("group", name="Item 1")
        before = page.locator("#margin").inner_text()
        first.get_by_label("Discount", exact=True).fill("90")
        expect(page.locator("#note-0")).to_contain_text("Margin is below your 8 % floor. A discount of")
        saved(page)
        assert page.locator("#margin").inner_text() != before
        words = page.locator("#note-0").inner_text().split("discount of ")[1].split(" ")[0].split("\u00a0")[0]
        first.get_by_label("Discount", exact=True).fill(words)
        expect(page.locator("#note-0")).to_be_empty()
    finally:
        type(seller).objects.filter(pk=seller.pk).update(margin_floor_percent=0)
