"""The order form: a customer, a reference and lines of an offer, a plan and a quantity."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from django import forms
from django.db.models import F, Q

from orders import clock, formats
from orders.lifecycle import LineInput
from orders.models import Customer, Offer, Order, Price, Seller
from orders.money import CYCLE_LABELS, CYCLE_MONTHS, PER_LABELS, TERM_LABELS, TERM_MONTHS, PricedLine, Totals, tax, totals, unit_price

MAX_LINES = 50
MAX_QUANTITY = 10_000_000


def plan_words(term: str, cycle: str) -> str:
    return f"{TERM_LABELS[term]}, {CYCLE_LABELS[cycle]}"


# Every term with every billing cycle that divides it; which of them an offer has is checked with the offer.
PLANS = [
    (f"{term}:{cycle}", plan_words(term, cycle))
    for term, months in TERM_MONTHS.items()
    for cycle, cycle_months in CYCLE_MONTHS.items()
    if cycle_months <= months
]


class OrderForm(forms.Form):
    """Whose order it is. `version` refuses a save over a colleague's; `token` makes a repeated send do nothing twice."""

    customer = forms.ModelChoiceField(Customer.objects.none(), to_field_name="code", empty_label="Choose a customer")
    reference = forms.CharField(label="Your PO number", max_length=60, required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, initial=0, min_value=0, max_value=2**31 - 1)
    token = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, seller: Seller, order: Order | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["customer"]
        mine = Q(pk=order.customer_id) if order else Q()
        field.queryset = Customer.objects.for_seller(seller).filter(mine | Q(is_archived=False)).order_by("name", "id")
        field.label_from_instance = lambda customer: f"{customer.name} ({customer.domain})"
        field.error_messages["invalid_choice"] = "Choose one of your customers."
        field.error_messages["required"] = "Choose a customer."
        if order and order.attempts.exists():
            field.queryset = field.queryset.filter(pk=order.customer_id)
            field.help_text = "After the first attempt the customer can’t be exchanged."


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

    offer = forms.ModelChoiceField(Offer.objects.none(), to_field_name="code", empty_label="Choose an offer", required=False)
    plan = forms.ChoiceField(label="Term and billing", choices=PLANS, required=False)
    quantity = WholeNumberField(
        min_value=1,
        max_value=MAX_QUANTITY,
        required=False,
        initial=1,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
        error_messages={
            "invalid": "Write a whole number.",
            "min_value": "Write a number from 1 up.",
            "max_value": f"At most {MAX_QUANTITY:,} of one offer fit into an order.",
        },
    )

    price: Price | None = None

    def __init__(self, *args: Any, offers: Any, prices: "Prices", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prices = prices
        field: Any = self.fields["offer"]
        field.queryset = offers
        field.label_from_instance = lambda offer: f"{offer.title} · {offer.vendor.name}"
        field.error_messages["invalid_choice"] = "This offer can’t be ordered any more. Choose another one."

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        offer = data.get("offer")
        if offer is None:
            if not self.errors and (
                self.data.get(self.add_prefix("offer")) or self.data.get(self.add_prefix("quantity")) not in ("", "1", None)
            ):
                self.add_error("offer", "Choose an offer, or remove this line.")
            return data
        quantity = data.get("quantity")
        if quantity is None and "quantity" not in self.errors:
            self.add_error("quantity", "Write how many.")
        elif quantity is not None and not offer.min_quantity <= quantity <= offer.max_quantity:
            self.add_error(
                "quantity", f"This offer is sold from {formats.number(offer.min_quantity)} to {formats.number(offer.max_quantity)}."
            )
        if "plan" not in self.errors:
            self.price = self._prices.of(offer, data.get("plan") or "")
            if self.price is None:
                sold = self._prices.plans(offer)
                self.add_error(
                    "plan",
                    f"Sold with {' · '.join(sold)}." if sold else "This offer has no price for this customer’s country and currency.",
                )
        return data

    @property
    def is_empty(self) -> bool:
        return not self.cleaned_data.get("offer")


class Prices:
    """The valid prices for one market and currency, read in one query."""

    def __init__(self, customer: Customer | None, seller: Seller) -> None:
        self.currency = customer.currency if customer else seller.currency
        rows = Price.objects.valid_at(clock.now()).filter(currency=self.currency).select_related("offer__vendor")
        # The one that began last counts where two are valid at once.
        rows = rows.order_by(F("valid_from").asc(nulls_first=True), "pk")
        if customer:
            rows = rows.filter(market=customer.country)
        self._rows = {(price.offer_id, f"{price.term}:{price.billing_cycle}"): price for price in rows}

    def of(self, offer: Offer, plan: str) -> Price | None:
        return self._rows.get((offer.pk, plan))

    def plans(self, offer: Offer) -> list[str]:
        return [plan_words(price.term, price.billing_cycle) for (pk, _), price in self._rows.items() if pk == offer.pk]


class OrderLinesForm:
    """The whole screen: OrderForm and any number of LineForms, numbered lines-0-…, lines-1-… .

    Works without JavaScript: adding and removing a line are buttons that send the form, and lose nothing (`draft`).
    """

    def __init__(
        self, seller: Seller, order: Order | None, *, data: Any = None, head: dict[str, Any] | None = None, rows: Any = None
    ) -> None:
        self.seller, self.order, self.data = seller, order, data
        self.head = OrderForm(data, initial=head, seller=seller, order=order)
        code = data.get("customer", "") if data is not None else (head or {}).get("customer", "")
        self.customer = Customer.objects.for_seller(seller).with_code(str(code)).first()
        prices = Prices(self.customer, seller)
        self.currency = prices.currency
        common: dict[str, Any] = {
            "offers": Offer.objects.sellable().select_related("vendor").order_by("vendor__name", "title", "id"),
            "prices": prices,
            "use_required_attribute": False,
        }
        if data is not None:
            self.lines = [LineForm(data, prefix=f"lines-{number}", **common) for number in row_numbers(data)]
        else:
            self.lines = [LineForm(initial=row, prefix=f"lines-{number}", **common) for number, row in enumerate(rows or [EMPTY_ROW])]

    @classmethod
    def blank(cls, seller: Seller, token: str, customer_code: str = "") -> Self:
        return cls(seller, None, head={"customer": customer_code, "version": 0, "token": token})

    @classmethod
    def of(cls, order: Order, token: str) -> Self:
        """The form as the order is saved."""
        head = {"customer": order.customer.code, "reference": order.reference, "version": order.version, "token": token}
        rows = [
            {"offer": line.offer.code, "plan": f"{line.term}:{line.billing_cycle}", "quantity": line.quantity} for line in order.lines.all()
        ]
        return cls(order.seller, order, head=head, rows=rows)

    @classmethod
    def sent(cls, seller: Seller, order: Order | None, data: Any) -> Self:
        """The form as it arrived, to be validated."""
        return cls(seller, order, data=data)

    @classmethod
    def draft(cls, seller: Seller, order: Order | None, data: Any, *, add: bool = False, remove: str = "") -> Self:
        """The form as it was typed so far, not validated, with a row more or less."""
        rows = [
            {field: data.get(f"lines-{number}-{field}", "") for field in EMPTY_ROW} for number in row_numbers(data) if str(number) != remove
        ]
        if add and len(rows) < MAX_LINES:
            rows.append(dict(EMPTY_ROW))
        head = {field: data.get(field, "") for field in ("customer", "reference", "version", "token")}
        return cls(seller, order, head=head, rows=rows)

    def is_valid(self) -> bool:
        """Validates everything at once, so that every problem shows at once."""
        valid = all([self.head.is_valid(), *(line.is_valid() for line in self.lines)])
        if valid and not self.inputs():
            self.head.add_error(None, "Add at least one item.")
            valid = False
        return valid

    def inputs(self) -> list[LineInput]:
        return [LineInput(line.price, line.cleaned_data["quantity"]) for line in self.lines if not line.is_empty and line.price]

    # --- money, as typed so far

    def amounts(self) -> list["LineAmount | None"]:
        """What each line costs, in the order of `lines`; None for one that is not finished."""
        rate = self.customer.tax_rate if self.customer else self.seller.tax_rate
        return [self._amount(line, rate) if self._is_finished(line) else None for line in self.lines]

    def totals(self) -> Totals:
        return totals((amount.priced for amount in self.amounts() if amount), self.currency)

    def _is_finished(self, line: LineForm) -> bool:
        return line.is_bound and line.is_valid() and not line.is_empty and line.price is not None

    def _amount(self, line: LineForm, rate: Decimal) -> "LineAmount":
        price = line.price
        assert price is not None
        each = unit_price(price.sold_by(self.seller), price.term, price.billing_cycle, self.currency)
        amount = each * line.cleaned_data["quantity"]
        return LineAmount(PricedLine(price.billing_cycle, amount, tax(amount, rate, self.currency)), each, PER_LABELS[price.billing_cycle])

    # --- errors

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Every error with the id of its field, for the summary."""
        return [pair for form in (self.head, *self.lines) for pair in errors_of(form)]


EMPTY_ROW = {"offer": "", "plan": "P1Y:monthly", "quantity": "1"}


@dataclass(frozen=True, slots=True)
class LineAmount:
    priced: PricedLine
    unit: Decimal
    per: str


def row_numbers(data: Any) -> list[int]:
    """Which rows a form was sent with, in the order of their numbers; rows beyond MAX_LINES are not read."""
    found = {name.split("-")[1] for name in data if name.startswith("lines-") and name.count("-") == 2}
    plain = {str(number) for number in range(1000)}
    return sorted(int(number) for number in found & plain)[:MAX_LINES]


def errors_of(form: forms.BaseForm) -> list[tuple[str, str]]:
    """(id of the field, sentence) for every error of a form; an empty id for those of the whole form."""
    return [(form[name].id_for_label if name in form.fields else "", str(text)) for name, texts in form.errors.items() for text in texts]
