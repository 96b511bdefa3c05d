"""The failure catalogue: staff write here what the cards and the help page say."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from orders.admin.site import StaffAdmin, staff_page
from orders.failures import OWN_CODES, UNKNOWN, Catalogue, Explanation
from orders.models import Failure, FailureClass, FailureReason, PurchaseAttempt, Vendor
from orders.vendors import registry

if TYPE_CHECKING:
    ReasonFormBase = forms.ModelForm[FailureReason]
else:
    ReasonFormBase = forms.ModelForm

EXAMPLE_VENDOR = "Microsoft"
SLUG_LENGTH = 60
EXAMPLE_TEXT = "Here stands what the vendor answered, word for word."


class ReasonForm(ReasonFormBase):
    class Meta:
        model = FailureReason
        fields = "__all__"

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug == UNKNOWN.slug:
            raise ValidationError("This anchor belongs to the reason that is shown when no other fits.")
        return slug


class OnlyShown:
    """A form that is checked and shown again, whatever it holds."""

    def is_valid(self) -> bool:
        super().is_valid()  # type: ignore[misc]
        return False


@staff_page(FailureReason)
class FailureReasonAdmin(StaffAdmin):
    form = ReasonForm
    list_display = ("summary", "code", "http_status", "dialect", "who", "retry")
    list_filter = ("who", "retry", "dialect")
    search_fields = ("summary", "short", "code", "slug", "meaning", "fix")
    fieldsets = (
        ("Which answer", {"fields": ("slug", "dialect", "http_status", "code")}),
        ("What we say", {"fields": ("short", "summary", "meaning", "fix"), "description": "{vendor} becomes the vendor’s name."}),
        ("What can be done", {"fields": ("who", "retry", "wait_minutes", "fix_field", "fix_label", "needs_new_domain")}),
        ("The card", {"fields": ("card",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The anchor stays: mails and bookmarks point to it, and the seed file knows the row by it."""
        return ("card", "slug") if obj else ("card",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Preview sends the same form, which then shows what is typed and saves nothing."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        return type("Previewed", (OnlyShown, form), {}) if "_preview" in request.POST else form

    def save_model(self, request: HttpRequest, obj: FailureReason, form: Any, change: bool) -> None:
        obj.full_clean()
        super().save_model(request, obj, form, change)

    def get_urls(self) -> list[URLPattern]:
        unknown = path("unknown/", self.admin_site.admin_view(self.unknown), name="orders_failurereason_unknown")
        return [unknown, *super().get_urls()]

    @method_decorator(require_safe)
    def unknown(self, request: HttpRequest) -> HttpResponse:
        """What vendors answered and no row has words for, newest first; each leads to the form with its key filled in."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Codes without an entry",
            "opts": self.opts,
            "codes": codes_without_entry(),
            "may_add": self.has_add_permission(request),
        }
        return TemplateResponse(request, "admin/orders/failurereason/unknown.html", context)

    @admin.display(description="Preview")
    def card(self, reason: FailureReason) -> str:
        """The card as a seller sees it, with an example of a vendor's message; after Preview, of what is typed."""
        if not reason.summary:
            return "Fill in what we say and press Preview."
        return render_to_string("admin/orders/failurereason/card.html", {"seen": _example(reason)})


def _example(reason: FailureReason) -> Explanation:
    """The reason, saved or as typed, as it explains a failure that might have been; nothing of it is reason."""
    own = reason.code in OWN_CODES
    attempt = PurchaseAttempt(number=1, failure_class=FailureClass.NEVER_SENT if own else FailureClass.VENDOR_REJECTED)
    failure = Failure(
        attempt=attempt,
        code=reason.code.partition(":")[0],
        http_status=reason.http_status or None,
        text=EXAMPLE_TEXT if reason.code else "",
    )
    speakers = [vendor for vendor in Vendor.objects.all() if vendor.dialect == reason.dialect]
    if speakers:
        attempt.vendor = speakers[0]
    return Explanation(failure, reason, speakers[0].name if speakers else EXAMPLE_VENDOR, ())


def codes_without_entry() -> list[dict[str, Any]]:
    """Kinds of failure that the catalogue answers with UNKNOWN, the latest first."""
    kinds = Failure.objects.values("attempt__vendor__connector", "http_status", "code", "field")
    catalogue, found = Catalogue(), []
    for kind in kinds.annotate(last=Max("at"), times=Count("id"), sample=Max("text")).order_by("-last"):
        dialect = registry.CONNECTORS[kind["attempt__vendor__connector"]].dialect
        failure = Failure(http_status=kind["http_status"], code=kind["code"], field=kind["field"], text=kind["sample"])
        if catalogue.reason_for(dialect, failure) is UNKNOWN:
            key = {"dialect": dialect, "http_status": kind["http_status"] or 0, "code": kind["code"]}
            key["slug"] = slugify(f"{dialect} {kind['code']}")[:SLUG_LENGTH]
            add = f"{reverse('admin:orders_failurereason_add')}?{urlencode(key)}"
            found.append({**kind, "dialect": dialect, "add_url": add})
    return found
