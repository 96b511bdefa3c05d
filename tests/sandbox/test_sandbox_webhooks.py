"""Webhooks: registration, signatures that can be verified, and events that come twice, late, forged or from a stranger."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from .client import OTHER_TENANT, Box

REGISTRATION = "/webhooks/v1/registration"


@dataclass
class Receiver:
    """Somebody who is told: what came, with its headers, and what he answers."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def wait(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 10
        while len(self.came) < count:
            assert time.monotonic() < deadline, f"{len(self.came)} of {count} events came."
            time.sleep(0.02)
        return [json.loads(body) for _, body in self.came]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def call(box: Box, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
    """`Box.call` has the prefix of the other resources, and this one has another root."""
    return box.call(method, f"/../{path.lstrip('/')}", body, **more)


def register(box: Box, receiver: Receiver, **more: Any) -> None:
    answer = call(
        box, "POST", REGISTRATION, {"WebhookUrl": receiver.url, "WebhookEvents": ["subscription-updated", "test-created"], **more}
    )
    assert answer.status_code == 200, answer.text


def bought(box: Box, quantity: int = 5) -> tuple[str, str]:
    """(customer, subscription) of an order that is active."""
    customer = box.customer()
    order = box.order(customer, quantity)
    box.advance("PT10S")
    return customer, str(box.call("GET", f"/customers/{customer}/subscriptions?order_id={order}").json()["items"][0]["id"])


def certificate(box: Box, headers: dict[str, str]) -> x509.Certificate:
    assert headers["x-ms-certificate-url"].startswith(f"{box.url}/webhooks/v1/certificate")
    return x509.load_pem_x509_certificate(box.http.get(headers["x-ms-certificate-url"]).content)


def verify(box: Box, headers: dict[str, str], body: bytes, signature: str = "") -> None:
    """Raise unless the body is signed by the certificate's key and an authority that we trust vouches for it."""
    leaf = certificate(box, headers)
    authority = x509.load_pem_x509_certificate(box.control("GET", "authority")["certificate"].encode())
    key = leaf.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    scheme, _, given = headers.get("authorization", f"Signature {signature}").partition(" ")
    assert scheme == "Signature"
    assert headers["x-ms-signature-algorithm"] == "rsa-sha256"
    key.verify(base64.b64decode(given), body, padding.PKCS1v15(), hashes.SHA256())
    leaf.verify_directly_issued_by(authority)


def test_registration(box: Box, receiver: Receiver) -> None:
    assert "subscription-updated" in call(box, "GET", f"{REGISTRATION}/events").json()
    assert call(box, "GET", REGISTRATION).status_code == 404
    assert call(box, "PUT", REGISTRATION, {"WebhookUrl": receiver.url, "WebhookEvents": ["test-created"]}).status_code == 404
    register(box, receiver)
    assert call(box, "POST", REGISTRATION, {"WebhookUrl": receiver.url, "WebhookEvents": ["test-created"]}).status_code == 409
    shown = call(box, "GET", REGISTRATION).json()
    assert (shown["WebhookUrl"], shown["WebhookEvents"]) == (receiver.url, ["subscription-updated", "test-created"])
    changed = call(box, "PUT", REGISTRATION, {"WebhookUrl": receiver.url, "WebhookEvents": ["test-created"]}).json()
    assert (changed["SubscriberId"], changed["WebhookEvents"]) == (shown["SubscriberId"], ["test-created"])
    assert call(box, "GET", REGISTRATION, tenant=OTHER_TENANT).status_code == 404
    assert call(box, "GET", REGISTRATION, headers={"Authorization": None}).status_code == 401
    box.expected = ["bad_bearer"]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "https://example.com/hook", "http://127.0.0.1/", "ftp://127.0.0.1:1/", "http://[::1", 5]
)
def test_nobody_but_this_machine_is_told(box: Box, url: Any) -> None:
    answer = call(box, "POST", REGISTRATION, {"WebhookUrl": url, "WebhookEvents": ["test-created"]})
    assert (answer.status_code, answer.json()["data"]) == (400, ["WebhookUrl"])
    box.expected = ["bad_webhook"]


def test_active_and_changed_subscriptions_are_announced_and_signed(box: Box, receiver: Receiver) -> None:
    bought(box)
    register(box, receiver)
    customer = box.customer("second.onmicrosoft.com")
    order = box.order(customer, 5)
    box.advance("PT10S")
    subscription = box.call("GET", f"/customers/{customer}/subscriptions?order_id={order}").json()["items"][0]
    (event,) = receiver.wait(1)
    assert set(event) == {"EventName", "ResourceUri", "ResourceName", "AuditUri", "ResourceChangeUtcDate"}
    assert (event["EventName"], event["ResourceName"]) == ("subscription-updated", "Subscription")
    # What was active before the registration is old news: this is the second customer's.
    path = f"/customers/{customer}/subscriptions/{subscription['id']}"
    assert event["ResourceUri"] == f"{box.url}/v1{path}"
    verify(box, *receiver.came[0])
    box.call("PATCH", path, subscription | {"quantity": 6}, headers={"If-Match": subscription["attributes"]["etag"]})
    assert receiver.wait(2)[1]["ResourceUri"] == event["ResourceUri"]
    states = [sent["state"] for sent in box.control("GET", "events")["events"]]
    assert states[0] == "delivered"


def test_the_other_header(box: Box, receiver: Receiver) -> None:
    register(box, receiver, SignatureTokenToMsSignatureHeader=True)
    assert call(box, "POST", f"{REGISTRATION}/validationEvents").json()["correlationId"]
    (event,) = receiver.wait(1)
    headers, body = receiver.came[0]
    assert event["EventName"] == "test-created"
    assert "authorization" not in headers
    verify(box, headers, body, headers["x-ms-signature"])


def test_events_on_demand(box: Box, receiver: Receiver) -> None:
    register(box, receiver)
    customer, subscription = bought(box)
    first = receiver.wait(1)[0]
    (sent,) = box.control("GET", "events")["events"]
    box.control("POST", "events", {"resend": sent["id"], "times": 2})
    assert receiver.wait(3)[1:] == [first, first]
    old = "2020-01-01T00:00:00.000Z"
    box.control("POST", "events", {"subscriptionId": subscription, "date": old})
    fourth = receiver.wait(4)[3]
    assert (fourth["ResourceChangeUtcDate"], fourth["ResourceUri"]) == (
        old,
        f"{box.url}/v1/customers/{customer}/subscriptions/{subscription}",
    )
    box.control("POST", "events", {"subscriptionId": subscription, "signature": "wrong"})
    box.control("POST", "events", {"subscriptionId": subscription, "signature": "missing"})
    box.control("POST", "events", {"subscriptionId": subscription, "certificate": "other"})
    box.control("POST", "events", {"resourceUri": "http://evil.example/x", "certificateUrl": "http://169.254.169.254/c"})
    receiver.wait(8)
    with pytest.raises(InvalidSignature):
        verify(box, *receiver.came[4])
    assert "authorization" not in receiver.came[5][0]
    strangers = certificate(box, receiver.came[6][0])
    (organization,) = strangers.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert organization.value == "Microsoft Corporation"
    with pytest.raises(InvalidSignature):
        verify(box, *receiver.came[6])
    assert receiver.came[7][0]["x-ms-certificate-url"] == "http://169.254.169.254/c"
    assert json.loads(receiver.came[7][1])["ResourceUri"] == "http://evil.example/x"


@pytest.mark.parametrize(
    "asked", [[], {"times": 0}, {"signature": "odd"}, {"certificate": "odd"}, {"resend": "none"}, {"date": 5}, {"tenant": OTHER_TENANT}]
)
def test_events_that_make_no_sense(box: Box, receiver: Receiver, asked: Any) -> None:
    register(box, receiver)
    assert box.http.post("/__sandbox__/events", json=asked).status_code == 400


@pytest.mark.parametrize(("action", "count"), [("dup_event", 2), ("event_bad_signature", 1)])
def test_event_faults(box: Box, receiver: Receiver, action: str, count: int) -> None:
    register(box, receiver)
    box.control("POST", "faults", {"action": action})
    bought(box)
    events = receiver.wait(count)
    assert events == [events[0]] * count
    if action == "event_bad_signature":
        with pytest.raises(InvalidSignature):
            verify(box, *receiver.came[0])
    # Such a rule is not used up by calls.
    (rule,) = box.control("GET", "faults")["faults"]
    assert (rule["matched"], rule["acted"]) == (1, 1)


def test_out_of_order(box: Box, receiver: Receiver) -> None:
    register(box, receiver)
    box.control("POST", "faults", {"action": "event_out_of_order"})
    _, first = bought(box)
    customer = box.customer("second.onmicrosoft.com")
    box.order(customer, 5)
    box.advance("PT10S")
    newer, older = receiver.wait(2)
    assert older["ResourceUri"].endswith(first)
    assert older["ResourceChangeUtcDate"] < newer["ResourceChangeUtcDate"]


def test_ten_attempts(box: Box, receiver: Receiver) -> None:
    register(box, receiver)
    receiver.answers = [500] * 10
    bought(box)
    for count in range(2, 11):
        told_again(box, receiver, count, after="PT2M")
    deadline = time.monotonic() + 5
    while (event := box.control("GET", "events")["events"][0])["state"] != "dropped":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [attempt["outcome"] for attempt in event["attempts"]] == ["500"] * 10


def told_again(box: Box, receiver: Receiver, count: int, *, after: str) -> None:
    """Let time pass until so many came. The refusal reaches the receiver before the vendor has written down when he tries again."""
    receiver.wait(count - 1)
    deadline = time.monotonic() + 10
    while len(receiver.came) < count and time.monotonic() < deadline:
        box.advance(after)
        time.sleep(0.05)
    receiver.wait(count)


def test_a_receiver_who_is_away_is_told_later(box: Box, receiver: Receiver) -> None:
    register(box, receiver)
    receiver.answers = [503]
    bought(box)
    told_again(box, receiver, 2, after="PT15S")
    again, first = receiver.wait(2)
    assert first == again
