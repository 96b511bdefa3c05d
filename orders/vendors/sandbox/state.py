"""What one running sandbox holds together: settings, ledger, clock, faults, and the list of recent calls."""

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .answers import Answer, Request
from .clock import VirtualClock
from .faults import Faults
from .ledger import Ledger

_SECRET_FIELDS = frozenset({"client_secret", "access_token", "refresh_token", "password"})
_SECRET_IN_TEXT = re.compile(r"""((?:client_secret|access_token|refresh_token|password)"?\s*[=:]\s*)("[^"]*"|[^&\s,}]*)""")
_SHOWN_BODY = 20_000
_REMOVED = "[removed]"


@dataclass
class Settings:
    """What the process was started with."""

    client_id: str
    client_secret: str
    tenants: frozenset[str]
    """Accepted partner tenants, lower case."""
    provisioning_seconds: float = 3.0
    slow_seconds: float = 60.0
    action_seconds: float = 90.0
    refresh_token: str = ""
    """The refresh token that a person's consent gave, accepted for every tenant; empty when there was no consent."""
    calls_per_minute: int = 0
    """How many calls a tenant may make in a virtual minute; 0 for any number."""
    has_account_limits: bool = False
    """Whether the limits of a Partner Center sandbox account hold: 75 customers, 5 subscriptions each, 25 licences each."""
    wants_person: bool = False
    """Whether standing and agreements are refused to an application that acts without a person's consent."""
    origin: str = ""
    """The sandbox's own address, known once it listens."""


class CallLog:
    """The last calls, in memory, with every secret removed.  It is a help for people; the ledger is the evidence."""

    def __init__(self, kept: int = 5000) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=kept)

    def begin(self, at: str, method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """Note a call when it arrives; its status stays null until it is answered."""
        shown = {name: value for name, value in headers.items() if name != "authorization"}
        entry = {
            "at": at,
            "method": method,
            "path": path,
            "status": None,
            "outcome": "open",
            "requestHeaders": shown,
            "requestBody": _readable(body),
            "responseBody": None,
        }
        with self._lock:
            self._entries.append(entry)
        return entry

    def finish(self, entry: dict[str, Any], status: int | None, outcome: str, body: Any = None) -> None:
        """Complete an entry: `answered`, `dropped` by a fault, or `caller_gone`.  The body is the one before a fault spoiled it."""
        with self._lock:
            entry.update(status=status, outcome=outcome, responseBody=_without_secrets(body))

    def entries(self) -> list[dict[str, Any]]:
        """Copies, oldest first."""
        with self._lock:
            return [dict(entry) for entry in self._entries]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


@dataclass
class Sandbox:
    """Everything a request handler needs."""

    settings: Settings
    ledger: Ledger
    clock: VirtualClock
    faults: Faults
    log: CallLog
    route: "Callable[[Sandbox, Request], Answer]" = field(default=lambda sandbox, request: Answer(503))
    """How a call that was let in gets its effect; the server sets it."""


def _readable(body: bytes) -> Any:
    """A body for the log: parsed where possible, shortened, and without secrets."""
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    try:
        return _without_secrets(json.loads(text))
    except (ValueError, RecursionError):
        return _SECRET_IN_TEXT.sub(rf"\g<1>{_REMOVED}", text)[:_SHOWN_BODY]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _REMOVED if key in _SECRET_FIELDS else _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value
