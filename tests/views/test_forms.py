"""The order form and the customer form: what is typed comes back, what is wrong is said beside its field, nothing breaks."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from orders import contacts, lifecycle, purchasing
from orders.failures import Catalogue, Explanation
from orders.forms.customers import DETAILS
from orders.forms.row_edits import MAX_LINES
from orders.models import Customer, FailureReason, Offer, Order, Price
from orders.statuses import OrderStatus
from orders.vendors import registry
from orders.vendors.contract import Refusal
from tests.harness.world import World, again, claimed, exchanged, order_in
from tests.walls.corpus import MEBIBYTE, RAW, TEXTS
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of, value_of
from tests.walls.state import state

pytestmark = pytest.mark.pages

NEW = "/orders/new/"


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def order_data(world: World, **changes: Any) -> dict[str, Any]:
    """A valid form; write lines_0_quantity for lines-0-quantity."""
    fields = {
        "customer": world.harbour.customer.code, "reference": "PO-1", "version": "0", "token": "form", "action": "save",
        "lines-0-offer": world.backup.code, "lines-0-plan": "P1M:monthly", "lines-0-quantity": "7",
    }  # fmt: skip
    return fields | {name.replace("_", "-"): value for name, value in changes.items()}


CUSTOMER = {
    "name": "Cedar Clinic", "domain": "cedarclinic.onmicrosoft.com", "contact_first_name": "Cor", "contact_last_name": "Ceder",
    "contact_email": "cor@cedar.example", "contact_phone": "+31201234567", "address_line1": "Kade 1", "address_line2": "", "postal_code": "1011 AB",
    "city": "Amsterdam", "state": "", "country": "NL", "customer_version": "0", "token": "form",
    "segment": "Commercial", "currency": "EUR", "tax_rate": "21",
}  # fmt: skip


def refused_at(response: Any, name: str, words: str = "") -> HtmlPage:
    """422, and the field says so to eyes and ears: message beside it, described-by, invalid, listed on top, focused."""
    page = HtmlPage(response)
    assert response.status_code == 422, page.text[:2000]
    field = page.control(name)
    assert field.tag == "button" or field.get("aria-invalid") == "true", f"{name} is not marked invalid"
    said = page.beside(name)
    assert words in said, f"beside {name} stands {said!r}"
    assert page.by_id(f"{field.attrib['id']}_error") is not None
    assert f"{field.attrib['id']}_error" in field.attrib["aria-describedby"].split()
    [summary] = page.all("section", role="alert")
    assert f"#{field.attrib['id']}" in [link.get("href") for link in summary.iter("a")]
    assert len([element for element in page.all() if "autofocus" in element.attrib]) == 1
    assert complaints(page) == []
    return page


# --- quantities


@pytest.mark.parametrize(("typed", "meant"), [("7", 7), (" 7 ", 7), ("007", 7), ("10000000", 10_000_000)])
def test_a_quantity_is_the_number_that_a_person_reads(manager: Client, world: World, typed: str, meant: int) -> None:
    assert manager.post(NEW, order_data(world, lines_0_quantity=typed)).status_code == 302
    assert Order.objects.get().lines.get().quantity == meant


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("0", "from 1 up"), ("-1", "Write a"), ("-0", "Write a"), ("1.5", "whole number"), ("1,5", "whole number"), ("1e3", "whole number"),
        ("1.000", "whole number"), ("1,000", "whole number"), ("1_0", "whole number"), ("NaN", "whole number"), ("Infinity", "whole number"),
        ("0x10", "whole number"), ("seven", "whole number"), ("10000001", "At most"), ("100000000000000000000", "At most"), ("", "Write how many."),
        ("7\0", ""), ("7;8", "whole number"), ("7 8", "whole number"), ("9" * 5_000, ""), ("½", "whole number"), ("²", "whole number"),
    ],
)  # fmt: skip
def test_a_quantity_that_is_none_is_refused_beside_its_field_and_comes_back_as_typed(
    manager: Client, world: World, typed: str, words: str
) -> None:
    before = state()
    page = refused_at(manager.post(NEW, order_data(world, lines_0_quantity=typed)), "lines-0-quantity", words)
    assert value_of(page.field("lines-0-quantity")) == typed.replace("\0", "\ufffd")
    assert value_of(page.field("reference")) == "PO-1"
    assert value_of(page.field("customer")) == world.harbour.customer.code
    assert value_of(page.field("lines-0-offer")) == world.backup.code
    assert state() == before


def test_an_offer_with_its_own_limits_says_them(manager: Client, world: World) -> None:
    Offer.objects.filter(pk=world.backup.pk).update(min_quantity=5, max_quantity=1000)
    for typed in ("4", "1001"):
        refused_at(manager.post(NEW, order_data(world, lines_0_quantity=typed)), "lines-0-quantity", "sold from 5 to 1,000.")
    assert manager.post(NEW, order_data(world, lines_0_quantity="5")).status_code == 302


# --- offers, plans, customers


def test_a_plan_that_the_offer_is_not_sold_with_names_those_that_it_is(manager: Client, world: World) -> None:
    before = state()
    page = refused_at(manager.post(NEW, order_data(world, lines_0_plan="P3Y:annual")), "lines-0-plan", "Sold with ")
    assert value_of(page.field("lines-0-plan")) == "P3Y:annual"
    refused_at(manager.post(NEW, order_data(world, lines_0_plan="P9Y:weekly")), "lines-0-plan")
    refused_at(manager.post(NEW, order_data(world, lines_0_plan="")), "lines-0-plan")
    assert state() == before


def test_an_offer_that_is_unknown_or_no_longer_sold_is_refused_beside_its_field(manager: Client, world: World) -> None:
    refused_at(manager.post(NEW, order_data(world, lines_0_offer="NOSUCH-0001")), "lines-0-offer", "can’t be ordered any more")
    Offer.objects.filter(pk=world.backup.pk).update(is_active=False)
    refused_at(manager.post(NEW, order_data(world)), "lines-0-offer", "can’t be ordered any more")
    assert not Order.objects.exists()


def test_an_offer_without_a_price_for_the_customers_market_says_so(manager: Client, world: World) -> None:
    Price.objects.filter(offer=world.backup).update(market="BE")
    refused_at(manager.post(NEW, order_data(world)), "lines-0-plan", "no price for this customer’s country and currency")
    assert not Order.objects.exists()


@pytest.mark.parametrize("code", ["", "ZZZZZZZZZZ", "1", "a\0b", "x" * 5_000, "' OR 1=1--"])
def test_a_customer_that_is_not_one_of_ours_is_refused_beside_the_field(manager: Client, world: World, code: str) -> None:
    before = state()
    refused_at(manager.post(NEW, order_data(world, customer=code)), "customer")
    assert state() == before


def test_an_archived_customer_takes_no_new_order(manager: Client, world: World) -> None:
    Customer.objects.filter(pk=world.harbour.customer.pk).update(is_archived=True)
    refused_at(manager.post(NEW, order_data(world)), "customer", "Choose one of your customers.")
    assert not Order.objects.exists()


def test_an_order_without_an_item_is_refused(manager: Client, world: World) -> None:
    response = manager.post(NEW, order_data(world, lines_0_offer="", lines_0_quantity="1"))
    assert response.status_code == 422
    assert HtmlPage(response).says("Add at least one item.")
    data = {name: value for name, value in order_data(world).items() if not name.startswith("lines-")}
    assert manager.post(NEW, data).status_code == 422
    assert not Order.objects.exists()


def test_every_problem_of_a_form_shows_at_once(manager: Client, world: World) -> None:
    data = order_data(
        world, customer="", reference="x" * 61, lines_0_quantity="0", lines_1_offer=world.premium.code, lines_1_plan="P1M:annual",
        lines_1_quantity="-3",
    )  # fmt: skip
    response = manager.post(NEW, data)
    for name in ("customer", "reference", "lines-0-quantity", "lines-1-quantity"):
        page = refused_at(response, name)
    assert "autofocus" in page.field("customer").attrib, "the first one has the focus"


def test_an_empty_row_is_no_item_and_a_half_filled_one_is_asked_about(manager: Client, world: World) -> None:
    half = order_data(world, lines_1_offer="", lines_1_plan="P1Y:monthly", lines_1_quantity="12")
    refused_at(manager.post(NEW, half), "lines-1-offer", "Choose an offer, or remove this line.")
    assert manager.post(NEW, half | {"lines-1-quantity": "1"}).status_code == 302
    assert Order.objects.get().lines.count() == 1


# --- what no browser sends


def send_raw(client: Client, path: str, body: bytes, content_type: str = "application/x-www-form-urlencoded") -> Any:
    return client.generic("POST", path, body, content_type)


def test_a_field_that_comes_twice_counts_once(manager: Client, world: World) -> None:
    """The last one counts, as everywhere in Django; never a sum and never two lines."""
    pairs = [*order_data(world).items(), ("lines-0-quantity", "8"), ("customer", world.harbour.other_customer.code)]
    assert send_raw(manager, NEW, urlencode(pairs).encode()).status_code == 302
    order = Order.objects.get()
    assert (order.customer, [line.quantity for line in order.lines.all()]) == (world.harbour.other_customer, [8])


@pytest.mark.parametrize(
    "number", ["00", "000", "-1", "+1", "1.0", "０", "٠", "0x1", "1e1", "999999999999999999999", "9" * 5_000, "", " ", "\0", "a", "0-0"]
)
def test_a_row_with_a_strange_number_adds_no_item(manager: Client, world: World, number: str) -> None:
    strange = {f"lines-{number}-offer": world.premium.code, f"lines-{number}-plan": "P1Y:monthly", f"lines-{number}-quantity": "5"}
    response = manager.post(NEW, order_data(world) | strange)
    assert response.status_code in {302, 400, 422}
    if response.status_code == 302:
        assert [line.offer for line in Order.objects.get().lines.all()] == [world.backup]


def test_rows_may_have_gaps_and_come_in_any_order(manager: Client, world: World) -> None:
    data = order_data(world, lines_0_offer="", lines_0_quantity="1")
    for number, quantity in (("90", "3"), ("7", "2")):
        data |= {f"lines-{number}-offer": world.backup.code, f"lines-{number}-plan": "P1M:monthly", f"lines-{number}-quantity": quantity}
    assert manager.post(NEW, data).status_code == 302
    assert [line.quantity for line in Order.objects.get().lines.all()] == [2, 3]


def test_a_form_of_a_thousand_and_one_fields_is_not_read(manager: Client, world: World) -> None:
    before = state()
    response = manager.post(NEW, order_data(world) | {f"extra-{number}": "x" for number in range(1001)})
    assert response.status_code == 400
    assert HtmlPage(response).says("This request could not be read")
    assert state() == before


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"customer": "x", "lines": []}', "application/json"),
        (b"customer=x", "text/plain"),
        (b"customer=x", ""),
        (b"customer=+AFw-", "application/x-www-form-urlencoded; charset=utf-7"),
        ("customer=x".encode("utf-16"), "application/x-www-form-urlencoded; charset=utf-16"),
        (b"customer=x", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"--b\r\nContent-Disposition: form-data; name=customer\r\n\r\nx", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Disposition: form-data; name=customer; filename=a\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary="),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("path", [NEW, "/customers/new/", "/signin/"])
def test_a_body_of_another_kind_is_refused_or_read_as_an_empty_form(
    manager: Client, world: World, path: str, body: bytes, content_type: str
) -> None:
    before = state()
    response = send_raw(Client() if path == "/signin/" else manager, path, body, content_type)
    assert response.status_code in ({200, 400} if path in {"/signin/"} else {400, 422})
    assert state() == before


@pytest.mark.parametrize("raw", RAW)
def test_bytes_that_are_no_text_break_nothing(manager: Client, world: World, raw: bytes) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    for path in ("/orders/?q=", "/orders/?after=", "/orders/?status=", "/orders/new/?customer=", f"/orders/{order.number}/edit/?fix="):
        before, _, query = path.partition("?")
        assert manager.generic("GET", before, QUERY_STRING=query + raw.decode()).status_code == 200, path
    for path, field in ((NEW, "reference"), (NEW, "customer"), (NEW, "lines-0-offer")):
        data = {name: value for name, value in order_data(world, token=f"raw-{field}").items() if name != field}
        response = send_raw(manager, path, urlencode(data).encode() + b"&" + field.encode() + b"=" + raw)
        assert response.status_code in {200, 302, 422}, (path, field)
    for path in (f"/orders/{order.number}/notes/", f"/orders/{order.number}/place/", "/customers/new/"):
        for field in (b"token", b"text"):
            assert send_raw(manager, path, b"x=y&" + field + b"=" + raw).status_code in {302, 409, 422}, (path, field)


@pytest.mark.parametrize(
    "number", ["%00", "SO-10001%00", "SO-10001.", "so-10001", "SO-10001%20", "%3Cscript%3E", "SO-%EF%BC%91", "x" * 5_000, "..", "%ED%A0%80"]
)
def test_an_order_number_that_is_none_is_a_missing_page(manager: Client, world: World, number: str) -> None:
    order_in(OrderStatus.DRAFT, world)
    for end in ("", "edit/", "place/"):
        assert manager.get(f"/orders/{number}/{end}").status_code == 404, (number, end)


# --- the corpus


ORDER_FIELDS = ["customer", "reference", "version", "token", "lines-0-offer", "lines-0-plan", "lines-0-quantity", "action"]


def half_for(index: int) -> list[str]:
    """Every other text: fields that stand beside each other share them out, so that each text is typed into half of all fields."""
    return TEXTS[index % 2 :: 2]


@pytest.mark.parametrize("field", ORDER_FIELDS)
def test_whatever_is_typed_into_the_order_form_makes_a_valid_order_or_nothing(manager: Client, world: World, field: str) -> None:
    problems = []
    for number, text in enumerate(half_for(ORDER_FIELDS.index(field))):
        orders, before = Order.objects.count(), state()
        data = order_data(world, token=f"corpus-{number}") | {field: text}
        response = manager.post(NEW, data)
        what = f"{field}={text[:40]!r}"
        if response.status_code == 302:
            if Order.objects.count() != orders + 1:
                problems.append(f"{what}: led on without an order")
            made = Order.objects.latest("id")
            if field == "reference" and made.reference != text.strip():
                problems.append(f"{what}: kept as {made.reference!r}")
        elif response.status_code not in {200, 422} or state() != before:
            problems.append(f"{what}: {response.status_code}, changed: {state() != before}")
        elif response.status_code == 422:
            page = HtmlPage(response)
            problems += [f"{what}: {complaint}" for complaint in complaints(page)]
            if not page.all("section", role="alert"):
                problems.append(f"{what}: 422 without a word")
            if field == "reference" and value_of(page.field(field)) != as_parsed(text):
                problems.append(f"{what}: came back as {value_of(page.field(field))[:40]!r}")
    assert not problems, "\n".join(problems)


def as_parsed(text: str) -> str:
    """An attribute's value after a browser read it: no NUL, newlines of one kind, no noncharacter is changed."""
    return text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("field", [name for name in CUSTOMER if name != "token"])
def test_whatever_is_typed_into_the_customer_form_makes_a_valid_customer_or_nothing(manager: Client, world: World, field: str) -> None:
    problems = []
    # Choices and plain texts are read in one way: half of the texts for some of them, and a few for each.
    read_by_rules = ["name", "domain", "contact_email", "contact_phone", "postal_code", "state", "tax_rate"]
    texts = half_for(read_by_rules.index(field)) if field in read_by_rules else TEXTS[::5]
    for number, text in enumerate(texts):
        customers, before = Customer.objects.count(), state()
        response = manager.post("/customers/new/", CUSTOMER | {"token": f"corpus-{number}", field: text})
        what = f"{field}={text[:40]!r}"
        if response.status_code == 302:
            if Customer.objects.count() != customers + 1:
                problems.append(f"{what}: led on without a customer")
            kept = getattr(Customer.objects.latest("id"), field, None)
            # Phone numbers, states and postal codes are kept as vendors take them.
            if field not in {"customer_version", "tax_rate"} and contacts.fold(str(kept)) != contacts.fold(text):
                problems.append(f"{what}: kept as {kept!r}")
        elif response.status_code != 422 or state() != before:
            problems.append(f"{what}: {response.status_code}, changed: {state() != before}")
        else:
            page = HtmlPage(response)
            problems += [f"{what}: {complaint}" for complaint in complaints(page)]
            if field not in {"customer_version", "country", "segment", "currency"}:
                refused_at(response, field)
                if value_of(page.field(field)) != as_parsed(text):
                    problems.append(f"{what}: came back as {value_of(page.field(field))[:40]!r}")
    assert not problems, "\n".join(problems)


def test_hostile_words_of_a_customer_and_a_reference_are_words_on_every_page(manager: Client, world: World) -> None:
    hostile = '"><img src=x onerror=1>'
    Customer.objects.filter(pk=world.harbour.customer.pk).update(
        name=hostile, contact_first_name=hostile, address_line1=hostile, contact_phone=hostile, domain=hostile
    )
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    Order.objects.filter(pk=order.pk).update(reference=hostile)
    lifecycle.add_note(order, hostile, by=world.harbour.manager)
    draft = order_in(OrderStatus.DRAFT, world)
    for path in ("/orders/", f"/orders/?q={hostile}", f"/orders/{order.number}/", f"/orders/{order.number}/edit/", f"/orders/{draft.number}/place/", NEW):  # fmt: skip
        page = HtmlPage(manager.get(path))
        assert page.says(hostile) or any(hostile in element.attrib.values() for element in page.all()), path
        assert complaints(page) == [], path
        assert not page.all("img"), path


@pytest.mark.parametrize("name", ["token", "reason", "text"])
def test_the_buttons_take_whatever_is_sent_without_a_breakdown(manager: Client, world: World, name: str) -> None:
    """Token and reason come from hidden and free fields: no browser makes such ones, and everybody can."""
    draft, problems = order_in(OrderStatus.DRAFT, world), []
    for number, text in enumerate(half_for(["token", "reason", "text"].index(name))):
        data = {"token": f"button-{number}", "reason": "Why", "text": "Note"} | {name: text}
        for path, right in ((f"/orders/{draft.number}/undo/", {409, 422}), (f"/orders/{draft.number}/notes/", {302, 422})):
            response = manager.post(path, data)
            if response.status_code not in right:
                problems.append(f"{path} with {name}={text[:40]!r}: {response.status_code}")
    assert not problems, "\n".join(problems)
    for text in ("", "\0", "a\0b", "\U0010ffff", "x" * 300, "<b>", "' OR 1=1--"):
        failed = order_in(OrderStatus.PROVISIONING_FAILED, world)
        data = {"token": f"close-{failed.pk}", "reason": "Why"} | {name: text}
        assert manager.post(f"/orders/{failed.number}/close/", data).status_code in {302, 422}, (name, text)


def test_a_note_that_is_too_long_or_empty_is_refused_beside_its_field(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    for text in ("", "   ", "x" * 4_001, MEBIBYTE):
        response = manager.post(f"/orders/{order.number}/notes/", {"token": "note", "text": text})
        assert response.status_code == 422
        page = HtmlPage(response)
        assert page.field("text").get("aria-invalid") == "true"
        assert page.beside("text")
        assert value_of(page.field("text")).strip() == text.strip()
    assert not order.notes.exists()


# --- buttons that save nothing


def test_adding_an_item_keeps_everything_that_was_typed_also_what_is_wrong(manager: Client, world: World) -> None:
    before = state()
    typed = order_data(world, reference="x" * 80, lines_0_quantity="many", action=f"add-{world.premium.code}")
    page = HtmlPage(manager.post(NEW, typed))
    assert page.response.status_code == 200
    assert not page.all("section", role="alert"), "nothing is complained about before it is sent"
    again_ = page.sent()
    for name in ("customer", "reference", "lines-0-offer", "lines-0-plan", "lines-0-quantity", "token"):
        assert again_[name] == typed[name], name
    assert again_["lines-1-offer"] == world.premium.code
    assert state() == before


def test_removing_an_item_takes_that_one_and_keeps_the_others(manager: Client, world: World) -> None:
    data = order_data(world, action="remove-line-1")
    for number in range(3):
        data |= {
            f"lines-{number}-offer": world.backup.code,
            f"lines-{number}-plan": "P1M:monthly",
            f"lines-{number}-quantity": f"{number + 10}",
        }
    page = HtmlPage(manager.post(NEW, data))
    sent = page.sent()
    assert [value for name, value in sent.items() if name.endswith("-quantity")] == ["10", "12"]
    assert sent["reference"] == "PO-1"
    # The last one leaves a page to search on; what is not there leaves the line.
    for action, left in (
        ("remove-line-0", 0),
        ("remove-line-77", 1),
        ("remove-line-", 1),
        ("remove-line-x\0", 1),
        ("add-NOSUCH", 1),
        ("add-\0", 1),
    ):
        response = manager.post(NEW, order_data(world, action=action))
        assert response.status_code == 200, action
        sent = HtmlPage(response).sent()
        assert len([name for name in sent if name.endswith("-quantity")]) == left, action
        assert "q" in sent, action


def test_a_form_holds_no_more_items_than_its_limit(manager: Client, world: World) -> None:
    data = order_data(world, action=f"add-{world.backup.code}")
    for number in range(MAX_LINES):
        data |= {f"lines-{number}-offer": world.backup.code, f"lines-{number}-plan": "P1M:monthly", f"lines-{number}-quantity": "1"}
    page = HtmlPage(manager.post(NEW, data))
    assert len([name for name in page.sent() if name.endswith("-quantity")]) == MAX_LINES
    assert page.says(f"An order holds at most {MAX_LINES} items.")
    assert complaints(page) == []


@pytest.mark.parametrize("numbers", [range(MAX_LINES + 2), [*range(MAX_LINES), 1000, 5000]])
def test_items_beyond_the_limit_are_refused_and_not_dropped(manager: Client, world: World, numbers: Iterable[int]) -> None:
    data, before = order_data(world), state()
    for number in numbers:
        data |= {f"lines-{number}-offer": world.backup.code, f"lines-{number}-plan": "P1M:monthly", f"lines-{number}-quantity": "1"}
    response = manager.post(NEW, data)
    assert response.status_code == 422
    page = HtmlPage(response)
    assert page.says(f"An order holds at most {MAX_LINES} items, and these are {MAX_LINES + 2}.")
    assert len([name for name in page.sent() if name.startswith("lines-") and name.endswith("-quantity")]) == MAX_LINES + 2
    assert state() == before


def test_a_removed_item_can_be_put_back_where_it_was_and_the_focus_stays_near(manager: Client, world: World) -> None:
    data = order_data(world)
    for number, quantity in enumerate(("10", "eleven", "12")):
        data |= {f"lines-{number}-offer": world.backup.code, f"lines-{number}-plan": "P1M:monthly", f"lines-{number}-quantity": quantity}

    def quantities(page: HtmlPage) -> list[str]:
        return [value for name, value in page.sent().items() if name.startswith("lines-") and name.endswith("-quantity")]

    def focused(page: HtmlPage) -> list[str]:
        return [element.get("name", "") for element in page.all() if "autofocus" in element.attrib]

    for number, left, at in ((0, ["eleven", "12"], 0), (1, ["10", "12"], 1), (2, ["10", "eleven"], 1)):
        removed = HtmlPage(manager.post(NEW, data | {"action": f"remove-line-{number}"}))
        assert quantities(removed) == left
        assert removed.says(f"Removed {world.backup.title}.")
        assert focused(removed) == [f"lines-{at}-quantity"]
        assert complaints(removed) == []
        back = HtmlPage(manager.post(NEW, removed.sent() | {"action": "undo-remove"}))
        assert quantities(back) == ["10", "eleven", "12"]
        assert focused(back) == [f"lines-{number}-quantity"]
        assert not back.says("Removed")
    last = HtmlPage(manager.post(NEW, order_data(world, action="remove-line-0")))
    assert focused(last) == ["q"]
    # What nobody removed puts nothing back.
    for at in ("", "x", "-1", "9" * 5_000):
        page = HtmlPage(
            manager.post(NEW, order_data(world, action="undo-remove") | {"removed_at": at, "removed_offer": "\0" if at else ""})
        )
        assert quantities(page)[0] == "7", at


def test_adding_an_item_to_a_failed_order_keeps_the_customers_details_as_typed(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, before = f"/orders/{order.number}/edit/", state()
    typed = HtmlPage(manager.get(path)).sent() | {
        "contact_email": "half@",
        "city": "Nieuwe Stad",
        "lines-0-quantity": "x",
        "action": f"add-{world.premium.code}",
    }
    page = HtmlPage(manager.post(path, typed))
    sent = page.sent()
    assert {name: sent[name] for name in ("contact_email", "city", "lines-0-quantity", "customer_version", "version", "token")} == {
        name: typed[name] for name in ("contact_email", "city", "lines-0-quantity", "customer_version", "version", "token")
    }
    assert "lines-1-offer" in sent
    assert state() == before


def test_the_totals_of_a_form_as_typed_so_far_are_the_finished_lines(manager: Client, world: World) -> None:
    before = state()
    data = order_data(world, lines_1_offer=world.backup.code, lines_1_plan="P1M:monthly", lines_1_quantity="not yet")
    for action in ("totals", "autosave"):
        response = manager.post(NEW, data | {"action": action})
        assert response.status_code == 200
        [box] = HtmlPage(response).all(id="totals")
        # 7 × 9.50 = 66.50 and 21 % of it.
        assert "€\u00a066.50" in "".join(box.itertext())
        assert "€\u00a080.47" in "".join(box.itertext())
    # Nothing is known of the sum while no line has a price: that is not 0.00.
    for action in ("totals", "autosave"):
        page = HtmlPage(manager.post(NEW, order_data(world, action=action, lines_0_quantity="x")))
        assert "0.00" not in text_of(page.by_id("totals"))
        assert "No price yet" in text_of(page.by_id("totals"))
    nothing = manager.post(NEW, {"action": "totals"})
    assert "€\u00a00.00" in nothing.content.decode()
    assert state() == before


# --- editing


def opened(client: Client, order: Order, query: str = "") -> tuple[str, dict[str, str]]:
    """Address and content of the edit page."""
    path = f"/orders/{order.number}/edit/{query}"
    response = client.get(path)
    assert response.status_code == 200, response.content
    return path, HtmlPage(response).sent()


def test_saving_what_the_page_shows_changes_no_line_and_no_customer(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world, world.line(world.premium_yearly, 3), world.line(quantity=4))
    path, sent = opened(manager, order)
    assert manager.post(path, sent | {"action": "save"}).status_code == 302
    assert [(line.offer, line.term, line.billing_cycle, line.quantity) for line in again(order).lines.all()] == [
        (world.premium, "P1Y", "annual", 3), (world.backup, "P1M", "monthly", 4),
    ]  # fmt: skip
    assert Customer.objects.get(pk=order.customer_id).version == 1
    assert again(order).version == order.version + 1


def test_a_save_over_a_colleagues_is_refused_and_what_was_typed_stays(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, sent = opened(manager, order)
    lifecycle.edit(order, [world.line(quantity=40)], by=world.harbour.admin, version=order.version)
    before = state()
    response = manager.post(path, sent | {"lines-0-quantity": "9", "reference": "mine", "city": "Mijn Stad", "action": "save"})
    assert response.status_code == 409
    page = HtmlPage(response)
    assert page.says(f"{world.harbour.admin.name} changed this order")
    assert (value_of(page.field("lines-0-quantity")), value_of(page.field("reference")), value_of(page.field("city"))) == (
        "9",
        "mine",
        "Mijn Stad",
    )
    assert state() == before


def test_a_customer_who_was_changed_meanwhile_is_not_overwritten(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, sent = opened(manager, order)
    Customer.objects.filter(pk=order.customer_id).update(city="Utrecht", version=2)
    before = state()
    response = manager.post(path, sent | {"contact_email": "new@alder.example", "lines-0-quantity": "9", "action": "save"})
    assert response.status_code == 422
    page = HtmlPage(response)
    assert page.says("Somebody else changed this customer after you opened the page.")
    assert page.says("Saved: Utrecht")
    assert (value_of(page.field("contact_email")), value_of(page.field("lines-0-quantity"))) == ("new@alder.example", "9")
    assert state() == before
    # Which version stays is chosen on the page that says so; a plain save again is refused again.
    [keep] = page.all("button", name="their_customer_version")
    assert manager.post(path, page.sent() | {"action": "save"}).status_code == 422
    assert manager.post(path, page.sent() | {"their_customer_version": keep.attrib["value"]}).status_code == 302
    kept = Customer.objects.get(pk=order.customer_id)
    assert (kept.contact_email, kept.city, kept.version) == ("new@alder.example", "Amsterdam", 3)


def test_a_microsoft_offer_turns_a_start_order_into_a_draft_with_a_message_and_everything_kept(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.START, world)
    path, sent = opened(manager, order)
    typed = sent | {"reference": "PO-77", "action": "save", "lines-1-offer": world.premium.code,
                    "lines-1-plan": "P1Y:monthly", "lines-1-quantity": "6"}  # fmt: skip
    response = manager.post(path, typed, follow=True)
    assert response.status_code == 200
    assert HtmlPage(response).says("This order is a Draft now: a Microsoft offer can’t be in Start. Nothing you typed was lost.")
    saved = again(order)
    assert (saved.status, saved.reference) == (OrderStatus.DRAFT, "PO-77")
    assert [(line.offer, line.quantity) for line in saved.lines.all()] == [(world.backup, 2), (world.premium, 6)]


@pytest.mark.parametrize(
    "status", [status for status in OrderStatus if status not in {OrderStatus.START, OrderStatus.DRAFT, OrderStatus.PROVISIONING_FAILED}]
)
def test_an_order_whose_content_is_frozen_answers_an_edit_with_itself_and_the_reason(
    manager: Client, world: World, status: OrderStatus
) -> None:
    order = order_in(status, world)
    data = order_data(world, version=str(order.version), lines_0_quantity="99") | CUSTOMER | {"customer_version": "1"}
    before = state()
    for response in (manager.get(f"/orders/{order.number}/edit/"), manager.post(f"/orders/{order.number}/edit/", data)):
        assert response.status_code == 409
        page = HtmlPage(response)
        assert page.says(f"Order {order.number}")
        assert page.says(status.label)
        [told] = page.all("div", data_tone="bad", role="status")
        assert text_of(told)
        assert not [field for field in page.all() if field.get("name", "").startswith("lines-")]
    assert state() == before


def test_after_the_first_attempt_the_customer_cannot_be_exchanged(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, sent = opened(manager, order)
    page = HtmlPage(manager.get(path))
    offered = [option.get("value") for option in page.field("customer").iter("option")]
    assert set(offered) <= {"", order.customer.code}
    assert "can’t be exchanged" in page.beside("customer")
    before = state()
    refused_at(manager.post(path, sent | {"customer": world.harbour.other_customer.code, "action": "save"}), "customer")
    assert state() == before


def test_before_the_first_attempt_the_customer_may_be_exchanged(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    path, sent = opened(manager, order)
    assert manager.post(path, sent | {"customer": world.harbour.other_customer.code, "action": "save"}).status_code == 302
    assert again(order).customer == world.harbour.other_customer


def people(world: World) -> list[tuple[Any, ...]]:
    """Every customer as he is saved."""
    return list(Customer.objects.order_by("pk").values_list())


@pytest.mark.parametrize("autosaved", [True, False])
def test_choosing_another_customer_moves_the_order_and_changes_nobody(manager: Client, world: World, autosaved: bool) -> None:
    order, before = order_in(OrderStatus.DRAFT, world), people(world)
    path, sent = opened(manager, order)
    typed = sent | {"customer": world.harbour.other_customer.code}
    if autosaved:
        typed |= HtmlPage(manager.post(path, typed | {"action": "autosave"})).sent()
    assert manager.post(path, typed | {"action": "save"}).status_code == 302
    assert again(order).customer == world.harbour.other_customer
    assert people(world) == before


def details_of(customer: Customer) -> dict[str, str]:
    """A customer's details as a page sends them."""
    fields = {name: str(value or "") for name, value in customer.__dict__.items() if name in DETAILS}
    return fields | {"customer_code": customer.code, "customer_version": str(customer.version)}


@pytest.mark.parametrize("moved", ["by me, now", "by me, autosaved", "by a colleague, and mine is saved over it"])
@pytest.mark.parametrize("named", [True, False])
def test_details_of_another_customer_than_the_orders_are_refused_with_nothing_lost(
    manager: Client, world: World, moved: str, named: bool
) -> None:
    """Both customers have the same version, so that only the code tells them apart."""
    order, other = order_in(OrderStatus.DRAFT, world), world.harbour.other_customer
    path, sent = opened(manager, order)
    sent |= details_of(order.customer) | {"city": "Delft", "postal_code": "2611 AB", "action": "save"}
    if not named:
        del sent["customer_code"]
    if moved == "by me, now":
        sent |= {"customer": other.code}
    else:
        lifecycle.edit(order, [world.line()], by=world.harbour.admin, version=order.version, customer=other)
        mine = moved != "by me, autosaved"
        version = str(again(order).version)
        sent |= {"action": "keep-mine", "their_version": version} if mine else {"customer": other.code, "version": version}
    before = state()
    response = manager.post(path, sent)
    assert response.status_code == 422
    page = HtmlPage(response)
    assert page.says("Nothing was saved")
    assert value_of(page.field("city")) == "Delft"
    assert complaints(page) == []
    assert state() == before


# --- fixing what failed


def test_save_and_retry_makes_a_second_attempt_and_keeps_the_first_with_its_reason(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    [first] = order.attempts.all()
    words, asked = first.failures.get().text, bytes(first.request)
    path, sent = opened(manager, order)
    response = manager.post(path, sent | {"contact_email": "anna@working.example", "lines-0-quantity": "3", "action": "retry"})
    assert (response.status_code, response["Location"]) == (302, f"/orders/{order.number}/")
    kept, new = again(order).attempts.all()
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert (kept.pk, kept.number, kept.state, kept.failures.get().text, bytes(kept.request)) == (
        first.pk,
        1,
        "failed_definite",
        words,
        asked,
    )
    assert (new.number, new.state, new.failures.count()) == (2, "prepared", 0)
    assert new.reference != kept.reference
    request = new.order_request()
    assert (request.customer.email, request.lines[0].quantity) == ("anna@working.example", 3)
    page = HtmlPage(manager.get(f"/orders/{order.number}/"))
    assert page.says(words)


def test_save_without_retrying_saves_and_sends_nothing(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, sent = opened(manager, order)
    assert manager.post(path, sent | {"contact_email": "anna@working.example", "action": "save"}).status_code == 302
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
    assert order.attempts.count() == 1
    assert again(order).customer.contact_email == "anna@working.example"


def test_a_refused_retry_saves_nothing_of_the_fix(manager: Client, world: World) -> None:
    """Details, lines and retry are one step: half of it would be a surprise."""
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    path, sent = opened(manager, order)
    world.northgate_account.is_active = False
    world.northgate_account.save()
    before = state()
    response = manager.post(path, sent | {"contact_email": "anna@working.example", "action": "retry"})
    assert response.status_code == 409
    page = HtmlPage(response)
    assert page.says("no account at Northgate Backup")
    assert value_of(page.field("contact_email")) == "anna@working.example"
    assert state() == before


def refused_with(world: World, row: FailureReason, *, line: int | None) -> Order:
    """A failed order of two Northgate items that the vendor refused in the words of this row of the catalogue."""
    order = order_in(OrderStatus.DRAFT, world, world.line(quantity=2), world.line(quantity=3))
    order = lifecycle.place(order, by=world.harbour.manager)
    code, _, field = row.code.partition(":")
    text = "Something of the vendor's own." if row.code or row.dialect else ""
    refusal = Refusal(code=code, http_status=row.http_status or 400, text=text, raw=b"{}", field=field, line=line)
    speak(world, row)
    held = claimed(order.attempts.get())
    exchanged(held, refusal.http_status or 400, b"{}")
    purchasing.record_refused(held, (refusal,))
    return Order.objects.for_list().get(pk=order.pk)


def speak(world: World, row: FailureReason) -> None:
    """Let Northgate answer in the words of this row: as an API does, or as our staff do for a vendor without one."""
    world.northgate.connector = {"manual": "manual", "adobe": "adobe"}.get(row.dialect, "partner_center_cart")
    world.northgate.save()


def explanation_of(order: Order, row: FailureReason) -> Explanation:
    [explanation] = Catalogue().explain(order)
    assert explanation.reason.slug == row.slug, f"{row.slug} was read as {explanation.reason.slug}"
    return explanation


def each_row(world: World, wanted: Callable[[FailureReason], bool]) -> list[FailureReason]:
    """One row of every shape: rows that differ in their words alone are shown by the same lines of code."""
    spoken = {"", *(connector.dialect for connector in registry.CONNECTORS.values())}
    shapes = {
        (row.fix_field, row.who, row.retry, row.needs_new_domain, row.dialect, ":" in row.code): row
        for row in FailureReason.objects.filter(dialect__in=spoken)
        if wanted(row)
    }
    assert shapes
    return list(shapes.values())


def test_fix_of_every_row_of_the_catalogue_opens_with_the_focus_in_the_very_field_and_the_reason_beside_it(
    manager: Client, world: World
) -> None:
    for row in each_row(world, lambda row: bool(row.fix_field)):
        is_line = row.fix_field.startswith("lines-")
        order = refused_with(world, row, line=2 if is_line else None)
        explanation = explanation_of(order, row)
        assert explanation.fix_url, row.slug
        response = manager.get(explanation.fix_url)
        assert response.status_code == 200, row.slug
        page = HtmlPage(response)
        name = row.fix_field.replace("lines-", "lines-1-") if is_line else row.fix_field
        focused = [element for element in page.all() if "autofocus" in element.attrib]
        assert [element.get("id") for element in focused] == [f"id_{name}"], row.slug
        assert focused[0].get("type") != "hidden"
        said = page.beside(name)
        assert explanation.summary in said, row.slug
        assert explanation.fix in said, row.slug
        assert complaints(page) == []
        # The order page and the list lead there with the words of the row.
        for path in (f"/orders/{order.number}/", "/orders/"):
            links = [text_of(link) for link in HtmlPage(manager.get(path)).all("a", href=explanation.fix_url)]
            assert row.fix_label in links, (row.slug, path)


def test_fix_of_a_refused_line_that_nobody_named_leads_to_the_first_line_of_that_vendor(manager: Client, world: World) -> None:
    for row in each_row(world, lambda row: row.fix_field.startswith("lines-")):
        order = order_in(OrderStatus.DRAFT, world, world.line(world.premium_yearly, 1), world.line(quantity=3))
        order = lifecycle.place(order, by=world.harbour.manager)
        for attempt in order.attempts.all():
            held = claimed(attempt)
            exchanged(held, 400, b"{}")
            speak(world, row)
            mine = attempt.vendor == world.northgate
            purchasing.record_refused(held, (Refusal(row.code if mine else "unheard-of", row.http_status or 400, "No.", b"{}"),))
        explanations = Catalogue().explain(Order.objects.for_list().get(pk=order.pk))
        [explanation] = [found for found in explanations if found.reason.slug == row.slug]
        page = HtmlPage(manager.get(explanation.fix_url))
        [focused] = [element for element in page.all() if "autofocus" in element.attrib]
        assert focused.get("id") == row.fix_field.replace("lines-", "id_lines-1-"), row.slug


def test_a_row_without_a_field_has_no_fix_button_and_says_who_acts(manager: Client, world: World) -> None:
    for row in each_row(world, lambda row: not row.fix_field):
        order = refused_with(world, row, line=None)
        explanation = explanation_of(order, row)
        assert explanation.fix_url == ""
        page = HtmlPage(manager.get(f"/orders/{order.number}/"))
        assert not [link for link in page.links() if "fix=" in link], row.slug
        facts = {text_of(fact.findall("dt")[0]): text_of(fact.findall("dd")[0]) for fact in page.all("div") if fact.findall("dt")}
        assert facts["Who acts"] == row.get_who_display(), row.slug
        assert page.says(explanation.fix), row.slug
        can_retry = bool(page.all("form", action=f"/orders/{order.number}/retry/"))
        assert can_retry == (row.retry not in {"never", "staff"}), row.slug
        if not can_retry:
            # The reason stands in its place.
            assert page.says(f"Retry is off: {explanation.fix}"), row.slug
        edit = HtmlPage(manager.get(f"/orders/{order.number}/edit/"))
        assert not [link for link in edit.links() if "fix=" in link], row.slug
        assert bool([button for button in edit.all("button") if button.get("value") == "retry"]) == can_retry, row.slug


@pytest.mark.parametrize("wanted", ["", "0", "-1", "999999", "x", "\0", "1e3", "9" * 5_000, "<script>", "１"])
def test_a_fix_that_is_not_of_this_order_opens_the_plain_page(manager: Client, world: World, wanted: str) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    response = manager.get(f"/orders/{order.number}/edit/", {"fix": wanted})
    assert response.status_code == 200
    page = HtmlPage(response)
    assert not page.all(id="fix-reason")
    assert complaints(page) == []


def test_a_correction_with_another_mistake_keeps_the_reason_and_shows_the_mistake(manager: Client, world: World) -> None:
    row = FailureReason.objects.get(slug="contact-email")
    order = refused_with(world, row, line=None)
    path = explanation_of(order, row).fix_url
    sent = HtmlPage(manager.get(path)).sent()
    response = manager.post(path, sent | {"contact_email": "still wrong", "action": "retry"})
    page = refused_at(response, "contact_email")
    assert value_of(page.field("contact_email")) == "still wrong"
    assert page.says(explanation_of(order, row).fix)
    assert again(order).status == OrderStatus.PROVISIONING_FAILED
