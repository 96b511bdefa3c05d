"""One view per verb: scope (404), role (403), form, verb, redirect. A verb that is refused answers 409 with the order as it is."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_fsm import TransitionNotAllowed

from orders import asking, checklist, formats, lifecycle, permissions, pricing, submissions
from orders.failures import Catalogue
from orders.forms.notes import CloseForm, FloorForm, NoteForm
from orders.lifecycle import Refusal
from orders.models import Order, OrderLine
from orders.progress import Shown, show
from orders.scoping import SellerRequest
from orders.views.errors import forbidden
from orders.views.order_page import grouped, order_page, scoped
from orders.views.refusals import conflict, other_content


@require_http_methods(["GET", "HEAD", "POST"])
def place(request: SellerRequest, number: str) -> HttpResponse:
    """GET: the review page, the last one before the step that can't be undone. POST: place the order."""
    catalogue = Catalogue()
    shown = show(scoped(request, number), request.membership, catalogue)
    if request.method != "POST":
        return _review(request, shown, catalogue)
    form = FloorForm(request.POST)
    floor = permissions.floor_of(shown.order, request.membership)
    if shown.place and floor and floor.may_pass and not form.is_valid():
        return _review(request, shown, catalogue, form, status=422)

    def work() -> str:
        if blocked := next((check for check in checklist.of(shown.order) if check.blocks), None):
            raise Refusal(f"Not placed. {blocked.text}")
        order = lifecycle.place(shown.order, by=request.user, reason=form.cleaned_data["reason"] if form.is_valid() else "")
        messages.success(request, f"Order {order.number} is on its way to the vendor.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.place, work)


def _review(request: SellerRequest, shown: Shown, catalogue: Catalogue, form: FloorForm | None = None, status: int = 200) -> HttpResponse:
    """The page; htmx, which asks while the vendors are being asked, gets their part of it only."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if not shown.place and request.htmx:
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("orders:order-detail", args=[shown.order.number])})
    if not shown.place:
        return conflict(request, shown.order, shown.place.reason)
    vendor_check = asking.of(shown.order, catalogue)
    if request.htmx and vendor_check and vendor_check.is_waiting:
        # Nothing new: what holds the focus stays.
        return HttpResponse(status=204)
    context = {"shown": shown, "order": shown.order, "token": submissions.new_token(), "vendor_check": vendor_check}
    if request.htmx:
        return render(request, "orders/_vendor_check.html", context | {"is_part": True})
    _tax_of_today(shown.order)
    checks = checklist.of(shown.order)
    context |= {
        "lines": grouped(shown.order),
        "checks": checks,
        "blocked": any(check.blocks for check in checks),
        "floor": permissions.floor_of(shown.order, request.membership),
        "form": form or FloorForm(),
        "cancel_days": _cancel_days(shown.order),
    }
    response = render(request, "orders/order_review.html", context, status=status)
    response.headers["Vary"] = "HX-Request, Cookie"
    return response


def _tax_of_today(order: Order) -> None:
    """The review shows what placing will make of the order: a draft is taxed by what its customer's rate is then."""
    if order.status in lifecycle.REPRICED:
        lifecycle.taxed(order)
        order.apply_totals()


@require_POST
def check(request: SellerRequest, number: str) -> HttpResponse:
    """Have the vendors asked what they would refuse; the review page shows their answer as it comes."""
    shown = _shown(request, scoped(request, number))

    def work() -> str:
        asking.ask(shown.order, by=request.user)
        return f"{reverse('orders:order-place', args=[shown.order.number])}#vendor-check"

    return act(request, shown, shown.place, work)


@require_POST
def retry(request: SellerRequest, number: str) -> HttpResponse:
    """A new attempt with the same content; the fix, if one was needed, was saved before."""
    shown = _shown(request, scoped(request, number))

    def work() -> str:
        order = lifecycle.retry(shown.order, by=request.user)
        messages.success(request, f"Order {order.number} goes to the vendor again.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.retry, work)


@require_POST
def duplicate(request: SellerRequest, number: str) -> HttpResponse:
    """A new order of the same content at today's prices, of any order that the seller can see."""
    shown = _shown(request, scoped(request, number))

    def work() -> str:
        order, gone = lifecycle.duplicate(shown.order, by=request.user)
        changed = _price_changes(shown.order, order)
        messages.success(request, f"{order.number} is a copy of {number} at today’s prices{'' if changed else ', which are the same'}.")
        if changed:
            messages.warning(request, f"Other prices than in {number}: {'; '.join(changed)}.")
        if gone:
            messages.warning(request, f"Not sold any more and left out: {', '.join(gone)}.")
        return reverse("orders:order-edit", args=[order.number])

    return act(request, shown, permissions.can_write(request.membership), work)


def _price_changes(before: Order, after: Order) -> list[str]:
    """Each item that costs one unit otherwise than before, in words."""
    old: dict[tuple[int, str, str], list[OrderLine]] = {}
    for line in before.lines.all():
        old.setdefault((line.offer_id, line.term, line.billing_cycle), []).append(line)
    found = []
    for line in after.lines.all():
        same = old[line.offer_id, line.term, line.billing_cycle].pop(0)
        if (same.unit_price, before.currency) != (line.unit_price, after.currency):
            prices = formats.money(same.unit_price, before.currency), formats.money(line.unit_price, after.currency)
            found.append(f"{line.title} {prices[0]} → {prices[1]} {line.per_label}")
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def close(request: SellerRequest, number: str) -> HttpResponse:
    """GET: what closing means; it can't be undone. POST: close the failed order."""
    shown = _shown(request, scoped(request, number))
    if request.method != "POST":
        if not permissions.can_write(request.membership):
            return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
        if not shown.close:
            return conflict(request, shown.order, shown.close.reason)
        return _close_page(request, shown, CloseForm())
    form = CloseForm(request.POST)
    if shown.close and not form.is_valid():
        return _close_page(request, shown, form, status=422)

    def work() -> str:
        order = lifecycle.close(shown.order, by=request.user, reason=form.cleaned_data["reason"])
        messages.success(request, f"Order {order.number} is closed and lies in Historical.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.close, work)


def _close_page(request: SellerRequest, shown: Shown, form: CloseForm, status: int = 200) -> HttpResponse:
    context = {"shown": shown, "order": shown.order, "form": form, "token": submissions.new_token()}
    return render(request, "orders/order_close.html", context, status=status)


@require_POST
def reprice(request: SellerRequest, number: str) -> HttpResponse:
    """Use today's prices. What is no longer sold keeps its price until the seller exchanges it."""
    shown = _shown(request, scoped(request, number))
    version = request.POST.get("version", "")

    def work() -> str:
        prices = {change.line.position: change.new for change in pricing.changes_of(shown.order) if change.new}
        if not prices:
            raise Refusal("The prices of this order are today’s already.")
        if not (version.isascii() and version.isdecimal() and len(version) < 10):
            raise Refusal("The page was not whole. Reload it and press again.")
        order = lifecycle.reprice(shown.order, prices, by=request.user, version=int(version))
        messages.success(request, f"Order {order.number} has today’s prices.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, permissions.can_edit(shown.order, request.membership), work)


@require_POST
def delete(request: SellerRequest, number: str) -> HttpResponse:
    """Remove from the cart; the page that follows offers Undo."""
    shown = _shown(request, scoped(request, number))

    def work() -> str:
        order = lifecycle.delete(shown.order, by=request.user)
        messages.success(request, f"Order {order.number} was deleted. Undo makes a new order with the same items.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.delete, work)


@require_POST
def undo(request: SellerRequest, number: str) -> HttpResponse:
    """A new order with the content of a deleted one; a second press opens the first one's order."""
    shown = _shown(request, scoped(request, number))

    def work() -> str:
        order = lifecycle.undo(shown.order, by=request.user)
        messages.success(request, f"Order {order.number} has the items of {shown.order.number}.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.undo, work)


@require_POST
def stop(request: SellerRequest, number: str) -> HttpResponse:
    """Stop waiting for a busy vendor while nothing was sent."""
    shown = _shown(request, scoped(request, number))

    def work() -> str:
        order = lifecycle.stop_waiting(shown.order, by=request.user)
        messages.success(request, f"We stopped waiting for order {order.number}. Nothing was sent.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.stop, work)


@require_POST
def note(request: SellerRequest, number: str) -> HttpResponse:
    """Add a note; Historical orders take notes too."""
    order = scoped(request, number)
    form = NoteForm(request.POST)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if not form.is_valid():
        return order_page(request, order, note_form=form, status=422)

    def work() -> str:
        lifecycle.add_note(order, form.cleaned_data["text"], by=request.user)
        return f"{reverse('orders:order-detail', args=[order.number])}#timeline"

    try:
        return redirect(submissions.once(request, work))
    except submissions.OtherContent:
        return other_content(request)


def _cancel_days(order: Order) -> int:
    """Days in which everything of the order may still be cancelled; 0 when a vendor has no such window."""
    windows = [line.offer.vendor.capabilities.cancel_window for line in order.lines.all()]
    return min((window.days if window else 0 for window in windows), default=0)


def _shown(request: SellerRequest, order: Order) -> Shown:
    return show(order, request.membership, Catalogue())


def act(request: SellerRequest, shown: Shown, allowed: permissions.Answer, work: Callable[[], str]) -> HttpResponse:
    """Do `work` once for this press. A role that may not: 403. A state that may not: 409, unless this press did it already."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))

    def checked() -> str:
        if not allowed:
            raise Refusal(allowed.reason)
        return work()

    try:
        return redirect(submissions.once(request, checked))
    except submissions.OtherContent:
        return other_content(request)
    except Refusal as refusal:
        return conflict(request, shown.order, str(refusal))
    except TransitionNotAllowed:
        return conflict(request, shown.order, "Somebody else was faster: the order is in another status now.")
