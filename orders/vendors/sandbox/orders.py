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
from .catalogue import symbol_of, unit_price
from .clock import iso
from .contract import refuse
from .customers import find_client
from .ledger import Document
from .magic_products import PARTIAL, Fate, fate_of, product_of
from .state import Sandbox

type Part = Message[str, str]

LIST_LAG_SECONDS = 15 * 60
SUBSCRIPTION_LAG_SECONDS = 2
FOR_EVER = 1e11
"""Longer than the clock can be moved: an order that waits for a document waits for nothing else."""

_LINE_STATUS = {"completed": "fulfilled", "error": "unfulfilled", "cancelled": "unfulfilled", "po_review_rejected": "unfulfilled"}


def create_order(sandbox: Sandbox, request: Request, cart: Document, group: str, lines: list[Document]) -> Document:
    """Buy one order group: the vendor's durable effect that must happen once."""
    quantities = {line["quantity"] for line in lines}
    identifier = uuid.uuid4().hex[:12]
    settings = sandbox.settings
    fate = _fate(lines)
    seconds = settings.slow_seconds if rules.QUANTITY_SLOW in quantities else settings.provisioning_seconds
    waits = settings.action_seconds if rules.QUANTITY_NEEDS_DOCUMENT in quantities else FOR_EVER if fate.waits_for_document else None
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
        "provisioningSeconds": seconds if fate.seconds is None else fate.seconds,
        "actionSeconds": waits,
        "fails": rules.QUANTITY_FAILS in quantities,
        "meanwhile": fate.meanwhile,
        "ends": fate.ends,
        "status": None,
        "uploaded": None,
        "attachments": [],
    }
    _save(sandbox, order)
    sandbox.ledger.put("unannounced", identifier, order["tenant"], order["customerId"], {"orderId": identifier})
    return order


def _fate(lines: list[Document]) -> Fate:
    fates = (fate_of(product_of(line["catalogItemId"]), line["quantity"]) for line in lines)
    return next((fate for fate in fates if fate is not None), Fate())


def status_of(order: Document, now: float) -> str:
    """The documented status word at this moment."""
    if order.get("status"):
        return str(order["status"])
    if order["actionSeconds"] is not None and now < _started(order):
        return "pending_po_upload"
    if now < active_since(order):
        return str(order.get("meanwhile", "pending")) if order["actionSeconds"] is None else "po_upload_complete"
    return "error" if order["fails"] else str(order.get("ends", "completed"))


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
    customer = find_client(sandbox, request, customer_id)
    latest = sandbox.clock.now() - LIST_LAG_SECONDS
    orders = [order_json(sandbox, order) for order in sandbox.ledger.children("order", customer["id"]) if order["created"] <= latest]
    return collection(orders, f"/customers/{customer['id']}/orders")


def order_provisioning(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Answer:
    order = _find_order(sandbox, request, customer_id, order_id)
    now = sandbox.clock.now()
    items = [
        {
            "lineItemNumber": number,
            "status": (status := line_status(order, number, now)),
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


def subscribed(order: Document, number: int, now: float) -> bool:
    """Whether the subscription of this line can be seen: a little later than the order's end, as in reality."""
    return line_status(order, number, now) == "fulfilled" and now >= active_since(order) + SUBSCRIPTION_LAG_SECONDS


def active_since(order: Document) -> float:
    """When provisioning ended, and so when the subscriptions began."""
    return float(_started(order) + order["provisioningSeconds"])


def set_status(sandbox: Sandbox, order: Document, status: str | None) -> None:
    """Give an order this status by hand, or with None its own course again."""
    order["status"] = status
    if status in {"completed", "partial_success"}:
        # What is bought now is active from now on, not from when it would have been.
        now = sandbox.clock.now()
        if now < _started(order):
            order["actionSeconds"] = None
        order["provisioningSeconds"] = max(0.0, min(order["provisioningSeconds"], now - _started(order)))
    _save(sandbox, order)


def line_status(order: Document, number: int, now: float) -> str:
    """fulfilled, unfulfilled or prefulfillmentPending."""
    status = status_of(order, now)
    if status == "partial_success":
        return "unfulfilled" if number in unfulfilled(order) else "fulfilled"
    return _LINE_STATUS.get(status, "prefulfillmentPending")


def unfulfilled(order: Document) -> set[int]:
    """The lines that a partial success leaves out: those of the magic product, or all but the first when there is no other."""
    magic = {number for number, line in enumerate(order["lines"]) if product_of(line["catalogItemId"]) == PARTIAL}
    everything = set(range(len(order["lines"])))
    if magic and magic != everything:
        return magic
    return everything - {0} or everything


def _save(sandbox: Sandbox, order: Document) -> None:
    sandbox.ledger.put("order", order["id"], order["tenant"], order["customerId"], order)


def _find_order(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Document:
    customer = find_client(sandbox, request, customer_id)
    order = sandbox.ledger.get("order", order_id.lower())
    if order is None or order["customerId"] != customer["id"]:
        raise RefusedError(error(404, 20000, f"Order {order_id} was not found."))
    return order


def _started(order: Document) -> float:
    """When provisioning starts: at once, or when the document is there or no longer waited for."""
    if order["actionSeconds"] is None:
        return float(order["created"])
    latest = float(order["created"] + order["actionSeconds"])
    return latest if order["uploaded"] is None else min(latest, float(order["uploaded"]))


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
    if subscribed(order, number, now):
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
