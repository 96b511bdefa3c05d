"""The rules Partner Center expects every call to keep, applied strictly.

The real vendor forgives some of these; the sandbox does not, and writes each breach into the list served at
`GET /__sandbox__/violations`, which must be empty when the portal behaves.  Only a caller's mistake is a
violation: magic values, a taken domain or an honest replay are not.
"""

import hashlib
import json
import re
from typing import Any, Never

from . import ledger
from .answers import Answer, RefusedError, Request, error
from .clock import iso
from .state import Sandbox

GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

APPLICATION, PERSON = "sbx.", "sbp."
"""How tokens begin: of an application alone, and of one that acts with a person's consent."""

REQUEST_MEMORY_SECONDS = 600
"""How long an MS-RequestId is remembered.  The real time is not documented; ten minutes is treated as typical."""


def violation(sandbox: Sandbox, request: Request, kind: str, detail: str) -> None:
    """Record that the caller broke the contract."""
    sandbox.ledger.add_violation(
        {
            "at": iso(sandbox.clock.now()),
            "kind": kind,
            "detail": detail,
            "method": request.method,
            "path": request.path,
            "tenant": request.tenant,
            "requestId": request.headers.get("ms-requestid", ""),
            "correlationId": request.headers.get("ms-correlationid", ""),
        }
    )


def refuse(sandbox: Sandbox, request: Request, kind: str, status: int, code: int, description: str, data: list[str] | None = None) -> Never:
    """Record a violation and refuse the call because of it."""
    violation(sandbox, request, kind, description)
    raise RefusedError(error(status, code, description, data))


def read_json(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    """The JSON object in the body, or a refusal."""
    try:
        body = json.loads(request.body.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        refuse(sandbox, request, "bad_json", 400, 800002, "The request body is not a JSON object.")
    return body


def admit(sandbox: Sandbox, request: Request) -> None:
    """Check bearer, GUID headers and request identity, in that order.  Runs before any injected fault.

    A call whose answer is then lost must already count: reusing its correlation id afterwards is a mistake too.
    """
    request.tenant = _tenant_of_bearer(sandbox, request)
    _check_correlation(sandbox, request)
    if request.is_write:
        _check_request_id(sandbox, request)


def refuse_application(sandbox: Sandbox, request: Request) -> None:
    """Some resources are for a person only; the vendor then refuses what the application does on its own."""
    bearer = request.headers.get("authorization", "").partition(" ")[2].strip()
    if sandbox.settings.wants_person and not bearer.startswith(PERSON):
        raise RefusedError(error(403, 900329, "App-only authentication is not accepted here."))


def replayed(sandbox: Sandbox, request: Request) -> Answer | None:
    """The stored first answer to this MS-RequestId, if it is still remembered."""
    known = sandbox.ledger.request(request.tenant, request.request_id, sandbox.clock.now())
    if known is None or known[1] is None:
        return None
    return Answer(**known[1])


def remember_answer(sandbox: Sandbox, request: Request, answer: Answer) -> None:
    """Keep a final answer for replays.  A 429 or 5xx means "not processed", so the same id must be able to work later."""
    if answer.status == 429 or answer.status >= 500:
        return
    sandbox.ledger.store_answer(
        request.tenant, request.request_id, {"status": answer.status, "body": answer.body, "headers": answer.headers, "text": answer.text}
    )


def _tenant_of_bearer(sandbox: Sandbox, request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = sandbox.ledger.token(ledger.digest(token.strip())) if scheme.lower() == "bearer" else None
    if known is None:
        refuse(sandbox, request, "bad_bearer", 401, 800001, "Unauthorized: the bearer token is missing or not known.")
    tenant, expires = known
    if expires == ledger.BORN_EXPIRED:
        # A fault made it so: the caller could not know.
        raise RefusedError(error(401, 800001, "Unauthorized: the bearer token has expired."))
    if expires <= sandbox.clock.now():
        request.tenant = tenant
        refuse(sandbox, request, "expired_token", 401, 800001, "Unauthorized: the bearer token has expired.")
    return tenant


def _check_correlation(sandbox: Sandbox, request: Request) -> None:
    given = request.headers.get("ms-correlationid", "")
    if GUID.fullmatch(given) is None:
        if request.is_write:
            refuse(sandbox, request, "missing_header", 400, 800002, "MS-CorrelationId is missing or is not a GUID.")
        return
    request.correlation_id = given
    if not sandbox.ledger.first_use_of_correlation(given):
        refuse(sandbox, request, "correlation_reused", 400, 800002, "MS-CorrelationId was already used by another call.")


def _check_request_id(sandbox: Sandbox, request: Request) -> None:
    given = request.headers.get("ms-requestid", "")
    if GUID.fullmatch(given) is None:
        refuse(sandbox, request, "missing_header", 400, 800002, "MS-RequestId is missing or is not a GUID.")
    request.request_id = given.lower()
    fingerprint = hashlib.sha256(f"{request.method} {request.path}\n".encode("utf-8", "surrogatepass") + request.body).hexdigest()
    now = sandbox.clock.now()
    known = sandbox.ledger.request(request.tenant, request.request_id, now)
    if known is None:
        sandbox.ledger.remember_request(request.tenant, request.request_id, fingerprint, now + REQUEST_MEMORY_SECONDS)
    elif known[0] != fingerprint:
        refuse(sandbox, request, "request_id_reused", 400, 800002, "MS-RequestId was already used by a different request.")
