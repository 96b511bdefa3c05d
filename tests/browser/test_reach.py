"""Everybody gets everywhere: axe, keyboard, small and large, light and dark, long names and empty lists."""

import html.parser
from collections import Counter
from decimal import Decimal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, Response, expect

from orders import lifecycle, people
from orders.models import Customer, Offer, Order, Price, TaxRate, User
from orders.statuses import TABLE, OrderStatus
from orders.vendors.contract import Refusal
from tests.browser.conftest import Shop
from tests.browser.pages import NORTHGATE, PHONE, NewContext, badge, card, fill_item, focused, page_of, row, title_badge, to_list
from tests.harness.browser import Problems
from tests.harness.world import PASSWORD, customer_of, order_in, verdict_refused

pytestmark = pytest.mark.appearance
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = """(runOnly) => axe.run(document, { runOnly, resultTypes: ["violations"] }).then((found) =>
    found.violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target.join(" ")).slice(0, 4).join(", ")}`))"""
# Once nothing moves any more and letters have their shape: a colour on its way to another one is on no page.
AT_REST = """() => document.fonts.ready.then(() => new Promise((done) => {
    // Asking for a size gives everything its new style, and begins what is going to move.
    const moves = () => document.body.offsetWidth
        && document.getAnimations().some((one) => one.playState === "running" && one.effect.getComputedTiming().endTime < 1e6);
    const look = () => moves() ? requestAnimationFrame(look) : done();
    look();
}))"""
# Links within a sentence may be smaller (WCAG 2.5.8), and so may what only screen readers meet or a label makes larger.
SMALL_TARGETS = """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter((node) => {
        const box = node.getBoundingClientRect();
        if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || box.width <= 1) return false;
        if (node.closest(".sr-only, .skip-link, p, dd") || node.matches("input.check")) return false;
        const reach = node.matches(".row-link") ? node.closest("tr").getBoundingClientRect() : box;
        return reach.height < 23.5 || reach.width < 23.5;
    }).map((node) => `${node.tagName} "${node.textContent.trim().slice(0, 30)}" ${Math.round(node.getBoundingClientRect().height)} px`)"""
SIDEWAYS = """() => {
    const page = document.documentElement;
    const scrolls = (node) => node !== document.body && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
    if (page.scrollWidth <= page.clientWidth) return [];
    const wide = [...document.querySelectorAll("body *")].filter((node) =>
        node.getBoundingClientRect().right > page.clientWidth + 1 && node.checkVisibility() && !scrolls(node.parentElement));
    const names = wide.map((node) => `${node.tagName}.${node.className?.baseVal ?? node.className}`);
    return [`${page.scrollWidth} of ${page.clientWidth}: ${names.slice(0, 3).join(", ")}`];
}"""
OUT_OF_TOPBAR = """() => [...document.querySelectorAll(".topbar > *, .topbar .btn, .topbar a")].filter((node) => {
    const bar = node.closest(".topbar").getBoundingClientRect(), at = node.getBoundingClientRect();
    return node.checkVisibility() && (at.top < bar.top - 1 || at.bottom > bar.bottom + 1);
}).map((node) => `${node.tagName} ${(node.getAttribute("aria-label") ?? node.textContent.trim()).slice(0, 20)}`)"""
OUT_OF_PANEL = """() => [...document.querySelectorAll(".panel, .banner, .topbar")].flatMap((panel) =>
    [...panel.querySelectorAll("*")].filter((node) =>
        !node.closest(".sr-only, [popover], caption, thead, .vendor-msg pre, .exchanges pre, svg, option") && node.checkVisibility()
        && node.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1
    ).map((node) => `${node.tagName}.${node.className} ${node.textContent.trim().slice(0, 20)}`).slice(0, 2))"""
# Border and background as they are drawn.
LOOK = """badge => { const drawn = getComputedStyle(badge); return [drawn.borderTopWidth, drawn.borderTopStyle, drawn.borderTopColor,
    drawn.backgroundColor]; }"""
RING = """() => { const drawn = getComputedStyle(document.activeElement);
    return drawn.outlineStyle === "none" ? 0 : parseFloat(drawn.outlineWidth); }"""


class Inline(html.parser.HTMLParser):
    """Collects what our content security policy forbids and what should not have been written: style=, on…=, inline scripts."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(body)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attributes}
        self.found += [f"<{tag} {name}>" for name in names if name == "style" or name.startswith(("on", "hx-on"))]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(f"inline <{tag}>")


def examine(page: Page, name: str, answer: Response | None) -> list[str]:
    """Everything that is wrong with the page that is open, in each size and colour scheme."""
    wrong = [f"{name}: {found}" for found in Inline(answer.text()).found] if answer else []
    page.evaluate(AXE_SCRIPT)
    # What moves takes time to come to rest, and ends as it would have ended.
    page.emulate_media(reduced_motion="reduce")
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            # In the dark only colours are others.
            rules = {"type": "tag", "values": TAGS} if scheme == "light" else {"type": "rule", "values": ["color-contrast"]}
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.evaluate(AT_REST)
            wrong += [f"{name}, {width}, {scheme}: axe {found}" for found in page.evaluate(RUN_AXE, rules)]
        wrong += [f"{name}, {width}: small target {found}" for found in page.evaluate(SMALL_TARGETS)]
    # 640 and 320 are a 1280 pixel window at 200 % and 400 % zoom (WCAG 1.4.4 and 1.4.10).
    for width in (320, 390, 640, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(AT_REST)
        wrong += [f"{name}, {width}: sideways {found}" for found in page.evaluate(SIDEWAYS)]
        wrong += [f"{name}, {width}: runs out of the top bar: {found}" for found in page.evaluate(OUT_OF_TOPBAR)]
        if width in (390, 1280):
            page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
            page.evaluate(AT_REST)
            wrong += [f"{name}, {width}, 200 % text: sideways {found}" for found in page.evaluate(SIDEWAYS)]
            page.evaluate("() => { document.documentElement.style.fontSize = ''; }")
            page.evaluate(AT_REST)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    return wrong


def report(wrong: list[str]) -> str:
    return "\n" + "\n".join(dict.fromkeys(wrong))


def visit(page: Page, shop: Shop, path: str, status: int = 200) -> list[str]:
    answer = page.goto(f"{shop.url}{path}")
    assert answer
    wrong = [] if answer.status == status else [f"{path}: answered {answer.status}"]
    return wrong + examine(page, path, answer)


@pytest.fixture
def page(shop: Shop, new_context: NewContext) -> Page:
    return page_of(shop.world.harbour.manager, shop.portal, new_context)


@pytest.fixture(scope="module")
def orders(shop: Shop) -> dict[OrderStatus, Order]:
    """One order in each status; the partial one with two items."""
    two = (shop.world.line(), shop.world.line(shop.world.premium_monthly, 3))
    partial = OrderStatus.COMPLETED_WITH_ERRORS
    return {status: order_in(status, shop.world, *(two if status == partial else ())) for status in OrderStatus}


def test_nothing_bars_the_way_before_one_is_signed_in(shop: Shop, new_context: NewContext, problems: Problems) -> None:
    problems.allow("status of (403|404|429|422|400)")
    page = new_context().new_page()
    wrong = visit(page, shop, "/signin/")
    page.get_by_label("E-mail").fill("nobody@harbour.example")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").first).to_contain_text("don’t belong together")
    wrong += examine(page, "sign in, refused", None)
    nobody = User.objects.create_user("nemo@nowhere.example", PASSWORD, name="Nemo")
    page = page_of(nobody, shop.portal, new_context)
    wrong += visit(page, shop, "/orders/", 403)
    assert not wrong, report(wrong)


@pytest.mark.usefixtures("orders")
def test_nothing_bars_the_way_in_the_lists(shop: Shop, page: Page, new_context: NewContext, orders: dict[OrderStatus, Order]) -> None:
    wrong = visit(page, shop, "/orders/")
    wrong += visit(page, shop, "/orders/historical/")
    for path, order in (
        ("/orders/", orders[OrderStatus.PROVISIONING_FAILED]),
        ("/orders/historical/", orders[OrderStatus.COMPLETED_WITH_ERRORS]),
    ):
        page.goto(f"{shop.url}{path}")
        page.set_viewport_size({"width": 1280, "height": 900})
        badge(page, order).click()
        expect(card(page, order)).to_be_visible()
        wrong += examine(page, f"{path} with its card", None)
    page.goto(f"{shop.url}/orders/")
    page.locator("summary", has_text="Status").click()
    wrong += examine(page, "/orders/ with the status filter", None)
    wrong += visit(page, shop, "/orders/?q=nobody")
    viewer = page_of(shop.world.northwind.viewer, shop.portal, new_context)
    wrong += visit(viewer, shop, "/orders/")
    wrong += visit(viewer, shop, "/orders/historical/")
    assert not wrong, report(wrong)


@pytest.mark.parametrize("half", [0, 1], ids=["recent", "historical"])
def test_nothing_bars_the_way_on_the_page_of_an_order(shop: Shop, page: Page, orders: dict[OrderStatus, Order], half: int) -> None:
    wrong = []
    for status, order in orders.items():
        if order.is_historical == bool(half):
            page.goto(f"{shop.url}/orders/{order.number}/")
            for details in page.locator("main details").all():
                details.locator("summary").click()
            wrong += examine(page, f"page of an order, {status.label}", page.request.get(page.url))  # type: ignore[arg-type]
    assert not wrong, report(wrong)


def test_nothing_bars_the_way_in_the_forms(shop: Shop, page: Page, orders: dict[OrderStatus, Order], problems: Problems) -> None:
    problems.allow("status of 422")
    failed, draft = orders[OrderStatus.PROVISIONING_FAILED], orders[OrderStatus.DRAFT]
    wrong = visit(page, shop, "/orders/new/")
    fill_item(page, 1, NORTHGATE, 0)
    wrong += examine(page, "/orders/new/ with an item", None)
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("alert").first).to_contain_text("to correct")
    wrong += examine(page, "/orders/new/ with errors", None)
    wrong += visit(page, shop, f"/orders/{draft.number}/edit/")
    wrong += visit(page, shop, f"/orders/{failed.number}/edit/")
    wrong += visit(page, shop, f"/orders/{failed.number}/edit/?fix={failed.attempts.get().failures.get().pk}")
    wrong += visit(page, shop, f"/orders/{draft.number}/place/")
    wrong += visit(page, shop, f"/orders/{failed.number}/close/")
    wrong += visit(page, shop, "/customers/new/")
    page.get_by_role("button", name="Add customer").click()
    expect(page.get_by_role("alert").first).to_contain_text("to correct")
    wrong += examine(page, "/customers/new/ with errors", None)
    assert not wrong, report(wrong)


def test_nothing_bars_the_way_in_the_catalogue(shop: Shop, page: Page) -> None:
    offer = shop.world.premium
    wrong = []
    for path in (
        "/catalogue/",
        "/catalogue/?q=nothing",
        f"/catalogue/?customer={shop.world.harbour.customer.code}",
        f"/catalogue/{offer.code}/",
    ):
        wrong += visit(page, shop, path)
    assert not wrong, report(wrong)


def test_nothing_bars_the_way_among_the_customers(shop: Shop, page: Page, orders: dict[OrderStatus, Order]) -> None:
    customer = orders[OrderStatus.PROVISIONING_FAILED].customer
    wrong = []
    for path in (
        "/customers/",
        "/customers/?q=nobody",
        "/customers/?view=archived",
        f"/customers/{customer.code}/",
        f"/customers/{customer.code}/edit/",
    ):
        wrong += visit(page, shop, path)
    assert not wrong, report(wrong)


def test_nothing_bars_the_way_in_the_settings_and_on_joining(shop: Shop, new_context: NewContext) -> None:
    harbour = shop.world.harbour
    TaxRate.objects.create(seller=harbour.seller, country="DE", percent=19)
    gone = User.objects.create_user("gone@harbour.example", None, name="Gus Gone")
    harbour.seller.memberships.create(user=gone, role="viewer", is_active=False)
    people.invite(harbour.seller, f"{'long' * 15}@harbour.example", "viewer", by=harbour.admin)
    _, token = people.invite(harbour.seller, "nina@harbour.example", "viewer", by=harbour.admin)
    page = page_of(harbour.admin, shop.portal, new_context)
    wrong = []
    for path in ("/settings/", "/settings/people/", "/settings/tax/", f"/settings/people/{harbour.admin.membership.pk}/remove/"):
        wrong += visit(page, shop, path)
    stranger = new_context().new_page()
    wrong += visit(stranger, shop, f"/join/{token}/")
    assert not wrong, report(wrong)


def test_nothing_bars_the_way_where_something_went_wrong(
    shop: Shop, page: Page, new_context: NewContext, problems: Problems, orders: dict[OrderStatus, Order]
) -> None:
    problems.allow("status of (403|404|409|400)")
    wrong = visit(page, shop, "/orders/SO-99999999/", 404)
    wrong += visit(page, shop, f"/orders/{orders[OrderStatus.COMPLETED].number}/edit/", 409)
    viewer = page_of(shop.world.harbour.viewer, shop.portal, new_context)
    wrong += visit(viewer, shop, "/orders/new/", 403)
    assert not wrong, report(wrong)


@pytest.mark.parametrize("path", ["/help/", "/help/statuses/", "/help/failures/?q=email", "/help/sandbox/"])
def test_nothing_bars_the_way_in_the_help(shop: Shop, page: Page, path: str) -> None:
    wrong = visit(page, shop, path)
    assert not wrong, report(wrong)


# --- statuses


def test_every_status_has_its_words_its_shape_and_its_tone(shop: Shop, page: Page, orders: dict[OrderStatus, Order]) -> None:
    seen = {}
    for path in ("/orders/", "/orders/historical/"):
        page.goto(f"{shop.url}{path}")
        for status, order in orders.items():
            info = TABLE[status]
            if (info.section == "Recent") != (path == "/orders/"):
                expect(row(page, order)).to_have_count(0)
                continue
            expect(badge(page, order)).to_have_text(status.label)
            expect(badge(page, order)).to_have_attribute("data-tone", info.tone)
            seen[status] = str(badge(page, order).locator("use").first.get_attribute("href")).partition("#")[2]
        expect(page.get_by_role("table").locator("form")).to_have_count(1 if path == "/orders/" else 0)
    assert seen == {status: f"i-{info.glyph}" for status, info in TABLE.items()}
    assert len(set(seen.values())) == 10
    # Each shape is one of the sprite: it is drawn, and drawn differently.
    drawn = page.evaluate(
        """async (ids) => {
            const sprite = document.querySelector("use").href.baseVal.split("#")[0];
            const all = new DOMParser().parseFromString(await (await fetch(sprite)).text(), "image/svg+xml");
            return ids.map((id) => all.getElementById(id)?.innerHTML.trim() ?? "");
        }""",
        list(seen.values()),
    )
    assert all(drawn)
    assert len(set(drawn)) == 10


def test_without_colour_and_without_movement_statuses_are_told_apart(
    shop: Shop, new_context: NewContext, orders: dict[OrderStatus, Order]
) -> None:
    started = orders[OrderStatus.PROVISIONING_STARTED]
    page = page_of(shop.world.harbour.manager, shop.portal, new_context, reduced_motion="no-preference")
    page.goto(f"{shop.url}/orders/")
    assert badge(page, started).locator(".i").evaluate("icon => getComputedStyle(icon).animationName") == "spin"
    page.emulate_media(reduced_motion="reduce")
    running = """icon => icon.getAnimations().filter((animation) => animation.playState === "running").length"""
    page.wait_for_function(f"icon => ({running})(icon) === 0", arg=badge(page, started).locator(".i").element_handle())
    row(page, started).evaluate("row => row.classList.add('just-changed')")
    page.wait_for_function(
        "row => row.getAnimations().every((animation) => animation.playState === 'finished')", arg=row(page, started).element_handle()
    )
    page.emulate_media(forced_colors="active")
    for status, order in orders.items():
        if TABLE[status].section == "Recent":
            look = badge(page, order).evaluate(LOOK)
            assert look[:2] == ["1px", "solid"]
            assert look[2] != look[3], status
            box = badge(page, order).locator(".i").first.bounding_box()
            assert box
            assert box["width"] >= 12


# --- small screens


def test_on_a_phone_the_list_is_still_a_table_and_the_menus_open(
    shop: Shop, new_context: NewContext, orders: dict[OrderStatus, Order]
) -> None:
    page = page_of(shop.world.harbour.manager, shop.portal, new_context, **PHONE)
    page.goto(f"{shop.url}/orders/")
    # As the browser tells a screen reader, which is not what the markup says once CSS made cards of the rows.
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    roles = Counter(node["role"]["value"] for node in tree if not node["ignored"])
    headers = [node["name"]["value"].strip() for node in tree if not node["ignored"] and node["role"]["value"] == "columnheader"]
    rows = page.locator("#rows tr").count()
    assert headers == ["Order", "Customer", "Status", "Items", "Total", "Updated"]
    assert {role: roles[role] for role in ("table", "row", "cell")} == {"table": 1, "row": rows + 1, "cell": 6 * rows}
    # Every fact of a row lies on the screen.
    for cell in row(page, orders[OrderStatus.PROVISIONING_FAILED]).get_by_role("cell").all():
        box = cell.bounding_box()
        assert box
        assert 0 <= box["x"] < box["x"] + box["width"] <= 390

    page.get_by_role("button", name="Menu").tap()
    menu = page.get_by_role("navigation", name="Main, small screens")
    expect(menu.get_by_role("link", name="Orders")).to_be_visible()
    page.touchscreen.tap(195, 26)
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Menu").tap()
    menu.get_by_role("link", name="Help centre").tap()
    expect(page).to_have_url(f"{shop.url}/help/")
    page.goto(f"{shop.url}/orders/")
    page.get_by_role("button", name="Account").tap()
    expect(page.locator("#account")).to_contain_text("max@harbour.example")
    expect(page.locator("#account")).to_contain_text("Account manager of Harbour Cloud")
    box = page.locator("#account").bounding_box()
    assert box
    assert 0 <= box["x"] < box["x"] + box["width"] <= 390
    for control in (
        page.get_by_role("link", name="New order").first,
        page.get_by_role("button", name="Menu"),
        page.get_by_role("button", name="Account"),
    ):
        target = control.bounding_box()
        assert target
        assert target["height"] >= 40


def test_long_names_and_long_words_break_no_layout(shop: Shop, page: Page) -> None:
    world = shop.world
    name = ("Internationale Zahnärztegemeinschaft " * 6)[:160] + "X" * 40
    customer = customer_of(
        world.harbour.seller,
        name,
        "verylongnameofadomain" * 2 + "ab",
        contact_email="a" * 60 + "@" + "b" * 60 + ".example",
        address_line1="L" * 200,
        city="C" * 80,
    )
    offer = Offer.objects.create(
        vendor=world.northgate,
        code="LONG-0001",
        product_id="LONG",
        sku_id="0001",
        title=("Extended Protection Suite " * 4 + "W" * 30)[:120],
    )
    price = Price.objects.create(
        offer=offer,
        market="NL",
        currency="EUR",
        term="P1M",
        billing_cycle="monthly",
        term_cost=Decimal("999.99"),
        term_price=Decimal("999.99"),
    )
    try:
        order = lifecycle.create(customer, [lifecycle.LineInput(price, 9_999)], by=world.harbour.manager, reference="P" * 60)
        lifecycle.add_note(order, "N" * 600, by=world.harbour.manager)
        draft = lifecycle.create(customer, [lifecycle.LineInput(price, 9_999)], by=world.harbour.manager, reference="P" * 60)
        lifecycle.place(order, by=world.harbour.manager)
        verdict_refused(order.attempts.get(), Refusal("9" * 60, 400, "V" * 900, b"{}"))
        wrong = []
        for path in (
            "/orders/",
            f"/orders/{order.number}/",
            f"/orders/{order.number}/edit/?fix=0",
            f"/orders/{draft.number}/place/",
            f"/orders/new/?customer={customer.code}",
        ):
            page.goto(f"{shop.url}{path}")
            for details in page.locator("main details").all():
                details.locator("summary").click()
            for width in (320, 390, 640, 768, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                page.evaluate(AT_REST)
                wrong += [f"{path}, {width}: {found}" for found in page.evaluate(SIDEWAYS)]
                # Nothing of one panel runs over its edge.
                wrong += [f"{path}, {width}: runs out of its panel: {found}" for found in page.evaluate(OUT_OF_PANEL)]
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{shop.url}/orders/")
        badge(page, order).click()
        box = card(page, order).bounding_box()
        assert box
        assert box["width"] <= 390
        assert card(page, order).evaluate("card => card.scrollWidth <= card.clientWidth")
        assert not wrong, report(wrong)
    finally:
        Customer.objects.filter(pk=customer.pk).update(is_archived=True)
        Offer.objects.filter(pk=offer.pk).update(is_active=False)


# --- keyboard


def test_a_whole_journey_with_the_keyboard_alone(shop: Shop, new_context: NewContext) -> None:
    page = new_context().new_page()
    page.goto(f"{shop.url}/")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type("max@harbour.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert focused(page) == "main"
    page.keyboard.press("Tab")
    assert focused(page) == "New order"
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("New order")
    tab_to(page, "id_customer")
    page.keyboard.type("Alder")
    tab_to(page, "id_q")
    page.keyboard.type("Northgate")
    expect(page.get_by_role("option", name="Northgate Backup for Mailboxes")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#id_lines-0-quantity")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("8")
    expect(page.locator("#totals")).to_contain_text("€\u00a076.00")
    expect(page.locator("#id_lines-0-quantity")).to_be_focused()
    tab_to(page, "Save and review")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    tab_to(page, "Place order")
    page.keyboard.press("Enter")
    expect(title_badge(page)).to_have_text("Provisioning Started")
    order = Order.objects.latest("id")
    assert [line.quantity for line in order.lines.all()] == [8]
    assert order.attempts.count() == 1

    # "/" goes to the search from anywhere in the list, and Escape leaves the status filter.
    to_list(page)
    page.keyboard.press("/")
    expect(page.get_by_label("Search orders")).to_be_focused()
    page.keyboard.type("/alder")
    expect(page.get_by_label("Search orders")).to_have_value("/alder")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Provisioning Failed")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Provisioning Failed")).to_be_hidden()


def tab_to(page: Page, wanted: str, most: int = 25) -> None:
    """Tab until the focus is there; every stop on the way shows a ring."""
    page.evaluate(AT_REST)
    for _ in range(most):
        page.keyboard.press("Tab")
        ring = page.evaluate(f"() => document.activeElement === document.body ? null : ({RING})()")
        if ring is None:
            # The browser takes no keys while one page fades into the next, and nothing has the focus while a part is exchanged.
            continue
        assert ring >= 2, f"No ring around {focused(page)}."
        if focused(page) == wanted:
            return
    pytest.fail(f"{wanted} is not within {most} stops; the last one was {focused(page)}.")


@pytest.mark.parametrize("path", ["/orders/", "/orders/historical/", "detail", "/orders/new/"])
def test_the_order_of_stops_is_the_reading_order(shop: Shop, page: Page, orders: dict[OrderStatus, Order], path: str) -> None:
    path = f"/orders/{orders[OrderStatus.PROVISIONING_FAILED].number}/" if path == "detail" else path
    page.goto(f"{shop.url}{path}")
    backwards = page.evaluate(
        """() => {
            const stops = [...document.querySelectorAll("main a[href], main button, main input, main select, main textarea, main summary")]
                .filter((node) => node.tabIndex >= 0 && node.checkVisibility() && !node.closest("[popover]") && node.type !== "hidden");
            const positive = [...document.querySelectorAll("[tabindex]")].filter((node) => node.tabIndex > 0);
            const column = (node) => node.closest("aside") ? 1 : node.closest(".banner > .actions") ? 2 : 0;
            return stops.slice(1).filter((node, index) => {
                const before = stops[index].getBoundingClientRect(), at = node.getBoundingClientRect();
                return column(node) === column(stops[index]) && at.bottom <= before.top;
            }).map((node) => node.textContent.trim()).concat(positive.map((node) => `tabindex ${node.tabIndex}`));
        }"""
    )
    assert backwards == []
