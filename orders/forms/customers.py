"""A customer's details: contact, domain, address, agreement, tax."""

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from orders import clock, contacts
from orders.models import Customer, Seller, Vendor
from orders.money import CURRENCIES
from orders.price_sheet import SEGMENTS

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


# Fields that say what the form is about, and are none of the customer's.
OF_THE_FORM = frozenset({"customer_code", "customer_version", "their_customer_version"})
STALE = "Somebody else changed this customer after you opened the page."


class StaleCustomer(Exception):
    """Somebody saved the customer between the check of the form and its save."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is saved with another value than was typed."""

    label: str
    mine: str
    theirs: str


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
    """What a vendor needs to know of a customer.

    `customer_version` refuses a save over a colleague's, and `customer_code` one over another customer: versions are only
    counted, so that those of two customers are often equal. `their_version` is what "Save mine over it" was shown.
    """

    country = forms.ChoiceField(choices=contacts.countries)
    customer_code = forms.CharField(widget=forms.HiddenInput, max_length=12, required=False)
    customer_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)
    their_customer_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1, required=False)

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
        self.is_stale, self.differences = False, list[Difference]()
        self._is_of_saved = False
        self.saved_version = self.instance.version if self.instance.pk else 0
        self.fields["customer_code"].initial = self.instance.code if self.instance.pk else ""
        self.fields["customer_version"].initial = self.saved_version
        self._mark_demanded()
        if self.instance.pk and (other := self.instance.others_of_domain().first()):
            # No error: two rows may be one company's, until the seller has sorted it out.
            self.fields["domain"].help_text = f"{other.name} has this domain, too. A tenant belongs to one customer."
            self.fields["domain"].is_warned = True  # type: ignore[attr-defined]
        for field in self.fields.values():
            if field.required:
                field.error_messages["required"] = f"Write the {str(field.label).lower()}."

    def _mark_demanded(self) -> None:
        """Fields that some countries demand say so: whether the chosen one does, and which do, for when another is chosen."""
        registered = {country for vendor in _active_vendors() for country in vendor.capabilities.registration_countries}
        demanded = {
            "state": contacts.countries_that_ask_for("country_area"),
            "postal_code": contacts.countries_that_ask_for("postal_code"),
            "registration_number": registered,
            "contact_phone": registered,
        }
        chosen = self["country"].value()
        for name, countries in demanded.items():
            field: Any = self.fields[name]
            field.demanded_in, field.is_demanded = " ".join(sorted(countries)), chosen in countries

    # --- one field

    def clean_domain(self) -> str:
        return str(self.cleaned_data["domain"]).strip().lower()

    def clean_contact_email(self) -> str:
        return _usable(contacts.email, self.cleaned_data["contact_email"], reserved=settings.RESERVED_TOP_LEVEL_DOMAINS)

    # --- fields that depend on one another

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.instance.pk:
            self._clean_version(data)
        for name in NAMES:
            self._replace(data, name, contacts.person_name)
        country = data.get("country")
        if country:
            self._clean_address(data, country)
            self._replace(data, "contact_phone", contacts.phone, country)
            self._clean_registration(data, country)
        return data

    def _clean_version(self, data: dict[str, Any]) -> None:
        if data.get("customer_code") != self.instance.code:
            self.add_error(None, f"These details were opened for another customer than {self.instance.name}. Nothing was saved of them.")
            return
        seen = {data.get("customer_version"), data.get("their_customer_version")}
        if self.saved_version in seen:
            self._is_of_saved = True
        elif "customer_version" in data:
            self.is_stale, self.differences = True, self._differences()
            self.add_error("customer_version", STALE)

    def _differences(self) -> list[Difference]:
        """Where what was typed is not what is saved now, in the order of the form."""
        found = []
        for bound in self.visible_fields():
            saved = self.get_initial_for_field(bound.field, bound.name)
            if bound.field.has_changed(saved, bound.data):
                found.append(Difference(str(bound.label), _words(bound.field, bound.data), _words(bound.field, saved)))
        return found

    @property
    def version_shown(self) -> Any:
        """The version that the page is about: the saved one, once somebody chose to save his over it."""
        return self.saved_version if self._is_of_saved else self["customer_version"].value()

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
        demanding = [vendor.name for vendor in _active_vendors() if country in vendor.capabilities.registration_countries]
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
        """Save what changed, with the next version; `seller` for a new customer. Raises StaleCustomer."""
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
            # Guarded: of two who save at once, the second finds another version than the one that he was checked against.
            is_mine = Customer.objects.filter(pk=customer.pk, version=self.saved_version).update(version=F("version") + 1)
            if not is_mine:
                raise StaleCustomer
            customer.version = self.saved_version + 1
            customer.save(update_fields=[name for name in self.fields if name not in OF_THE_FORM])
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


def _active_vendors() -> list[Vendor]:
    return list(Vendor.objects.filter(is_active=True).order_by("id"))


def _words(field: Any, value: Any) -> str:
    """A value as the form says it: a country by its name."""
    text = "" if value is None else str(value).strip()
    choices: dict[str, Any] = dict(field.choices) if hasattr(field, "choices") else {}
    return str(choices.get(text, text))


def _usable(check: Any, text: str, **kwargs: Any) -> str:
    try:
        return str(check(text, **kwargs))
    except contacts.NotUsable as objection:
        raise forms.ValidationError(str(objection)) from objection
