"""Customers: found, read, corrected and archived by their own seller, and by nobody else."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders.models import Customer, Order
from orders.statuses import OrderStatus
from tests.harness.world import World, again, customer_of, order_in, verdict_refused
from tests.views.test_forms import CUSTOMER, refused_at
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, value_of
from tests.walls.state import state


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def details(customer: Customer, **changes: Any) -> dict[str, str]:
    """The edit form as it opens, with changes."""
    fields = {name: "" if value is None else str(value) for name, value in customer.__dict__.items() if not name.startswith("_")}
    return fields | {"customer_version": str(customer.version), "token": "edit"} | changes


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
