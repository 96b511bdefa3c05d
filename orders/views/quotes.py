"""What a seller does with a quote: preview, PDF, send, and everything while it is with the customer."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders import checklist, lifecycle, logos, permissions, quote_document, quote_pdf, quoting, submissions
from orders.failures import Catalogue
from orders.forms.notes import FloorForm
from orders.forms.quotes import AgreedForm, AnswerForm, ExtendForm, ReasonForm
from orders.lifecycle import Refusal
from orders.models import Order
from orders.progress import Shown, show
from orders.quote_document import Sheet
from orders.scoping import SellerRequest
from orders.views.errors import forbidden
from orders.views.order_actions import act
from orders.views.order_page import scoped
from orders.views.quote_public import as_file
from orders.views.refusals import conflict

# --- before it is sent


@require_safe
def preview(request: SellerRequest, number: str) -> HttpResponse:
    """Exactly what the customer would see if it were sent now."""
    order = scoped(request, number)
    return render(request, "quote/preview.html", {"order": order, "sheet": _sheet(order), "logo_url": _logo_url(request)})


@require_safe
def pdf(request: SellerRequest, number: str) -> HttpResponse:
    """The quote as a file: what is with the customer or was accepted, else what would be sent now."""
    order = scoped(request, number)
    return as_file(quote_pdf.pdf(_sheet(order), logo=logos.of(request.seller.logo)), f"{order.number}.pdf")


def _sheet(order: Order) -> Sheet:
    if link := quoting.standing(order):
        acceptance = getattr(link.revision, "acceptance", None)
        return quote_document.sheet(link.revision.document, link.valid_until, acceptance.chosen if acceptance else ())
    valid_until = order.valid_until or quoting.today(order) + timedelta(days=order.seller.quote_days)
    return quote_document.sheet(quote_document.freeze(order, order.revisions.count() + 1), valid_until)


def _logo_url(request: SellerRequest) -> str:
    return reverse("orders:logo") if request.seller.logo else ""


@require_http_methods(["GET", "HEAD", "POST"])
def send(request: SellerRequest, number: str) -> HttpResponse:
    """GET: what goes to whom, with everything that stands in the way. POST: send it."""
    shown = _shown(request, number)
    if request.method != "POST":
        return _send_page(request, shown)
    form, floor = FloorForm(request.POST), permissions.floor_of(shown.order, request.membership, "send")
    if shown.send and floor and floor.may_pass and not form.is_valid():
        return _send_page(request, shown, form, status=422)

    def work() -> str:
        if blocked := next((check for check in checklist.for_quote(shown.order) if check.blocks), None):
            raise Refusal(f"Not sent. {blocked.text}")
        order = quoting.send(shown.order, by=request.user, reason=form.cleaned_data["reason"] if form.is_valid() else "")
        to = ", ".join(order.quote_recipients)
        messages.success(request, f"Quote {order.number} goes to {to}." if to else f"Quote {order.number} is ready: copy its link.")
        return reverse("orders:order-detail", args=[order.number])

    return act(request, shown, shown.send, work)


def _send_page(request: SellerRequest, shown: Shown, form: FloorForm | None = None, status: int = 200) -> HttpResponse:
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if not shown.send:
        return conflict(request, shown.order, shown.send.reason)
    checks = checklist.for_quote(shown.order)
    context = {
        "shown": shown,
        "order": shown.order,
        "sheet": _sheet(shown.order),
        "logo_url": _logo_url(request),
        "checks": checks,
        "blocked": any(check.blocks for check in checks),
        "floor": permissions.floor_of(shown.order, request.membership, "send"),
        "form": form or FloorForm(),
        "token": submissions.new_token(),
    }
    return render(request, "orders/quote_send.html", context, status=status)


# --- while it is with the customer


@require_http_methods(["GET", "HEAD", "POST"])
def revise(request: SellerRequest, number: str) -> HttpResponse:
    """Take it back to make the next revision from it."""

    def do(order: Order, data: dict[str, str]) -> str:
        quoting.revise(order, by=request.user, reason=data["reason"])
        messages.success(request, f"Quote {number} is a Draft again. The link that was sent says that it is being changed.")
        return reverse("orders:order-edit", args=[number])

    return _with_form(request, number, "revise", ReasonForm, do)


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: SellerRequest, number: str) -> HttpResponse:
    """Take it back. The link says so."""

    def do(order: Order, data: dict[str, str]) -> str:
        quoting.withdraw(order, by=request.user, reason=data["reason"])
        messages.success(request, f"Quote {number} was withdrawn and is a Draft.")
        return reverse("orders:order-detail", args=[number])

    return _with_form(request, number, "withdraw", ReasonForm, do)


@require_http_methods(["GET", "HEAD", "POST"])
def extend(request: SellerRequest, number: str) -> HttpResponse:
    """Another last day."""

    def do(order: Order, data: dict[str, str]) -> str:
        quoting.extend(order, data["valid_until"], by=request.user)  # type: ignore[arg-type]
        messages.success(request, f"Quote {number} has another last day.")
        return reverse("orders:order-detail", args=[number])

    return _with_form(request, number, "extend", ExtendForm, do)


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: SellerRequest, number: str) -> HttpResponse:
    """Write back in the thread."""

    def do(order: Order, data: dict[str, str]) -> str:
        quoting.answer(order, data["text"], by=request.user)
        messages.success(request, "Your answer is with the customer.")
        return f"{reverse('orders:order-detail', args=[number])}#quote"

    return _with_form(request, number, "answer", AnswerForm, do)


@require_http_methods(["GET", "HEAD", "POST"])
def agreed(request: SellerRequest, number: str) -> HttpResponse:
    """The customer agreed otherwise than by his link: who and how, then the review page places it."""

    def do(order: Order, data: dict[str, str]) -> str:
        quoting.record_agreement(order, name=data["name"], how=data["how"], by=request.user)
        return reverse("orders:order-place", args=[number])

    return _with_form(request, number, "agreed", AgreedForm, do)


@require_POST
def remind(request: SellerRequest, number: str) -> HttpResponse:
    """The mail with the link once more."""

    def do(order: Order) -> None:
        quoting.remind(order, by=request.user)
        messages.success(request, "The customer gets the mail again.")

    return _press(request, number, do)


@require_POST
def new_link(request: SellerRequest, number: str) -> HttpResponse:
    """Another link; the old one leads nowhere."""

    def do(order: Order) -> None:
        quoting.new_link(order, by=request.user)
        messages.success(request, "The quote has a new link. The one before leads nowhere any more.")

    return _press(request, number, do)


@require_http_methods(["GET", "HEAD", "POST"])
def approve(request: SellerRequest, number: str) -> HttpResponse:
    """A seller admin lets an order go below the margin floor, for whoever sends, places or retries it."""

    def do(order: Order, data: dict[str, str]) -> str:
        lifecycle.approve_below_floor(order, by=request.user, reason=data["reason"])
        messages.success(request, f"Order {number} may go below the floor at these prices.")
        return reverse("orders:order-detail", args=[number])

    return _with_form(request, number, "approve", FloorForm, do)


# --- what they share


class Words(NamedTuple):
    """What a small page says: the last word of its path, its heading, what happens, its button."""

    title: str
    heading: str
    text: str
    button: str


WORDS = {
    "revise": Words(
        "Revise",
        "Revise quote {}",
        "It becomes a Draft again, with everything in it. The link that was sent stops taking an answer.",
        "Revise",
    ),
    "withdraw": Words(
        "Withdraw", "Withdraw quote {}", "It becomes a Draft again. The customer’s link says that it was withdrawn.", "Withdraw"
    ),
    "extend": Words("Extend", "Extend quote {}", "Only the last day changes: the same revision, the same link.", "Extend"),
    "answer": Words("Answer", "Answer about quote {}", "It stands with the customer’s questions, on both sides.", "Send answer"),
    "agreed": Words(
        "Customer agreed",
        "The customer agreed to quote {}",
        "For an agreement without the link. It is kept with the order; then you review and place it.",
        "Go on to review",
    ),
    "approve": Words(
        "Approve",
        "Approve {} below the floor",
        "It counts for these items and prices. When one changes, it is asked again.",
        "Approve",
    ),
}


def _with_form(
    request: SellerRequest,
    number: str,
    verb: str,
    form_class: type[forms.Form],
    do: Callable[[Order, dict[str, str]], str],
) -> HttpResponse:
    """GET: a small page with the form. POST: do it once."""
    shown = _shown(request, number)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    form = form_class(request.POST) if request.method == "POST" else form_class(initial={"valid_until": shown.order.valid_until})
    if request.method != "POST" or not form.is_valid():
        words = WORDS[verb]
        context = {
            **words._asdict(),
            "heading": words.heading.format(number),
            "order": shown.order,
            "form": form,
            "floor": permissions.floor_of(shown.order, request.membership, "approve") if verb == "approve" else None,
            "token": submissions.new_token(),
        }
        return render(request, "orders/quote_verb.html", context, status=422 if request.method == "POST" else 200)
    return act(request, shown, permissions.can_write(request.membership), lambda: do(shown.order, form.cleaned_data))


def _press(request: SellerRequest, number: str, do: Callable[[Order], None]) -> HttpResponse:
    shown = _shown(request, number)

    def work() -> str:
        do(shown.order)
        return f"{reverse('orders:order-detail', args=[number])}#quote"

    return act(request, shown, permissions.can_write(request.membership), work)


def _shown(request: SellerRequest, number: str) -> Shown:
    return show(scoped(request, number), request.membership, Catalogue())
