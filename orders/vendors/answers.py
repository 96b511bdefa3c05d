"""Reading what a vendor answered: JSON that may be broken, errors in many shapes, secrets that must not be kept.

Sources of the shapes: Partner Center REST ("Error codes", agreements, API throttling), Microsoft Entra token errors, Adobe VIP
Marketplace and Adobe's API gateway, Google APIs and CloudBlue Connect error bodies; and, because proxies and gateways answer in
a vendor's place, OData, ASP.NET, Problem Details (RFC 9457), Apigee, XML and HTML. Whatever is in none of them has no code, and
its text is kept as it came. Nothing here raises, whatever the body is.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

from orders.vendors.contract import Answer, Busy, Refusal

LONGEST_WAIT = timedelta(hours=1)
# Deeper JSON is none that we read: no vendor nests like this, and our own steps through it must come to an end.
DEEPEST = 100
# Adobe names a property alone: companyProfile.contacts[0].email
_PROPERTY = re.compile(r"[a-z]\w*(\[\d+\])?(\.\w+(\[\d+\])?)*")
# Keys that errors lie under, in small letters: Google and OData 4, OData 3, Apigee.
_WRAPPERS = ("error", "odata.error", "fault")
_CODES = ("code", "error_code", "errorcode", "faultcode", "statuscode")
# The first of these says it; the others add to it.
_WORDS = ("description", "message", "error_description", "errordescription", "errormessage", "faultstring", "title")
_MORE_WORDS = ("exceptionmessage", "detail", "errors", "additionaldetails")
# A login service's own words for "no" (RFC 6749, 5.2; Entra; Adobe IMS). "Not now" (server_error, slow_down) is none of them.
_LOGIN_REFUSED = re.compile(r"(invalid|unauthorized|unsupported)_[a-z_]{2,30}|[a-z]{2,20}_required|access_denied")


def decoded(body: bytes) -> str:
    """The body as text. UTF-8 unless zero bytes or a byte-order mark say otherwise, or it can't be; then as old servers write."""
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        if not encoding.startswith("utf-8"):
            return body.decode(encoding, "replace")
    try:
        return body.decode("cp1252")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _loaded(body: bytes) -> Any:
    """The JSON in a body, or ValueError."""
    try:
        data = json.loads(decoded(body))
    except RecursionError as error:
        raise ValueError("Nested too deep.") from error
    level = [data]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return data
    raise ValueError("Nested too deep.")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def parsed(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer. Anything else is an empty object."""
    try:
        data = _loaded(answer.body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def is_json(answer: Answer) -> bool:
    """Whether the body can be read at all; an empty, cut-off or foreign one can't."""
    try:
        _loaded(answer.body)
    except ValueError:
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
    said = decoded(answer.body)
    try:
        data = _loaded(answer.body)
    except ValueError:
        code, words = _marked_up(said)
        return Refusal(code, answer.status, words, answer.body, line)
    errors = list(_errors_in(data))
    code = next((code for error in errors if (code := _code_of(error))), "")
    words = "\n".join(dict.fromkeys(part for error in errors for part in _words_of(error)))
    if not (code or words):
        words = data if isinstance(data, str) else said if data else ""
    return Refusal(code, answer.status, words, answer.body, line, next((_field(error) for error in errors), ""))


def is_own_error(answer: Answer, dialect: str = "partner_center") -> bool:
    """Whether an error has this vendor's own shape, as documented and no other: it decides whether a no is one.

    A proxy's page has not, nor has a gateway that repeats its HTTP status as code.
    """
    data = parsed(answer)
    inner = data.get("error")
    if dialect == "partner_center" and isinstance(inner, dict) and "status" not in inner:
        data = inner
    if any(key in data for key in ("statusCode", "title", "error")) or (dialect == "adobe" and "description" in data):
        return False
    words = (data.get("message"),) if dialect == "adobe" else (data.get("description"), data.get("message"))
    return _code(data.get("code")) not in {"", str(answer.status)} and any(isinstance(word, str) for word in words)


def login_refusal(answer: Answer) -> str:
    """The error by which a login service says no to our login; empty when the answer is anything else."""
    error = parsed(answer).get("error")
    is_no = 400 <= answer.status < 500 and answer.status not in {408, 429}
    return error if is_no and isinstance(error, str) and _LOGIN_REFUSED.fullmatch(error) else ""


def access_token(answer: Answer) -> str:
    """The bearer that a login service gave out; empty when there is none that could stand in a header."""
    token = parsed(answer).get("access_token") if answer.status == 200 else None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token else ""


def _errors_in(data: Any) -> Iterator[dict[str, Any]]:
    """The objects that tell of an error, the outermost first; keys in small letters."""
    if isinstance(data, list):
        yield from (_folded(part) for part in data if isinstance(part, dict))
    if not isinstance(data, dict):
        return
    outer = _folded(data)
    wrapped = next((inner for key in _WRAPPERS if isinstance(inner := outer.get(key), dict) and inner), None)
    if wrapped is None:
        yield outer
        yield from (_folded(part) for part in items(outer, "errors"))
        return
    inner = _folded(wrapped)
    if isinstance(detail := inner.get("detail"), dict):  # Apigee
        inner = _folded(detail) | {key: value for key, value in inner.items() if key != "detail"}
    # Google's code is a word, and its number is the HTTP status.
    yield inner | ({"code": inner["status"]} if isinstance(inner.get("status"), str) else {})


def _folded(data: dict[str, Any]) -> dict[str, Any]:
    """The same with keys in small letters; one that is written so already comes before its double."""
    folded = {key.lower(): value for key, value in data.items()}
    return folded | {key: value for key, value in data.items() if key in folded}


def _code_of(error: dict[str, Any]) -> str:
    code = next((code for key in _CODES if (code := _code(error.get(key)))), "")
    said = error.get("error")
    return code or (said if isinstance(said, str) and re.fullmatch(r"[\w.-]+", said) else "")


def _code(value: Any) -> str:
    """A code as it is written in the catalogue: whole numbers without a fraction, nothing around it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if not isinstance(value, str | int) or isinstance(value, bool) else str(value).strip()


def _words_of(error: dict[str, Any]) -> Iterator[str]:
    said = error.get("error")
    if isinstance(said, str) and said != _code_of(error):
        yield said
    yield from next((parts for key in _WORDS if (parts := _strings(error.get(key)))), [])
    for key in _MORE_WORDS:
        yield from _strings(error.get(key))


def _strings(value: Any) -> list[str]:
    """What is written in a value: OData's {lang, value}, the lists of Adobe and CloudBlue, and Problem Details' {field: [words]}."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        return [part for part in value if isinstance(part, str) and part]
    if not isinstance(value, dict):
        return [] if value is None or isinstance(value, bool) else [str(value)]
    if isinstance(value.get("value"), str):
        return [value["value"]]
    return [f"{key}: {part}" for key, parts in value.items() if isinstance(parts, str | list) for part in _strings(parts)]


def _field(error: dict[str, Any]) -> str:
    """The property that the vendor named: in Partner Center's `data`, in Adobe's or in Google's details."""
    named = error.get("data")
    if isinstance(named, list) and named and isinstance(named[0], str):
        return named[0]
    violations = [violation for detail in items(error, "details") for violation in items(detail, "fieldViolations")]
    if violations:
        return text(violations[0], "field")
    first = next(iter(_strings(error.get("additionaldetails"))), "")
    if _PROPERTY.fullmatch(first):
        return first
    return first.removeprefix("Field:").partition(",")[0].strip() if first.startswith("Field:") else ""


def _marked_up(said: str) -> tuple[str, str]:
    """Code and words of a body that is no JSON: of a web page its title, of XML what its elements say, else all of it.

    No parser: XML may unfold to more than memory holds.
    """
    body = said.strip()
    if not body.startswith("<"):
        return "", said if body else ""
    if re.search(r"<(!doctype\s+)?html\b", body[:1000], re.IGNORECASE):
        return "", _element("title", body)
    code, words = _element("(?:error|fault)?code", body), _element("(?:error)?message|description|faultstring|reason", body)
    return code, words or " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", body)).split())


def _element(names: str, body: str) -> str:
    """What the first element with one of these names holds; nothing when that is elements."""
    element = rf"<(?:\w{{1,30}}:)?(?:{names})(?:\s[^<>]{{0,200}})?>(?:<!\[CDATA\[)?([^<]{{1,5000}})</"
    found = re.search(element, body, re.IGNORECASE)
    return html.unescape(found[1].removesuffix("]]>")).strip() if found else ""


def retry_after(answer: Answer, now: datetime | None = None) -> timedelta | None:
    """How long the vendor asks us to wait, in seconds or until a date; at most an hour, None when he doesn't say."""
    said = next((value.strip() for name, value in answer.headers.items() if name.lower() == "retry-after"), "")
    if said.isascii() and said.isdigit():
        # Nobody waits a million seconds: the number may be absurd, or longer than an integer should be.
        return min(LONGEST_WAIT, timedelta(seconds=int(said[:9])))
    try:
        until = parsedate_to_datetime(said)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(LONGEST_WAIT, max(timedelta(), until - (now or datetime.now(UTC))))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def busy(answer: Answer, wait: timedelta | None = None) -> Busy:
    """A busy or absent vendor: as long as he asks for, or as long as the catalogue knows."""
    return Busy(refusal_of(answer), retry_after(answer) or wait)


# --- secrets

REMOVED = "[removed]"
NOT_SHOWN = "[not shown: may hold a secret]"
# Whose values are blanked, however they are written: accessToken, access_token, newPassword.
SECRET_FIELDS = ("usercredentials", "passwordprofile", "accesstoken", "refreshtoken", "clientsecret", "password")
# A shorter one would be found in the middle of words.
SHORTEST_SECRET = 6
_TOKENS = re.compile(
    r"(?P<before>\bbearer(?:%20|[\s:=+\"'<]){1,4})"
    # "The bearer token is invalid" holds none: a plain word follows.
    r"(?!(?-i:[A-Za-z][a-z]{0,19})(?![\w~+/-]|\.\w))[\w.~+/-]+=*"
    r"|\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*",
    re.IGNORECASE | re.ASCII,
)
_NAMES = r"user[_-]?credentials|password[_-]?profile|access[_-]?token|refresh[_-]?token|client[_-]?secret|password"
# Where a text that is no JSON gives a secret's name and then the secret: quoted, as a form, as XML, or after a colon.
_NAMED = re.compile(
    rf"<(?:\w{{1,20}}:)?(?:{_NAMES})(?:\s[^<>]{{0,200}})?>"
    rf"|(?:{_NAMES})(?:\\*[\"']\s*(?:[:=]|,?\s*\bvalue)|\s*=\s*\S|\s*:\s*(?![A-Za-z]+[.,;!?]*(?:[\s\"<]|$))\S)",
    re.IGNORECASE,
)


def without_secrets(body: bytes, secrets: Iterable[str] = ()) -> bytes:
    """The body with passwords, tokens and these `secrets` blanked; one that holds none stays as it is, to the byte."""
    forms = _forms(secrets)
    said = decoded(body)
    cleaned = _cleaned(said, forms)
    try:
        data = _loaded(body)
    except ValueError:
        return body if cleaned == said else cleaned.encode("utf-8", "surrogatepass")
    blanked = _blank(data, forms)
    # A key that stands twice is read once: what was said tells as well.
    return body if cleaned == said and blanked == data else json_bytes(blanked)


def words_without_secrets(words: str, secrets: Iterable[str] = ()) -> str:
    """The same for a text."""
    return _cleaned(words, _forms(secrets))


def _forms(secrets: Iterable[str]) -> list[str]:
    """Each secret as it may be repeated to us; the longest first."""
    found = set()
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            found |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret), json.dumps(secret)[1:-1]}
    return sorted(found, key=len, reverse=True)


def _blank(value: Any, forms: list[str]) -> Any:
    if isinstance(value, dict):
        return {_cleaned(key, forms): REMOVED if _is_secret(key) else _blank(inner, forms) for key, inner in value.items()}
    if isinstance(value, list):
        return [_blank(inner, forms) for inner in value]
    return _cleaned(value, forms) if isinstance(value, str) else value


def _is_secret(key: str) -> bool:
    return re.sub(r"[^a-z]", "", key.lower()).endswith(SECRET_FIELDS)


def _cleaned(words: str, forms: list[str]) -> str:
    """The text without secrets. From a secret's name on it is cut: where the secret ends, only its writer knows."""
    found = _without_known(words, forms)
    # A name may be hidden by escapes, or by zero bytes of another encoding.
    plain = re.sub(r"\\u00([2-7][0-9a-fA-F])", lambda escape: chr(int(escape[1], 16)), words.replace("\0", ""))
    if plain != words and (bare := _without_known(plain, forms)) != plain:
        return bare
    return found


def _without_known(words: str, forms: list[str]) -> str:
    for form in forms:
        words = words.replace(form, REMOVED)
    words = _TOKENS.sub(lambda token: (token["before"] or "") + REMOVED, words)
    named = _NAMED.search(words)
    return words[: named.start()] + NOT_SHOWN if named else words
