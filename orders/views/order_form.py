"""Starting an order, editing it, and fixing one that failed: one screen."""

from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from orders import lifecycle, permissions, submissions
from orders.failures import Catalogue, Explanation, why_not_retry
from orders.forms.customers import CustomerForm
from orders.forms.orders import LineAmount, LineForm, OrderLinesForm, errors_of
from orders.lifecycle import Refusal, StaleVersion
from orders.models import Order, OrderLine
from orders.scoping import SellerRequest
from orders.statuses import OrderStatus
from orders.views.errors import forbidden
from orders.views.order_page import price_changes, scoped
from orders.views.refusals import conflict, other_content


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SellerRequest) -> HttpResponse:
    """A new order: Start while its vendors allow a cart, else Draft."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if request.method != "POST":
        return _page(request, OrderLinesForm.blank(request.seller, submissions.new_token(), request.GET.get("customer", "")))
    if draft := _draft(request, None):
        return _page(request, draft)
    form = OrderLinesForm.sent(request.seller, None, request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)

    def work() -> str:
        head = form.head.cleaned_data
        order = lifecycle.create(head["customer"], form.inputs(), by=request.user, reference=head["reference"])
        name = "orders:order-place" if request.POST.get("action") == "review" else "orders:order-detail"
        return reverse(name, args=[order.number])

    try:
        return redirect(submissions.once(request, work))
    except submissions.OtherContent:
        return other_content(request)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SellerRequest, number: str) -> HttpResponse:
    """The same screen for an order that exists; on a failed one with the customer's details and Save and retry."""
    order = scoped(request, number)
    allowed = permissions.can_edit(order, request.membership)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if not allowed:
        return conflict(request, order, allowed.reason)
    fix = _fix(request, order)
    if request.method != "POST":
        form = OrderLinesForm.of(order, submissions.new_token())
        return _page(request, form, order=order, customer_form=CustomerForm(instance=order.customer), fix=fix)
    if draft := _draft(request, order):
        typed = CustomerForm(instance=order.customer, initial=request.POST.dict())
        return _page(request, draft, order=order, customer_form=typed, fix=fix)
    form = OrderLinesForm.sent(request.seller, order, request.POST)
    customer_form = CustomerForm(request.POST, instance=order.customer)
    # Both are asked, so that all problems show at once.
    if not all([form.is_valid(), customer_form.is_valid()]):
        return _page(request, form, order=order, customer_form=customer_form, fix=fix, status=422)
    try:
        return redirect(submissions.once(request, lambda: _save(request, order, form, customer_form)))
    except submissions.OtherContent:
        return other_content(request)
    except StaleVersion as refusal:
        form.head.add_error(None, f"{refusal} Open the order in a second tab to compare; saving from here is off until you reload.")
        return _page(request, form, order=order, customer_form=customer_form, fix=fix, status=409)
    except Refusal as refusal:
        form.head.add_error(None, str(refusal))
        return _page(request, form, order=order, customer_form=customer_form, fix=fix, status=409)


def _save(request: SellerRequest, order: Order, form: OrderLinesForm, customer_form: CustomerForm) -> str:
    """Save details and lines together, then do what the pressed button says; returns where to go."""
    head = form.head.cleaned_data
    with transaction.atomic():
        customer_form.save_for()
        customer = head["customer"]
        saved = lifecycle.edit(
            order, form.inputs(), by=request.user, version=head["version"], reference=head["reference"], customer=customer
        )
        if order.status == OrderStatus.START and saved.status == OrderStatus.DRAFT:
            messages.warning(request, "This order is a Draft now: a Microsoft offer can’t be in Start. Nothing you typed was lost.")
        if request.POST.get("action") == "retry":
            lifecycle.retry(saved, by=request.user)
            messages.success(request, f"Order {order.number} goes to the vendor again.")
            return reverse("orders:order-detail", args=[order.number])
    if request.POST.get("action") == "review":
        return reverse("orders:order-place", args=[order.number])
    messages.success(request, f"Order {order.number} saved.")
    return reverse("orders:order-detail", args=[order.number])


def _draft(request: SellerRequest, order: Order | None) -> OrderLinesForm | None:
    """For a button that saves nothing (add, remove, totals): the form with everything that was typed. Else None."""
    action = request.POST.get("action", "")
    if action not in {"add-line", "totals"} and not action.startswith("remove-line-"):
        return None
    removed = action.removeprefix("remove-line-") if action.startswith("remove-line-") else ""
    return OrderLinesForm.draft(request.seller, order, request.POST, add=action == "add-line", remove=removed)


@require_POST
def totals(request: SellerRequest) -> HttpResponse:
    """The sums of a form as typed so far; changes nothing. For those who may see the form."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    form = OrderLinesForm.sent(request.seller, None, request.POST)
    return render(request, "orders/order_form.html#totals", {"totals": form.totals(), "currency": form.currency})


@dataclass(frozen=True, slots=True)
class Fix:
    """The field that a failure asks to correct, and why."""

    explanation: Explanation
    field: str


def _fix(request: SellerRequest, order: Order) -> Fix | None:
    """From ?fix=ID: the reason and the name of the very field in this form."""
    wanted = request.GET.get("fix") or request.POST.get("fix") or ""
    explanations = Catalogue().explain(order)
    for explanation in explanations:
        if wanted == str(explanation.failure.pk):
            return Fix(explanation, _field_name(explanation, order))
    return None


def _field_name(explanation: Explanation, order: Order) -> str:
    """ "contact_email", or "lines-2-quantity" for the refused line; the first line when the vendor named none."""
    field = explanation.reason.fix_field
    if not field.startswith("lines-"):
        return field
    lines: list[OrderLine] = list(order.lines.all())
    named = {line.pk for line in explanation.lines}
    attempt_vendor = explanation.failure.attempt.vendor_id
    index = next((index for index, line in enumerate(lines) if (line.pk in named if named else line.offer.vendor_id == attempt_vendor)), 0)
    return f"lines-{index}-{field.removeprefix('lines-')}"


# --- the page


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the form with its money."""

    form: LineForm
    amount: LineAmount | None


def _page(
    request: SellerRequest,
    form: OrderLinesForm,
    *,
    order: Order | None = None,
    customer_form: CustomerForm | None = None,
    fix: Fix | None = None,
    status: int = 200,
) -> HttpResponse:
    errors = [*(errors_of(customer_form) if customer_form else []), *form.errors] if form.data is not None else []
    if not errors and fix:
        _put_focus(fix.field, form, customer_form, described_by="fix-reason")
    elif errors:
        _put_focus(_first_wrong(form, customer_form), form, customer_form)
    explanations = Catalogue().explain(order) if order and order.status == OrderStatus.PROVISIONING_FAILED else []
    priced = _priced(request, form, order)
    context = {
        "form": form,
        "rows": [Row(line, amount) for line, amount in zip(form.lines, priced.amounts(), strict=False)],
        "order": order,
        "customer_form": customer_form,
        "fix": fix,
        "errors": errors,
        "totals": priced.totals(),
        "currency": form.currency,
        "explanations": explanations,
        "no_retry": why_not_retry(explanations),
        "is_failed": bool(explanations),
        "changes": price_changes(request, order) if order else [],
        "reprice_token": submissions.new_token(),
    }
    return render(request, "orders/order_form.html", context, status=status)


def _priced(request: SellerRequest, form: OrderLinesForm, order: Order | None) -> OrderLinesForm:
    """A bound twin of a form that only shows something, so that its money can be computed by the same rules."""
    if form.data is not None:
        return form
    data = QueryDict(mutable=True)
    data["customer"] = str(form.head.initial.get("customer") or "")
    for line in form.lines:
        for field, value in line.initial.items():
            data[line.add_prefix(field)] = str(value)
    return OrderLinesForm.sent(request.seller, order, data)


def _first_wrong(form: OrderLinesForm, customer_form: CustomerForm | None) -> str:
    for part in (customer_form, form.head, *form.lines):
        for name in part.errors if part is not None else ():
            if part is not None and name in part.fields:
                return part.add_prefix(name)
    return ""


def _put_focus(name: str, form: OrderLinesForm, customer_form: CustomerForm | None, *, described_by: str = "") -> None:
    """Let the page open with the focus in the field called `name`."""
    for part in (customer_form, form.head, *form.lines):
        for field_name, field in part.fields.items() if part is not None else ():
            if part is not None and part.add_prefix(field_name) == name:
                field.widget.attrs["autofocus"] = True
                if described_by:
                    field.widget.attrs["aria-describedby"] = described_by
