"""The failure catalogue: staff write here what the cards and the help page say."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders.admin.site import StaffAdmin, staff_page
from orders.failures import UNKNOWN
from orders.models import FailureReason, RetryClass

if TYPE_CHECKING:
    ReasonFormBase = forms.ModelForm[FailureReason]
else:
    ReasonFormBase = forms.ModelForm

EXAMPLE_VENDOR = "Microsoft"


class ReasonForm(ReasonFormBase):
    class Meta:
        model = FailureReason
        fields = "__all__"

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug == UNKNOWN.slug:
            raise ValidationError("This anchor belongs to the reason that is shown when no other fits.")
        return slug


@staff_page(FailureReason)
class FailureReasonAdmin(StaffAdmin):
    form = ReasonForm
    list_display = ("summary", "code", "http_status", "dialect", "who", "retry")
    list_filter = ("who", "retry", "dialect")
    search_fields = ("summary", "short", "code", "slug", "meaning", "fix")
    fieldsets = (
        ("Which answer", {"fields": ("slug", "dialect", "http_status", "code")}),
        ("What we say", {"fields": ("short", "summary", "meaning", "fix"), "description": "{vendor} becomes the vendor’s name."}),
        ("What can be done", {"fields": ("who", "retry", "fix_field", "fix_label")}),
        ("The card, as saved", {"fields": ("card",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The anchor stays: mails and bookmarks point to it, and the seed file knows the row by it."""
        return ("card", "slug") if obj else ("card",)

    def save_model(self, request: HttpRequest, obj: FailureReason, form: Any, change: bool) -> None:
        obj.full_clean()
        super().save_model(request, obj, form, change)

    @admin.display(description="Preview")
    def card(self, reason: FailureReason) -> SafeString | str:
        """The words of the card for an example vendor."""
        if not reason.pk:
            return "Save first."
        button = f"{reason.fix_label} · " if reason.fix_label else ""
        return format_html(
            "<p><strong>{}</strong></p><p>{} {}</p><p>{}{}How to fix</p>",
            _words(reason.summary),
            _words(reason.meaning),
            _words(reason.fix),
            button,
            "" if reason.retry == RetryClass.NEVER else "Retry · ",
        )


def _words(text: str) -> str:
    return text.replace("{vendor}", EXAMPLE_VENDOR)
