"""The one HTTP client to vendors: which addresses it calls, and what it says of a call that came too late."""

import json
import socket
import threading
from contextlib import closing
from urllib.parse import urlencode

import pytest

from orders.vendors.contract import Answer, NothingSent, OutcomeUnknown
from orders.vendors.http import Client, ForbiddenAddress, check_address
from tests.harness.sandbox import CLIENT_ID, CLIENT_SECRET, MICROSOFT_TENANT, Sandbox
from tests.vendors.kits import PARTNER_CENTER

login = PARTNER_CENTER.login


def test_a_login_shows_no_secret(vendor: Sandbox) -> None:
    assert CLIENT_SECRET not in repr(login(vendor))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.partnercenter.microsoft.com",
        "ftp://example.com",
        "https://127.0.0.1",
        "https://10.0.0.8",
        "https://[::1]",
        "https://169.254.169.254",
        "https://localhost",
        "https://user@example.com",
        "https://",
        "file:///etc/passwd",
    ],
)
def test_only_public_https_addresses_are_called(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        check_address(url, allow_loopback=False)


def test_a_public_https_address_and_loopback_where_allowed_are_called() -> None:
    check_address("https://api.partnercenter.microsoft.com", allow_loopback=False)
    check_address("http://127.0.0.1:8787", allow_loopback=True)


def test_a_call_after_the_deadline_is_not_sent(vendor: Sandbox) -> None:
    with closing(Client(login(vendor, deadline_seconds=0.0))) as client, pytest.raises(NothingSent):
        client.send("GET", f"{vendor.url}/__sandbox__/health", {}, b"")


def test_a_vendor_that_answers_too_late_leaves_a_doubt(vendor: Sandbox) -> None:
    vendor.faults("delay:PT2S", method="POST", path="*/oauth2/token")
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "resource": "https://api.partnercenter.microsoft.com",
        }
    ).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with closing(Client(login(vendor, deadline_seconds=0.5))) as client, pytest.raises(OutcomeUnknown):
        client.send("POST", f"{vendor.url}/{MICROSOFT_TENANT}/oauth2/token", kind, form)


def test_what_was_sent_does_not_come_back(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier bearer neither: it may be repeated after it was renewed."""
    said = f"Bad header Authorization: Bearer plain-token, Basic {CLIENT_SECRET}; Digest older-token"
    monkeypatch.setattr(Client, "_exchange", lambda *_call: Answer(400, {"X-Request-Id": said}, json.dumps({"message": said}).encode()))
    with closing(Client(login(vendor))) as client:
        client.send("GET", vendor.url, {"Authorization": "Bearer older-token"}, b"")
        answer = client.send("GET", vendor.url, {"Authorization": "Bearer plain-token"}, b"")
    for words in (answer.headers["X-Request-Id"], answer.body.decode()):
        assert "Bad header Authorization: Bearer [removed]" in words
        assert not any(secret in words for secret in (CLIENT_SECRET, "plain-token", "older-token"))


def test_a_broken_answer_that_quotes_our_header_is_not_quoted(vendor: Sandbox) -> None:
    with Quoting() as url, closing(Client(login(vendor, base_url=url))) as client, pytest.raises(OutcomeUnknown) as caught:
        client.send("GET", url, {"Authorization": "Bearer plain-token"}, b"")
    assert "plain-token" not in str(caught.value)


class Quoting:
    """A server that answers with a header line that is none, and the bearer in it."""

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_error: object) -> None:
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        caller, _address = self._socket.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(b"HTTP/1.1 400 Bad\r\nBad header Bearer plain-token\r\n\r\n")
