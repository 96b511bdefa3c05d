"""Which line of ours a row of a vendor's order is. Partner Center keeps no reference of ours, so the items must tell.

Answers leave fields out and spell them in several ways: a field that is missing or unreadable speaks against nothing. Rows that
fit different lines alike are left unmatched, and are then no verdict on any line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orders.vendors.answers import items, text
from orders.vendors.contract import LineRequest
from orders.vendors.partner_center_values import cycle, is_same_cycle, months
from orders.vendors.values import whole

# `suspended` is documented as a status of orders and says nothing about whether they were bought.
WAITING = frozenset({"pending", "pending_review", "po_upload_complete", "unknown", "suspended"})
REVERSED = frozenset({"error", "cancelled", "po_review_rejected"})
# What an answer to our own checkout may say differently from what we asked; its rows are ours all the same.
FORGIVEN: tuple[frozenset[str], ...] = (frozenset({"cycle"}), frozenset({"cycle", "term"}), frozenset({"cycle", "term", "quantity"}))


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of a vendor's order."""

    placed: Placed
    data: dict[str, Any]

    @property
    def number(self) -> int | None:
        return whole(self.data.get("lineItemNumber"))


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An order as the vendor shows it; `data` is empty while he does not."""

    ref: str
    data: dict[str, Any]
    raw: bytes = b""

    @property
    def status(self) -> str:
        """In one spelling: the documents write spaces, the wire has underscores."""
        return re.sub(r"[\s-]+", "_", text(self.data, "status").lower())

    @property
    def rows(self) -> list[Row]:
        """All its lines, or none when they are not there or not all of them can be read."""
        found = items(self.data, "lineItems")
        return [Row(self, item) for item in found] if found and len(found) == len(self.data["lineItems"]) else []

    @property
    def reason(self) -> str:
        """Words that a failed order may carry; often there are none."""
        return next((text(self.data, key) for key in ("statusDescription", "description", "message") if self.data.get(key)), "")


def match(rows: Iterable[Row], lines: Iterable[LineRequest], *, are_ours: bool = False) -> dict[int, Row]:
    """The row of each of our line numbers. `are_ours`: every row is one of these lines, whatever it says."""
    left, open_lines, found = list(rows), list(lines), dict[int, Row]()

    def take(row: Row, line: LineRequest) -> None:
        left.remove(row)
        open_lines.remove(line)
        found[line.number] = row

    for row in list(left):
        if line := next((line for line in open_lines if _is_exact(row, line)), None):
            take(row, line)
    for forgiven in (frozenset[str](), *(FORGIVEN if are_ours else ())):
        while pair := _next_pair(left, open_lines, forgiven):
            take(*pair)
    if are_ours and len(left) == len(open_lines) == 1:
        take(left[0], open_lines[0])
    return found


def may_be(row: Row, line: LineRequest) -> bool:
    """Whether the row may be the line: nothing in it speaks against that but the cycle, which an order is told with as a whole."""
    return _differing(row, line) <= {"cycle"}


def is_clear(row: Row, lines: Iterable[LineRequest]) -> bool:
    """Whether the row names what was bought, as product and SKU, which ids of old offers do not, and in a cycle that was asked for."""
    return len(_offer(row)) > 1 and any(not _differing(row, line) for line in lines)


def _next_pair(rows: Sequence[Row], lines: Sequence[LineRequest], forgiven: frozenset[str]) -> tuple[Row, LineRequest] | None:
    """A row that fits one line alone, or lines that are all alike."""
    for row in rows:
        fitting = [line for line in lines if _differing(row, line) <= forgiven]
        if len({_what(line) for line in fitting}) == 1:
            return row, fitting[0]
    return None


def _is_exact(row: Row, line: LineRequest) -> bool:
    verdicts = _verdicts(row, line)
    return all(verdicts[name] for name in ("offer", "quantity", "term")) and verdicts["cycle"] is not False


def _differing(row: Row, line: LineRequest) -> set[str]:
    """The fields that say something else than the line."""
    return {name for name, verdict in _verdicts(row, line).items() if verdict is False}


def _verdicts(row: Row, line: LineRequest) -> dict[str, bool | None]:
    """Whether each field is the line's; None where it is not there. Of an offer's id the availability changes daily."""
    offer, quantity, term = _offer(row), whole(row.data.get("quantity")), months(row.data.get("termDuration"))
    named = cycle(row.placed.data.get("billingCycle"))
    return {
        "offer": offer[:2] == [line.product_id.casefold(), line.sku_id.casefold()] if len(offer) > 1 else None,
        "quantity": quantity == line.quantity if quantity is not None else None,
        "term": term == months(line.term) if term is not None else None,
        # "none" also stands where an order has no cycle of its own.
        "cycle": is_same_cycle(named, line.billing_cycle) if named not in {"", "none"} else None,
    }


def _offer(row: Row) -> list[str]:
    return text(row.data, "offerId").strip().casefold().split(":")


def _what(line: LineRequest) -> tuple[object, ...]:
    return line.product_id.casefold(), line.sku_id.casefold(), line.quantity, months(line.term), line.billing_cycle
