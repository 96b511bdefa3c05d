"""The strict rules: each breach is refused and listed; honest repetition is neither."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from .client import CLIENT_SECRET, OTHER_TENANT, TENANT, Box, customer_body, guid


def code(answer: httpx.Response) -> tuple[int, int]:
    body = answer.json()
    assert set(body) == {"code", "description", "data", "source"}
    assert body["source"] == "PartnerFD"
    return answer.status_code, body["code"]


def test_token_numbers_are_strings(box: Box) -> None:
    answer = box.ask_token()
    assert answer.status_code == 200
    body = answer.json()
    assert body["expires_in"] == "3600"
    assert body["token_type"] == "Bearer"
    assert all(isinstance(body[name], str) for name in ("ext_expires_in", "expires_on", "not_before"))


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 400, "unauthorized_client"),
        ({"tenant": guid()}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"resource": "https://graph.windows.net"}, 400, "invalid_resource"),
    ],
)
def test_token_refused(box: Box, changes: dict[str, str], status: int, kind: str) -> None:
    answer = box.ask_token(**changes)
    assert (answer.status_code, answer.json()["error"]) == (status, kind)
    assert answer.json()["error_description"].startswith("AADSTS")


@pytest.mark.parametrize("bearer", [None, "Bearer nonsense", "Basic abc"])
def test_bad_bearer(box: Box, bearer: str | None) -> None:
    assert code(box.call("GET", "/customers", headers={"Authorization": bearer})) == (401, 800001)
    box.expected = ["bad_bearer"]


def test_expired_token(box: Box) -> None:
    assert box.call("GET", "/customers").status_code == 200
    box.advance("PT59M")
    assert box.call("GET", "/customers").status_code == 200
    box.advance("PT1M1S")
    assert code(box.call("GET", "/customers")) == (401, 800001)
    box.expected = ["expired_token"]


@pytest.mark.parametrize("name", ["MS-RequestId", "MS-CorrelationId"])
@pytest.mark.parametrize("value", [None, "not-a-guid"])
def test_writes_need_guids(box: Box, name: str, value: str | None) -> None:
    assert code(box.call("POST", "/customers", customer_body(), headers={name: value})) == (400, 800002)
    assert box.call("GET", "/customers", headers={name: value}).status_code == 200
    box.expected = ["missing_header"]


def test_correlation_id_is_new_on_every_call(box: Box) -> None:
    used = guid()
    assert box.call("GET", "/customers", headers={"MS-CorrelationId": used}).status_code == 200
    assert box.call("HEAD", "/domains/a.onmicrosoft.com").status_code == 404
    assert code(box.call("GET", "/customers", headers={"MS-CorrelationId": used.upper()})) == (400, 800002)
    box.expected = ["correlation_reused"]


def test_answers_echo_the_ids(box: Box) -> None:
    ids = {"MS-RequestId": guid(), "MS-CorrelationId": guid()}
    answer = box.call("GET", "/customers", headers={**ids})
    assert {name: answer.headers[name] for name in ids} == ids
    assert answer.headers["MS-CV"]
    assert answer.headers["MS-ServerId"]


def test_replay_of_a_customer(box: Box) -> None:
    request_id = guid()
    first = box.call("POST", "/customers", customer_body(), headers={"MS-RequestId": request_id})
    box.advance("PT9M59S")
    second = box.call("POST", "/customers", customer_body(), headers={"MS-RequestId": request_id})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert len(box.control("GET", "ledger")["customers"]) == 1
    box.advance("PT2S")
    forgotten = box.call("POST", "/customers", customer_body(), headers={"MS-RequestId": request_id})
    assert forgotten.json()["data"] == ["CompanyProfile.Domain"]


def test_replay_of_a_refusal(box: Box) -> None:
    body, request_id = customer_body(email="refused@contoso.example"), guid()
    first = box.call("POST", "/customers", body, headers={"MS-RequestId": request_id})
    second = box.call("POST", "/customers", body, headers={"MS-RequestId": request_id})
    assert first.json() == second.json()


def test_replay_of_a_cart(box: Box) -> None:
    customer, request_id = box.customer(), guid()
    first = box.post_cart(customer, 5, headers={"MS-RequestId": request_id})
    second = box.post_cart(customer, 5, headers={"MS-RequestId": request_id})
    assert first.json() == second.json()
    assert len(box.control("GET", "ledger")["carts"]) == 1


def test_same_request_id_for_another_body(box: Box) -> None:
    customer, request_id = box.customer(), guid()
    assert box.post_cart(customer, 5, headers={"MS-RequestId": request_id}).status_code == 201
    assert code(box.post_cart(customer, 6, headers={"MS-RequestId": request_id})) == (400, 800002)
    box.expected = ["request_id_reused"]


def _changed(change: str) -> dict[str, Any]:
    body = customer_body()
    match change:
        case "unknown top":
            body["Extra"] = 1
        case "unknown address":
            body["BillingProfile"]["DefaultAddress"]["Region"] = "x"
        case "wrong casing":
            body["companyProfile"] = body.pop("CompanyProfile")
        case "missing":
            del body["BillingProfile"]["CompanyName"]
        case "empty":
            body["BillingProfile"]["DefaultAddress"]["City"] = ""
        case "too long":
            body["BillingProfile"]["DefaultAddress"]["FirstName"] = "x" * 51
        case "no object":
            body["BillingProfile"] = "x"
        case "country":
            body["BillingProfile"]["DefaultAddress"]["Country"] = "lv"
        case "domain":
            body["CompanyProfile"]["Domain"] = "contoso.com"
    return body


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("unknown top", "Extra"),
        ("unknown address", "BillingProfile.DefaultAddress.Region"),
        ("wrong casing", "CompanyProfile"),
        ("missing", "BillingProfile.CompanyName"),
        ("empty", "BillingProfile.DefaultAddress.City"),
        ("too long", "BillingProfile.DefaultAddress.FirstName"),
        ("no object", "BillingProfile"),
        ("country", "BillingProfile.DefaultAddress.Country"),
        ("domain", "CompanyProfile.Domain"),
    ],
)
def test_customer_fields(box: Box, change: str, named: str) -> None:
    answer = box.call("POST", "/customers", _changed(change))
    assert code(answer) == (400, 3000)
    assert named in answer.json()["data"]
    box.expected = ["bad_customer_field"]


@pytest.mark.parametrize(
    ("changes", "expected", "kind"),
    [
        ({"billingCycle": "Monthly"}, (400, 900126), "bad_enum"),
        ({"billingCycle": None}, (400, 900126), "bad_enum"),
        ({"termDuration": "P2Y"}, (400, 900126), "bad_enum"),
        ({"quantity": 0}, (400, 2002), "bad_quantity"),
        ({"quantity": "5"}, (400, 2002), "bad_quantity"),
        ({"quantity": True}, (400, 2002), "bad_quantity"),
        ({"quantity": 1.5}, (400, 2002), "bad_quantity"),
        ({"catalogItemId": "CFQ7TTC0LH18:0001:OLD"}, (404, 400019), "stale_catalog_item"),
        ({"catalogItemId": "nonsense"}, (404, 400019), "stale_catalog_item"),
        ({"catalogId": "x"}, (400, 800002), "bad_cart"),
        ({"id": "0"}, (400, 800002), "bad_cart"),
        ({"participants": [{"key": "x", "value": "1"}]}, (400, 800002), "bad_cart"),
        ({"participants": [{"key": [], "value": "1"}]}, (400, 800002), "bad_cart"),
        ({"billingCycle": []}, (400, 900126), "bad_enum"),
        ({"termDuration": {}}, (400, 900126), "bad_enum"),
    ],
)
def test_cart_lines(box: Box, changes: dict[str, Any], expected: tuple[int, int], kind: str) -> None:
    customer = box.customer()
    line = box.line(0, 5, **changes)
    assert code(box.call("POST", f"/customers/{customer}/carts", {"lineItems": [line]})) == expected
    box.expected = [kind]


def test_cart_must_have_lines_with_different_ids(box: Box) -> None:
    customer = box.customer()
    bodies: tuple[Any, ...] = ({}, {"lineItems": []}, {"lineItems": [box.line(1, 1), box.line(1, 2)]}, [1])
    for body in bodies:
        assert code(box.call("POST", f"/customers/{customer}/carts", body)) == (400, 800002)
    box.expected = ["bad_cart", "bad_cart", "bad_cart", "bad_json"]


def test_availability_rotates_every_virtual_day_and_by_country(box: Box) -> None:
    customer, today = box.customer(), box.item()
    assert box.item() == today
    assert box.item(country="DE") != today
    line = box.line(0, 5)
    box.advance("P1D")
    box.tokens.clear()
    assert box.item() != today
    assert code(box.call("POST", f"/customers/{customer}/carts", {"lineItems": [line]})) == (404, 400019)
    box.expected = ["stale_catalog_item"]


def test_availability_answer(box: Box) -> None:
    answer = box.call("GET", "/products/P/skus/S/availabilities?country=GB&targetSegment=education").json()
    (item,) = answer["items"]
    assert answer["totalCount"] == 1
    assert item["catalogItemId"] == f"P:S:{item['id']}"
    assert item["country"] == "GB"
    assert item["isPurchasable"] is True
    assert [term["duration"] for term in item["terms"]] == ["P1M", "P1Y", "P3Y"]
    assert item["defaultCurrency"]["code"] == "GBP"


def test_availability_query_is_checked(box: Box) -> None:
    assert code(box.call("GET", "/products/P/skus/S/availabilities")) == (400, 800002)
    assert code(box.call("GET", "/products/P/skus/S/availabilities?country=GB&targetSegment=moon")) == (403, 400030)
    box.expected = ["bad_country", "bad_segment"]


def test_product_gone(box: Box) -> None:
    assert code(box.call("GET", "/products/GONE1/skus/S/availabilities?country=GB")) == (404, 400013)
    line = box.line(0, 5, catalogItemId="GONE1:S:X")
    assert code(box.call("POST", f"/customers/{box.customer()}/carts", {"lineItems": [line]})) == (404, 400013)


def test_cart_expires_after_seven_days(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.advance("P6DT23H59M")
    box.tokens.clear()
    assert box.call("GET", f"/customers/{customer}/carts/{cart}").json()["status"] == "Active"
    box.advance("PT2M")
    assert code(box.call("GET", f"/customers/{customer}/carts/{cart}")) == (404, 800008)
    assert code(box.checkout(customer, cart)) == (404, 800008)
    box.expected = ["cart_expired"]


def test_billing_profile_etag(box: Box) -> None:
    path = f"/customers/{box.customer()}/profiles/billing"
    first = box.call("GET", path)
    etag = first.headers["ETag"]
    assert etag == first.json()["attributes"]["etag"]
    assert etag.startswith('"')
    body = {**first.json(), "email": "new@contoso.example"}
    assert code(box.call("PUT", path, body)) == (400, 2055)
    changed = box.call("PUT", path, body, headers={"If-Match": etag})
    assert changed.json()["email"] == "new@contoso.example"
    assert box.call("GET", path).headers["ETag"] == changed.headers["ETag"] != etag
    assert code(box.call("PUT", path, body, headers={"If-Match": etag})) == (400, 2055)
    box.expected = ["missing_if_match"]


@pytest.mark.parametrize("wanted", ["x", "[]", '{"Field": [], "Value": 1, "Operator": "starts_with"}'])
def test_filter_is_checked(box: Box, wanted: str) -> None:
    assert code(box.call("GET", f"/customers?filter={quote(wanted)}")) == (400, 800002)
    box.expected = ["bad_filter"]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b"null", b'{"x": ' + b"9" * 5000 + b"}"])
def test_bodies_that_are_not_json_objects(box: Box, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {box.token()}", "MS-RequestId": guid(), "MS-CorrelationId": guid()}
    assert code(box.http.post("/v1/customers", content=body, headers=headers)) == (400, 800002)
    box.expected = ["bad_json"]


def test_tenants_are_apart(box: Box) -> None:
    customer = box.customer()
    assert code(box.call("GET", f"/customers/{customer}", tenant=OTHER_TENANT)) == (403, 20002)
    assert box.call("GET", "/customers", tenant=OTHER_TENANT).json()["items"] == []
    assert code(box.call("GET", f"/customers/{guid()}")) == (404, 1000)
    assert code(box.call("GET", "/nothing")) == (404, 1000)
    ledger = box.control("GET", "ledger")
    assert [entry["tenant"] for entry in ledger["customers"]] == [TENANT]


def test_log_has_no_secrets(box: Box) -> None:
    created = box.call("POST", "/customers", customer_body())
    password = created.json()["userCredentials"]["password"]
    box.http.post(f"/{TENANT}/oauth2/token", content=f"client_secret={CLIENT_SECRET}&x=1".encode())
    log = box.http.get("/__sandbox__/log").text
    calls = box.control("GET", "log")["calls"]
    assert [(call["method"], call["status"]) for call in calls] == [("POST", 200), ("POST", 201), ("POST", 400)]
    assert calls[1]["requestBody"]["CompanyProfile"] == {"Domain": "contoso.onmicrosoft.com"}
    for secret in (CLIENT_SECRET, password, box.token()):
        assert secret not in log
    assert "authorization" not in calls[1]["requestHeaders"]
    assert password not in box.http.get("/__sandbox__/ledger").text


def test_control_is_not_for_browsers(box: Box) -> None:
    assert box.http.get("/__sandbox__/health", headers={"Host": "evil.example"}).status_code == 403
    assert box.http.post("/__sandbox__/reset", headers={"Origin": "http://evil.example"}).status_code == 403
    assert box.http.get("/__sandbox__/health").json()["status"] == "ok"
    assert box.http.get("/__sandbox__/nothing").status_code == 404
    assert box.http.post("/__sandbox__/clock", json={"advance": "P1M"}).status_code == 400
    assert box.http.post("/__sandbox__/faults", json={"action": "explode"}).status_code == 400
    assert box.http.post("/__sandbox__/faults", content=b"{").status_code == 400
