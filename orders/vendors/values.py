"""Single values of a vendor's answer: whatever can't be read is empty or None, and nothing here raises."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

HIGHEST_COST = 10**9
# Dates outside are no dates of an order, and some of them no database column holds.
YEARS = range(2000, 2201)


def ident(value: object) -> str:
    """An id that can be stored, and asked for again as a part of an address; empty when it is none."""
    found = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(found, str) or not re.fullmatch(r"[^\s/\\?#%]{1,100}", found):
        return ""
    return found if found.isprintable() and found.strip(".") else ""


def printable(words: str) -> str:
    """The vendor's words with U+FFFD for what no column and no page can show."""
    return "".join(char if char.isprintable() else "\ufffd" for char in words)


def whole(value: object) -> int | None:
    """A whole number, also one that came as text."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) <= 10 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < HIGHEST_COST else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def cost(value: object) -> Decimal | None:
    """A price of one seat; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < HIGHEST_COST:
        # Not a number compares as false, too.
        return None
    return Decimal(str(value))


def instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
    if found is None or found.year not in YEARS:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
