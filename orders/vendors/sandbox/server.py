"""The HTTP side: read a request, route it, apply faults, send the answer."""

import json
import re
import select
import socket
import struct
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, override
from urllib.parse import parse_qsl, unquote, urlsplit

from . import (
    addresses,
    adobe,
    background,
    carts,
    catalogue,
    changes,
    contract,
    customers,
    late,
    orders,
    signing,
    standing,
    subscriptions,
    tokens,
    webhooks,
)
from .answers import Answer, RefusedError, Request, error, throttled
from .clock import iso, parse_duration
from .control import PREFIX, control
from .faults import Fault, forced_status, instead_of_processing
from .spoiling import spoiled
from .state import Sandbox

LARGEST_BODY = 4 * 1024 * 1024
IDLE_SECONDS = 300

type Endpoint = Callable[..., Answer]

_TOKEN = re.compile(r"/([^/]+)/oauth2/token")
_CERTIFICATE = "/webhooks/v1/certificate"
_CUSTOMER = r"/v1/customers/([^/]+)"
_ROUTES: list[tuple[str, re.Pattern[str], Endpoint]] = [
    (method, re.compile(pattern), endpoint)
    for method, pattern, endpoint in (
        ("HEAD", r"/v1/domains/([^/]+)", customers.head_domain),
        ("POST", r"/v1/customers", customers.create_customer),
        ("GET", r"/v1/customers", customers.list_customers),
        ("GET", _CUSTOMER, customers.get_customer),
        ("GET", _CUSTOMER + r"/profiles/billing", customers.get_billing),
        ("PUT", _CUSTOMER + r"/profiles/billing", customers.put_billing),
        ("GET", _CUSTOMER + r"/validationStatus", standing.validation_status),
        ("GET", _CUSTOMER + r"/agreements", standing.agreements),
        ("GET", _CUSTOMER + r"/directSignedMicrosoftCustomerAgreementStatus", standing.direct_signed_status),
        ("POST", r"/v1/validations/address", addresses.validate_address),
        ("GET", r"/v1/countryvalidationrules/([^/]+)", addresses.country_rules),
        ("GET", r"/v1/products/([^/]+)", catalogue.get_product),
        ("GET", r"/v1/products/([^/]+)/skus/([^/]+)", catalogue.get_sku),
        ("GET", r"/v1/products/([^/]+)/skus/([^/]+)/availabilities", catalogue.get_availabilities),
        ("POST", _CUSTOMER + r"/carts", carts.create_cart),
        ("GET", _CUSTOMER + r"/carts/([^/]+)", carts.get_cart),
        ("POST", _CUSTOMER + r"/carts/([^/]+)/checkout", carts.checkout),
        ("GET", _CUSTOMER + r"/orders", orders.list_orders),
        ("GET", _CUSTOMER + r"/orders/([^/]+)", orders.get_order),
        ("GET", _CUSTOMER + r"/orders/([^/]+)/provisioningstatus", orders.order_provisioning),
        ("POST", _CUSTOMER + r"/orders/([^/]+)/attachment", orders.attach),
        ("GET", _CUSTOMER + r"/subscriptions", subscriptions.list_subscriptions),
        ("GET", _CUSTOMER + r"/subscriptions/([^/]+)", subscriptions.get_subscription),
        ("PATCH", _CUSTOMER + r"/subscriptions/([^/]+)", changes.patch_subscription),
        ("GET", _CUSTOMER + r"/subscriptions/([^/]+)/provisioningstatus", subscriptions.subscription_provisioning),
        ("POST", r"/webhooks/v1/registration", webhooks.register),
        ("GET", r"/webhooks/v1/registration", webhooks.get_registration),
        ("PUT", r"/webhooks/v1/registration", webhooks.replace_registration),
        ("GET", r"/webhooks/v1/registration/events", webhooks.list_events),
        ("POST", r"/webhooks/v1/registration/validationEvents", webhooks.validation_event),
    )
]
_REPLAYED = frozenset({customers.create_customer, carts.create_cart, changes.patch_subscription})
"""Calls that answer an MS-RequestId again with the stored first answer."""


class DroppedError(Exception):
    """Ends a request without any answer."""


class HungError(Exception):
    """Leaves a request without any answer for as long as the caller has patience."""


class SandboxServer(ThreadingHTTPServer):
    """One thread per connection; leaving does not wait for connections that are held open."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        sandbox.settings.origin = f"http://{host}:{self.server_port}"
        sandbox.route = _route
        background.start(sandbox)

    @override
    def server_bind(self) -> None:
        # HTTPServer would ask the name service for this host's name, which can take seconds and is not needed.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        # Callers that vanish are part of the tests; anything else is a mistake of ours and must be seen.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "SandboxVendor"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: SandboxServer

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the console: `/__sandbox__/log` has the calls, without secrets."""

    def _serve(self) -> None:
        sandbox = self.server.sandbox
        body = self._read_body()
        if body is None:
            return
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, unquote(parts.path), query, headers, body)
        if request.path.startswith(_CERTIFICATE):
            self._send(request, _certificate(sandbox, request), None)
            return
        background.catch_up(sandbox)
        if request.path.startswith(PREFIX):
            self._send(request, control(sandbox, request), None)
            return
        entry = sandbox.log.begin(iso(sandbox.clock.now()), self.command, self.path, headers, body)
        try:
            answer, fault = process(sandbox, request)
            answer = adobe.in_own_words(request, answer)
            # Logged first, so that whoever has the answer also finds it in the log.
            sandbox.log.finish(entry, answer.status, "answered", answer.text if answer.text is not None else answer.body)
            self._send(request, answer, fault)
        except DroppedError:
            sandbox.log.finish(entry, None, "dropped")
            self._drop()
        except HungError:
            sandbox.log.finish(entry, None, "hung")
            self._wait_until_left()
        except OSError:
            # The caller went away while its call was held or delayed; that is its right and often the test.
            sandbox.log.finish(entry, None, "caller_gone")
            self.close_connection = True

    def _read_body(self) -> bytes | None:
        """The whole body, or None when it cannot be read and the connection is closed."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self.send_error(413 if length.isdecimal() and int(length) > LARGEST_BODY else 411)
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            # A caller that dies while sending has sent nothing: half a request has no effect.
            self.close_connection = True
            return None
        return body

    def _send(self, request: Request, answer: Answer, fault: Fault | None) -> None:
        """Write the answer, spoiled by the fault where it asks for that."""
        body = b""
        if answer.text is not None:
            body = answer.text.encode("utf-8", "replace")
        elif answer.body is not None:
            body = json.dumps(answer.body).encode("ascii")
        body, replaced = spoiled(body, fault)
        kind = "" if fault is None else fault.kind
        bodiless = request.method == "HEAD" or answer.status in {204, 304}
        sent = b"" if bodiless else body
        headers = {**_echo(request), **answer.headers}
        if sent:
            headers["Content-Type"] = answer.content_type
        if answer.status not in {204, 304}:
            headers["Content-Length"] = str(len(sent))
        if kind in {"truncate", "drip", "drip_headers"}:
            self.close_connection = True
            headers["Connection"] = "close"
        if kind == "truncate":
            sent = sent[: len(sent) // 2]
        head = self._head(answer.status, headers | replaced)
        pause = float(fault.argument) if fault is not None and kind in {"drip", "drip_headers"} else 0.0
        self._write(head, pause if kind == "drip_headers" else 0.0)
        self._write(sent, pause)

    def _head(self, status: int, headers: dict[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _write(self, content: bytes, pause: float) -> None:
        """All at once, or one byte at a time."""
        if not pause:
            self.wfile.write(content)
            return
        for byte in content:
            self.wfile.write(bytes([byte]))
            if self._has_left(pause):
                raise ConnectionResetError

    def _wait_until_left(self) -> None:
        """Say nothing until the caller hangs up, or the sandbox is reset."""
        abandons = self.server.sandbox.faults.abandons
        while not self._has_left(0.1) and not self.server.sandbox.faults.is_abandoned(abandons):
            pass
        self._drop()

    def _has_left(self, seconds: float) -> bool:
        """Wait so long, and tell whether the caller hung up meanwhile."""
        waiting = select.poll()
        waiting.register(self.connection, select.POLLIN)
        if not waiting.poll(seconds * 1000):
            return False
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                return True
        except OSError:
            return True
        # The caller is already talking again: his next words are no reason to hurry.
        time.sleep(seconds)
        return False

    def _drop(self) -> None:
        """Reset the connection: with zero linger, closing sends RST instead of an orderly end."""
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            self.rfile.close()
            self.connection.close()


def process(sandbox: Sandbox, request: Request) -> tuple[Answer, Fault | None]:
    """Check the contract, apply faults around the effect, and return the answer with the fault that shapes it.

    The ledger's lock is never held while a call is held or delayed.
    """
    token = _TOKEN.fullmatch(request.path) if request.method == "POST" else None
    if token is None:
        refused = _within_transaction(sandbox, lambda: _admitted(sandbox, request))
        if refused is not None:
            return refused, None
    fault = sandbox.faults.take(request.method, request.path)
    if fault is not None:
        replaced = _before_effect(sandbox, request, fault)
        if replaced is not None:
            return replaced, None
    if token is not None:
        early = fault is not None and fault.kind == "token:expired_early"
        answer = _within_transaction(sandbox, lambda: tokens.issue_token(sandbox, request, token.group(1), born_expired=early))
    else:
        answer = _within_transaction(sandbox, lambda: _route(sandbox, request))
    if fault is not None:
        answer = _after_effect(sandbox, request, fault, answer)
    return answer, fault


def _admitted(sandbox: Sandbox, request: Request) -> Answer | None:
    """Why the call is not even looked at, or None."""
    (adobe if adobe.speaks(request) else contract).admit(sandbox, request)
    limit = sandbox.settings.calls_per_minute
    if not limit:
        return None
    minute, left = divmod(sandbox.clock.now(), 60)
    if sandbox.ledger.count(f"calls:{request.tenant}:{int(minute)}") > limit:
        return throttled(int(60 - left) + 1)
    return None


def _within_transaction[T](sandbox: Sandbox, work: Callable[[], T]) -> T | Answer:
    """Run work in one durable transaction.  A refusal keeps what was written before it; a crash of ours does not."""
    try:
        with sandbox.ledger.transaction():
            try:
                return work()
            except RefusedError as refusal:
                return refusal.answer
    except Exception:
        traceback.print_exc()
        return error(500, 5000, "The sandbox vendor itself failed; see its error output.")


def _route(sandbox: Sandbox, request: Request) -> Answer:
    if adobe.speaks(request):
        return adobe.answer(sandbox, request)
    for method, pattern, endpoint in _ROUTES:
        found = pattern.fullmatch(request.path) if method == request.method else None
        if found is None:
            continue
        if endpoint not in _REPLAYED:
            return endpoint(sandbox, request, *found.groups())
        answer = contract.replayed(sandbox, request)
        if answer is None:
            try:
                answer = endpoint(sandbox, request, *found.groups())
            except RefusedError as refusal:
                answer = refusal.answer
            contract.remember_answer(sandbox, request, answer)
        return answer
    return error(404, 1000, f"There is no resource {request.method} {request.path}.")


def _before_effect(sandbox: Sandbox, request: Request, fault: Fault) -> Answer | None:
    if fault.kind == "delay":
        time.sleep(parse_duration(fault.argument))
    elif fault.kind == "drop_before_commit":
        raise DroppedError
    elif fault.kind == "late_effect":
        with sandbox.ledger.transaction():
            late.postpone(sandbox, request, parse_duration(fault.argument))
        raise DroppedError
    elif fault.kind == "hang":
        raise HungError
    elif fault.kind == "hold_before_commit":
        if not sandbox.faults.hold(fault.kind, request.method, request.path):
            raise DroppedError
    elif fault.kind == "token:invalid_grant":
        return tokens.invalid_grant()
    return instead_of_processing(fault)


def _after_effect(sandbox: Sandbox, request: Request, fault: Fault, answer: Answer) -> Answer:
    if fault.kind == "drop_after_commit":
        raise DroppedError
    if fault.kind == "hang_after_commit":
        raise HungError
    if fault.kind == "hold_after_commit" and not sandbox.faults.hold(fault.kind, request.method, request.path):
        raise DroppedError
    if fault.kind == "status_after_commit":
        return forced_status(fault)
    return answer


def _certificate(sandbox: Sandbox, request: Request) -> Answer:
    """The certificate that a receiver of webhooks fetches, without any bearer."""
    name = webhooks.OTHER if request.path == f"{_CERTIFICATE}/other" else webhooks.OWN
    return Answer(200, text=signing.certificate(sandbox, name), content_type="application/x-x509-ca-cert")


def _echo(request: Request) -> dict[str, str]:
    """The headers support staff ask for; the caller's own ids when it sent usable ones."""
    echoed = {"MS-CV": f"{uuid.uuid4().hex[:16]}.0", "MS-ServerId": "sandbox-1"}
    for name in ("MS-RequestId", "MS-CorrelationId"):
        given = request.headers.get(name.lower(), "")
        echoed[name] = given if contract.GUID.fullmatch(given) else str(uuid.uuid4())
    return echoed
