"""What several browser tests do or look at: sign in, open a card, place an order by clicking."""

import re
from collections.abc import Callable, Sequence

from playwright.sync_api import BrowserContext, Locator, Page, expect

from orders.models import Order, User
from tests.harness.browser import signed_in
from tests.harness.portal import Portal

NewContext = Callable[..., BrowserContext]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 1}

MICROSOFT = "Microsoft 365 Business Premium"
NORTHGATE = "Northgate Backup for Mailboxes"
MONTHLY = "1 month, monthly"

# Whoever saves right after typing leaves the page while it still asks for the new totals.
LEFT_WHILE_ASKING = r"htmx:(afterRequest|sendError|sendAbort)"


def page_of(user: User, portal: Portal, new_context: NewContext, **options: object) -> Page:
    """A page of a context in which the user is signed in."""
    context = new_context(**options)
    signed_in(context, portal, user)
    return context.new_page()


def saved(page: Page) -> None:
    """The ordering screen has saved what was typed."""
    expect(page.locator("#save-state")).to_have_text("Saved")


def row(page: Page, order: Order | str) -> Locator:
    return page.locator(f"#order-{getattr(order, 'number', order)}")


def badge(page: Page, order: Order | str) -> Locator:
    return row(page, order).locator(".status")


def card(page: Page, order: Order | str) -> Locator:
    return page.locator(f"#reason-{getattr(order, 'number', order)}")


def title_badge(page: Page) -> Locator:
    """The status beside the heading of an order's page."""
    return page.locator(".title-row .status")


def focused(page: Page) -> str:
    """Where the keyboard is: the id, label, words or tag of the focused element."""
    return str(
        page.evaluate(
            "() => { const at = document.activeElement;"
            " return at.id || at.getAttribute('aria-label') || at.textContent.trim() || at.tagName }"
        )
    )


def fill_item(page: Page, number: int, offer: str, quantity: int, plan: str = MONTHLY) -> None:
    """Find the offer in the catalogue and add it; works with the keyboard's list and with the buttons of a page without script."""
    page.get_by_label("Add an item").fill(offer)
    if (search := page.get_by_role("button", name="Search")).is_visible():
        search.click()
    page.locator("#hits button", has_text=offer).first.click()
    item = page.get_by_role("group", name=f"Item {number}")
    item.get_by_label("Term and billing").select_option(label=plan)
    item.get_by_label("Quantity").fill(str(quantity))


def start_order(page: Page, customer: str | None, items: Sequence[tuple[str, int]]) -> None:
    """Fill the form of a new order by clicking, from wherever "New order" is in sight; `None` leaves the customer as chosen."""
    if customer:
        page.get_by_role("link", name="New order").first.click()
        page.get_by_role("combobox", name="Customer").select_option(label=customer)
    for number, (offer, quantity) in enumerate(items, start=1):
        fill_item(page, number, offer, quantity)


def place_order(page: Page, customer: str | None, items: Sequence[tuple[str, int]]) -> str:
    """From the list to the page of a placed order, by clicking; returns its number."""
    start_order(page, customer, items)
    page.get_by_role("button", name="Save and review").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review and place")
    page.get_by_role("button", name="Place order").click()
    expect(page.locator(".note-bar")).to_contain_text("is on its way to the vendor")
    found = re.search(r"SO-\d+", page.get_by_role("heading", level=1).inner_text())
    assert found
    return found[0]


def to_list(page: Page, section: str = "Orders") -> None:
    """Through the menu on the left, as a person would."""
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Orders").click()
    if section == "Historical":
        page.get_by_role("navigation", name="Order sections").get_by_role("link", name="Historical").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders")


def statuses_until(page: Page, number: str, wanted: str, *, hurry: bool = True, seconds: float = 30) -> list[str]:
    """Stay on the list and note which statuses the row shows until the wanted one; in a hurry, ask twice a second."""
    page.wait_for_function(
        """([number, wanted, hurry]) => {
            const seen = (window.seenStatuses ??= {})[number] ??= [];
            const now = document.querySelector(`#order-${number} .status`)?.textContent.trim();
            if (now && seen.at(-1) !== now) seen.push(now);
            if (hurry && now !== wanted && Date.now() - (window.askedAt ?? 0) > 500) {
                window.askedAt = Date.now();
                document.body.dispatchEvent(new CustomEvent("portal:tick"));
            }
            return now === wanted;
        }""",
        arg=[number, wanted, hurry],
        timeout=seconds * 1000,
    )
    seen = page.evaluate("number => window.seenStatuses[number]", number)
    return [str(status) for status in seen]


def reload_until(page: Page, target: Locator, pattern: str, seconds: float = 20) -> None:
    """For pages that do not change by themselves."""
    for _ in range(int(seconds * 4)):
        if re.search(pattern, target.inner_text()):
            return
        page.wait_for_load_state()
        page.reload()
    expect(target).to_have_text(re.compile(pattern))


def tick(page: Page) -> int:
    """Make the list ask for changes now instead of in some seconds; returns the HTTP status of the answer."""
    with page.expect_response(lambda response: "/orders/live/" in response.url) as answer:
        page.evaluate("() => document.body.dispatchEvent(new CustomEvent('portal:tick'))")
    answer.value.finished()
    return answer.value.status
