"""Signing in, inviting and joining."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password

from orders import contacts
from orders.models import Invitation, Membership, Role, User


class SignInForm(AuthenticationForm):
    """Django's form, with the field called what it is: an e-mail."""

    username = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
    )
    password = forms.CharField(
        label="Password", strip=False, max_length=256, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    error_messages = {
        "invalid_login": "This e-mail and password don’t belong together. Both are needed; the password is case-sensitive.",
        "inactive": "This account is switched off. Ask a seller admin.",
    }

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()


class InviteForm(forms.Form):
    """Who is asked to join, and as what."""

    email = forms.CharField(label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(choices=Role.choices, initial=Role.ACCOUNT_MANAGER)

    def clean_email(self) -> str:
        try:
            return contacts.email(self.cleaned_data["email"], reserved=settings.RESERVED_TOP_LEVEL_DOMAINS).lower()
        except contacts.NotUsable as error:
            raise forms.ValidationError(str(error)) from error


class RoleForm(forms.Form):
    """The role of one member; on a page with many, each has the member's number before its name."""

    role = forms.ChoiceField(choices=Role.choices, widget=forms.Select(attrs={"class": "select filter-select"}))

    @classmethod
    def of(cls, membership: Membership) -> "RoleForm":
        form = cls(initial={"role": membership.role}, auto_id=f"id_{membership.pk}_%s")
        form.fields["role"].label = f"Role of {membership.user.name}"
        return form


class JoinForm(forms.Form):
    """The name and the password that an invited person chooses."""

    name = forms.CharField(label="Your name", max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="12 characters or more; several words are fine.",
    )
    repeated = forms.CharField(
        label="Password again", max_length=256, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, invitation: Invitation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, User(email=self.invitation.email, name=self.cleaned_data.get("name", "")))
        return password

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "password" in data and "repeated" in data and data["password"] != data["repeated"]:
            self.add_error("repeated", "The two passwords differ.")
        return data


class OwnPasswordForm(forms.Form):
    """The password of an invited person who signs in here already; the view asks whether it is his."""

    password = forms.CharField(
        label="Your password", max_length=256, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
