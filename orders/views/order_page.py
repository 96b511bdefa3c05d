"""The order page: what it is, what happened, what happens next."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from orders import addons, outages, permissions, submissions, support
from orders.failures import Catalogue, latest_attempts, refused_line_numbers
from orders.forms.notes import NoteForm
from orders.lifecycle import REPRICED
from orders.models import AttemptState, Order, OrderEvent, OrderLine, OrderNote, StaffVerdict, Subscription, VendorExchange
from orders.permissions import Floor
from orders.pricing import PriceChange, changes_of
from orders.progress import Shown, show, steps, what_next, who_acts
from orders.scoping import SellerRequest
from orders.statuses import OrderStatus
from orders.timeline import Entry, entries
from orders.views.quote_panel import quote_panel

TIMELINE_LIMIT = 200
EXCHANGE_LIMIT = 200


def scoped(request: SellerRequest, number: str) -> Order:
    """The seller's order, or 404: another seller's looks exactly like a missing one."""
    return get_object_or_404(Order.objects.for_seller(request.seller).for_list().numbered([number]))


@require_safe
def detail(request: SellerRequest, number: str) -> HttpResponse:
    return order_page(request, scoped(request, number))


def order_page(request: SellerRequest, order: Order, *, note_form: NoteForm | None = None, status: int = 200) -> HttpResponse:
    """The page, also used to answer a refused action with what the order is now."""
    shown = show(order, request.membership, Catalogue())
    context = {
        "shown": shown,
        "order": order,
        "steps": steps(order),
        "what_next": what_next(shown),
        "who_acts": who_acts(shown),
        "lines": _lines(order),
        "timeline": _timeline(request, order),
        "attempts": _attempts(order),
        "subscriptions": Subscription.objects.filter(line__order=order).select_related("offer", "line"),
        "follow_ups": list(order.follow_ups.order_by("id")),
        "changes": price_changes(request, order),
        "quote": quote_panel(request, order),
        "floor": _floor(request, shown),
        "note_form": note_form or NoteForm(initial={"token": submissions.new_token()}),
        "may_write": permissions.can_write(request.membership),
        "token": submissions.new_token(),
        "since": order.changed_at.isoformat(),
        "outages": outages.of(request.seller) if order.status == OrderStatus.PROVISIONING_STARTED else [],
    }
    return render(request, "orders/order_detail.html", context, status=status)


def _floor(request: SellerRequest, shown: Shown) -> Floor | None:
    """For who may let the order go below the margin floor, while it could go on."""
    if not (shown.send or shown.place or shown.retry):
        return None
    floor = permissions.floor_of(shown.order, request.membership, "approve")
    return floor if floor and floor.may_pass else None


def price_changes(request: SellerRequest, order: Order) -> list[PriceChange]:
    """What the banner says. Whoever may not see cost hears nothing of a change that is only in it."""
    if order.status not in REPRICED:
        return []
    return [change for change in changes_of(order) if change.is_for_customer or request.membership.may_see_cost]


@dataclass(frozen=True, slots=True)
class LineShown:
    """A line with what became of it: bought, refused, waiting or nothing yet."""

    line: OrderLine
    outcome: str
    tone: str
    glyph: str


def grouped(order: Order) -> list[OrderLine]:
    """The lines, each add-on after its base."""
    lines = list(order.lines.all())
    index = {line.position: number for number, line in enumerate(lines)}
    return [lines[number] for number in addons.in_order([index.get(line.base_position or 0) for line in lines])]


def _lines(order: Order) -> list[LineShown]:
    refused = refused_line_numbers(order)
    bought = set(Subscription.objects.filter(line__order=order).values_list("line_id", flat=True))
    latest = latest_attempts(order)
    approved = {attempt.vendor_id for attempt in latest if attempt.state == AttemptState.APPROVED}
    # What staff answered shows at once; the order moves on when every item has its answer.
    verdicts = dict(StaffVerdict.objects.filter(attempt__in=latest).values_list("line_id", "is_approved"))
    return [LineShown(line, *_outcome(order, line, refused, bought, approved, verdicts.get(line.pk))) for line in grouped(order)]


def _outcome(
    order: Order, line: OrderLine, refused: set[int], bought: set[int], approved: set[int], verdict: bool | None
) -> tuple[str, str, str]:
    if line.pk in bought:
        return "Bought", "good", "st-completed"
    if line.position in refused:
        return "Not bought", "bad", "st-failed"
    if verdict is not None and order.status == OrderStatus.PROVISIONING_STARTED:
        return ("Approved", "good", "check") if verdict else ("Refused", "bad", "st-failed")
    if line.offer.vendor_id in approved:
        return "Approved, activating", "ready", "st-finished"
    if order.status == OrderStatus.PROVISIONING_STARTED:
        return "Waiting", "info", "st-started"
    return "", "", ""


def _timeline(request: SellerRequest, order: Order) -> list[Entry]:
    """Whoever may not see cost reads nothing of the margin either."""
    hidden = () if request.membership.may_see_cost else ("below_floor",)
    events = list(OrderEvent.objects.filter(order=order).exclude(name__in=hidden)[:TIMELINE_LIMIT])
    notes = list(OrderNote.objects.filter(order=order).select_related("author")[:TIMELINE_LIMIT])
    return entries(order, events, notes)


@dataclass(frozen=True, slots=True)
class AttemptShown:
    attempt: object
    exchanges: list[VendorExchange]
    at: datetime
    support: str


def _attempts(order: Order) -> list[AttemptShown]:
    by_attempt: dict[int, list[VendorExchange]] = {}
    for exchange in VendorExchange.objects.filter(attempt__order=order).order_by("-id")[:EXCHANGE_LIMIT]:
        by_attempt.setdefault(exchange.attempt_id, []).append(exchange)
    attempts = sorted(order.attempts.all(), key=lambda attempt: (attempt.created_at, attempt.pk), reverse=True)
    shown = []
    for attempt in attempts:
        exchanges = by_attempt.get(attempt.pk, [])[::-1]
        words = support.for_vendor(attempt, exchanges) if exchanges and attempt.vendor.capabilities.has_api else ""
        shown.append(AttemptShown(attempt, exchanges, attempt.created_at, words))
    return shown
