"""Bearer tokens of Adobe's identity service (IMS), as the application: OAuth server-to-server credentials.

Source: developer.adobe.com, VIP Marketplace "Authentication" and IMS "Server to server". A token lives for a day; it is kept in
memory only, and an hour at most, so that a renewed secret counts soon.
"""

from __future__ import annotations

import time
from urllib.parse import urlencode

from orders.vendors.answers import parsed, text
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
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = client.send("POST", f"{login.login_url}/ims/token/v3", kind, urlencode(form).encode())
    except OutcomeUnknown as error:
        raise NothingSent(f"No token: {error}") from error
    if answer.status >= 500 or answer.status in {408, 429}:
        raise NothingSent(f"No token: the login service answered {answer.status}.")
    data = parsed(answer)
    token = text(data, "access_token")
    if answer.status == 200 and not token:
        # Half an answer: nothing is wrong with the login.
        raise NothingSent("No token: the login service's answer could not be read.")
    if answer.status != 200:
        raise AuthBroken(f"The login service answered {answer.status} {text(data, 'error')}".strip())
    TOKENS[login.account] = (token, time.monotonic() + _lifetime(data))
    return token


def _lifetime(data: dict[str, object]) -> float:
    """Seconds that the token may be used: a minute less than it lives, and never more than an hour."""
    said = str(data.get("expires_in", "0"))
    return min(LONGEST, int(said) if said.isascii() and said.isdigit() else 0) - 60
