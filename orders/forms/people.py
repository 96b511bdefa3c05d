"""Signing in."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm


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
