"""Which orders a list shows and in which pages: everything comes from the URL, and nonsense in it is ignored."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q

from orders.models import Order, Seller
from orders.models.orders import OrderQuerySet
from orders.paging import PAGE_SIZE, words
from orders.statuses import HISTORICAL, RECENT, TABLE, OrderStatus, Section

# Numbers on tabs and views stop here: counting a whole table costs more the better a seller does.
COUNT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class View:
    """A quick view: a named filter."""

    slug: str
    label: str
    statuses: frozenset[OrderStatus] = frozenset()
    attention: bool = False


RECENT_VIEWS = (
    View("", "All"),
    View("attention", "Needs attention", attention=True),
    View("vendor", "With vendor", frozenset({OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FINISHED})),
    View("scheduled", "Scheduled", frozenset({OrderStatus.SCHEDULED})),
    View("drafts", "Drafts", frozenset({OrderStatus.START, OrderStatus.DRAFT})),
    View("quotes", "Quotes", frozenset({OrderStatus.DRAFT, OrderStatus.QUOTE_SENT})),
)
HISTORICAL_VIEWS = (
    View("", "All"),
    View("completed", "Completed", frozenset({OrderStatus.COMPLETED})),
    View("errors", "Completed with Errors", frozenset({OrderStatus.COMPLETED_WITH_ERRORS})),
    View("deleted", "Deleted", frozenset({OrderStatus.DELETED})),
)
VIEWS = {Section.RECENT: RECENT_VIEWS, Section.HISTORICAL: HISTORICAL_VIEWS}
STATUSES = {Section.RECENT: RECENT, Section.HISTORICAL: HISTORICAL}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL asks for, cleaned."""

    section: Section
    view: View
    statuses: tuple[OrderStatus, ...]
    q: str

    @property
    def is_narrow(self) -> bool:
        return bool(self.q or self.statuses or self.view.slug)


def read(section: Section, *, view: str, statuses: Sequence[str], q: str) -> Filters:
    """Filters from raw parameters; unknown views and statuses of the other section are dropped."""
    found = next((row for row in VIEWS[section] if row.slug == view), VIEWS[section][0])
    known = tuple(status for status in TABLE if status in STATUSES[section] and status.value in statuses)
    return Filters(section, found, known, words(q))


def apply(orders: OrderQuerySet, filters: Filters) -> OrderQuerySet:
    """The orders of a seller that the filters let through."""
    wanted = STATUSES[filters.section]
    if filters.view.statuses:
        wanted = wanted & filters.view.statuses
    if filters.statuses:
        wanted = wanted & frozenset(filters.statuses)
    orders = orders.filter(status__in=sorted(wanted))
    if filters.view.attention:
        orders = orders.filter(needs_attention=True)
    if filters.q:
        orders = orders.filter(matching(filters.q))
    return orders


def matching(q: str) -> Q:
    """Order number (also without SO-), customer, domain, or purchase-order number."""
    number = q.upper() if q.upper().startswith("SO-") else f"SO-{q}"
    return Q(number__startswith=number) | Q(customer__name__icontains=q) | Q(customer__domain__icontains=q) | Q(reference__icontains=q)


# --- pages


@dataclass(frozen=True, slots=True)
class Page:
    """One page by keyset: `next` and `previous` are cursors for the URL, empty at the ends."""

    orders: list[Order]
    next: str
    previous: str


def page(orders: OrderQuerySet, *, after: str = "", before: str = "", size: int = PAGE_SIZE) -> Page:
    """The page after or before a cursor, last change first. A cursor that can't be read means the first page."""
    if at := _decode(before):
        found = list(orders.filter(_newer(*at)).order_by("changed_at", "id")[: size + 1])
        more, rows = len(found) > size, found[:size][::-1]
        return Page(rows, _encode(rows[-1]) if rows else "", _encode(rows[0]) if rows and more else "")
    at = _decode(after)
    if at:
        orders = orders.filter(_older(*at))
    found = list(orders.order_by("-changed_at", "-id")[: size + 1])
    rows = found[:size]
    return Page(rows, _encode(rows[-1]) if len(found) > size else "", _encode(rows[0]) if rows and at else "")


def _older(changed_at: datetime, pk: int) -> Q:
    return Q(changed_at__lt=changed_at) | Q(changed_at=changed_at, pk__lt=pk)


def _newer(changed_at: datetime, pk: int) -> Q:
    return Q(changed_at__gt=changed_at) | Q(changed_at=changed_at, pk__gt=pk)


def _encode(order: Order) -> str:
    return base64.urlsafe_b64encode(f"{order.changed_at.isoformat()}|{order.pk}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, int] | None:
    try:
        text = base64.urlsafe_b64decode(cursor[:200] + "=" * (-len(cursor[:200]) % 4)).decode()
        instant, _, pk = text.partition("|")
        at = read_instant(instant)
        return (at, int(pk)) if at and 0 < int(pk) < 2**63 else None
    except (ValueError, binascii.Error):
        return None


def read_instant(text: str) -> datetime | None:
    """An instant out of a URL, or None when it is none that a database and a few days around it could hold."""
    try:
        # A plus sign in a query string arrives as a space.
        found = datetime.fromisoformat(text.replace(" ", "+"))
        at = found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if found.tzinfo and 1970 < at.year < 9999 else None


# --- customers


def matching_customers(q: str) -> Q:
    """Name, domain, or contact."""
    return Q(name__icontains=q) | Q(domain__icontains=q) | Q(contact_email__icontains=q) | Q(contact_last_name__icontains=q)


# --- numbers on tabs and views


@dataclass(frozen=True, slots=True)
class Counts:
    """How many Recent orders each view has; `is_capped` when there are more than we count."""

    by_view: dict[str, int]
    is_capped: bool

    def words(self, slug: str) -> str:
        number = self.by_view.get(slug, 0)
        return f"{number}+" if self.is_capped and not slug else str(number)


def recent_counts(seller: Seller) -> Counts:
    """One query over at most COUNT_LIMIT light rows."""
    rows = list(
        Order.objects.for_seller(seller).recent().order_by("-changed_at", "-id").values_list("status", "needs_attention")[: COUNT_LIMIT + 1]
    )
    counted = {
        view.slug: sum(
            1
            for status, attention in rows[:COUNT_LIMIT]
            if (not view.statuses or status in view.statuses) and (attention or not view.attention)
        )
        for view in RECENT_VIEWS
    }
    return Counts(counted, len(rows) > COUNT_LIMIT)
