"""Faults on demand: what can go wrong between a committed effect and a caller that hears about it.

A rule is `{"match": {"method": "POST", "path": "*/checkout"}, "action": "...", "times": 1, "after": 0}`: it skips the
first `after` matching calls, then acts on the next `times` (null: until deleted).  The path pattern is a shell
pattern over the path without the query.  Rules never apply to the control API.
"""

import re
import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .answers import SHAPES, Answer, error, html, shaped, throttled
from .clock import parse_duration

HOLD_SECONDS = 120.0
LONGEST_DELAY = 300.0
MOST_BYTES = 512 * 1024 * 1024

PLAIN_ACTIONS = {
    "hold_before_commit": "Keep the call open; when released (or after 120 s) process and answer it.",
    "hold_after_commit": "Process the call durably, then keep it open; when released (or after 120 s) answer it.",
    "drop_before_commit": "Reset the connection; nothing happened.",
    "drop_after_commit": "Process the call durably, then reset the connection without an answer.",
    "truncate": "Process the call durably, then send half of the answer and close.",
    "empty": "Process the call durably, then send its status with an empty body.",
    "bom": "Process the call durably, then answer with a byte order mark before the JSON.",
    "bad_json": "Process the call durably, then answer with JSON that does not parse.",
    "html502": "Answer 502 with a web page; nothing happened.",
    "nul": "Answer 400 code 3000 with U+0000 and a lone surrogate in the description; nothing happened.",
    "lone_surrogate": "Answer 400 code 3000 with a lone surrogate in the description; nothing happened.",
    "hang": "Never answer; nothing happened. The call stays open until the caller leaves.",
    "hang_after_commit": "Process the call durably, then never answer.",
    "wrong_content_type": "Process the call durably, then answer JSON that says it is text/plain.",
    "huge": "Process the call durably, then answer with 10 MiB: the answer and blanks.",
    "gzip_bomb": "Process the call durably, then answer gzip, whatever was asked for, that unpacks to 128 MiB.",
    "token:invalid_grant": "The token endpoint answers 400 invalid_grant; nothing happened.",
    "token:expired_early": "The token endpoint gives a token that is refused as expired at its first use.",
    "dup_event": "Deliver the next event twice.",
    "event_out_of_order": "Deliver the next event after the one that follows it.",
    "event_bad_signature": "Deliver the next event with a signature that does not fit.",
}

EVENT_ACTIONS = frozenset({"dup_event", "event_out_of_order", "event_bad_signature"})
"""They act on events that the vendor sends, and their path is matched against the event's ResourceUri."""

ACTIONS_WITH_ARGUMENT = {
    "status:NNN": "Answer this HTTP status with the usual error body; nothing happened.",
    "status_after_commit:NNN": "Process the call durably, then answer this HTTP status with the usual error body.",
    "code:HTTP/CODE": "Answer this HTTP status and vendor code; nothing happened.",
    "429:SECONDS": "Answer 429 with this Retry-After; nothing happened.",
    "delay:PT5S": "Wait this long (at most 300 s), then process and answer as usual.",
    "late_effect:PT30S": "Reset the connection at once; the call has its effect so much virtual time later.",
    "drip:SECONDS": "Process the call durably, then send the answer's body one byte at a time, so far apart.",
    "drip_headers:SECONDS": "Process the call durably, then send all of the answer one byte at a time, its headers too.",
    "huge:BYTES": "Process the call durably, then answer with so many bytes: the answer and blanks.",
    "gzip_bomb:BYTES": "Process the call durably, then answer gzip that unpacks to so many bytes.",
    "redirect:URL": "Answer 302 to this address, for example http://169.254.169.254/; nothing happened.",
    "shape:N:HTTP/CODE": "Answer this HTTP status and code in body shape N; nothing happened."
    " 1 Partner Center, 2 its customer service, 3 gateway, 4 login service, 5 web page, 6 Adobe, 7 Google, 8 CloudBlue.",
    "text:SOMETHING": "Answer 400 code 3000 with SOMETHING as description; nothing happened.",
}


@dataclass
class Fault:
    """One rule and how often it has matched and acted."""

    number: int
    method: str
    path: str
    action: str
    times: int | None
    after: int
    matched: int = 0
    acted: int = 0

    @property
    def kind(self) -> str:
        """The action without its argument."""
        return self.action if self.action in PLAIN_ACTIONS else self.action.partition(":")[0]

    @property
    def argument(self) -> str:
        return self.action.partition(":")[2]

    def shown(self) -> dict[str, Any]:
        """The rule as the control API shows it."""
        return {
            "number": self.number,
            "match": {"method": self.method, "path": self.path},
            "action": self.action,
            "times": self.times,
            "after": self.after,
            "matched": self.matched,
            "acted": self.acted,
        }


def parse_fault(number: int, rule: Any) -> Fault:
    """A checked rule, or ValueError with a sentence that says what is wrong."""
    if not isinstance(rule, dict) or not isinstance(rule.get("action"), str):
        raise ValueError("A fault is an object with an action.")
    action = rule["action"]
    match = rule.get("match", {})
    if not isinstance(match, dict) or not all(isinstance(match.get(key, ""), str) for key in ("method", "path")):
        raise ValueError("match is an object with the strings method and path.")
    times, after = rule.get("times", 1), rule.get("after", 0)
    if (times is not None and (type(times) is not int or times < 1)) or type(after) is not int or after < 0:
        raise ValueError("times is a whole number from 1 or null; after is a whole number from 0.")
    _check_action(action)
    default_path = "*/oauth2/token" if action.startswith("token:") else "*"
    return Fault(number, match.get("method", "*").upper(), match.get("path", default_path), action, times, after)


def _check_action(action: str) -> None:
    kind, _, argument = action.partition(":")
    if action in PLAIN_ACTIONS or kind == "text":
        return
    if kind in {"status", "status_after_commit"} and argument.isdecimal() and 200 <= int(argument) <= 599:
        return
    if kind == "code":
        status, _, code = argument.partition("/")
        if status.isdecimal() and 200 <= int(status) <= 599 and code.isdecimal():
            return
    if kind == "429" and argument.isdecimal():
        return
    if kind == "shape":
        shape, _, answer = argument.partition(":")
        status, _, code = answer.partition("/")
        if shape.isdecimal() and int(shape) in SHAPES and status.isdecimal() and 200 <= int(status) <= 599 and code:
            return
    if kind in {"huge", "gzip_bomb"} and argument.isdecimal() and int(argument) <= MOST_BYTES:
        return
    if kind in {"drip", "drip_headers"} and re.fullmatch(r"\d+(\.\d+)?", argument):
        return
    if kind == "redirect" and argument.isprintable() and argument.isascii() and argument:
        return
    if kind == "late_effect":
        parse_duration(argument)
        return
    if kind == "delay":
        if parse_duration(argument) > LONGEST_DELAY:
            raise ValueError("A delay is at most 300 seconds.")
        return
    known = ", ".join([*PLAIN_ACTIONS, *ACTIONS_WITH_ARGUMENT])
    raise ValueError(f"{action!r} is not a known action. Known: {known}.")


def instead_of_processing(fault: Fault) -> Answer | None:
    """The answer of a fault that replaces the whole call, or None for the other kinds."""
    match fault.kind:
        case "status":
            return forced_status(fault)
        case "code":
            status, _, code = fault.argument.partition("/")
            return error(int(status), int(code), "This answer was asked for by a fault rule.")
        case "429":
            return throttled(int(fault.argument))
        case "html502":
            return html(502, "Bad Gateway")
        case "text":
            return error(400, 3000, fault.argument)
        case "nul":
            return error(400, 3000, "before\u0000after \ud800 end")
        case "lone_surrogate":
            return error(400, 3000, "before \udfff after")
        case "redirect":
            return Answer(302, headers={"Location": fault.argument})
        case "shape":
            shape, _, asked = fault.argument.partition(":")
            status, _, code = asked.partition("/")
            return shaped(int(shape), int(status), code, "This answer was asked for by a fault rule.")
    return None


def forced_status(fault: Fault) -> Answer:
    """The error body for a bare status."""
    status = int(fault.argument)
    if status == 429:
        return throttled(1)
    return error(status, status, "This status was asked for by a fault rule.")


def _first(rules: list[Fault], path: str) -> Fault | None:
    for fault in rules:
        if not fnmatchcase(path, fault.path):
            continue
        fault.matched += 1
        if fault.matched > fault.after and (fault.times is None or fault.acted < fault.times):
            fault.acted += 1
            return fault
    return None


class Faults:
    """The rules in force and the calls that are being held open."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rules: list[Fault] = []
        self._next_number = 1
        self._held: list[dict[str, Any]] = []
        self._releases = 0
        self._abandons = 0

    def add(self, rule: Any) -> Fault:
        with self._changed:
            fault = parse_fault(self._next_number, rule)
            self._next_number += 1
            self._rules.append(fault)
            return fault

    def take(self, method: str, path: str) -> Fault | None:
        """The first rule that acts on this call; every matching rule before it counts the call."""
        with self._changed:
            calls = [fault for fault in self._rules if fault.kind not in EVENT_ACTIONS and fault.method in {"*", "", method}]
            return _first(calls, path)

    def take_event(self, resource_uri: str) -> Fault | None:
        """The first rule that acts on an event about this resource."""
        with self._changed:
            return _first([fault for fault in self._rules if fault.kind in EVENT_ACTIONS], resource_uri)

    def shown(self) -> dict[str, Any]:
        with self._changed:
            holding = [dict(held) for held in self._held]
            return {"faults": [fault.shown() for fault in self._rules], "held": len(holding), "holding": holding}

    def delete_all(self) -> int:
        """Remove the rules; calls already held stay held until released."""
        with self._changed:
            count = len(self._rules)
            self._rules.clear()
            return count

    def hold(self, where: str, method: str, path: str) -> bool:
        """Block until released.  False means the sandbox was reset meanwhile and the call must vanish."""
        held = {"where": where, "method": method, "path": path}
        deadline = time.monotonic() + HOLD_SECONDS
        with self._changed:
            releases, abandons = self._releases, self._abandons
            self._held.append(held)
            while self._releases == releases and self._abandons == abandons and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            # By identity: two held calls may look the same.
            self._held = [other for other in self._held if other is not held]
            return self._abandons == abandons

    def is_abandoned(self, since: int) -> bool:
        """Whether the sandbox was reset after `abandons` was this."""
        return self._abandons != since

    @property
    def abandons(self) -> int:
        return self._abandons

    def release(self) -> int:
        """Let every held call go on; returns how many there were."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()
            return len(self._held)

    def reset(self) -> None:
        """Remove the rules and make held calls vanish, so that none of them writes into the emptied ledger."""
        with self._changed:
            self._rules.clear()
            self._abandons += 1
            self._changed.notify_all()
