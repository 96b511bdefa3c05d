"""Every refusal that has to do with a customer's or an order's data: really refused, explained, corrected and bought by clicking.

The cases are the sandbox vendor's own table of what to type. All orders are placed at once, and all are waited for together.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from orders import lifecycle
from orders.failures import catalogue_rows
from orders.models import Failure, Offer, Order, Price
from orders.models.failures import Who
from orders.statuses import OrderStatus
from orders.vendors.sandbox import rules
from orders.vendors.sandbox.rules import MAGIC, Magic
from tests.browser.conftest import Shop, opened
from tests.browser.pages import LEFT_WHILE_ASKING, NORTHGATE, badge, card, row, title_badge
from tests.harness.browser import Problems, signed_in, watched_context
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import again, customer_of
from tests.harness.zygote import Zygote

pytestmark = pytest.mark.appearance
# The card that each of the vendor's refusals must bring, by its slug in the failure catalogue.
CARDS = {
    "E-mail refused": "contact-email",
    "E-mail burns the domain": "contact-email-domain-used",
    "Hostile reason": "contact-email",
    "Domain taken": "domain-taken",
    "Name too long": "company-name",
    "Address that does not agree": "address-does-not-agree",
    "Address that does not exist": "address-line",
    "Contact refused": "contact-name",
    "Phone refused": "contact-phone",
    "Registration number refused": "registration-number",
    "Product gone": "product-gone",
    "Too many seats": "too-many-seats",
    "No credit": "credit-limit",
    "Offer withdrawn": "offer-withdrawn",
    "Agreement missing": "agreement",
    "Use limit": "use-limit",
    "Term withdrawn": "term-withdrawn",
    "Add-on without its base": "add-on-without-base",
    "Seats per subscription": "seats-per-subscription",
    "Not in this country": "not-in-country",
    "Seat limit": "seats-left",
}
# What is no matter of data: test_journeys.py and test_purchasing.py have these.
OTHERS = {
    "Line refused": "Only the vendor's support can say why: there is no Retry (test_retry_rules.py).",
    "Slow success": "It succeeds.",
    "Fails without a reason": "Nobody can know what to correct.",
    "Needs a document": "It waits and then succeeds.",
    "Throttled twice": "The vendor is busy and then takes it.",
    "Busy twice": "The vendor is away and then takes it.",
    "Busy for ever": "The vendor is away.",
}
# Where the table says to type something: the customer's field there, and what stands for the dots of the value.
TYPED = {
    "Contact e-mail": ("contact_email", "refusals.example"),
    "Domain prefix": ("domain", "refusals.onmicrosoft.com"),
    "Customer name": ("name", " Trading"),
    "City": ("city", " upon Sea"),
    "Address": ("address_line1", " Lane 7"),
    "Contact last name": ("contact_last_name", " Jansen"),
    "Contact phone": ("contact_phone", "+31 20 55"),
    "Registration number": ("registration_number", "1234567"),
}
OFFER, QUANTITY = "Product id", "Quantity"
STANDARD = "Microsoft 365 Business Standard"
SEATS = 5
# Pixels between a field and its reason, at most.
NEAR = 120
# A customer where Microsoft wants a registration number.
POLISH = {"country": "PL", "city": "Warszawa", "postal_code": "00-001", "contact_phone": "+48221234567"}
# The other vendor of the sandbox has tests of his own (tests/vendors/test_adobe.py).
THEIRS = [row for row in MAGIC if not row.name.startswith("Adobe: ")]
# What the portal's own form and checklist do not let through, and customers and drafts of earlier days may still have.
EARLIER = (
    Magic("Registration number missing", "Registration number", "", ""),
    Magic("Registration number not wanted", "Registration number", "1234567", ""),
    Magic("Phone missing", "Contact phone", "", ""),
    Magic("Out of range", QUANTITY, "999", ""),
)
CARDS |= {
    "Registration number missing": "registration-number-missing",
    "Registration number not wanted": "registration-number-not-wanted",
    "Phone missing": "contact-phone-missing",
    "Out of range": "quantity-out-of-range",
}


@dataclass(frozen=True)
class Case:
    """One row of the vendor's table, with the card that it must bring."""

    magic: Magic
    number: int

    @cached_property
    def reason(self) -> dict[str, Any]:
        """As the catalogue is delivered, with what a seller reads of Microsoft."""
        slug = CARDS[self.magic.name]
        (found,) = (row for row in catalogue_rows() if row["slug"] == slug)
        return {name: text.replace("{vendor}", "Microsoft") if isinstance(text, str) else text for name, text in found.items()}

    @property
    def fix_field(self) -> str:
        return str(self.reason.get("fix_field", ""))

    @property
    def customer(self) -> dict[str, str]:
        """What is wrong with the customer, if the row is about him."""
        if self.magic.where not in TYPED:
            return {}
        name, rest = TYPED[self.magic.where]
        wrong = {name: self.magic.value.replace("…", rest)}
        match self.magic.name:
            case "Registration number not wanted":
                return wrong
            case "Phone missing":
                return POLISH | {"registration_number": "5260001246"} | wrong
            case _:
                return (POLISH if name == "registration_number" else {}) | wrong

    @property
    def quantity(self) -> int:
        return int(self.magic.value) if self.magic.where == QUANTITY else SEATS

    @property
    def offer(self) -> str:
        """What the seller takes in exchange: at Microsoft, and once at another vendor."""
        return NORTHGATE if self.magic.name == "Not in this country" else STANDARD

    @property
    def corrections(self) -> dict[str, str]:
        """What the seller types: first into the field that the card leads to."""
        right = {
            "contact_email": f"anna@corrected{self.number}.example",
            "domain": f"corrected{self.number}.onmicrosoft.com",
            "name": "Corrected Trading",
            "city": "Amsterdam",
            "address_line1": "Havenstraat 12",
            "contact_last_name": "Visser",
            "contact_phone": "+48 22 123 45 67" if self.magic.name == "Phone missing" else "+31 20 123 4567",
            "registration_number": "" if self.magic.name == "Registration number not wanted" else "5260001246",
            "lines-offer": self.offer,
            "lines-plan": "1 month, monthly",
            "lines-quantity": str(SEATS),
        }
        beside = ["contact_email"] if self.reason["slug"] == "contact-email-domain-used" else []
        return {name: right[name] for name in [self.fix_field, *beside] if name}


CASES = [Case(magic, number) for number, magic in enumerate([*THEIRS, *EARLIER]) if magic.name in CARDS]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.magic.name.lower().replace(" ", "-"))


@dataclass
class Refused:
    """The shop, the order of each case, which its vendor has refused, and a browser in which the seller is signed in."""

    shop: Shop
    orders: dict[str, Order]
    context: BrowserContext
    problems: Problems
    sent_again: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def refused(database: Database, _sandbox: Sandbox, static_files: Path, browser: Browser, zygote: Zygote) -> Iterator[Refused]:
    with opened(database, _sandbox, zygote, worker=True) as shop:
        offers = _offers(shop)
        orders = {case.magic.name: _placed(shop, case, offers) for case in CASES}
        problems = Problems()
        problems.allow(LEFT_WHILE_ASKING)
        # One for all cases, so that style and script are fetched once.
        context = watched_context(browser, problems)
        signed_in(context, shop.portal, shop.world.harbour.manager)
        _until_refused(orders)
        made = Refused(shop, orders, context, problems)
        yield made
        context.close()
        assert _sandbox.violations() == []
        assert len(_sandbox.ledger()["orders"]) <= len(made.sent_again)


@pytest.fixture
def page(refused: Refused) -> Iterator[Page]:
    page = refused.context.new_page()
    yield page
    page.close()
    assert refused.problems.unexpected == []


def _offers(shop: Shop) -> dict[str, Price]:
    """What the orders want, by market or product, and what they may be exchanged for."""
    world = shop.world
    gone = Offer.objects.create(
        vendor=world.microsoft, code="GONE0001-0001", product_id="GONE0001", sku_id="0001", title="Microsoft 365 Business Legacy"
    )
    standard = Offer.objects.create(
        vendor=world.microsoft, code="CFQ7TTC0LDPB-0001", product_id="CFQ7TTC0LDPB", sku_id="0001", title=STANDARD
    )

    def price(offer: Offer, market: str = "NL") -> Price:
        plan = {"term": "P1Y", "billing_cycle": "monthly", "currency": "EUR"}
        return Price.objects.create(offer=offer, market=market, term_cost=100, term_price=120, **plan)

    price(standard)
    return {"NL": world.premium_yearly_monthly, "PL": price(world.premium, "PL"), OFFER: price(gone)}


def _placed(shop: Shop, case: Case, offers: dict[str, Price]) -> Order:
    """Placed by the verb itself: that a seller can do it by clicking is proven elsewhere."""
    world = shop.world
    details = {"name": f"Customer {case.number}"} | case.customer
    customer = customer_of(world.harbour.seller, details.pop("name"), f"refusals{case.number}", **details)
    price = offers[OFFER] if case.magic.where == OFFER else offers[customer.country]
    order = lifecycle.create(customer, [world.line(price, case.quantity)], by=world.harbour.manager)
    return lifecycle.place(order, by=world.harbour.manager)


def _until_refused(orders: dict[str, Order], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    wanted = [order.pk for order in orders.values()]
    while left := list(Order.objects.filter(pk__in=wanted).exclude(status=OrderStatus.PROVISIONING_FAILED)):
        assert time.monotonic() < deadline, f"Not refused: {[(order.number, order.status) for order in left]}"
        time.sleep(0.1)


def test_every_refusal_of_the_vendor_is_proven_or_named_as_another_matter() -> None:
    """Whoever gives the vendor a new refusal writes a card for it, and gets its case here."""
    assert sorted([*CARDS, *OTHERS]) == sorted(row.name for row in [*THEIRS, *EARLIER])
    assert {row.where for row in THEIRS} == {*TYPED, OFFER, QUANTITY}
    # What the vendor refuses stands in its table.
    typed = {row.value for row in THEIRS if row.where == QUANTITY}
    assert {str(quantity) for quantity in rules.QUANTITY_REFUSALS} <= typed
    for _, name, beginning, _, _ in rules.CUSTOMER_REFUSALS:
        assert any(row.value.lower() == f"{beginning}…" for row in THEIRS), name


@every_case
def test_the_card_says_what_is_wrong_and_leads_to_where_it_is_corrected(refused: Refused, case: Case, page: Page) -> None:
    correct(refused, case, page)


@every_case
def test_the_corrected_order_completes_and_is_bought_once(refused: Refused, case: Case, page: Page) -> None:
    correct(refused, case, page)
    order = refused.orders[case.magic.name]
    page.goto(f"{refused.shop.url}/orders/{order.number}/")
    expect(title_badge(page)).to_have_text("Completed", timeout=30_000)
    expect(page.locator(".banner")).to_have_count(0)
    expect(page.locator("details.attempt")).to_have_count(2)
    (bought,) = purchases(refused, again(order))
    (line,) = bought["lineItems"]
    quantity = int(case.corrections.get("lines-quantity", case.quantity))
    assert (bought["status"], line["quantity"]) == ("completed", quantity)
    expect(page.get_by_role("region", name="Subscriptions")).to_contain_text(f"{order.lines.get().title} × {quantity}")
    if case.fix_field == "lines-offer":
        assert line["friendlyName"] == case.offer
    if case.fix_field == "lines-plan":
        assert line["termDuration"] == "P1M"


def purchases(refused: Refused, order: Order) -> list[dict[str, Any]]:
    """The orders of this customer in the vendor's ledger, at whichever vendor."""
    ledger = refused.shop.portal.sandbox.ledger()
    his = {customer["id"] for customer in ledger["customers"] if customer["companyProfile"]["domain"] == order.customer.domain}
    return [bought for bought in ledger["orders"] if bought["customerId"] in his]


def correct(refused: Refused, case: Case, page: Page) -> None:
    """From the list over the card to the field, and to the vendor again: once for a case, whichever test comes first."""
    if case.magic.name in refused.sent_again:
        return
    order = refused.orders[case.magic.name]
    assert purchases(refused, order) == []
    page.goto(f"{refused.shop.url}/orders/?q={order.number}")
    read_card(page, case, order)
    if case.fix_field:
        fix(page, case, order)
    else:
        retry_after_somebody_else(refused, page, case, order)
    expect(page.locator(".note-bar")).to_contain_text(f"Order {order.number} goes to the vendor again.")
    refused.sent_again.add(case.magic.name)


def read_card(page: Page, case: Case, order: Order) -> None:
    """The row has the short reason; the card says what it means, what to do and what the vendor said."""
    expect(badge(page, order)).to_have_text("Provisioning Failed")
    expect(row(page, order).locator(".status-why")).to_have_text(case.reason["short"])
    badge(page, order).click()
    opened_card = card(page, order)
    expect(opened_card).to_be_visible()
    expect(opened_card.get_by_role("heading")).to_have_text(case.reason["summary"])
    expect(opened_card).to_contain_text(f"{case.reason['meaning']} {case.reason['fix']}")
    failure = Failure.objects.get(attempt__order=order)
    assert failure.code == case.reason["code"].partition(":")[0]
    assert failure.text
    assert opened_card.locator("pre").evaluate("node => node.textContent") == failure.text
    expect(opened_card.locator(".vendor-msg code")).to_have_text(f"{failure.code} · HTTP {failure.http_status}")
    # A used-up domain must be exchanged before anything is sent again.
    expect(opened_card.get_by_role("button", name="Retry")).to_have_count(0 if case.reason.get("needs_new_domain") else 1)


def fix(page: Page, case: Case, order: Order) -> None:
    """Along the card's link to the very field, with the reason beside it; corrected there, saved and sent again."""
    card(page, order).get_by_role("link", name=case.reason["fix_label"]).click()
    field_ = input_of(page, case.fix_field)
    expect(field_).to_be_focused()
    expect(field_).to_be_in_viewport()
    expect(field_).to_have_accessible_description(re.compile(re.escape(f"{case.reason['summary']} {case.reason['fix']}")))
    beside = page.locator("#fix-reason")
    expect(beside).to_be_in_viewport(ratio=1)
    expect(beside).to_contain_text(" ".join(Failure.objects.get(attempt__order=order).text[:100].split()))
    at, reason_at = field_.bounding_box(), beside.bounding_box()
    assert at
    assert reason_at
    assert max(at["y"] - reason_at["y"] - reason_at["height"], reason_at["y"] - at["y"] - at["height"]) < NEAR
    for name, value in case.corrections.items():
        type_into(page, name, value)
    page.get_by_role("button", name="Save and retry").click()


def input_of(page: Page, name: str) -> Locator:
    return page.locator(f"#id_{name.replace('lines-', 'lines-0-')}")


def type_into(page: Page, name: str, value: str) -> None:
    match name:
        case "lines-plan":
            input_of(page, name).select_option(label=value)
        case "lines-offer":
            page.keyboard.press("Enter")
            search = page.get_by_label("Exchange item 1 for")
            # What was swapped in listens when it takes the focus, and not before.
            expect(search).to_be_focused()
            search.fill(value)
            page.locator("#hits button", has_text=value).click()
            expect(page.locator("#items")).to_contain_text(value)
        case _:
            input_of(page, name).fill(value)


def retry_after_somebody_else(refused: Refused, page: Page, case: Case, order: Order) -> None:
    """Nothing to correct in the order: the card names who acts, and once he has, Retry works."""
    opened_card = card(page, order)
    expect(opened_card.locator("footer a")).to_have_count(0)
    page.goto(f"{refused.shop.url}/orders/{order.number}/")
    following = page.get_by_role("region", name="What happens next")
    expect(following).to_contain_text(case.reason["fix"])
    expect(following.locator("dd")).to_have_text(Who(case.reason["who"]).label)
    # The customer accepts the agreement.
    refused.shop.portal.sandbox.clock("PT2M")
    page.locator(".banner").get_by_role("button", name="Retry").click()
