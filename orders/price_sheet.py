"""Reads Microsoft's licence price list as downloaded, one row at a time; knows no database.

Source of the rules: product.md section 5. Prices are for the whole term; `SkuId` may have lost its leading zeros; dates have
seven fractional digits, and the years 1753 and 9999 mean an open end. A row is right as a whole or bad: nothing is guessed.
"""

import ast
import codecs
import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from babel import Locale
from babel.numbers import list_currencies

from orders.money import TERM_LABELS, TERM_MONTHS, ImpossibleCycle, periods_in_term

COLUMNS = (
    "ChangeIndicator", "ProductTitle", "ProductId", "SkuId", "SkuTitle", "Publisher", "SkuDescription", "UnitOfMeasure", "TermDuration",
    "BillingPlan", "Market", "Currency", "UnitPrice", "PricingTierRangeMin", "PricingTierRangeMax", "EffectiveStartDate",
    "EffectiveEndDate", "Tags", "ERP Price", "Segment", "PreviousValues",
)  # fmt: skip
SEGMENTS = ("Commercial", "Education", "Charity", "Government")
CYCLES = {"Monthly": "monthly", "Annual": "annual", "Triennial": "triennial", "OneTime": "one_time", "None": "none"}
KEPT = frozenset({"", "unchanged", "add", "added", "new", "change", "changed", "update", "updated"})
REMOVED = frozenset({"delete", "deleted", "remove", "removed"})
# CLDR has names for these and nobody lives there: the European Union, the UN, pseudo-locales, outlying Oceania, unknown.
NO_MARKETS = frozenset({"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"})
MARKETS = frozenset(code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha()) - NO_MARKETS
CURRENCIES = frozenset(list_currencies())

LONGEST_LINE = 1 << 16  # bytes
LONGEST_ROW = 1 << 18  # characters, over several lines when a field is quoted
LONGEST_TITLE, LONGEST_DESCRIPTION = 200, 10_000
WHOLE_DIGITS, FRACTION_DIGITS = 10, 4  # of Price.term_cost

# What a text must not hold: C0, DEL, C1, line separators, and what turns the line around. Prose may have tabs and line breaks.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
CONTROL_IN_PROSE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What nobody sees: soft hyphens, zero-width characters, marks of direction, tags. Two titles may not differ by these alone.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e0fff]"
)
PRODUCT = re.compile(r"[A-Za-z0-9]{1,24}")
SKU = re.compile(r"[A-Za-z0-9]{1,8}")
AMOUNT = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,7})?Z")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: the line of the file (0: the file as a whole) and the column ("" when it is not one)."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.column) if part)
        return f"{place}: {self.reason}" if place else self.reason


class Unreadable(Exception):
    """Nothing of the file can be read; no row can be skipped to help it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Row:
    """One price. `cost` and `price` are for the whole term; `valid_from` None and `valid_to` None are open ends."""

    line: int
    product_id: str
    sku_id: str
    segment: str
    title: str
    description: str
    is_trial: bool
    market: str
    currency: str
    term: str
    cycle: str
    cost: Decimal
    price: Decimal
    valid_from: datetime | None
    valid_to: datetime | None
    is_removed: bool


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be imported. `sku` is the offer that it speaks of, None when not even that can be told."""

    line: int
    problems: tuple[Problem, ...]
    sku: tuple[str, str] | None


Span = tuple[datetime | None, datetime | None]  # the first instant of a price and the first after it; None is an open end


class Spans:
    """When the prices of a file hold. Of each row a number and a shared pair of dates are kept: 200,000 of them are some 20 MB."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Span, ...]] = {}

    def add(self, row: Row) -> bool:
        """False when the file has a price of the same offer, place, term and billing with this start already."""
        key, span = _span_key(row), (row.valid_from, row.valid_to)
        known = self._known.get(key, ())
        if any(begins == row.valid_from for begins, _ in known):
            return False
        self._known[key] = (*known, span) if known else _alone(*span)
        return True

    def forget_the_lonely(self) -> None:
        """Keep only those of which the file has several: from here on `end_of` is all that is asked."""
        self._known = {key: spans for key, spans in self._known.items() if len(spans) > 1}

    def end_of(self, row: Row) -> datetime | None:
        """Where the price ends: by its own word, or earlier, where those that follow it in the file take over for good.

        One that begins later and ends earlier takes over only for a while; then both ends stay, and while both hold the one
        that began last counts.
        """
        known = self._known.get(_span_key(row), ())
        later = [(start, end) for start, end in known if start and (row.valid_from is None or start > row.valid_from)]
        begins = ends = None  # of those that take over without a gap
        for start, end in sorted(later, key=lambda span: span[0]):
            if begins is None or (ends is not None and start > ends):
                begins, ends = start, end
            else:
                ends = _later_end(ends, end)
        if begins is None or _later_end(row.valid_to, ends) != ends:
            return row.valid_to
        return min(begins, row.valid_to) if row.valid_to else begins


def rows(path: Path, spans: Spans | None = None) -> Iterator[Row | BadRow]:
    """The rows of the file, in its order, each read when it is asked for. Raises Unreadable, with a sentence.

    `spans`: where to note when each price holds.
    """
    try:
        with path.open("rb") as file:
            yield from _rows(_Lines(file), spans or Spans())
    except OSError as error:
        raise Unreadable(Problem(0, "", f"The file can’t be read: {error.strerror or error}.")) from None


def normal_sku(sku: str) -> str:
    """Spreadsheets drop leading zeros: 2 is 0002, 000N stays."""
    return sku.zfill(4)


def _span_key(row: Row) -> int:
    return hash((row.product_id, row.sku_id, row.segment, row.market, row.currency, row.term, row.cycle))


@lru_cache(maxsize=512)
def _alone(begins: datetime | None, ends: datetime | None) -> tuple[Span, ...]:
    """One object for all the rows that have the same dates, as most have."""
    return ((begins, ends),)


def _later_end(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)


# --- from bytes to lines


class _TooLong(Exception):
    """A line, or a row of several lines, is longer than any real one."""


class _Lines:
    """Lines of text in constant memory, whatever the file holds. `number` is the line that was read last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.encoding, skip = _encoding(file)
        file.seek(skip)
        self._end = "\n".encode(self.encoding)
        self.number = 0
        self.is_cut = False  # the last line ended without a line break
        self._row_length = 0

    def begin_row(self) -> None:
        self._row_length = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._next_bytes()
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            self._skip_line(line)
            raise _TooLong
        self.is_cut = not line.endswith(self._end)
        try:
            text = line.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise Unreadable(_wrong_encoding(self.number, self.encoding, line[error.start])) from None
        self._row_length += len(text)
        if self._row_length > LONGEST_ROW:
            raise _TooLong
        return text

    def _next_bytes(self) -> bytes:
        """To the next line break, or a little more than a line may have."""
        if self.encoding == "utf-8":
            return self._file.readline(LONGEST_LINE + 1)
        found = bytearray()
        while len(found) <= LONGEST_LINE:
            piece = self._file.readline(LONGEST_LINE + 1)
            found += piece
            # In UTF-16 the byte 0A may be half of another character; and little endian has its 00 still to come.
            if self.encoding == "utf-16-le" and piece.endswith(b"\n"):
                found += self._file.read(1)
            if not piece or (len(found) % 2 == 0 and found.endswith(self._end)):
                break
        return bytes(found)

    def _skip_line(self, line: bytes) -> None:
        while line and not line.endswith(self._end):
            line = self._next_bytes()


def _encoding(file: BinaryIO) -> tuple[str, int]:
    """(name, length of the byte order mark). UTF-8 unless a mark, or the zeros of every other byte, say UTF-16."""
    start = file.read(64)
    if not start:
        raise Unreadable(Problem(0, "", "The file is empty."))
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise Unreadable(Problem(1, "", "The file is in UTF-32. Save it as “CSV UTF-8”."))
    for mark, name in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if start.startswith(mark):
            return name, len(mark)
    if start.startswith(b"PK"):
        raise Unreadable(Problem(1, "", "This is a ZIP or Excel file. Unpack it, or save it as “CSV UTF-8”."))
    if start.startswith(b"\x1f\x8b"):
        raise Unreadable(Problem(1, "", "This is a compressed file. Unpack it first."))
    if len(start) >= 4 and start[1::2].strip(b"\0") == b"":
        return "utf-16-le", 0
    if len(start) >= 4 and start[::2].strip(b"\0") == b"":
        return "utf-16-be", 0
    return "utf-8", 0


def _wrong_encoding(line: int, encoding: str, byte: int) -> Problem:
    if encoding != "utf-8":
        return Problem(line, "", "The file is not whole: what looks like UTF-16 ends or breaks in the middle of a character.")
    return Problem(line, "", f"The byte {byte:02X} is not UTF-8; the file may be in Windows-1252. Save it as “CSV UTF-8”.")


# --- from lines to rows


def _rows(lines: _Lines, spans: Spans) -> Iterator[Row | BadRow]:
    header = _header(lines)
    yield from header.problems()
    found = False
    for line, fields in _records(lines, header.delimiter):
        if isinstance(fields, str):
            found = True
            yield BadRow(line, (Problem(line, "", fields),), None)
        elif any(fields):
            found = True
            row = _row(line, fields, header)
            if isinstance(row, BadRow) and lines.is_cut:
                # The file ends within this row, so what else it lost nobody knows.
                yield BadRow(line, (*row.problems, Problem(line, "", "The file ends in the middle of this row.")), None)
            elif isinstance(row, Row) and not row.is_removed and not spans.add(row):
                problem = Problem(line, "", "The same offer, market, currency, term, billing and start date stand further up already.")
                yield BadRow(line, (problem,), (row.product_id, row.sku_id))
            else:
                yield row
    if not found:
        raise Unreadable(Problem(0, "", "The file has its column names and no rows."))


@dataclass(frozen=True, slots=True)
class _Header:
    """Which column stands where; `strange` are those that we don't know."""

    delimiter: str
    places: dict[str, int]
    width: int
    strange: tuple[str, ...]

    def problems(self) -> Iterator[BadRow]:
        if self.strange:
            found = tuple(Problem(1, name[:60], "This column is not known, so what it says would be lost.") for name in self.strange)
            yield BadRow(1, found, ("", ""))

    def of(self, fields: list[str], column: str) -> str:
        return fields[self.places[column]]


def _header(lines: _Lines) -> _Header:
    lines.begin_row()
    try:
        # A file that was converted with its byte order mark has two.
        line = next(lines).lstrip("\ufeff")
    except StopIteration:
        raise Unreadable(Problem(0, "", "The file is empty.")) from None
    except _TooLong:
        raise Unreadable(_not_a_list()) from None
    delimiter = max(",;\t", key=line.count)
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise Unreadable(_not_a_list()) from None
    known = {_plain(name): name for name in COLUMNS}
    if not known.keys() & {_plain(name) for name in names}:
        raise Unreadable(_not_a_list())
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        column = known.get(_plain(name))
        if column in places:
            raise Unreadable(Problem(1, column or "", "This column stands twice in the first line."))
        if column:
            places[column] = place
    if missing := [column for column in COLUMNS if column not in places]:
        raise Unreadable(Problem(1, missing[0], f"The first line lacks {'this column' if len(missing) == 1 else ', '.join(missing)}."))
    return _Header(delimiter, places, len(names), tuple(name for name in names if _plain(name) not in known))


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _not_a_list() -> Problem:
    return Problem(1, "", "This is not Microsoft’s licence price list: its first line has none of the list’s column names.")


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """(line on which it begins, fields); a reason in place of the fields when they can't be told apart."""
    while True:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.begin_row()
            line = lines.number + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except (_TooLong, csv.Error) as error:
                yield line, _why_unreadable(error)
                # The reader is inside a quoted field now; a new one begins on the next line.
                break
            yield line, fields


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, _TooLong) or "limit" in str(error):
        return "The row is longer than any real one, or a quotation mark in it is never closed."
    if "unexpected end" in str(error):
        return "The file ends within a quotation: it was cut off, or a quotation mark is never closed."
    return "A quotation mark stands where none may be, so the columns can’t be told apart."


# --- from fields to a price


class _Wrong(Exception):
    """One field is wrong; the text is the reason."""


def _row(line: int, fields: list[str], header: _Header) -> Row | BadRow:
    if len(fields) != header.width:
        problem = Problem(line, "", f"The row has {len(fields)} fields and the first line {header.width}.")
        return BadRow(line, (problem,), _sku_of(fields, header))
    return _Fields(line, fields, header).row()


def _sku_of(fields: list[str], header: _Header) -> tuple[str, str] | None:
    """The offer of a bad row, as far as it can be told."""
    try:
        product, sku = header.of(fields, "ProductId").strip(), header.of(fields, "SkuId").strip()
    except IndexError:
        return None
    return (product, normal_sku(sku)) if PRODUCT.fullmatch(product) and SKU.fullmatch(sku) else None


class _Fields:
    """The fields of one row, read one after the other; all that is wrong is collected."""

    def __init__(self, line: int, fields: list[str], header: _Header) -> None:
        self._line, self._fields, self._header = line, fields, header
        self._problems: list[Problem] = []

    def row(self) -> Row | BadRow:
        self._refuse_control_characters()
        start, end = self._read("EffectiveStartDate", _start), self._read("EffectiveEndDate", _end)
        plan, tags = self._read("BillingPlan", _cycle), self._text("Tags").split(";")
        term = self._read("TermDuration", _term)
        row = (
            self._line,
            self._read("ProductId", _product),
            self._read("SkuId", _sku),
            self._read("Segment", _segment),
            self._read("SkuTitle", _title),
            self._read("SkuDescription", _description),
            "Trial" in tags or plan == "none",
            self._read("Market", _market),
            self._read("Currency", _currency),
            term,
            plan,
            self._read("UnitPrice", _amount),
            self._read("ERP Price", _amount),
            start,
            end,
            self._read("ChangeIndicator", _is_removed),
        )
        self._refuse_tiers()
        self._read("PreviousValues", _previous)
        if start and end and end < start and not self._problems:
            self._say("EffectiveEndDate", "The price ends before it starts.")
        if term is not None and plan is not None:
            self._refuse_impossible(term, plan)
        if self._problems:
            return BadRow(self._line, tuple(self._problems), _sku_of(self._fields, self._header))
        return Row(*row)  # type: ignore[arg-type]  # None stands only where a problem was said

    def _text(self, column: str) -> str:
        return self._header.of(self._fields, column).strip()

    def _read[Value](self, column: str, read: Callable[[str], Value]) -> Value | None:
        try:
            return read(self._text(column))
        except _Wrong as wrong:
            self._say(column, str(wrong))
            return None

    def _say(self, column: str, reason: str) -> None:
        self._problems.append(Problem(self._line, column, reason))

    def _refuse_control_characters(self) -> None:
        # One look at the whole row; nearly none has any.
        if not CONTROL.search("".join(self._fields)):
            return
        for column, place in self._header.places.items():
            pattern = CONTROL_IN_PROSE if column == "SkuDescription" else CONTROL
            if found := pattern.search(self._fields[place]):
                self._say(column, f"The text holds the control character U+{ord(found[0]):04X}.")

    def _refuse_tiers(self) -> None:
        for column in ("PricingTierRangeMin", "PricingTierRangeMax"):
            if self._text(column):
                self._say(column, "The price depends on the quantity (a pricing tier). Such offers are not sold here yet.")
                return

    def _refuse_impossible(self, term: str, cycle: str) -> None:
        try:
            periods_in_term(term, cycle)
        except ImpossibleCycle:
            self._say("BillingPlan", f"{TERM_LABELS[term]} can’t be billed {self._text('BillingPlan')}.")


def _product(text: str) -> str:
    if not PRODUCT.fullmatch(text):
        raise _Wrong(f"{_quoted(text)} is no product id: 1 to 24 letters and digits.")
    return text


def _sku(text: str) -> str:
    if not SKU.fullmatch(text):
        raise _Wrong(f"{_quoted(text)} is no SKU id: 1 to 8 letters and digits.")
    return normal_sku(text)


def _segment(text: str) -> str:
    if text not in SEGMENTS:
        raise _Wrong(f"{_quoted(text)} is no segment that is sold here: {', '.join(SEGMENTS)}.")
    return text


def _title(text: str) -> str:
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise _Wrong(f"{_quoted(text)} has lost a character (U+FFFD): the file was saved in a wrong encoding.")
    text = INVISIBLE.sub("", text).strip()
    if not 1 <= len(text) <= LONGEST_TITLE:
        raise _Wrong(f"The title has {len(text)} characters, and 1 to {LONGEST_TITLE} are possible.")
    return text


def _description(text: str) -> str:
    if len(text) > LONGEST_DESCRIPTION:
        raise _Wrong(f"The description has {len(text)} characters, and up to {LONGEST_DESCRIPTION:,} are possible.")
    return text


def _market(text: str) -> str:
    if text not in MARKETS:
        raise _Wrong(f"{_quoted(text)} is no country: two capital letters, such as NL.")
    return text


def _currency(text: str) -> str:
    if text not in CURRENCIES:
        raise _Wrong(f"{_quoted(text)} is no currency: three capital letters, such as EUR.")
    return text


def _term(text: str) -> str:
    if text and text not in TERM_MONTHS:
        raise _Wrong(f"{_quoted(text)} is no term that is sold here: {', '.join(TERM_MONTHS)}, or nothing for what is paid once.")
    return text


def _cycle(text: str) -> str:
    if text not in CYCLES:
        raise _Wrong(f"{_quoted(text)} is no billing plan: {', '.join(CYCLES)}.")
    return CYCLES[text]


def _amount(text: str) -> Decimal:
    """A price for the whole term, as plain digits: no sign, no exponent, no thousands, no decimal comma."""
    found = AMOUNT.fullmatch(text)
    if not found:
        hint = " It has a decimal comma." if re.fullmatch(r"[0-9]+,[0-9]+", text) else ""
        raise _Wrong(f"{_quoted(text)} is no price: digits with a decimal point, not negative.{hint}")
    whole, fraction = found[1].lstrip("0"), (found[2] or "").rstrip("0")
    if len(whole) > WHOLE_DIGITS or len(fraction) > FRACTION_DIGITS:
        raise _Wrong(f"{_quoted(text)} has more digits than a price may: {WHOLE_DIGITS} before the point and {FRACTION_DIGITS} after it.")
    return Decimal(f"{whole or '0'}.{fraction or '0'}")


@lru_cache(maxsize=512)
def _start(text: str) -> datetime | None:
    return _instant(text)


@lru_cache(maxsize=512)
def _end(text: str) -> datetime | None:
    """The list's last second belongs to the price; our `valid_to` is the first instant that does not."""
    found = _instant(text)
    return found + timedelta(seconds=1) if found and found.second == 59 else found


def _instant(text: str) -> datetime | None:
    found = INSTANT.fullmatch(text)
    try:
        at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
    except ValueError:
        at = None
    if at is None:
        raise _Wrong(f"{_quoted(text)} is no date such as 2026-05-01T00:00:00.0000000Z.")
    if at.year in {1753, 9999}:
        return None
    if not 1990 <= at.year <= 2200:
        raise _Wrong(f"The year {at.year} can’t be right. 1753 and 9999 mean an open end.")
    return at


def _is_removed(text: str) -> bool:
    word = text.casefold()
    if word not in KEPT | REMOVED:
        raise _Wrong(f"{_quoted(text)} is no change that is known: Add, Change, Unchanged, Delete or Removed.")
    return word in REMOVED


def _previous(text: str) -> None:
    """Earlier prices, written as Python writes a dict. We keep our own history; a text cut off in the middle is a cut-off row."""
    if not text:
        return
    try:
        value = ast.literal_eval(text) if len(text) <= 1000 and text[0] == "{" else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _Wrong(f"{_quoted(text)} is not written like {{'ERP Price': '57.6', 'UnitPrice': '46.08'}}.")


def _quoted(text: str) -> str:
    """For a sentence: short, and without what a terminal or a page would act on."""
    shown = INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", CONTROL.sub("\N{REPLACEMENT CHARACTER}", text[:60]))
    return f"“{shown}{'…' if len(text) > 60 else ''}”" if text else "Nothing"
