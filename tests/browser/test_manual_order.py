"""A manual order from the seller's press to its end: staff approve one item and refuse another, and the seller sees each answer."""

import pytest
from playwright.sync_api import Page, expect

from orders import lifecycle
from orders.models import Subscription
from tests.browser.pages import NewContext, page_of, reload_until, title_badge
from tests.harness.portal import Portal
from tests.harness.world import World, cart_of, manual_price

pytestmark = pytest.mark.appearance


def answer(staff: Page, position: int, decision: str, **fields: str) -> None:
    """Fill in one item's answer and save it alone."""
    staff.locator(f"input[name=line-{position}-decision][value={decision}]").check()
    for name, value in fields.items():
        staff.locator(f"[name=line-{position}-{name}]").fill(value)
    staff.get_by_role("button", name="Save answers").click()
    expect(staff.get_by_text("1 item answered.")).to_be_visible()


def outcomes(seller: Page) -> list[str]:
    return seller.locator(".outcome").all_inner_texts()


def test_staff_approve_one_item_and_refuse_another_and_the_seller_sees_both(portal: Portal, world: World, new_context: NewContext) -> None:
    price = manual_price(world)
    order = lifecycle.place(cart_of(world, world.line(price, 2), world.line(price, 5)), by=world.harbour.manager)
    seller = page_of(world.harbour.manager, portal, new_context)
    seller.goto(f"{portal.url}/orders/{order.number}/")
    reload_until(seller, seller.locator("ol.timeline"), "With our staff")
    assert outcomes(seller) == ["Waiting", "Waiting"]

    staff = page_of(world.staff, portal, new_context)
    staff.goto(f"{portal.url}/admin/orders/manualattempt/")
    staff.get_by_role("link", name=order.number).click()
    answer(staff, 1, "approve", vendor_ref="CONTRACT-7", starts_on="2026-12-01")
    expect(staff.get_by_role("heading", name="1. SIP Trunk, 10 channels × 2: approved")).to_be_visible()
    # The page may be asking for itself what is new just now.
    reload_until(seller, seller.locator("table.lines"), "Approved")
    assert outcomes(seller) == ["Approved", "Waiting"]

    answer(staff, 2, "refuse", text="No channels left in Amsterdam.")
    reload_until(seller, title_badge(seller), "Completed with Errors")
    assert outcomes(seller) == ["Bought", "Not bought"]
    expect(seller.locator(".banner")).to_contain_text("No channels left in Amsterdam.")
    expect(seller.get_by_text("CONTRACT-7").first).to_be_visible()
    assert list(Subscription.objects.filter(line__order=order).values_list("line__position", flat=True)) == [1]
