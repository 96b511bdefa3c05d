"""What nobody may read: vendor credentials, encrypted at rest by keys of the environment, and links that let people in."""

import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Mapping

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

LINK = re.compile(r"/(join|hooks|q)/[^/\s'\"?]+")


def _cipher() -> MultiFernet:
    keys = (base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()) for key in settings.CREDENTIAL_KEYS)
    return MultiFernet([Fernet(key) for key in keys])


def seal(values: Mapping[str, str]) -> str:
    """The values as one encrypted text; the first of CREDENTIAL_KEYS encrypts."""
    return _cipher().encrypt(json.dumps(dict(values)).encode()).decode()


def unseal(sealed: str) -> dict[str, str]:
    """What seal() was given. Raises cryptography.fernet.InvalidToken when no key fits."""
    if not sealed:
        return {}
    values: dict[str, str] = json.loads(_cipher().decrypt(sealed.encode()))
    return values


# --- links of quotes: product.md section 4, public quote


def new_link_token(pk: int, salt: str) -> str:
    """The token of a quote's link: what nobody can make who has the database and not the keys."""
    return _link_token(settings.CREDENTIAL_KEYS[0], pk, salt)


def link_token(pk: int, salt: str, token_sha256: str) -> str:
    """The token again, of whichever key it was made with. Raises LookupError when that key is gone."""
    tokens = (_link_token(key, pk, salt) for key in settings.CREDENTIAL_KEYS)
    found = next((token for token in tokens if digest(token) == token_sha256), None)
    if found is None:
        raise LookupError("The key that made this link is not among CREDENTIAL_KEYS any more.")
    return found


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _link_token(key: str, pk: int, salt: str) -> str:
    made = hmac.digest(f"quote link {key}".encode(), f"{pk}:{salt}".encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


class HidesLinks(logging.Filter):
    """A log handler's filter: the token of a link never gets into a log, whoever logs the address."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "/join/" in text or "/hooks/" in text or "/q/" in text:
            record.msg, record.args = LINK.sub(r"/\1/…", text), ()
        return True
