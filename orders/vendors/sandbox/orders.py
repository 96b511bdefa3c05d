"""Vendor orders and subscriptions.  Their state is computed from the virtual clock, never stored.

The order list lags 15 minutes behind, as the real one does; an order asked for by id is there at once.
"""

import json
import uuid
from decimal import Decimal
from email import message_from_bytes
from email.message import Message
from typing import Any

from . import rules
from .answers import Answer, RefusedError, Request, collection, error
from .catalogue import MONTHS_COMMITTED, symbol_of, unit_price
from .clock import add_months, iso
from .contract import refuse
from .customers import find_customer
from .ledger import Document
from .state import Sandbox

type Part = Message[str, str]

LIST_LAG_SECONDS = 15 * 60
SUBSCRIPTION_LAG_SECONDS = 2
CANCEL_SECONDS = 7 * 86_400
_LINE_STATUS = {"completed": "fulfilled", "error": "unfulfilled"}


def create_order(sandbox: Sandbox, request: Request, cart: Document, group: str, lines: list[Document]) -> Document:
    """Buy one order group: the vendor's durable effect that must happen once."""
    quantities = {line["quantity"] for line in lines}
    identifier = uuid.uuid4().hex[:12]
    settings = sandbox.settings
    order: Document = {
        "id": identifier,
        "tenant": cart["tenant"],
        "customerId": cart["customerId"],
        "cartId": cart["id"],
        "cartRequestId": cart["requestId"],
        "requestId": request.request_id,
        "orderGroup": group,
        "created": sandbox.clock.now(),
        "lines": [{**line, "subscriptionId": str(uuid.uuid4())} for line in lines],
        "provisioningSeconds": settings.slow_seconds if rules.QUANTITY_SLOW in quantities else settings.provisioning_seconds,
        "actionSeconds": settings.action_seconds if rules.QUANTITY_NEEDS_DOCUMENT in quantities else None,
        "fails": rules.QUANTITY_FAILS in quantities,
        "uploaded": None,
        "attachments": [],
    }
    _save(sandbox, order)
    return order


def status_of(order: Document, now: float) -> str:
    """The documented status word at this moment."""
    if order["actionSeconds"] is not None and now < _started(order):
        return "pending_po_upload"
    if now < _ended(order):
        return "pending" if order["actionSeconds"] is None else "po_upload_complete"
    return "error" if order["fails"] else "completed"


def order_json(sandbox: Sandbox, order: Document) -> Document:
    """The order as the vendor shows it now."""
    now = sandbox.clock.now()
    first = order["lines"][0]
    uri = f"/customers/{order['customerId']}/orders/{order['id']}"
    lines = [_line_json(order, number, line, now) for number, line in enumerate(order["lines"])]
    total = sum((_extended(line) for line in order["lines"]), Decimal(0))
    return {
        "id": order["id"],
        "alternateId": order["id"],
        "referenceCustomerId": order["customerId"],
        "billingCycle": first["billingCycle"],
        "transactionType": "UserPurchase",
        "currencyCode": first["currencyCode"],
        "currencySymbol": symbol_of(first["currencyCode"]),
        "creationDate": iso(order["created"]),
        "status": status_of(order, now),
        "totalPrice": float(total),
        "lineItems": lines,
        "links": {
            "self": {"uri": uri, "method": "GET", "headers": []},
            "provisioningStatus": {"uri": f"{uri}/provisioningstatus", "method": "GET", "headers": []},
        },
        "attributes": {"etag": f'"{order["id"]}"', "objectType": "Order"},
    }


def get_order(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Answer:
    return Answer(200, order_json(sandbox, _find_order(sandbox, request, customer_id, order_id)))


def list_orders(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """Orders older than fifteen virtual minutes: absence from this list proves nothing about a fresh purchase."""
    customer = find_customer(sandbox, request, customer_id)
    latest = sandbox.clock.now() - LIST_LAG_SECONDS
    orders = [order_json(sandbox, order) for order in sandbox.ledger.children("order", customer["id"]) if order["created"] <= latest]
    return collection(orders, f"/customers/{customer['id']}/orders")


def order_provisioning(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Answer:
    order = _find_order(sandbox, request, customer_id, order_id)
    status = _LINE_STATUS.get(status_of(order, sandbox.clock.now()), "prefulfillmentPending")
    items = [
        {
            "lineItemNumber": number,
            "status": status,
            "quantityProvisioningInformation": [{"quantity": line["quantity"], "status": status}],
            "attributes": {"objectType": "OrderLineItemProvisioningStatus"},
        }
        for number, line in enumerate(order["lines"])
    ]
    return collection(items, f"/customers/{order['customerId']}/orders/{order['id']}/provisioningstatus")


def attach(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Answer:
    """Upload the purchase order document an order waits for: multipart with `metadata` (JSON) and `pofiles`."""
    order = _find_order(sandbox, request, customer_id, order_id)
    if order["actionSeconds"] is None:
        raise RefusedError(error(400, 800002, "This order does not ask for a purchase order document."))
    parts = _multipart(request)
    metadata = parts.get("metadata")
    if metadata is None or not _is_json_object(metadata.get_payload(decode=True)):
        refuse(sandbox, request, "bad_attachment", 400, 900254, "The metadata part is missing or is not a JSON object.", ["metadata"])
    if "pofiles" not in parts:
        refuse(sandbox, request, "bad_attachment", 400, 900252, "The purchase order document is missing.", ["pofiles"])
    content = parts["pofiles"].get_payload(decode=True)
    attachment = {
        "attachmentId": str(uuid.uuid4()),
        "fileName": parts["pofiles"].get_filename() or "document",
        "sizeInKB": -(-len(content if isinstance(content, bytes) else b"") // 1024),
        "attachmentType": "PurchaseOrder",
    }
    order["attachments"].append(attachment)
    if order["uploaded"] is None:
        order["uploaded"] = sandbox.clock.now()
    _save(sandbox, order)
    return Answer(201, {"items": order["attachments"], "totalCount": len(order["attachments"])})


def list_subscriptions(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """Subscriptions of the customer, or of one order with `order_id` (with an underscore, as documented)."""
    customer = find_customer(sandbox, request, customer_id)
    wanted = request.query.get("order_id", "").lower()
    now = sandbox.clock.now()
    items = [
        subscription_json(order, line)
        for order in sandbox.ledger.children("order", customer["id"])
        if wanted in {"", order["id"]} and subscribed(order, now)
        for line in order["lines"]
    ]
    return collection(items, f"/customers/{customer['id']}/subscriptions")


def get_subscription(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> Answer:
    order, line = _find_subscription(sandbox, request, customer_id, subscription_id)
    subscription = subscription_json(order, line)
    return Answer(200, subscription, {"ETag": subscription["attributes"]["etag"]})


def subscription_provisioning(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> Answer:
    order, line = _find_subscription(sandbox, request, customer_id, subscription_id)
    body = {
        "skuId": line["catalogItemId"].split(":")[1],
        "status": "success",
        "quantity": line["quantity"],
        "endDate": iso(_commitment_end(order, line)),
        "attributes": {"objectType": "SubscriptionProvisioningStatus"},
    }
    return Answer(200, body)


def subscribed(order: Document, now: float) -> bool:
    """Whether the subscriptions of this order can be seen: a little later than "completed", as in reality."""
    return bool(status_of(order, now) == "completed" and now >= _ended(order) + SUBSCRIPTION_LAG_SECONDS)


def subscription_json(order: Document, line: Document) -> Document:
    """The subscription that one order line became."""
    started = _ended(order)
    return {
        "id": line["subscriptionId"],
        "offerId": line["catalogItemId"],
        "offerName": line["friendlyName"],
        "friendlyName": line["friendlyName"],
        "quantity": line["quantity"],
        "unitType": "Licenses",
        "parentSubscriptionId": None,
        "creationDate": iso(started),
        "effectiveStartDate": iso(started),
        "commitmentEndDate": iso(_commitment_end(order, line)),
        "status": "active",
        "autoRenewEnabled": True,
        "billingType": "license",
        "billingCycle": line["billingCycle"],
        "termDuration": line["termDuration"],
        "renewalTermDuration": line["termDuration"],
        "isTrial": False,
        "suspensionReasons": [],
        "cancellationAllowedUntilDate": iso(started + CANCEL_SECONDS),
        "refundableQuantity": {
            "totalQuantity": line["quantity"],
            "details": [{"quantity": line["quantity"], "allowedUntilDateTime": iso(started + CANCEL_SECONDS)}],
        },
        "orderId": order["id"],
        "attributes": {"etag": f'"{line["subscriptionId"]}"', "objectType": "Subscription"},
    }


def _save(sandbox: Sandbox, order: Document) -> None:
    sandbox.ledger.put("order", order["id"], order["tenant"], order["customerId"], order)


def _find_order(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Document:
    customer = find_customer(sandbox, request, customer_id)
    order = sandbox.ledger.get("order", order_id.lower())
    if order is None or order["customerId"] != customer["id"]:
        raise RefusedError(error(404, 20000, f"Order {order_id} was not found."))
    return order


def _find_subscription(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> tuple[Document, Document]:
    customer = find_customer(sandbox, request, customer_id)
    now = sandbox.clock.now()
    for order in sandbox.ledger.children("order", customer["id"]):
        for line in order["lines"]:
            if line["subscriptionId"] == subscription_id.lower() and subscribed(order, now):
                return order, line
    raise RefusedError(error(404, 20003, f"Subscription {subscription_id} was not found."))


def _started(order: Document) -> float:
    """When provisioning starts: at once, or when the document is there or no longer waited for."""
    if order["actionSeconds"] is None:
        return float(order["created"])
    latest = float(order["created"] + order["actionSeconds"])
    return latest if order["uploaded"] is None else min(latest, float(order["uploaded"]))


def _ended(order: Document) -> float:
    return float(_started(order) + order["provisioningSeconds"])


def _commitment_end(order: Document, line: Document) -> float:
    return add_months(_ended(order), MONTHS_COMMITTED.get(line["termDuration"], 1))


def _unit(line: Document) -> Decimal:
    product, sku, _ = line["catalogItemId"].split(":")
    return unit_price(product, sku, line["billingCycle"])


def _extended(line: Document) -> Decimal:
    return _unit(line) * int(line["quantity"])


def _line_json(order: Document, number: int, line: Document, now: float) -> Document:
    product, sku, availability = line["catalogItemId"].split(":")
    unit = float(_unit(line))
    shown: Document = {
        "lineItemNumber": number,
        "offerId": line["catalogItemId"],
        "friendlyName": line["friendlyName"],
        "quantity": line["quantity"],
        "termDuration": line["termDuration"],
        "transactionType": "new",
        "pricing": {
            "listPrice": unit,
            "discountedPrice": unit,
            "proratedPrice": unit,
            "price": unit,
            "extendedPrice": float(_extended(line)),
        },
        "links": {
            "product": {"uri": f"/products/{product}", "method": "GET", "headers": []},
            "sku": {"uri": f"/products/{product}/skus/{sku}", "method": "GET", "headers": []},
            "availability": {"uri": f"/products/{product}/skus/{sku}/availabilities/{availability}", "method": "GET", "headers": []},
        },
    }
    if subscribed(order, now):
        shown["subscriptionId"] = line["subscriptionId"]
    return shown


def _multipart(request: Request) -> dict[str, Part]:
    content_type = request.headers.get("content-type", "").replace("\n", " ").replace("\r", " ")
    if not content_type.lower().startswith("multipart/form-data"):
        return {}
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace") + request.body)
    parts: dict[str, Part] = {}
    if message.is_multipart():
        for part in message.walk():
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, str):
                parts.setdefault(name, part)
    return parts


def _is_json_object(content: Any) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (TypeError, ValueError, RecursionError):
        return False
