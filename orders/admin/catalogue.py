"""What can be sold: vendors, our accounts there, offers and prices."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters

from orders import clock, hooks, pricing
from orders.admin.site import StaffAdmin, StaffInline, staff_page
from orders.models import AccountHealth, Offer, Price, PriceList, Vendor, VendorAccount
from orders.models.purchases import FINAL_STATES

if TYPE_CHECKING:
    AccountFormBase = forms.ModelForm[VendorAccount]
    UploadFormBase = forms.ModelForm[PriceList]
    VendorFormBase = forms.ModelForm[Vendor]
else:
    AccountFormBase = UploadFormBase = VendorFormBase = forms.ModelForm

LARGEST_UPLOAD = 300 * 1024 * 1024  # bytes; 200,000 rows are some 90 MB
REFRESH_SECONDS = 3


class VendorForm(VendorFormBase):
    class Meta:
        model = Vendor
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("is_stopped") and not cleaned.get("stopped_reason"):
            self.add_error("stopped_reason", "Say why; the next person will want to know.")
        if not cleaned.get("is_stopped"):
            cleaned["stopped_reason"] = ""
        return cleaned


@staff_page(Vendor)
class VendorAdmin(StaffAdmin):
    form = VendorForm
    actions = ("stop", "go_on")
    list_display = ("name", "code", "connector", "is_active", "is_stopped", "stopped_reason")
    search_fields = ("name", "code")
    fieldsets = (
        (None, {"fields": ("code", "name", "connector", "is_active")}),
        ("Kill switch", {"fields": ("is_stopped", "stopped_reason")}),
    )

    @admin.action(description="Kill switch: send nothing, keep asking", permissions=["change"])
    def stop(self, request: HttpRequest, vendors: Any) -> None:
        self._set_stopped(request, vendors.filter(is_stopped=False), f"Stopped by {request.user}.")

    @admin.action(description="Send again", permissions=["change"])
    def go_on(self, request: HttpRequest, vendors: Any) -> None:
        self._set_stopped(request, vendors.filter(is_stopped=True), "")

    def _set_stopped(self, request: HttpRequest, vendors: Any, reason: str) -> None:
        changed = list(vendors)
        for vendor in changed:
            vendor.is_stopped, vendor.stopped_reason = bool(reason), reason[:300]
            vendor.save(update_fields=["is_stopped", "stopped_reason"])
            self.log_change(request, vendor, "Stopped." if reason else "Sends again.")
        self.message_user(request, f"{len(changed)} {'stopped' if reason else 'sending again'}.")

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
    new_refresh_token = forms.CharField(
        label="Refresh token",
        required=False,
        max_length=5000,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )
    forget_refresh_token = forms.BooleanField(
        label="Speak as the application alone", required=False, help_text="Forgets the refresh token of the person who consented."
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
        if token := self.fields.get("new_refresh_token"):
            token.help_text = (
                "One is stored and renewed by itself. Empty keeps it; it is never shown again."
                if self.instance.sealed_refresh_token
                else "Only where the account speaks as a person who consented. It is never shown again."
            )

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
        if token := self.cleaned_data.get("new_refresh_token"):
            self.instance.refresh_token = token
        elif self.cleaned_data.get("forget_refresh_token"):
            self.instance.refresh_token = ""
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
            {
                "fields": ("base_url", "login_url", "tenant", "client_id", "new_secret", "new_refresh_token", "forget_refresh_token"),
                "description": "Empty for a vendor without an API.",
            },
        ),
        (
            "Events",
            {
                "fields": ("webhook_address",),
                "description": "The vendor tells us there that something changed, and the portal asks at once.",
            },
        ),
        ("Pause", {"fields": ("is_paused", "paused_reason")}),
        ("Limits", {"fields": ("calls_per_minute", "parallel_calls", "breaker_failures", "breaker_seconds", "answers_now")}),
    )
    readonly_fields = ("answers_now", "webhook_address")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whose account it is stays, once something was ordered with it: customers' tenants belong to it for good.

        So does where it is, while an order is out: asked somewhere else, nobody would know of it.
        """
        if obj is None or not obj.attempts.exists():
            return self.readonly_fields
        is_out = obj.attempts.exclude(state__in=FINAL_STATES).exists()
        return (*self.readonly_fields, "vendor", "seller", "tenant", *(["base_url"] if is_out else []))

    @admin.display(description="The vendor now")
    def answers_now(self, account: VendorAccount) -> str:
        health = AccountHealth.objects.filter(account=account).first() if account.pk else None
        if health is None:
            return "Not asked yet."
        if health.down_since:
            return f"Has not answered since {health.down_since:%Y-%m-%d %H:%M} UTC; asked again by itself."
        return "Answers."

    @admin.display(description="Address to register")
    def webhook_address(self, account: VendorAccount) -> str:
        return hooks.address_of(account) if account.pk and account.vendor.capabilities.has_api else "None."

    @method_decorator(sensitive_post_parameters("new_secret", "new_refresh_token"))
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


class UploadForm(UploadFormBase):
    """A list as downloaded. What is wrong inside it the worker finds, and the list's page says."""

    file = forms.FileField(help_text="Microsoft’s licence price list as downloaded (CSV), unpacked.")
    skip_bad_rows = forms.BooleanField(required=False, help_text="Import the good rows even if others can’t be read.")
    allow_ending = forms.BooleanField(
        required=False, help_text="Import the list even if it ends so many prices that the file may have been cut off."
    )

    class Meta:
        model = PriceList
        fields = ("vendor",)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_UPLOAD:
            raise forms.ValidationError(f"The file is larger than {LARGEST_UPLOAD // 1024**2} MB. Import it with manage.py import_prices.")
        return file


@staff_page(PriceList)
class PriceListAdmin(StaffAdmin):
    """An upload waits for the worker; the page of the list reloads itself until it has a result."""

    list_display = ("name", "vendor", "status", "rows", "added", "changed", "ended", "unchanged", "skipped", "started_at")
    list_filter = ("state", "vendor")
    list_select_related = ("vendor", "imported_by")
    search_fields = ("name", "markets")
    ordering = ("-id",)
    upload_fieldsets = ((None, {"fields": ("vendor", "file", "skip_bad_rows", "allow_ending")}),)
    fieldsets = (
        (None, {"fields": ("name", "vendor", "status", "markets", "imported_by", "started_at", "finished_at")}),
        ("Rows", {"fields": ("rows", "added", "changed", "ended", "unchanged", "skipped")}),
        ("What could not be read", {"fields": ("what_was_wrong",)}),
    )
    readonly_fields = (
        "name", "status", "markets", "imported_by", "started_at", "finished_at", "rows", "added", "changed", "ended", "unchanged",
        "skipped", "what_was_wrong",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj else self.upload_fieldsets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The file and the checkbox are no fields of the model, so the admin must not ask it for them."""
        return super().get_form(request, obj, change, **(kwargs if obj else {**kwargs, "form": UploadForm, "fields": ("vendor",)}))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: PriceList, form: Any, change: bool) -> None:
        file = form.cleaned_data["file"]
        obj.name, obj.imported_by = "".join(c for c in file.name if c.isprintable())[:200], request.user  # type: ignore[assignment]
        options = {name: form.cleaned_data[name] for name in ("skip_bad_rows", "allow_ending")}
        pricing.keep_upload(obj, file.chunks(), **options)

    def response_add(self, request: HttpRequest, obj: PriceList, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, "The list was uploaded. The worker reads it now; this page follows.")
        return redirect(reverse("admin:orders_pricelist_change", args=[obj.pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, {"title": "Price list", **(extra_context or {})})
        found = self.get_object(request, object_id) if response.status_code == 200 else None
        if found is not None and found.finished_at is None and not self._is_dead(found):
            response.headers["Refresh"] = str(REFRESH_SECONDS)
        return response

    @admin.display(description="Status", ordering="state")
    def status(self, found: PriceList) -> str:
        if self._is_dead(found):
            return "Interrupted: nothing of it shows, and the next import takes it away. Upload it again."
        if found.state == PriceList.State.CURRENT and not (found.added or found.changed or found.ended):
            return "Imported; nothing changed"
        if found.state == PriceList.State.REFUSED:
            return "Refused; nothing of it was imported"
        return str(found.get_state_display())

    def _is_dead(self, found: PriceList) -> bool:
        return found.state == PriceList.State.WRITING and found.lease_until is not None and found.lease_until < clock.here()

    @admin.display(description="Problems")
    def what_was_wrong(self, found: PriceList) -> SafeString | str:
        """The first ones; the count of bad rows has all."""
        rows = [(row["line"] or "", row["column"], row["reason"]) for row in found.problems]
        if not rows:
            return "None"
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        return format_html("<table><thead><tr><th>Line</th><th>Column</th><th>Reason</th></tr></thead><tbody>{}</tbody></table>", body)
