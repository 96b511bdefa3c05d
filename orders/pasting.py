"""Rows from a spreadsheet: a SKU and how many, in either order, with tabs, semicolons, commas or spaces between columns.

Source: reference/competitors.md, feature 42.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from orders.catalogue import Place, prices_at
from orders.models import Offer

# More than an order holds: the rest is said to be too much, and pages stay quick.
MOST_ROWS = 200
LONGEST = 20_000
SKU = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.\-]{1,39})[:\-]([A-Za-z0-9]{1,20})")
# Microsoft's own lists have the product and its SKU in two columns.
PRODUCT, PART = re.compile(r"[A-Za-z0-9_.]{4,40}"), re.compile(r"[A-Za-z0-9]{4}")
WHOLE, LIKE_A_NUMBER = re.compile(r"[0-9]{1,8}"), re.compile(r"-?[0-9][0-9.,'\s]*")


@dataclass(frozen=True, slots=True)
class Pasted:
    """One row as it was pasted; `product` and `sku` are empty where it names none, `quantity` is None where it says none.

    `is_unclear`: it has a number that may mean several, such as 1.000, or words where a number is to be.
    """

    text: str
    product: str = ""
    sku: str = ""
    quantity: int | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A row that is an offer which this customer can buy."""

    text: str
    offer: Offer
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A row that is none, and why."""

    text: str
    why: str


def read(text: str) -> list[Pasted]:
    """The rows that have anything in them, at most MOST_ROWS. A heading above them is a row too: it names no SKU and is said so."""
    rows = [row.strip() for row in text[:LONGEST].splitlines()]
    return [_row(row) for row in rows if row][:MOST_ROWS]


def _row(text: str) -> Pasted:
    # What a spreadsheet or a CSV puts between columns comes first: a title may have spaces and numbers in it.
    mark = next((mark for mark in "\t;," if mark in text), None)
    cells = [cell.strip().strip('"').strip() for cell in text.split(mark)]
    cells = [cell for cell in cells if cell]
    for number, cell in enumerate(cells):
        if found := SKU.fullmatch(cell):
            return _with_quantity(text, found[1], found[2], cells[number + 1 :] + cells[:number])
    if len(cells) >= 2 and PRODUCT.fullmatch(cells[0]) and not WHOLE.fullmatch(cells[0]) and PART.fullmatch(cells[1]):
        return _with_quantity(text, cells[0], cells[1], cells[2:])
    return Pasted(text)


def _with_quantity(text: str, product: str, sku: str, others: list[str]) -> Pasted:
    """The first number of the other columns, those after the SKU first."""
    number = next((cell for cell in others if LIKE_A_NUMBER.fullmatch(cell)), None)
    if number is None:
        return Pasted(text, product, sku, is_unclear=bool(others))
    return Pasted(text, product, sku, int(number)) if WHOLE.fullmatch(number) else Pasted(text, product, sku, is_unclear=True)


def find(rows: Iterable[Pasted], place: Place, segment: str = "") -> list[Known | Unknown]:
    """Each row's offer, the one of the customer's segment where several have the SKU, or why there is none. Two queries."""
    rows = list(rows)
    named = Q()
    for product, sku in {(row.product.upper(), row.sku.upper()) for row in rows if row.product}:
        named |= Q(product_id__iexact=product, sku_id__iexact=sku)
    offers: dict[tuple[str, str], list[Offer]] = {}
    for offer in Offer.objects.for_catalogue().select_related("vendor").filter(named) if named else ():
        offers.setdefault((offer.product_id.upper(), offer.sku_id.upper()), []).append(offer)
    sold = set(
        prices_at(place).filter(offer__in=[offer.pk for found in offers.values() for offer in found]).values_list("offer", flat=True)
    )
    return [_found(row, offers.get((row.product.upper(), row.sku.upper()), []), sold, segment) for row in rows]


def _found(row: Pasted, offers: list[Offer], sold: set[int], segment: str) -> Known | Unknown:
    if not row.product:
        return Unknown(row.text, "There is no SKU in it.")
    if row.is_unclear:
        return Unknown(row.text, "Write the quantity as a whole number, without dots or commas.")
    if not offers:
        return Unknown(row.text, "The catalogue has no such SKU.")
    mine = [offer for offer in offers if not segment or offer.segment == segment]
    if not mine:
        return Unknown(row.text, f"Only for the segment {offers[0].segment}.")
    buyable = next((offer for offer in mine if offer.pk in sold), None)
    if buyable is None:
        return Unknown(row.text, "It has no price for this customer’s country and currency.")
    if row.quantity is not None and not buyable.min_quantity <= row.quantity <= buyable.max_quantity:
        return Unknown(row.text, f"Sold from {buyable.min_quantity} to {buyable.max_quantity}.")
    return Known(row.text, buyable, row.quantity)
