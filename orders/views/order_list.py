"""Recent and Historical: two URLs, one list."""

from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from orders import clock, outages, permissions, search, submissions
from orders.failures import Catalogue
from orders.models import Order
from orders.progress import Shown, show
from orders.scoping import SellerRequest
from orders.statuses import STATUS_FILTERS, Section

LIVE_LIMIT = 50
LOOK_BACK = timedelta(seconds=10)


@require_safe
def home(request: SellerRequest) -> HttpResponse:
    return redirect("orders:order-list")


@require_safe
def recent(request: SellerRequest) -> HttpResponse:
    return _list(request, Section.RECENT)


@require_safe
def historical(request: SellerRequest) -> HttpResponse:
    return _list(request, Section.HISTORICAL)


def _list(request: SellerRequest, section: Section) -> HttpResponse:
    # Before the rows are read: a change between the two is then seen by the first poll instead of never.
    since = clock.now()
    filters = _filters(request, section)
    orders = search.apply(Order.objects.for_seller(request.seller).for_list(), filters)
    page = search.page(orders, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    counts = search.recent_counts(request.seller)
    context = {
        "section": section,
        "menu": "quotes" if filters.view.slug == "quotes" else "",
        "filters": filters,
        "page": page,
        "rows": _shown(request, page.orders),
        "views": [(view, counts.words(view.slug) if section is Section.RECENT else "") for view in search.VIEWS[section]],
        "recent_count": counts.words(""),
        "status_choices": STATUS_FILTERS[section],
        "since": since.isoformat(),
        "may_write": permissions.can_write(request.membership),
        "token": submissions.new_token(),
        "outages": outages.of(request.seller) if section is Section.RECENT else [],
    }
    template = "orders/order_list.html#results" if request.htmx and not request.htmx.boosted else "orders/order_list.html"
    response = render(request, template, context)
    response.headers["Vary"] = "HX-Request, Cookie"
    return response


@require_safe
def live(request: SellerRequest) -> HttpResponse:
    """What changed since the last look: 204, or the changed rows out of band with one sentence for screen readers.

    The page says what it shows (`row=SO-10482@stamp`), so that looking a few seconds back repeats nothing. Looking back is
    needed: an order's change is stamped before its transaction is committed.
    """
    since, opened = search.read_instant(request.GET.get("since", "")), search.read_instant(request.GET.get("opened", ""))
    now = clock.now()
    mine = Order.objects.for_seller(request.seller)
    if since is None or opened is None:
        return HttpResponse(status=204)
    recently = mine.filter(changed_at__gt=since - LOOK_BACK)
    if not recently.exists():
        return HttpResponse(status=204)
    section = Section.HISTORICAL if request.GET.get("section") == Section.HISTORICAL else Section.RECENT
    on_page = dict(row.partition("@")[::2] for row in request.GET.getlist("row")[:LIVE_LIMIT])
    found = recently.numbered(on_page).for_list().order_by("-changed_at", "-id")
    changed = [order for order in found if on_page[order.number] != order.stamp]
    if request.GET.get("page") == "order":
        return render(request, "orders/order_live_page.html", {"order": changed[0]}) if changed else HttpResponse(status=204)
    filters = _filters(request, section)
    elsewhere = search.apply(mine.filter(changed_at__gt=opened), filters).exclude(pk__in=mine.numbered(on_page).values("pk"))
    fresh = len(elsewhere.values_list("pk")[: LIVE_LIMIT + 1])
    if not changed and str(fresh) == request.GET.get("fresh", "0"):
        return HttpResponse(status=204)
    rows = _shown(request, changed)
    counts = search.recent_counts(request.seller)
    context = {
        "section": section,
        "filters": filters,
        "rows": rows,
        "views": [(view, counts.words(view.slug)) for view in search.VIEWS[section]] if section is Section.RECENT else [],
        "recent_count": counts.words(""),
        "fresh": fresh,
        "since": now.isoformat(),
        "sentence": _sentence(rows),
        "token": submissions.new_token(),
    }
    return render(request, "orders/order_live.html", context)


def _filters(request: SellerRequest, section: Section) -> search.Filters:
    get = request.GET
    return search.read(section, view=get.get("view", ""), statuses=get.getlist("status"), q=get.get("q", ""))


def _shown(request: SellerRequest, orders: list[Order]) -> list[Shown]:
    catalogue = Catalogue()
    return [show(order, request.membership, catalogue) for order in orders]


def _sentence(rows: list[Shown]) -> str:
    """One polite sentence: each change when they are few, else how many."""
    if len(rows) > 3:
        failed = sum(1 for row in rows if row.has_card)
        return f"{len(rows)} orders changed, {failed} failed." if failed else f"{len(rows)} orders changed."
    return " ".join(
        f"Order {row.order.number}: {row.order.info.status.label}." + (f" {row.first.summary}." if row.first else "") for row in rows
    )
