"""Every magic value, and what a normal order looks like from cart to subscription.  None of it is a violation."""

import json
from pathlib import Path
from typing import Any

import pytest

from orders.vendors.sandbox import rules

from .client import OTHER_TENANT, TENANT, Box, customer_body, guid

MAGIC_FILE = Path(__file__).resolve().parents[2] / "orders" / "vendors" / "sandbox" / "magic.json"


def test_printed_table_is_the_served_one(box: Box) -> None:
    rows = box.control("GET", "magic")
    assert rows == json.loads(MAGIC_FILE.read_text(encoding="utf-8"))
    assert all(set(row) == {"name", "where", "value", "result"} for row in rows)


def test_customer(box: Box) -> None:
    answer = box.call("POST", "/customers", customer_body())
    body = answer.json()
    assert answer.status_code == 201
    assert body["companyProfile"]["tenantId"] == body["id"]
    assert body["companyProfile"]["domain"] == "contoso.onmicrosoft.com"
    assert body["billingProfile"]["defaultAddress"]["country"] == "LV"
    assert body["relationshipToPartner"] == "reseller"
    assert set(body["userCredentials"]) == {"userName", "password"}
    assert "userCredentials" not in box.call("GET", f"/customers/{body['id']}").json()
    assert box.find("Domain", "CONTOSO.on") == [body["id"]]
    assert box.find("CompanyName", "cont") == [body["id"]]
    assert box.find("Domain", "other") == []


def test_domain(box: Box) -> None:
    assert box.call("HEAD", "/domains/contoso.onmicrosoft.com").status_code == 404
    box.customer()
    assert box.call("HEAD", "/domains/CONTOSO.onmicrosoft.com").status_code == 200
    assert box.call("POST", "/customers", customer_body()).json()["data"] == ["CompanyProfile.Domain"]
    assert box.call("HEAD", "/domains/taken1.onmicrosoft.com").status_code == 200
    assert box.call("POST", "/customers", customer_body("taken1.onmicrosoft.com")).status_code == 400


def test_email_refused(box: Box) -> None:
    ids = {"MS-RequestId": guid(), "MS-CorrelationId": guid()}
    answer = box.call("POST", "/customers", customer_body(email="Refused.1@contoso.example"), headers={**ids})
    assert (answer.status_code, answer.json()["code"]) == (400, 3000)
    assert answer.json()["data"] == ["BillingProfile.Email"]
    assert answer.json()["description"] == (
        'Invalid properties. The value "Refused.1@contoso.example" for property BillingProfile.Email is not a valid email address.'
        f" RequestId: {ids['MS-RequestId']}, CorrelationId: {ids['MS-CorrelationId']}"
    )
    assert box.call("HEAD", "/domains/contoso.onmicrosoft.com").status_code == 404


@pytest.mark.parametrize("email", ["ann@contoso.invalid", "ann@contoso.u"])
def test_email_burns_the_domain(box: Box, email: str) -> None:
    answer = box.call("POST", "/customers", customer_body(email=email))
    assert (answer.status_code, answer.json()["code"]) == (400, 27002)
    assert answer.json()["description"] == f'NotificationEmailAddress: "{email}" is invalid'
    assert box.call("HEAD", "/domains/contoso.onmicrosoft.com").status_code == 200
    assert box.call("POST", "/customers", customer_body()).status_code == 400


def test_hostile_reason(box: Box) -> None:
    description = box.call("POST", "/customers", customer_body(email="hostile@contoso.example")).json()["description"]
    assert description.startswith('<img src=x onerror=alert(1)><script>document.title="owned"</script> {{7*7}} \u202e')
    assert len(description.split()[-1]) == 4000


def test_normal_order(box: Box) -> None:
    customer = box.customer()
    cart = box.post_cart(customer, 5, 7)
    assert [line["orderGroup"] for line in cart.json()["lineItems"]] == ["0", "0"]
    answer = box.checkout(customer, cart.json()["id"])
    assert answer.status_code == 201
    (order,) = answer.json()["orders"]
    assert answer.json()["orderErrors"] == []
    assert order["status"] == "pending"
    assert order["currencyCode"] == "EUR"
    assert order["totalPrice"] == pytest.approx(sum(line["pricing"]["extendedPrice"] for line in order["lineItems"]))
    path = f"/customers/{customer}/orders/{order['id']}"
    items = box.call("GET", f"{path}/provisioningstatus").json()["items"]
    assert [item["status"] for item in items] == ["prefulfillmentPending"] * 2
    box.advance("PT3S")
    shown = box.call("GET", path).json()
    assert shown["status"] == "completed"
    assert "subscriptionId" not in shown["lineItems"][0]
    assert box.call("GET", f"/customers/{customer}/subscriptions?order_id={order['id']}").json()["totalCount"] == 0
    box.advance("PT2S")
    lines = box.call("GET", path).json()["lineItems"]
    subscriptions = box.call("GET", f"/customers/{customer}/subscriptions?order_id={order['id']}").json()["items"]
    assert [one["id"] for one in subscriptions] == [line["subscriptionId"] for line in lines]
    assert [(one["quantity"], one["status"], one["orderId"]) for one in subscriptions] == [
        (5, "active", order["id"]),
        (7, "active", order["id"]),
    ]
    one = box.call("GET", f"/customers/{customer}/subscriptions/{subscriptions[0]['id']}")
    assert one.headers["ETag"] == one.json()["attributes"]["etag"]
    status = box.call("GET", f"/customers/{customer}/subscriptions/{subscriptions[0]['id']}/provisioningstatus").json()
    assert (status["skuId"], status["status"], status["quantity"]) == ("0001", "success", 5)
    assert box.call("GET", f"/customers/{customer}/subscriptions/{guid()}").json()["code"] == 20003
    assert box.call("GET", f"{path}/provisioningstatus").json()["items"][0]["status"] == "fulfilled"


def test_order_list_lags(box: Box) -> None:
    customer = box.customer()
    order = box.order(customer, 5)
    assert box.call("GET", f"/customers/{customer}/orders").json()["items"] == []
    box.advance("PT15M")
    assert [one["id"] for one in box.call("GET", f"/customers/{customer}/orders").json()["items"]] == [order]
    assert box.call("GET", f"/customers/{customer}/orders/000000000000").json()["code"] == 20000


def test_groups_by_term_and_cycle(box: Box) -> None:
    customer = box.customer()
    lines = [box.line(0, 1), box.line(1, 1, billingCycle="annual"), box.line(2, 1), box.line(3, 1, termDuration="P3Y")]
    cart = box.call("POST", f"/customers/{customer}/carts", {"lineItems": lines}).json()
    assert [line["orderGroup"] for line in cart["lineItems"]] == ["0", "1", "0", "3"]
    assert len(box.checkout(customer, cart["id"]).json()["orders"]) == 3


def test_checkout_twice_buys_once(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    first = box.checkout(customer, cart)
    box.advance("P1D")
    box.tokens.clear()
    second = box.checkout(customer, cart)
    assert second.json() == first.json()
    ledger = box.control("GET", "ledger")
    (order,) = ledger["orders"]
    assert order["cartId"] == cart
    assert len(ledger["carts"][0]["checkoutRequestIds"]) == 2
    assert ledger["carts"][0]["status"] == "Ordered"
    assert order["requestId"] == ledger["carts"][0]["checkoutRequestIds"][0]


def test_202_slow(box: Box) -> None:
    customer = box.customer()
    order = box.order(customer, 202)
    box.advance("PT55S")
    assert box.status(customer, order) == "pending"
    box.advance("PT5S")
    assert box.status(customer, order) == "completed"


def test_204_error_without_reason(box: Box) -> None:
    customer = box.customer()
    good, bad = box.checkout(customer, box.cart(customer, 5, 204)).json()["orders"]
    assert (good["status"], bad["status"]) == ("pending", "pending")
    box.advance("PT3S")
    assert box.status(customer, good["id"]) == "completed"
    assert box.status(customer, bad["id"]) == "error"
    whole = box.call("GET", f"/customers/{customer}/orders/{bad['id']}").text
    assert "description" not in whole
    items = box.call("GET", f"/customers/{customer}/orders/{bad['id']}/provisioningstatus").json()["items"]
    assert items[0]["status"] == "unfulfilled"
    box.advance("PT1H")
    box.tokens.clear()
    assert box.call("GET", f"/customers/{customer}/subscriptions?order_id={bad['id']}").json()["items"] == []


def test_207_line_refused(box: Box) -> None:
    customer = box.customer()
    answer = box.checkout(customer, box.cart(customer, 5, 207, 6))
    assert answer.status_code == 201
    (order,) = answer.json()["orders"]
    assert [line["quantity"] for line in order["lineItems"]] == [5, 6]
    refused = {"orderGroupId": "1", "code": 800069, "description": "Risk management check failed for this item."}
    assert answer.json()["orderErrors"] == [refused]
    alone = box.checkout(customer, box.cart(customer, 207)).json()
    assert (alone["orders"], [one["code"] for one in alone["orderErrors"]]) == ([], [800069])


@pytest.mark.parametrize(
    ("quantity", "code", "text"),
    [
        (402, 800023, "The credit line of the customer is below the purchase threshold."),
        (800088, 800088, "Only 25 seats are left for this subscription."),
    ],
)
def test_refused_as_a_whole(box: Box, quantity: int, code: int, text: str) -> None:
    customer = box.customer()
    cart = box.cart(customer, quantity, 5)
    for _ in range(2):
        answer = box.checkout(customer, cart)
        assert (answer.status_code, answer.json()["code"], answer.json()["description"]) == (403, code, text)
    assert box.control("GET", "ledger")["orders"] == []


def attach(box: Box, customer: str, order: str, **files: Any) -> Any:
    headers = {"Authorization": f"Bearer {box.token()}", "MS-RequestId": guid(), "MS-CorrelationId": guid()}
    return box.http.post(f"/v1/customers/{customer}/orders/{order}/attachment", files=files, headers=headers)


def test_428_document_uploaded(box: Box) -> None:
    customer = box.customer()
    order = box.order(customer, 428)
    assert box.status(customer, order) == "pending_po_upload"
    metadata = (None, json.dumps({"isPartofTender": False, "customerPrice": 1, "currency": "EUR"}), "application/json")
    answer = attach(box, customer, order, metadata=metadata, pofiles=("po.pdf", b"%PDF-" + b"x" * 2000, "application/pdf"))
    assert answer.status_code == 201, answer.text
    (item,) = answer.json()["items"]
    assert (item["fileName"], item["sizeInKB"]) == ("po.pdf", 2)
    assert box.status(customer, order) == "po_upload_complete"
    box.advance("PT3S")
    assert box.status(customer, order) == "completed"


def test_428_by_itself(box: Box) -> None:
    customer = box.customer()
    order = box.order(customer, 428)
    box.advance("PT85S")
    assert box.status(customer, order) == "pending_po_upload"
    box.advance("PT6S")
    assert box.status(customer, order) == "po_upload_complete"
    box.advance("PT3S")
    assert box.status(customer, order) == "completed"


def test_attachment_is_checked(box: Box) -> None:
    customer = box.customer()
    assert box.call("POST", f"/customers/{customer}/orders/{box.order(customer, 5)}/attachment").json()["code"] == 800002
    order = box.order(customer, 428)
    metadata = (None, "{}", "application/json")
    assert attach(box, customer, order, metadata=metadata).json()["code"] == 900252
    assert attach(box, customer, order, pofiles=("po.pdf", b"x", "application/pdf")).json()["code"] == 900254
    box.expected = ["bad_attachment", "bad_attachment"]


def test_429_twice_then_works(box: Box) -> None:
    customer, request_id = box.customer(), guid()
    for _ in range(2):
        answer = box.post_cart(customer, 429, headers={"MS-RequestId": request_id})
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
        assert answer.json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 3 seconds."}
    assert box.post_cart(customer, 429, headers={"MS-RequestId": request_id}).status_code == 201
    assert box.post_cart(customer, 429).status_code == 429


def test_503_twice_then_works(box: Box) -> None:
    customer, request_id = box.customer(), guid()
    for _ in range(2):
        answer = box.post_cart(customer, 503, headers={"MS-RequestId": request_id})
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("text/html")
    assert box.post_cart(customer, 503, headers={"MS-RequestId": request_id}).status_code == 201


def test_599_never_works(box: Box) -> None:
    customer = box.customer()
    assert [box.post_cart(customer, 599).status_code for _ in range(5)] == [503] * 5


def test_26_line_error(box: Box) -> None:
    customer = box.customer()
    answer = box.post_cart(customer, 5, 26)
    assert answer.status_code == 201
    good, bad = answer.json()["lineItems"]
    assert "error" not in good
    assert bad["error"] == {
        "errorCode": 10015,
        "errorDescription": "Too many seats in one subscription.",
        "additionalInformation": {"availableQuantity": 25, "purchasedQuantity": 0},
    }
    refused = box.checkout(customer, answer.json()["id"])
    assert (refused.status_code, refused.json()["code"]) == (400, 800009)


def test_checkout_takes_no_body(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    assert box.call("POST", f"/customers/{customer}/carts/{cart}/checkout", {}).status_code == 400
    box.expected = ["checkout_with_body"]


@pytest.mark.parametrize(("quantity", "status", "code"), [(quantity, row[0], row[1]) for quantity, row in rules.QUANTITY_REFUSALS.items()])
def test_quantities_that_the_checkout_refuses_as_a_whole(box: Box, quantity: int, status: int, code: int) -> None:
    customer = box.customer()
    cart = box.cart(customer, quantity, 3)
    answer = box.checkout(customer, cart)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert box.control("GET", "ledger")["orders"] == []


def checkout_of(box: Box, customer: str, quantity: int, product: str = "CFQ7TTC0LH18", tenant: str = TENANT, **changes: Any) -> int:
    line = box.line(0, quantity, catalogItemId=box.item(product), **changes)
    cart = box.call("POST", f"/customers/{customer}/carts", {"lineItems": [line]}, tenant=tenant).json()["id"]
    return int(box.checkout(customer, cart, tenant=tenant).status_code)


@pytest.mark.parametrize("quantity", [2091, 27006, 800029, 800070])
def test_another_offer_cures_a_refusal_of_the_offer(box: Box, quantity: int) -> None:
    customer = box.customer()
    refused = rules.QUANTITY_REFUSALS[quantity][0]
    assert [checkout_of(box, customer, quantity) for _ in range(2)] == [refused, refused]
    assert checkout_of(box, customer, quantity, "CFQ7TTC0LH19") == 201
    assert checkout_of(box, customer, quantity, termDuration="P1M") == refused
    # At another vendor the same company has another id.
    assert checkout_of(box, box.customer(tenant=OTHER_TENANT), quantity, "NGBACKUP0001", OTHER_TENANT) == 201
    box.advance("P1D")
    box.tokens.clear()
    assert checkout_of(box, customer, quantity) == refused


def test_another_term_cures_a_refusal_of_the_term(box: Box) -> None:
    customer = box.customer()
    assert checkout_of(box, customer, 800028) == 403
    assert checkout_of(box, customer, 800028, billingCycle="annual") == 403
    assert checkout_of(box, customer, 800028, termDuration="P1M") == 201


def test_a_missing_agreement_is_accepted_in_the_action_time(box: Box) -> None:
    customer = box.customer()
    assert checkout_of(box, customer, 13605) == 403
    box.advance("PT85S")
    assert checkout_of(box, customer, 13605) == 403
    box.advance("PT5S")
    assert checkout_of(box, customer, 13605) == 201


@pytest.mark.parametrize("quantity", [402, 800067, 800088])
def test_nothing_but_another_quantity_cures_a_refusal_of_the_quantity(box: Box, quantity: int) -> None:
    customer = box.customer()
    assert checkout_of(box, customer, quantity) == 403
    assert checkout_of(box, customer, quantity, "CFQ7TTC0LH19", termDuration="P1M") == 403
    box.advance("PT10M")
    assert checkout_of(box, customer, quantity) == 403
    assert checkout_of(box, customer, 5) == 201


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"CompanyName": "Toolong Ltd"}, 3000, "BillingProfile.CompanyName"),
        ({"City": "Nowhere"}, 3000, "BillingProfile.DefaultAddress.City"),
        ({"AddressLine1": "nowhere 1"}, 3000, "BillingProfile.DefaultAddress.AddressLine1"),
        ({"LastName": "Refused"}, 3000, "BillingProfile.DefaultAddress.LastName"),
        ({"PhoneNumber": "+31 20 559 9999"}, 3000, "BillingProfile.DefaultAddress.PhoneNumber"),
        ({"organizationRegistrationNumber": "000123"}, 600050, ""),
    ],
)
def test_details_that_only_the_vendor_knows_to_be_wrong(box: Box, changes: dict[str, str], code: int, named: str) -> None:
    body = customer_body()
    for name, value in changes.items():
        profile = body["BillingProfile"]
        owner = body["CompanyProfile"] if name.startswith("org") else profile if name == "CompanyName" else profile["DefaultAddress"]
        owner[name] = value
    answer = box.call("POST", "/customers", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json().get("data", []) == ([named] if named else [])
    # Nothing was made: the domain is still free.
    assert box.call("HEAD", "/domains/contoso.onmicrosoft.com").status_code == 404
