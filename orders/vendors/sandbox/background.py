"""What happens at the vendor without being asked: late effects come true, subscriptions are announced, events are delivered."""

import http.client
import json
import threading
import time
import traceback
from urllib.parse import urlsplit

from . import late, signing, webhooks
from .clock import iso
from .ledger import Document
from .state import Sandbox

LOOK_SECONDS = 0.2
DELIVERY_SECONDS = 5.0
MOST_ATTEMPTS = 10
PAUSE_SECONDS = 10.0
"""Virtual seconds before the second attempt; each later pause is as much longer."""


def start(sandbox: Sandbox) -> None:
    """Look around from now on, in a thread that ends with the process."""
    threading.Thread(target=_run, args=(sandbox,), daemon=True, name="background").start()


def catch_up(sandbox: Sandbox) -> None:
    """Do what is due by the virtual clock.  Also called before each call, so that nobody sees a world that is behind its clock."""
    with sandbox.ledger.transaction():
        late.apply_due(sandbox)
        webhooks.announce_active(sandbox)


def _run(sandbox: Sandbox) -> None:
    while True:
        try:
            catch_up(sandbox)
            while _deliver_next(sandbox):
                pass
        except Exception:
            if sandbox.ledger.is_closed:
                return
            traceback.print_exc()
        time.sleep(LOOK_SECONDS)


def _deliver_next(sandbox: Sandbox) -> bool:
    """Deliver the oldest event that is due.  False when there is none."""
    with sandbox.ledger.transaction():
        due = _next_due(sandbox)
        registration = None if due is None else sandbox.ledger.get("webhook", due["tenant"])
    if due is None:
        return False
    # Outside the lock: the receiver may well ask us something before he answers.
    outcome = "no registration" if registration is None else _send(sandbox, due, registration["shown"])
    with sandbox.ledger.transaction():
        if sandbox.ledger.get("event", due["id"]) is not None:
            _note(sandbox, due, outcome)
    return True


def _next_due(sandbox: Sandbox) -> Document | None:
    now = sandbox.clock.now()
    events = (sandbox.ledger.get("event", waiting["id"]) for waiting in sandbox.ledger.every("outbox"))
    return next((event for event in events if event is not None and event["nextAt"] <= now), None)


def _send(sandbox: Sandbox, event: Document, registration: Document) -> str:
    content = json.dumps(event["body"]).encode("ascii")
    parts = urlsplit(registration["WebhookUrl"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DELIVERY_SECONDS)
    try:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("POST", path, content, _headers(sandbox, event, registration, content))
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as problem:
        return type(problem).__name__
    finally:
        connection.close()


def _headers(sandbox: Sandbox, event: Document, registration: Document, content: bytes) -> dict[str, str]:
    name = event["certificate"]
    url = event["certificateUrl"] or f"{sandbox.settings.origin}/webhooks/v1/certificate{'/other' if name == webhooks.OTHER else ''}"
    headers = {"Content-Type": "application/json", "X-MS-Certificate-Url": url, "X-MS-Signature-Algorithm": "rsa-sha256"}
    if event["signature"] == webhooks.MISSING:
        return headers
    signed = content if event["signature"] == webhooks.GOOD else content + b" "
    signature = signing.sign(sandbox, name, signed)
    if registration["SignatureTokenToMsSignatureHeader"]:
        return {**headers, "X-MS-Signature": signature}
    return {**headers, "Authorization": f"Signature {signature}"}


def _note(sandbox: Sandbox, event: Document, outcome: str) -> None:
    now = sandbox.clock.now()
    event["attempts"].append({"at": iso(now), "outcome": outcome})
    event["nextAt"] = now + PAUSE_SECONDS * len(event["attempts"])
    if outcome.startswith("2"):
        event["state"] = "delivered"
    elif len(event["attempts"]) >= MOST_ATTEMPTS:
        event["state"] = "dropped"
    sandbox.ledger.put("event", event["id"], event["tenant"], event["tenant"], event)
    if event["state"] != "waiting":
        sandbox.ledger.delete("outbox", event["id"])
