"""A second dialect of the same process: Adobe VIP Marketplace, with ledger documents of its own.

Same clock, same faults, other rules: `X-Correlation-Id` names the intent and brings back its first answer for ten virtual days,
errors too; `X-Request-Id` must be new on every try; creating an order answers 1002 at once, and whether it was filled is asked
later. The tenants that the process was started with serve as reseller ids here; the API key is the client id.
"""

import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Never
from urllib.parse import parse_qs

from . import rules
from .answers import Answer, RefusedError, Request
from .catalogue import unit_price
from .clock import add_months
from .contract import violation
from .ledger import Document
from .state import Sandbox

ADOBE = "adobe"
"""Stands for a partner tenant wherever the ledger wants one: tokens and correlation ids are the whole API's."""

MEMORY_SECONDS = 10 * 86_400
TOKEN_SECONDS = 86_399
SCOPE = "ent_partners_sdk"
MOST_LINES, LARGEST_QUANTITY, LARGEST_NUMBER, LONGEST_REFERENCE = 499, 10_000, 999_999, 35
OPEN, FILLED, FAILED = "1002", "1000", "1004"

_TOKEN_PATH = "/ims/token/v3"  # noqa: S105  (a path)
_OFFER = re.compile(r"[0-9]{8}[A-Z]{2}[0-9A-Z]{3}12")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_NUMBER = re.compile(r"[0-9]{1,6}")
_ORDER_FIELDS = frozenset({"orderType", "externalReferenceId", "lineItems"})
_LINE_FIELDS = frozenset({"extLineItemNumber", "offerId", "quantity", "currencyCode"})
_ADDRESS_LIMITS = {
    "country": (True, 3),
    "region": (False, 255),
    "city": (True, 40),
    "addressLine1": (True, 60),
    "addressLine2": (False, 60),
    "postalCode": (False, 40),
    "phoneNumber": (False, 40),
}
_CONTACT_LIMITS = {"email": (True, 240), "firstName": (True, 35), "lastName": (True, 35), "phoneNumber": (False, 40)}

type Endpoint = Callable[..., Answer]


# --- the doors that the server opens


def speaks(request: Request) -> bool:
    """Whether this call is in Adobe's dialect."""
    return request.path.startswith(("/v3/", "/ims/"))


def admit(sandbox: Sandbox, request: Request) -> None:
    """Check token, API key and both ids, in that order. Runs before any injected fault, as the other dialect's does."""
    if request.path == _TOKEN_PATH:
        return
    request.tenant = ADOBE
    _check_bearer(sandbox, request)
    if request.headers.get("x-api-key", "") != sandbox.settings.client_id:
        _refuse(sandbox, request, "bad_api_key", 403, 4115, "API key is invalid or missing")
    request.correlation_id = request.headers.get("x-correlation-id", "").lower()
    if not 8 <= len(request.correlation_id) <= 100:
        _refuse(sandbox, request, "missing_header", 400, 4119, "Correlation ID is Invalid or Missing")
    known = sandbox.ledger.request(ADOBE, request.correlation_id, sandbox.clock.now())
    if known is None:
        _check_request_id(sandbox, request)
        until = sandbox.clock.now() + MEMORY_SECONDS
        sandbox.ledger.remember_request(ADOBE, request.correlation_id, _fingerprint(request), until)
    elif known[0] != _fingerprint(request):
        violation(sandbox, request, "correlation_reused", "X-Correlation-Id was used for another intent; it brings the first answer.")


def answer(sandbox: Sandbox, request: Request) -> Answer:
    """The answer to an admitted call: the first one again when the correlation id is known, whatever is sent with it."""
    if request.path == _TOKEN_PATH and request.method == "POST":
        return _issue_token(sandbox, request)
    known = sandbox.ledger.request(ADOBE, request.correlation_id, sandbox.clock.now())
    if known is not None and known[1] is not None:
        return Answer(**known[1])
    try:
        first = _route(sandbox, request)
    except RefusedError as refusal:
        first = refusal.answer
    sandbox.ledger.store_answer(ADOBE, request.correlation_id, {"status": first.status, "body": first.body})
    return first


def in_own_words(request: Request, said: Answer) -> Answer:
    """An error that a fault rule made, in Adobe's shape; anything else stays as it is."""
    if speaks(request) and isinstance(said.body, dict) and set(said.body) == {"code", "description", "data", "source"}:
        said.body = {"code": str(said.body["code"]), "message": said.body["description"]}
    return said


def dump(sandbox: Sandbox) -> Document:
    """Everything that was bought through this dialect, with the call that bought it."""
    orders = sandbox.ledger.every("adobe_order")
    shown = [{**_order_json(sandbox, order), "correlationId": order["correlationId"]} for order in orders]
    customers = [_customer_json(sandbox, customer) for customer in sandbox.ledger.every("adobe_customer")]
    return {"customers": customers, "orders": shown}


# --- refusals


def _error(status: int, code: int, message: str, details: list[str] | None = None) -> Answer:
    return Answer(status, {"code": str(code), "message": message, **({"additionalDetails": details} if details else {})})


def _no(status: int, code: int, message: str, details: list[str] | None = None) -> Never:
    """Refuse without a reproach: a person may have typed this."""
    raise RefusedError(_error(status, code, message, details))


def _refuse(sandbox: Sandbox, request: Request, kind: str, status: int, code: int, message: str, details: list[str] | None = None) -> Never:
    """Refuse, and write down that the caller broke the contract."""
    violation(sandbox, request, kind, message)
    _no(status, code, message, details)


def _lines(numbers: list[int], reason: str) -> list[str]:
    return [f"Line Item: {number}, Reason: {reason}" for number in numbers]


# --- who calls


def _issue_token(sandbox: Sandbox, request: Request) -> Answer:
    form = {key: values[0] for key, values in parse_qs(request.body.decode("latin-1"), keep_blank_values=True).items()}
    settings = sandbox.settings
    if form.get("grant_type") != "client_credentials":
        return Answer(400, {"error": "unsupported_grant_type"})
    if form.get("scope") != SCOPE:
        return Answer(400, {"error": "invalid_scope"})
    if not _same(form.get("client_id", ""), settings.client_id) or not _same(form.get("client_secret", ""), settings.client_secret):
        return Answer(400, {"error": "invalid_client", "error_description": "invalid client_secret parameter"})
    token = "ims." + secrets.token_urlsafe(48)
    sandbox.ledger.add_token(_digest(token), ADOBE, sandbox.clock.now() + TOKEN_SECONDS)
    return Answer(200, {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS}, {"Cache-Control": "no-store"})


def _check_bearer(sandbox: Sandbox, request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token:
        _refuse(sandbox, request, "bad_bearer", 403, 4117, "Authorization token is missing")
    known = sandbox.ledger.token(_digest(token.strip())) if scheme.lower() == "bearer" else None
    if known is None or known[0] != ADOBE:
        _refuse(sandbox, request, "bad_bearer", 401, 4116, "Authorization token is invalid")
    if known[1] <= sandbox.clock.now():
        # The caller can't know that our time passed faster than his.
        _no(401, 4116, "Authorization token is invalid")


def _check_request_id(sandbox: Sandbox, request: Request) -> None:
    """Evaluated only for a new correlation id. Without one Adobe makes its own."""
    request.request_id = request.headers.get("x-request-id", "").lower()
    if request.request_id and not sandbox.ledger.first_use_of_correlation(f"x-request-id {request.request_id}"):
        message = "Duplicate request id, same requestId has already been processed"
        _refuse(sandbox, request, "duplicate_request_id", 400, 4120, message)


def _fingerprint(request: Request) -> str:
    return hashlib.sha256(f"{request.method} {request.path}\n".encode("utf-8", "surrogatepass") + request.body).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


# --- resellers and customers


def _get_reseller(sandbox: Sandbox, request: Request, reseller: str) -> Answer:
    _check_reseller(sandbox, reseller)
    return Answer(200, {"resellerId": reseller, "status": FILLED})


def _list_customers(sandbox: Sandbox, request: Request, reseller: str) -> Answer:
    """Customers with this name and status; active ones alone unless another status is asked for."""
    _check_reseller(sandbox, reseller)
    name, status = request.query.get("company-name", "*"), request.query.get("status", FILLED)
    rows = [_customer_json(sandbox, customer) for customer in sandbox.ledger.children("adobe_customer", reseller)]
    kept = [row for row in rows if row["status"] == status and name in {"*", row["companyProfile"]["companyName"]}]
    return _page(request, kept, most=50, usual=20)


def _get_customer(sandbox: Sandbox, request: Request, identifier: str) -> Answer:
    return Answer(200, _customer_json(sandbox, _find_customer(sandbox, identifier)))


def _create_customer(sandbox: Sandbox, request: Request) -> Answer:
    body = _json(sandbox, request)
    company, contacts = _checked_company(sandbox, request, body)
    _check_reseller(sandbox, str(body["resellerId"]))
    _refuse_magic_customer(company, contacts)
    for other in sandbox.ledger.every("adobe_customer"):
        # In all of Adobe's world a customer is a company name and an administrator.
        if (other["company"]["companyName"], other["company"]["contacts"][0]["email"]) == (company["companyName"], contacts[0]["email"]):
            _no(400, 1127, "Account already exists")
    customer: Document = {
        "id": _new_id(),
        "resellerId": str(body["resellerId"]),
        "externalReferenceId": body.get("externalReferenceId", ""),
        "company": company,
        "created": sandbox.clock.now(),
    }
    sandbox.ledger.put("adobe_customer", customer["id"], ADOBE, customer["resellerId"], customer)
    return Answer(201, _customer_json(sandbox, customer))


def _checked_company(sandbox: Sandbox, request: Request, body: Document) -> tuple[Document, list[Document]]:
    """The company profile and its contacts, or 1121, 1122, 2126 or 1117, in this order."""
    if unknown := [key for key in body if key not in {"resellerId", "externalReferenceId", "companyProfile"}]:
        _refuse(sandbox, request, "bad_customer", 400, 1121, "Request contains additional unexpected fields", unknown)
    company = body.get("companyProfile")
    contacts = company.get("contacts") if isinstance(company, dict) else None
    if not body.get("resellerId") or not isinstance(company, dict) or not isinstance(contacts, list) or not contacts:
        _refuse(sandbox, request, "bad_customer", 400, 1122, "Request is missing required fields", ["companyProfile.contacts"])
    if len(str(body.get("externalReferenceId", ""))) > LONGEST_REFERENCE:
        _refuse(sandbox, request, "long_reference", 400, 2126, "externalReferenceId exceeds maximum character limit")
    wrong = [] if 4 <= len(str(company.get("companyName", ""))) <= 80 else ["companyProfile.companyName"]
    wrong += _wrong_fields("companyProfile.address", company.get("address"), _ADDRESS_LIMITS)
    for number, contact in enumerate(contacts):
        wrong += _wrong_fields(f"companyProfile.contacts[{number}]", contact, _CONTACT_LIMITS)
        if isinstance(contact, dict) and not _EMAIL.fullmatch(str(contact.get("email", ""))):
            wrong.append(f"companyProfile.contacts[{number}].email")
    if wrong:
        _no(400, 1117, "Some Fields are Invalid", list(dict.fromkeys(wrong)))
    return company, contacts


def _wrong_fields(where: str, given: Any, limits: dict[str, tuple[bool, int]]) -> list[str]:
    """Names of fields that are unknown, missing, not text, or too long."""
    if not isinstance(given, dict):
        return [where]
    wrong = [f"{where}.{key}" for key in given if key not in limits]
    for key, (is_required, longest) in limits.items():
        value = given.get(key)
        if value is None and not is_required:
            continue
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            wrong.append(f"{where}.{key}")
    return wrong


def _refuse_magic_customer(company: Document, contacts: list[Document]) -> None:
    local = contacts[0]["email"].partition("@")[0].lower()
    if local.startswith(rules.EMAIL_HOSTILE):
        _no(400, 1117, rules.HOSTILE_TEXT, ["companyProfile.contacts[0].email"])
    if local.startswith(rules.EMAIL_REFUSED):
        _no(400, 1117, "Some Fields are Invalid", ["companyProfile.contacts[0].email"])
    if company["address"]["city"].lower().startswith("nowhere"):
        _no(400, 1118, "Invalid Address")


def _check_reseller(sandbox: Sandbox, reseller: str) -> None:
    if reseller.lower() not in sandbox.settings.tenants:
        _no(404, 1115, "Invalid Reseller")


def _find_customer(sandbox: Sandbox, identifier: str) -> Document:
    customer = sandbox.ledger.get("adobe_customer", identifier)
    if customer is None:
        _no(404, 1116, "Invalid Customer")
    return customer


def _customer_json(sandbox: Sandbox, customer: Document) -> Document:
    is_pending = sandbox.clock.now() < customer["created"] + sandbox.settings.provisioning_seconds
    return {
        "customerId": customer["id"],
        "resellerId": customer["resellerId"],
        "externalReferenceId": customer["externalReferenceId"],
        "companyProfile": customer["company"],
        "creationDate": _stamp(customer["created"]),
        "status": OPEN if is_pending else FILLED,
    }


# --- orders


def _create_order(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """PREVIEW says what NEW would say and buys nothing."""
    customer = _find_customer(sandbox, customer_id)
    body = _checked_order(sandbox, request)
    lines = body["lineItems"]
    _refuse_lines(lines)
    quantities = {line["quantity"] for line in lines}
    if rules.ADOBE_ACCOUNT_BLOCKED in quantities:
        _no(400, rules.ADOBE_ACCOUNT_BLOCKED, "Account cannot be updated while status is pending or blocked")
    if body["orderType"] == "PREVIEW":
        return Answer(200, {**body, "orderId": "", "status": "", "customerId": customer["id"]})
    if rules.ADOBE_UNAVAILABLE in quantities:
        counter = f"adobe {customer['id']} {rules.ADOBE_UNAVAILABLE}"
        if sandbox.ledger.count(counter) <= rules.TRIES_BEFORE_WORKING:
            _no(400, rules.ADOBE_UNAVAILABLE, "Order placement is currently unavailable. Please try again later.")
        sandbox.ledger.clear_count(counter)
    order = _buy(sandbox, request, customer, body)
    if rules.ADOBE_STILL_PROCESSING in quantities:
        _no(400, rules.ADOBE_STILL_PROCESSING, "This request is already being processed. Please wait a moment and try again.")
    return Answer(201, _order_json(sandbox, order))


def _buy(sandbox: Sandbox, request: Request, customer: Document, body: Document) -> Document:
    """The durable effect that must happen once."""
    settings, quantities = sandbox.settings, {line["quantity"] for line in body["lineItems"]}
    order: Document = {
        "id": _new_id(),
        "customerId": customer["id"],
        "externalReferenceId": body.get("externalReferenceId", ""),
        "correlationId": request.correlation_id,
        "created": sandbox.clock.now(),
        "lines": [{**line, "subscriptionId": uuid.uuid4().hex[:30] + "NA"} for line in body["lineItems"]],
        "provisioningSeconds": settings.slow_seconds if rules.QUANTITY_SLOW in quantities else settings.provisioning_seconds,
        "failsWith": str(rules.ADOBE_CUSTOMER_INACTIVE) if rules.ADOBE_CUSTOMER_INACTIVE in quantities else "",
    }
    sandbox.ledger.put("adobe_order", order["id"], ADOBE, customer["id"], order)
    return order


def _checked_order(sandbox: Sandbox, request: Request) -> Document:
    """The body in its documented form. What only a program can get wrong is a violation."""
    body = _json(sandbox, request)
    lines = body.get("lineItems")
    if body.get("orderType") not in {"NEW", "PREVIEW"} or not isinstance(lines, list) or not lines:
        _refuse(sandbox, request, "bad_order", 400, 1122, "Request is missing required fields", ["orderType", "lineItems"])
    if len(lines) > MOST_LINES:
        _no(400, 2119, "Too many line items")
    if not all(isinstance(line, dict) and set(line) == _LINE_FIELDS for line in lines) or set(body) - _ORDER_FIELDS:
        _refuse(sandbox, request, "bad_order", 400, 1121, "Request contains additional unexpected fields, or lacks some")
    if len(str(body.get("externalReferenceId", ""))) > LONGEST_REFERENCE:
        _refuse(sandbox, request, "long_reference", 400, 2126, "externalReferenceId exceeds maximum character limit")
    numbers = [line["extLineItemNumber"] for line in lines]
    if not all(type(number) is int and 0 <= number <= LARGEST_NUMBER for number in numbers):
        _refuse(sandbox, request, "bad_line_number", 400, 2123, "extLineItemNumber out of range")
    if len(set(numbers)) < len(numbers):
        _refuse(sandbox, request, "duplicate_line", 400, 2121, "Duplicate line item numbers")
    if not all(re.fullmatch(r"[A-Z]{3}", str(line["currencyCode"])) for line in lines):
        _refuse(sandbox, request, "bad_currency", 400, 2128, "Currency is not valid for Offer ID")
    return body


def _refuse_lines(lines: list[Document]) -> None:
    """Whatever a seller may have chosen wrongly; the first kind that is found names every line that has it."""
    for code, message, reason, is_wrong in (
        (2120, "Line item quantity out of range", "Line item quantity out of range", _is_out_of_range),
        (2122, "Line item Offer ID is invalid", "Line item Offer ID is invalid", _is_no_offer),
        (rules.ADOBE_NOT_ELIGIBLE, "Customer is not eligible to purchase Offer ID", "INELIGIBLE_ADD_ON", _is_not_eligible),
    ):
        if numbers := [line["extLineItemNumber"] for line in lines if is_wrong(line)]:
            _no(400, code, message, _lines(numbers, reason))


def _is_out_of_range(line: Document) -> bool:
    return type(line["quantity"]) is not int or not 1 <= line["quantity"] <= LARGEST_QUANTITY


def _is_no_offer(line: Document) -> bool:
    return _OFFER.fullmatch(str(line["offerId"])) is None


def _is_not_eligible(line: Document) -> bool:
    return bool(line["quantity"] == rules.ADOBE_NOT_ELIGIBLE)


def _get_order(sandbox: Sandbox, request: Request, customer_id: str, order_id: str) -> Answer:
    order = sandbox.ledger.get("adobe_order", order_id)
    if order is None or order["customerId"] != customer_id:
        _no(404, 2115, "Invalid Customer or Order ID")
    return Answer(200, _order_json(sandbox, order, with_price=request.query.get("fetch-price") == "true"))


def _list_orders(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """Newest first. Without a start date only the current term would be shown; here that is the last year."""
    customer = _find_customer(sandbox, customer_id)
    start = _moment(request.query.get("start-date"), sandbox.clock.now() - 365 * 86_400)
    orders = [order for order in sandbox.ledger.children("adobe_order", customer["id"]) if order["created"] >= start]
    rows = [_order_json(sandbox, order) for order in reversed(orders)]
    return _page(request, [row for row in rows if request.query.get("order-type", "NEW") == row["orderType"]], most=100, usual=25)


def _get_subscription(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> Answer:
    for order in sandbox.ledger.children("adobe_order", customer_id):
        for line in order["lines"]:
            if line["subscriptionId"] == subscription_id and _line_status(sandbox, order, line) == FILLED:
                return Answer(200, _subscription_json(order, line))
    return _error(404, 3115, "Invalid Customer or Subscription ID")


def _status(sandbox: Sandbox, order: Document) -> str:
    """Open, then filled or failed, by the virtual clock; computed, never stored."""
    if sandbox.clock.now() < _ended(order):
        return OPEN
    if all(line["quantity"] == rules.QUANTITY_FAILS for line in order["lines"]):
        return FAILED
    return str(order["failsWith"]) or FILLED


def _line_status(sandbox: Sandbox, order: Document, line: Document) -> str:
    of_order = _status(sandbox, order)
    return FAILED if of_order not in {OPEN, FILLED} or (of_order == FILLED and line["quantity"] == rules.QUANTITY_FAILS) else of_order


def _ended(order: Document) -> float:
    return float(order["created"] + order["provisioningSeconds"])


def _order_json(sandbox: Sandbox, order: Document, *, with_price: bool = False) -> Document:
    return {
        "externalReferenceId": order["externalReferenceId"],
        "orderId": order["id"],
        "customerId": order["customerId"],
        "orderType": "NEW",
        "referenceOrderId": "",
        "creationDate": _stamp(order["created"]),
        "status": _status(sandbox, order),
        "source": "API",
        "lineItems": [_line_json(sandbox, order, line, with_price=with_price) for line in order["lines"]],
        "links": {"self": {"uri": f"/v3/customers/{order['customerId']}/orders/{order['id']}", "method": "GET", "headers": []}},
    }


def _line_json(sandbox: Sandbox, order: Document, line: Document, *, with_price: bool) -> Document:
    status = _line_status(sandbox, order, line)
    shown = {**line, "subscriptionId": line["subscriptionId"] if status == FILLED else "", "status": status}
    if with_price and status == FILLED:
        price = unit_price(line["offerId"], "", "annual")
        total = price * int(line["quantity"])
        shown["pricing"] = _floats(partnerPrice=price, discountedPartnerPrice=price, netPartnerPrice=price, lineItemPartnerPrice=total)
    return shown


def _floats(**prices: Decimal) -> dict[str, float]:
    return {name: float(price) for name, price in prices.items()}


def _subscription_json(order: Document, line: Document) -> Document:
    return {
        "subscriptionId": line["subscriptionId"],
        "currentQuantity": line["quantity"],
        "usedQuantity": 0,
        "offerId": line["offerId"],
        "autoRenewal": {"enabled": True, "renewalQuantity": line["quantity"]},
        "renewalDate": _stamp(add_months(_ended(order), 12))[:10],
        "creationDate": _stamp(_ended(order)),
        "currencyCode": line["currencyCode"],
        "status": FILLED,
    }


# --- small things


def _json(sandbox: Sandbox, request: Request) -> Document:
    try:
        body = json.loads(request.body.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        _refuse(sandbox, request, "bad_json", 400, 1117, "Some Fields are Invalid")
    return body


def _page(request: Request, rows: list[Document], *, most: int, usual: int) -> Answer:
    limit = min(most, max(1, _number(request.query.get("limit"), usual)))
    offset = _number(request.query.get("offset"), 0)
    if offset > len(rows):
        _no(400, 1133, "Offset out of range")
    page = rows[offset : offset + limit]
    return Answer(200, {"totalCount": len(rows), "count": len(page), "offset": offset, "limit": limit, "items": page})


def _number(given: str | None, otherwise: int) -> int:
    return int(given) if given is not None and _NUMBER.fullmatch(given) else otherwise


def _moment(given: str | None, otherwise: float) -> float:
    if given is None:
        return otherwise
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        _no(400, 1132, "Invalid value for search parameter", ["start-date"])
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _stamp(moment: float) -> str:
    """UTC in whole seconds, as Adobe writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_id() -> str:
    return f"{secrets.randbelow(9 * 10**9) + 10**9}"


_CUSTOMER = r"/v3/customers/([^/]+)"
_ROUTES: list[tuple[str, re.Pattern[str], Endpoint]] = [
    (method, re.compile(pattern), endpoint)
    for method, pattern, endpoint in (
        ("GET", r"/v3/resellers/([^/]+)", _get_reseller),
        ("GET", r"/v3/resellers/([^/]+)/customers", _list_customers),
        ("POST", r"/v3/customers", _create_customer),
        ("GET", _CUSTOMER, _get_customer),
        ("POST", _CUSTOMER + r"/orders", _create_order),
        ("GET", _CUSTOMER + r"/orders", _list_orders),
        ("GET", _CUSTOMER + r"/orders/([^/]+)", _get_order),
        ("GET", _CUSTOMER + r"/subscriptions/([^/]+)", _get_subscription),
    )
]


def _route(sandbox: Sandbox, request: Request) -> Answer:
    for method, pattern, endpoint in _ROUTES:
        found = pattern.fullmatch(request.path) if method == request.method else None
        if found is not None:
            return endpoint(sandbox, request, *found.groups())
    return Answer(404, {"error_code": "404", "message": f"There is no resource {request.method} {request.path}."})
