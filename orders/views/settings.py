"""Settings of the whole seller, for seller admins."""

from django.contrib import messages
from django.core.files.base import ContentFile
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders import contacts, formats, permissions, submissions
from orders.forms.orders import errors_of
from orders.forms.settings import PARTS, LogoForm, SettingsForm, TaxRateForm, record
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


@require_safe
def logo(request: SellerRequest) -> FileResponse:
    """The seller's logo, for everybody who works for him."""
    if not request.seller.logo:
        raise Http404
    try:
        return FileResponse(request.seller.logo.open("rb"), content_type="image/png")
    except FileNotFoundError:
        raise Http404 from None


@require_POST
def change_logo(request: SellerRequest) -> HttpResponse:
    """Another logo, or with `action=remove` none."""
    if not (allowed := permissions.can_manage(request.membership)):
        return forbidden(request, Exception(allowed.reason))
    if request.POST.get("action") == "remove":
        _keep_logo(request, None)
        messages.success(request, "Logo removed.")
        return redirect("orders:settings")
    form = LogoForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, SettingsForm(instance=request.seller), form, status=422)
    _keep_logo(request, form.cleaned_data["logo"])
    messages.success(request, "Logo saved.")
    return redirect("orders:settings")


def _keep_logo(request: SellerRequest, content: ContentFile[bytes] | None) -> None:
    """Point the seller at the new file, then delete the old one: an interruption leaves a file too many, never one too few."""
    with transaction.atomic():
        seller = Seller.objects.select_for_update().get(pk=request.seller.pk)
        old = seller.logo.name
        if content is None:
            seller.logo = ""
        else:
            seller.logo.save(str(content.name), content, save=False)
        seller.save(update_fields=["logo"])
        if old or content:
            record(seller, "logo", request.user, "Logo removed" if content is None else "Logo replaced" if old else "Logo added")
        if old:
            transaction.on_commit(lambda: seller.logo.storage.delete(old))


@require_http_methods(["GET", "HEAD", "POST"])
def tax_rates(request: SellerRequest) -> HttpResponse:
    """GET: the tax of each country that has its own. POST: save one, or with `action=remove` take one away."""
    if not (allowed := permissions.can_manage(request.membership)):
        return forbidden(request, Exception(allowed.reason))
    if request.method != "POST":
        return _tax_page(request, TaxRateForm())
    if request.POST.get("action") == "remove":
        return _remove_tax(request, request.POST.get("country", ""))
    form = TaxRateForm(request.POST)
    if not form.is_valid():
        return _tax_page(request, form, status=422)
    with transaction.atomic():
        rate = form.save_by(request.user, request.seller)
    messages.success(request, f"New customers in {contacts.country_name(rate.country)} are charged {formats.number(rate.percent)} %.")
    return redirect("orders:tax-rates")


def _remove_tax(request: SellerRequest, country: str) -> HttpResponse:
    with transaction.atomic():
        # By what a country's code can be: a text that is none finds nothing.
        rate = request.seller.tax_rates.filter(country=country).first() if country.isascii() and country.isalpha() else None
        if rate:
            rate.delete()
            record(
                request.seller,
                "tax_rate",
                request.user,
                f"Tax in {contacts.country_name(country)}: {formats.number(rate.percent)} became the default",
            )
            messages.success(request, f"New customers in {contacts.country_name(country)} are charged the default.")
    return redirect("orders:tax-rates")


def _tax_page(request: SellerRequest, form: TaxRateForm, *, status: int = 200) -> HttpResponse:
    rates = [(rate, contacts.country_name(rate.country)) for rate in request.seller.tax_rates.all()]
    rates.sort(key=lambda pair: pair[1])
    return render(
        request, "orders/tax_rates.html", {"form": form, "rates": rates, "errors": errors_of(form) if form.is_bound else []}, status=status
    )


def _page(request: SellerRequest, form: SettingsForm, logo_form: LogoForm | None = None, *, status: int = 200) -> HttpResponse:
    bound = [one for one in (form, logo_form) if one and one.is_bound]
    errors = [pair for one in bound for pair in errors_of(one)]
    context = {
        "logo_form": logo_form or LogoForm(),
        "parts": [(title, [form[name] for name in names]) for title, names in PARTS],
        "errors": errors,
        "token": submissions.new_token(),
        "changes": request.seller.changes.all()[:CHANGES_SHOWN],
    }
    return render(request, "orders/settings.html", context, status=status)
