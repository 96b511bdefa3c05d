"""Check before sending, as a seller sees it: one press, and the answer comes by itself."""

import pytest
from playwright.sync_api import Page, expect

from orders.models import Customer, PurchaseAttempt
from tests.harness.browser import signed_in
from tests.harness.portal import Portal
from tests.harness.world import World, cart_of

pytestmark = pytest.mark.appearance


def test_the_answer_comes_by_itself_stands_beside_the_button_and_leads_to_the_field(portal: Portal, world: World, page: Page) -> None:
    Customer.objects.filter(pk=world.harbour.customer.pk).update(domain="takenharbour.onmicrosoft.com")
    order = cart_of(world, world.line(world.premium_yearly))
    signed_in(page.context, portal, world.harbour.manager)
    page.goto(f"{portal.url}/orders/{order.number}/place/")
    page.get_by_role("button", name="Check with Microsoft").click()
    expect(page.get_by_role("heading", name="The domain is already taken")).to_be_visible(timeout=60_000)
    aside = page.get_by_role("complementary", name="Place")
    expect(aside.get_by_role("button", name="Place order")).to_be_visible()
    expect(aside.get_by_role("link", name="1 problem found")).to_be_visible()
    page.get_by_role("link", name="Edit domain").click()
    expect(page.locator("#id_domain")).to_be_in_viewport()
    assert not PurchaseAttempt.objects.exists()
