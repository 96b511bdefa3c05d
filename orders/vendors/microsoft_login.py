"""Bearer tokens of Microsoft Entra: as the application (client credentials), or as a person who consented once (refresh token).

Source: learn.microsoft.com, Partner Center authentication and the secure application model. An access token lives under an hour;
each use of a refresh token may bring a newer one, which replaces the old one before the access token is used. Numbers come as text.
"""

from __future__ import annotations

import time
from urllib.parse import quote

from orders.vendors.answers import access_token, login_refusal, parsed
from orders.vendors.contract import AuthBroken, NothingSent, OutcomeUnknown
from orders.vendors.http import Client, Login

RESOURCE = "https://api.partnercenter.microsoft.com"
LONGEST = 3600
# By account, in memory only; a process that ends forgets them.
TOKENS: dict[str, tuple[str, float]] = {}


def bearer(client: Client, login: Login) -> str:
    """A token, kept until shortly before its end. Raises AuthBroken, or NothingSent: the call that needed it was not sent."""
    token, until = TOKENS.get(login.account, ("", 0.0))
    return token if time.monotonic() < until else _fetch(client, login)


def forget(login: Login) -> None:
    """The vendor refused it: the next call gets a new one."""
    TOKENS.pop(login.account, None)


def _fetch(client: Client, login: Login) -> str:
    try:
        answer = client.log_in(f"{login.login_url}/{quote(login.tenant)}/oauth2/token", _form(login))
    except OutcomeUnknown as error:
        raise NothingSent(f"No token: {error}") from error
    if refused := login_refusal(answer):
        raise AuthBroken(f"The login service answered {answer.status} {refused}")
    if not (token := access_token(answer)):
        # A page, half an answer, or "not now": only the service's own no may pause the account.
        raise NothingSent(f"No token: the login service answered {answer.status}.")
    newer = parsed(answer).get("refresh_token")
    if newer and isinstance(newer, str) and login.keep_refresh_token:
        login.keep_refresh_token(newer)
    TOKENS[login.account] = (token, time.monotonic() + _lifetime(parsed(answer)))
    return token


def _form(login: Login) -> dict[str, str]:
    form = {"client_id": login.client_id, "client_secret": login.client_secret, "resource": RESOURCE}
    if login.refresh_token:
        # Read now: another worker may have been given a newer one a moment ago.
        return {"grant_type": "refresh_token", "refresh_token": login.refresh_token()} | form
    return {"grant_type": "client_credentials"} | form


def _lifetime(data: dict[str, object]) -> float:
    """Seconds that the token may be used: a minute less than it lives, and never more than an hour."""
    said = str(data.get("expires_in", "0"))
    return min(LONGEST, int(said) if said.isascii() and said.isdigit() else 0) - 60
