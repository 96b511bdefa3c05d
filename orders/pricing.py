"""Price lists: importing one, and what its prices mean for a customer and for an order.

An import reads the file twice. The first reading validates and touches no table. The second writes batches under a list that
is `writing`, each batch its own short transaction; nothing of it shows until one UPDATE makes the list current. A crash leaves
a list that shows nothing, and the next import undoes it first.

A price is *of* an offer, market, currency, term and billing cycle; its dates say when it holds. Where a newer list has another
price of the same, also one with other dates, that is a change. Only what has no price of the same in the list has ended.
"""

import gc
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, groupby, islice
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from orders import clock
from orders.catalogue import listed_for
from orders.contacts import country_name
from orders.models import Customer, Offer, Order, OrderLine, Price, PriceList, User, Vendor
from orders.money import unit_price
from orders.price_sheet import BadRow, Problem, Row, Spans, Unreadable, rows
from orders.wake import wake

log = logging.getLogger(__name__)
# At most so many rows are one transaction, and fewer where that takes long: see _Pace.
BATCH, LEAST = 40, 5
SLOW, FAST = 0.03, 0.01  # seconds
PROBLEMS_KEPT = 200
# A list asks before it ends that many of a market's prices that earlier lists brought: both this number and one in so many;
# or half of one segment; or that many from the end of an earlier list.
MANY, ONE_IN, OF_THE_END = 10, 20, 3
NAMED = 3
OFFERS_AT_ONCE = 20
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
    """The list would end so much of what earlier lists brought, or just the end of it, that the file may have been cut off."""


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
    Raises EndsTooMuch when so many imported prices would end that the file may have been cut off, unless `allow_ending`.
    Prices that staff made by hand are not counted: the first list may replace them all.
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
    spans: Spans = field(default_factory=Spans)

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
    """The first reading: no table is touched, and of each row little more than a number is kept."""
    checked = _Checked()
    try:
        checked.sha256 = _digest(path)
        for row in rows(path, checked.spans):
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
    checked.spans.forget_the_lonely()
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
    pace = _Pace()
    while some := list(written.values_list("pk", flat=True)[: pace.size]):
        with pace.transaction():
            Price.objects.filter(pk__in=some).delete()
    while some := list(ended.values_list("pk", flat=True)[: pace.size]):
        with pace.transaction():
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
            # Below a few rows a transaction gets no shorter, and the import only longer.
            self.size = max(self.size // 2, min(LEAST, BATCH))
        elif seconds < FAST:
            self.size = min(self.size * 2, BATCH)


@dataclass(slots=True)
class _Plan:
    """What one batch will write, found out and built before the write lock is taken."""

    offers: list[Offer] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)


class _Standing(NamedTuple):
    """A price that nothing before this list had ended, in as few words as the end of an import needs."""

    pk: int
    offer: int
    market: str
    currency: str
    term: str
    cycle: str
    segment: str
    product: str
    sku: str
    valid_from: datetime | None
    valid_to: datetime | None
    added_by: int | None
    ended_by: int | None

    @property
    def of(self) -> tuple[object, ...]:
        return self.offer, self.market, self.currency, self.term, self.cycle


class _Close(NamedTuple):
    """What becomes of a price that the list does not name: it ends now, or goes on `until` then."""

    price: _Standing
    until: datetime | None = None
    is_gone: bool = False  # it has no successor


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
        self._now = clock.now()
        self._newest_offer = Offer.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self._last_offer = 0  # of the file, among those that were there before
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
        if not self._allow_ending:
            self._refuse_to_end_too_much()
        self._close_the_rest()
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
        before = self._before(batch, offers)
        # By what they are prices of and their start; and what else has a price already, however it is dated.
        listed = {(*_of(price), price.valid_from): price for price in before if not price.ended_by_id}
        known = {_of(price) for price in before if price.valid_to is None or price.valid_to > self._now}
        for row in batch:
            price = _price(row, offers[row.product_id, row.sku_id, row.segment], self._list, self._checked.spans.end_of(row))
            # An offer that is not written yet has no number, and no prices.
            old = listed.get((*_of(price), price.valid_from)) if price.offer_id else None
            if old and (old.term_cost, old.term_price, old.valid_to) == (price.term_cost, price.term_price, price.valid_to):
                self._list.unchanged += 1
                self._staying.add(old.pk)
                continue
            plan.prices.append(price)
            if old:
                plan.replaced.append(old.pk)
            if old or _of(price) in known:
                self._list.changed += 1
            else:
                self._list.added += 1
        return plan

    def _before(self, batch: Sequence[Row], offers: dict[tuple[str, str, str], Offer]) -> list[Price]:
        """The prices of the rows' offers in their places that stood before this list; it may have ended some of them since."""
        found = Price.objects.filter(
            Q(ended_by=None) | Q(ended_by=self._list),
            offer__in={offer.pk for offer in offers.values() if offer.pk},
            market__in={row.market for row in batch},
            currency__in={row.currency for row in batch},
        )
        return list(found.exclude(added_by=self._list))

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
            offer = found[row.product_id, row.sku_id, row.segment]
            self._note_words(row, offer)
            if offer.pk and offer.pk <= self._newest_offer:
                self._last_offer = offer.pk
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
        loss = _Loss(self._last_offer)
        for group in self._standing():
            gone = {close.price.pk for close in self._closes(group) if close.is_gone}
            for price in group:
                if price.added_by not in {None, self._list.pk} and self._is_in_scope(price) and not _is_over(price, self._now):
                    loss.count(price, is_gone=price.pk in gone)
        if loss.is_suspicious:
            raise EndsTooMuch(str(loss))

    def _close_the_rest(self) -> None:
        """End what the file no longer has, and what it has with another date."""
        closes = (close for group in self._standing() for close in self._counted(group))
        while some := list(islice(closes, self._pace.size)):
            cut = {close.price.pk: close.until for close in some if close.until}
            going_on = [_going_on(price, cut[price.pk], self._list) for price in Price.objects.filter(pk__in=cut)]
            with self._pace.transaction():
                Price.objects.filter(pk__in=[close.price.pk for close in some], ended_by=None).update(ended_by=self._list)
                Price.objects.bulk_create(going_on)
                self._hold()

    def _standing(self) -> Iterator[list[_Standing]]:
        """The vendor's prices, old and new, those together that are of the same. In constant memory: a few offers at a time."""
        fields = (
            "pk", "offer", "market", "currency", "term", "billing_cycle", "offer__segment", "offer__product_id", "offer__sku_id",
            "valid_from", "valid_to", "added_by", "ended_by",
        )  # fmt: skip
        offers, last = Offer.objects.filter(vendor=self._list.vendor).order_by("pk").values_list("pk", flat=True), 0
        while some := list(offers.filter(pk__gt=last)[:OFFERS_AT_ONCE]):
            last = some[-1]
            found = Price.objects.filter(Q(ended_by=None) | Q(ended_by=self._list), offer__in=some).order_by().values_list(*fields)
            prices = sorted((_Standing(*price) for price in found), key=_together)
            for _, group in groupby(prices, key=lambda price: price.of):
                yield list(group)

    def _counted(self, group: Sequence[_Standing]) -> Iterator[_Close]:
        """One that gives way to a row was counted with the row, unless that one itself stayed as it was."""
        is_counted = any(price.added_by == self._list.pk for price in group)
        for close in self._closes(group):
            self._list.ended += close.is_gone
            self._list.changed += not (close.is_gone or is_counted)
            yield close

    def _closes(self, group: Sequence[_Standing]) -> Iterator[_Close]:
        """What becomes of prices of one thing that the list does not name. What is over already stays as it is: history."""
        new = [price for price in group if price.added_by == self._list.pk or price.pk in self._staying]
        old = [price for price in group if not (price in new or price.ended_by or _is_over(price, self._now))]
        if new:
            yield from _give_way(old, min(new, key=_start).valid_from, self._now)
        elif old and self._may_end(old[0]):
            yield from (_Close(price, is_gone=True) for price in old)

    def _may_end(self, price: _Standing) -> bool:
        """A bad row may be the one that names the price."""
        return self._checked.may_end and self._is_in_scope(price) and (price.product, price.sku) not in self._checked.spared

    def _is_in_scope(self, price: _Standing) -> bool:
        return (price.market, price.currency, price.segment) in self._checked.scope

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


def _of(price: Price) -> tuple[object, ...]:
    """What it is a price of."""
    return price.offer_id, price.market, price.currency, price.term, price.billing_cycle


def _price(row: Row, offer: Offer, added_by: PriceList, valid_to: datetime | None) -> Price:
    return Price(
        offer=offer,
        market=row.market,
        currency=row.currency,
        term=row.term,
        billing_cycle=row.cycle,
        term_cost=row.cost,
        term_price=row.price,
        valid_from=row.valid_from,
        valid_to=valid_to,
        added_by=added_by,
    )


def _give_way(old: Sequence[_Standing], begins: datetime | None, now: datetime) -> Iterator[_Close]:
    """To a new price of the same that begins then (None: ever since). What holds today goes on until then, without a gap."""
    if begins is None or begins <= now:
        yield from map(_Close, old)
        return
    coming = {price.valid_from for price in old if price.valid_from and price.valid_from > now}
    for price in old:
        if price.valid_from in coming:
            yield _Close(price)
        # Also one that had been cut short for a price that will not come now.
        elif price.valid_to != begins and (price.valid_to is None or price.valid_to > begins or price.valid_to in coming):
            yield _Close(price, until=begins)


def _going_on(price: Price, until: datetime, added_by: PriceList) -> Price:
    """The same price with an end; the row of before stays as it is, so that the import can be undone."""
    price.pk, price.valid_to, price.added_by, price.ended_by = None, until, added_by, None
    price._state.adding = True
    return price


def _is_over(price: _Standing, now: datetime) -> bool:
    return price.valid_to is not None and price.valid_to <= now


def _start(price: _Standing) -> datetime:
    return price.valid_from or datetime.min.replace(tzinfo=UTC)


def _together(price: _Standing) -> tuple[object, ...]:
    return *price.of, _start(price), price.pk


# --- was the file cut off?


class _Loss:
    """How much of what earlier lists brought would end, and whether that looks like a file that was cut off.

    Offers are numbered in the order of the lists that brought them. So of a list that was cut off nothing is gone that stands
    before its last offer, and nearly everything that stands behind it.
    """

    def __init__(self, last_offer: int) -> None:
        self._last_offer = last_offer
        self._listed, self._gone = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        self._gone_before = self._gone_behind = self._kept_behind = 0
        self._first: list[int] = []

    def count(self, price: _Standing, *, is_gone: bool) -> None:
        for place in ((price.market, price.currency), (price.market, price.currency, price.segment)):
            self._listed[place] += 1
            self._gone[place] += is_gone
        if is_gone:
            self._gone_before += price.offer < self._last_offer
            self._gone_behind += price.offer >= self._last_offer
            self._first += [price.pk] if len(self._first) < NAMED else []
        else:
            self._kept_behind += price.offer > self._last_offer

    @property
    def is_suspicious(self) -> bool:
        is_the_end = not self._gone_before and self._gone_behind >= OF_THE_END and self._kept_behind < self._gone_behind
        return is_the_end or any(self._is_much(place, gone) for place, gone in self._gone.items())

    def _is_much(self, place: tuple[str, ...], gone: int) -> bool:
        listed = self._listed[place]
        return (gone >= MANY and gone * ONE_IN > listed) if len(place) == 2 else gone * 2 > listed

    def __str__(self) -> str:
        places = [place for place in sorted(self._gone) if len(place) == 2 and self._gone[place]]
        numbers = "; ".join(f"{self._gone[place]:,} of {self._listed[place]:,} prices in {' '.join(place)}" for place in places[:5])
        more = f"; and in {len(places) - 5} more places" if len(places) > 5 else ""
        return (
            f"The list would end {numbers}{more}, as if the file were cut off: {self._names()}. Nothing was imported. "
            "If they shall end, import it again with --allow-ending; in the admin, tick “Allow ending”."
        )

    def _names(self) -> str:
        named = [f"{price} ({price.market})" for price in Price.objects.filter(pk__in=self._first).select_related("offer").order_by("pk")]
        rest = self._gone_before + self._gone_behind - len(named)
        return "; ".join(chain(named, [f"and {rest:,} more"] if rest else []))


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
    ends = [at for price in prices if not price.never_began and (at := price.over_at)]
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
