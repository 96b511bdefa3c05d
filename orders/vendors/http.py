"""The one HTTP client to vendors: deadlines, size limits, and an honest answer to "was anything sent?"

No retries, no redirects, no proxies from the environment. httpx, because it tells a refused connection (nothing was sent)
from one that broke after the request left (anything may have happened).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

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
        self._http = httpx.Client(follow_redirects=False, trust_env=False, headers={"Accept-Encoding": "identity"})

    def close(self) -> None:
        """Let go of the connections that were kept open."""
        self._http.close()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send once. Raises NothingSent when no byte left, OutcomeUnknown when no whole answer came back."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NothingSent("Our time for this conversation was over before the call.")
        timeout = httpx.Timeout(min(READ_SECONDS, left), connect=min(CONNECT_SECONDS, left))
        try:
            with self._http.stream(method, url, headers=dict(headers), content=body, timeout=timeout) as response:
                return Answer(response.status_code, dict(response.headers), self._read(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise NothingSent(str(error) or type(error).__name__) from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"{type(error).__name__}: {error}".strip(": ")) from error

    def _read(self, response: httpx.Response) -> bytes:
        """The whole body. A per-read time-out alone never ends on a vendor that drips, so the deadline is checked here too."""
        parts: list[bytes] = []
        size = 0
        for part in response.iter_raw():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise OutcomeUnknown("The answer was larger than 1 MiB.")
            if time.monotonic() > self._deadline:
                raise OutcomeUnknown("The answer took longer than our deadline.")
            parts.append(part)
        return b"".join(parts)
