"""The reason card: opens by pointer, keyboard and finger, stays, lies in sight, and shows a vendor's words as words."""

import pytest
from playwright.sync_api import Locator, Page, expect

from orders.models import Order
from orders.statuses import OrderStatus
from orders.vendors.contract import Refusal
from orders.vendors.sandbox.rules import HOSTILE_TEXT
from tests.browser.conftest import Shop
from tests.browser.pages import PHONE, NewContext, badge, card, focused, page_of, row
from tests.harness.world import World, order_in, verdict_refused

pytestmark = pytest.mark.appearance
FAILED = OrderStatus.PROVISIONING_FAILED
SPACED = 'First line.\n\n  "Second"  &amp; <b>third</b> — ünï, € 5'


def refused(world: World, text: str, code: str = "3000") -> Order:
    order = order_in(OrderStatus.PROVISIONING_STARTED, world)
    verdict_refused(order.attempts.get(), Refusal(code, 400, text, b"{}"))
    return order


def open_cards(page: Page) -> int:
    return page.locator(".reason:popover-open").count()


def settled(found: Locator) -> dict[str, float]:
    """Where an element is once its opening movement is over."""
    found.evaluate("node => Promise.all(node.getAnimations().map((animation) => animation.finished))")
    box = found.bounding_box()
    assert box
    return dict(box)


def test_hovering_shows_the_reason_and_it_stays_as_long_as_it_is_read(shop: Shop, new_context: NewContext) -> None:
    first, second = order_in(FAILED, shop.world), order_in(FAILED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.clock.install()
    page.goto(f"{shop.url}/orders/")
    page.evaluate(
        """() => {
            document.addEventListener("pointerover", (event) => {
                if (event.target.closest("[data-reason]")) window.hoveredAt ??= performance.now();
            });
            document.addEventListener("toggle", () => { window.openedAt ??= performance.now(); }, true);
        }"""
    )
    badge(page, first).hover()
    expect(card(page, first)).to_be_visible()
    expect(badge(page, first)).to_have_attribute("aria-expanded", "true")
    assert 100 <= page.evaluate("window.openedAt - window.hoveredAt") < 400

    # Into the card, step by step, and long after.
    box = card(page, first).bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60, steps=8)
    page.clock.fast_forward(5_000)
    expect(card(page, first)).to_be_visible()

    # Escape closes though the pointer stays on it, and it stays closed.
    badge(page, first).hover()
    page.clock.fast_forward(1_000)
    page.keyboard.press("Escape")
    expect(card(page, first)).to_be_hidden()
    expect(badge(page, first)).to_have_attribute("aria-expanded", "false")
    page.clock.fast_forward(1_000)
    assert open_cards(page) == 0

    # Away and back opens it again; a press on it then does not close it.
    page.mouse.move(5, 5)
    badge(page, first).hover()
    expect(card(page, first)).to_be_visible()
    badge(page, first).click()
    page.clock.fast_forward(2_000)
    expect(card(page, first)).to_be_visible()
    expect(badge(page, first)).to_have_attribute("aria-expanded", "true")

    # One card at a time.
    badge(page, second).hover()
    expect(card(page, second)).to_be_visible()
    expect(card(page, first)).to_be_hidden()
    assert open_cards(page) == 1
    expect(badge(page, first)).to_have_attribute("aria-expanded", "false")


def test_a_card_that_the_pointer_leaves_closes(shop: Shop, new_context: NewContext) -> None:
    failed = order_in(FAILED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/")
    badge(page, failed).hover()
    expect(card(page, failed)).to_be_visible()
    card(page, failed).locator("header").hover()
    page.mouse.move(5, 5)
    expect(card(page, failed)).to_be_hidden()
    # A pointer that only passes over opens nothing. The time stands still meanwhile: how long the pass takes is ours to say.
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 60_000"))
    page.evaluate("() => document.addEventListener('toggle', () => { window.toggled = true; }, true)")
    box = badge(page, failed).bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.move(5, 5)
    page.clock.fast_forward(1_000)
    assert page.evaluate("window.toggled ?? false") is False


def test_the_keyboard_opens_reads_leaves_and_reopens_the_card(shop: Shop, new_context: NewContext) -> None:
    second, first = order_in(FAILED, shop.world), order_in(FAILED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/")
    for order in (first, second):
        described = badge(page, order).get_attribute("aria-describedby")
        expect(page.locator(f"#{described}")).to_have_text("Customer details not accepted")
        expect(badge(page, order)).to_have_attribute("aria-expanded", "false")
    page.get_by_role("link", name=first.number).focus()
    page.keyboard.press("Tab")
    expect(badge(page, first)).to_be_focused()
    expect(card(page, first)).to_be_visible()
    expect(badge(page, first)).to_have_attribute("aria-expanded", "true")

    page.keyboard.press("Tab")
    assert card(page, first).evaluate("card => card.contains(document.activeElement)")
    expect(card(page, first)).to_be_visible()
    page.keyboard.press("Escape")
    expect(card(page, first)).to_be_hidden()
    expect(badge(page, first)).to_be_focused()
    expect(badge(page, first)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(card(page, first)).to_be_visible()

    # Every control of the card in reading order, then out of it: the next row, and the card is closed.
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        if not card(page, first).evaluate("card => card.contains(document.activeElement)"):
            break
        stops.append(focused(page))
    assert stops[0] == "Close"
    assert [stop for stop in stops if stop in {"Copy", "Edit customer", "Retry"}] == ["Copy", "Edit customer", "Retry"]
    expect(page.get_by_role("link", name=second.number)).to_be_focused()
    expect(card(page, first)).to_be_hidden()
    page.keyboard.press("Tab")
    expect(card(page, second)).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(card(page, second)).to_be_hidden()


def test_a_tap_opens_a_sheet_at_the_bottom_of_a_phone(shop: Shop, new_context: NewContext) -> None:
    failed = order_in(FAILED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context, **PHONE)
    page.goto(f"{shop.url}/orders/")
    size = badge(page, failed).bounding_box()
    assert size
    assert size["height"] >= 36
    badge(page, failed).tap()
    sheet = card(page, failed)
    expect(sheet).to_be_visible()
    box = settled(sheet)
    assert (round(box["x"]), round(box["width"])) == (0, 390)
    assert round(box["y"] + box["height"]) == 844
    for control in (
        sheet.get_by_role("button", name="Close"),
        sheet.get_by_role("link", name="Edit customer"),
        sheet.get_by_role("button", name="Retry"),
    ):
        target = control.bounding_box()
        assert target
        assert target["height"] >= 44
    # A tap outside closes it, and does nothing else: not even follow the link that lies there.
    page.touchscreen.tap(195, 430)
    expect(sheet).to_be_hidden()
    page.touchscreen.tap(195, 60)
    assert page.url == f"{shop.url}/orders/"
    badge(page, failed).tap()
    expect(sheet).to_be_visible()
    sheet.get_by_role("button", name="Close").tap()
    expect(sheet).to_be_hidden()


@pytest.mark.parametrize("height", [420, 900])
def test_the_card_lies_in_sight_and_leaves_the_statuses_readable(shop: Shop, new_context: NewContext, height: int) -> None:
    orders = [refused(shop.world, "A reason of the vendor. " * 12) for _ in range(9)]
    order_in(OrderStatus.PROVISIONING_FINISHED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context, viewport={"width": 1280, "height": height})
    page.goto(f"{shop.url}/orders/")
    for order in (orders[-1], orders[0]):
        page.mouse.move(5, 5)
        badge(page, order).scroll_into_view_if_needed()
        badge(page, order).hover()
        expect(card(page, order)).to_be_visible()
        box = settled(card(page, order))
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= 1280
        assert box["y"] + box["height"] <= height
        # Nothing clips it: its own corners are what a pointer meets there.
        met = page.evaluate(
            """([x, y, w, h]) => [[x + 14, y + 14], [x + w - 14, y + 14], [x + 14, y + h - 14], [x + w - 14, y + h - 14]]
                .map(([left, top]) => document.elementFromPoint(left, top)?.closest(".reason")?.id)""",
            [box["x"], box["y"], box["width"], box["height"]],
        )
        assert met == [f"reason-{order.number}"] * 4
        covered = page.evaluate(
            """(card) => {
                const over = card.getBoundingClientRect();
                return [...document.querySelectorAll(".status-cell > .status, .status-cell > .status-why")].filter((node) => {
                    const at = node.getBoundingClientRect();
                    return at.left < over.right && at.right > over.left && at.top < over.bottom && at.bottom > over.top;
                }).map((node) => node.closest("tr").id + ": " + node.textContent.trim());
            }""",
            card(page, order).element_handle(),
        )
        assert covered == []
        page.keyboard.press("Escape")
        expect(card(page, order)).to_be_hidden()


def test_a_hostile_reason_is_shown_as_text_everywhere(shop: Shop, new_context: NewContext) -> None:
    order = refused(shop.world, HOSTILE_TEXT)
    dialogs: list[str] = []
    for options in ({}, PHONE):
        page = page_of(shop.world.harbour.manager, shop.portal, new_context, **options)
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.goto(f"{shop.url}/orders/")
        badge(page, order).tap() if options else badge(page, order).click()
        expect(card(page, order)).to_be_visible()
        assert page.title() == "Recent orders · Seller Portal"
        for place in ("list", "page", "form"):
            if place == "page":
                page.goto(f"{shop.url}/orders/{order.number}/")
            if place == "form":
                page.goto(f"{shop.url}/orders/{order.number}/edit/?fix={order.attempts.get().failures.get().pk}")
                expect(page.locator("#fix-reason")).to_contain_text("<img src=x onerror=alert(1)><script>")
            else:
                shown = page.locator(".vendor-msg pre").first
                assert shown.evaluate("node => node.textContent") == HOSTILE_TEXT
                assert shown.evaluate("node => node.scrollWidth <= node.clientWidth")
                assert shown.evaluate("node => node.clientHeight") <= 120
            assert page.locator("img, main script").count() == 0
            assert "owned" not in page.title()
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), place
        for details in page.locator("details.attempt").all():
            details.locator("summary").click()
        page.context.close()
    assert dialogs == []


def test_copy_takes_exactly_the_vendors_words(shop: Shop, new_context: NewContext) -> None:
    partial = order_in(OrderStatus.COMPLETED_WITH_ERRORS, shop.world, shop.world.line(), shop.world.line(shop.world.premium_monthly, 3))
    order = refused(shop.world, SPACED)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=shop.url)

    def copied(place: Locator) -> str:
        page.evaluate("navigator.clipboard.writeText('nothing yet')")
        place.get_by_role("button", name="Copy").click()
        expect(place.get_by_role("button", name="Copied")).to_be_visible()
        return str(page.evaluate("navigator.clipboard.readText()"))

    page.goto(f"{shop.url}/orders/")
    badge(page, order).click()
    assert copied(card(page, order)) == SPACED
    page.goto(f"{shop.url}/orders/{order.number}/")
    assert copied(page.locator(".banner")) == SPACED
    for words in ("Retry", "Edit customer", "How to fix"):
        expect(page.locator(".banner").locator("button, a", has_text=words)).to_be_visible()

    # Completed with Errors: the same words, and nothing to press but to copy and to read on.
    page.goto(f"{shop.url}/orders/historical/")
    expect(row(page, partial).locator(".status-why")).to_have_text("Provisioning failed: 1 of 2 items")
    badge(page, partial).click()
    assert copied(card(page, partial)) == "The contact e-mail is not valid."
    assert card(page, partial).locator("form").count() == 0
    page.goto(f"{shop.url}/orders/{partial.number}/")
    assert copied(page.locator(".banner")) == "The contact e-mail is not valid."
    assert page.locator(".banner form").count() == 0


def test_where_copying_is_refused_the_words_are_selected(shop: Shop, new_context: NewContext) -> None:
    order = refused(shop.world, "Take me.")
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/{order.number}/")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.locator(".banner").get_by_role("button", name="Copy").click()
    expect(page.locator(".banner").get_by_role("button", name="Press Ctrl+C")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == "Take me."


def test_a_row_that_comes_under_a_pointer_at_rest_does_not_take_the_place_of_the_card(shop: Shop, new_context: NewContext) -> None:
    """A new row above moves the others down: whoever is about to press Retry would press it for another order."""
    lower, upper = order_in(FAILED, shop.world), order_in(FAILED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    page.goto(f"{shop.url}/orders/")
    badge(page, lower).click()
    expect(card(page, lower)).to_be_visible()
    here, above = badge(page, lower).bounding_box(), badge(page, upper).bounding_box()
    assert here
    assert above
    page.evaluate("() => { window.over = 0; document.addEventListener('pointerover', () => { window.over += 1; }); }")
    page.evaluate("height => { document.querySelector('table').style.marginBlockStart = `${height}px`; }", here["y"] - above["y"])
    # The browser has noticed what is under the pointer now, and the time after which a card opens has passed.
    page.evaluate("() => new Promise((done) => { const look = () => window.over ? done() : setTimeout(look, 20); look(); })")
    page.wait_for_timeout(500)
    expect(card(page, lower)).to_be_visible()
    expect(card(page, upper)).to_be_hidden()
    # As soon as the pointer moves, it is meant.
    box = badge(page, upper).bounding_box()
    assert box
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    expect(card(page, upper)).to_be_visible()


def test_a_double_press_on_retry_is_one_retry(shop: Shop, new_context: NewContext) -> None:
    order = order_in(FAILED, shop.world)
    page = page_of(shop.world.harbour.manager, shop.portal, new_context)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.goto(f"{shop.url}/orders/")
    badge(page, order).click()
    card(page, order).get_by_role("button", name="Retry").dblclick()
    expect(page.locator(".note-bar")).to_contain_text("goes to the vendor again")
    assert posts == [f"{shop.url}/orders/{order.number}/retry/"]
    assert order.attempts.count() == 2
