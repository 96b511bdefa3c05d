"""Who uses the portal: people, groups of staff, sellers and their customers."""

from typing import TYPE_CHECKING, Any

from django.contrib.admin import EmptyFieldListFilter, display
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import BaseUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse

from orders import people
from orders.admin.members import OfPerson, OfSeller, SavesMembers
from orders.admin.site import NoDelete, ReadOnlyAdmin, StaffAdmin, staff_page
from orders.forms.settings import SettingsForm
from orders.logos import NotAPicture, as_png
from orders.models import Customer, Invitation, Membership, Notice, Seller, SentMail, SettingsChange, User

if TYPE_CHECKING:
    AddForm = BaseUserCreationForm[User]
    ChangeForm = UserChangeForm[User]
    PersonBase = UserAdmin[User]
else:
    AddForm, ChangeForm, PersonBase = BaseUserCreationForm, UserChangeForm, UserAdmin


class LowerCaseEmail:
    """People sign in by e-mail in any case; the table keeps one."""

    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


class PersonAddForm(LowerCaseEmail, AddForm):
    class Meta:
        model = User
        fields = ("email", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The browser must not fill in who sits before it; and the admin's script sets the focus.
        self.fields["email"].widget.attrs |= {"autocomplete": "off", "autofocus": False}


class PersonForm(LowerCaseEmail, ChangeForm):
    class Meta:
        model = User
        fields = "__all__"

    def clean_is_active(self) -> bool:
        """Nobody is switched off while a seller has no other admin."""
        is_active = bool(self.cleaned_data["is_active"])
        membership = Membership.objects.filter(user=self.instance, is_active=True).select_related("seller", "user").first()
        if membership and not is_active:
            membership.is_active = False
            if people.would_lose_admins(membership.seller, [membership]):
                raise ValidationError(people.LAST_ADMIN)
        return is_active


@staff_page(User)
class PersonAdmin(SavesMembers, NoDelete, PersonBase):
    form = PersonForm
    add_form = PersonAddForm
    add_form_template = None
    inlines = (OfPerson,)
    list_display = ("email", "name", "seller", "role", "is_staff", "is_active")
    list_filter = ("is_staff", "is_superuser", "is_active")
    list_select_related = ("membership__seller",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "created_at")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),)

    def seller(self, person: User) -> str:
        return str(person.membership.seller) if hasattr(person, "membership") else ""

    def role(self, person: User) -> str:
        return person.membership.get_role_display() if hasattr(person, "membership") else ""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        before = User.objects.get(pk=obj.pk) if change else None
        super().save_model(request, obj, form, change)
        if before:
            people.write_down(before, obj, by=_staff(request))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Whoever sets a password can sign in with it, so the seller reads of that, too."""
        before = User.objects.filter(pk=id).first() if id.isascii() and id.isdecimal() else None
        response = super().user_change_password(request, id, form_url)
        if before:
            people.write_down(before, User.objects.get(pk=before.pk), by=_staff(request))
        return response

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers touch superusers: whoever sets a password can sign in with it."""
        of_superuser = obj is not None and obj.is_superuser
        return super().has_change_permission(request, obj) and (not of_superuser or _is_superuser(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Only superusers hand out rights: nobody makes himself one."""
        rights = () if _is_superuser(request) else ("is_staff", "is_superuser", "groups", "user_permissions")
        return (*self.readonly_fields, *rights)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _staff(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@staff_page(Group)
class StaffGroupAdmin(NoDelete, GroupAdmin):
    """What staff who are no superusers may do."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


class SellerForm(SettingsForm):
    """What the seller's own page checks, and what only staff may change."""

    class Meta(SettingsForm.Meta):
        fields = "__all__"  # type: ignore[assignment]

    def clean_logo(self) -> Any:
        """Kept as the seller's page keeps it: nothing but its pixels."""
        logo = self.cleaned_data["logo"]
        try:
            return as_png(logo) if isinstance(logo, UploadedFile) else logo
        except NotAPicture as error:
            raise ValidationError(str(error)) from error


@staff_page(Seller)
class SellerAdmin(SavesMembers, StaffAdmin):
    form = SellerForm
    inlines = (OfSeller,)
    list_display = ("name", "code", "currency", "time_zone", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name", "code")
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The code is public once it exists."""
        return (*self.readonly_fields, "code") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Seller, form: Any, change: bool) -> None:
        before = Seller.objects.get(pk=obj.pk) if change else None
        super().save_model(request, obj, form, change)
        if before:
            form.write_down(_staff(request), before)


@staff_page(Customer)
class CustomerAdmin(StaffAdmin):
    """Sellers keep their customers; staff read them, and archive one or bring it back."""

    list_display = ("name", "seller", "domain", "country", "is_archived")
    list_filter = ("is_archived", "seller")
    list_select_related = ("seller",)
    search_fields = ("name", "domain", "contact_email", "code")
    ordering = ("name", "id")
    fields = (
        "is_archived", "seller", "code", "name", "domain", "contact_first_name", "contact_last_name", "contact_email", "contact_phone",
        "address_line1", "address_line2", "city", "state", "postal_code", "country", "currency", "segment", "tax_rate", "tax_note",
        "created_at",
    )  # fmt: skip
    readonly_fields = fields[1:]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@staff_page(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Who was asked to join; the link itself is kept nowhere."""

    list_display = ("email", "seller", "role", "invited_by", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("seller",)
    list_select_related = ("seller", "invited_by")
    search_fields = ("email",)
    exclude = ("token_sha256",)


@staff_page(SettingsChange)
class SettingsChangeAdmin(ReadOnlyAdmin):
    """Who changed what of a seller's people and settings."""

    list_display = ("at", "seller", "text", "actor_name")
    list_filter = ("seller", "name")
    list_select_related = ("seller",)
    search_fields = ("text", "actor_name")


@staff_page(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    """The outbox: who is told of which failed order, and whether the mail left."""

    list_display = ("recipient", "seller", "order", "due_at", "tries", "sent_at", "given_up_at")
    list_filter = (("sent_at", EmptyFieldListFilter), ("given_up_at", EmptyFieldListFilter), "seller")
    list_select_related = ("seller", "event__order")
    search_fields = ("recipient", "=event__order__number")
    ordering = ("-id",)
    exclude = ("claim",)

    def order(self, notice: Notice) -> str:
        return notice.event.order.number


@staff_page(SentMail)
class SentMailAdmin(ReadOnlyAdmin):
    """The demo's mails. What lets somebody in is shown to nobody but him."""

    list_display = ("at", "recipients", "subject", "seller", "is_private")
    list_filter = ("is_private", "seller")
    list_select_related = ("seller",)
    search_fields = ("recipients", "subject")
    fields = ("at", "seller", "recipients", "subject", "shown_body", "is_private")

    @display(description="body")
    def shown_body(self, mail: SentMail) -> str:
        return "Not shown: it holds a link that lets somebody in." if mail.is_private else mail.body
