"""Words as Partner Center spells them, or as it might: whatever can't be read is empty or None, and nothing here raises."""

from __future__ import annotations

import re
from typing import Any

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
