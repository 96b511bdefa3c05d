"""Every magic product: what becomes of its order.  None of it is a violation."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from orders.vendors import sandbox

from .client import Box

TRIGGERS_FILE = Path(sandbox.__file__).with_name("triggers.json")
NORMAL = "CFQ7TTC0LH18"


def cart_of(box: Box, customer: str, *products: str, quantity: int = 4, **changes: Any) -> httpx.Response:
    lines = [box.line(number, quantity, catalogItemId=box.item(product), **changes) for number, product in enumerate(products)]
    return box.call("POST", f"/customers/{customer}/carts", {"lineItems": lines})


def buy(box: Box, customer: str, *products: str, quantity: int = 4) -> httpx.Response:
    cart = cart_of(box, customer, *products, quantity=quantity)
    assert cart.status_code == 201, cart.text
    return box.checkout(customer, cart.json()["id"])


def order_of(box: Box, product: str, quantity: int = 4) -> tuple[str, str]:
    """(customer, order) of an order of one product."""
    customer = box.customer()
    return customer, str(buy(box, customer, product, quantity=quantity).json()["orders"][0]["id"])


@pytest.mark.parametrize(
    ("product", "quantity", "meanwhile", "seconds", "ends"),
    [
        ("SBXOK000", 4, "pending", 60, "completed"),
        ("SBXSLOW0", 4, "pending", 86_400, "completed"),
        ("SBXREV00", 4, "pending_review", 60, "completed"),
        ("SBXREV00", 5, "pending_review", 60, "po_review_rejected"),
        ("SBXERR00", 4, "pending", 3, "error"),
        ("SBXUNK00", 4, "pending", 3, "quantum_flux"),
        ("SBXPSUC0", 4, "pending", 3, "partial_success"),
    ],
)
def test_fates(box: Box, product: str, quantity: int, meanwhile: str, seconds: int, ends: str) -> None:
    customer, order = order_of(box, product, quantity)
    box.advance(f"PT{max(0, seconds - 3)}S")
    box.tokens.clear()
    assert box.status(customer, order) == meanwhile
    box.advance("PT6S")
    assert box.status(customer, order) == ends
    count = box.call("GET", f"/customers/{customer}/subscriptions?order_id={order}").json()["totalCount"]
    assert count == (1 if ends == "completed" else 0)
    status = box.call("GET", f"/customers/{customer}/orders/{order}/provisioningstatus").json()["items"][0]["status"]
    assert status == {"completed": "fulfilled", "quantum_flux": "prefulfillmentPending"}.get(ends, "unfulfilled")


@pytest.mark.parametrize("product", ["DG7GMGF0D7FV", "DG7GMGF0D7FT"])
def test_document(box: Box, product: str) -> None:
    customer, order = order_of(box, product)
    box.advance("P2D")
    box.tokens.clear()
    assert box.status(customer, order) == "pending_po_upload"
    files = {"metadata": (None, "{}", "application/json"), "pofiles": ("po.pdf", b"x", "application/pdf")}
    request = box.http.build_request("POST", f"/v1/customers/{customer}/orders/{order}/attachment", files=files)
    headers = {"Content-Type": request.headers["Content-Type"]}
    answer = box.http.post(request.url, content=request.read(), headers={**headers, **all_headers(box)})
    assert answer.status_code == 201
    assert box.status(customer, order) == "po_upload_complete"
    box.advance("PT3S")
    assert box.status(customer, order) == "completed"


def all_headers(box: Box) -> dict[str, str]:
    from .client import guid

    return {"Authorization": f"Bearer {box.token()}", "MS-RequestId": guid(), "MS-CorrelationId": guid()}


def test_refused_beside_others(box: Box) -> None:
    customer = box.customer()
    cart = cart_of(box, customer, NORMAL, "SBXPART0").json()
    assert [line["orderGroup"] for line in cart["lineItems"]] == ["0", "1"]
    result = box.checkout(customer, cart["id"]).json()
    assert [(one["orderGroupId"], one["code"]) for one in result["orderErrors"]] == [("1", 800069)]
    assert len(result["orders"]) == 1


def test_partial_success_keeps_the_others(box: Box) -> None:
    customer = box.customer()
    (order,) = buy(box, customer, NORMAL, "SBXPSUC0").json()["orders"]
    box.advance("PT6S")
    path = f"/customers/{customer}/orders/{order['id']}"
    items = box.call("GET", f"{path}/provisioningstatus").json()["items"]
    assert [item["status"] for item in items] == ["fulfilled", "unfulfilled"]
    good, bad = box.call("GET", path).json()["lineItems"]
    assert good["subscriptionId"]
    assert "subscriptionId" not in bad
    assert box.call("GET", f"/customers/{customer}/subscriptions?order_id={order['id']}").json()["totalCount"] == 1


def test_fates_do_not_touch_other_lines(box: Box) -> None:
    customer = box.customer()
    orders = buy(box, customer, NORMAL, "SBXERR00", "SBXUNK00").json()["orders"]
    box.advance("PT6S")
    assert [box.status(customer, order["id"]) for order in orders] == ["completed", "error", "quantum_flux"]


def test_out_of_date_once(box: Box) -> None:
    customer = box.customer()
    answers = [cart_of(box, customer, "SBXNOAV0") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 201, 404]
    assert answers[0].json()["code"] == 400019


def test_attestation(box: Box) -> None:
    customer = box.customer()
    cart = cart_of(box, customer, "SBXATT00")
    assert cart.json()["lineItems"][0]["error"]["errorCode"] == 10012
    assert box.checkout(customer, cart.json()["id"]).json()["code"] == 800009
    cart = cart_of(box, customer, "SBXATT00", AttestationAccepted=True)
    assert "error" not in cart.json()["lineItems"][0]
    assert box.checkout(customer, cart.json()["id"]).status_code == 201


def test_add_on(box: Box) -> None:
    customer = box.customer()
    refused = buy(box, customer, "SBXADD00")
    assert (refused.status_code, refused.json()["code"]) == (400, 800029)
    assert buy(box, customer, NORMAL, "SBXADD00").status_code == 201
    box.advance("PT6S")
    assert buy(box, customer, "SBXADD00").status_code == 201


def test_refusal_with_200(box: Box) -> None:
    answer = cart_of(box, box.customer(), "SBXLATE0")
    assert (answer.status_code, answer.json()["code"]) == (200, 400072)
    assert box.control("GET", "ledger")["carts"] == []


def test_quantity_out_of_range(box: Box) -> None:
    answer = cart_of(box, box.customer(), NORMAL, quantity=999)
    assert (answer.status_code, answer.json()["code"]) == (400, 2002)


# --- the vendor's state, changed by hand


def test_status_of_an_order_by_hand(box: Box) -> None:
    customer, order = order_of(box, "SBXSLOW0")
    for status in ("error", "quantum flux", "completed"):
        assert box.control("PATCH", f"orders/{order}", {"status": status})["status"] == status
        assert box.status(customer, order) == status
    box.advance("PT2S")
    assert box.call("GET", f"/customers/{customer}/subscriptions?order_id={order}").json()["totalCount"] == 1
    customer, order = order_of_another(box)
    box.control("PATCH", f"orders/{order}", {"status": "error"})
    box.control("PATCH", f"orders/{order}", {"status": None})
    assert box.status(customer, order) == "pending"


def order_of_another(box: Box) -> tuple[str, str]:
    customer = box.customer("another.onmicrosoft.com")
    return customer, str(buy(box, customer, "SBXSLOW0").json()["orders"][0]["id"])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("orders/none", {"status": "error"}),
        ("orders/none", {"status": "<b>"}),
        ("orders/none", []),
        ("customers/none", {"agreement": "direct"}),
        ("customers/none", {"locked": 1}),
        ("customers/none", {}),
        ("restore", {"snapshot": 77}),
    ],
)
def test_edits_that_make_no_sense(box: Box, name: str, body: Any) -> None:
    assert box.http.request("POST" if name == "restore" else "PATCH", f"/__sandbox__/{name}", json=body).status_code == 400


def test_snapshot(box: Box) -> None:
    customer = box.customer()
    first = box.order(customer, 5)
    number = box.control("POST", "snapshot")["snapshot"]
    box.order(customer, 6)
    assert len(box.control("GET", "ledger")["orders"]) == 2
    box.control("POST", "restore", {"snapshot": number})
    assert [order["id"] for order in box.control("GET", "ledger")["orders"]] == [first]
    assert box.status(customer, first) in {"pending", "completed"}


# --- the table of triggers


def test_printed_triggers_are_the_served_ones(box: Box) -> None:
    groups = box.control("GET", "triggers")
    assert groups == json.loads(TRIGGERS_FILE.read_text(encoding="utf-8"))
    assert [group["slug"] for group in groups] == ["products", "customers", "changes", "faults", "control"]
    rows = [row for group in groups for row in group["rows"]]
    assert all(set(row) == {"name", "where", "value", "result"} and all(row.values()) for row in rows)
    actions = box.control("GET", "faults")["actions"]
    assert {row["value"]: row["result"] for row in groups[3]["rows"]} == actions
