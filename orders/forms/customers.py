"""A customer's details: contact, domain, address, agreement, tax."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone

from orders import clock, contacts
from orders.models import Customer, Seller, Vendor
from orders.models.customers import SEGMENTS
from orders.money import CURRENCIES

DETAILS = (
    "name",
    "domain",
    "registration_number",
    "contact_first_name",
    "contact_last_name",
    "contact_email",
    "contact_phone",
    "country",
    "address_line1",
    "address_line2",
    "postal_code",
    "city",
    "state",
)
AGREEMENT = ("agreement_first_name", "agreement_last_name", "agreement_email", "agreement_phone", "agreement_on")
COMMERCE = ("segment", "currency", "tax_rate", "tax_note")
NAMES = (
    "name",
    "contact_first_name",
    "contact_last_name",
    "address_line1",
    "address_line2",
    "city",
    "agreement_first_name",
    "agreement_last_name",
)


class PercentField(forms.DecimalField):
    """0 to 100, or to `highest`, with at most two decimals, typed with a point or a comma. Python would also read 1_0 and 1e1."""

    def __init__(self, *, highest: int = 100, **kwargs: Any) -> None:
        # In a field of type number a browser drops the comma, and 12,5 arrives as 125.
        kwargs.setdefault("widget", forms.TextInput(attrs={"inputmode": "decimal"}))
        super().__init__(min_value=0, max_value=highest, max_digits=6, decimal_places=2, **kwargs)
        words = f"Write a number from 0 to {highest}."
        self.error_messages |= {"invalid": words, "required": words}

    def to_python(self, value: Any) -> Any:
        text = str(value if value is not None else "").strip().replace(",", ".")
        if text and not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,10})?", text):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(text)


class CustomerForm(forms.ModelForm[Customer]):
    """What a vendor needs to know of a customer. `customer_version` refuses a save over a colleague's."""

    country = forms.ChoiceField(choices=contacts.countries)
    customer_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)

    class Meta:
        model = Customer
        fields = DETAILS
        widgets = {
            "contact_email": forms.EmailInput(attrs={"autocomplete": "off"}),
            "contact_phone": forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}),
        }
        help_texts = {
            "registration_number": "Only where the vendor asks for it; the country decides.",
            "contact_phone": "With + and the country’s code when it is from another country.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer_version"].initial = self.instance.version if self.instance.pk else 0
        if self.instance.pk and (other := self.instance.others_of_domain().first()):
            # No error: two rows may be one company's, until the seller has sorted it out.
            self.fields["domain"].help_text = f"{other.name} has this domain, too. A tenant belongs to one customer."
            self.fields["domain"].is_warned = True  # type: ignore[attr-defined]
        # Most countries have postal codes; check_address knows which.
        self.fields["postal_code"].is_asked_by_country = True  # type: ignore[attr-defined]
        for field in self.fields.values():
            if field.required:
                field.error_messages["required"] = f"Write the {str(field.label).lower()}."

    # --- one field

    def clean_domain(self) -> str:
        return str(self.cleaned_data["domain"]).strip().lower()

    def clean_contact_email(self) -> str:
        return _usable(contacts.email, self.cleaned_data["contact_email"], reserved=settings.RESERVED_TOP_LEVEL_DOMAINS)

    def clean_customer_version(self) -> int:
        version: int = self.cleaned_data["customer_version"]
        if self.instance.pk and version != self.instance.version:
            raise forms.ValidationError("Somebody else changed this customer after you opened the page. Compare and save again.")
        return version

    # --- fields that depend on one another

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for name in NAMES:
            self._replace(data, name, contacts.person_name)
        country = data.get("country")
        if country:
            self._clean_address(data, country)
            self._replace(data, "contact_phone", contacts.phone, country)
            self._clean_registration(data, country)
        return data

    def _clean_address(self, data: dict[str, Any], country: str) -> None:
        found = contacts.check_address(
            country, state=data.get("state", ""), city=data.get("city", ""), postal_code=data.get("postal_code", "")
        )
        for name, text in found.problems.items():
            if name not in self.errors:
                self.add_error(name, text)
        for name, value in (("state", found.state), ("postal_code", found.postal_code)):
            if name in data:
                data[name] = value

    def _clean_registration(self, data: dict[str, Any], country: str) -> None:
        """Asked for in some countries and refused by the vendor in all others (Partner Center 600049 and 600002)."""
        number = data.get("registration_number", "")
        demanding = [
            vendor.name for vendor in Vendor.objects.filter(is_active=True) if country in vendor.capabilities.registration_countries
        ]
        if demanding and not number and "registration_number" not in self.errors:
            self.add_error(
                "registration_number", f"{demanding[0]} needs the registration number of customers in {contacts.country_name(country)}."
            )
        if demanding and not data.get("contact_phone") and "contact_phone" not in self.errors:
            self.add_error("contact_phone", f"{demanding[0]} needs a phone number of customers in {contacts.country_name(country)}.")
        if number and not demanding:
            self.add_error(
                "registration_number", f"No vendor takes a registration number in {contacts.country_name(country)}; leave it empty."
            )

    def _replace(self, data: dict[str, Any], name: str, check: Any, *args: Any) -> None:
        """Put the value as `check` returns it, or its objection beside the field."""
        if data.get(name):
            try:
                data[name] = check(data[name], *args)
            except contacts.NotUsable as objection:
                self.add_error(name, str(objection))

    def save_for(self, seller: Seller | None = None) -> Customer:
        """Save what changed, with the next version; `seller` for a new customer."""
        customer = self.instance
        if customer.pk is None:
            assert seller is not None, "A new customer belongs to somebody."
            customer.seller = seller
            if "currency" not in self.fields:
                customer.currency = seller.currency
            if "tax_rate" not in self.fields:
                customer.tax_rate = seller.tax_percent_for(customer.country)
            customer.save()
        elif self.has_changed():
            customer.version += 1
            customer.save(update_fields=[*(name for name in self.fields if name != "customer_version"), "version"])
        return customer


class WholeCustomerForm(CustomerForm):
    """Everything of a customer, for his own page: details, agreement, segment, currency, tax."""

    segment = forms.ChoiceField(choices=[(name, name) for name in SEGMENTS], initial=SEGMENTS[0])
    currency = forms.ChoiceField(choices=CURRENCIES)
    tax_rate = PercentField(label="Tax rate, percent")

    class Meta(CustomerForm.Meta):
        fields = (*DETAILS, *COMMERCE, *AGREEMENT)  # type: ignore[assignment]
        widgets = CustomerForm.Meta.widgets | {
            "agreement_on": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "agreement_email": forms.EmailInput(attrs={"autocomplete": "off"}),
        }
        help_texts = CustomerForm.Meta.help_texts | {
            "segment": "Decides which offers this customer may buy.",
            "currency": "Of every order of this customer.",
            "tax_note": "Printed on quotes when the tax is 0, for example “Reverse charge”.",
        }

    def __init__(self, *args: Any, seller: Seller, **kwargs: Any) -> None:
        if kwargs.get("instance") is None:
            kwargs["initial"] = {"currency": seller.currency, "tax_rate": seller.tax_rate, "country": "NL"} | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.orders.exists():
            # Orders carry their currency; one customer has one.
            self.fields["currency"].disabled = True
            self.fields["currency"].help_text = "Stays, because there are orders in it."

    def clean_agreement_email(self) -> str:
        text = self.cleaned_data["agreement_email"]
        return _usable(contacts.email, text, reserved=settings.RESERVED_TOP_LEVEL_DOMAINS) if text else ""

    def clean_agreement_on(self) -> Any:
        day = self.cleaned_data["agreement_on"]
        if day and day > timezone.localdate(clock.now()):
            raise forms.ValidationError("The date lies in the future. Write the day on which the agreement was accepted.")
        return day

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("country"):
            self._replace(data, "agreement_phone", contacts.phone, data["country"])
        if any(data.get(name) for name in AGREEMENT):
            for name in ("agreement_first_name", "agreement_last_name", "agreement_email", "agreement_on"):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, "An agreement needs who accepted it and when. Fill this in, or empty the others.")
        if data.get("tax_rate") == 0 and not data.get("tax_note"):
            self.add_error("tax_note", "Write why no tax is charged; it is printed on quotes.")
        return data


def _usable(check: Any, text: str, **kwargs: Any) -> str:
    try:
        return str(check(text, **kwargs))
    except contacts.NotUsable as objection:
        raise forms.ValidationError(str(objection)) from objection
