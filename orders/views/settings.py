"""Settings of the whole seller, for seller admins."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from orders import permissions, submissions
from orders.forms.orders import errors_of
from orders.forms.settings import PARTS, SettingsForm
from orders.models import Seller
from orders.scoping import SellerRequest
from orders.views.errors import forbidden
from orders.views.refusals import other_content

CHANGES_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
def company(request: SellerRequest) -> HttpResponse:
    """GET: the settings and who changed what. POST: save them all."""
    if not (allowed := permissions.can_manage(request.membership)):
        return forbidden(request, Exception(allowed.reason))
    if request.method != "POST":
        return _page(request, SettingsForm(instance=request.seller))
    # A copy: a form that is refused leaves what it was given in the object, and the page around it shows the seller.
    form = SettingsForm(request.POST, instance=Seller.objects.get(pk=request.seller.pk))
    if not form.is_valid():
        return _page(request, form, status=422)

    def work() -> str:
        with transaction.atomic():
            form.save_by(request.user)
        messages.success(request, "Settings saved.")
        return request.path

    try:
        return redirect(submissions.once(request, work))
    except submissions.OtherContent:
        return other_content(request)


def _page(request: SellerRequest, form: SettingsForm, *, status: int = 200) -> HttpResponse:
    errors = errors_of(form) if form.is_bound else []
    context = {
        "parts": [(title, [form[name] for name in names]) for title, names in PARTS],
        "errors": errors,
        "token": submissions.new_token(),
        "changes": request.seller.changes.all()[:CHANGES_SHOWN],
    }
    return render(request, "orders/settings.html", context, status=status)
