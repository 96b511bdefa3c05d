"""A quote as the customer sees it: what is frozen of it when it is sent, and the words that page, mail and PDF show.

`freeze` makes the document of a revision: no cost, no margin, no internal note ever enters it. `sheet` turns a document into
words and figures, written the seller's way; page and PDF print the same sheet, so that they can't differ.
Source: product.md section 4, public quote; section 5, money.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from orders import addons, clock, contacts, formats, money
from orders.models import Order, OrderLine
from orders.money import CYCLE_LABELS, PER_LABELS, TERM_LABELS

SCHEMA = 1
Document = dict[str, Any]


# --- freezing


def freeze(order: Order, revision: int) -> Document:
    """The document of a revision; everything in it is text, numbers and lists, so that it is the same for ever."""
    seller, customer = order.seller, order.customer
    return {
        "schema": SCHEMA,
        "number": order.number,
        "revision": revision,
        "sent_on": clock.now().astimezone(ZoneInfo(seller.time_zone)).date().isoformat(),
        "seller": {"name": seller.name, "language": seller.language, "zone": seller.time_zone, "colour": seller.colour},
        "customer": {
            "name": customer.name,
            "contact": f"{customer.contact_first_name} {customer.contact_last_name}".strip(),
            "address": contacts.address_lines(
                country=customer.country,
                street=[customer.address_line1, customer.address_line2],
                city=customer.city,
                state=customer.state,
                postal_code=customer.postal_code,
            ),
            "tax_note": customer.tax_note,
        },
        "currency": order.currency,
        "reference": order.reference,
        "note": order.customer_note,
        "terms": seller.terms,
        "lines": [_frozen(line) for line in _each_under_its_base(order)],
    }


def _each_under_its_base(order: Order) -> list[OrderLine]:
    lines = list(order.lines.select_related("offer__vendor"))
    at = {line.position: index for index, line in enumerate(lines)}
    return [lines[index] for index in addons.in_order([at.get(line.base_position or 0) for line in lines])]


def _frozen(line: OrderLine) -> dict[str, Any]:
    return {
        "position": line.position,
        "base": line.base_position,
        "title": line.title,
        "code": line.offer.code,
        "sku": line.offer.sku,
        "vendor": line.offer.vendor.name,
        "quantity": line.quantity,
        "term": line.term,
        "cycle": line.billing_cycle,
        "list_price": str(line.list_unit_price),
        "discount": str(line.discount_value.normalize()) if line.discount else "",
        "discount_is_percent": line.discount.is_percent,
        "unit_price": str(line.unit_price),
        "amount": str(line.amount),
        "discount_amount": str(line.discount_amount),
        "tax_rate": str(line.tax_rate.normalize()),
        "tax": str(line.tax),
        "is_optional": line.is_optional,
    }


# --- showing


@dataclass(frozen=True, slots=True)
class Row:
    """One line in words. `is_chosen`: it counts in the totals."""

    position: int
    title: str
    plan: str
    sku: str
    vendor: str
    quantity: str
    price: str
    per: str
    discount: str
    amount: str
    is_optional: bool
    is_chosen: bool
    base: int | None


@dataclass(frozen=True, slots=True)
class Sum:
    """One row of the totals."""

    label: str
    amount: str
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that page and PDF print of a quote, as words."""

    number: str
    revision: str
    seller: str
    language: str
    colour: str
    customer: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    note: str
    rows: tuple[Row, ...]
    sums: tuple[Sum, ...]
    tax_note: str
    terms: str

    @property
    def title(self) -> str:
        return f"Quote {self.number}"

    @property
    def has_options(self) -> bool:
        return any(row.is_optional for row in self.rows)


def sheet(document: Document, valid_until: date, chosen: Collection[int] = ()) -> Sheet:
    """The document in words, with the optional lines `chosen` summed up too. Raises ImpossibleChoice for what can't be chosen."""
    counted = [line for line in document["lines"] if not line["is_optional"]] + chosen_lines(document, chosen)
    positions = {line["position"] for line in counted}
    with formats.using(document["seller"]["language"]):
        return Sheet(
            number=document["number"],
            revision=f"Revision {document['revision']}",
            seller=document["seller"]["name"],
            language=document["seller"]["language"],
            colour=document["seller"]["colour"],
            customer=(document["customer"]["name"], document["customer"]["contact"], *document["customer"]["address"]),
            facts=_facts(document, valid_until),
            note=document["note"],
            rows=tuple(_row(line, document["currency"], is_chosen=line["position"] in positions) for line in document["lines"]),
            sums=_sums(totals(document, chosen), counted),
            tax_note=_tax_note(document, counted),
            terms=document["terms"],
        )


class ImpossibleChoice(Exception):
    """A choice of optional lines that the quote does not offer. The text is a sentence."""


def chosen_lines(document: Document, chosen: Collection[int]) -> list[dict[str, Any]]:
    """The optional lines at these positions. Raises ImpossibleChoice, also for an add-on without what it belongs under."""
    optional = {line["position"]: line for line in document["lines"] if line["is_optional"]}
    if unknown := set(chosen) - set(optional):
        raise ImpossibleChoice(f"There is no optional item {min(unknown)} on this quote.")
    found = [optional[position] for position in sorted(set(chosen))]
    for line in found:
        if line["base"] in optional and line["base"] not in chosen:
            raise ImpossibleChoice(f"{line['title']} can only be chosen together with {optional[line['base']]['title']}.")
    return found


def totals(document: Document, chosen: Collection[int] = ()) -> money.Totals:
    """What the firm lines and the chosen ones cost together."""
    counted = [line for line in document["lines"] if not line["is_optional"]] + chosen_lines(document, chosen)
    priced = (
        money.PricedLine(line["cycle"], Decimal(line["amount"]), Decimal(line["tax"]), Decimal(line["discount_amount"])) for line in counted
    )
    return money.totals(priced, document["currency"])


def _facts(document: Document, valid_until: date) -> tuple[tuple[str, str], ...]:
    sent_on = formats.day(date.fromisoformat(document["sent_on"]), with_year=True)
    found = [("Date", sent_on), ("Valid until", formats.day(valid_until, with_year=True)), ("Currency", document["currency"])]
    if document["reference"]:
        found.append(("Your reference", document["reference"]))
    return tuple(found)


def _row(line: dict[str, Any], currency: str, *, is_chosen: bool) -> Row:
    return Row(
        position=line["position"],
        title=line["title"],
        plan=f"{TERM_LABELS[line['term']]}, {CYCLE_LABELS[line['cycle']]}",
        sku=line["sku"],
        vendor=line["vendor"],
        quantity=formats.number(line["quantity"]),
        price=formats.money(Decimal(line["unit_price"]), currency),
        per=PER_LABELS[line["cycle"]],
        discount=formats.discount(
            Decimal(line["discount"] or 0), Decimal(line["list_price"]), currency, is_percent=line["discount_is_percent"]
        ),
        amount=formats.money(Decimal(line["amount"]), currency),
        is_optional=line["is_optional"],
        is_chosen=is_chosen,
        base=line["base"],
    )


def _sums(found: money.Totals, counted: Sequence[dict[str, Any]]) -> tuple[Sum, ...]:
    def of(label: str, amount: Decimal, *, is_strong: bool = False) -> Sum:
        return Sum(label, formats.money(amount, found.currency), is_strong)

    rows = [of("Due on acceptance", found.due_now)]
    rows += [of(f"Then {words}", amount) for words, amount in _recurring(found) if amount]
    if found.discount:
        rows.append(of("Discount included", found.discount))
    rows.append(of(_tax_label(counted), found.tax_now))
    return (*rows, of("First payment", found.first_payment, is_strong=True))


def _recurring(found: money.Totals) -> list[tuple[str, Decimal]]:
    return [("every month", found.per_month), ("every year", found.per_year), ("every 3 years", found.per_three_years)]


def _rates(counted: Sequence[dict[str, Any]]) -> list[Decimal]:
    return sorted({Decimal(line["tax_rate"]) for line in counted})


def _tax_label(counted: Sequence[dict[str, Any]]) -> str:
    rates = _rates(counted)
    return f"Tax {formats.number(rates[0])}{formats.NO_BREAK}%" if len(rates) == 1 else "Tax"


def _tax_note(document: Document, counted: Sequence[dict[str, Any]]) -> str:
    """Why nothing is charged, where nothing is (product.md section 5: 0 with a printed reason)."""
    return document["customer"]["tax_note"] or "No tax is charged on this quote." if _rates(counted) == [Decimal(0)] else ""


# --- comparing


@dataclass(frozen=True, slots=True)
class Changes:
    """What a revision has otherwise than the one before, in sentences."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changes(before: Document, after: Document) -> Changes:
    """Lines added, removed and changed, and other texts. A line is the same as long as its offer, term and billing are."""
    old, new = _keyed(before), _keyed(after)
    changed = [words for key in new if key in old for words in _differences(old[key], new[key], after["currency"])]
    for name, label in (("note", "Note"), ("terms", "Terms"), ("reference", "Reference")):
        if before[name] != after[name]:
            changed.append(f"{label} changed")
    return Changes(
        tuple(_named(line) for key, line in new.items() if key not in old),
        tuple(_named(line) for key, line in old.items() if key not in new),
        tuple(changed),
    )


def _keyed(document: Document) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """Lines by what they are; the second of the same is another one."""
    found: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for line in document["lines"]:
        number = 0
        while (key := (line["code"], line["term"], line["cycle"], number)) in found:
            number += 1
        found[key] = line
    return found


def _named(line: dict[str, Any]) -> str:
    return f"{line['title']} × {formats.number(line['quantity'])}"


def _differences(old: dict[str, Any], new: dict[str, Any], currency: str) -> list[str]:
    found = []
    if old["quantity"] != new["quantity"]:
        found.append(f"{new['title']}: {formats.number(old['quantity'])} → {formats.number(new['quantity'])}")
    if old["unit_price"] != new["unit_price"]:
        prices = [formats.money(Decimal(line["unit_price"]), currency) for line in (old, new)]
        found.append(f"{new['title']}: {prices[0]} → {prices[1]} {PER_LABELS[new['cycle']]}")
    if old["is_optional"] != new["is_optional"]:
        found.append(f"{new['title']}: {'now optional' if new['is_optional'] else 'no longer optional'}")
    return found
