"""Reading what a vendor answered: JSON that may be broken, errors in eight shapes, secrets that must not be kept.

Sources of the shapes: Partner Center REST ("Error codes", agreements, API throttling), Microsoft Entra token errors, Adobe VIP
Marketplace, Google APIs and CloudBlue Connect error bodies. Whatever is in none of them has no code, and its text is kept as it came.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from orders.vendors.contract import Answer, Busy, Refusal

SECRET_FIELDS = frozenset({"usercredentials", "passwordprofile", "access_token", "refresh_token", "client_secret", "password"})
LONGEST_WAIT = timedelta(hours=1)
# Adobe names a property alone: companyProfile.contacts[0].email
_PROPERTY = re.compile(r"[a-z]\w*(\[\d+\])?(\.\w+(\[\d+\])?)*")


def parsed(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer; bodies may begin with a byte-order mark. Anything else is an empty object."""
    try:
        data = json.loads(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def is_json(answer: Answer) -> bool:
    """Whether the body can be read at all; an empty, cut-off or foreign one can't."""
    try:
        json.loads(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return True


def items(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in a list; empty when there is no such list."""
    found = data.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def json_bytes(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


# --- errors


def refusal_of(answer: Answer, line: int | None = None) -> Refusal:
    """The error in an answer, whichever shape it has; its text stays as it was sent. `code` is empty where there is none."""
    data = parsed(answer)
    inner = data.get("error")
    if isinstance(inner, dict):  # Google
        code = text(inner, "status") or text(inner, "code")
        return Refusal(code, answer.status, text(inner, "message"), answer.body, line, _google_field(inner))
    if "error_code" in data:  # CloudBlue
        said = data.get("errors")
        words = "\n".join(str(part) for part in said) if isinstance(said, list) else ""
        return Refusal(text(data, "error_code"), answer.status, words, answer.body, line)
    if isinstance(inner, str):  # Entra
        return Refusal(inner, answer.status, text(data, "error_description"), answer.body, line)
    code = next((text(data, key) for key in ("code", "errorCode", "statusCode") if data.get(key) not in (None, "")), "")
    words = next((text(data, key) for key in ("description", "message", "errorDescription") if data.get(key)), "")
    if details := [part for part in data.get("additionalDetails") or [] if isinstance(part, str)]:  # Adobe
        words = "\n".join([words, *details]) if words else "\n".join(details)
    return Refusal(code, answer.status, words or _plain(answer), answer.body, line, _field(data, details))


def is_own_error(answer: Answer) -> bool:
    """Whether an error has the vendor's own shape: a JSON object with a code. A proxy's page has not."""
    return bool(refusal_of(answer).code) and "statusCode" not in parsed(answer)


def _field(data: dict[str, Any], details: list[str]) -> str:
    """The property that the vendor named: in `data`, or in Adobe's details."""
    named = data.get("data")
    if isinstance(named, list) and named and isinstance(named[0], str):
        return named[0]
    first = details[0] if details else ""
    if _PROPERTY.fullmatch(first):
        return first
    return first.removeprefix("Field:").partition(",")[0].strip() if first.startswith("Field:") else ""


def _google_field(error: dict[str, Any]) -> str:
    for detail in items(error, "details"):
        for violation in items(detail, "fieldViolations"):
            return text(violation, "field")
    return ""


def _plain(answer: Answer) -> str:
    """A short body that is neither JSON nor a web page, as text."""
    body = answer.body.decode("utf-8", errors="replace").strip()
    return "" if not body or body[0] in "<{[" or len(body) > 2000 else body


def retry_after(answer: Answer, now: datetime | None = None) -> timedelta | None:
    """How long the vendor asks us to wait, in seconds or until a date; at most an hour, None when he doesn't say."""
    said = next((value.strip() for name, value in answer.headers.items() if name.lower() == "retry-after"), "")
    if said.isascii() and said.isdigit():
        # Nobody waits a million seconds: the number may be absurd, or longer than an integer should be.
        return min(LONGEST_WAIT, timedelta(seconds=int(said[:9])))
    try:
        until = parsedate_to_datetime(said)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(LONGEST_WAIT, max(timedelta(), until - (now or datetime.now(UTC))))


def busy(answer: Answer, wait: timedelta | None = None) -> Busy:
    """A busy or absent vendor: as long as he asks for, or as long as the catalogue knows."""
    return Busy(refusal_of(answer), retry_after(answer) or wait)


# --- secrets


def without_secrets(body: bytes) -> bytes:
    """The body with passwords and tokens blanked; a body that is not JSON has none of ours and stays as it is."""
    if not any(name in body.lower() for name in (field.encode() for field in SECRET_FIELDS)):
        return body
    try:
        data = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return b"[not shown: may hold a secret]"
    return json_bytes(_blank(data))


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "[removed]" if key.lower() in SECRET_FIELDS else _blank(inner) for key, inner in value.items()}
    return [_blank(inner) for inner in value] if isinstance(value, list) else value
