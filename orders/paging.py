"""Pages by keyset of rows that stand in the order of a text: customers by name, offers by title.

A page costs the same wherever it lies, and a row that comes or goes moves no other row over a border. The list of orders,
which stands by last change, has its own in search.py.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from django.db.models import Model, Q, QuerySet

PAGE_SIZE = 25
LONGEST_CURSOR = 2_000


def words(text: str) -> str:
    """What was typed into a search box, as it is searched for."""
    return " ".join(text.replace("\0", "").split())[:100]


@dataclass(frozen=True, slots=True)
class Page[Row: Model]:
    """One page; `next` and `previous` are cursors for the URL, empty at the ends."""

    rows: list[Row]
    next: str
    previous: str


def page_by[Row: Model](rows: QuerySet[Row], field: str, *, after: str = "", before: str = "", size: int = PAGE_SIZE) -> Page[Row]:
    """The page after or before a cursor, by the text `field` and then by id. A cursor that can't be read means the first page."""
    if at := _decode(before):
        found = list(rows.filter(_beyond(field, "lt", *at)).order_by(f"-{field}", "-id")[: size + 1])
        shown = found[:size][::-1]
        return Page(shown, _encode(shown[-1], field) if shown else "", _encode(shown[0], field) if len(found) > size else "")
    at = _decode(after)
    if at:
        rows = rows.filter(_beyond(field, "gt", *at))
    found = list(rows.order_by(field, "id")[: size + 1])
    shown = found[:size]
    return Page(shown, _encode(shown[-1], field) if len(found) > size else "", _encode(shown[0], field) if shown and at else "")


def _beyond(field: str, side: str, text: str, pk: int) -> Q:
    return Q(**{f"{field}__{side}": text}) | Q(**{field: text, f"pk__{side}": pk})


def _encode(row: Model, field: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([getattr(row, field), row.pk]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str, int] | None:
    cursor = cursor[:LONGEST_CURSOR]
    try:
        text, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        text.encode()  # lone surrogates, which JSON can spell and no database takes
        return (text, pk) if "\0" not in text and type(pk) is int and 0 < pk < 2**63 else None
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
