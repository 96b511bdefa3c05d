"""Customers. The list and the page come later; an order needs somebody to sell to now."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from orders import permissions, submissions
from orders.forms.customers import CustomerForm
from orders.forms.orders import errors_of
from orders.scoping import SellerRequest
from orders.views.errors import forbidden
from orders.views.refusals import other_content


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SellerRequest) -> HttpResponse:
    """Add a customer, then go on with an order for him."""
    if not permissions.can_write(request.membership):
        return forbidden(request, Exception(permissions.VIEWERS_READ.reason))
    form = CustomerForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():

        def work() -> str:
            customer = form.save_for(request.seller)
            messages.success(request, f"{customer.name} was added.")
            return f"{reverse('orders:order-new')}?customer={customer.code}"

        try:
            return redirect(submissions.once(request, work))
        except submissions.OtherContent:
            return other_content(request)
    errors = errors_of(form) if form.is_bound else []
    if errors:
        first = next((name for name in form.errors if name in form.fields), "")
        if first:
            form.fields[first].widget.attrs["autofocus"] = True
    context = {"customer_form": form, "errors": errors, "token": request.POST.get("token") or submissions.new_token()}
    return render(request, "orders/customer_form.html", context, status=422 if errors else 200)
