"""Settings as they are typed: a comma is a comma in every browser."""

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from orders.models import Seller, TaxRate
from tests.browser.conftest import Shop
from tests.browser.pages import NewContext, page_of

pytestmark = pytest.mark.appearance


@pytest.mark.parametrize("typed", ["12,5", "12.5"])
def test_a_percentage_is_kept_as_it_was_typed_with_comma_or_point(shop: Shop, new_context: NewContext, typed: str) -> None:
    seller = shop.world.harbour.seller
    page = page_of(shop.world.harbour.admin, shop.portal, new_context)
    page.goto(f"{shop.url}/settings/")
    for label in ("Margin floor in percent", "Markup on cost in percent", "Tax in percent"):
        field = page.get_by_label(label)
        expect(field).to_have_attribute("inputmode", "decimal")
        field.clear()
        field.press_sequentially(typed)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".note-bar")).to_contain_text("Settings saved.")
    seller.refresh_from_db()
    assert (seller.margin_floor_percent, seller.markup_percent, seller.tax_rate) == (Decimal("12.50"),) * 3

    page.goto(f"{shop.url}/settings/tax/")
    page.get_by_label("Country", exact=True).select_option("DE")
    page.get_by_label("Tax in percent").press_sequentially(typed)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".note-bar")).to_be_visible()
    assert TaxRate.objects.get(seller=seller, country="DE").percent == Decimal("12.50")
    TaxRate.objects.all().delete()
    Seller.objects.filter(pk=seller.pk).update(margin_floor_percent=0)
