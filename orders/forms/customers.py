"""A customer's details: contact, domain, address."""

from typing import Any

from django import forms

from orders.models import Customer

FIELDS = (
    "name",
    "domain",
    "contact_first_name",
    "contact_last_name",
    "contact_email",
    "contact_phone",
    "address_line1",
    "address_line2",
    "postal_code",
    "city",
    "state",
    "country",
)
COUNTRIES = [("NL", "Netherlands")]


class CustomerForm(forms.ModelForm[Customer]):
    """What a vendor needs to know of a customer. `customer_version` refuses a save over a colleague's."""

    country = forms.ChoiceField(choices=COUNTRIES)
    customer_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)

    class Meta:
        model = Customer
        fields = FIELDS
        widgets = {
            "contact_email": forms.EmailInput(attrs={"autocomplete": "off"}),
            "contact_phone": forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer_version"].initial = self.instance.version if self.instance.pk else 0
        for field in self.fields.values():
            if not field.required:
                continue
            field.error_messages["required"] = f"Write the {str(field.label).lower()}."

    def clean_domain(self) -> str:
        return str(self.cleaned_data["domain"]).strip().lower()

    def clean_customer_version(self) -> int:
        version: int = self.cleaned_data["customer_version"]
        if self.instance.pk and version != self.instance.version:
            raise forms.ValidationError("Somebody else changed this customer after you opened the page. Compare and save again.")
        return version

    def save_for(self, seller: Any = None) -> Customer:
        """Save what changed, with the next version; `seller` for a new customer."""
        customer = self.instance
        if customer.pk is None:
            customer.seller, customer.currency, customer.tax_rate = seller, seller.currency, seller.tax_percent_for(customer.country)
            customer.save()
        elif self.has_changed():
            customer.version += 1
            customer.save(update_fields=[*FIELDS, "version"])
        return customer
