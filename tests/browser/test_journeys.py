"""Whole journeys through the portal with its worker and the sandbox vendor, by clicking only."""

import re
from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from orders.models import Order
from orders.statuses import OrderStatus
from tests.browser.pages import (
    LEFT_WHILE_ASKING,
    MICROSOFT,
    NORTHGATE,
    badge,
    card,
    fill_item,
    place_order,
    reload_until,
    row,
    saved,
    start_order,
    statuses_until,
    title_badge,
    to_list,
)
from tests.harness.browser import Problems, sign_in, signed_in
from tests.harness.clock import Clock
from tests.harness.portal import Portal
from tests.harness.world import World, again, cart_of, customer_of, order_in


def bought(portal: Portal) -> Counter[int]:
    """How often each quantity stands in the vendor's ledger."""
    return Counter(line["quantity"] for order in portal.sandbox.ledger()["orders"] for line in order["lineItems"])


def subscriptions(page: Page) -> str:
    return page.get_by_role("region", name="Subscriptions").inner_text()


def test_an_order_completes_and_two_refused_ones_complete_after_the_fix(
    portal: Portal, world: World, page: Page, problems: Problems
) -> None:
    problems.allow(LEFT_WHILE_ASKING)
    sign_in(page, portal, "max@harbour.example")
    expect(page.get_by_role("heading", level=2)).to_have_text("No recent orders")

    # A new customer whose e-mail the vendor refuses.
    page.get_by_role("link", name="New order").first.click()
    page.get_by_role("link", name="New customer").click()
    for label, text in (
        ("Name", "Cedar Clinics"),
        ("Domain", "cedarclinics.onmicrosoft.com"),
        ("Contact first name", "Carla"),
        ("Contact last name", "Koster"),
        ("Contact e-mail", "refused@cedarclinics.example"),
        ("Address", "Kade 3"),
        ("Postal code", "3011 AA"),
        ("City", "Rotterdam"),
    ):
        # Some countries don't ask for some of it; the label says so.
        page.get_by_label(re.compile(rf"^{label}( \(optional\))?$")).fill(text)
    page.get_by_role("button", name="Add customer").click()
    expect(page.locator(".note-bar")).to_contain_text("Cedar Clinics was added.")
    expect(page.get_by_role("combobox", name="Customer").locator("option:checked")).to_have_text(
        "Cedar Clinics (cedarclinics.onmicrosoft.com)"
    )
    refused = place_order(page, None, [(MICROSOFT, 4)])

    # A quantity for which there is no credit.
    to_list(page)
    credit = place_order(page, "Birch Bakery (birchbakeryharbour.onmicrosoft.com)", [(MICROSOFT, 402)])

    # And one that works; the vendor takes its time until we have seen the order waiting.
    to_list(page)
    statuses_until(page, credit, "Provisioning Failed")
    portal.sandbox.faults("hold_before_commit", method="POST", path="*/checkout")
    plain = place_order(page, "Alder Dental (alderdentalharbour.onmicrosoft.com)", [(MICROSOFT, 3)])
    expect(title_badge(page)).to_have_text("Provisioning Started")
    expect(page.locator("#why")).to_contain_text("Waiting for vendor,")
    to_list(page)
    expect(badge(page, plain)).to_have_text("Provisioning Started")
    statuses_until(page, plain, "Provisioning Started")
    portal.sandbox.release()
    seen = statuses_until(page, plain, "Completed", hurry=False)
    assert seen[0] == "Provisioning Started"
    assert seen in (["Provisioning Started", "Completed"], ["Provisioning Started", "Provisioning Finished", "Completed"])
    row(page, plain).get_by_role("link", name="Moved to Historical").click()
    page.get_by_role("link", name=plain).click()
    assert "Microsoft 365 Business Premium × 3" in subscriptions(page)
    assert "Active" in subscriptions(page)
    timeline = page.locator(".timeline")
    for words in ("Completed", "Approved by the vendor", "Order placed", "Order created"):
        expect(timeline.locator("b", has_text=re.compile(f"^{words}$"))).to_have_count(1)

    # The e-mail: from the badge to the very field, with the reason beside it.
    to_list(page)
    statuses_until(page, refused, "Provisioning Failed")
    expect(row(page, refused)).to_contain_text("Contact email isn’t valid")
    badge(page, refused).click()
    expect(card(page, refused)).to_contain_text("The contact email isn’t valid")
    card(page, refused).get_by_role("link", name="Edit contact").click()
    field = page.get_by_label("Contact e-mail", exact=True)
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport()
    expect(page.locator("#" + str(field.get_attribute("aria-describedby")).split()[0])).to_contain_text("The contact email isn’t valid")
    field.fill("carla@cedarclinics.example")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.locator(".note-bar")).to_contain_text("goes to the vendor again")

    # The quantity.
    to_list(page)
    statuses_until(page, credit, "Provisioning Failed")
    badge(page, credit).click()
    card(page, credit).get_by_role("link", name="Edit quantity").click()
    expect(page.get_by_role("group", name="Item 1").get_by_label("Quantity")).to_be_focused()
    page.get_by_label("Quantity").fill("5")
    page.get_by_role("button", name="Save and retry").click()

    # The page of an order follows by itself too.
    expect(title_badge(page)).to_have_text("Completed", timeout=30_000)
    page.goto(f"{portal.url}/orders/{refused}/")
    expect(title_badge(page)).to_have_text("Completed", timeout=30_000)
    first = page.locator(".timeline li", has=page.get_by_text("Refused by the vendor"))
    expect(first).to_contain_text("Attempt 1")
    expect(first).to_contain_text("3000")
    expect(first).to_contain_text("refused@cedarclinics.example")
    expect(page.locator(".timeline")).to_contain_text("Retried")
    expect(page.locator("details.attempt")).to_have_count(2)
    assert "× 4" in subscriptions(page)

    assert bought(portal) == {3: 1, 4: 1, 5: 1}
    assert len(portal.sandbox.ledger()["subscriptions"]) == 3
    assert len(portal.sandbox.ledger()["customers"]) == 3


@pytest.mark.appearance
def test_orders_that_end_otherwise_say_so_and_nothing_is_bought_twice(
    portal: Portal, world: World, page: Page, clock: Clock, problems: Problems
) -> None:
    problems.allow(LEFT_WHILE_ASKING)
    for letter in ("Delta", "Echo", "Fox", "Golf", "Hotel"):
        customer_of(world.harbour.seller, letter, f"{letter.lower()}journeys")
    signed_in(page.context, portal, world.harbour.manager)

    def place(letter: str, *items: tuple[str, int]) -> str:
        page.goto(f"{portal.url}/orders/")
        return place_order(page, f"{letter} ({letter.lower()}journeys.onmicrosoft.com)", items)

    partial = place("Delta", (MICROSOFT, 6), (MICROSOFT, 207))
    silent = place("Echo", (MICROSOFT, 204))
    waits = place("Hotel", (MICROSOFT, 428))
    busy = place("Fox", (MICROSOFT, 503))
    reload_until(page, page.locator("#why"), r"^Vendor busy, try 2 of 5 at \d\d:\d\d$")
    expect(page.get_by_role("region", name="What happens next")).to_contain_text("We try again by ourselves")

    # A vendor that never answers, until the seller has waited enough.
    stopped = place("Golf", (MICROSOFT, 599))
    reload_until(page, page.locator("#why"), r"^Vendor busy, try \d of 5 at \d\d:\d\d$")
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator(".note-bar")).to_contain_text("Nothing was sent.")
    expect(title_badge(page)).to_have_text("Provisioning Failed")
    expect(page.locator("#why")).to_have_text("Stopped by you. Nothing was sent.")
    expect(page.locator(".banner .vendor-msg")).to_have_count(0)

    to_list(page)
    expect(row(page, stopped)).to_contain_text("Stopped by you. Nothing was sent.")

    # No reason given: said in the row, on the card and on the page; then closed.
    statuses_until(page, silent, "Provisioning Failed")
    expect(row(page, silent).locator(".status-why")).to_have_text("The vendor gave no reason")
    badge(page, silent).click()
    expect(card(page, silent).locator("pre")).to_have_text("The vendor gave no reason.")
    page.keyboard.press("Escape")
    page.get_by_role("link", name=silent).click()
    expect(page.locator(".banner pre")).to_have_text("The vendor gave no reason.")
    page.get_by_role("link", name="Close order").click()
    page.get_by_label("Why").fill("Asked for elsewhere")
    page.get_by_role("button", name="Close order").click()
    expect(title_badge(page)).to_have_text("Completed with Errors")
    expect(page.locator(".timeline")).to_contain_text("Asked for elsewhere")
    expect(page.locator(".banner pre")).to_have_text("The vendor gave no reason.")
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)

    # Some of it bought: final, with the same card, but nothing to fix.
    page.goto(f"{portal.url}/orders/{partial}/")
    expect(title_badge(page)).to_have_text("Completed with Errors", timeout=30_000)
    to_list(page, "Historical")
    expect(badge(page, partial)).to_have_text("Completed with Errors")
    expect(row(page, partial).locator(".status-why")).to_have_text("Provisioning failed: 1 of 2 items")
    badge(page, partial).click()
    expect(card(page, partial)).to_contain_text("800069")
    expect(card(page, partial).get_by_role("link", name="How to fix")).to_be_visible()
    expect(card(page, partial).get_by_role("button", name="Retry")).to_have_count(0)
    expect(card(page, partial).get_by_role("link", name="Edit quantity")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("link", name=partial).click()
    assert "× 6" in subscriptions(page)
    assert "207" not in subscriptions(page)
    expect(page.locator(".outcome")).to_have_text(["Bought", "Not bought"])

    # A vendor that waits for a person.
    to_list(page)
    expect(row(page, waits)).to_contain_text("Action needed at Microsoft", timeout=30_000)
    page.get_by_role("link", name=waits).click()
    expect(page.get_by_role("region", name="What happens next")).to_contain_text("Microsoft waits:")
    expect(page.get_by_role("region", name="What happens next")).to_contain_text("You, at the vendor")

    # Time passes: the busy vendor is back, and the other has its document.
    clock.advance(minutes=3)
    for number in (busy, waits):
        page.goto(f"{portal.url}/orders/{number}/")
        expect(title_badge(page)).to_have_text("Completed", timeout=30_000)
    assert bought(portal) == {6: 1, 204: 1, 428: 1, 503: 1}
    assert again(Order.objects.get(number=busy)).attempts.count() == 3


@pytest.mark.appearance
def test_a_draft_is_deleted_and_brought_back_and_a_start_order_turns_into_a_draft(web: Portal, world: World, page: Page) -> None:
    draft, start = order_in(OrderStatus.DRAFT, world), cart_of(world)
    signed_in(page.context, web, world.harbour.manager)

    # Delete, and Undo.
    page.goto(f"{web.url}/orders/{draft.number}/")
    page.get_by_role("button", name="Delete").click()
    expect(title_badge(page)).to_have_text("Deleted")
    expect(page.locator(".note-bar")).to_contain_text(f"Order {draft.number} was deleted.")
    expect(page.get_by_text("Historical orders are final and can’t be changed.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".note-bar")).to_contain_text(f"has the items of {draft.number}.")
    revived = page.get_by_role("heading", level=1).inner_text().removeprefix("Order ")
    assert revived != draft.number
    expect(title_badge(page)).to_have_text(re.compile("Start|Draft"))
    expect(page.get_by_role("region", name="Items")).to_contain_text("Northgate Backup for Mailboxes")
    expect(page.get_by_role("link", name=draft.number)).to_be_visible()
    # A second press of Undo opens the order that the first one made.
    page.go_back()
    page.goto(f"{web.url}/orders/{draft.number}/")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {revived}")
    assert Order.objects.count() == 3

    # A Microsoft item turns Start into Draft, and nothing typed is lost.
    to_list(page)
    expect(badge(page, start)).to_have_text("Start")
    page.get_by_role("link", name=start.number).click()
    page.get_by_role("link", name="Edit", exact=True).first.click()
    page.get_by_label("Your PO number").fill("PO 2026-11")
    fill_item(page, 2, MICROSOFT, 7)
    expect(page.get_by_label("Your PO number")).to_have_value("PO 2026-11")
    # It is said still when what was typed after it is saved.
    saved(page)
    expect(page.locator(".note-bar").first).to_contain_text("This order is a Draft now: a Microsoft offer can’t be in Start.")
    expect(title_badge(page)).to_have_text("Draft")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {start.number}")
    expect(title_badge(page)).to_have_text("Draft")
    expect(page.get_by_role("region", name="References")).to_contain_text("PO 2026-11")
    expect(page.locator(".lines tbody tr")).to_have_count(2)
    expect(page.locator(".timeline")).to_contain_text("Turned into a Draft")

    # A new order of Northgate items only begins as Start; "Save" keeps it without placing.
    to_list(page)
    start_order(page, "Alder Dental (alderdentalharbour.onmicrosoft.com)", [(NORTHGATE, 9)])
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(title_badge(page)).to_have_text("Start")
    assert web.sandbox.calls() == []
