"""Subscriptions: what an order's lines became, carried through the changes and renewals since.

Nothing is stored until the first change: before it, everything follows from the order and the virtual clock.  Renewals are
never stored either: `state_of` goes through those that lie behind the moment it is asked about.
"""

import hashlib
from typing import Any

from .answers import Answer, RefusedError, Request, collection, error
from .catalogue import MONTHS_COMMITTED
from .clock import add_months, iso
from .customers import find_client
from .ledger import Document
from .orders import active_since, subscribed
from .state import Sandbox

WINDOW_SECONDS = 7 * 86_400
"""In the first seven days of a term, or after adding seats, a subscription may be cancelled or the seats given back."""


def list_subscriptions(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """Subscriptions of the customer, or of one order with `order_id` (with an underscore, as documented)."""
    customer = find_client(sandbox, request, customer_id)
    wanted = request.query.get("order_id", "").lower()
    items = [
        subscription_json(sandbox, order, line)
        for order in sandbox.ledger.children("order", customer["id"])
        if wanted in {"", order["id"]}
        for number, line in enumerate(order["lines"])
        if subscribed(order, number, sandbox.clock.now())
    ]
    return collection(items, f"/customers/{customer['id']}/subscriptions")


def get_subscription(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> Answer:
    order, line = find_subscription(sandbox, request, customer_id, subscription_id)
    state = state_of(sandbox, order, line)
    if state["changes"] and state["shown"] != state["version"]:
        # Whoever has seen this version and still sends an older etag has no excuse.
        state["shown"] = state["version"]
        save(sandbox, order, state)
    return shown(sandbox, order, line)


def subscription_provisioning(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> Answer:
    order, line = find_subscription(sandbox, request, customer_id, subscription_id)
    state = state_of(sandbox, order, line)
    body = {
        "skuId": state["catalogItemId"].split(":")[1],
        "status": "pending" if is_changing(sandbox, state) else "success",
        "quantity": state["quantity"],
        "endDate": iso(state["ends"]),
        "attributes": {"objectType": "SubscriptionProvisioningStatus"},
    }
    return Answer(200, body)


def find_subscription(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> tuple[Document, Document]:
    """The order and the line that this subscription of the customer came from, or the refusal the vendor gives."""
    customer = find_client(sandbox, request, customer_id)
    now = sandbox.clock.now()
    for order in sandbox.ledger.children("order", customer["id"]):
        for number, line in enumerate(order["lines"]):
            if line["subscriptionId"] == subscription_id.lower() and subscribed(order, number, now):
                return order, line
    raise RefusedError(error(404, 20003, f"Subscription {subscription_id} was not found."))


def state_of(sandbox: Sandbox, order: Document, line: Document) -> Document:
    """The subscription as it is now."""
    state = sandbox.ledger.get("subscription", line["subscriptionId"]) or _as_bought(order, line)
    now = sandbox.clock.now()
    while now >= state["ends"] and state["status"] in {"active", "suspended"}:
        if state["status"] == "active" and state["autoRenewEnabled"]:
            _renew(state)
        else:
            # A suspended one can't be brought back after its end.
            state.update(status="expired", version=state["version"] + 1)
    return state


def save(sandbox: Sandbox, order: Document, state: Document) -> None:
    sandbox.ledger.put("subscription", state["id"], order["tenant"], order["customerId"], state)


def is_changing(sandbox: Sandbox, state: Document) -> bool:
    """Whether the last change is still being carried out: it takes as long as a normal order."""
    return bool(state["changes"] and sandbox.clock.now() < state["changes"][-1] + sandbox.settings.provisioning_seconds)


def shown(sandbox: Sandbox, order: Document, line: Document) -> Answer:
    """The answer that shows a subscription, with its etag as header too."""
    body = subscription_json(sandbox, order, line)
    return Answer(200, body, {"ETag": body["attributes"]["etag"]})


def subscription_json(sandbox: Sandbox, order: Document, line: Document) -> Document:
    """The subscription as the vendor shows it."""
    state = state_of(sandbox, order, line)
    body: Document = {
        "id": state["id"],
        "offerId": state["catalogItemId"],
        "offerName": line["friendlyName"],
        "friendlyName": state["friendlyName"],
        "quantity": state["quantity"],
        "unitType": "Licenses",
        "parentSubscriptionId": None,
        "creationDate": iso(state["bought"]),
        "effectiveStartDate": iso(state["started"]),
        "commitmentEndDate": iso(state["ends"]),
        "status": state["status"],
        "autoRenewEnabled": state["autoRenewEnabled"],
        "billingType": "license",
        "billingCycle": state["billingCycle"],
        "termDuration": state["termDuration"],
        "renewalTermDuration": state["termDuration"],
        "isTrial": False,
        "suspensionReasons": ["CustomerInitiatedSuspension"] if state["status"] == "suspended" else [],
        "cancellationAllowedUntilDate": iso(state["started"] + WINDOW_SECONDS),
        "refundableQuantity": _refundable(state, sandbox.clock.now()),
        "orderId": order["id"],
        "attributes": {"etag": etag(state), "objectType": "Subscription"},
    }
    if state["instructions"] is not None:
        body["scheduledNextTermInstructions"] = state["instructions"]
    return body


def etag(state: Document) -> str:
    seed = f"{state['id']}:{state['version']}"
    return f'"{hashlib.sha256(seed.encode()).hexdigest()[:32]}"'


def refundable_seats(state: Document, now: float) -> int:
    """How many seats may be given back at this moment."""
    return sum(seats for seats, at in state["lots"] if now < at + WINDOW_SECONDS)


def term_end(moment: float, term: str | None) -> float:
    return add_months(moment, MONTHS_COMMITTED.get(term or "", 1))


def _as_bought(order: Document, line: Document) -> Document:
    started = active_since(order)
    return {
        "id": line["subscriptionId"],
        "version": 1,
        "shown": 1,
        "bought": started,
        "started": started,
        "ends": term_end(started, line["termDuration"]),
        "status": "active",
        "quantity": line["quantity"],
        "autoRenewEnabled": True,
        "catalogItemId": line["catalogItemId"],
        "friendlyName": line["friendlyName"],
        "billingCycle": line["billingCycle"],
        "termDuration": line["termDuration"],
        "instructions": None,
        # Seats with the moment they were added: each lot has its own seven days.
        "lots": [[line["quantity"], started]],
        "changes": [],
    }


def _renew(state: Document) -> None:
    """Begin the next term as the scheduled instructions say."""
    asked: dict[str, Any] = state["instructions"] or {}
    product = asked.get("product") or {}
    state["started"] = state["ends"]
    state["quantity"] = asked.get("quantity") or state["quantity"]
    state["termDuration"] = product.get("termDuration") or state["termDuration"]
    state["billingCycle"] = product.get("billingCycle") or state["billingCycle"]
    if product.get("productId") and product.get("skuId"):
        state["catalogItemId"] = f"{product['productId']}:{product['skuId']}:{product.get('availabilityId') or 'RENEWED'}"
    state["ends"] = term_end(state["started"], state["termDuration"])
    state["instructions"] = None
    state["lots"] = [[state["quantity"], state["started"]]]
    state["version"] += 1


def _refundable(state: Document, now: float) -> Document:
    lots = [(seats, at) for seats, at in state["lots"] if now < at + WINDOW_SECONDS]
    details = [{"quantity": seats, "allowedUntilDateTime": iso(at + WINDOW_SECONDS)} for seats, at in lots]
    return {"totalQuantity": sum(seats for seats, _ in lots), "details": details}
