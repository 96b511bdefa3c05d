"""The history checker: a pure function over what clients saw, the vendor's ledger, the event log and the final rows.

It knows neither Django nor the engine. Whoever ran something turns what happened into a History and asks `check` what is
wrong with it. A click whose answer nobody saw (`info`) may or may not have happened: both are allowed, happening twice is not.
All times are seconds since the epoch, on one clock.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    DOUBLE_BUY = "DOUBLE_BUY"  # the vendor sold more than the order wants
    LOST_ORDER = "LOST_ORDER"  # an acknowledged click without effect, or a purchase that no order tells of
    PHANTOM_COMPLETE = "PHANTOM_COMPLETE"  # recorded as bought, and the vendor sold nothing
    FALSE_FAIL = "FALSE_FAIL"  # recorded as refused, and the vendor sold it or never refused
    HISTORY_MUTATED = "HISTORY_MUTATED"  # a historical order changed or vanished
    ILLEGAL_EDGE = "ILLEGAL_EDGE"  # a status that may not follow, that nobody asked for, or that the events don't tell
    STUCK = "STUCK"  # open for too long, and no one is asked to look
    CROSS_TENANT = "CROSS_TENANT"  # one seller's order seen, moved or bought by another
    REASON_ALTERED = "REASON_ALTERED"  # words shown as the vendor's that the vendor did not say
    EARLY_FIRE = "EARLY_FIRE"  # sent before its time


class Outcome(StrEnum):
    OK = "ok"
    FAIL = "fail"
    INFO = "info"  # no answer came


@dataclass(frozen=True, slots=True)
class Click:
    """One press of a button. `verb` is the event that it writes when it succeeds."""

    order: str
    seller: str
    verb: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Seen:
    """What a seller was shown of an order. `content` is all that may never change once the order is historical."""

    order: str
    seller: str
    status: str
    content: str
    at: float


@dataclass(frozen=True, slots=True)
class Sale:
    """One line in the vendor's own ledger. `order` is empty when nothing of ours explains it; `seller` owns the customer."""

    ref: str
    order: str
    seller: str
    product: str
    quantity: int
    at: float
    is_live: bool = True  # False: the vendor ended it in error, or took it back


@dataclass(frozen=True, slots=True)
class Happened:
    """One row of the event log, in its order. `source` is empty when the status did not move. `due`: the date of a `scheduled`."""

    order: str
    name: str
    source: str
    target: str
    at: float
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """`subscription` and `owner`, the seller it was recorded for, are empty while nothing is recorded."""

    product: str
    quantity: int
    subscription: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """An order at the end. `reasons` are the texts shown as the vendor's words; `is_definite`: each no has a ground."""

    order: str
    seller: str
    status: str
    lines: tuple[Line, ...]
    content: str = ""
    reasons: tuple[str, ...] = ()
    is_definite: bool = True
    is_parked: bool = False  # a person is asked to look, where staff see it
    next_at: float | None = None  # when the portal acts next by itself


@dataclass(frozen=True, slots=True)
class History:
    """`words`: (order, text) of every refusal that left the vendor. From `healthy_since` on nothing was broken any more."""

    rows: tuple[Row, ...]
    events: tuple[Happened, ...]
    clicks: tuple[Click, ...] = ()
    seen: tuple[Seen, ...] = ()
    sales: tuple[Sale, ...] = ()
    words: frozenset[tuple[str, str]] = frozenset()
    ended_at: float = 0.0
    healthy_since: float | None = None
    patience: float = 900.0


@dataclass(frozen=True, slots=True)
class Anomaly:
    kind: Kind
    order: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.order or '(no order)'}: {self.what}"


HISTORICAL = frozenset({"completed", "completed_with_errors", "deleted"})
WITH_VENDOR = frozenset({"provisioning_started", "provisioning_finished"})
NEVER_SENT = frozenset({"start", "draft", "quote_sent", "scheduled", "deleted"})
BIRTH = frozenset({"start", "draft"})

# product.md section 2 in the words of the event log: which event may move an order from where to where.
MOVES: dict[str, frozenset[tuple[str, str]]] = {
    "kept_as_quote": frozenset({("start", "draft")}),
    "sent": frozenset({("draft", "quote_sent")}),
    "revised": frozenset({("quote_sent", "draft")}),
    "withdrawn": frozenset({("quote_sent", "draft")}),
    "declined": frozenset({("quote_sent", "draft")}),
    "placed": frozenset((source, "provisioning_started") for source in ("start", "draft", "quote_sent")),
    "scheduled": frozenset({("draft", "scheduled")}),
    "fired": frozenset({("scheduled", "provisioning_started")}),
    "confirmed": frozenset({("provisioning_started", "provisioning_finished")}),
    "failed": frozenset({("provisioning_started", "provisioning_failed")}),
    "finished_with_errors": frozenset((source, "completed_with_errors") for source in WITH_VENDOR),
    "completed": frozenset({("provisioning_finished", "completed")}),
    "retried": frozenset({("provisioning_failed", "provisioning_started")}),
    "closed": frozenset({("provisioning_failed", "completed_with_errors")}),
    "deleted": frozenset((source, "deleted") for source in ("start", "draft", "quote_sent", "scheduled")),
}


def check(history: History) -> list[Anomaly]:
    """Everything that is wrong, by order; empty for a history that keeps every promise."""
    found = [
        *_without_order(history),
        *(anomaly for row in history.rows for anomaly in _of_one(_Case.of(row, history), history)),
    ]
    return sorted(found, key=lambda anomaly: (anomaly.order, anomaly.kind))


@dataclass(frozen=True, slots=True)
class _Case:
    """All that concerns one order."""

    row: Row
    events: tuple[Happened, ...]
    clicks: tuple[Click, ...]
    seen: tuple[Seen, ...]
    sales: tuple[Sale, ...]

    @classmethod
    def of(cls, row: Row, history: History) -> "_Case":
        return cls(
            row,
            tuple(event for event in history.events if event.order == row.order),
            tuple(click for click in history.clicks if click.order == row.order),
            tuple(seen for seen in history.seen if seen.order == row.order),
            tuple(sale for sale in history.sales if sale.order == row.order),
        )

    def live(self) -> list[Sale]:
        return [sale for sale in self.sales if sale.is_live]

    def recorded(self) -> list[str]:
        return [line.subscription for line in self.row.lines if line.subscription]


def _without_order(history: History) -> Iterator[Anomaly]:
    """What speaks of orders that do not exist."""
    known = {row.order for row in history.rows}
    for click in history.clicks:
        if click.outcome is Outcome.OK and click.order not in known:
            yield Anomaly(Kind.LOST_ORDER, click.order, f"{click.verb} was acknowledged, and there is no such order")
    for sale in history.sales:
        if sale.is_live and sale.order not in known:
            yield Anomaly(
                Kind.LOST_ORDER, sale.order, f"the vendor sold {sale.quantity} × {sale.product} ({sale.ref}) and no order tells of it"
            )
    for seen in history.seen:
        if seen.status in HISTORICAL and seen.order not in known:
            yield Anomaly(Kind.HISTORY_MUTATED, seen.order, f"it was shown as {seen.status} and is gone")


def _of_one(case: _Case, history: History) -> Iterator[Anomaly]:
    row = case.row
    for kind, sentences in (
        (Kind.DOUBLE_BUY, _bought_too_often(case)),
        (Kind.LOST_ORDER, _lost(case)),
        (Kind.PHANTOM_COMPLETE, _phantoms(case)),
        (Kind.FALSE_FAIL, _false_fails(case)),
        (Kind.HISTORY_MUTATED, _mutations(case)),
        (Kind.ILLEGAL_EDGE, _illegal_edges(case)),
        (Kind.STUCK, _stuck(case, history)),
        (Kind.CROSS_TENANT, _foreign(case)),
        (Kind.REASON_ALTERED, _altered(case, history)),
        (Kind.EARLY_FIRE, _early(case)),
    ):
        for sentence in sentences:
            yield Anomaly(kind, row.order, sentence)


def _bought_too_often(case: _Case) -> Iterator[str]:
    wanted = Counter((line.product, line.quantity) for line in case.row.lines)
    sold = Counter((sale.product, sale.quantity) for sale in case.live())
    for (product, quantity), extra in (sold - wanted).items():
        refs = sorted(sale.ref for sale in case.live() if (sale.product, sale.quantity) == (product, quantity))
        yield f"{quantity} × {product} sold {extra} times more often than the order wants it: {', '.join(refs)}"


def _lost(case: _Case) -> Iterator[str]:
    for verb in sorted({click.verb for click in case.clicks}):
        acknowledged = sum(click.verb == verb and click.outcome is Outcome.OK for click in case.clicks)
        happened = sum(event.name == verb for event in case.events)
        if happened < acknowledged:
            yield f"{verb} was acknowledged {acknowledged} times and happened {happened} times"
    if case.row.status in NEVER_SENT and case.live():
        yield f"it is {case.row.status}, which never went to a vendor, and the vendor sold {case.live()[0].ref}"


def _phantoms(case: _Case) -> Iterator[str]:
    """Every subscription that we tell of was sold, and only for one line; Completed tells of one for each."""
    sold = Counter(sale.ref for sale in case.live())
    for ref in (Counter(case.recorded()) - sold).elements():
        yield f"subscription {ref} is recorded more often than the vendor sold it"
    if case.row.status == "completed" and len(case.recorded()) < len(case.row.lines):
        yield f"Completed with {len(case.recorded())} of {len(case.row.lines)} subscriptions"


def _false_fails(case: _Case) -> Iterator[str]:
    status = case.row.status
    if status not in {"provisioning_failed", "completed_with_errors"}:
        return
    for sale in case.live():
        if sale.ref not in case.recorded():
            yield f"it is {status} and the vendor sold {sale.quantity} × {sale.product} ({sale.ref})"
    if not case.row.is_definite:
        yield f"it is {status}, and neither a refusal of the vendor nor a proof that nothing was sent says why"


def _mutations(case: _Case) -> Iterator[str]:
    row = case.row
    closed = [seen for seen in sorted(case.seen, key=lambda seen: seen.at) if seen.status in HISTORICAL]
    if not closed:
        return
    first = closed[0]
    for status, content in [*((seen.status, seen.content) for seen in case.seen if seen.at > first.at), (row.status, row.content)]:
        if (status, content) != (first.status, first.content):
            yield f"it was shown as {first.status} {first.content!r} and later as {status} {content!r}"
            return


def _illegal_edges(case: _Case) -> Iterator[str]:
    """The status is the fold of the events, each move is one of the table, and people's moves were asked for."""
    status = ""
    for event in case.events:
        if not status:
            status = event.target
            if status not in BIRTH:
                yield f"it began as {status}"
        elif event.source:
            if event.source != status or (event.source, event.target) not in MOVES.get(event.name, frozenset()):
                yield f"{event.name} moved it from {event.source} to {event.target} when it was {status}"
            status = event.target
        elif event.target != status:
            yield f"{event.name} says that it is {event.target}, and it was {status}"
    if status != case.row.status:
        yield f"its events say {status or 'nothing'} and its row says {case.row.status}"
    for verb in sorted({click.verb for click in case.clicks}):
        possible = sum(click.verb == verb and click.outcome is not Outcome.FAIL for click in case.clicks)
        happened = sum(event.name == verb for event in case.events)
        if happened > possible:
            yield f"{verb} happened {happened} times and was asked for {possible} times"


def _stuck(case: _Case, history: History) -> Iterator[str]:
    row, now, patience = case.row, history.ended_at, history.patience
    if row.is_parked:
        return
    if row.status in WITH_VENDOR:
        moved = max((event.at for event in case.events), default=0.0)
        if row.next_at is None or row.next_at < now - patience:
            yield f"it is {row.status} and nothing will be done about it"
        elif history.healthy_since is not None and now - max(history.healthy_since, moved) > patience:
            yield f"it is still {row.status}, {now - moved:.0f} s after its last event"
    due = _due(case)
    if row.status == "scheduled" and due is not None and due < now - patience:
        yield "its time has come and it was not fired"


def _foreign(case: _Case) -> Iterator[str]:
    owner = case.row.seller
    for click in case.clicks:
        if click.seller != owner and click.outcome is Outcome.OK:
            yield f"{click.seller} was allowed to do {click.verb} on an order of {owner}"
    for seen in case.seen:
        if seen.seller != owner:
            yield f"{seen.seller} was shown an order of {owner}"
    for sale in case.sales:
        if sale.seller != owner:
            yield f"{sale.ref} was sold to a customer of {sale.seller}"
    for line in case.row.lines:
        if line.owner not in {"", owner}:
            yield f"subscription {line.subscription} was recorded for {line.owner}"


def _altered(case: _Case, history: History) -> Iterator[str]:
    for reason in case.row.reasons:
        if (case.row.order, reason) not in history.words:
            yield f"the vendor never said {reason!r}"


def _early(case: _Case) -> Iterator[str]:
    due = None
    for event in case.events:
        due = event.due if event.name == "scheduled" else due
        if event.name == "fired" and due is not None and event.at < due:
            yield f"fired {due - event.at:.3f} s before its time"
    due = _due(case)
    for sale in case.sales:
        if due is not None and sale.at < due:
            yield f"{sale.ref} was sold {due - sale.at:.3f} s before the order's time"


def _due(case: _Case) -> float | None:
    return next((event.due for event in reversed(case.events) if event.name == "scheduled"), None)
