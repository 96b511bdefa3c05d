"""The one HTTP client to vendors: one deadline, size limits, and an honest answer to "was anything sent?"

No retries, no redirects, no proxies from the environment. httpx, because it tells a refused connection (nothing was sent)
from one that broke after the request left (anything may have happened).

Time-outs of single reads never end on a vendor that drips, so every read, write and connect of the socket gets what is left of
one deadline. A name is resolved once, checked, and the checked address is the one that is connected to: a name that turns
to a private address between check and use leads nowhere.
"""

from __future__ import annotations

import functools
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpcore
import httpx

from orders.vendors.answers import without_secrets, words_without_secrets
from orders.vendors.contract import Answer, NothingSent, OutcomeUnknown

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Login:
    """Our account at a vendor. `repr` shows no secret."""

    account: str  # identifies the account for cached tokens
    base_url: str
    login_url: str
    tenant: str
    client_id: str
    client_secret: str
    deadline_seconds: float = 90.0
    allow_loopback: bool = False
    # Set when the account speaks as a person who consented once, not as the application alone; each use may bring a newer one.
    refresh_token: Callable[[], str] | None = field(default=None, compare=False)
    keep_refresh_token: Callable[[str], None] | None = field(default=None, compare=False)
    mark_sent: Callable[[], None] | None = field(default=None, compare=False)  # told of every call before it leaves

    def __repr__(self) -> str:
        return f"Login({self.account!r})"


class ForbiddenAddress(ValueError):
    """An address that we do not call: not https, or a private or loopback network."""


def check_address(url: str, *, allow_loopback: bool) -> None:
    """Raises ForbiddenAddress unless the address is https, or loopback where that is allowed."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        literal = ip_address(host)
    except ValueError:
        literal = None
    if allow_loopback and ((literal and literal.is_loopback) or host == "localhost"):
        return
    if parts.scheme != "https":
        raise ForbiddenAddress("A vendor's address must begin with https://.")
    if not host or parts.username or (literal and not literal.is_global) or host == "localhost":
        raise ForbiddenAddress("A vendor's address must be a public host name.")


class Client:
    """One conversation with a vendor, ended by one deadline for all its calls together."""

    def __init__(self, login: Login) -> None:
        for url in (login.base_url, login.login_url):
            check_address(url, allow_loopback=login.allow_loopback)
        self._deadline = time.monotonic() + login.deadline_seconds
        self._mark_sent = login.mark_sent or (lambda: None)
        # What was sent and must not come back to be kept or shown.
        self._secrets = {login.client_secret}
        transport = _Transport(_Network(self._deadline, allow_loopback=login.allow_loopback))
        self._http = httpx.Client(follow_redirects=False, trust_env=False, headers={"Accept-Encoding": "identity"}, transport=transport)

    def close(self) -> None:
        """Let go of the connections that were kept open."""
        self._http.close()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send once. Raises NothingSent when no byte left, OutcomeUnknown when no whole answer came back.

        The answer is kept and shown, so no secret is left in it: vendors and proxies repeat the headers that they refuse.
        """
        self._secrets |= {value.rpartition(" ")[2] for name, value in headers.items() if name.lower() == "authorization"}
        answer = self._exchange(method, url, headers, body)
        told = {name: words_without_secrets(value, self._secrets) for name, value in answer.headers.items()}
        return Answer(answer.status, told, without_secrets(answer.body, self._secrets))

    def log_in(self, url: str, form: Mapping[str, str]) -> Answer:
        """Ask for a token. The one answer that comes as it was sent, secrets and all: it must be neither kept nor shown."""
        self._secrets |= {form[name] for name in ("client_secret", "refresh_token") if name in form}
        return self._exchange("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NothingSent("Our time for this conversation was over before the call.")
        timeout = httpx.Timeout(min(READ_SECONDS, left), connect=min(CONNECT_SECONDS, left))
        self._mark_sent()
        try:
            with self._http.stream(method, url, headers=dict(headers), content=body, timeout=timeout) as response:
                return Answer(response.status_code, dict(response.headers), self._read(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise NothingSent(str(error) or type(error).__name__) from error
        except httpx.HTTPError as error:
            # A broken answer is quoted in the error.
            words = words_without_secrets(str(error), self._secrets)
            raise OutcomeUnknown(f"{type(error).__name__}: {words}".strip(": ")) from error

    def _read(self, response: httpx.Response) -> bytes:
        """The whole body, unpacked when the vendor packed it unasked, and never more than MAX_BODY_BYTES of either."""
        parts: list[bytes] = []
        size = 0
        for part in response.iter_raw():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise OutcomeUnknown("The answer was larger than 1 MiB.")
            parts.append(part)
        body = b"".join(parts)
        return _unpacked(body) if response.headers.get("content-encoding", "").lower() in {"gzip", "deflate"} else body


def _unpacked(body: bytes) -> bytes:
    """What a packed body holds, read up to the limit and no further: a small one may unpack to gigabytes."""
    try:
        found = zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise OutcomeUnknown("The answer was packed and could not be unpacked.") from error
    if len(found) > MAX_BODY_BYTES:
        raise OutcomeUnknown("The answer was larger than 1 MiB.")
    return found


class _Transport(httpx.HTTPTransport):
    """httpx's own, over our sockets; it has no parameter for them."""

    def __init__(self, network: _Network) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=network)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Verifies certificates. Made once: reading the authorities of the system takes longer than many a call."""
    return ssl.create_default_context()


class _Network(httpcore.NetworkBackend):
    """Connects to checked addresses only, and gives every socket the deadline."""

    def __init__(self, deadline: float, *, allow_loopback: bool) -> None:
        self._deadline = deadline
        self._allow_loopback = allow_loopback
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError(f"{host} has no address.")
        for address in self._addresses(host, port):
            left = _left(self._deadline, timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(self._real.connect_tcp(address, port, left, local_address, socket_options), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("No vendor listens on a file.")

    def sleep(self, seconds: float) -> None:
        self._real.sleep(seconds)

    def _addresses(self, host: str, port: int) -> Iterable[str]:
        """Where the name leads now, without the addresses that we do not call."""
        try:
            found = dict.fromkeys(str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} was not found.") from error
        allowed = [address for address in found if self._may_call(address)]
        if not allowed:
            raise httpcore.ConnectError(f"{host} leads to an address that we do not call.")
        return allowed

    def _may_call(self, address: str) -> bool:
        parsed = ip_address(address.partition("%")[0])
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return bool(mapped.is_global and not mapped.is_multicast) or (self._allow_loopback and bool(mapped.is_loopback))


class _Stream(httpcore.NetworkStream):
    """A socket whose every operation ends by the deadline."""

    def __init__(self, real: httpcore.NetworkStream, deadline: float) -> None:
        self._real, self._deadline = real, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._real.read(max_bytes, _left(self._deadline, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._real.write(buffer, _left(self._deadline, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._real.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, timeout, httpcore.ConnectTimeout)
        return _Stream(self._real.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._real.get_extra_info(info)


def _left(deadline: float, timeout: float | None, over: type[Exception]) -> float:
    """Seconds for one operation: what was asked for, or what is left. Raises `over` when nothing is."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise over("Our time for this conversation is over.")
    return left if timeout is None else min(timeout, left)
