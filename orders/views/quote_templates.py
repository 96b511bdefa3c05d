"""Templates of quotes: the list, saving a draft as one, taking one out of use and bringing it back."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders import permissions, quote_templates, submissions
from orders.forms.quotes import TemplateForm
from orders.lifecycle import Refusal
from orders.models import QuoteTemplate
from orders.scoping import SellerRequest
from orders.views.errors import forbidden
from orders.views.order_page import scoped
from orders.views.refusals import other_content


@require_safe
def template_list(request: SellerRequest) -> HttpResponse:
    """All by name; archived ones behind a view of their own."""
    is_archived = request.GET.get("view") == "archived"
    context = {
        "templates": quote_templates.of(request.seller, is_archived=is_archived)[: quote_templates.MOST_TEMPLATES],
        "is_archived": is_archived,
        "may_write": permissions.can_write(request.membership),
        "token": submissions.new_token(),
        "menu": "quotes",
    }
    return render(request, "orders/template_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def save(request: SellerRequest, number: str) -> HttpResponse:
    """GET: what it shall be called. POST: make it."""
    order = scoped(request, number)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    form = (
        TemplateForm(request.POST) if request.method == "POST" else TemplateForm(initial={"name": f"{order.customer.name}, {number}"[:80]})
    )

    def work() -> str:
        template = quote_templates.save_as_template(order, form.cleaned_data["name"], by=request.user)
        messages.success(request, f"Saved as the template {template.name}.")
        return reverse("orders:template-list")

    if request.method == "POST" and form.is_valid():
        try:
            return redirect(submissions.once(request, work))
        except submissions.OtherContent:
            return other_content(request)
        except Refusal as refusal:
            form.add_error("name", str(refusal))
    context = {
        "order": order,
        "form": form,
        "title": "Save as template",
        "heading": f"Save {order.number} as a template",
        "text": "Items, discounts, the note to the customer and the days of validity. Prices are those of the day it is used.",
        "button": "Save template",
        "token": submissions.new_token(),
    }
    return render(request, "orders/quote_verb.html", context, status=422 if request.method == "POST" else 200)


@require_POST
def archive(request: SellerRequest, pk: int) -> HttpResponse:
    """Out of use."""

    def do(template: QuoteTemplate) -> str:
        quote_templates.archive(template)
        return f"The template {template.name} is archived."

    return _press(request, pk, do)


@require_POST
def restore(request: SellerRequest, pk: int) -> HttpResponse:
    """The undo of archiving."""

    def do(template: QuoteTemplate) -> str:
        quote_templates.bring_back(template)
        return f"The template {template.name} is back."

    return _press(request, pk, do)


def _press(request: SellerRequest, pk: int, do: Callable[[QuoteTemplate], str]) -> HttpResponse:
    template = get_object_or_404(QuoteTemplate.objects.filter(seller=request.seller), pk=pk)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))

    def work() -> str:
        try:
            messages.success(request, do(template))
        except Refusal as refusal:
            messages.error(request, str(refusal))
        return reverse("orders:template-list")

    try:
        return redirect(submissions.once(request, work))
    except submissions.OtherContent:
        return other_content(request)
