"""Encryption at rest for vendor credentials. Keys come from the environment, never from the database."""

import base64
import hashlib
import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


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
