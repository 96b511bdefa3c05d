"""Webhooks: where a partner wants to be told, and what he is told.

There is no event about orders.  A subscription that becomes active or changes makes `subscription-updated`.  Events are
kept in the ledger, and wait in its outbox until the courier (background.py) has delivered them or given up.
"""

import uuid
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from .answers import Answer, RefusedError, Request, error
from .clock import iso
from .contract import read_json, refuse
from .ledger import Document
from .orders import line_status, status_of, subscribed
from .state import Sandbox

UPDATED, TEST = "subscription-updated", "test-created"
EVENTS = (TEST, UPDATED, "usagerecords-thresholdExceeded", "referral-created", "invoice-ready", "created-transfer")
RESOURCES = {UPDATED: "Subscription", TEST: "Test"}
GOOD, WRONG, MISSING = "good", "wrong", "missing"
OWN, OTHER = "own", "other"
_FINAL = frozenset({"error", "cancelled", "po_review_rejected"})


def register(sandbox: Sandbox, request: Request) -> Answer:
    """`POST /webhooks/v1/registration`: one per partner tenant."""
    if _registration(sandbox, request.tenant) is not None:
        raise RefusedError(error(409, 3000, "There is a registration already.", ["WebhookUrl"]))
    _forget_old_news(sandbox, request.tenant)
    return _save(sandbox, request)


def replace_registration(sandbox: Sandbox, request: Request) -> Answer:
    if _registration(sandbox, request.tenant) is None:
        raise RefusedError(error(404, 1000, "There is no registration."))
    return _save(sandbox, request)


def get_registration(sandbox: Sandbox, request: Request) -> Answer:
    found = _registration(sandbox, request.tenant)
    if found is None:
        raise RefusedError(error(404, 1000, "There is no registration."))
    return Answer(200, found)


def list_events(sandbox: Sandbox, request: Request) -> Answer:
    """The names a partner may ask for."""
    return Answer(200, list(EVENTS))


def validation_event(sandbox: Sandbox, request: Request) -> Answer:
    """`POST /webhooks/v1/registration/validationEvents`: sends `test-created` to the registered address."""
    if _registration(sandbox, request.tenant) is None:
        raise RefusedError(error(404, 1000, "There is no registration."))
    identifier = str(uuid.uuid4())
    uri = f"{sandbox.settings.origin}/webhooks/v1/registration/validationEvents/{identifier}"
    post(sandbox, request.tenant, event_body(sandbox, TEST, uri))
    return Answer(200, {"correlationId": identifier})


def announce_subscription(sandbox: Sandbox, order: Document, subscription_id: str) -> None:
    """Tell the partner that a subscription is active or has changed, if he asked to be told."""
    registration = _registration(sandbox, order["tenant"])
    if registration is None or UPDATED not in registration["WebhookEvents"]:
        return
    body = event_body(sandbox, UPDATED, f"{sandbox.settings.origin}/v1/customers/{order['customerId']}/subscriptions/{subscription_id}")
    fault = sandbox.faults.take_event(body["ResourceUri"])
    kind = "" if fault is None else fault.kind
    if kind == "event_out_of_order":
        _hold_back(sandbox, order["tenant"], body)
        return
    post(sandbox, order["tenant"], body, signature=WRONG if kind == "event_bad_signature" else GOOD)
    if kind == "dup_event":
        post(sandbox, order["tenant"], body)
    _let_go(sandbox, order["tenant"])


def announce_active(sandbox: Sandbox) -> None:
    """Announce the subscriptions that have become active since the last look."""
    now = sandbox.clock.now()
    for tenant in {registration["tenant"] for registration in sandbox.ledger.every("webhook")}:
        for waiting in sandbox.ledger.of_tenant("unannounced", tenant):
            order = sandbox.ledger.get("order", waiting["orderId"])
            if order is None or status_of(order, now) in _FINAL:
                sandbox.ledger.delete("unannounced", waiting["orderId"])
                continue
            active = [line for number, line in enumerate(order["lines"]) if subscribed(order, number, now)]
            if active:
                sandbox.ledger.delete("unannounced", order["id"])
            for line in active:
                announce_subscription(sandbox, order, line["subscriptionId"])


def event_body(sandbox: Sandbox, name: str, uri: str, date: str = "") -> Document:
    return {
        "EventName": name,
        "ResourceUri": uri,
        "ResourceName": RESOURCES.get(name, "Resource"),
        "AuditUri": f"{sandbox.settings.origin}/v1/auditrecords/{uuid.uuid4()}",
        "ResourceChangeUtcDate": date or iso(sandbox.clock.now()),
    }


def post(
    sandbox: Sandbox, tenant: str, body: Document, *, signature: str = GOOD, certificate: str = OWN, certificate_url: str = ""
) -> Document:
    """Put an event into the outbox, with what shall be wrong with it."""
    event: Document = {
        "id": str(uuid.uuid4()),
        "tenant": tenant,
        "body": body,
        "signature": signature,
        "certificate": certificate,
        "certificateUrl": certificate_url,
        "state": "waiting",
        "attempts": [],
        "nextAt": sandbox.clock.now(),
    }
    sandbox.ledger.put("event", event["id"], tenant, tenant, event)
    sandbox.ledger.put("outbox", event["id"], tenant, tenant, {"id": event["id"]})
    return event


def ask_for_event(sandbox: Sandbox, asked: Any) -> list[Document]:
    """`POST /__sandbox__/events`: send an event again, late, twice, wrongly signed or by a stranger.  ValueError says what is wrong."""
    texts = ("tenant", "resend", "event", "subscriptionId", "resourceUri", "date", "signature", "certificate", "certificateUrl")
    if not isinstance(asked, dict) or not all(isinstance(asked.get(name, ""), str) for name in texts):
        raise ValueError(f"An event is an object with some of the texts {', '.join(texts)}, and the number times.")
    times, tenant = asked.get("times", 1), asked.get("tenant") or _only_tenant(sandbox)
    if type(times) is not int or not 1 <= times <= 100:
        raise ValueError("times is a whole number from 1 to 100.")
    if asked.get("signature", GOOD) not in (GOOD, WRONG, MISSING) or asked.get("certificate", OWN) not in (OWN, OTHER):
        raise ValueError("signature is good, wrong or missing; certificate is own or other.")
    if _registration(sandbox, tenant) is None:
        raise ValueError(f"Tenant {tenant or '(none)'} has no webhook registration.")
    body = _asked_body(sandbox, asked)
    wrongs = {"signature": asked.get("signature", GOOD), "certificate": asked.get("certificate", OWN)}
    return [post(sandbox, tenant, body, certificate_url=asked.get("certificateUrl", ""), **wrongs) for _ in range(times)]


def _asked_body(sandbox: Sandbox, asked: Document) -> Document:
    if asked.get("resend"):
        known = sandbox.ledger.get("event", asked["resend"])
        if known is None:
            raise ValueError(f"There is no event {asked['resend']}.")
        return dict(known["body"])
    uri = asked.get("resourceUri", "")
    if not uri:
        wanted = asked.get("subscriptionId", "")
        owners = (order for order in sandbox.ledger.every("order") for line in order["lines"] if line["subscriptionId"] == wanted)
        customer = next((order["customerId"] for order in owners), "00000000-0000-0000-0000-000000000000")
        uri = f"{sandbox.settings.origin}/v1/customers/{customer}/subscriptions/{wanted}"
    return event_body(sandbox, asked.get("event") or UPDATED, uri, asked.get("date", ""))


def _only_tenant(sandbox: Sandbox) -> str:
    return next((str(registration["tenant"]) for registration in sandbox.ledger.every("webhook")), "")


def _registration(sandbox: Sandbox, tenant: str) -> Document | None:
    found = sandbox.ledger.get("webhook", tenant)
    return None if found is None else found["shown"]


def _save(sandbox: Sandbox, request: Request) -> Answer:
    body = read_json(sandbox, request)
    url, events = body.get("WebhookUrl"), body.get("WebhookEvents")
    if not isinstance(url, str) or not is_loopback(url):
        refuse(sandbox, request, "bad_webhook", 400, 3000, "WebhookUrl must be an address on this machine.", ["WebhookUrl"])
    if not isinstance(events, list) or not events or any(name not in EVENTS for name in events):
        refuse(sandbox, request, "bad_webhook", 400, 3000, "WebhookEvents must be names of events.", ["WebhookEvents"])
    known = _registration(sandbox, request.tenant) or {"SubscriberId": str(uuid.uuid4())}
    shown = {
        "SubscriberId": known["SubscriberId"],
        "WebhookUrl": url,
        "WebhookEvents": events,
        "SignatureTokenToMsSignatureHeader": body.get("SignatureTokenToMsSignatureHeader") is True,
    }
    sandbox.ledger.put("webhook", request.tenant, request.tenant, request.tenant, {"tenant": request.tenant, "shown": shown})
    return Answer(200, shown)


def is_loopback(url: str) -> bool:
    """The sandbox calls nobody but this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "http" and bool(parts.port) and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _forget_old_news(sandbox: Sandbox, tenant: str) -> None:
    """What was active before the registration is not announced."""
    now = sandbox.clock.now()
    for waiting in sandbox.ledger.of_tenant("unannounced", tenant):
        order = sandbox.ledger.get("order", waiting["orderId"])
        if order is None or line_status(order, 0, now) != "prefulfillmentPending":
            sandbox.ledger.delete("unannounced", waiting["orderId"])


def _hold_back(sandbox: Sandbox, tenant: str, body: Document) -> None:
    sandbox.ledger.put("held event", str(uuid.uuid4()), tenant, tenant, body)


def _let_go(sandbox: Sandbox, tenant: str) -> None:
    """Send what was held back, now that a newer event went first."""
    for body in sandbox.ledger.of_tenant("held event", tenant):
        post(sandbox, tenant, body)
    sandbox.ledger.delete_of_tenant("held event", tenant)
