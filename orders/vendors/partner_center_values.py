"""Single values as Partner Center spells them, or as it might: whatever can't be read is empty or None, and nothing here raises."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

LONGEST_ID = 100
HIGHEST_COST = 10**9
# Dates outside are no dates of an order, and some of them no database column holds.
YEARS = range(2000, 2201)
# The documents name them in snake case; answers also have them in camel case, or as numbers.
CYCLES = {"monthly": "monthly", "annual": "annual", "triennial": "triennial", "onetime": "one_time", "none": "none"} | {
    "1": "monthly",
    "2": "annual",
    "3": "none",
    "4": "one_time",
    "5": "triennial",
}


def folded(value: object) -> str:
    """A word without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", value).casefold() if isinstance(value, str) else ""


def same_text(one: object, other: object) -> bool:
    """Whether two names, domains or addresses are the same but for case and spaces."""
    return isinstance(one, str) and isinstance(other, str) and " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def inner(data: dict[str, Any], key: str) -> dict[str, Any]:
    """The object in an object; empty when there is none."""
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def ident(value: object) -> str:
    """An id that can be stored and asked for again; empty when it is none."""
    found = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return found if isinstance(found, str) and found.strip() and len(found) <= LONGEST_ID and found.isprintable() else ""


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


def months(term: object) -> int | None:
    """The months of a term; P12M is P1Y."""
    found = re.fullmatch(r"P(\d{1,3})([MY])", term.strip().upper()) if isinstance(term, str) else None
    return int(found[1]) * (12 if found[2] == "Y" else 1) if found else None


def cycle(value: object) -> str:
    """A billing cycle in our spelling; empty when none is named."""
    return CYCLES.get(folded(str(value)), "") if isinstance(value, str | int) and not isinstance(value, bool) else ""


def is_same_cycle(one: str, other: str) -> bool:
    """What is paid once has no cycle: both words stand for it."""
    return one == other or {one, other} == {"none", "one_time"}


def instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
    if found is None or found.year not in YEARS:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
