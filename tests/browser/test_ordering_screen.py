"""The ordering screen: saves by itself, loses nothing to a colleague or a dead network, finds offers by keyboard, warns in time."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Route, expect

from orders.models import Customer, Offer, Order, Price
from orders.statuses import OrderStatus
from tests.browser.pages import MICROSOFT, NORTHGATE, NewContext, fill_item, page_of, saved
from tests.harness.browser import Problems
from tests.harness.portal import Portal
from tests.harness.world import World, customer_of, order_in

ALDER = "Alder Dental (alderdentalharbour.onmicrosoft.com)"
NO_NETWORK = "net::ERR"


@pytest.mark.appearance
def test_an_order_is_saved_while_it_is_typed_and_is_there_after_a_reload(web: Portal, world: World, new_context: NewContext) -> None:
    page = page_of(world.harbour.manager, web, new_context)
    page.goto(f"{web.url}/orders/new/")
    page.get_by_role("combobox", name="Customer").select_option(label=ALDER)
    page.get_by_label("Add an item").press_sequentially("northg")
    expect(page.locator("#hits").get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    quantity = page.get_by_role("group", name="Item 1").get_by_label("Quantity")
    expect(quantity).to_be_focused()
    saved(page)
    number = Order.objects.get().number
    expect(page).to_have_url(f"{web.url}/orders/{number}/edit/")

    quantity.fill("11")
    page.get_by_role("button", name=f"One more {NORTHGATE}").click()
    expect(page.locator("#amount-0")).to_contain_text("€\u00a0114.00")
    expect(page.locator("#totals")).to_contain_text("€\u00a0114.00")
    saved(page)
    page.reload()
    expect(quantity).to_have_value("12")
    assert Order.objects.get().lines.get().quantity == 12
    # Somebody who goes on in the buttons gets the same order, and no second one.
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    assert Order.objects.count() == 1


@pytest.mark.appearance
def test_a_button_that_was_faster_than_the_script_is_saved_too(web: Portal, world: World, new_context: NewContext) -> None:
    page = page_of(world.harbour.manager, web, new_context)
    page.goto(f"{web.url}/orders/new/?customer={world.harbour.customer.code}")
    page.evaluate(
        """code => {
            const form = document.getElementById("order-form"), field = document.createElement("input");
            field.name = "action"; field.value = `add-${code}`;
            form.append(field);
            form.submit();
        }""",
        world.backup.code,
    )
    expect(page.get_by_role("group", name="Item 1")).to_be_visible()
    saved(page)
    assert Order.objects.get().lines.get().offer == world.backup


@pytest.mark.appearance
def test_a_customer_among_many_is_found_by_typing_and_an_add_on_goes_under_its_base(
    web: Portal, world: World, new_context: NewContext
) -> None:
    for number in range(60):
        customer_of(world.harbour.seller, f"Many {number:02}", f"many{number}")
    archive = Offer.objects.create(vendor=world.northgate, code="NGARCHIVE-0001", product_id="NGARCHIVE", sku_id="0001", title="Archive")
    archive.bases.add(world.backup)
    Price.objects.create(
        offer=archive, market="NL", currency="EUR", term="P1M", billing_cycle="monthly", term_cost=Decimal(2), term_price=Decimal(3)
    )
    page = page_of(world.harbour.manager, web, new_context)
    page.goto(f"{web.url}/orders/new/")
    page.get_by_label("Find a customer").press_sequentially("any 59")
    expect(page.get_by_text("1 customer for")).to_be_visible()
    expect(page.get_by_label("Find a customer")).to_be_focused()
    page.get_by_role("combobox", name="Customer").select_option(Customer.objects.get(name="Many 59").code)
    page.get_by_label("Add an item").fill("mailboxes")
    page.get_by_role("option", name=NORTHGATE).click()
    saved(page)
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.get_by_text(f"Add-on of {NORTHGATE}")).to_be_visible()
    saved(page)
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    order = Order.objects.get()
    assert order.customer.name == "Many 59"
    assert [(line.title, line.base_position) for line in order.lines.all()] == [(NORTHGATE, None), ("Archive", 1)]


def test_two_tabs_on_one_draft_lose_neither_version(web: Portal, world: World, new_context: NewContext) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    mine, theirs = (page_of(user, web, new_context) for user in (world.harbour.manager, world.harbour.admin))
    for page in (mine, theirs):
        page.goto(f"{web.url}/orders/{order.number}/edit/")
    theirs.get_by_role("group", name="Item 1").get_by_label("Quantity").fill("21")
    saved(theirs)
    mine.get_by_role("group", name="Item 1").get_by_label("Quantity").fill("34")
    expect(mine.locator("#save-state")).to_contain_text("somebody else changed this order")
    both = mine.get_by_role("table", name=f"{world.harbour.admin.name} changed this order").get_by_role("row").nth(1)
    expect(both.get_by_role("cell")).to_have_text([NORTHGATE, "34 × 1 month, monthly", "21 × 1 month, monthly"])
    assert order.lines.get().quantity == 21
    expect(mine.get_by_role("group", name="Item 1").get_by_label("Quantity")).to_have_value("34")
    mine.get_by_role("button", name="Save mine over it").click()
    expect(mine.get_by_role("heading", level=1)).to_have_text(f"Order {order.number}")
    assert order.lines.get().quantity == 34


@pytest.mark.appearance
def test_without_a_network_nothing_typed_is_lost_and_it_is_saved_when_it_is_back(
    web: Portal, world: World, new_context: NewContext, problems: Problems
) -> None:
    problems.allow(NO_NETWORK)
    problems.allow("htmx:(afterRequest|sendError)")
    order = order_in(OrderStatus.DRAFT, world)
    page = page_of(world.harbour.manager, web, new_context)
    page.goto(f"{web.url}/orders/{order.number}/edit/")
    page.context.set_offline(True)
    page.get_by_role("group", name="Item 1").get_by_label("Quantity").fill("77")
    expect(page.locator("#save-state")).to_contain_text("No connection")
    page.context.set_offline(False)
    saved(page)
    assert order.lines.get().quantity == 77


@pytest.mark.appearance
def test_what_can_not_be_bought_says_why_and_what_is_bought_twice_is_said_before(
    web: Portal, world: World, new_context: NewContext
) -> None:
    other = order_in(OrderStatus.DRAFT, world)
    world.premium.segment = "Education"
    world.premium.save()
    page = page_of(world.harbour.manager, web, new_context)
    page.goto(f"{web.url}/orders/new/?customer={world.harbour.customer.code}")
    page.get_by_label("Add an item").fill("Business Premium")
    expect(page.get_by_role("option", name=MICROSOFT)).to_contain_text("Only for the segment Education")
    expect(page.locator("#hits button")).to_have_count(0)
    fill_item(page, 1, NORTHGATE, 2)
    expect(page.locator("#checks")).to_contain_text(f"{other.number} is open with")
    saved(page)

    page.get_by_role("button", name="Duplicate").click()
    expect(page.locator(".note-bar")).to_contain_text("is a copy of")
    assert Order.objects.latest("id").lines.get().offer == world.backup
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


@pytest.mark.appearance
@pytest.mark.parametrize("moment", ["before", "between", "after", "too late"])
def test_a_button_does_its_work_whenever_the_answer_of_the_first_save_comes(
    web: Portal, world: World, new_context: NewContext, moment: str
) -> None:
    """That answer changes the address and makes the page longer: no reason to lose a press, or to move the button from under it."""
    page = page_of(world.harbour.manager, web, new_context)
    page.goto(f"{web.url}/orders/new/")
    held: list[Route] = []
    pressed: list[Route] = []

    def hold(route: Route) -> None:
        sent = route.request.post_data or ""
        if re.search("lines-0-.*action=autosave", sent):
            held.append(route)
        elif moment == "after" and "action=review" in sent:
            pressed.append(route)
        else:
            route.continue_()

    def until(routes: list[Route]) -> None:
        for _ in range(100):
            if routes:
                return
            page.wait_for_timeout(50)
        pytest.fail("The browser asked for nothing.")

    page.route("**/orders/new/", hold)
    page.get_by_role("combobox", name="Customer").select_option(label=ALDER)
    fill_item(page, 1, MICROSOFT, 3)
    until(held)

    def answer() -> None:
        with page.expect_response(lambda response: "action=autosave" in (response.request.post_data or "")) as found:
            held.pop().continue_()
        found.value.finished()
        page.wait_for_timeout(100)

    button = page.get_by_role("button", name="Save and review")
    button.scroll_into_view_if_needed()
    if moment == "before":
        answer()
        # Which has exchanged the button, too, when it says so.
        saved(page)
    box = button.bounding_box()
    assert box
    # At its upper edge, which is what moves away first.
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 3)
    page.mouse.down()
    if moment == "between":
        answer()
    page.mouse.up()
    if moment == "after":
        # The page is being left, and its next one is still on its way.
        until(pressed)
        answer()
        pressed.pop().continue_()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    if moment == "too late":
        # The press was worked on first. What was sent before it, with less in it, arrives now.
        late = page.request.fetch(held.pop().request)
        assert late.status == 200
        assert "Not saved yet" in late.text()
        page.unroute_all(behavior="ignoreErrors")
    assert Order.objects.get().lines.get().quantity == 3
