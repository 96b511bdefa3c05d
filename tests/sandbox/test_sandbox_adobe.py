"""The Adobe-shaped dialect: what it remembers of a call, what it refuses, and which refusals are a mistake of the caller's."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from .client import CLIENT_ID, CLIENT_SECRET, TENANT, Box, guid

type Call = Callable[..., httpx.Response]

OFFER = "65304479CA01A12"


@pytest.fixture
def call(box: Box) -> Call:
    """A call with all that the contract asks for; `headers` replaces some, None leaves one out."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": "ent_partners_sdk"}
    token = box.http.post("/ims/token/v3", data=form).json()["access_token"]

    def send(method: str, path: str, body: Any = None, **headers: str | None) -> httpx.Response:
        usual = {"authorization": f"Bearer {token}", "x_api_key": CLIENT_ID, "x_correlation_id": guid(), "x_request_id": guid()}
        kept = {name.replace("_", "-"): value for name, value in (usual | headers).items() if value is not None}
        return box.http.request(method, f"/v3{path}", json=body, headers=kept)

    return send


def customer_body(**changes: str) -> dict[str, Any]:
    address = {"country": "LV", "city": "Riga", "addressLine1": "1 Main Street", "postalCode": "LV-1010"}
    contact = {"firstName": "Ann", "lastName": "Smith", "email": "ann@contoso.example"}
    company = {"companyName": "Contoso", "preferredLanguage": "en-US", "address": address, "contacts": [contact]}
    return {"resellerId": TENANT, "externalReferenceId": "342", "companyProfile": company} | changes


def order_body(*quantities: int, **changes: Any) -> dict[str, Any]:
    lines = [line(number, quantity) for number, quantity in enumerate(quantities, start=1)]
    return {"orderType": "NEW", "externalReferenceId": "759", "lineItems": lines} | changes


def line(number: int, quantity: Any, offer: str = OFFER) -> dict[str, Any]:
    return {"extLineItemNumber": number, "offerId": offer, "quantity": quantity, "currencyCode": "EUR"}


@pytest.fixture
def orders(call: Call) -> str:
    """The path of a customer's orders."""
    answer = call("POST", "/customers", customer_body())
    assert (answer.status_code, answer.json()["status"]) == (201, "1002")
    return f"/customers/{answer.json()['customerId']}/orders"


def bought(box: Box) -> int:
    return len(box.control("GET", "ledger")["adobe"]["orders"])


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_an_order_is_open_then_filled(box: Box, call: Call, orders: str) -> None:
    placed = call("POST", orders, order_body(5)).json()
    assert (placed["status"], placed["lineItems"][0]["status"], placed["lineItems"][0]["subscriptionId"]) == ("1002", "1002", "")
    box.advance("PT5S")
    filled = call("GET", f"{orders}/{placed['orderId']}?fetch-price=true").json()
    assert (filled["status"], filled["lineItems"][0]["status"]) == ("1000", "1000")
    assert filled["lineItems"][0]["pricing"]["discountedPartnerPrice"] > 0
    subscription = call("GET", f"{orders.removesuffix('orders')}subscriptions/{filled['lineItems'][0]['subscriptionId']}").json()
    assert (subscription["status"], subscription["currentQuantity"], len(subscription["renewalDate"])) == ("1000", 5, 10)
    assert [row["orderId"] for row in call("GET", f"{orders}?limit=1").json()["items"]] == [placed["orderId"]]


@pytest.mark.parametrize("quantity", [5, 1125], ids=["an order", "an error"])
def test_a_correlation_id_brings_back_its_first_answer_for_ten_days(box: Box, call: Call, orders: str, quantity: int) -> None:
    intent = guid()
    first = call("POST", orders, order_body(quantity), x_correlation_id=intent)
    before = bought(box)
    again = call("POST", orders, order_body(quantity), x_correlation_id=intent)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    # Its request id is not looked at, so an old one is no mistake.
    assert bought(box) == before


def test_after_ten_days_the_same_call_buys_again(box: Box, call: Call, orders: str) -> None:
    intent = guid()
    first = call("POST", orders, order_body(5), x_correlation_id=intent).json()
    box.advance("P10D")
    box.advance("PT1S")
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": "ent_partners_sdk"}
    fresh = f"Bearer {box.http.post('/ims/token/v3', data=form).json()['access_token']}"
    second = call("POST", orders, order_body(5), x_correlation_id=intent, authorization=fresh).json()
    assert first["orderId"] != second["orderId"]
    assert bought(box) == 2


def test_a_lost_answer_is_brought_back(box: Box, call: Call, orders: str) -> None:
    intent = guid()
    box.fault("drop_after_commit", path="/v3/*")
    with pytest.raises(httpx.TransportError):
        call("POST", orders, order_body(5), x_correlation_id=intent)
    assert call("POST", orders, order_body(5), x_correlation_id=intent).json()["status"] == "1002"
    assert bought(box) == 1


def test_another_call_with_a_used_correlation_id_gets_the_old_answer_and_is_a_mistake(box: Box, call: Call, orders: str) -> None:
    intent = guid()
    first = call("POST", orders, order_body(5), x_correlation_id=intent)
    assert call("POST", orders, order_body(7), x_correlation_id=intent).json() == first.json()
    box.expected.append("correlation_reused")


@pytest.mark.parametrize(
    ("headers", "expected", "kind"),
    [
        ({"x_correlation_id": None}, (400, "4119"), "missing_header"),
        ({"x_api_key": "another"}, (403, "4115"), "bad_api_key"),
        ({"authorization": None}, (403, "4117"), "bad_bearer"),
        ({"authorization": "Bearer nonsense"}, (401, "4116"), "bad_bearer"),
    ],
)
def test_a_call_that_is_not_even_looked_at(
    box: Box, call: Call, orders: str, headers: dict[str, str | None], expected: tuple[int, str], kind: str
) -> None:
    assert code(call("POST", orders, order_body(5), **headers)) == expected
    assert bought(box) == 0
    box.expected.append(kind)


def test_a_request_id_is_used_once(box: Box, call: Call, orders: str) -> None:
    used = guid()
    call("GET", orders, x_request_id=used)
    assert code(call("POST", orders, order_body(5), x_request_id=used)) == (400, "4120")
    box.expected.append("duplicate_request_id")


@pytest.mark.parametrize(
    ("body", "expected", "kind"),
    [
        (order_body(10_001), "2120", ""),
        (order_body(0), "2120", ""),
        (order_body(2129), "2129", ""),
        (order_body(1125), "1125", ""),
        (order_body(5, lineItems=[line(1, 5, "GONE")]), "2122", ""),
        (order_body(5, lineItems=[line(number, 1) for number in range(500)]), "2119", ""),
        (order_body(5, lineItems=[line(1, 5), line(1, 5)]), "2121", "duplicate_line"),
        (order_body(5, lineItems=[line(1_000_000, 5)]), "2123", "bad_line_number"),
        (order_body(5, externalReferenceId="r" * 36), "2126", "long_reference"),
        (order_body(5, currencyCode="EUR"), "1121", "bad_order"),
        (order_body(), "1122", "bad_order"),
    ],
)
def test_what_is_refused(box: Box, call: Call, orders: str, body: dict[str, Any], expected: str, kind: str) -> None:
    assert code(call("POST", orders, body)) == (400, expected)
    assert bought(box) == 0
    box.expected += [kind] if kind else []


def test_every_line_that_is_wrong_in_the_same_way_is_named(call: Call, orders: str) -> None:
    answer = call("POST", orders, order_body(10_001, 5, 20_000)).json()
    assert [detail.partition(",")[0] for detail in answer["additionalDetails"]] == ["Line Item: 1", "Line Item: 3"]


def test_a_preview_buys_nothing_and_says_what_an_order_would_be_told(box: Box, call: Call, orders: str) -> None:
    assert call("POST", orders, order_body(5, orderType="PREVIEW")).json()["orderId"] == ""
    assert code(call("POST", orders, order_body(2129, orderType="PREVIEW"))) == (400, "2129")
    assert bought(box) == 0


def test_a_customer_is_a_name_and_an_administrator(call: Call, orders: str) -> None:
    assert code(call("POST", "/customers", customer_body())) == (400, "1127")
    assert call("GET", f"/resellers/{TENANT}/customers?company-name=Contoso").json()["totalCount"] == 0, "Pending ones show when asked for."
    assert call("GET", f"/resellers/{TENANT}/customers?company-name=Contoso&status=1002").json()["totalCount"] == 1
    assert code(call("POST", "/customers", customer_body(resellerId="nobody"))) == (404, "1115")


def test_errors_of_fault_rules_have_this_dialects_shape(box: Box, call: Call, orders: str) -> None:
    box.fault("code:400/5122", path="/v3/*")
    assert call("POST", orders, order_body(5)).json() == {"code": "5122", "message": "This answer was asked for by a fault rule."}


def test_a_wrong_secret_gets_no_token(box: Box) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": "wrong", "scope": "ent_partners_sdk"}
    assert box.http.post("/ims/token/v3", data=form).json()["error"] == "invalid_client"
    assert box.http.post("/ims/token/v3", data=form | {"client_secret": CLIENT_SECRET, "scope": ""}).json()["error"] == "invalid_scope"
