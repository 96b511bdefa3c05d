"""The HTTP side: read a request, route it, apply faults, send the answer."""

import json
import re
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

from . import adobe, carts, catalogue, contract, customers, orders
from .answers import Answer, RefusedError, Request, error
from .clock import iso, parse_duration
from .control import PREFIX, control
from .faults import Fault, forced_status, instead_of_processing
from .state import Sandbox

LARGEST_BODY = 4 * 1024 * 1024
IDLE_SECONDS = 300

type Endpoint = Callable[..., Answer]

_TOKEN = re.compile(r"/([^/]+)/oauth2/token")
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
        ("GET", r"/v1/products/([^/]+)/skus/([^/]+)/availabilities", catalogue.get_availabilities),
        ("POST", _CUSTOMER + r"/carts", carts.create_cart),
        ("GET", _CUSTOMER + r"/carts/([^/]+)", carts.get_cart),
        ("POST", _CUSTOMER + r"/carts/([^/]+)/checkout", carts.checkout),
        ("GET", _CUSTOMER + r"/orders", orders.list_orders),
        ("GET", _CUSTOMER + r"/orders/([^/]+)", orders.get_order),
        ("GET", _CUSTOMER + r"/orders/([^/]+)/provisioningstatus", orders.order_provisioning),
        ("POST", _CUSTOMER + r"/orders/([^/]+)/attachment", orders.attach),
        ("GET", _CUSTOMER + r"/subscriptions", orders.list_subscriptions),
        ("GET", _CUSTOMER + r"/subscriptions/([^/]+)", orders.get_subscription),
        ("GET", _CUSTOMER + r"/subscriptions/([^/]+)/provisioningstatus", orders.subscription_provisioning),
    )
]
_REPLAYED = frozenset({customers.create_customer, carts.create_cart})
"""Creations that answer an MS-RequestId again with the stored first answer."""


class DroppedError(Exception):
    """Ends a request without any answer."""


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
        kind = None if fault is None else fault.kind
        if kind == "empty":
            body = b""
        elif kind == "bom":
            body = b"\xef\xbb\xbf" + body
        elif kind == "bad_json":
            body = body[:-1] + b",,"
        bodiless = request.method == "HEAD" or answer.status in {204, 304}
        sent = b"" if bodiless else body
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        if body and not bodiless:
            self.send_header("Content-Type", answer.content_type)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(sent)))
        for name, value in {**_echo(request), **answer.headers}.items():
            self.send_header(name, value)
        if kind == "truncate":
            sent = sent[: len(sent) // 2]
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(sent)

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
        refused = _within_transaction(sandbox, lambda: (adobe if adobe.speaks(request) else contract).admit(sandbox, request))
        if refused is not None:
            return refused, None
    fault = sandbox.faults.take(request.method, request.path)
    if fault is not None:
        replaced = _before_effect(sandbox, request, fault)
        if replaced is not None:
            return replaced, None
    if token is not None:
        answer = _within_transaction(sandbox, lambda: contract.issue_token(sandbox, request, token.group(1)))
    else:
        answer = _within_transaction(sandbox, lambda: _route(sandbox, request))
    if fault is not None:
        answer = _after_effect(sandbox, request, fault, answer)
    return answer, fault


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
    elif fault.kind == "hold_before_commit":
        if not sandbox.faults.hold(fault.kind, request.method, request.path):
            raise DroppedError
    elif fault.kind == "token:invalid_grant":
        return contract.invalid_grant()
    return instead_of_processing(fault)


def _after_effect(sandbox: Sandbox, request: Request, fault: Fault, answer: Answer) -> Answer:
    if fault.kind == "drop_after_commit":
        raise DroppedError
    if fault.kind == "hold_after_commit" and not sandbox.faults.hold(fault.kind, request.method, request.path):
        raise DroppedError
    if fault.kind == "status_after_commit":
        return forced_status(fault)
    return answer


def _echo(request: Request) -> dict[str, str]:
    """The headers support staff ask for; the caller's own ids when it sent usable ones."""
    echoed = {"MS-CV": f"{uuid.uuid4().hex[:16]}.0", "MS-ServerId": "sandbox-1"}
    for name in ("MS-RequestId", "MS-CorrelationId"):
        given = request.headers.get(name.lower(), "")
        echoed[name] = given if contract.GUID.fullmatch(given) else str(uuid.uuid4())
    return echoed
