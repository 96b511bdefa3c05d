"""What a button of the order form does to its rows without saving: add, exchange, remove and its undo, move, paste.

Rows are as typed, nothing is validated; what a button names and we do not know changes nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from orders import addons, pasting
from orders.catalogue import Place
from orders.formats import number
from orders.forms.offered import Offered
from orders.models import Offer
from orders.pasting import Known, Unknown

MAX_LINES = 50
TOO_MANY = f"An order holds at most {MAX_LINES} items. Remove one, or make a second order."
EMPTY_ROW = {"offer": "", "plan": "", "quantity": "1", "discount": "", "discount_kind": "percent", "is_optional": ""}
# What most people buy, where an offer has several.
USUAL = ("P1Y:monthly", "P1M:monthly", "P1Y:annual")
VERBS = ("add-", "replace-", "remove-line-", "undo-remove", "up-", "down-", "paste")

type Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Removed:
    """The line that Remove took away, as it was typed and where it stood, so that it can be put back."""

    at: int
    title: str
    row: Row


class RowEdits:
    """The rows, and what was done: the row to look at now, and a sentence about it or about why nothing was done."""

    def __init__(self, place: Place, data: Any, numbers: Iterable[int]) -> None:
        self.place, self.data = place, data
        self.numbers = [str(number) for number in numbers]
        self.rows = [{field: data.get(f"lines-{number}-{field}", "") for field in EMPTY_ROW} for number in self.numbers]
        self.focused: int | None = None
        self.moved = ""
        self.removed: Removed | None = None
        self.objection = self.said = ""
        self.paste: str = data.get("paste", "")[: pasting.LONGEST]
        self.unknown: list[Unknown] = []

    def apply(self, action: str) -> None:
        """`action` is "add-CODE", "replace-N-CODE", "remove-line-N", "undo-remove", "up-N", "down-N" or "paste"."""
        verb, _, rest = action.partition("-")
        verbs: dict[str, Callable[[str], None]] = {
            "add": self._add,
            "replace": self._replace,
            "remove": self._remove,
            "undo": self._undo,
            "up": lambda rest: self._move(rest, "up"),
            "down": lambda rest: self._move(rest, "down"),
            "paste": self._paste,
        }
        if verb in verbs:
            verbs[verb](rest)

    def _add(self, code: str) -> None:
        if len(self.rows) >= MAX_LINES:
            self.objection = TOO_MANY
        elif row := self._new(code):
            self.focused = len(self.rows)
            self.rows.append(row)

    def _replace(self, rest: str) -> None:
        which, _, code = rest.partition("-")
        if which in self.numbers and (row := self._new(code)):
            at = self.numbers.index(which)
            self.rows[at] = row | {"quantity": self.rows[at]["quantity"]}

    def _remove(self, rest: str) -> None:
        which = rest.removeprefix("line-")
        if which not in self.numbers:
            return
        at = self.numbers.index(which)
        row = self.rows.pop(at)
        self.removed = Removed(at, self._title(row, "the item"), row)
        # The next one, or the last where there is none.
        self.focused = min(at, len(self.rows) - 1) if self.rows else None

    def _undo(self, _: str) -> None:
        row = {field: self.data.get(f"removed_{field}", "") for field in EMPTY_ROW}
        where = self.data.get("removed_at", "")
        if len(self.rows) >= MAX_LINES:
            self.objection = TOO_MANY
        elif row["offer"] and where.isascii() and where.isdecimal():
            self.focused = min(int(where[:4]), len(self.rows))
            self.rows.insert(self.focused, row)

    def _move(self, which: str, direction: str) -> None:
        """Past the one above or below that belongs under the same base; add-ons go with theirs."""
        if which not in self.numbers:
            return
        at = self.numbers.index(which)
        beside = siblings(self._bases(), at)
        to = beside.index(at) + (-1 if direction == "up" else 1)
        if not 0 <= to < len(beside):
            return
        other = beside[to]
        self.rows[at], self.rows[other] = self.rows[other], self.rows[at]
        self.focused, self.moved = other, direction
        self.said = f"Moved {self._title(self.rows[other], 'the item')} to {to + 1} of {len(beside)}."

    def _bases(self) -> list[int | None]:
        codes = {row["offer"] for row in self.rows if "\0" not in row["offer"]}
        offers = Offer.objects.prefetch_related("bases").in_bulk(codes, field_name="code")
        found = [offers.get(row["offer"]) for row in self.rows]
        needed = [{base.pk for base in offer.bases.all()} if offer else set() for offer in found]
        return addons.base_of([offer.pk if offer else 0 for offer in found], needed)

    def _paste(self, _: str) -> None:
        """A row of its own for each that is known; the others stay in the box, each with why."""
        customer = self.place.customer
        found = pasting.find(pasting.read(self.paste), self.place, customer.segment if customer else "")
        known = [one for one in found if isinstance(one, Known)]
        room = max(MAX_LINES - len(self.rows), 0)
        fitting, too_many = known[:room], known[room:]
        plans = self._offered({one.offer.code for one in fitting})
        for one in fitting:
            row = self._row(one.offer, plans)
            self.rows.append(row | ({"quantity": str(one.quantity)} if one.quantity is not None else {}))
        self.unknown = [one for one in found if isinstance(one, Unknown)]
        self.unknown += [Unknown(one.text, TOO_MANY) for one in too_many]
        self.paste = "\n".join(one.text for one in self.unknown)
        self.said = _pasted(len(fitting), len(self.unknown))

    # --- new rows

    def _new(self, code: str) -> Row | None:
        offered = self._offered([code])
        offer = offered.offer(code)
        return self._row(offer, offered) if offer else None

    def _offered(self, codes: Iterable[str]) -> Offered:
        return Offered(self.place, codes)

    @staticmethod
    def _row(offer: Offer, offered: Offered) -> Row:
        """The plan that most people buy, and as many as must be bought at least."""
        plans = [plan for plan, _ in offered.plans(offer)]
        usual = next((plan for plan in USUAL if plan in plans), plans[0] if plans else "")
        return EMPTY_ROW | {"offer": offer.code, "plan": usual, "quantity": str(offer.min_quantity)}

    @staticmethod
    def _title(row: Row, otherwise: str) -> str:
        offer = None if "\0" in row["offer"] else Offer.objects.filter(code=row["offer"]).first()
        return offer.title if offer else otherwise


def siblings(bases: list[int | None], at: int) -> list[int]:
    """The rows that stand under the same base as this one, itself included, in their order."""
    return [index for index, base in enumerate(bases) if base == bases[at]]


def _pasted(added: int, left: int) -> str:
    if not added and not left:
        return "There is nothing in the box. Paste rows of a SKU and a quantity."
    words = f"Added {number(added)} item{'' if added == 1 else 's'}."
    if not left:
        return words
    stay = "1 row stays" if left == 1 else f"{number(left)} rows stay"
    return f"{words} {stay} in the box, with why {'it' if left == 1 else 'each'} could not be added."
