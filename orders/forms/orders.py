"""The order form: a customer, a reference and lines of an offer, a plan and a quantity."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from orders import addons, clock, contacts, formats, lifecycle, quote_templates
from orders.catalogue import Place, place_of, prices_at
from orders.forms.offered import Offered, plan_words
from orders.forms.row_edits import MAX_LINES, RowEdits
from orders.lifecycle import LineInput, QuoteTexts
from orders.margins import AgainstFloor, most_discount
from orders.models import Customer, DiscountKind, Offer, Order, Price, QuoteTemplate, Seller
from orders.models.accounts import MOST_RECIPIENTS
from orders.models.orders import Margin
from orders.money import (
    CYCLE_LABELS,
    MOST,
    PER_LABELS,
    TERM_LABELS,
    TOO_MUCH,
    Discount,
    PricedLine,
    Totals,
    periods_in_term,
    tax,
    totals,
    unit_price,
)
from orders.paging import words
from orders.search import matching_customers

MAX_QUANTITY = 10_000_000
ROW = re.compile(r"lines-(0|[1-9][0-9]{0,5})-(?:offer|plan|quantity|discount|discount_kind|is_optional)")
# With more customers than the first there is a field to search them; of what matches so many are offered.
SEARCHED_FROM, CUSTOMERS_OFFERED = 20, 50


class OrderForm(forms.Form):
    """Whose order it is. `version` refuses a save over a colleague's; `token` makes a repeated send do nothing twice."""

    customer = forms.ModelChoiceField(Customer.objects.none(), to_field_name="code", empty_label="Choose a customer")
    reference = forms.CharField(label="Your PO number", max_length=60, required=False)
    recipients = forms.CharField(
        label="Send to",
        max_length=2000,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email", "spellcheck": "false"}),
        help_text="E-mail addresses, with commas between them.",
    )
    valid_until = forms.DateField(
        label="Valid until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Write a day, for example 2026-12-31."},
    )
    customer_note = forms.CharField(
        label="To the customer",
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Printed on the quote.",
    )
    internal_note = forms.CharField(
        label="Internal",
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Never shown to the customer.",
    )
    change_reason = forms.CharField(
        label="Why the items change",
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Asked where they differ from what the customer accepted. It stands in the timeline.",
    )
    as_quote = forms.BooleanField(widget=forms.HiddenInput, required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, initial=0, min_value=0, max_value=2**31 - 1)
    token = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, seller: Seller, order: Order | None = None, q: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.q = words(q)
        field: Any = self.fields["customer"]
        self.fields["valid_until"].help_text = f"If you name no day: {seller.quote_days} days from when it is sent."
        mine = Q(pk=order.customer_id) if order else Q()
        field.queryset = Customer.objects.for_seller(seller).filter(mine | Q(is_archived=False)).order_by("name", "id")
        field.label_from_instance = lambda customer: f"{customer.name} ({customer.domain})"
        field.error_messages["invalid_choice"] = "Choose one of your customers."
        field.error_messages["required"] = "Choose a customer."
        if order and order.attempts.exists():
            field.queryset = field.queryset.filter(pk=order.customer_id)
            field.help_text = "After the first attempt the customer can’t be exchanged."
        self.has_many_customers = field.queryset[: SEARCHED_FROM + 1].count() > SEARCHED_FROM
        if self.has_many_customers:
            self._offer_matching(field)

    def clean_recipients(self) -> tuple[str, ...]:
        found: list[str] = []
        for text in (part.strip() for part in re.split(r"[,;\s]+", self.cleaned_data["recipients"])):
            if not text:
                continue
            try:
                found.append(contacts.email(text, reserved=settings.RESERVED_TOP_LEVEL_DOMAINS).lower())
            except contacts.NotUsable as objection:
                raise forms.ValidationError(f"{text[:80]}: {objection}") from objection
        if len(found) > MOST_RECIPIENTS:
            raise forms.ValidationError(f"At most {MOST_RECIPIENTS} addresses; these are {len(found)}.")
        return tuple(dict.fromkeys(found))

    def texts(self) -> QuoteTexts:
        data = self.cleaned_data
        return QuoteTexts(data["recipients"], data["valid_until"], data["customer_note"], data["internal_note"])

    def _offer_matching(self, field: Any) -> None:
        """The customers that match what was searched, few enough to look through, and the one that is chosen; all are valid."""
        matching = field.queryset.filter(matching_customers(self.q)) if self.q else field.queryset
        found = list(matching[: CUSTOMERS_OFFERED + 1])
        self.matches = f"{len(found)} customer{'' if len(found) == 1 else 's'}"
        if len(found) > CUSTOMERS_OFFERED:
            self.matches = f"The first {CUSTOMERS_OFFERED} by name"
        chosen = str(self["customer"].value() or "")
        shown = found[:CUSTOMERS_OFFERED]
        if chosen and "\0" not in chosen and chosen not in {customer.code for customer in shown}:
            shown = [*field.queryset.filter(code=chosen), *shown]
        field.widget.choices = [("", field.empty_label), *((one.code, field.label_from_instance(one)) for one in shown)]


class WholeNumberField(forms.IntegerField):
    """Digits only. Python reads 1_0 as ten, and Django 1.000 as one; a seller who types either means something else."""

    def to_python(self, value: Any) -> int | None:
        text = str(value or "").strip()
        digits = text.removeprefix("-")
        if text and not (digits.isascii() and digits.isdecimal()):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(text)


class LineForm(forms.Form):
    """One line. An empty row is no line."""

    offer = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)
    plan = forms.CharField(label="Term and billing", max_length=20, required=False, widget=forms.Select)
    quantity = WholeNumberField(
        min_value=1,
        max_value=MAX_QUANTITY,
        required=False,
        initial=1,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={
            "invalid": "Write a whole number.",
            "min_value": "Write a number from 1 up.",
            "max_value": f"At most {MAX_QUANTITY:,} of one offer fit into an order.",
        },
    )

    discount = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=14,
        decimal_places=4,
        localize=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={"invalid": "Write a number, for example 5 or 2.5.", "min_value": "Write a number from 0 up."},
    )
    discount_kind = forms.ChoiceField(
        label="Discount in", choices=DiscountKind.choices, required=False, widget=forms.Select(attrs={"aria-label": "Discount in"})
    )
    is_optional = forms.BooleanField(label="Optional", required=False, widget=forms.CheckboxInput(attrs={"class": "check"}))

    price: Price | None = None

    def __init__(self, *args: Any, offered: Offered, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offered = offered
        self.chosen = offered.offer(str(self["offer"].value() or ""))
        self.fields["plan"].widget.choices = self._plan_choices()

    def _plan_choices(self) -> list[tuple[str, str]]:
        """What the offer is sold with; also what was chosen, should it not be sold so any more: nothing changes unseen."""
        plans = self._offered.plans(self.chosen) if self.chosen else []
        chosen = str(self["plan"].value() or "")
        if chosen in dict(plans):
            return plans
        term, _, cycle = chosen.partition(":")
        known = term in TERM_LABELS and cycle in CYCLE_LABELS
        return [(chosen, f"{plan_words(term, cycle)} (not sold)" if known else "Choose"), *plans]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        offer = self.chosen
        if not data.get("offer"):
            if not self.errors and self.data.get(self.add_prefix("quantity")) not in ("", "1", None):
                self.add_error("offer", "Choose an offer, or remove this line.")
            return data
        if offer is None or not (offer.is_active and offer.vendor.is_active):
            self.add_error("offer", "This offer can’t be ordered any more. Choose another one.")
            return data
        quantity = data.get("quantity")
        if quantity is None and "quantity" not in self.errors:
            self.add_error("quantity", "Write how many.")
        elif quantity is not None and not offer.min_quantity <= quantity <= offer.max_quantity:
            self.add_error(
                "quantity", f"This offer is sold from {formats.number(offer.min_quantity)} to {formats.number(offer.max_quantity)}."
            )
        self.price = self._offered.price(offer, data.get("plan") or "")
        if self.price is not None and "discount" not in self.errors:
            self._check_discount(self.price)
        if self.price is None:
            sold = [words for _, words in self._offered.plans(offer)]
            self.add_error(
                "plan",
                f"Sold with {' · '.join(sold)}." if sold else "This offer has no price for this customer’s country and currency.",
            )
        return data

    def _check_discount(self, price: Price) -> None:
        """Not more than there is to take off."""
        discount = self.discount_typed
        if discount.is_percent and discount.value > 100:
            self.add_error("discount", "At most 100 %.")

    @property
    def discount_typed(self) -> Discount:
        data = self.cleaned_data
        return Discount(data.get("discount") or Decimal(0), data.get("discount_kind") != DiscountKind.AMOUNT)

    @property
    def number(self) -> str:
        """Of the row, as its fields and buttons say it."""
        return str(self.prefix).removeprefix("lines-")

    @property
    def is_empty(self) -> bool:
        return not self.cleaned_data.get("offer")


class OrderLinesForm:
    """The whole screen: OrderForm and any number of LineForms, numbered lines-0-…, lines-1-… .

    Works without JavaScript: adding and removing a line are buttons that send the form, and lose nothing (`draft`).
    """

    def __init__(
        self, seller: Seller, order: Order | None, *, data: Any = None, head: dict[str, Any] | None = None, rows: Any = None
    ) -> None:
        self.seller, self.order, self.data = seller, order, data
        # What a button that saves nothing did.
        self.edits: RowEdits | None = None
        typed = (data if data is not None else head) or {}
        self.head = OrderForm(data, initial=head, seller=seller, order=order, q=typed.get("customer_q", ""))
        code = data.get("customer", "") if data is not None else (head or {}).get("customer", "")
        self.place = place_for(seller, str(code))
        self.customer = self.place.customer
        self.currency = self.place.currency
        numbers = row_numbers(data) if data is not None else []
        codes = [data.get(f"lines-{number}-offer", "") for number in numbers] if data is not None else [row["offer"] for row in rows or []]
        self.offered = Offered(self.place, codes)
        common: dict[str, Any] = {"offered": self.offered, "use_required_attribute": False}
        if data is not None:
            self.lines = [LineForm(data, prefix=f"lines-{number}", **common) for number in numbers]
        else:
            self.lines = [LineForm(initial=row, prefix=f"lines-{number}", **common) for number, row in enumerate(rows or [])]

    @classmethod
    def blank(
        cls, seller: Seller, token: str, customer_code: str = "", template: QuoteTemplate | None = None, *, as_quote: bool = False
    ) -> Self:
        """An empty form, or what a template begins with."""
        head: dict[str, Any] = {"customer": customer_code, "version": 0, "token": token, "as_quote": "on" if as_quote else ""}
        if template is None:
            return cls(seller, None, head=head)
        until = quote_templates.last_day(template, clock.here().astimezone(ZoneInfo(seller.time_zone)).date())
        head |= {"customer_note": template.content["note"], "valid_until": until.isoformat() if until else ""}
        return cls(seller, None, head=head, rows=template.content["lines"])

    @classmethod
    def of(cls, order: Order, token: str) -> Self:
        """The form as the order is saved."""
        head = {
            "customer": order.customer.code,
            "reference": order.reference,
            "version": order.version,
            "token": token,
            "recipients": ", ".join(order.quote_recipients),
            "valid_until": order.valid_until.isoformat() if order.valid_until else "",
            "customer_note": order.customer_note,
            "internal_note": order.internal_note,
        }
        rows = [quote_templates.row_of(line) for line in order.lines.all()]
        return cls(order.seller, order, head=head, rows=rows)

    @classmethod
    def sent(cls, seller: Seller, order: Order | None, data: Any) -> Self:
        """The form as it arrived, to be validated."""
        return cls(seller, order, data=data)

    @classmethod
    def draft(cls, seller: Seller, order: Order | None, data: Any, action: str) -> Self:
        """The form as it was typed so far, not validated, after a button that saves nothing (row_edits.py)."""
        edits = RowEdits(place_for(seller, str(data.get("customer", ""))), data, row_numbers(data))
        edits.apply(action)
        form = cls(seller, order, head={field: data.get(field, "") for field in HEAD_FIELDS}, rows=edits.rows)
        form.edits = edits
        return form

    def is_valid(self) -> bool:
        """Validates everything at once, so that every problem shows at once."""
        valid = all([self.head.is_valid(), *(line.is_valid() for line in self.lines)])
        if len(self.lines) > MAX_LINES:
            self.head.add_error(
                None, f"An order holds at most {MAX_LINES} items, and these are {len(self.lines)}. Make a second order of the rest."
            )
            valid = False
        if valid and not self.inputs():
            self.head.add_error(None, "Add at least one item.")
            valid = False
        return valid and self._fits()

    def _fits(self) -> bool:
        """Whether an order can hold what this costs; else the quantities that are too much say so."""
        amounts = {line: amount.priced.amount for line, amount in zip(self.lines, self.amounts(), strict=True) if amount}
        if sum(amounts.values()) < MOST:
            return True
        too_much = [line for line, amount in amounts.items() if amount >= MOST]
        for line in too_much:
            line.add_error("quantity", TOO_MUCH)
        if not too_much:
            self.head.add_error(None, TOO_MUCH)
        return False

    def inputs(self) -> list[LineInput]:
        return [self._input(line) for line in self.lines if not line.is_empty and line.price]

    @staticmethod
    def _input(line: LineForm) -> LineInput:
        assert line.price, "A valid line has a price."
        return LineInput(line.price, line.cleaned_data["quantity"], None, line.discount_typed, line.cleaned_data["is_optional"])

    # --- money, as typed so far

    def amounts(self) -> list["LineAmount | None"]:
        """What each line costs, in the order of `lines`; None for one that is not finished."""
        finished = [line for line in self.lines if self._is_finished(line)]
        inputs = [self._input(line) for line in finished]
        if self.order and self.customer == self.order.customer:
            inputs = lifecycle.as_agreed(self.order, inputs)
        amounts = {line.prefix: self._amount(wanted) for line, wanted in zip(finished, inputs, strict=True)}
        return [amounts.get(line.prefix) for line in self.lines]

    def totals(self) -> Totals:
        return totals((amount.priced for amount in self.amounts() if amount and not amount.is_optional), self.currency)

    @property
    def unfinished(self) -> int:
        """How many lines have no price yet, so that the sums are without them."""
        return sum(amount is None for amount in self.amounts())

    def _is_finished(self, line: LineForm) -> bool:
        return line.is_bound and line.is_valid() and not line.is_empty and line.price is not None

    def _amount(self, wanted: LineInput) -> "LineAmount":
        cycle = wanted.price.billing_cycle
        term_price = wanted.sold_by(self.seller)
        plan = (term_price, wanted.price.term, cycle, self.currency)
        each = unit_price(*plan, wanted.discount)
        amount = each * wanted.quantity
        taken_off = (unit_price(*plan) - each) * wanted.quantity
        rate = self.customer.tax_rate if self.customer else self.seller.tax_rate
        priced = PricedLine(cycle, amount, tax(amount, rate, self.currency), taken_off)
        sold = Decimal(0) if cycle == "none" else wanted.discount.off(term_price, periods_in_term(wanted.price.term, cycle))
        margin = Margin(sold * wanted.quantity, wanted.price.term_cost * wanted.quantity)
        most = most_discount(term_price, wanted.price.term_cost, self.floor) if wanted.discount.is_percent else None
        return LineAmount(priced, each, PER_LABELS[cycle], wanted.is_optional, AgainstFloor(margin, self.floor), most)

    @property
    def floor(self) -> Decimal:
        return Decimal(self.seller.margin_floor_percent)

    def margin(self) -> AgainstFloor:
        """Of all that is ordered whatever the customer chooses."""
        firm = [amount.margin.margin for amount in self.amounts() if amount and not amount.is_optional]
        return AgainstFloor(Margin(sum((one.price for one in firm), Decimal(0)), sum((one.cost for one in firm), Decimal(0))), self.floor)

    # --- add-ons

    def base_of(self) -> list[int | None]:
        """For each of `lines` the index of the one that it is an add-on of."""
        offers = [line.chosen.pk if line.chosen else 0 for line in self.lines]
        return addons.base_of(offers, [{base.pk for base in line.chosen.bases.all()} if line.chosen else set() for line in self.lines])

    def addons(self) -> dict[int, list[Offer]]:
        """What could be added under each offer of the form and is sold to the customer: two queries."""
        chosen = {line.chosen.pk for line in self.lines if line.chosen}
        sold = Exists(prices_at(self.place).filter(offer=OuterRef("pk")))
        found = Offer.objects.for_catalogue().filter(sold, bases__in=chosen).exclude(pk__in=chosen).distinct()
        if self.customer:
            found = found.filter(segment=self.customer.segment)
        under: dict[int, list[Offer]] = {}
        for offer in found.prefetch_related("bases").order_by("title", "pk")[:MAX_LINES]:
            # Under the first of its bases: it is offered once.
            first = next(line.chosen.pk for line in self.lines if line.chosen and line.chosen in offer.bases.all())
            under.setdefault(first, []).append(offer)
        return under

    # --- errors

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Every error with the id of its field, for the summary."""
        return [pair for form in (self.head, *self.lines) for pair in errors_of(form)]


HEAD_FIELDS = (
    "customer", "reference", "as_quote", "version", "token", "customer_q", "recipients", "valid_until", "customer_note", "internal_note",
    "change_reason",
)  # fmt: skip


def place_for(seller: Seller, code: str) -> Place:
    """Where the customer with this code is, an archived one's too: his open orders go on."""
    customer = Customer.objects.for_seller(seller).with_code(code).first()
    return Place(customer.country, customer.currency, customer) if customer else place_of(seller)


@dataclass(frozen=True, slots=True)
class LineAmount:
    """What a line costs and leaves. `most_discount` is the percentage that would still leave the floor, if one would."""

    priced: PricedLine
    unit: Decimal
    per: str
    is_optional: bool
    margin: AgainstFloor
    most_discount: Decimal | None


def row_numbers(data: Any) -> list[int]:
    """Which rows a form was sent with, in the order of their numbers. As many as were sent: too many are refused, never dropped."""
    return sorted({int(found[1]) for name in data if (found := ROW.fullmatch(name))})


def errors_of(form: forms.BaseForm) -> list[tuple[str, str]]:
    """(id of the field, sentence) for every error of a form; an empty id for those of the whole form."""
    return [(form[name].id_for_label if name in form.fields else "", str(text)) for name, texts in form.errors.items() for text in texts]
