"""Money: Decimal only, one currency per order, rounded here and nowhere else.

Source of the rules: product.md section 5. Microsoft's price list gives prices for the whole term; a customer pays per
billing cycle. Unit price per billing period = term price / periods in the term x (1 - discount), rounded once, half up,
to the currency's smallest unit; a discount that is an amount is taken off each unit and period. Line = unit x quantity.
Tax per line, rounded. Totals are sums of lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from babel import Locale
from babel.numbers import get_currency_precision, get_territory_currencies

TERM_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36}
CYCLE_MONTHS = {"monthly": 1, "annual": 12, "triennial": 36}
TERM_LABELS = {"P1M": "1 month", "P1Y": "1 year", "P3Y": "3 years", "": "No term"}
CYCLE_LABELS = {"monthly": "monthly", "annual": "yearly", "triennial": "every 3 years", "one_time": "once", "none": "not billed"}
PER_LABELS = {"monthly": "per month", "annual": "per year", "triennial": "per 3 years", "one_time": "once", "none": "not billed"}


# What the columns hold: prices of one unit and amounts are below these, in any currency.
MOST_FOR_ONE, MOST = Decimal(10) ** 10, Decimal(10) ** 12
TOO_MUCH = "This costs more than one order can hold. Order less of it."

_ENGLISH = Locale("en")
# Currencies that some country uses now: code and name.
CURRENCIES = tuple(
    (code, f"{code} · {_ENGLISH.currencies[code]}")
    for code in sorted({code for place in _ENGLISH.territories if str(place).isalpha() for code in get_territory_currencies(str(place))})
)


class ImpossibleCycle(ValueError):
    """A billing cycle that does not divide its term, for example yearly billing of one month."""


def round_money(amount: Decimal, currency: str) -> Decimal:
    """The amount in the currency's smallest unit, half up: 2 decimals for EUR, 0 for JPY, 3 for KWD."""
    return amount.quantize(Decimal(1).scaleb(-get_currency_precision(currency)), rounding=ROUND_HALF_UP)


def periods_in_term(term: str, cycle: str) -> int:
    """How many times a term is billed: P1Y monthly 12, P3Y annual 3, P1Y annual 1, one_time 1.

    Raises ImpossibleCycle when the cycle is longer than the term, or either is unknown.
    """
    if cycle in {"one_time", "none"}:
        return 1
    if term not in TERM_MONTHS or cycle not in CYCLE_MONTHS or TERM_MONTHS[term] < CYCLE_MONTHS[cycle]:
        raise ImpossibleCycle(f"{term or 'No term'} can't be billed {cycle}.")
    return TERM_MONTHS[term] // CYCLE_MONTHS[cycle]


@dataclass(frozen=True, slots=True)
class Discount:
    """What a line is cheaper: `value` percent, or so much of the currency for each unit and billing period."""

    value: Decimal = Decimal(0)
    is_percent: bool = True

    def __bool__(self) -> bool:
        return bool(self.value)

    def off(self, term_price: Decimal, periods: int) -> Decimal:
        """What is left of the term price of one unit, exact, and never less than nothing."""
        left = term_price * (100 - self.value) / 100 if self.is_percent else term_price - self.value * periods
        return max(left, Decimal(0))


NO_DISCOUNT = Discount()


def unit_price(term_price: Decimal, term: str, cycle: str, currency: str, discount: Discount = NO_DISCOUNT) -> Decimal:
    """Price of one unit for one billing period, rounded. `term_price` is for the whole term, as Microsoft lists it."""
    if cycle == "none":
        return round_money(Decimal(0), currency)
    periods = periods_in_term(term, cycle)
    # Divided last: a third of a term price has no exact decimal, and half up needs an exact half.
    return round_money(discount.off(term_price, periods) / periods, currency)


def tax(amount: Decimal, rate_percent: Decimal, currency: str) -> Decimal:
    """Tax of one line, rounded."""
    return round_money(amount * rate_percent / 100, currency)


def term_price(list_price: Decimal, cost: Decimal, pricing: str, markup_percent: Decimal) -> Decimal:
    """What a customer pays for one unit and the whole term, exact: the list price, or cost plus markup.

    `pricing` is "list" or "cost" (models.Pricing). Nothing is rounded: unit_price does it, once (product.md section 5).
    """
    return cost * (100 + markup_percent) / 100 if pricing == "cost" else list_price


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line as the sums need it: what is billed each cycle, before and of tax, and what a discount has taken off before."""

    cycle: str
    amount: Decimal
    tax: Decimal
    discount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a customer pays. All amounts in `currency`; `due_now` is billed on day one, the first month included."""

    currency: str
    due_now: Decimal
    tax_now: Decimal
    per_month: Decimal
    per_year: Decimal
    per_three_years: Decimal
    discount: Decimal = Decimal(0)

    @property
    def first_payment(self) -> Decimal:
        return self.due_now + self.tax_now


def totals(lines: Iterable[PricedLine], currency: str) -> Totals:
    """Sums of the lines; nothing is rounded again."""
    lines = list(lines)
    zero = round_money(Decimal(0), currency)

    def of(cycle: str) -> Decimal:
        return sum((line.amount for line in lines if line.cycle == cycle), zero)

    return Totals(
        currency=currency,
        due_now=sum((line.amount for line in lines), zero),
        tax_now=sum((line.tax for line in lines), zero),
        per_month=of("monthly"),
        per_year=of("annual"),
        per_three_years=of("triennial"),
        discount=sum((line.discount for line in lines), zero),
    )
