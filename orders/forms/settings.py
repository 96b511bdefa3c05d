"""What a seller admin sets for the whole seller."""

from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.files.base import ContentFile
from django.utils.text import capfirst

from orders import clock, contacts, formats
from orders.forms.customers import PercentField
from orders.logos import NotAPicture, as_png
from orders.models import Seller, SettingsChange, TaxRate, User
from orders.models.accounts import MOST_RECIPIENTS
from orders.money import CURRENCIES

LONGEST_SHOWN = 80
MOST_QUOTE_DAYS = 365
PARTS = (
    ("Company", ("currency", "time_zone", "language")),
    ("Prices and tax", ("pricing", "markup_percent", "margin_floor_percent", "tax_rate")),
    ("Quotes", ("quote_days", "colour", "terms", "looks_first")),
    ("Mail about failed orders", ("mails_creator", "mail_recipients")),
)


class SettingsForm(forms.ModelForm[Seller]):
    """All settings on one page; what a change means stands beside it."""

    currency = forms.ChoiceField(choices=CURRENCIES, help_text="Of new customers. Those that you have keep theirs.")
    time_zone = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in sorted(available_timezones()) if "/" in name or name == "UTC"]
    )
    language = forms.ChoiceField(label="Dates and numbers", choices=list(formats.LOCALES.items()))
    tax_rate = PercentField(label="Tax in percent", help_text="Of new customers. Those that you have keep theirs.")
    markup_percent = PercentField(label="Markup on cost in percent", highest=1000, help_text="Where customers pay cost plus markup.")
    margin_floor_percent = PercentField(
        label="Margin floor in percent",
        help_text="What is left of an order’s price after its cost. Only a seller admin can place an order below it, and says why.",
    )
    quote_days = forms.IntegerField(
        label="Valid for, in days",
        min_value=1,
        max_value=MOST_QUOTE_DAYS,
        help_text="From the day a quote is sent, unless it names a last day itself.",
        error_messages={"invalid": "Write a whole number of days."},
    )
    colour = forms.RegexField(
        r"^#[0-9A-Fa-f]{6}$",
        required=False,
        help_text="Of your quotes, as #rrggbb. Empty: the portal’s own.",
        error_messages={"invalid": "Write # and six digits or letters up to F, as in #1f5fae."},
    )
    mail_recipients = forms.CharField(
        label="Also tell", required=False, widget=forms.Textarea(attrs={"rows": 4}), help_text="E-mail addresses, one a line."
    )

    class Meta:
        model = Seller
        fields = [field for _, names in PARTS for field in names]
        labels: ClassVar[dict[str, str]] = {
            "pricing": "Customers pay",
            "looks_first": "Look first",
            "mails_creator": "Tell whoever made the order, and whoever placed it",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "terms": "Under each quote; customers accept them with it. Quotes that were sent keep the terms they were sent with.",
            "looks_first": "A quote that a customer accepts waits until you place it; else it is placed at once.",
            "mails_creator": "While they work here.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["mail_recipients"] = "\n".join(str(address) for address in self.instance.mail_recipients)
        for field in self.fields.values():
            if isinstance(field.widget, forms.Textarea | forms.TextInput | forms.NumberInput):
                field.widget.attrs.setdefault("autocomplete", "off")

    def clean_mail_recipients(self) -> list[str]:
        found: list[str] = []
        for line in self.cleaned_data["mail_recipients"].replace(",", "\n").splitlines():
            if not (text := line.strip()):
                continue
            try:
                found.append(contacts.email(text, reserved=settings.RESERVED_TOP_LEVEL_DOMAINS).lower())
            except contacts.NotUsable as error:
                raise forms.ValidationError(f"{text[:LONGEST_SHOWN]}: {error}") from error
        found = list(dict.fromkeys(found))
        if len(found) > MOST_RECIPIENTS:
            raise forms.ValidationError(f"At most {MOST_RECIPIENTS} addresses; these are {len(found)}. Use the address of a group.")
        return found

    def save_by(self, actor: User) -> Seller:
        """Save, and write down who changed what. The caller holds a transaction."""
        before = Seller.objects.get(pk=self.instance.pk)
        seller = self.save()
        self.write_down(actor, before)
        return seller

    def write_down(self, actor: User, before: Seller) -> None:
        """Who changed what, of a seller that was saved; `before` is how he was."""
        seller, now = self.instance, clock.now()
        SettingsChange.objects.bulk_create(
            SettingsChange(seller=seller, name=name, actor=actor, actor_name=actor.acts_as, text=self._change(name, before), at=now)
            for name in self.fields
            if getattr(before, name) != getattr(seller, name)
        )

    def _change(self, name: str, before: Seller) -> str:
        label = capfirst(str(self.fields[name].label or name.replace("_", " ")))
        return f"{label}: {_short(getattr(before, name))} became {_short(getattr(self.instance, name))}"[:500]


class TaxRateForm(forms.Form):
    """What is charged in one country; a country that has a rate gets this one instead."""

    country = forms.ChoiceField(choices=lambda: [("", "Choose a country"), *contacts.countries()])
    percent = PercentField(label="Tax in percent")

    def save_by(self, actor: User, seller: Seller) -> TaxRate:
        """Save, and write down who changed what. The caller holds a transaction."""
        country, percent = self.cleaned_data["country"], self.cleaned_data["percent"]
        before = seller.tax_rates.filter(country=country).first()
        if before and before.percent == percent:
            return before
        rate, _ = TaxRate.objects.update_or_create(seller=seller, country=country, defaults={"percent": percent})
        was = formats.number(before.percent) if before else "nothing"
        record(seller, "tax_rate", actor, f"Tax in {contacts.country_name(country)}: {was} became {formats.number(percent)}")
        return rate


class LogoForm(forms.Form):
    """A picture for quotes and mails, kept small and without anything but its pixels."""

    logo = forms.FileField(
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp,image/gif"}),
        help_text="PNG, JPEG, WebP or GIF, up to 2 MB.",
    )

    def clean_logo(self) -> ContentFile[bytes]:
        try:
            return as_png(self.cleaned_data["logo"])
        except NotAPicture as error:
            raise forms.ValidationError(str(error)) from error


def record(seller: Seller, name: str, actor: User, text: str) -> None:
    """Write down who changed what."""
    SettingsChange.objects.create(seller=seller, name=name, actor=actor, actor_name=actor.acts_as, text=text[:500], at=clock.now())


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return (text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…") or "nothing"
