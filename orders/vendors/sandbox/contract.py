"""The rules Partner Center expects every call to keep, applied strictly.

The real vendor forgives some of these; the sandbox does not, and writes each breach into the list served at
`GET /__sandbox__/violations`, which must be empty when the portal behaves.  Only a caller's mistake is a
violation: magic values, a taken domain or an honest replay are not.
"""

import hashlib
import hmac
import json
import re
import secrets
import uuid
from typing import Any, Never
from urllib.parse import parse_qs

from .answers import Answer, RefusedError, Request, error
from .clock import iso
from .state import Sandbox

GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

TOKEN_SECONDS = 3600
REQUEST_MEMORY_SECONDS = 600
"""How long an MS-RequestId is remembered.  The real time is not documented; ten minutes is treated as typical."""

RESOURCE = "https://api.partnercenter.microsoft.com"


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


def issue_token(sandbox: Sandbox, request: Request, tenant: str) -> Answer:
    """`POST /{tenant}/oauth2/token`, client credentials only.  Entra writes the numbers as strings."""
    form = {key: values[0] for key, values in parse_qs(request.body.decode("latin-1"), keep_blank_values=True).items()}
    settings = sandbox.settings
    if tenant.lower() not in settings.tenants:
        return _entra(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
    if form.get("grant_type") != "client_credentials":
        return _entra(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    if form.get("resource") != RESOURCE:
        return _entra(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
    if not _same(form.get("client_id", ""), settings.client_id):
        return _entra(400, "unauthorized_client", 700016, "The application was not found in the directory.")
    if not _same(form.get("client_secret", ""), settings.client_secret):
        return _entra(401, "invalid_client", 7000215, "Invalid client secret provided.")
    token = "sbx." + secrets.token_urlsafe(48)
    now = sandbox.clock.now()
    sandbox.ledger.add_token(_digest(token), tenant.lower(), now + TOKEN_SECONDS)
    body = {
        "token_type": "Bearer",
        "expires_in": str(TOKEN_SECONDS),
        "ext_expires_in": str(TOKEN_SECONDS),
        "expires_on": str(int(now) + TOKEN_SECONDS),
        "not_before": str(int(now)),
        "resource": RESOURCE,
        "access_token": token,
    }
    return Answer(200, body, {"Cache-Control": "no-store"})


def invalid_grant() -> Answer:
    """What a revoked consent or an expired refresh token looks like."""
    return _entra(400, "invalid_grant", 50173, "The provided grant has expired due to it being revoked.")


def _entra(status: int, kind: str, number: int, description: str) -> Answer:
    body = {
        "error": kind,
        "error_description": f"AADSTS{number}: {description}",
        "error_codes": [number],
        "trace_id": str(uuid.uuid4()),
        "correlation_id": str(uuid.uuid4()),
    }
    return Answer(status, body)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _tenant_of_bearer(sandbox: Sandbox, request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = sandbox.ledger.token(_digest(token.strip())) if scheme.lower() == "bearer" else None
    if known is None:
        refuse(sandbox, request, "bad_bearer", 401, 800001, "Unauthorized: the bearer token is missing or not known.")
    tenant, expires = known
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
