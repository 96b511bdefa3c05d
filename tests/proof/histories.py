"""Histories made up for the checker itself: as many good ones as wanted, and one bad one of each kind and more."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.proof.history import HISTORICAL, WITH_VENDOR, Click, Happened, History, Kind, Line, Outcome, Row, Sale, Seen

SELLERS = ("harbour", "northwind", "kestrel")
WORDS = ("The contact e-mail is not valid.", "Only 25 seats are left.", "", "<b>refused</b> ✗", "line\nbreak  two  spaces ")
# Which click an event answers; the others are the portal's own.
OF_PEOPLE = {"sent", "withdrawn", "placed", "scheduled", "retried", "closed", "deleted"}


# --- good ones


def good(seed: int) -> History:
    """A history that keeps every promise: several sellers, lost answers, refusals, retries, and orders still on their way."""
    chance = random.Random(seed)
    lives = [_Life(chance, f"SO-{10001 + number}", chance.choice(SELLERS)) for number in range(chance.randint(1, 6))]
    for life in lives:
        life.live()
    clicks = [click for life in lives for click in life.clicks]
    chance.shuffle(clicks)
    healthy = chance.choice([None, 0.0])
    return History(
        rows=tuple(life.row() for life in lives),
        events=tuple(event for life in lives for event in life.events),
        clicks=tuple(clicks),
        seen=tuple(seen for life in lives for seen in life.seen),
        sales=tuple(sale for life in lives for sale in life.sales),
        words=frozenset(word for life in lives for word in life.words),
        ended_at=max(life.now for life in lives),
        healthy_since=healthy,
        patience=1e6,
    )


@dataclass
class _Life:
    """One order's way, taken at random along the legal edges."""

    chance: random.Random
    order: str
    seller: str
    now: float = 1000.0
    status: str = ""
    lines: list[Line] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)
    words: set[tuple[str, str]] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)

    def live(self) -> None:
        self.lines = [Line(self.chance.choice("ABC"), self.chance.randint(1, 9)) for _ in range(self.chance.randint(1, 3))]
        self._happen("created", self.chance.choice(["start", "draft"]))
        for _ in range(self.chance.randint(0, 9)):
            if self.status in HISTORICAL:
                break
            self.chance.choice(self._possible())()
            self._maybe_look()
        self._maybe_look()

    def row(self) -> Row:
        waits = self.status in WITH_VENDOR
        parked = waits and self.chance.random() < 0.3
        return Row(
            self.order, self.seller, self.status, tuple(self.lines), self._content(), tuple(self.reasons),
            is_parked=parked, next_at=self.now + 60 if waits and not parked else None,
        )  # fmt: skip

    def _possible(self) -> list[Callable[[], None]]:
        place = [lambda: self._click("placed", "provisioning_started")]
        return {
            "start": [*place, lambda: self._click("deleted", "deleted"), lambda: self._happen("kept_as_quote", "draft")],
            "draft": [
                *place, self._schedule, lambda: self._click("sent", "quote_sent"), lambda: self._click("deleted", "deleted"),
                lambda: self._happen("edited", ""),
            ],
            "quote_sent": [*place, lambda: self._click("withdrawn", "draft"), lambda: self._happen("declined", "draft")],
            "scheduled": [self._fire, lambda: self._click("deleted", "deleted")],
            "provisioning_started": [self._approve, self._refuse, self._sell_some, lambda: self._happen("outcome_unknown", "")],
            "provisioning_finished": [self._complete, self._reverse],
            "provisioning_failed": [self._retry, lambda: self._click("closed", "completed_with_errors")],
        }[self.status]  # fmt: skip

    def _click(self, verb: str, target: str) -> None:
        """Presses without effect first, then one that worked, whether or not its answer came back."""
        for _ in range(self.chance.randint(0, 2)):
            self.clicks.append(Click(self.order, self.seller, verb, self.chance.choice([Outcome.INFO, Outcome.FAIL])))
        if self.chance.random() < 0.2:
            self.clicks.append(Click(self.order, self.chance.choice(SELLERS), verb, Outcome.FAIL))
        self.clicks.append(Click(self.order, self.seller, verb, self.chance.choice([Outcome.OK, Outcome.INFO])))
        self._happen(verb, target)

    def _happen(self, name: str, target: str, due: float | None = None) -> None:
        self.now += self.chance.random() * 30
        moves = bool(target) and bool(self.status)
        self.events.append(Happened(self.order, name, self.status if moves else "", target or self.status, self.now, due))
        self.status = target or self.status

    def _schedule(self) -> None:
        self.clicks.append(Click(self.order, self.seller, "scheduled", Outcome.OK))
        self._happen("scheduled", "scheduled", self.now + 500)

    def _fire(self) -> None:
        self.now += 500
        self._happen("fired", "provisioning_started")

    def _retry(self) -> None:
        self.reasons.clear()
        self._click("retried", "provisioning_started")

    def _refuse(self) -> None:
        self._say_no()
        self._happen("failed", "provisioning_failed")

    def _approve(self) -> None:
        for number, line in enumerate(self.lines):
            self._sell(number, line)
        self._happen("confirmed", "provisioning_finished")

    def _complete(self) -> None:
        self._record()
        self._happen("completed", "completed")

    def _reverse(self) -> None:
        """The vendor takes everything back that it had approved."""
        self.sales = [replace(sale, is_live=False) for sale in self.sales]
        self._say_no()
        self._happen("finished_with_errors", "completed_with_errors")

    def _sell_some(self) -> None:
        self._sell(0, self.lines[0])
        self._record()
        self._say_no()
        self._happen("finished_with_errors", "completed_with_errors")

    def _sell(self, number: int, line: Line) -> None:
        ref = f"{self.order}/{number}"
        self.sales.append(Sale(ref, self.order, self.seller, line.product, line.quantity, self.now))

    def _record(self) -> None:
        """Write the vendor's subscriptions down, each at the line that wanted it."""
        for sale in self.sales:
            number = int(sale.ref.rpartition("/")[2])
            self.lines[number] = replace(self.lines[number], subscription=sale.ref, owner=self.seller)

    def _say_no(self) -> None:
        text = self.chance.choice(WORDS)
        self.words.add((self.order, text))
        self.reasons.append(text)

    def _maybe_look(self) -> None:
        if self.chance.random() < 0.5:
            self.now += 1
            self.seen.append(Seen(self.order, self.seller, self.status, self._content(), self.now))

    def _content(self) -> str:
        return repr((self.lines, self.reasons))


# --- bad ones


def bad() -> dict[str, tuple[Kind, History]]:
    """Each breaks one promise and no other: name -> (which, the history)."""
    late = replace(bought(), ended_at=5000.0, healthy_since=0.0)
    waiting = _with_row(_until(late, "placed"), status="provisioning_started", lines=(Line("A", 2),), next_at=5010.0)
    fresh = replace(waiting, ended_at=1200.0, sales=())
    failed = refused()
    twice = bought().sales[0]
    return {
        "sold twice": (Kind.DOUBLE_BUY, replace(bought(), sales=(twice, replace(twice, ref="S2")))),
        "sold twice while it waits": (Kind.DOUBLE_BUY, replace(fresh, sales=(twice, replace(twice, ref="S2")))),
        "more seats than wanted": (Kind.DOUBLE_BUY, replace(fresh, sales=(replace(twice, quantity=3),))),
        "acknowledged and gone": (Kind.LOST_ORDER, replace(bought(), rows=(), events=(), sales=(), seen=())),
        "acknowledged and not done": (Kind.LOST_ORDER, replace(_with_row(_until(bought(), "created"), status="start", lines=(Line("A", 2),)), sales=())),
        "sold and nobody's": (Kind.LOST_ORDER, replace(fresh, sales=(replace(twice, order=""),))),
        "sold and still a cart": (
            Kind.LOST_ORDER, replace(_with_row(_until(bought(), "created"), status="start", lines=(Line("A", 2),)), clicks=()),
        ),
        "completed and not sold": (Kind.PHANTOM_COMPLETE, replace(bought(), sales=())),
        "completed and taken back": (Kind.PHANTOM_COMPLETE, replace(bought(), sales=(replace(twice, is_live=False),))),
        "completed without subscription": (Kind.PHANTOM_COMPLETE, _with_row(bought(), lines=(Line("A", 2),))),
        "failed and sold": (Kind.FALSE_FAIL, replace(failed, sales=(twice,))),
        "failed by age": (Kind.FALSE_FAIL, _with_row(failed, reasons=(), is_definite=False)),
        "a line failed and sold": (Kind.FALSE_FAIL, _partly()),
        "history rewritten": (Kind.HISTORY_MUTATED, _with_row(bought(), content="other")),
        "history forgotten": (Kind.HISTORY_MUTATED, replace(bought(), rows=(), events=(), clicks=(), sales=())),
        "history opened again": (Kind.HISTORY_MUTATED, replace(failed, seen=(Seen("SO-1", "harbour", "completed_with_errors", "", 1100.0),))),
        "an edge that is none": (Kind.ILLEGAL_EDGE, _edge("deleted", "provisioning_failed", "deleted")),
        "a row that its events don't tell": (Kind.ILLEGAL_EDGE, _with_row(failed, status="completed_with_errors")),
        "placed twice": (Kind.ILLEGAL_EDGE, replace(fresh, events=(*fresh.events, Happened("SO-1", "placed", "start", "provisioning_started", 1020.0)), clicks=(*fresh.clicks, *fresh.clicks))),
        "nobody asked": (Kind.ILLEGAL_EDGE, replace(fresh, clicks=(Click("SO-1", "harbour", "placed", Outcome.FAIL),))),
        "born placed": (Kind.ILLEGAL_EDGE, replace(fresh, events=fresh.events[1:])),
        "forgotten": (Kind.STUCK, _with_row(fresh, next_at=None)),
        "asked for ever": (Kind.STUCK, waiting),
        "never fired": (Kind.STUCK, _scheduled(due=1100.0, ended_at=9000.0)),
        "another's customer": (Kind.CROSS_TENANT, replace(fresh, sales=(replace(twice, seller="northwind"),))),
        "another's click": (Kind.CROSS_TENANT, replace(fresh, clicks=(Click("SO-1", "northwind", "placed", Outcome.OK),))),
        "another's eyes": (Kind.CROSS_TENANT, replace(fresh, seen=(Seen("SO-1", "northwind", "provisioning_started", "", 1100.0),))),
        "another's subscription": (Kind.CROSS_TENANT, _with_row(bought(), lines=(Line("A", 2, "S1", "northwind"),))),
        "a reason of ours": (Kind.REASON_ALTERED, _with_row(failed, reasons=("Timed out.",))),
        "a reason cut": (Kind.REASON_ALTERED, _with_row(failed, reasons=("No credit",))),
        "another order's reason": (Kind.REASON_ALTERED, replace(failed, words=frozenset({("SO-2", "No credit.")}))),
        "fired early": (Kind.EARLY_FIRE, _fired(due=1100.0, at=1099.0)),
        "sold early": (Kind.EARLY_FIRE, replace(_fired(due=1100.0, at=1100.0), sales=(replace(twice, at=1099.9),))),
    }  # fmt: skip


def bought() -> History:
    """One order, placed, sold and completed."""
    moves = [
        ("created", "", "start"), ("placed", "start", "provisioning_started"),
        ("confirmed", "provisioning_started", "provisioning_finished"), ("completed", "provisioning_finished", "completed"),
    ]  # fmt: skip
    return History(
        rows=(Row("SO-1", "harbour", "completed", (Line("A", 2, "S1", "harbour"),)),),
        events=_log(moves),
        clicks=(Click("SO-1", "harbour", "placed", Outcome.OK),),
        seen=(Seen("SO-1", "harbour", "completed", "", 1100.0),),
        sales=(Sale("S1", "SO-1", "harbour", "A", 2, 1015.0),),
        ended_at=1200.0,
    )


def refused() -> History:
    """One order that the vendor refused with two words."""
    moves = [
        ("created", "", "start"), ("placed", "start", "provisioning_started"), ("failed", "provisioning_started", "provisioning_failed"),
    ]  # fmt: skip
    return History(
        rows=(Row("SO-1", "harbour", "provisioning_failed", (Line("A", 2),), reasons=("No credit.",)),),
        events=_log(moves),
        clicks=(Click("SO-1", "harbour", "placed", Outcome.OK),),
        words=frozenset({("SO-1", "No credit.")}),
        ended_at=1200.0,
    )


def _log(moves: list[tuple[str, str, str]]) -> tuple[Happened, ...]:
    return tuple(Happened("SO-1", name, source, target, 1000.0 + 10 * number) for number, (name, source, target) in enumerate(moves))


def _until(history: History, name: str) -> History:
    """The history up to the event, before anybody looked."""
    last = next(number for number, event in enumerate(history.events) if event.name == name)
    return replace(history, events=history.events[: last + 1], seen=())


def _with_row(history: History, **changes: object) -> History:
    return replace(history, rows=(replace(history.rows[0], **changes),))  # type: ignore[arg-type]


def _edge(name: str, source: str, target: str) -> History:
    history = refused()
    return _with_row(replace(history, events=(*history.events, Happened("SO-1", name, source, target, 1150.0))), status=target)


def _partly() -> History:
    """Two lines sold, and one of them recorded as refused."""
    history = refused()
    last = Happened("SO-1", "finished_with_errors", "provisioning_started", "completed_with_errors", 1020.0)
    sales = (Sale("S1", "SO-1", "harbour", "A", 2, 1015.0), Sale("S2", "SO-1", "harbour", "B", 1, 1015.0))
    lines = (Line("A", 2, "S1", "harbour"), Line("B", 1))
    return _with_row(replace(history, events=(*history.events[:2], last), sales=sales), status="completed_with_errors", lines=lines)


def _scheduled(due: float, ended_at: float) -> History:
    events = (Happened("SO-1", "created", "", "draft", 1000.0), Happened("SO-1", "scheduled", "draft", "scheduled", 1010.0, due))
    return History(rows=(Row("SO-1", "harbour", "scheduled", (Line("A", 2),)),), events=events, ended_at=ended_at)


def _fired(due: float, at: float) -> History:
    history = _scheduled(due, ended_at=1200.0)
    events = (*history.events, Happened("SO-1", "fired", "scheduled", "provisioning_started", at))
    return _with_row(replace(history, events=events), status="provisioning_started", next_at=1210.0)
