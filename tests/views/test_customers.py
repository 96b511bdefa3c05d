"""Customers: found, read, corrected and archived by their own seller, and by nobody else."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import submissions
from orders.models import Customer, FailureReason, Order
from orders.statuses import OrderStatus
from orders.vendors.contract import Refusal
from tests.harness.world import World, again, customer_of, order_in, verdict_refused
from tests.views.test_forms import CUSTOMER, refused_at
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of, value_of
from tests.walls.state import state

pytestmark = pytest.mark.pages


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def details(customer: Customer, **changes: Any) -> dict[str, str]:
    """The edit form as it opens, with changes."""
    fields = {name: "" if value is None else str(value) for name, value in customer.__dict__.items() if not name.startswith("_")}
    return fields | {"customer_code": customer.code, "customer_version": str(customer.version), "token": "edit"} | changes


def names(page: HtmlPage) -> list[str]:
    return [str(link.text) for link in page.all("a") if link.get("class") == "row-link"]


# --- the list


def test_the_list_shows_this_sellers_customers_by_name_and_finds_them(manager: Client, world: World) -> None:
    seller = world.harbour.seller
    customer_of(seller, "Zebra Zoo", "zebrazoo", contact_last_name="Quagga")
    customer_of(seller, "Archive Ltd", "archiveltd", is_archived=True)
    page = HtmlPage(manager.get("/customers/"))
    assert names(page) == ["Alder Dental", "Birch Bakery", "Zebra Zoo"]
    assert complaints(page) == []
    for q, found in (("zebra", ["Zebra Zoo"]), ("ZEBRAZOO", ["Zebra Zoo"]), ("quagga", ["Zebra Zoo"]), ("nobody", []), ("\0", names(page))):
        assert names(HtmlPage(manager.get("/customers/", {"q": q}))) == found, q
    assert names(HtmlPage(manager.get("/customers/?view=archived"))) == ["Archive Ltd"]
    assert "Northwind" not in page.text


def test_paging_forth_and_back_shows_everybody_once(manager: Client, world: World) -> None:
    # Namesakes across the border of a page too.
    for number in range(70):
        customer_of(world.harbour.seller, "Same Name" if 10 < number < 40 else f"Customer {number:02}", f"customer{number:02}")
    wanted = list(Customer.objects.filter(seller=world.harbour.seller).order_by("name", "id").values_list("name", flat=True))
    seen, path, pages = [], "/customers/", 0
    while path:
        page = HtmlPage(manager.get(path))
        seen += names(page)
        pages += 1
        path = next((f"/customers/{link.attrib['href']}" for link in page.all("a") if link.get("rel") == "next"), "")
        last = page
    assert seen == wanted
    assert pages == 3
    back = next(link.attrib["href"] for link in last.all("a") if link.get("rel") == "prev")
    assert names(HtmlPage(manager.get(f"/customers/{back}"))) == wanted[25:50]


@pytest.mark.parametrize("cursor", ["x", "MQ", "MXx", "-1|", "\0", "x" * 5_000, "OTk5OTk5OTk5OTk5OTk5OTk5OTk5fGE"])
def test_a_cursor_that_is_none_shows_a_page(manager: Client, world: World, cursor: str) -> None:
    for name in ("after", "before"):
        assert manager.get("/customers/", {name: cursor}).status_code == 200


def test_a_list_and_a_page_cost_the_same_however_much_there_is(manager: Client, world: World) -> None:
    customer = world.harbour.customer

    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert manager.get(path).status_code == 200
        return len(queries)

    order_in(OrderStatus.PROVISIONING_FAILED, world)
    order_in(OrderStatus.COMPLETED, world)
    paths = ("/customers/", f"/customers/{customer.code}/")
    few = [cost(path) for path in paths]
    for number in range(40):
        customer_of(world.harbour.seller, f"More {number}", f"more{number}")
    for _ in range(12):
        order_in(OrderStatus.PROVISIONING_FAILED, world)
    assert [cost(path) for path in paths] == few


# --- the page


def test_the_page_shows_what_failed_first_and_retry_leads_on(manager: Client, world: World) -> None:
    failed, done = order_in(OrderStatus.PROVISIONING_FAILED, world), order_in(OrderStatus.COMPLETED, world)
    page = HtmlPage(manager.get(f"/customers/{world.harbour.customer.code}/"))
    assert page.says(failed.number)
    assert page.says(done.number)
    assert complaints(page) == []
    [form] = page.all("form", action=f"/orders/{failed.number}/retry/")
    [token] = [field.get("value", "") for field in form.iter("input") if field.get("name") == "token"]
    assert manager.post(form.attrib["action"], {"token": token}).status_code == 302
    assert again(failed).status == OrderStatus.PROVISIONING_STARTED


def test_correcting_the_contact_offers_to_retry_what_failed_for_it(manager: Client, world: World) -> None:
    failed = order_in(OrderStatus.PROVISIONING_FAILED, world)
    customer = failed.customer
    path = f"/customers/{customer.code}/"
    assert not HtmlPage(manager.get(path)).says("the details were changed since it was sent")
    answer = manager.post(f"{path}edit/", details(customer, contact_email="right@alder.example"), follow=True)
    page = HtmlPage(answer)
    assert page.says("1 failed order can be retried below.")
    assert page.says("the details were changed since it was sent")
    assert page.all("form", action=f"/orders/{failed.number}/retry/")
    customer.refresh_from_db()
    assert (customer.contact_email, customer.version) == ("right@alder.example", 2)


@pytest.mark.parametrize(
    ("code", "changes", "mends"),
    [
        ("3000:BillingProfile.Email", {"contact_email": "right@alder.example"}, True), ("3000:BillingProfile.Email", {"city": "Delft", "postal_code": "2611 AB"}, False),
        ("3000:BillingProfile.DefaultAddress.AddressLine1", {"city": "Delft", "postal_code": "2611 AB"}, True),
        ("3000:BillingProfile.CompanyName", {"contact_email": "right@alder.example"}, False), ("800069", {"contact_email": "right@alder.example"}, False),
    ],
)  # fmt: skip
def test_only_what_the_failure_names_is_a_correction_of_it(
    manager: Client, world: World, code: str, changes: dict[str, str], mends: bool
) -> None:
    failed = order_in(OrderStatus.PROVISIONING_STARTED, world)
    code, _, field = code.partition(":")
    verdict_refused(failed.attempts.get(), Refusal(code, 400, "No.", b"{}", field=field))
    page = HtmlPage(manager.post(f"/customers/{failed.customer.code}/edit/", details(failed.customer, **changes), follow=True))
    assert page.says("was saved.")
    assert page.says("can be retried below") == page.says("the details were changed since it was sent") == mends


def test_a_failed_order_whose_retry_is_off_is_not_among_those_that_can_be_retried(manager: Client, world: World) -> None:
    failed = order_in(OrderStatus.PROVISIONING_FAILED, world)
    FailureReason.objects.filter(slug="customer-details").update(retry="never")
    page = HtmlPage(
        manager.post(f"/customers/{failed.customer.code}/edit/", details(failed.customer, contact_email="a@alder.example"), follow=True)
    )
    assert page.says("was saved.")
    assert not page.says("can be retried")


# --- tax


def sum_on(manager: Client, path: str) -> str:
    """The first payment as the page shows it."""
    return re.findall(r"First payment(?: with tax)?\s*(€\s[\d.,]+)", text_of(HtmlPage(manager.get(path)).by_id("main")))[0]


def test_a_new_tax_rate_is_that_of_every_order_that_may_still_change_and_of_no_other(manager: Client, world: World) -> None:
    customer = world.harbour.customer
    orders = {status: order_in(status, world) for status in OrderStatus}
    before = {status: (order.tax_now, order.version) for status, order in orders.items()}
    page = HtmlPage(manager.post(f"/customers/{customer.code}/edit/", details(customer, tax_rate="10"), follow=True))
    assert page.says("3 open orders have the new tax.")
    for status, order in orders.items():
        changes = status in {OrderStatus.START, OrderStatus.DRAFT, OrderStatus.PROVISIONING_FAILED}
        saved = again(order)
        # 2 × 9.50 = 19.00
        assert saved.tax_now == (Decimal("1.90") if changes else before[status][0]), status
        assert saved.version == before[status][1]
        assert [line.tax for line in saved.lines.all()] == [saved.tax_now]
        assert (saved.events.first().name == "retaxed") == changes, status
        if changes:
            assert HtmlPage(manager.get(f"/orders/{order.number}/")).says("From 21 % to 10 %")
    for status in (OrderStatus.START, OrderStatus.DRAFT):
        number = orders[status].number
        assert {sum_on(manager, f"/orders/{number}/{page}") for page in ("", "edit/", "place/")} == {"€ 20.90"}


@pytest.mark.parametrize("status", [OrderStatus.DRAFT, OrderStatus.START])
def test_whatever_changed_the_rate_the_review_shows_what_placing_makes(manager: Client, world: World, status: OrderStatus) -> None:
    order = order_in(status, world)
    Customer.objects.filter(pk=order.customer_id).update(tax_rate=0)
    path = f"/orders/{order.number}/place/"
    assert sum_on(manager, path) == "€ 19.00"
    assert manager.post(path, {"token": "place"}).status_code == 302
    placed = again(order)
    assert (placed.tax_now, placed.first_payment) == (0, 19)
    assert [line.tax_rate for line in placed.lines.all()] == [0]


def test_a_phone_number_that_is_only_written_otherwise_is_no_correction(manager: Client, world: World) -> None:
    failed = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path = f"/customers/{failed.customer.code}/"
    manager.post(f"{path}edit/", details(failed.customer, contact_phone="+31 (0)20-1234567"))
    assert not HtmlPage(manager.get(path)).says("the details were changed")


# --- what is typed


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("postal_code", "10", "isn’t a postal code of Netherlands"), ("contact_phone", "12", "longer or shorter"), ("contact_email", "a@b.con", ".con"),
        ("registration_number", "12", "No vendor takes"), ("tax_rate", "101", ""), ("tax_rate", "1_0", "number from 0"), ("tax_rate", "", "Write the tax rate"),
        ("city", "", "city"), ("agreement_on", "2999-01-01", "future"), ("agreement_first_name", "Anna", ""), ("country", "XX", ""),
        ("segment", "Nobility", ""), ("name", "a\u202eb", "can’t be seen"), ("domain", "alder.com", "name.onmicrosoft.com"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(
    manager: Client, world: World, field: str, typed: str, words: str
) -> None:
    before = state()
    response = manager.post("/customers/new/", CUSTOMER | {field: typed})
    if field == "agreement_first_name":
        refused_at(response, "agreement_last_name", "An agreement needs")
    else:
        refused_at(response, field, words)
    assert value_of(HtmlPage(response).field("city")) == (typed if field == "city" else "Amsterdam")
    assert state() == before


def test_a_registration_number_is_asked_for_where_the_vendor_demands_it(manager: Client, world: World) -> None:
    poland = CUSTOMER | {"country": "PL", "postal_code": "00-001", "city": "Warszawa", "contact_phone": "+48 22 123 45 67"}
    refused_at(manager.post("/customers/new/", poland), "registration_number", "needs the registration number")
    refused_at(
        manager.post("/customers/new/", poland | {"registration_number": "123", "contact_phone": ""}), "contact_phone", "needs a phone"
    )
    assert manager.post("/customers/new/", poland | {"registration_number": "5213017228"}).status_code == 302
    assert Customer.objects.latest("id").as_request().registration_number == "5213017228"


def test_what_the_country_demands_is_not_called_optional(manager: Client, world: World) -> None:
    def optional(**changes: str) -> set[str]:
        page = HtmlPage(manager.post("/customers/new/", CUSTOMER | {"name": ""} | changes))
        labels = {label.get("for"): label for label in page.all("label")}
        return {
            name
            for name in ("state", "postal_code", "registration_number", "contact_phone")
            for span in labels[f"id_{name}"].iter("span")
            if "hidden" not in span.attrib
        }

    assert optional(country="NL") == {"state", "registration_number", "contact_phone"}
    assert optional(country="US") == {"registration_number", "contact_phone"}
    assert optional(country="HK") == {"postal_code", "registration_number", "contact_phone"}
    assert optional(country="PL") == {"state"}
    customer = world.harbour.customer
    Customer.objects.filter(pk=customer.pk).update(country="PL")
    page = HtmlPage(manager.get(f"/customers/{customer.code}/edit/"))
    [label] = [one for one in page.all("label") if one.get("for") == "id_registration_number"]
    assert ["hidden" in span.attrib for span in label.iter("span")] == [True]


def test_no_tax_needs_a_reason(manager: Client, world: World) -> None:
    refused_at(manager.post("/customers/new/", CUSTOMER | {"tax_rate": "0"}), "tax_note", "why no tax")
    assert manager.post("/customers/new/", CUSTOMER | {"tax_rate": "0,00", "tax_note": "Reverse charge"}).status_code == 302


def test_two_people_on_one_customer_lose_nothing(manager: Client, world: World) -> None:
    customer = world.harbour.customer
    first, second = details(customer, city="Utrecht", postal_code="3511 AB", token="a"), details(customer, city="Delft", token="b")
    assert manager.post(f"/customers/{customer.code}/edit/", first).status_code == 302
    response = manager.post(f"/customers/{customer.code}/edit/", second)
    assert response.status_code == 422
    page = HtmlPage(response)
    assert page.says("Somebody else changed this customer")
    assert value_of(page.field("city")) == "Delft"
    customer.refresh_from_db()
    assert customer.city == "Utrecht"
    # Theirs stands beside mine, and each can stay.
    assert page.says("Saved: Utrecht")
    assert page.says("Yours: Delft")
    assert complaints(page) == []
    [keep] = page.all("button", name="their_customer_version")
    assert [link.get("href") for link in page.all("a") if link.text == "Take the saved one"] == [f"/customers/{customer.code}/edit/"]
    # Over the version that was shown, and over no later one.
    Customer.objects.filter(pk=customer.pk).update(city="Leiden", version=3)
    assert manager.post(f"/customers/{customer.code}/edit/", second | {"their_customer_version": keep.attrib["value"]}).status_code == 422
    # What is wrong besides is corrected without choosing again.
    half = HtmlPage(manager.post(f"/customers/{customer.code}/edit/", second | {"their_customer_version": "3", "postal_code": "1"}))
    assert not half.says("Which version of the customer stays?")
    assert manager.post(f"/customers/{customer.code}/edit/", half.sent() | {"postal_code": "2611 AB"}).status_code == 302
    customer.refresh_from_db()
    assert (customer.city, customer.version) == ("Delft", 4)


def test_of_two_saves_at_once_the_second_finds_what_the_first_saved(manager: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    customer, once = world.harbour.customer, submissions.once

    def late(request: HttpRequest, work: submissions.Work) -> str:
        Customer.objects.filter(pk=customer.pk, version=1).update(city="Utrecht", version=2)
        return once(request, work)

    monkeypatch.setattr(submissions, "once", late)
    response = manager.post(f"/customers/{customer.code}/edit/", details(customer, city="Delft"))
    assert response.status_code == 422
    assert HtmlPage(response).says("Saved: Utrecht")
    customer.refresh_from_db()
    assert customer.city == "Utrecht"


def test_the_currency_stays_once_there_are_orders_in_it(manager: Client, world: World) -> None:
    customer = world.harbour.customer
    manager.post(f"/customers/{customer.code}/edit/", details(customer, currency="USD"))
    customer.refresh_from_db()
    assert customer.currency == "USD"
    order_in(OrderStatus.DRAFT, world)
    manager.post(f"/customers/{customer.code}/edit/", details(customer, currency="EUR", city="Delft", postal_code="2611 AB", token="again"))
    customer.refresh_from_db()
    assert (customer.currency, customer.city) == ("USD", "Delft")


# --- archive


def test_archiving_hides_and_restoring_brings_back(manager: Client, world: World) -> None:
    customer = world.harbour.customer
    path = f"/customers/{customer.code}/"
    open_order = order_in(OrderStatus.DRAFT, world)
    assert HtmlPage(manager.post(f"{path}archive/", {"token": "a"}, follow=True)).says("orders that can still change")
    customer.refresh_from_db()
    assert not customer.is_archived
    manager.post(f"/orders/{open_order.number}/delete/", {"token": "d"})
    manager.post(f"{path}archive/", {"token": "b"})
    customer.refresh_from_db()
    assert customer.is_archived
    assert "Alder Dental" not in names(HtmlPage(manager.get("/customers/")))
    assert customer.code not in manager.get("/orders/new/").text
    assert manager.get(f"/orders/{open_order.number}/").status_code == 200
    manager.post(f"{path}restore/", {"token": "c"})
    assert "Alder Dental" in names(HtmlPage(manager.get("/customers/")))
    assert Order.objects.filter(customer=customer).count() == 1


def test_a_viewer_reads_and_has_nothing_to_press(client: Client, world: World) -> None:
    client.force_login(world.harbour.viewer)
    failed = order_in(OrderStatus.PROVISIONING_STARTED, world)
    verdict_refused(failed.attempts.get())
    page = HtmlPage(client.get(f"/customers/{world.harbour.customer.code}/"))
    assert page.says(failed.number)
    assert [form.get("action") for form in page.all("form") if form.get("method") == "post"] == ["/signout/"]
