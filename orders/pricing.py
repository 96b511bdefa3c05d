"""Price lists: importing one, and what its prices mean for a customer and for an order.

An import reads the file twice. The first reading validates and touches no table. The second writes batches under a list that
is `writing`, each batch its own short transaction; nothing of it shows until one UPDATE makes the list current. A crash leaves
a list that shows nothing, and the next import undoes it first.
"""

import gc
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from orders import clock
from orders.catalogue import listed_for
from orders.contacts import country_name
from orders.models import Customer, Offer, Order, OrderLine, Price, PriceList, User, Vendor
from orders.money import unit_price
from orders.price_sheet import BadRow, Problem, Row, Unreadable, rows
from orders.wake import wake

log = logging.getLogger(__name__)
# At most so many rows are one transaction, and fewer where that takes long: see _Pace.
BATCH = 100
SLOW, FAST = 0.04, 0.015  # seconds
PROBLEMS_KEPT = 200
# An importer renews it with every batch, which takes well under a second; one that has not for so long is dead.
LEASE = timedelta(seconds=60)
PROGRESS_SECONDS = 1.0
IMPORT_UPLOAD = "orders.tasks.import_price_list"

State = PriceList.State
Progress = Callable[[str, int], None]  # what is being done, and rows so far


class Busy(Exception):
    """Another import of the vendor's prices is running. The text is a sentence."""


class Interrupted(Exception):
    """This import can't go on: the file changed under it, or another importer took it for dead."""


class EndsTooMuch(Interrupted):
    """The list would end more than half of what an earlier list brought to a place: perhaps the file was cut off."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did. `changed_nothing` when the database has all of it already."""

    price_list: PriceList
    seconds: float

    @property
    def changed_nothing(self) -> bool:
        found = self.price_list
        return found.state == State.CURRENT and not (found.added or found.changed or found.ended)

    def __str__(self) -> str:
        found = self.price_list
        if found.state != State.CURRENT:
            rows_ = f"{found.skipped} bad row{'' if found.skipped == 1 else 's'}" if found.skipped else "it can’t be read"
            return f"Nothing was imported: {rows_}."
        counts = (
            f"{found.rows} rows: {found.added} added, {found.changed} changed, {found.ended} ended, {found.unchanged} unchanged, "
            f"{found.skipped} skipped, {self.seconds:.1f} s."
        )
        return f"Nothing changed. {counts}" if self.changed_nothing else counts


def no_progress(doing: str, number: int) -> None:
    """Tells nobody."""


# --- importing


def import_prices(
    path: Path,
    vendor: Vendor,
    *,
    name: str = "",
    by: User | None = None,
    skip_bad_rows: bool = False,
    allow_ending: bool = False,
    upload: PriceList | None = None,
    progress: Progress = no_progress,
) -> Outcome:
    """Import a list for the vendor. Raises Busy while another import of his runs, Interrupted when it could not end.

    A file with a bad row is refused whole, unless `skip_bad_rows`; the problems stand on the list either way. Prices of the
    markets, currencies and segments in the file that it does not name end, all at once with those that begin. A skipped row
    ends nothing of its offer, and nothing at all when its offer can't be told: it may be the row that names the price.
    Raises EndsTooMuch when more than half of the imported prices of one market, currency and segment would end, unless
    `allow_ending`. Prices that staff made by hand are not counted: the first list may replace them all.
    """
    began = time.monotonic()
    found = upload or PriceList(vendor=vendor, name=name or path.name[:200], imported_by=by)
    found.started_at = clock.now()
    checked = _check(path, progress)
    found.sha256, found.rows, found.skipped = checked.sha256, checked.rows, checked.bad_rows
    found.problems = [asdict(problem) for problem in checked.problems]
    found.markets = checked.scope_words()
    if checked.is_unreadable or (checked.bad_rows and not skip_bad_rows) or not checked.scope:
        found.state, found.finished_at = State.REFUSED, clock.now()
        found.save()
        return Outcome(found, time.monotonic() - began)
    _begin(found)
    try:
        _undo(vendor)
        _Writer(found, checked, progress, allow_ending=allow_ending).write(path)
    except BaseException as error:
        _give_up(found)
        if isinstance(error, IntegrityError):
            raise Interrupted("Somebody changed the same offers or prices meanwhile. Nothing was imported; try again.") from error
        raise
    outcome = Outcome(found, time.monotonic() - began)
    if outcome.changed_nothing and not upload and _is_latest(found):
        PriceList.objects.filter(pk=found.pk).delete()
    return outcome


@dataclass(slots=True)
class _Checked:
    """What the first reading found."""

    sha256: str = ""
    rows: int = 0
    bad_rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    is_unreadable: bool = False
    scope: set[tuple[str, str, str]] = field(default_factory=set)  # market, currency, segment
    spared: set[tuple[str, str]] = field(default_factory=set)  # offers of bad rows
    may_end: bool = True

    def note(self, bad: BadRow) -> None:
        self.bad_rows += 1
        self.problems += bad.problems[: PROBLEMS_KEPT - len(self.problems)]
        if bad.sku is None:
            self.may_end = False
        else:
            self.spared.add(bad.sku)

    def scope_words(self) -> str:
        """ "NL EUR: Commercial, Education; US USD: Commercial", cut to the column."""
        segments: dict[str, list[str]] = {}
        for market, currency, segment in sorted(self.scope):
            segments.setdefault(f"{market} {currency}", []).append(segment)
        words = "; ".join(f"{place}: {', '.join(names)}" for place, names in segments.items())
        return words if len(words) <= 200 else f"{words[:199]}…"


def _check(path: Path, progress: Progress) -> _Checked:
    """The first reading: no table is touched, and of each row no more than a number is kept."""
    checked = _Checked()
    try:
        checked.sha256 = _digest(path)
        for row in rows(path):
            checked.rows += 1
            if isinstance(row, BadRow):
                checked.note(row)
            else:
                checked.scope.add((row.market, row.currency, row.segment))
            if checked.rows % BATCH == 0:
                progress("checked", checked.rows)
    except Unreadable as unreadable:
        checked.is_unreadable = True
        checked.problems = [*checked.problems[: PROBLEMS_KEPT - 1], unreadable.problem]
    return checked


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unreadable(Problem(0, "", f"The file can’t be read: {error.strerror or error}.")) from None


def _begin(found: PriceList) -> None:
    """Become the one importer of the vendor: a unique constraint decides. One that is dead is put aside."""
    now = clock.now()
    try:
        with transaction.atomic():
            others = PriceList.objects.filter(vendor=found.vendor, state=State.WRITING)
            others.filter(lease_until__lt=now).update(state=State.REFUSED, finished_at=now)
            found.state, found.lease_until = State.WRITING, now + LEASE
            found.save()
    except IntegrityError:
        found.state, found.lease_until = State.WAITING, None
        raise Busy(
            f"Another import of {found.vendor}’s prices is running. Try again when it has ended; "
            f"one that was killed stands in the way for {LEASE.seconds} seconds."
        ) from None


def _undo(vendor: Vendor) -> None:
    """Take away what imports that never ended have written, and give back what they had ended."""
    refused = {"vendor": vendor, "state": State.REFUSED}
    lists = list(PriceList.objects.filter(**refused).values_list("pk", flat=True))
    written, ended = Price.objects.filter(added_by__in=lists), Price.objects.filter(ended_by__in=lists)
    # First what was written: with it still there, the price that it replaced would be a second one of the same key.
    while some := list(written.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            Price.objects.filter(pk__in=some).delete()
    while some := list(ended.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            Price.objects.filter(pk__in=some).update(ended_by=None)


def _give_up(found: PriceList) -> None:
    """Best effort: after a kill, or a lost database, the next import does it."""
    try:
        with transaction.atomic():
            mine = PriceList.objects.filter(pk=found.pk, state=State.WRITING)
            mine.update(state=State.REFUSED, finished_at=clock.now(), lease_until=None)
        _undo(found.vendor)
    except Exception:
        log.exception("The import of %s could not be undone now; the next import does it", found)


def _is_latest(found: PriceList) -> bool:
    """Is the list that was imported before this one the same file?"""
    before = PriceList.objects.filter(vendor=found.vendor, state=State.CURRENT).exclude(pk=found.pk).first()
    return before is not None and before.sha256 == found.sha256


class _Pace:
    """How many rows the next transaction takes, by how long the last one held SQLite's only write lock: well under 0.1 s."""

    def __init__(self) -> None:
        self.size = BATCH

    @contextmanager
    def transaction(self) -> Iterator[None]:
        collects = gc.isenabled()
        # A full garbage collection takes 0.2 s; it can wait until the lock is free.
        gc.disable()
        try:
            with transaction.atomic():
                # Waiting for the lock is over here.
                began = time.monotonic()
                yield
        finally:
            if collects:
                gc.enable()
        self._adapt(time.monotonic() - began)

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW:
            self.size = max(self.size // 2, 1)
        elif seconds < FAST:
            self.size = min(self.size * 2, BATCH)


@dataclass(slots=True)
class _Plan:
    """What one batch will write, found out and built before the write lock is taken."""

    offers: list[Offer] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)


class _Writer:
    """The second reading. Remembers a number for each price that stays, one for each offer that was looked at, and the
    words of offers that change: those are written last, when nothing can refuse the list any more.

    What a batch writes is planned before its transaction. Nobody else can spoil the plan: one importer of a vendor runs at a
    time, and what staff made meanwhile of the same key the unique constraints refuse.
    """

    def __init__(self, found: PriceList, checked: _Checked, progress: Progress, *, allow_ending: bool) -> None:
        self._list, self._checked, self._progress, self._allow_ending = found, checked, progress, allow_ending
        self._staying: set[int] = set()
        self._offers: set[int] = set()
        self._words: dict[int, tuple[str, str, bool]] = {}
        self._replaced: Counter[tuple[str, ...]] = Counter()
        self._pace = _Pace()

    def write(self, path: Path) -> None:
        good = (row for row in rows(path) if isinstance(row, Row))
        written = 0
        while batch := list(islice(good, self._pace.size)):
            plan = self._plan([row for row in batch if not row.is_removed])
            with self._pace.transaction():
                self._hold()
                self._write_batch(plan)
            self._offers |= {offer.pk for offer in plan.offers}
            written += len(batch)
            self._progress("written", written)
        if _digest(path) != self._checked.sha256:
            raise Interrupted("The file changed while it was read. Nothing was imported; try again.")
        if self._checked.may_end:
            self._refuse_to_end_too_much()
            self._end_the_rest()
        self._write_words()
        self._finish()

    def _hold(self) -> None:
        """Renew the lease and save the counts; refuse when somebody took this import for dead."""
        counts = {name: getattr(self._list, name) for name in ("added", "changed", "ended", "unchanged")}
        mine = PriceList.objects.filter(pk=self._list.pk, state=State.WRITING)
        if not mine.update(lease_until=clock.now() + LEASE, **counts):
            raise Interrupted("Another import took this one for dead. Nothing of it was imported.")

    def _plan(self, batch: Sequence[Row]) -> _Plan:
        plan = _Plan()
        offers = self._offers_of(batch, plan)
        listed = {
            _key(price): price
            for price in Price.objects.filter(
                offer__in={offer.pk for offer in offers.values() if offer.pk},
                market__in={row.market for row in batch},
                currency__in={row.currency for row in batch},
                ended_by=None,
            )
        }
        for row in batch:
            price = _price(row, offers[row.product_id, row.sku_id, row.segment], self._list)
            # An offer that is not written yet has no number, and no prices.
            old = listed.get(_key(price)) if price.offer_id else None
            if old is None:
                self._list.added += 1
                plan.prices.append(price)
            elif (old.term_cost, old.term_price, old.valid_to) == (price.term_cost, price.term_price, price.valid_to):
                self._list.unchanged += 1
                self._staying.add(old.pk)
            else:
                self._list.changed += 1
                plan.prices.append(price)
                plan.replaced.append(old.pk)
                if old.added_by_id:
                    self._replaced[row.market, row.currency, row.segment] += 1
        return plan

    def _write_batch(self, plan: _Plan) -> None:
        Offer.objects.bulk_create(plan.offers)
        # In this order: one price of a key at a time.
        if plan.replaced:
            Price.objects.filter(pk__in=plan.replaced, ended_by=None).update(ended_by=self._list)
        Price.objects.bulk_create(plan.prices)

    def _offers_of(self, batch: Sequence[Row], plan: _Plan) -> dict[tuple[str, str, str], Offer]:
        """The offers of the rows by product, SKU and segment; those that are new go into the plan."""
        existing = Offer.objects.filter(vendor=self._list.vendor, product_id__in={row.product_id for row in batch})
        found = {(offer.product_id, offer.sku_id, offer.segment): offer for offer in existing}
        missing = {(row.product_id, row.sku_id, row.segment): row for row in reversed(batch)}
        plan.offers = self._make([row for key, row in reversed(missing.items()) if key not in found])
        found |= {(offer.product_id, offer.sku_id, offer.segment): offer for offer in plan.offers}
        for row in batch:
            self._note_words(row, found[row.product_id, row.sku_id, row.segment])
        return found

    def _note_words(self, row: Row, offer: Offer) -> None:
        """The first row of an offer has the word; a trial is one whose every price is."""
        if offer.pk is None:
            offer.is_trial = offer.is_trial and row.is_trial
            return
        now = (offer.title, offer.description, offer.is_trial)
        title, description, is_trial = self._words.get(offer.pk, now)
        if offer.pk not in self._offers:
            self._offers.add(offer.pk)
            title, description = row.title, row.description
        if (words := (title, description, is_trial and row.is_trial)) != now:
            self._words[offer.pk] = words

    def _make(self, new: Sequence[Row]) -> list[Offer]:
        codes = {row: f"{row.product_id}-{row.sku_id}" for row in new}
        segments = {row: "".join(row.segment.split()) for row in new}
        wanted = {*codes.values(), *(f"{code}-{segments[row]}" for row, code in codes.items())}
        taken = set(Offer.objects.filter(code__in=wanted).values_list("code", flat=True)) if new else set()
        made = []
        for row, code in codes.items():
            # Two segments may share a SKU; an offer keeps the code that it once got.
            free = next(one for one in _codes(code, segments[row]) if one not in taken)
            taken.add(free)
            made.append(
                Offer(
                    vendor=self._list.vendor,
                    code=free,
                    product_id=row.product_id,
                    sku_id=row.sku_id,
                    segment=row.segment,
                    title=row.title,
                    description=row.description,
                    is_trial=row.is_trial,
                )
            )
        return made

    def _refuse_to_end_too_much(self) -> None:
        """A file that was cut off between two rows looks whole; that much of a catalogue is not ended unasked."""
        listed, gone = self._replaced.copy(), Counter[tuple[str, ...]]()
        for pk, added_by, market, currency, segment, product, sku in self._older():
            if added_by:
                listed[market, currency, segment] += 1
                gone[market, currency, segment] += self._is_gone(pk, (market, currency, segment), (product, sku))
        places = [place for place in sorted(gone) if gone[place] * 2 > listed[place]]
        if places and not self._allow_ending:
            numbers = "; ".join(f"{gone[place]} of {listed[place]} prices in {' '.join(place)}" for place in places[:5])
            more = f" and in {len(places) - 5} more places" if len(places) > 5 else ""
            raise EndsTooMuch(
                f"The list would end {numbers}{more}: more than half, as if the file were cut off. Nothing was imported. "
                "If they shall end, import it again and allow ending."
            )

    def _end_the_rest(self) -> None:
        """End what the file no longer has, of the markets, currencies and segments that are in it."""
        gone = (pk for pk, _, *scope, product, sku in self._older() if self._is_gone(pk, scope, (product, sku)))
        while some := list(islice(gone, self._pace.size)):
            with self._pace.transaction():
                self._list.ended += Price.objects.filter(pk__in=some, ended_by=None).update(ended_by=self._list)
                self._hold()

    def _older(self) -> Iterator[tuple[Any, ...]]:
        """The vendor's prices of before this list that it has not replaced: number, list, market, currency, segment, product, SKU."""
        of_vendor = Price.objects.filter(offer__vendor=self._list.vendor, ended_by=None).exclude(added_by=self._list)
        fields = ("pk", "added_by", "market", "currency", "offer__segment", "offer__product_id", "offer__sku_id")
        last = 0
        while found := list(of_vendor.filter(pk__gt=last).order_by("pk").values_list(*fields)[:BATCH]):
            yield from found
            last = found[-1][0]

    def _is_gone(self, pk: int, scope: Iterable[str], sku: tuple[str, str]) -> bool:
        return pk not in self._staying and tuple(scope) in self._checked.scope and sku not in self._checked.spared

    def _write_words(self) -> None:
        """Titles and descriptions of offers that were there already."""
        names = ("title", "description", "is_trial")
        changed = (Offer(pk=pk, **dict(zip(names, words, strict=True))) for pk, words in self._words.items())
        while some := list(islice(changed, self._pace.size)):
            with self._pace.transaction():
                self._hold()
                Offer.objects.bulk_update(some, names)

    def _finish(self) -> None:
        """The moment from which everything shows, and what ended is gone: one UPDATE."""
        with transaction.atomic():
            self._hold()
            self._list.state, self._list.finished_at, self._list.lease_until = State.CURRENT, clock.now(), None
            self._list.save(update_fields=["state", "finished_at", "lease_until"])


def _codes(code: str, segment: str) -> Iterator[str]:
    yield code
    yield f"{code}-{segment}"[:60]
    for number in range(2, 10_000):
        yield f"{code}-{segment}"[:55] + f"-{number}"


def _key(price: Price) -> tuple[object, ...]:
    return price.offer_id, price.market, price.currency, price.term, price.billing_cycle, price.valid_from


def _price(row: Row, offer: Offer, added_by: PriceList) -> Price:
    return Price(
        offer=offer,
        market=row.market,
        currency=row.currency,
        term=row.term,
        billing_cycle=row.cycle,
        term_cost=row.cost,
        term_price=row.price,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        added_by=added_by,
    )


# --- uploads: the file waits in a folder for the worker


def upload_path(found: PriceList) -> Path:
    return settings.VAR_DIR / "price_lists" / f"{found.pk}.csv"


def keep_upload(found: PriceList, chunks: Iterable[bytes], *, skip_bad_rows: bool, allow_ending: bool) -> None:
    """Store an uploaded list and wake the worker. In the caller's transaction: without it the file means nothing."""
    found.state, found.started_at = State.WAITING, clock.now()
    found.save()
    path = upload_path(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(chunks)
    wake(IMPORT_UPLOAD, found.pk, skip_bad_rows, allow_ending)


def import_upload(pk: int, *, skip_bad_rows: bool, allow_ending: bool = False) -> None:
    """What the worker does. Never raises for a bad file: the list says what came of it."""
    found = PriceList.objects.select_related("vendor").filter(pk=pk, state=State.WAITING).first()
    if found is None:
        return
    path, told = upload_path(found), [0.0]

    def progress(doing: str, number: int) -> None:
        if time.monotonic() - told[0] > PROGRESS_SECONDS:
            told[0] = time.monotonic()
            PriceList.objects.filter(pk=pk).update(rows=number)

    try:
        import_prices(path, found.vendor, skip_bad_rows=skip_bad_rows, allow_ending=allow_ending, upload=found, progress=progress)
        PriceList.objects.filter(pk=pk).update(rows=found.rows)
    except (Busy, Interrupted) as error:
        _refuse(found, str(error))
    except Exception:
        log.exception("The import of price list %s ended", pk)
        _refuse(found, "The import broke on our side. Nothing of the list was imported; try again.")
    finally:
        path.unlink(missing_ok=True)


def _refuse(found: PriceList, reason: str) -> None:
    problems = [asdict(Problem(0, "", reason)), *found.problems][:PROBLEMS_KEPT]
    PriceList.objects.filter(pk=found.pk).exclude(state=State.CURRENT).update(
        state=State.REFUSED, problems=problems, finished_at=clock.now(), lease_until=None
    )


# --- what a customer can't buy says why


def why_not(offer: Offer, customer: Customer, prices: Sequence[Price], at: datetime | None = None) -> str:
    """Why the customer can't buy the offer now, as a sentence; empty when he can.

    `prices`: all of the offer that were ever shown (`Price.objects.shown()`), with `ended_by` loaded. `at`: the instant, so
    that whoever asks for many offers asks the clock once.
    """
    now = at or clock.now()
    listed = [price for price in prices if price.withdrawn_at is None and (price.valid_to is None or price.valid_to > now)]
    here = [price for price in listed if price.market == customer.country]
    mine = [price for price in here if price.currency == customer.currency]
    if not offer.vendor.is_active:
        return f"{offer.vendor} is not sold at the moment."
    if not offer.is_active:
        return "Our staff have taken this offer from sale."
    if offer.segment != customer.segment:
        return f"Only for the segment {offer.segment}; this customer is {customer.segment}."
    if not listed:
        return _withdrawn(prices)
    if not here:
        return f"Not sold in {country_name(customer.country)}."
    if not mine:
        currencies = ", ".join(sorted({price.currency for price in here}))
        return f"Sold in {country_name(customer.country)} in {currencies}, not in {customer.currency}."
    coming = [price.valid_from for price in mine if price.valid_from and price.valid_from > now]
    return f"Sold from {timezone.localtime(min(coming)):%-d %B %Y} on." if len(coming) == len(mine) else ""


def _withdrawn(prices: Sequence[Price]) -> str:
    ends = [at for price in prices if (at := price.withdrawn_at or price.valid_to)]
    return f"No longer sold: its last price ended on {timezone.localtime(max(ends)):%-d %B %Y}." if ends else "It has no price."


# --- what new prices mean for a draft


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A line whose frozen price is not the listed one; `new` is None when the offer is no longer sold that way."""

    line: OrderLine
    old: Decimal
    new: Price | None

    @property
    def new_price(self) -> Decimal | None:
        """What the customer pays for one unit and one billing period from now on."""
        return self.new.unit_price(self.line.order.seller) if self.new else None

    @property
    def is_for_customer(self) -> bool:
        """Does the customer's price change, or only what we pay?"""
        return self.new_price != self.old

    @property
    def old_cost(self) -> Decimal:
        return unit_price(self.line.term_cost, self.line.term, self.line.billing_cycle, self.line.order.currency)


def changes_of(order: Order) -> list[PriceChange]:
    """Lines whose prices changed since they were written, in one query beside the order's lines. `old` is the unit price."""
    lines = list(order.lines.all())
    now = listed_for(order)
    changes = []
    for line in lines:
        new = now.get((line.offer_id, line.term, line.billing_cycle))
        if new is None or (new.term_cost, new.sold_by(order.seller)) != (line.term_cost, line.term_price):
            line.order = order
            changes.append(PriceChange(line, line.unit_price, new))
    return changes
