"""Editing an order on the ordering screen: customers stay who they are, nothing is out of sight, what was removed comes back."""

import pytest
from playwright.sync_api import expect

from orders.models import Customer
from orders.statuses import OrderStatus
from tests.browser.conftest import Shop
from tests.browser.pages import NORTHGATE, PHONE, NewContext, page_of, saved
from tests.harness.browser import Problems
from tests.harness.world import again, order_in


def people() -> list[tuple[object, ...]]:
    """Every customer as he is saved."""
    return list(Customer.objects.order_by("pk").values_list())


def test_an_order_for_another_customer_changes_neither_of_the_two(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order, before, birch = order_in(OrderStatus.DRAFT, world), people(), world.harbour.other_customer
    page = page_of(world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/edit/")
    expect(page.locator("#picked")).to_contain_text("Alder Dental")
    page.get_by_role("combobox", name="Customer").select_option(birch.code)
    saved(page)
    expect(page.locator("#picked")).to_contain_text("Birch Bakery")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order.number}")
    assert again(order).customer == birch
    assert people() == before


def test_saving_mine_over_a_colleagues_choice_of_customer_changes_neither_of_the_two(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order, before = order_in(OrderStatus.DRAFT, world), people()
    mine, theirs = (page_of(user, shop.portal, new_context) for user in (world.harbour.manager, world.harbour.admin))
    for page in (mine, theirs):
        page.goto(f"{shop.url}/orders/{order.number}/edit/")
    theirs.get_by_role("combobox", name="Customer").select_option(world.harbour.other_customer.code)
    saved(theirs)
    mine.get_by_role("group", name="Item 1").get_by_label("Quantity").fill("34")
    mine.get_by_role("button", name="Save mine over it").click()
    expect(mine.get_by_role("heading", level=1)).to_have_text(f"Order {order.number}")
    assert again(order).customer == world.harbour.customer
    assert people() == before


@pytest.mark.appearance
def test_a_wrong_quantity_is_said_beside_its_field_while_it_is_typed(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order = order_in(OrderStatus.DRAFT, world)
    page = page_of(world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/edit/")
    quantity = page.get_by_role("group", name="Item 1").get_by_label("Quantity")
    quantity.fill("1.5")
    expect(quantity).to_have_accessible_description("Write a whole number.")
    expect(quantity).to_have_attribute("aria-invalid", "true")
    expect(quantity).to_be_focused()
    expect(page.locator("#totals")).not_to_contain_text("0.00")
    quantity.fill("15")
    saved(page)
    expect(quantity).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#said-0")).to_be_empty()
    expect(page.locator("#totals")).to_contain_text("142.50")


@pytest.mark.appearance
def test_a_removed_item_comes_back_with_undo_and_the_keyboard_stays_in_the_list(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order = order_in(OrderStatus.DRAFT, world, world.line(quantity=5), world.line(world.premium_monthly, 6))
    page = page_of(world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/edit/")
    page.get_by_role("button", name=f"Remove {NORTHGATE}").click()
    expect(page.get_by_role("group", name="Item 1").get_by_label("Quantity")).to_be_focused()
    saved(page)
    assert [line.quantity for line in order.lines.all()] == [6]
    page.get_by_role("button", name=f"Undo removing {NORTHGATE}").click()
    expect(page.get_by_role("group", name="Item 1").get_by_label("Quantity")).to_have_value("5")
    saved(page)
    assert [line.quantity for line in order.lines.all()] == [5, 6]


@pytest.mark.appearance
def test_the_page_says_that_all_is_saved_only_while_it_is(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order = order_in(OrderStatus.DRAFT, world, world.line(quantity=5), world.line(world.premium_monthly, 6))
    page = page_of(world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/edit/")
    said = "document.getElementById('save-state').textContent"
    # Read in the same breath: before anything can have been sent.
    typing = f"field => {{ field.value = '9'; field.dispatchEvent(new Event('input', {{ bubbles: true }})); return {said}; }}"
    assert page.get_by_role("group", name="Item 1").get_by_label("Quantity").evaluate(typing) == "Saving…"
    saved(page)
    assert [line.quantity for line in order.lines.all()] == [9, 6]
    pressing = f"button => {{ button.click(); return {said}; }}"
    assert page.get_by_role("button", name=f"Remove {NORTHGATE}").evaluate(pressing) == "Saving…"
    saved(page)
    assert [line.quantity for line in order.lines.all()] == [6]


@pytest.mark.appearance
def test_the_sum_and_the_button_are_always_in_sight_on_a_phone_and_no_name_is_cut_on_a_desk(shop: Shop, new_context: NewContext) -> None:
    world = shop.world
    order = order_in(OrderStatus.DRAFT, world)
    phone = page_of(world.harbour.manager, shop.portal, new_context, **PHONE)
    phone.goto(f"{shop.url}/orders/{order.number}/edit/")
    expect(phone.get_by_role("button", name="Send", exact=True)).to_be_in_viewport()
    expect(phone.locator("#bar-sum")).to_contain_text("22.99")
    phone.get_by_role("group", name="Item 1").get_by_label("Quantity").fill("4")
    expect(phone.locator("#bar-sum")).to_contain_text("45.98")
    phone.get_by_role("button", name="Send", exact=True).click()
    expect(phone.get_by_role("heading", level=1)).to_have_text(f"Send quote {order.number}")

    desk = page_of(world.harbour.manager, shop.portal, new_context, viewport={"width": 1280, "height": 900})
    desk.goto(f"{shop.url}/orders/{order.number}/edit/")
    select = desk.get_by_role("combobox", name="Customer")
    assert select.evaluate("one => { const wide = document.createElement('select'); wide.append(one.selectedOptions[0].cloneNode(true));"
                           " one.parentElement.append(wide); wide.style.inlineSize = 'auto'; const needed = wide.offsetWidth; wide.remove();"
                           " return one.offsetWidth >= needed }")  # fmt: skip


@pytest.mark.appearance
def test_back_from_the_review_shows_the_order_again_also_after_a_page_that_answered_a_button(
    shop: Shop, new_context: NewContext, problems: Problems
) -> None:
    world = shop.world
    problems.allow("422")
    order = order_in(OrderStatus.DRAFT, world)
    page = page_of(world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/edit/")
    quantity = page.get_by_role("group", name="Item 1").get_by_label("Quantity")
    quantity.fill("x")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="1 thing to correct")).to_be_visible()
    quantity.fill("3")
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Quote {order.number}")
    expect(quantity).to_have_value("3")
