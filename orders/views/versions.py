"""Two versions of one order: what somebody has on the screen and what a colleague saved meanwhile, side by side."""

from dataclasses import dataclass
from datetime import datetime

from orders.forms.orders import LineForm, OrderLinesForm
from orders.models import Order
from orders.models.orders import DiscountKind

COMPARED = ("customer", "reference", "recipients", "valid_until", "customer_note", "internal_note")
NOTHING = "Nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise, in words."""

    label: str
    mine: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Versions:
    """Who saved, when, and what is otherwise; empty when both are the same."""

    who: str
    at: datetime
    differences: list[Difference]


def versions(form: OrderLinesForm, order: Order) -> Versions:
    """The form as it is on the screen beside the order as it is saved. A fixed number of queries."""
    saved, latest = OrderLinesForm.of(order, ""), order.events.first()
    found = [
        Difference(str(form.head.fields[name].label or name.capitalize()), mine or NOTHING, theirs or NOTHING)
        for name in COMPARED
        if (mine := _said(form, name)) != (theirs := _said(saved, name))
    ]
    # When, says the row: of several edits in a row by one person only the first is an event.
    return Versions(latest.actor_name if latest else "", order.changed_at, found + _lines(form, saved))


def _said(form: OrderLinesForm, name: str) -> str:
    value = str(form.head[name].value() or "").strip().replace("\r\n", "\n")
    return (form.customer.name if form.customer else "") if name == "customer" else value


def _lines(mine: OrderLinesForm, theirs: OrderLinesForm) -> list[Difference]:
    """Of the same offer, what is otherwise about it; of other offers, that they are there on one side only; else their order."""
    left, right = _keyed(mine.lines), _keyed(theirs.lines)
    found = [
        Difference(_title(left.get(key) or right[key]), _words(left.get(key)), _words(right.get(key)))
        for key in [*left, *(key for key in right if key not in left)]
        if _words(left.get(key)) != _words(right.get(key))
    ]
    if not found and list(left) != list(right):
        found = [Difference("Order of items", _titles(mine.lines), _titles(theirs.lines))]
    return found


def _keyed(lines: list[LineForm]) -> dict[tuple[str, int], LineForm]:
    """By the offer; the second of the same is another line."""
    found: dict[tuple[str, int], LineForm] = {}
    for line in lines:
        code, number = str(line["offer"].value() or ""), 0
        while (code, number) in found:
            number += 1
        found[code, number] = line
    return found


def _title(line: LineForm) -> str:
    return line.chosen.title if line.chosen else "An item"


def _titles(lines: list[LineForm]) -> str:
    return ", ".join(_title(line) for line in lines)


def _words(line: LineForm | None) -> str:
    """ "120 × 1 year, monthly, 5 % off, optional"."""
    if line is None:
        return "Not in it"
    plan = dict(line.fields["plan"].widget.choices).get(str(line["plan"].value() or ""), "")
    parts = [f"{line['quantity'].value() or 0} × {plan}"]
    if discount := str(line["discount"].value() or "").strip():
        parts.append(f"{discount} off each" if line["discount_kind"].value() == DiscountKind.AMOUNT else f"{discount} % off")
    if line["is_optional"].value() in (True, "on", "True", "true"):
        parts.append("optional")
    return ", ".join(parts)
