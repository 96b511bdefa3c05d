"""Bearer tokens of Adobe's identity service (IMS), as the application: OAuth server-to-server credentials.

Source: developer.adobe.com, VIP Marketplace "Authentication" and IMS "Server to server". A token lives for a day; it is kept in
memory only, and an hour at most, so that a renewed secret counts soon.
"""

from __future__ import annotations

import time

from orders.vendors.answers import access_token, login_refusal, parsed
from orders.vendors.contract import AuthBroken, NothingSent, OutcomeUnknown
from orders.vendors.http import Client, Login

SCOPE = "ent_partners_sdk"
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
    form = {"grant_type": "client_credentials", "client_id": login.client_id, "client_secret": login.client_secret, "scope": SCOPE}
    try:
        answer = client.log_in(f"{login.login_url}/ims/token/v3", form)
    except OutcomeUnknown as error:
        raise NothingSent(f"No token: {error}") from error
    if refused := login_refusal(answer):
        raise AuthBroken(f"The login service answered {answer.status} {refused}")
    if not (token := access_token(answer)):
        # A page, half an answer, or "not now": only the service's own no may pause the account.
        raise NothingSent(f"No token: the login service answered {answer.status}.")
    TOKENS[login.account] = (token, time.monotonic() + _lifetime(parsed(answer)))
    return token


def _lifetime(data: dict[str, object]) -> float:
    """Seconds that the token may be used: a minute less than it lives, and never more than an hour."""
    said = str(data.get("expires_in", "0"))
    return min(LONGEST, int(said) if said.isascii() and said.isdigit() else 0) - 60
