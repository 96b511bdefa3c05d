"""Webhooks are hints: kept in the request, verified by the worker, and worth a question asked earlier; never a verdict."""

import base64
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.test import Client, override_settings

from orders import clock as portal_clock
from orders import hints, hooks, lifecycle, purchasing
from orders.models import AttemptState, CustomerTenant, Incident, PurchaseAttempt, VendorAccount, VendorEvent
from orders.secrets import HidesLinks
from orders.statuses import OrderStatus
from orders.vendors import microsoft_login, webhooks
from orders.vendors.contract import Answer, OutcomeUnknown, Phase, Snapshot
from orders.vendors.webhooks import NotGenuine, Trust
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, again, cart_of, claimed, exchanged
from tests.sandbox.client import Box, guid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]

HOST = "3psostorageacct.blob.core.windows.net"
URL = f"https://{HOST}/cert/pcnotifications-dispatch.microsoft.com.cer"
TENANT = "5f3b5c0e-0d5c-4a3c-9e1a-7e1f0c2b9a11"


class Signer:
    """A key and its certificate."""

    def __init__(self, organisation: str = "Microsoft Corporation", *, issuer: "Signer | None" = None, days: int = 30) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.certificate.subject if issuer else name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .sign(issuer.key if issuer else self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def headers(self, body: bytes, url: str = URL) -> dict[str, str]:
        signature = base64.b64encode(self.key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
        return {"Authorization": f"Signature {signature}", "X-MS-Signature-Algorithm": "rsa-sha256", "X-MS-Certificate-Url": url}


@pytest.fixture(scope="module")
def microsoft() -> Signer:
    return Signer()


@pytest.fixture
def fetched(microsoft: Signer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every address that a certificate was asked of; all have Microsoft's."""
    asked: list[str] = []

    def fetch(url: str, *, allow_loopback: bool) -> Answer:
        asked.append(url)
        return Answer(200, {}, microsoft.pem)

    monkeypatch.setattr(webhooks, "_fetch", fetch)
    webhooks._kept.clear()
    yield asked
    webhooks._kept.clear()


def event(tenant: str = TENANT, date: str = "2026-11-26T10:00:00Z", **changes: str) -> bytes:
    uri = f"https://{HOST}/v1/customers/{tenant}/subscriptions/8a1c"
    body = {"EventName": "subscription-updated", "ResourceUri": uri, "ResourceName": "Subscription", "ResourceChangeUtcDate": date}
    return json.dumps(body | changes).encode()


def send(account: VendorAccount, body: bytes, headers: dict[str, str], token: str = "") -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/hooks/{token or hooks.token_of(account)}/", body, content_type="application/json", headers=headers)


def accepted(world: World, *, tenant: str = TENANT) -> PurchaseAttempt:
    """With the vendor, and not to be asked again for an hour."""
    order = lifecycle.place(cart_of(world, world.line(world.premium_yearly)), by=world.harbour.manager)
    held = claimed(order.attempts.get())
    exchanged(held)
    purchasing.record_snapshot(held, Snapshot(Phase.ACCEPTED, order_refs=("order-1",), raw_status="pending"))
    CustomerTenant.objects.get_or_create(customer=order.customer, account=held.account, defaults={"vendor_ref": tenant, "domain": "x"})
    PurchaseAttempt.objects.filter(pk=held.pk).update(next_action_at=portal_clock.now() + timedelta(hours=1))
    return PurchaseAttempt.objects.get(pk=held.pk)


def is_due(attempt: PurchaseAttempt) -> bool:
    return PurchaseAttempt.objects.due(portal_clock.now()).filter(pk=attempt.pk).exists()


def refused(detail: str) -> None:
    stored = VendorEvent.objects.get()
    assert (stored.state, detail in stored.detail) == ("refused", True), stored.detail


# --- the request


def test_an_event_is_kept_and_answered_and_nobody_is_called_in_the_request(world: World, microsoft: Signer, fetched: list[str]) -> None:
    attempt, body = accepted(world), event()
    response = send(world.microsoft_account, body, microsoft.headers(body))
    assert (response.status_code, response.content) == (202, b"")
    stored = VendorEvent.objects.get()
    assert (stored.state, bytes(stored.body), stored.account) == ("waiting", body, world.microsoft_account)
    assert set(stored.headers) == {"authorization", "x-ms-signature-algorithm", "x-ms-certificate-url"}
    assert (fetched, is_due(attempt)) == ([], False)


def test_a_second_delivery_is_the_same_event_and_another_date_is_another(world: World, microsoft: Signer) -> None:
    for body in (event(), event(), event(AuditUri="https://elsewhere.example/"), event(date="2026-11-24T10:00:00Z")):
        assert send(world.microsoft_account, body, microsoft.headers(body)).status_code == 202
    assert VendorEvent.objects.count() == 2
    # The same event of another account is that account's.
    send(world.northgate_account, event(), {})
    assert VendorEvent.objects.count() == 3


@pytest.mark.parametrize(("size", "status"), [(256 * 1024, 202), (256 * 1024 + 1, 413)])
def test_a_body_may_be_so_large_and_not_a_byte_more(world: World, size: int, status: int) -> None:
    body = event(Padding="x" * 10)
    body = body.replace(b"xxxxxxxxxx", b"x" * (size - len(body) + 10))
    assert len(body) == size
    assert send(world.microsoft_account, body, {}).status_code == status
    assert VendorEvent.objects.count() == (status == 202)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"EventName": "x"}', b"[" * 100_000, b'{"EventName": null}'])
def test_what_is_no_event_is_not_kept(world: World, body: bytes) -> None:
    assert send(world.microsoft_account, body, {}).status_code == 400
    assert not VendorEvent.objects.exists()


def test_a_wrong_token_answers_like_any_missing_page_and_only_post_is_taken(world: World, client: Client) -> None:
    token = hooks.token_of(world.microsoft_account)
    for wrong in ("x", token[:-1], token.upper(), f"{world.microsoft_account.pk}", "0" * 64):
        response = send(world.microsoft_account, event(), {}, token=wrong)
        assert response.status_code == 404
        assert b"There is no such page" in response.content
    VendorAccount.objects.filter(pk=world.northgate_account.pk).update(is_active=False)
    assert send(world.northgate_account, event(), {}).status_code == 404
    assert client.get(f"/hooks/{token}/").status_code == 405
    assert client.get("/hooks/x/").status_code == 405
    assert not VendorEvent.objects.exists()


def test_staff_read_the_address_and_the_events_and_no_log_holds_the_token(world: World, client: Client) -> None:
    token = hooks.token_of(world.microsoft_account)
    assert token != hooks.token_of(world.northgate_account)
    client.force_login(world.staff)
    assert f"/hooks/{token}/" in client.get(f"/admin/orders/vendoraccount/{world.microsoft_account.pk}/change/").content.decode()
    send(world.microsoft_account, event(Nasty="<script>x</script>"), {"Authorization": "Signature c2VjcmV0"})
    assert "subscription-updated" in client.get("/admin/orders/vendorevent/").content.decode()
    page = client.get(f"/admin/orders/vendorevent/{VendorEvent.objects.get().pk}/change/").content.decode()
    assert (TENANT in page, "<script>x" in page) == (True, False)
    assert client.get("/admin/orders/vendorevent/add/").status_code == 403
    record = logging.LogRecord("django.request", logging.WARNING, "", 1, "Not Found: %s", (f"/hooks/{token}/",), None)
    HidesLinks().filter(record)
    assert record.getMessage() == "Not Found: /hooks/…/"


# --- the worker


def test_a_genuine_hint_makes_an_open_order_asked_at_once_and_moves_nothing(world: World, microsoft: Signer, fetched: list[str]) -> None:
    attempt, body = accepted(world), event(TENANT.upper(), date="2026-11-24T10:00:00Z")
    send(world.microsoft_account, body, microsoft.headers(body))
    hints.handle_waiting()
    stored = VendorEvent.objects.get()
    assert (stored.state, stored.detail, fetched) == ("used", "Asked now about 1 open order.", [URL])
    assert is_due(attempt)
    now = PurchaseAttempt.objects.get(pk=attempt.pk)
    assert (now.state, now.vendor_status, now.fence) == (attempt.state, attempt.vendor_status, attempt.fence)
    assert again(attempt.order).status == OrderStatus.PROVISIONING_STARTED
    # The certificate is read once; the other header is as good; the order in which events come means nothing.
    for date in ("2026-11-26T11:00:00Z", "2026-11-26T09:00:00Z"):
        body = event(date=date)
        headers = microsoft.headers(body)
        headers["X-MS-Signature"] = headers.pop("Authorization").removeprefix("Signature ")
        send(world.microsoft_account, body, headers)
    hints.handle_waiting()
    assert (VendorEvent.objects.filter(state="used").count(), fetched) == (3, [URL])


def test_a_forged_event_is_kept_as_refused_and_does_not_keep_the_genuine_one_out(
    world: World, microsoft: Signer, fetched: list[str]
) -> None:
    attempt, body = accepted(world), event()
    send(world.microsoft_account, body + b" ", microsoft.headers(body))
    hints.handle_waiting()
    refused("The signature does not fit the body.")
    assert not is_due(attempt)
    send(world.microsoft_account, body, microsoft.headers(body))
    hints.handle_waiting()
    assert (VendorEvent.objects.get().state, is_due(attempt)) == ("used", True)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/certificate.cer",
        f"https://{HOST}.evil.example/certificate.cer",
        f"https://evil.example/#@{HOST}/",
        f"https://{HOST}@evil.example/certificate.cer",
        f"https://evil.example@{HOST}/certificate.cer",
        f"http://{HOST}/certificate.cer",
        f"https://{HOST}:8443/certificate.cer",
        "https://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "https://[::1]/",
        "https://10.0.0.1/",
        "file:///etc/passwd",
        "https://[",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_asked_for(world: World, microsoft: Signer, fetched: list[str], url: str) -> None:
    body = event()
    send(world.microsoft_account, body, microsoft.headers(body, url))
    hints.handle_waiting()
    refused("The certificate’s address")
    assert fetched == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"X-MS-Signature-Algorithm": "none"}, "Not signed with rsa-sha256"),
        ({"X-MS-Signature-Algorithm": ""}, "Not signed with rsa-sha256"),
        ({"Authorization": "Bearer abc"}, "There is no signature"),
        ({"Authorization": "Signature %%%"}, "can’t be read"),
        ({"Authorization": "Signature AAAA"}, "does not fit"),
    ],
)
def test_what_is_not_signed_as_agreed_is_refused(
    world: World, microsoft: Signer, fetched: list[str], changes: dict[str, str], why: str
) -> None:
    body = event()
    send(world.microsoft_account, body, microsoft.headers(body) | changes)
    hints.handle_waiting()
    refused(why)


def test_a_certificate_must_be_in_its_time_of_the_organisation_and_of_our_authority(
    microsoft: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, body, now = Signer(), event(), datetime.now(UTC)
    vouched = Signer(issuer=authority)
    told: dict[str, Signer] = {"ok": vouched, "old": Signer(days=-1), "other": Signer("Somebody Ltd"), "stranger": microsoft}
    monkeypatch.setattr(webhooks, "_fetch", lambda url, allow_loopback: Answer(200, {}, told[url.rpartition("/")[2]].pem))
    trust = Trust(frozenset({HOST}), "Microsoft Corporation", authorities=authority.pem)

    def verify(name: str) -> None:
        url = f"https://{HOST}/{name}"
        webhooks._kept.clear()
        webhooks.verify({key.lower(): value for key, value in told[name].headers(body, url).items()}, body, trust, now)

    verify("ok")
    for name, why in (("old", "not valid now"), ("other", "not of Microsoft"), ("stranger", "authority that we trust")):
        with pytest.raises(NotGenuine, match=why):
            verify(name)
    webhooks._kept.clear()


def test_a_certificate_that_cannot_be_fetched_now_is_asked_for_later_and_not_for_ever(
    world: World, microsoft: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Away:
        def __init__(self, login: object) -> None: ...

        def send(self, method: str, url: str, headers: object, body: bytes) -> Answer:
            asked.append(url)
            raise OutcomeUnknown("ReadTimeout")

        def close(self) -> None: ...

    monkeypatch.setattr(webhooks, "Client", Away)
    webhooks._kept.clear()
    for date in ("1", "2", "3"):
        send(world.microsoft_account, event(date=date), microsoft.headers(event(date=date)))
    hints.handle_waiting()
    # One try for all that need it.
    assert (VendorEvent.objects.filter(state="waiting").count(), asked) == (3, [URL])
    VendorEvent.objects.update(received_at=portal_clock.now() - hints.GIVE_UP - timedelta(seconds=1))
    hints.handle_waiting()
    assert VendorEvent.objects.filter(state="refused").count() == 3


def test_an_event_that_our_program_cannot_take_does_not_keep_the_others_waiting(
    world: World, microsoft: Signer, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for date in ("good", "bad"):
        send(world.microsoft_account, event(date=date), microsoft.headers(event(date=date)))
    real = webhooks.verify

    def verify(headers: Any, body: bytes, trust: Trust, now: datetime) -> None:
        if b"bad" in body:
            raise ZeroDivisionError
        real(headers, body, trust, now)

    monkeypatch.setattr(webhooks, "verify", verify)
    hints.handle_waiting()
    assert list(VendorEvent.objects.order_by("id").values_list("state", flat=True)) == ["used", "refused"]


def test_hints_about_nobody_we_know_or_about_what_is_being_sent_change_nothing(world: World, microsoft: Signer, fetched: list[str]) -> None:
    attempt = accepted(world)
    sending = lifecycle.place(cart_of(world, world.line(world.premium_monthly)), by=world.harbour.manager).attempts.get()
    PurchaseAttempt.objects.filter(pk=attempt.pk).update(lease_until=portal_clock.now() + timedelta(minutes=1), lease_owner="worker")
    PurchaseAttempt.objects.filter(pk=sending.pk).update(
        state=AttemptState.SENDING,
        next_action_at=portal_clock.now() + timedelta(hours=1),
        lease_until=portal_clock.now() - timedelta(hours=1),
    )
    before = list(PurchaseAttempt.objects.order_by("pk").values())
    for body in (event(), event("00000000-0000-0000-0000-000000000000"), event(ResourceUri="https://x/invoices/1"), event(date="later")):
        send(world.microsoft_account, body, microsoft.headers(body))
    # Another account's customer is not ours, though the id is the same.
    body = event(date="other account")
    send(world.northgate_account, body, microsoft.headers(body))
    hints.handle_waiting()
    assert set(VendorEvent.objects.values_list("state", "detail")) == {("used", "No open order waits for it.")}
    assert list(PurchaseAttempt.objects.order_by("pk").values()) == before


@override_settings(WEBHOOK_REFUSALS_TOLD=3)
def test_many_refused_events_are_told_to_staff_once(world: World, fetched: list[str]) -> None:
    for number in range(5):
        send(world.microsoft_account, event(date=str(number)), {})
    hints.handle_waiting()
    [incident] = Incident.objects.all()
    assert (incident.kind, "3 events in an hour" in incident.detail) == ("events-refused", True)


# --- the vendor's own sender


@pytest.fixture
def inbox(vendor: Sandbox) -> Iterator["Queue[tuple[dict[str, str], bytes]]"]:
    """What the vendor delivers, registered with him; headers and body as they came."""
    came: Queue[tuple[dict[str, str], bytes]] = Queue()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.put((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Box(vendor.url) as box:
        headers = {"Authorization": f"Bearer {box.token()}", "MS-RequestId": guid(), "MS-CorrelationId": guid()}
        wanted = {"WebhookUrl": f"http://127.0.0.1:{server.server_port}/", "WebhookEvents": ["subscription-updated"]}
        answer = box.http.post("/webhooks/v1/registration", json=wanted, headers=headers)
        assert answer.status_code == 200, answer.text
    yield came
    server.shutdown()
    server.server_close()


def test_the_vendors_own_event_is_believed_and_the_order_is_asked_about_and_completed(
    committed_db: Database, vendor: Sandbox, world: World, inbox: "Queue[tuple[dict[str, str], bytes]]", tmp_path: Path
) -> None:
    microsoft_login.TOKENS.clear()
    webhooks._kept.clear()
    attempt = lifecycle.place(cart_of(world, world.line(world.premium_yearly)), by=world.harbour.manager).attempts.get()
    purchasing.run(attempt.pk)
    headers, body = inbox.get(timeout=60)
    assert webhooks.customer_of(body) == CustomerTenant.objects.get().vendor_ref
    PurchaseAttempt.objects.filter(pk=attempt.pk).update(next_action_at=portal_clock.now() + timedelta(hours=1))
    authority = tmp_path / "authority.pem"
    authority.write_text(vendor.authority())
    with override_settings(WEBHOOK_AUTHORITIES=str(authority)):
        send(world.microsoft_account, body, headers)
        hints.handle_waiting()
        assert VendorEvent.objects.get().state == "used", VendorEvent.objects.get().detail
        assert is_due(attempt)
        purchasing.run(attempt.pk)
        assert again(attempt.order).status == OrderStatus.COMPLETED
        # Wrongly signed, signed by a stranger, and with an address that is not the vendor's.
        for number, wrong in enumerate(
            [{"signature": "wrong"}, {"certificate": "other"}, {"certificateUrl": "https://10.0.0.1/x"}], start=1
        ):
            vendor.send_event(date=f"2026-11-26T10:00:0{number}Z", **wrong)
            headers, body = inbox.get(timeout=60)
            send(world.microsoft_account, body, headers)
        hints.handle_waiting()
    assert VendorEvent.objects.filter(state="refused").count() == 3
    webhooks._kept.clear()
