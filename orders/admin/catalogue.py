"""What can be sold: vendors, our accounts there, offers and prices."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from orders.admin.site import StaffAdmin, StaffInline, staff_page
from orders.models import Offer, Price, Vendor, VendorAccount

if TYPE_CHECKING:
    AccountFormBase = forms.ModelForm[VendorAccount]
else:
    AccountFormBase = forms.ModelForm


@staff_page(Vendor)
class VendorAdmin(StaffAdmin):
    list_display = ("name", "code", "connector", "is_active")
    search_fields = ("name", "code")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What was bought by one connector cannot be asked for by another."""
        return ("code", "connector") if obj else ()


class AccountForm(AccountFormBase):
    """The secret goes in and never comes out: the field is always empty, and empty keeps what there is."""

    new_secret = forms.CharField(
        label="Client secret",
        required=False,
        max_length=500,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = VendorAccount
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Beside a password field the browser would offer the name of whoever sits before it.
        self.fields["client_id"].widget.attrs["autocomplete"] = "off"
        if secret := self.fields.get("new_secret"):
            has_one = bool(self.instance.sealed_secret)
            secret.label = "Replace the secret" if has_one else "Set the secret"
            secret.help_text = "Empty keeps the secret that is stored. It is never shown again." if has_one else "It is never shown again."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._require_login(cleaned.get("vendor") or (self.instance.vendor if self.instance.vendor_id else None))
        if cleaned.get("is_paused") and not cleaned.get("paused_reason"):
            self.add_error("paused_reason", "Say why it is paused; the next person will want to know.")
        if not cleaned.get("is_paused"):
            cleaned["paused_reason"] = ""
        return cleaned

    def _require_login(self, vendor: Vendor | None) -> None:
        """A vendor with an API needs every part of the login; one without has none."""
        if vendor is None or not vendor.capabilities.has_api:
            return
        for name in ("base_url", "login_url", "tenant", "client_id", "new_secret"):
            is_kept = name == "new_secret" and self.instance.sealed_secret
            if name in self.fields and name not in self.errors and not self.cleaned_data.get(name) and not is_kept:
                self.add_error(name, "This vendor has an API: the login needs it.")

    def save(self, commit: bool = True) -> VendorAccount:
        if secret := self.cleaned_data.get("new_secret"):
            self.instance.client_secret = secret
        return super().save(commit)


@staff_page(VendorAccount)
class VendorAccountAdmin(StaffAdmin):
    form = AccountForm
    actions = ("pause", "resume")
    list_display = ("name", "vendor", "seller", "has_secret", "is_active", "is_paused", "paused_reason")
    list_filter = ("vendor", "is_active", "is_paused")
    list_select_related = ("vendor", "seller")
    search_fields = ("name", "vendor__name", "seller__name", "tenant")
    autocomplete_fields = ("seller",)
    ordering = ("vendor__name", "name", "id")
    fieldsets = (
        (None, {"fields": ("vendor", "seller", "name", "is_active")}),
        (
            "Login",
            {"fields": ("base_url", "login_url", "tenant", "client_id", "new_secret"), "description": "Empty for a vendor without an API."},
        ),
        ("Pause", {"fields": ("is_paused", "paused_reason")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whose account it is stays, once something was ordered with it: customers' tenants belong to it for good."""
        return ("vendor", "seller", "tenant") if obj and obj.attempts.exists() else ()

    @method_decorator(sensitive_post_parameters("new_secret"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    @admin.display(description="Secret", boolean=True)
    def has_secret(self, account: VendorAccount) -> bool:
        return bool(account.sealed_secret)

    @admin.action(description="Pause: send nothing, orders wait", permissions=["change"])
    def pause(self, request: HttpRequest, accounts: Any) -> None:
        self._set_paused(request, accounts.filter(is_paused=False), f"Paused by {request.user}.")

    @admin.action(description="Resume sending", permissions=["change"])
    def resume(self, request: HttpRequest, accounts: Any) -> None:
        self._set_paused(request, accounts.filter(is_paused=True), "")

    def _set_paused(self, request: HttpRequest, accounts: Any, reason: str) -> None:
        changed = list(accounts)
        for account in changed:
            account.is_paused, account.paused_reason = bool(reason), reason[:300]
            account.save(update_fields=["is_paused", "paused_reason"])
            self.log_change(request, account, "Paused." if reason else "Resumed.")
        self.message_user(request, f"{len(changed)} {'paused' if reason else 'resumed'}.")


class PriceInline(StaffInline):
    """A price ends by its last day; it is not removed, because orders were made with it."""

    model = Price


@staff_page(Offer)
class OfferAdmin(StaffAdmin):
    inlines = (PriceInline,)
    list_display = ("title", "code", "vendor", "segment", "is_active")
    list_filter = ("vendor", "is_active")
    list_select_related = ("vendor",)
    search_fields = ("title", "code", "product_id")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Orders stand on these: another product is another offer."""
        return ("vendor", "code", "product_id", "sku_id") if obj else ()
