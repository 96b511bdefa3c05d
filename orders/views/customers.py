"""Customers: the list, the page of one, adding, correcting and archiving."""

from dataclasses import dataclass
from decimal import Decimal

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders import contacts, lifecycle, permissions, search, submissions
from orders.checklist import HELD
from orders.failures import Catalogue
from orders.forms.customers import AGREEMENT, COMMERCE, DETAILS, StaleCustomer, WholeCustomerForm
from orders.forms.orders import errors_of
from orders.models import Customer, FailureReason, Order, Subscription
from orders.paging import page_by, words
from orders.progress import Shown, show
from orders.scoping import SellerRequest
from orders.statuses import OrderStatus
from orders.views.errors import forbidden
from orders.views.refusals import other_content

LATEST = 10
FAILED_LIMIT = 50
CART_LIMIT = 50
HELD_LIMIT = 100
# A refusal of the whole address is shown at its first field, and mended in any of them.
MENDED_BY = {"address_line1": ("address_line1", "address_line2", "postal_code", "city", "state", "country")}


@require_safe
def customer_list(request: SellerRequest) -> HttpResponse:
    """All customers by name; archived ones behind a view of their own."""
    get = request.GET
    is_archived, q = get.get("view") == "archived", words(get.get("q", ""))
    customers = Customer.objects.for_seller(request.seller).filter(is_archived=is_archived).with_failures()
    if q:
        customers = customers.filter(search.matching_customers(q))
    context = {
        "page": page_by(customers, "name", after=get.get("after", ""), before=get.get("before", "")),
        "is_archived": is_archived,
        "q": q,
        "may_write": bool(permissions.can_write(request.membership)),
    }
    return render(request, "orders/customer_list.html", context)


@require_safe
def detail(request: SellerRequest, code: str) -> HttpResponse:
    """Everything about one customer, what failed for him first."""
    customer = scoped_customer(request, code)
    orders = Order.objects.for_seller(request.seller).filter(customer=customer).for_list().order_by("-changed_at", "-id")
    catalogue = Catalogue()
    cart = list(orders.filter(status=OrderStatus.START).order_by("-id")[:CART_LIMIT])
    held = Subscription.objects.filter(customer=customer, status__in=HELD).select_related("offer").order_by("offer__title", "id")
    context = {
        "cart": cart,
        "cart_sums": _sums(cart),
        "customer": customer,
        "country": contacts.country_name(customer.country),
        "failed": _failed(request, customer, catalogue),
        "latest": [show(order, request.membership, catalogue) for order in orders[:LATEST]],
        "held": held[:HELD_LIMIT],
        "held_count": held.count(),
        "tenants": customer.tenants.select_related("account__vendor"),
        "may_write": bool(permissions.can_write(request.membership)),
        "token": submissions.new_token(),
    }
    return render(request, "orders/customer_detail.html", context)


def _sums(orders: list[Order]) -> list[tuple[str, Decimal]]:
    """First payments together, by currency."""
    found: dict[str, Decimal] = {}
    for order in orders:
        found[order.currency] = found.get(order.currency, Decimal(0)) + order.first_payment
    return sorted(found.items())


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed order of the customer; `is_corrected`: what it failed for was changed since it was sent."""

    shown: Shown
    is_corrected: bool


def _failed(request: SellerRequest, customer: Customer, catalogue: Catalogue) -> list[Failed]:
    """The customer's failed orders, the latest first."""
    orders = Order.objects.for_seller(request.seller).filter(customer=customer, status=OrderStatus.PROVISIONING_FAILED).for_list()
    found = [show(order, request.membership, catalogue) for order in orders.order_by("-changed_at", "-id")[:FAILED_LIMIT]]
    return [Failed(shown, _is_corrected(shown, customer)) for shown in found]


def _is_corrected(shown: Shown, customer: Customer) -> bool:
    """Whether every reason names a detail of the customer, and each of these is another one than was sent."""
    sent, now = shown.order.customer_snapshot or {}, customer.snapshot()
    reasons = [explanation.reason for explanation in shown.explanations]
    return bool(reasons) and all(any(_differs(sent, now, name) for name in _mended_by(reason)) for reason in reasons)


def _mended_by(reason: FailureReason) -> tuple[str, ...]:
    """The details of which one must be another for the reason to be gone."""
    if reason.fix_field == DETAILS[0] and ":" not in reason.code:
        # "A detail is not accepted": the vendor named no property, so that the fix begins at the first field.
        return DETAILS
    return MENDED_BY.get(reason.fix_field, (reason.fix_field,))


def _differs(sent: dict[str, str], now: dict[str, str], name: str) -> bool:
    # Spacing is no correction: a phone number is saved in international form.
    return name in DETAILS and name in sent and contacts.fold(sent[name]) != contacts.fold(now[name])


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SellerRequest) -> HttpResponse:
    """Add a customer, then go on with an order for him."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    form = WholeCustomerForm(request.POST if request.method == "POST" else None, seller=request.seller)
    if request.method == "POST" and form.is_valid():

        def work() -> str:
            customer = form.save_for(request.seller)
            messages.success(request, f"{customer.name} was added.")
            _warn_of_domain(request, customer)
            return f"{reverse('orders:order-new')}?customer={customer.code}"

        try:
            return redirect(submissions.once(request, work))
        except submissions.OtherContent:
            return other_content(request)
    return _form_page(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SellerRequest, code: str) -> HttpResponse:
    """Correct a customer; what failed for the old details can be retried on his page afterwards."""
    customer = scoped_customer(request, code)
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    form = WholeCustomerForm(request.POST if request.method == "POST" else None, instance=customer, seller=request.seller)
    if request.method == "POST" and form.is_valid():

        def work() -> str:
            saved = form.save_for()
            retaxed = lifecycle.retax(saved, by=request.user) if "tax_rate" in form.changed_data else 0
            _say_saved(request, saved, retaxed)
            _warn_of_domain(request, saved)
            return reverse("orders:customer-detail", args=[saved.code])

        try:
            return redirect(submissions.once(request, work))
        except submissions.OtherContent:
            return other_content(request)
        except StaleCustomer:
            form = WholeCustomerForm(request.POST, instance=scoped_customer(request, code), seller=request.seller)
    # Validation writes into the instance: the page's title and links speak of what is saved.
    return _form_page(request, form, scoped_customer(request, code))


def _warn_of_domain(request: SellerRequest, customer: Customer) -> None:
    if other := customer.others_of_domain().first():
        messages.warning(request, f"{other.name} has the domain {customer.domain}, too. A tenant belongs to one customer.")


def _say_saved(request: SellerRequest, customer: Customer, retaxed: int) -> None:
    """What saving led to: how many orders have another tax now, and how many can be retried because of what was corrected."""
    said = [f"{customer.name} was saved."]
    if retaxed:
        said.append(f"{retaxed} open order{'s have' if retaxed > 1 else ' has'} the new tax.")
    if count := sum(bool(row.is_corrected and row.shown.retry) for row in _failed(request, customer, Catalogue())):
        said.append(f"{count} failed order{'s' if count > 1 else ''} can be retried below.")
    messages.success(request, " ".join(said))


def _form_page(request: SellerRequest, form: WholeCustomerForm, customer: Customer | None) -> HttpResponse:
    errors = errors_of(form) if form.is_bound else []
    first = next((name for name in form.errors if name in form.fields), "") if errors else request.GET.get("fix", "")
    if first in form.fields:
        form.fields[first].widget.attrs["autofocus"] = True
    parts = (("Customer details", DETAILS), ("Segment, currency and tax", COMMERCE), ("Microsoft Customer Agreement", AGREEMENT))
    context = {
        "customer": customer,
        "customer_form": form,
        "parts": [(title, slugify(title), [form[name] for name in names]) for title, names in parts],
        "errors": errors,
        "token": request.POST.get("token") or submissions.new_token(),
    }
    return render(request, "orders/customer_form.html", context, status=422 if errors else 200)


@require_POST
def archive(request: SellerRequest, code: str) -> HttpResponse:
    """Take a customer out of lists and choices; his orders stay. Nothing of his may still be open."""
    customer = scoped_customer(request, code)

    def work() -> str:
        if Order.objects.for_seller(request.seller).recent().filter(customer=customer).exists():
            messages.error(request, f"{customer.name} has orders that can still change. Close or delete them first.")
        else:
            Customer.objects.filter(pk=customer.pk).update(is_archived=True)
            messages.success(request, f"{customer.name} was archived. His orders stay where they are.")
        return reverse("orders:customer-detail", args=[customer.code])

    return _act(request, work)


@require_POST
def restore(request: SellerRequest, code: str) -> HttpResponse:
    """The undo of archiving."""
    customer = scoped_customer(request, code)

    def work() -> str:
        Customer.objects.filter(pk=customer.pk).update(is_archived=False)
        messages.success(request, f"{customer.name} is back among the customers.")
        return reverse("orders:customer-detail", args=[customer.code])

    return _act(request, work)


def _act(request: SellerRequest, work: submissions.Work) -> HttpResponse:
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    try:
        return redirect(submissions.once(request, work))
    except submissions.OtherContent:
        return other_content(request)


def scoped_customer(request: SellerRequest, code: str) -> Customer:
    """The customer of this seller, or 404, which another seller's looks exactly like."""
    return get_object_or_404(Customer.objects.for_seller(request.seller).with_code(code))
