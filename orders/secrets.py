"""What nobody may read: vendor credentials, encrypted at rest by keys of the environment, and links that let people in."""

import base64
import hashlib
import json
import logging
import re
from collections.abc import Mapping

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

LINK = re.compile(r"/(join|hooks)/[^/\s'\"?]+")


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


class HidesLinks(logging.Filter):
    """A log handler's filter: the token of a link never gets into a log, whoever logs the address."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "/join/" in text or "/hooks/" in text:
            record.msg, record.args = LINK.sub(r"/\1/…", text), ()
        return True
