"""Carts and checkout: one cart becomes one vendor order per order group, and a second checkout buys nothing."""

import re
import uuid
from typing import Any

from . import rules
from .answers import Answer, RefusedError, Request, error, html, throttled
from .catalogue import BILLING_CYCLES, LEAST_SEATS, MOST_SEATS, TERMS, currency_of, current_item
from .clock import iso
from .contract import read_json, refuse
from .customer_rules import refused_purchase
from .customers import find_client
from .ledger import Document
from .magic_products import ADD_ON, ATTESTATION, REFUSED_GROUP, STALE_ONCE, WITHDRAWN_WITH_200, has_own_order, product_of
from .orders import create_order, order_json, subscribed
from .state import Sandbox

CART_SECONDS = 7 * 86_400
MOST_SUBSCRIPTIONS, MOST_SEATS_OF_ACCOUNT = 5, 25
"""Of a customer and of a subscription, when the limits of a sandbox account hold."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_LINE_FIELDS = frozenset(
    [
        "id",
        "catalogItemId",
        "friendlyName",
        "quantity",
        "currencyCode",
        "billingCycle",
        "termDuration",
        "participants",
        "provisioningContext",
        "orderGroup",
        "addonItems",
        "renewsTo",
        "AttestationAccepted",
        "promotionId",
        "customTermEndDate",
    ]
)


def create_cart(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """`POST /customers/{id}/carts`.  A 201 can still carry an error on a line: the caller has to look at each."""
    customer = find_client(sandbox, request, customer_id)
    lines = _checked_lines(sandbox, request, customer)
    busy = _turned_away(sandbox, request, customer, {line["quantity"] for line in lines}) or _not_available(sandbox, customer, lines)
    if busy is not None:
        raise RefusedError(busy)
    groups: dict[tuple[Any, ...], str] = {}
    for line in lines:
        is_special = line["quantity"] in rules.OWN_ORDER_GROUP or has_own_order(product_of(line["catalogItemId"]))
        own = line["id"] if is_special else None
        key = (line["billingCycle"], line["termDuration"], line["currencyCode"], own)
        line["orderGroup"] = groups.setdefault(key, str(line["id"]))
        if line["quantity"] == rules.QUANTITY_TOO_MANY_SEATS:
            line["error"] = {
                "errorCode": 10015,
                "errorDescription": "Too many seats in one subscription.",
                "additionalInformation": {"availableQuantity": rules.SEATS_LEFT, "purchasedQuantity": 0},
            }
        elif sandbox.settings.has_account_limits and _is_over_limit(sandbox, customer, lines, line):
            line["error"] = {"errorCode": 10009, "errorDescription": "The limit of this sandbox account is met."}
        elif product_of(line["catalogItemId"]) == ATTESTATION and not line["AttestationAccepted"]:
            line["error"] = {"errorCode": 10012, "errorDescription": "The attestation for this item is missing."}
    identifier = str(uuid.uuid4())
    cart: Document = {
        "id": identifier,
        "tenant": request.tenant,
        "customerId": customer["id"],
        "created": sandbox.clock.now(),
        "requestId": request.request_id,
        "lines": lines,
        "status": "Active",
        "checkout": None,
        "checkoutRequestIds": [],
    }
    _save(sandbox, cart)
    return Answer(201, cart_json(cart), {"Location": f"/v1/customers/{customer['id']}/carts/{identifier}"})


def get_cart(sandbox: Sandbox, request: Request, customer_id: str, cart_id: str) -> Answer:
    cart = _find_cart(sandbox, request, customer_id, cart_id)
    if _expired(sandbox, cart):
        # Asking is not a mistake: a caller that wonders what became of an old cart has to be able to look.
        raise RefusedError(error(404, 800008, "The cart has expired."))
    return Answer(200, cart_json(cart))


def checkout(sandbox: Sandbox, request: Request, customer_id: str, cart_id: str) -> Answer:
    """`POST .../checkout`: idempotent per cart.  Whatever the first checkout answered, every later one answers too."""
    cart = _find_cart(sandbox, request, customer_id, cart_id)
    if request.body.strip():
        refuse(sandbox, request, "checkout_with_body", 400, 800002, "Checkout takes an empty body.")
    if _expired(sandbox, cart):
        refuse(sandbox, request, "cart_expired", 404, 800008, "The cart has expired.")
    cart["checkoutRequestIds"].append(request.request_id)
    if cart["checkout"] is None:
        answer = _refused_as_a_whole(sandbox, request, cart) or _buy(sandbox, request, cart)
        cart["checkout"] = {"status": answer.status, "body": answer.body}
    _save(sandbox, cart)
    return Answer(**cart["checkout"])


def cart_json(cart: Document) -> Document:
    """The cart as the vendor shows it."""
    uri = f"/customers/{cart['customerId']}/carts/{cart['id']}"
    return {
        "id": cart["id"],
        "creationTimestamp": iso(cart["created"]),
        "lastModifiedTimestamp": iso(cart["created"]),
        "expirationTimestamp": iso(cart["created"] + CART_SECONDS),
        "lastModifiedUser": cart["tenant"],
        "status": cart["status"],
        "lineItems": cart["lines"],
        "links": {"self": {"uri": uri, "method": "GET", "headers": []}},
        "attributes": {"objectType": "Cart"},
    }


def _save(sandbox: Sandbox, cart: Document) -> None:
    sandbox.ledger.put("cart", cart["id"], cart["tenant"], cart["customerId"], cart)


def _find_cart(sandbox: Sandbox, request: Request, customer_id: str, cart_id: str) -> Document:
    customer = find_client(sandbox, request, customer_id)
    cart = sandbox.ledger.get("cart", cart_id.lower())
    if cart is None or cart["customerId"] != customer["id"]:
        raise RefusedError(error(404, 800008, "The cart was not found."))
    return cart


def _expired(sandbox: Sandbox, cart: Document) -> bool:
    return bool(sandbox.clock.now() > cart["created"] + CART_SECONDS)


def _turned_away(sandbox: Sandbox, request: Request, customer: Document, quantities: set[int]) -> Answer | None:
    """The answers that mean "not processed, try again".  The count starts afresh after it has worked."""
    if rules.QUANTITY_ALWAYS_BUSY in quantities:
        return html(503, "Service Unavailable")
    for quantity in (rules.QUANTITY_THROTTLED, rules.QUANTITY_BUSY):
        if quantity not in quantities:
            continue
        counter = f"{request.tenant}:{customer['id']}:{quantity}"
        if sandbox.ledger.count(counter) <= rules.TRIES_BEFORE_WORKING:
            if quantity == rules.QUANTITY_THROTTLED:
                return throttled(rules.RETRY_AFTER_SECONDS)
            return html(503, "Service Unavailable")
        sandbox.ledger.clear_count(counter)
    return None


def _is_over_limit(sandbox: Sandbox, customer: Document, lines: list[Document], line: Document) -> bool:
    held = sum(len(order["lines"]) for order in sandbox.ledger.children("order", customer["id"]))
    return bool(line["quantity"] > MOST_SEATS_OF_ACCOUNT or held + len(lines) > MOST_SUBSCRIPTIONS)


def _not_available(sandbox: Sandbox, customer: Document, lines: list[Document]) -> Answer | None:
    """The availability that is out of date once, and the refusal that comes as HTTP 200."""
    for line in lines:
        product = product_of(line["catalogItemId"])
        if product == WITHDRAWN_WITH_200:
            return error(200, 400072, "The item is not available.", [line["catalogItemId"]])
        if product == STALE_ONCE:
            counter = f"{customer['id']}:{product}"
            if sandbox.ledger.count(counter) == 1:
                return error(404, 400019, "The availability was not found.", [line["catalogItemId"]])
            sandbox.ledger.clear_count(counter)
    return None


def _refused_as_a_whole(sandbox: Sandbox, request: Request, cart: Document) -> Answer | None:
    quantities = {line["quantity"] for line in cart["lines"]}
    if any("error" in line for line in cart["lines"]):
        return error(400, 800009, "There are errors in the cart items.")
    customer = find_client(sandbox, request, cart["customerId"])
    if (refused := refused_purchase(customer)) is not None:
        return refused
    if not _has_bases(sandbox, customer, cart):
        return error(400, 800029, "The add-on is not related to the parent subscription.")
    # By domain, because a customer has another id at each vendor, and the other offer may be another vendor's.
    domain = customer["domain"]
    wrong = (quantity for quantity in rules.QUANTITY_REFUSALS if quantity in quantities and not _is_cured(sandbox, cart, domain, quantity))
    return next((error(*rules.QUANTITY_REFUSALS[quantity]) for quantity in wrong), None)


def _has_bases(sandbox: Sandbox, customer: Document, cart: Document) -> bool:
    """An add-on needs another product: in the same cart, or bought before."""
    products = {product_of(line["catalogItemId"]) for line in cart["lines"]}
    if products != {ADD_ON}:
        return True
    now = sandbox.clock.now()
    return any(
        product_of(line["catalogItemId"]) != ADD_ON and subscribed(order, number, now)
        for order in sandbox.ledger.children("order", customer["id"])
        for number, line in enumerate(order["lines"])
    )


def _is_cured(sandbox: Sandbox, cart: Document, domain: str, quantity: int) -> bool:
    """Whether what was wrong when this customer was first refused with the quantity is over: offer, term or agreement."""
    what = [_named(line, quantity) for line in cart["lines"] if line["quantity"] == quantity]
    identifier = f"{domain.lower()}:{quantity}"
    first = sandbox.ledger.get("refusal", identifier)
    if first is None:
        first = {"at": sandbox.clock.now(), "what": what}
        sandbox.ledger.put("refusal", identifier, cart["tenant"], domain, first)
    if quantity == rules.QUANTITY_NO_AGREEMENT:
        return bool(sandbox.clock.now() >= first["at"] + sandbox.settings.action_seconds)
    return not set(what) & set(first["what"])


def _named(line: Document, quantity: int) -> str:
    """What the refusal is about: the offer, the offer with its term, or the quantity alone."""
    if quantity == rules.QUANTITY_TERM_WITHDRAWN:
        return f"{_offer(line)}:{line['termDuration']}"
    return _offer(line) if quantity in rules.OFFER_IS_THE_REASON else ""


def _offer(line: Document) -> str:
    """Product and SKU, without the availability, which changes every day."""
    return str(line["catalogItemId"]).rpartition(":")[0]


def _buy(sandbox: Sandbox, request: Request, cart: Document) -> Answer:
    """One vendor order per order group; a risk-refused group becomes an order error while the others go through."""
    groups: dict[str, list[Document]] = {}
    for line in cart["lines"]:
        groups.setdefault(line["orderGroup"], []).append(line)
    orders, errors = [], []
    for group, lines in groups.items():
        if any(line["quantity"] == rules.QUANTITY_LINE_REFUSED or product_of(line["catalogItemId"]) == REFUSED_GROUP for line in lines):
            errors.append({"orderGroupId": group, "code": 800069, "description": "Risk management check failed for this item."})
        else:
            order = create_order(sandbox, request, cart, group, lines)
            orders.append(order_json(sandbox, order))
    if orders:
        cart["status"] = "Ordered"
    return Answer(201, {"orders": orders, "orderErrors": errors, "attributes": {"objectType": "CartCheckoutResult"}})


def _checked_lines(sandbox: Sandbox, request: Request, customer: Document) -> list[Document]:
    body = read_json(sandbox, request)
    given = body.get("lineItems")
    if not isinstance(given, list) or not given or not all(isinstance(line, dict) for line in given):
        refuse(sandbox, request, "bad_cart", 400, 800002, "lineItems must be a list with at least one line.", ["lineItems"])
    if unknown := [key for key in body if key != "lineItems"]:
        refuse(sandbox, request, "bad_cart", 400, 800002, f"Unknown cart fields: {', '.join(unknown)}.", unknown)
    lines = [_checked_line(sandbox, request, customer, line) for line in given]
    if len({line["id"] for line in lines}) != len(lines):
        refuse(sandbox, request, "bad_cart", 400, 800002, "Two lines have the same id.", ["lineItems.id"])
    return lines


def _checked_line(sandbox: Sandbox, request: Request, customer: Document, line: Document) -> Document:
    wrong = [f"lineItems.{key}" for key in line if key not in _LINE_FIELDS]
    if type(line.get("id")) is not int or line["id"] < 0:
        wrong.append("lineItems.id")
    if not isinstance(line.get("catalogItemId"), str):
        wrong.append("lineItems.catalogItemId")
    if not isinstance(line.get("friendlyName"), str | None):
        wrong.append("lineItems.friendlyName")
    currency = line.get("currencyCode") or currency_of(customer["country"])
    if not isinstance(currency, str) or _CURRENCY.fullmatch(currency) is None:
        wrong.append("lineItems.currencyCode")
    if not _participants_ok(line.get("participants")):
        wrong.append("lineItems.participants")
    if line.get("addonItems"):
        # Better than to take the order and to lose them: here an add-on is a line like any other.
        wrong.append("lineItems.addonItems")
    if wrong:
        refuse(sandbox, request, "bad_cart", 400, 800002, f"Invalid request input: {', '.join(wrong)}.", wrong)
    _check_enums(sandbox, request, line)
    quantity = line.get("quantity")
    if quantity == rules.QUANTITY_OUT_OF_RANGE:
        raise RefusedError(error(400, 2002, "The quantity is outside the allowed range.", ["quantity"]))
    if type(quantity) is not int or not LEAST_SEATS <= quantity <= MOST_SEATS:
        refuse(sandbox, request, "bad_quantity", 400, 2002, "The quantity is not a whole number within the allowed range.", ["quantity"])
    _check_catalogue(sandbox, request, customer, line["catalogItemId"])
    return {
        "id": line["id"],
        "catalogItemId": line["catalogItemId"],
        "friendlyName": line.get("friendlyName"),
        "quantity": quantity,
        "currencyCode": currency,
        "billingCycle": line["billingCycle"],
        "termDuration": line.get("termDuration"),
        "participants": line.get("participants") or [],
        "AttestationAccepted": line.get("AttestationAccepted") is True,
    }


def _participants_ok(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and one.get("key") in ("transaction_reseller", "additional_transaction_reseller")
        and isinstance(one.get("value"), str)
        for one in value
    )


def _check_enums(sandbox: Sandbox, request: Request, line: Document) -> None:
    if line.get("billingCycle") not in BILLING_CYCLES:
        refuse(sandbox, request, "bad_enum", 400, 900126, "billingCycle cannot be parsed.", ["billingCycle"])
    # A missing term is right for products without one (an Azure plan, perpetual software).
    if line.get("termDuration") is not None and line["termDuration"] not in TERMS:
        refuse(sandbox, request, "bad_enum", 400, 900126, "termDuration cannot be parsed.", ["termDuration"])


def _check_catalogue(sandbox: Sandbox, request: Request, customer: Document, catalog_item_id: str) -> None:
    if catalog_item_id.startswith(rules.PRODUCT_GONE):
        raise RefusedError(error(404, 400013, f"Product {catalog_item_id.partition(':')[0]} was not found."))
    if current_item(sandbox, catalog_item_id, customer["country"]) is None:
        refuse(sandbox, request, "stale_catalog_item", 404, 400019, "The availability was not found.", [catalog_item_id])
