"""The login service: `POST /{tenant}/oauth2/token` for an application alone, or for an application and a person's consent."""

import hmac
import secrets
import uuid
from urllib.parse import parse_qs

from . import ledger
from .answers import Answer, Request
from .contract import APPLICATION, PERSON, violation
from .state import Sandbox

RESOURCE = "https://api.partnercenter.microsoft.com"
TOKEN_SECONDS = 3600
REFRESH_SECONDS = 90 * 86_400.0

type Form = dict[str, str]


def issue_token(sandbox: Sandbox, request: Request, tenant: str, *, born_expired: bool = False) -> Answer:
    """A bearer for this tenant.  Entra writes the numbers as strings, also those of a token that is good for nothing."""
    form = {key: values[0] for key, values in parse_qs(request.body.decode("latin-1"), keep_blank_values=True).items()}
    refused = _refused(sandbox, form, tenant)
    if refused is not None:
        return refused
    renewed: Form = {}
    if form["grant_type"] == "refresh_token":
        refused = _refused_refresh(sandbox, request, form, tenant.lower())
        if refused is not None:
            return refused
        renewed = {"refresh_token": _next_refresh_token(sandbox, form, tenant.lower())}
    now = sandbox.clock.now()
    token = (PERSON if renewed else APPLICATION) + secrets.token_urlsafe(48)
    sandbox.ledger.add_token(ledger.digest(token), tenant.lower(), ledger.BORN_EXPIRED if born_expired else now + TOKEN_SECONDS)
    body = {
        "token_type": "Bearer",
        "expires_in": str(TOKEN_SECONDS),
        "ext_expires_in": str(TOKEN_SECONDS),
        "expires_on": str(int(now) + TOKEN_SECONDS),
        "not_before": str(int(now)),
        "resource": RESOURCE,
        "access_token": token,
        **renewed,
    }
    return Answer(200, body, {"Cache-Control": "no-store"})


def invalid_grant(number: int = 50173, description: str = "The provided grant has expired due to it being revoked.") -> Answer:
    """What a revoked consent or an expired refresh token looks like."""
    return entra_error(400, "invalid_grant", number, description)


def entra_error(status: int, kind: str, number: int, description: str) -> Answer:
    """The fourth body shape, of the login service."""
    body = {
        "error": kind,
        "error_description": f"AADSTS{number}: {description}",
        "error_codes": [number],
        "trace_id": str(uuid.uuid4()),
        "correlation_id": str(uuid.uuid4()),
    }
    return Answer(status, body)


def _refused(sandbox: Sandbox, form: Form, tenant: str) -> Answer | None:
    settings = sandbox.settings
    if tenant.lower() not in settings.tenants:
        return entra_error(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
    if form.get("grant_type") not in {"client_credentials", "refresh_token"}:
        return entra_error(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    if form.get("resource") != RESOURCE:
        return entra_error(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
    if not _same(form.get("client_id", ""), settings.client_id):
        return entra_error(400, "unauthorized_client", 700016, "The application was not found in the directory.")
    if not _same(form.get("client_secret", ""), settings.client_secret):
        return entra_error(401, "invalid_client", 7000215, "Invalid client secret provided.")
    return None


def _refused_refresh(sandbox: Sandbox, request: Request, form: Form, tenant: str) -> Answer | None:
    """Refuses an unknown, old or revoked refresh token.  Using a token revokes the one it was given for."""
    given = form.get("refresh_token", "")
    now = sandbox.clock.now()
    first = sandbox.settings.refresh_token
    if first and _same(given, first):
        sandbox.ledger.add_refresh_token(_key(tenant, given), tenant, "", now + REFRESH_SECONDS)
    known = sandbox.ledger.refresh_token(_key(tenant, given))
    if known is None:
        return invalid_grant(9002313, "The refresh token is malformed or was not issued to this client.")
    _, parent, expires, revoked = known
    if revoked:
        violation(sandbox, request, "revoked_refresh_token", "A refresh token was used although a newer one had been used already.")
        return invalid_grant()
    if expires <= now:
        return invalid_grant(700082, "The refresh token has expired due to inactivity.")
    if parent:
        sandbox.ledger.revoke_refresh_token(parent)
    return None


def _next_refresh_token(sandbox: Sandbox, form: Form, tenant: str) -> str:
    token = "sbr." + secrets.token_urlsafe(48)
    expires = sandbox.clock.now() + REFRESH_SECONDS
    sandbox.ledger.add_refresh_token(_key(tenant, token), tenant, _key(tenant, form["refresh_token"]), expires)
    return token


def _key(tenant: str, token: str) -> str:
    return ledger.digest(f"{tenant}\n{token}")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
