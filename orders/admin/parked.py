"""Parked attempts: what is known of each, and the two verdicts that staff may give, each with evidence and a reason."""

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from orders import parking, support
from orders.admin.site import ReadOnlyAdmin, staff_page
from orders.lifecycle import Refusal
from orders.models import AttemptState, ParkedAttempt, User
from orders.templatetags.portal import age, day

MAY_DECIDE = "orders.decide_parked"
BOUGHT, NOT_BOUGHT = "bought", "not_bought"


class VerdictForm(forms.Form):
    verdict = forms.ChoiceField(
        label="What you found",
        choices=[(BOUGHT, "It was bought: the vendor has an order"), (NOT_BOUGHT, "It was not bought: the vendor has nothing of it")],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you found."},
    )
    vendor_order_refs = forms.CharField(
        label="Vendor’s orders",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="When it was bought: every order at the vendor that it became, one to a line. The portal asks the vendor for each.",
    )
    evidence = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Where and when you saw it, or who at the vendor said so. Staff read it, sellers do not.",
        error_messages={"required": "Say how you know."},
    )
    reason = forms.CharField(
        label="In a sentence",
        max_length=200,
        help_text="The seller reads it in the order’s timeline.",
        error_messages={"required": "Say it in a sentence; the seller reads it."},
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("verdict") == BOUGHT and not cleaned.get("vendor_order_refs"):
            self.add_error("vendor_order_refs", "Write the vendor’s order number.")
        return cleaned

    def clean_vendor_order_refs(self) -> list[str]:
        """Each number once, in the order written; between them any space or comma."""
        refs = list(dict.fromkeys(re.findall(r"[^\s,;]+", self.cleaned_data["vendor_order_refs"])))
        if any(len(ref) > 100 for ref in refs):
            raise forms.ValidationError("An order number has at most 100 characters.")
        return refs

    def give(self, attempt: ParkedAttempt, by: User) -> None:
        """Raises Refusal."""
        words = {name: self.cleaned_data[name] for name in ("evidence", "reason")}
        if self.cleaned_data["verdict"] == BOUGHT:
            parking.was_bought(attempt, by=by, vendor_order_refs=self.cleaned_data["vendor_order_refs"], **words)
        else:
            parking.was_not_bought(attempt, by=by, **words)


class DecidedFilter(SimpleListFilter):
    """Those that wait for a verdict, or those that do no more."""

    title = "verdict"
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Waiting"), ("yes", "Decided")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ParkedAttempt]) -> QuerySet[ParkedAttempt]:
        waiting = Q(state=AttemptState.PARKED)
        return queryset.filter({"no": waiting, "yes": ~waiting}.get(str(self.value()), Q()))


@staff_page(ParkedAttempt)
class ParkedAttemptAdmin(ReadOnlyAdmin):
    """Oldest first, undecided before decided; the permission is orders.decide_parked."""

    list_display = ("order_number", "since", "vendor", "why", "verdict")
    list_display_links = ("order_number",)
    list_filter = (DecidedFilter, "vendor")
    list_select_related = ("order", "vendor")
    search_fields = ("order__number", "reference")
    search_help_text = "Order number or our reference"
    ordering = ("-state", "unknown_since", "id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(MAY_DECIDE)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_DECIDE)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ParkedAttempt]:
        every: QuerySet[ParkedAttempt] = super().get_queryset(request)
        return every.prefetch_related("parked_verdicts")

    @admin.display(description="Order", ordering="order__number")
    def order_number(self, attempt: ParkedAttempt) -> str:
        return str(attempt.order)

    @admin.display(description="Unknown for", ordering="unknown_since")
    def since(self, attempt: ParkedAttempt) -> str:
        if attempt.unknown_since is None:
            return ""
        return age(attempt.unknown_since) or f"since {day(attempt.unknown_since)}"

    @admin.display(description="Why")
    def why(self, attempt: ParkedAttempt) -> str:
        return attempt.parked_reason

    @admin.display(description="Verdict")
    def verdict(self, attempt: ParkedAttempt) -> str:
        """Of one that waits again, because the vendor knows no such order, none."""
        latest = [] if attempt.state == AttemptState.PARKED else list(attempt.parked_verdicts.all())[-1:]
        return "".join("Bought" if verdict.is_bought else "Not bought" for verdict in latest)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: what is known, and the form. POST: the verdict, once."""
        if object_id is None or not self.has_view_permission(request):
            raise PermissionDenied
        attempt = self.get_object(request, unquote(object_id))
        if attempt is None:
            raise Http404
        form = VerdictForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid() and self._decide(request, attempt, form):
            return redirect(reverse("admin:orders_parkedattempt_change", args=[attempt.pk]))
        exchanges = list(attempt.exchanges.all())
        context = {
            **self.admin_site.each_context(request),
            "title": f"Order {attempt.order} at {attempt.vendor}",
            "opts": self.opts,
            "attempt": attempt,
            "lines": attempt.order_request().lines,
            "customer": attempt.order_request().customer,
            "exchanges": exchanges,
            "support": support.for_vendor(attempt, exchanges),
            "verdicts": attempt.parked_verdicts.select_related("by"),
            "form": form if attempt.state == AttemptState.PARKED else None,
        }
        return TemplateResponse(request, "admin/orders/parkedattempt/decide.html", context, status=422 if request.method == "POST" else 200)

    def _decide(self, request: HttpRequest, attempt: ParkedAttempt, form: VerdictForm) -> bool:
        assert isinstance(request.user, User)
        try:
            form.give(attempt, request.user)
        except Refusal as refusal:
            form.add_error(None, str(refusal))
            return False
        self.log_change(request, attempt, f"{form.cleaned_data['verdict']}: {form.cleaned_data['reason']}")
        messages.success(request, "Decided. The portal goes on by itself.")
        return True
