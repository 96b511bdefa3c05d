"""Starting an order, editing it, and fixing one that failed: one screen."""

import enum
from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from orders import acceptance, addons, checklist, lifecycle, permissions, quote_templates, submissions
from orders.catalogue import Filters, apply
from orders.checklist import Wanted
from orders.failures import Catalogue, Explanation, why_not_retry
from orders.forms import row_edits
from orders.forms.customers import CustomerForm, StaleCustomer
from orders.forms.orders import HEAD_FIELDS, LineAmount, LineForm, OrderLinesForm, errors_of
from orders.lifecycle import Refusal, StaleVersion
from orders.models import Offer, Order, OrderLine, QuoteTemplate
from orders.paging import words
from orders.scoping import SellerRequest
from orders.statuses import OrderStatus
from orders.views.catalogue import offers_shown
from orders.views.errors import forbidden
from orders.views.order_page import price_changes, scoped
from orders.views.refusals import conflict
from orders.views.versions import versions

AUTOSAVE = "autosave"
NOW_DRAFT = "This order is a Draft now: a Microsoft offer can’t be in Start. Nothing you typed was lost."
# Where a button leads that saves and does not only save.
AFTER_SAVE = {
    "review": "orders:order-place",
    "send": "orders:order-send",
    "preview": "orders:order-preview",
    "template": "orders:order-template",
}
# Of what matches, how many are looked at, so that what can be bought comes first, and how many are shown.
SEARCHED, HITS = 40, 8


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SellerRequest) -> HttpResponse:
    """A new order: Start while its vendors allow a cart, else Draft. Autosave makes it as soon as it can be saved."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if request.method != "POST":
        return _page(request, _blank(request))
    action = request.POST.get("action", "")
    if _only_shows(action):
        return _page(request, OrderLinesForm.draft(request.seller, None, request.POST, action), is_typed=True)
    form = OrderLinesForm.sent(request.seller, None, request.POST)
    if action == AUTOSAVE:
        return _autosave_new(request, form) if form.is_valid() else _page(request, form, state=SaveState.INCOMPLETE)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        return redirect(submissions.once(request, lambda: _save_new(request, form)))
    except submissions.OtherContent:
        return _sent_before(request, form, None)
    except Refusal as refusal:
        form.head.add_error(None, str(refusal))
        return _page(request, form, status=409)


def _blank(request: SellerRequest) -> OrderLinesForm:
    """From the address: the customer, the template, and whether it shall be a quote, which a template always makes."""
    template, token = _template(request, request.GET.get("template", "")), submissions.new_token()
    as_quote = template is not None or "quote" in request.GET
    return OrderLinesForm.blank(request.seller, token, request.GET.get("customer", ""), template, as_quote=as_quote)


def _template(request: SellerRequest, pk: str) -> QuoteTemplate | None:
    """The seller's template of this number, if there is one."""
    is_number = pk.isascii() and pk.isdecimal() and len(pk) < 10
    return quote_templates.of(request.seller).filter(pk=int(pk)).first() if is_number else None


def _save_new(request: SellerRequest, form: OrderLinesForm) -> str:
    """Make the order, or go on with the one that an autosave of this form made a moment ago; returns where to go."""
    order, is_made_now = _made(request, form)
    if not is_made_now:
        order = _write(request, order, form)
    _make_quote(request, order)
    return reverse(AFTER_SAVE.get(request.POST.get("action", ""), "orders:order-detail"), args=[order.number])


def _made(request: SellerRequest, form: OrderLinesForm) -> tuple[Order, bool]:
    """The one order of this form, and whether it was made now. Raises OtherContent when its maker no longer is this form."""
    head, made = form.head.cleaned_data, []

    def work() -> str:
        token = head["token"] if request.POST.get("action") == AUTOSAVE else ""
        made.append(
            lifecycle.create(
                head["customer"],
                form.inputs(),
                by=request.user,
                reference=head["reference"],
                as_cart=not head["as_quote"],
                token=token,
                texts=form.head.texts(),
            ),
        )
        return made[0].number

    try:
        number = submissions.once(request, work, step="made")
    except submissions.OtherContent:
        order = Order.objects.for_seller(request.seller).filter(editor_token=head["token"]).first()
        if order is None:
            raise
        return order, False
    return Order.objects.for_seller(request.seller).for_list().get(number=number), bool(made)


def _autosave_new(request: SellerRequest, form: OrderLinesForm) -> HttpResponse:
    """Make the order and let the page go on as the page of that order; a repeat whose first answer was lost finds it again."""
    try:
        order, is_made_now = _made(request, form)
    except submissions.OtherContent:
        # A button overtook it. Nobody waits for this answer, and whoever still types here hears the rest from the button.
        return _page(request, form, state=SaveState.BY_BUTTON)
    except Refusal as refusal:
        form.head.add_error(None, str(refusal))
        return _page(request, form, state=SaveState.INCOMPLETE)
    if is_made_now:
        response = _page(request, form, order=order, state=SaveState.SAVED)
    else:
        response = _autosave(request, order, OrderLinesForm.sent(request.seller, order, request.POST), None)
    response["HX-Replace-Url"] = reverse("orders:order-edit", args=[order.number])
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SellerRequest, number: str) -> HttpResponse:
    """The same screen for an order that exists; on a failed one with the customer's details and Save and retry."""
    order = scoped(request, number)
    allowed = permissions.can_edit(order, request.membership)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    if not allowed:
        return conflict(request, order, allowed.reason)
    fix, customer_form = _fix(request, order), _details(request, order)
    if request.method != "POST":
        return _page(request, OrderLinesForm.of(order, submissions.new_token()), order=order, customer_form=customer_form, fix=fix)
    action = request.POST.get("action", "")
    if _only_shows(action):
        draft = OrderLinesForm.draft(request.seller, order, request.POST, action)
        return _page(request, draft, order=order, customer_form=customer_form, fix=fix, is_typed=True)
    form = OrderLinesForm.sent(request.seller, order, request.POST)
    if action == AUTOSAVE:
        return _autosave(request, order, form, customer_form)
    # All are asked, so that all problems show at once.
    if not all([form.is_valid(), customer_form is None or customer_form.is_valid(), _is_about_one_customer(form, customer_form)]):
        return _page(request, form, order=order, customer_form=customer_form, fix=fix, status=422)
    try:
        return redirect(submissions.once(request, lambda: _save(request, order, form, customer_form)))
    except StaleCustomer:
        customer_form = _details(request, scoped(request, number))
        return _page(request, form, order=order, customer_form=customer_form, fix=fix, status=409)
    except submissions.OtherContent:
        return _sent_before(request, form, order, customer_form)
    except StaleVersion:
        theirs = scoped(request, number)
        return _page(request, form, order=theirs, customer_form=customer_form, fix=fix, state=SaveState.STALE, status=409)
    except Refusal as refusal:
        form.head.add_error(None, str(refusal))
        return _page(request, form, order=order, customer_form=customer_form, fix=fix, status=409)


def _details(request: SellerRequest, order: Order) -> CustomerForm | None:
    """The customer's details, where correcting them is the fix: on a failed order, whose customer can't be exchanged any more.

    While he can be, details on the same page would be of the one who was chosen before. Whoever sends them all the same is
    checked against the order's customer.
    """
    if request.method != "POST":
        return CustomerForm(instance=order.customer) if order.status == OrderStatus.PROVISIONING_FAILED else None
    if "customer_version" not in request.POST:
        return None
    if _only_shows(request.POST.get("action", "")):
        return CustomerForm(instance=order.customer, initial=request.POST.dict())
    return CustomerForm(request.POST, instance=order.customer)


def _is_about_one_customer(form: OrderLinesForm, customer_form: CustomerForm | None) -> bool:
    """Whether the details are of the customer that the order is for; else they say so, and nothing is saved."""
    chosen = form.head.cleaned_data.get("customer")
    if customer_form is None or chosen is None or chosen.pk == customer_form.instance.pk:
        return True
    customer_form.add_error(
        None, f"These are not the details of {chosen.name}. Nothing was saved; correct the details on the customer’s page."
    )
    return False


def _save(request: SellerRequest, order: Order, form: OrderLinesForm, customer_form: CustomerForm | None) -> str:
    """Save details and lines together, then do what the pressed button says; returns where to go."""
    with transaction.atomic():
        # The order first: it is locked by it, so that the details can't be of whom it was for a moment ago.
        saved = _write(request, order, form)
        if customer_form:
            customer_form.save_for()
        if order.status == OrderStatus.START and saved.status == OrderStatus.DRAFT:
            messages.warning(request, NOW_DRAFT)
        _make_quote(request, saved)
        if request.POST.get("action") == "retry":
            _refuse_retry(request, saved)
            lifecycle.retry(saved, by=request.user)
            messages.success(request, f"Order {order.number} goes to the vendor again.")
            return reverse("orders:order-detail", args=[order.number])
    if page := AFTER_SAVE.get(request.POST.get("action", "")):
        return reverse(page, args=[order.number])
    messages.success(request, f"Order {order.number} saved.")
    return reverse("orders:order-detail", args=[order.number])


def _make_quote(request: SellerRequest, order: Order) -> None:
    """Who sends a cart to the customer makes a quote of it."""
    if request.POST.get("action") == "send" and order.status == OrderStatus.START:
        lifecycle.keep_as_quote(order, by=request.user)


def _refuse_retry(request: SellerRequest, order: Order) -> None:
    """Raise Refusal when the order, as it is saved now, may not be sent again: nothing of this step is kept then."""
    saved = scoped(request, order.number)
    if why := why_not_retry(Catalogue().explain(saved)):
        raise Refusal(why)


def _write(request: SellerRequest, order: Order, form: OrderLinesForm) -> Order:
    """The lines as sent. "Keep mine" saves over the version that the person was shown, and over no later one."""
    head, version = form.head.cleaned_data, form.head.cleaned_data["version"]
    if request.POST.get("action") == "keep-mine" and (theirs := request.POST.get("their_version", "")).isdecimal() and theirs.isascii():
        version = int(theirs[:9])
    return lifecycle.edit(
        order,
        form.inputs(),
        by=request.user,
        version=version,
        reference=head["reference"],
        customer=head["customer"],
        token=head["token"],
        # An autosave that was sent before a button was pressed, and comes after it, changes nothing any more.
        keeps_editing=request.POST.get("action") == AUTOSAVE,
        texts=form.head.texts(),
        reason=head["change_reason"],
    )


def _autosave(request: SellerRequest, order: Order, form: OrderLinesForm, customer_form: CustomerForm | None) -> HttpResponse:
    """Save what can be saved while somebody types. A failed order is saved by its buttons: its items are with the reason."""
    if order.status == OrderStatus.PROVISIONING_FAILED:
        return _page(request, form, order=order, customer_form=customer_form, state=SaveState.BY_BUTTON)
    if not form.is_valid():
        return _page(request, form, order=order, customer_form=customer_form, state=SaveState.INCOMPLETE)
    try:
        saved = _write(request, order, form)
    except StaleVersion:
        return _page(request, form, order=scoped(request, order.number), customer_form=customer_form, state=SaveState.STALE)
    except Refusal as refusal:
        form.head.add_error(None, str(refusal))
        return _page(request, form, order=order, customer_form=customer_form, state=SaveState.INCOMPLETE)
    if order.status == OrderStatus.START and saved.status == OrderStatus.DRAFT:
        messages.warning(request, NOW_DRAFT)
    return _page(request, form, order=scoped(request, saved.number), state=SaveState.SAVED)


def _sent_before(
    request: SellerRequest, form: OrderLinesForm, order: Order | None, customer_form: CustomerForm | None = None
) -> HttpResponse:
    """The form came back with other content, after Back for example: it is shown as typed, to be saved as a new one."""
    form.head.add_error(None, "This form was sent before with other content. Nothing was done twice; look at it and save it again.")
    return _page(request, form, order=order, customer_form=customer_form, token=submissions.new_token(), status=422)


def _only_shows(action: str) -> bool:
    """Is this a button that saves nothing: search, sums, and what it does to rows?"""
    return action in {"search", "customers", "totals"} or action.startswith(row_edits.VERBS)


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


class SaveState(enum.Enum):
    """What stands beside the heading about saving."""

    NOTHING = ""
    SAVED = "saved"
    INCOMPLETE = "Not saved yet: something is still missing"
    BY_BUTTON = "Not saved yet: use the buttons"
    STALE = "Not saved: somebody else changed this order"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the form with its money, the title of its base if it is an add-on, and what can be added under it.

    `focus` is the button, up or down, that was pressed and keeps the focus.
    """

    form: LineForm
    amount: LineAmount | None
    base: str
    addons: list[Offer]
    can_up: bool
    can_down: bool
    focus: str


def _rows(form: OrderLinesForm, amounts: list[LineAmount | None], *, with_addons: bool) -> list[Row]:
    """Each add-on after its base."""
    offered, base, rows = form.addons() if with_addons else {}, form.base_of(), []
    for index in addons.in_order(base):
        line, above = form.lines[index], form.lines[at].chosen if (at := base[index]) is not None else None
        # Two lines of one offer: what can be added is said once.
        more = offered.pop(line.chosen.pk, []) if line.chosen else []
        beside = row_edits.siblings(base, index)
        can_up, can_down = beside[0] != index, beside[-1] != index
        focus = _kept_focus(form, index, can_up=can_up, can_down=can_down)
        rows.append(Row(line, amounts[index], above.title if above else "", more, can_up, can_down, focus))
    return rows


def _kept_focus(form: OrderLinesForm, index: int, *, can_up: bool, can_down: bool) -> str:
    """At an end of the list there is only the other button."""
    if form.edits is None or not form.edits.moved or form.edits.focused != index:
        return ""
    return {"up": "up" if can_up else "down", "down": "down" if can_down else "up"}[form.edits.moved]


def _page(
    request: SellerRequest,
    form: OrderLinesForm,
    *,
    order: Order | None = None,
    customer_form: CustomerForm | None = None,
    fix: Fix | None = None,
    state: SaveState = SaveState.NOTHING,
    token: str = "",
    is_typed: bool = False,
    status: int = 200,
) -> HttpResponse:
    """The screen. `is_typed`: it shows what is not saved yet, so that script saves it at once."""
    errors = [*(errors_of(customer_form) if customer_form else []), *form.errors] if form.data is not None else []
    action = request.POST.get("action", "") if request.method == "POST" else ""
    if is_typed:
        _focus_on_line(form)
    elif not errors and fix:
        _put_focus(fix.field, form, customer_form, described_by="fix-reason")
    elif errors:
        _put_focus(_first_wrong(form, customer_form), form, customer_form)
    explanations = Catalogue().explain(order) if order and order.status == OrderStatus.PROVISIONING_FAILED else []
    priced = _priced(request, form, order)
    is_quote = order.status == OrderStatus.DRAFT and order.kind == Order.Kind.NEW if order else bool(form.head["as_quote"].value())
    agreed = acceptance.binding(order) if order else None
    context = {
        "accepted": agreed,
        "otherwise": acceptance.differences(order, agreed) if order and agreed else None,
        "form": form,
        "rows": _rows(form, priced.amounts(), with_addons=not explanations),
        "order": order,
        "customer_form": customer_form,
        "fix": fix,
        "errors": errors if state is SaveState.NOTHING else [],
        "totals": priced.totals(),
        "currency": form.currency,
        "explanations": explanations,
        "no_retry": why_not_retry(explanations, may_change_domain=True),
        "is_failed": bool(explanations),
        "changes": price_changes(request, order) if order else [],
        "reprice_token": submissions.new_token(),
        "state": state,
        "versions": versions(form, order) if state is SaveState.STALE and order else None,
        "version": order.version if order and state is SaveState.SAVED else form.head["version"].value(),
        "token": token or form.head["token"].value(),
        "is_typed": is_typed,
        "edits": form.edits,
        "focus_search": is_typed and (form.edits is None or form.edits.focused is None) and action != "paste",
        "focus_paste": action == "paste" and form.edits is not None and bool(form.edits.unknown),
        "margin": priced.margin(),
        "has_templates": order is None and quote_templates.of(request.seller).exists(),
        "is_quote": is_quote,
        "menu": "quotes" if is_quote else "",
        "may_send": order is None or (order.status in {OrderStatus.START, OrderStatus.DRAFT} and order.kind == Order.Kind.NEW),
        "revision": (order.revisions.count() if order else 0) + 1 if is_quote else 0,
        "unfinished": priced.unfinished,
        "has_sum": not priced.lines or priced.unfinished < len(priced.lines),
        "checks": _checks(request, priced, order, is_quote=is_quote),
        **_found(request, form, action),
    }
    response = render(request, "orders/order_form.html", context, status=status)
    if state is SaveState.SAVED:
        # For the script: nothing is lost when the page is left now.
        response["X-Saved"] = "yes"
    return response


def _checks(request: SellerRequest, form: OrderLinesForm, order: Order | None, *, is_quote: bool) -> list[checklist.Check]:
    """All points about what is on the screen, those that block first."""
    found = checklist.checks(form.customer, _wanted(form), order)
    if is_quote and form.head.is_valid() and form.lines:
        head, has_firm = form.head.cleaned_data, any(not line["is_optional"].value() for line in form.lines)
        found += checklist.quote_checks(request.seller, head["recipients"], head["valid_until"], has_firm=has_firm)
    return sorted(found, key=lambda check: (check.is_good, not check.blocks))


def _wanted(form: OrderLinesForm) -> list[Wanted]:
    """The lines for the checklist, with why each can't be bought now and the field that says so."""
    found = []
    for line in form.lines:
        if line.chosen is None:
            continue
        wrong = [(line[name].id_for_label, str(texts[0])) for name, texts in line.errors.items()]
        customer = form.customer
        if not wrong and customer and line.chosen.segment != customer.segment:
            wrong = [(line["offer"].id_for_label, f"only for the segment {line.chosen.segment}; this customer is {customer.segment}.")]
        link, why = wrong[0] if wrong else (line["quantity"].id_for_label, "")
        quantity = line.cleaned_data.get("quantity") if line.is_bound else None
        found.append(Wanted(line.chosen, str(line["plan"].value() or ""), quantity or 0, why, f"#{link}"))
    return found


def _found(request: SellerRequest, form: OrderLinesForm, action: str) -> dict[str, object]:
    """What the search of the catalogue found, and the line that the choice would replace."""
    post = request.POST
    replacing = post.get("replacing", "")
    if action.startswith("replace-"):
        replacing = action.removeprefix("replace-")
    if action.startswith("add-") or not (replacing.isascii() and replacing.isdecimal() and int(replacing) < len(form.lines)):
        replacing = ""
    q = words(post.get("q", "")) if action == "search" else ""
    if not q:
        return {"q": "", "hits": None, "replacing": replacing}
    filters = Filters(q, "", "", "")
    offers = apply(Offer.objects.for_catalogue().select_related("vendor"), filters, form.place).order_by("title", "id")[:SEARCHED]
    hits = sorted(offers_shown(list(offers), form.place, request.seller), key=lambda hit: bool(hit.why))[:HITS]
    return {"q": q, "hits": hits, "replacing": replacing}


def _priced(request: SellerRequest, form: OrderLinesForm, order: Order | None) -> OrderLinesForm:
    """A bound twin of a form that only shows something, so that its money can be computed by the same rules."""
    if form.data is not None:
        return form
    data = QueryDict(mutable=True)
    for name in HEAD_FIELDS:
        data[name] = str(form.head.initial.get(name) or "")
    for line in form.lines:
        for field, value in line.initial.items():
            data[line.add_prefix(field)] = str(value)
    return OrderLinesForm.sent(request.seller, order, data)


def _focus_on_line(form: OrderLinesForm) -> None:
    """After Add, Remove and Undo: the quantity of the line to look at. The search field takes the focus in the template for all else."""
    if form.edits and form.edits.focused is not None and not form.edits.moved:
        form.lines[form.edits.focused].fields["quantity"].widget.attrs["autofocus"] = True


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
