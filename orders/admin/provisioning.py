"""Manual provisioning: the queue of what staff order by hand, and the page on which they answer line by line."""

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from orders import provisioning
from orders.admin.site import ReadOnlyAdmin, staff_page
from orders.failures import OWN_CODES
from orders.lifecycle import Refusal
from orders.models import AttemptState, FailureReason, ManualAttempt, OrderLine, StaffVerdict, User
from orders.models.purchases import FINAL_STATES
from orders.provisioning import AlreadyAnswered, UsedReference
from orders.templatetags.portal import age, day

MAY_PROVISION = "orders.provision_manually"
OWN_WORDS = "own_words"
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)
APPROVE, REFUSE = "approve", "refuse"


def reasons() -> dict[str, FailureReason]:
    """What staff may choose, by code: rows for manual vendors and those for any vendor, but not what the portal says itself."""
    rows = FailureReason.objects.filter(dialect__in=["manual", ""], http_status=0).exclude(code="").exclude(code__in=OWN_CODES)
    return {row.code: row for row in sorted(rows, key=lambda row: (row.code == OWN_WORDS, not row.dialect, row.summary))}


class DayField(forms.DateField):
    """A day as browsers send it; years that no contract has are mistakes of typing."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "min": FIRST_DAY.isoformat(), "max": LAST_DAY.isoformat()})
        super().__init__(widget=widget, input_formats=["%Y-%m-%d"], required=False, **options)

    def validate(self, value: date | None) -> None:
        super().validate(value)
        if value and not FIRST_DAY <= value <= LAST_DAY:
            raise ValidationError("Write a year between 2000 and 2099.")


class VerdictForm(forms.Form):
    """The answer to one line: nothing yet, bought, or refused."""

    decision = forms.ChoiceField(
        label="Answer",
        choices=[("", "Not yet"), (APPROVE, "Approve"), (REFUSE, "Refuse")],
        required=False,
        widget=forms.RadioSelect,
    )
    vendor_ref = forms.CharField(label="Vendor reference", max_length=100, required=False, help_text="To approve: names this contract.")
    starts_on = DayField(label="Start", help_text="To approve.")
    ends_on = DayField(label="End", help_text="Empty when it runs until cancelled.")
    code = forms.ChoiceField(label="Reason", required=False, help_text="To refuse: choose one, or write it below.")
    text = forms.CharField(
        label="Vendor’s message",
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The seller reads it word for word.",
    )

    def __init__(self, line: OrderLine, reasons: dict[str, FailureReason], vendor: str, data: Any = None) -> None:
        super().__init__(data, prefix=f"line-{line.position}")
        self.line, self.reasons, self.vendor = line, reasons, vendor
        choices = [(code, row.summary.replace("{vendor}", vendor)) for code, row in reasons.items() if code != OWN_WORDS]
        self.fields["code"].choices = [("", "In own words, below"), *choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        starts, ends = cleaned.get("starts_on"), cleaned.get("ends_on")
        if cleaned.get("decision") == APPROVE:
            for name, words in (("vendor_ref", "Write the vendor’s reference."), ("starts_on", "Say on which day it starts.")):
                if name not in self.errors and not cleaned.get(name):
                    self.add_error(name, words)
            if starts and ends and ends < starts:
                self.add_error("ends_on", "The end lies before the start.")
        elif cleaned.get("decision") == REFUSE:
            if "code" not in self.errors and not cleaned.get("code") and not cleaned.get("text"):
                self.add_error("code", "Choose a reason, or write one below.")
        elif any(cleaned.get(name) for name in ("vendor_ref", "starts_on", "ends_on", "code", "text")):
            self.add_error("decision", "Choose Approve or Refuse for what is filled in.")
        return cleaned

    def give(self, attempt: ManualAttempt, by: User) -> None:
        """Write the verdict, if there is one. Raises AlreadyAnswered or another Refusal of the verbs."""
        cleaned = self.cleaned_data
        if cleaned["decision"] == APPROVE:
            dates = {name: cleaned[name] for name in ("starts_on", "ends_on")}
            provisioning.approve(attempt, self.line, by=by, vendor_ref=cleaned["vendor_ref"], **dates)
        elif cleaned["decision"] == REFUSE:
            code = cleaned["code"] or OWN_WORDS
            reason = self.reasons[code].short if cleaned["code"] and code in self.reasons else ""
            provisioning.refuse(attempt, self.line, by=by, code=code, text=cleaned["text"], reason=reason)


class AnsweredFilter(SimpleListFilter):
    """The queue holds what waits; the rest is one press away."""

    title = "answered"
    parameter_name = "answered"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [{**first, "display": "No, waiting"}, *rest]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        decided = Q(state__in=sorted(FINAL_STATES))
        return queryset.filter(decided if self.value() == "yes" else ~decided)


@staff_page(ManualAttempt)
class ManualProvisioningAdmin(ReadOnlyAdmin):
    """Oldest first. Opened, staff approve or refuse each line; the permission is orders.provision_manually."""

    list_display = ("order_number", "waiting_for", "seller", "customer", "vendor", "items", "answers")
    list_display_links = ("order_number",)
    list_filter = (AnsweredFilter, "vendor")
    search_fields = ("order__number", "order__customer__name")
    search_help_text = "Order number or customer"
    ordering = ("created_at", "id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(MAY_PROVISION)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_PROVISION)

    def get_queryset(self, request: HttpRequest) -> Any:
        lines = Prefetch("order__lines", OrderLine.objects.select_related("offer"))
        every: Any = super().get_queryset(request)
        found = every.select_related("order__seller", "order__customer", "vendor", "account__vendor")
        return found.prefetch_related(lines, Prefetch("verdicts", StaffVerdict.objects.select_related("by", "line")))

    @admin.display(description="Order", ordering="order__number")
    def order_number(self, attempt: ManualAttempt) -> str:
        return str(attempt.order)

    @admin.display(description="Waiting", ordering="created_at")
    def waiting_for(self, attempt: ManualAttempt) -> str:
        """“12 min”; from a day on since which day."""
        if attempt.is_final:
            return ""
        return age(attempt.created_at) or f"since {day(attempt.created_at)}"

    @admin.display(description="Seller", ordering="order__seller__name")
    def seller(self, attempt: ManualAttempt) -> str:
        return str(attempt.order.seller)

    @admin.display(description="Customer", ordering="order__customer__name")
    def customer(self, attempt: ManualAttempt) -> str:
        return str(attempt.order.customer)

    @admin.display(description="Items")
    def items(self, attempt: ManualAttempt) -> str:
        return ", ".join(str(line) for line in _lines(attempt))

    @admin.display(description="Answered")
    def answers(self, attempt: ManualAttempt) -> str:
        return f"{len(attempt.verdicts.all())} of {len(_lines(attempt))}"

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: the lines with their answers or forms. POST: the answers of those that have one, all or none."""
        if object_id is None or not self.has_view_permission(request):
            raise PermissionDenied
        attempt = self.get_object(request, unquote(object_id))
        if attempt is None:
            raise Http404
        forms_ = self._forms(attempt, request.POST if request.method == "POST" else None)
        if request.method == "POST" and self._answer(request, attempt, forms_):
            return redirect(reverse("admin:orders_manualattempt_change", args=[attempt.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Order {attempt.order} at {attempt.vendor}",
            "opts": self.opts,
            "attempt": attempt,
            "customer": attempt.order_request().customer,
            "forms": forms_,
            "verdicts": attempt.verdicts.all(),
            "waits": attempt.state == AttemptState.ACCEPTED,
        }
        return TemplateResponse(request, "admin/orders/manualattempt/answer.html", context, status=422 if request.method == "POST" else 200)

    def _forms(self, attempt: ManualAttempt, data: Any) -> list[VerdictForm]:
        if attempt.state != AttemptState.ACCEPTED:
            return []
        choices = reasons()
        return [VerdictForm(line, choices, str(attempt.vendor), data) for line in provisioning.open_lines(attempt)]

    def _answer(self, request: HttpRequest, attempt: ManualAttempt, forms_: list[VerdictForm]) -> bool:
        """Whether every answer was taken; those that came too late are told and change nothing."""
        assert isinstance(request.user, User)
        late = self._late(request, attempt, {form.line.position for form in forms_})
        # Every form is looked at, so that every mistake is marked.
        if [form for form in forms_ if not form.is_valid()]:
            messages.error(request, "Nothing was saved: correct what is marked.")
            return False
        if not late and not any(form.cleaned_data["decision"] for form in forms_):
            messages.error(request, "Approve or refuse at least one item first.")
            return False
        given = 0
        with transaction.atomic():
            for form in forms_:
                try:
                    form.give(attempt, request.user)
                    given += bool(form.cleaned_data["decision"])
                except AlreadyAnswered as refusal:
                    late.append(str(refusal))
                except UsedReference as refusal:
                    form.add_error("vendor_ref", str(refusal))
                except Refusal as refusal:
                    late.append(str(refusal))
            if refused := any(form.errors for form in forms_):
                transaction.set_rollback(True)
        if refused:
            messages.error(request, "Nothing was saved: correct what is marked.")
            return False
        for words in dict.fromkeys(late):
            messages.warning(request, words)
        if given:
            messages.success(request, f"{given} item{'s' if given != 1 else ''} answered.")
            self.log_change(request, attempt, f"{given} answered.")
        return True

    def _late(self, request: HttpRequest, attempt: ManualAttempt, open_positions: set[int]) -> list[str]:
        """Lines that were open when the page was made, and were answered or decided since."""
        sent = [line for line in _lines(attempt) if request.POST.get(f"line-{line.position}-decision") in {APPROVE, REFUSE}]
        verdicts = {verdict.line_id: verdict for verdict in attempt.verdicts.all()}
        words = []
        for line in sent:
            if line.position in open_positions:
                continue
            verdict = verdicts.get(line.pk)
            who = f"{verdict.by.name} {'approved' if verdict.is_approved else 'refused'} {line} before you." if verdict else ""
            words.append(f"{who or f'{line} does not wait for our staff now.'} Nothing was changed.")
        return words


def _lines(attempt: ManualAttempt) -> list[OrderLine]:
    """The lines of the attempt's vendor, from what the queue loaded."""
    return [line for line in attempt.order.lines.all() if line.offer.vendor_id == attempt.vendor_id]
