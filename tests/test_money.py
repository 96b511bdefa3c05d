"""Money, by the examples of product.md section 5 and against a calculation in whole numbers that shares no code with it.

test_money_stored.py has the same calculation on orders: as stored, as sent and as shown.
"""

from decimal import Decimal
from fractions import Fraction
from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orders import money
from orders.money import Discount
from tests.harness import whole_numbers
from tests.harness.whole_numbers import DIGITS, PERIODS, PLANS, Item, Terms


@pytest.mark.parametrize(
    ("term_price", "term", "cycle", "unit"),
    [
        ("277.20", "P1Y", "monthly", "23.10"),  # Business Premium: the year's price, a twelfth each month
        ("26.40", "P1M", "monthly", "26.40"),
        ("264.00", "P1Y", "annual", "264.00"),
        ("792.00", "P3Y", "annual", "264.00"),
        ("792.00", "P3Y", "triennial", "792.00"),
        ("221.76", "P1Y", "monthly", "18.48"),
        ("99.00", "P1Y", "one_time", "99.00"),
        ("99.00", "", "none", "0.00"),  # a trial bills nothing
    ],
)
def test_a_term_price_becomes_the_price_of_one_billing_period(term_price: str, term: str, cycle: str, unit: str) -> None:
    assert money.unit_price(Decimal(term_price), term, cycle, "EUR") == Decimal(unit)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("0.0049999", "EUR", "0.00"),
        ("2.675", "EUR", "2.68"),
        ("2.665", "EUR", "2.67"),
        ("0.5", "JPY", "1"),
        ("1234.49", "JPY", "1234"),
        ("0.0005", "KWD", "0.001"),
        ("1.23449", "KWD", "1.234"),
    ],
)
def test_money_is_rounded_half_up_to_the_smallest_unit(amount: str, currency: str, rounded: str) -> None:
    # As text, because the number of decimals is part of the answer.
    assert str(money.round_money(Decimal(amount), currency)) == rounded


@pytest.mark.parametrize(
    ("term", "cycle"),
    [("P1M", "annual"), ("P1Y", "triennial"), ("P1M", "triennial"), ("", "monthly"), ("P9Y", "annual"), ("P1Y", "weekly")],
)
def test_a_cycle_that_does_not_divide_its_term_is_refused(term: str, cycle: str) -> None:
    with pytest.raises(money.ImpossibleCycle):
        money.periods_in_term(term, cycle)


def test_every_offered_pair_of_term_and_cycle_divides() -> None:
    assert {pair: money.periods_in_term(*pair) for pair in PERIODS} == PERIODS


@pytest.mark.parametrize(
    ("term_price", "discount", "unit"),
    [
        ("1.00", "10", "0.08"),  # exactly 0.075; rounded before the discount 0.08 x 0.9 = 0.072
        ("0.30", "50", "0.01"),  # exactly 0.0125; rounded before the discount 0.03 x 0.5 = 0.015
        ("130.00", "49", "5.53"),  # exactly 5.525; a twelfth cut to 28 digits x 0.51 falls below the half
        ("277.20", "100", "0.00"),
    ],
)
def test_a_discounted_price_is_rounded_once_and_half_up(term_price: str, discount: str, unit: str) -> None:
    assert money.unit_price(Decimal(term_price), "P1Y", "monthly", "EUR", Discount(Decimal(discount))) == Decimal(unit)


def test_the_sums_add_lines_and_round_nothing_again() -> None:
    lines = [
        money.PricedLine("monthly", Decimal("46.20"), Decimal("9.70")),
        money.PricedLine("monthly", Decimal("19.00"), Decimal("3.99")),
        money.PricedLine("annual", Decimal("264.00"), Decimal("55.44")),
        money.PricedLine("triennial", Decimal("792.00"), Decimal("166.32")),
        money.PricedLine("one_time", Decimal("5.00"), Decimal("1.05")),
        money.PricedLine("none", Decimal("0.00"), Decimal("0.00")),
    ]
    sums = money.totals(lines, "EUR")
    assert (sums.per_month, sums.per_year, sums.per_three_years) == (Decimal("65.20"), Decimal("264.00"), Decimal("792.00"))
    assert (sums.due_now, sums.tax_now, sums.first_payment) == (Decimal("1126.20"), Decimal("236.50"), Decimal("1362.70"))


def test_nothing_costs_nothing_in_the_smallest_unit() -> None:
    sums = money.totals([], "KWD")
    assert (str(sums.due_now), str(sums.per_month), sums.currency) == ("0.000", "0.000", "KWD")


# --- against whole numbers

currencies = some.sampled_from(sorted(DIGITS))
# What the columns hold: ten digits before the point and four behind.
ten_thousandths = some.integers(0, 10**14 - 1)
hundredths_of_percent = some.integers(0, 10_000)


def half_up(exact: Fraction, currency: str) -> int:
    """How many smallest units, half up."""
    return int((exact * 10 ** DIGITS[currency] * 2 + 1) // 2)


@given(ten_thousandths, hundredths_of_percent, some.sampled_from(sorted(PERIODS)), currencies)
def test_a_unit_price_is_what_whole_numbers_say(price: int, discount: int, pair: tuple[str, str], currency: str) -> None:
    exact = Fraction(price, 10_000) / PERIODS[pair] * Fraction(10_000 - discount, 10_000)
    found = money.unit_price(Decimal(price).scaleb(-4), *pair, currency, Discount(Decimal(discount).scaleb(-2)))
    assert found.scaleb(DIGITS[currency]) == half_up(exact, currency)


@given(some.integers(0, 10**12), hundredths_of_percent, currencies)
def test_a_tax_is_what_whole_numbers_say(amount: int, rate: int, currency: str) -> None:
    found = money.tax(Decimal(amount).scaleb(-DIGITS[currency]), Decimal(rate).scaleb(-2), currency)
    assert found.scaleb(DIGITS[currency]) == half_up(Fraction(amount, 10 ** DIGITS[currency]) * Fraction(rate, 10_000), currency)


def kept_parts(periods: int) -> list[int]:
    """Hundredths of a percent left after a discount for which some price costs exactly half a cent too much per period."""
    return [left for left in range(1, 10_001) if left // gcd(left, periods * 500_000) % 2]


@given(some.data(), some.sampled_from([("P1Y", 12), ("P3Y", 36)]), some.integers(0, 5_000))
def test_a_price_exactly_on_the_half_is_rounded_up(data: some.DataObject, term: tuple[str, int], step: int) -> None:
    """Prices made to fall there; a quotient that is cut short before it is multiplied would round some of them down."""
    name, periods = term
    left = data.draw(some.sampled_from(kept_parts(periods)))
    price = periods * 500_000 // gcd(left, periods * 500_000) * (2 * step + 1)
    exact = Fraction(price * left, periods * 10**8)
    assert (exact * 200).denominator == 1
    assert exact * 200 % 2 == 1
    found = money.unit_price(Decimal(price).scaleb(-4), name, "monthly", "EUR", Discount(Decimal(10_000 - left).scaleb(-2)))
    assert found == Decimal(half_up(exact, "EUR")).scaleb(-2)


# --- whole orders, in scaled integers


order_lines = some.lists(
    some.builds(
        Item,
        plan=some.sampled_from(PLANS),
        quantity=some.integers(1, 100_000),
        listed=some.integers(0, 10**9),
        cost=some.integers(0, 10**9),
        discount=some.integers(0, 10**6),
        is_percent=some.booleans(),
        is_optional=some.booleans(),
    ),
    max_size=8,
)
all_terms = some.builds(
    Terms, currency=currencies, is_from_cost=some.booleans(), markup=some.integers(0, 50_000), tax_rate=hundredths_of_percent
)


@given(order_lines, all_terms)
def test_the_sums_of_an_order_are_what_whole_numbers_say(items: list[Item], terms: Terms) -> None:
    scale = 10 ** DIGITS[terms.currency]
    priced = []
    for item in items:
        (term, cycle), pricing = item.plan, "cost" if terms.is_from_cost else "list"
        exact = money.term_price(Decimal(item.listed).scaleb(-4), Decimal(item.cost).scaleb(-4), pricing, Decimal(terms.markup).scaleb(-2))
        discount = Discount(Decimal(item.discount).scaleb(-4), item.is_percent)
        each = money.unit_price(exact, term, cycle, terms.currency, discount)
        amount, off = each * item.quantity, (money.unit_price(exact, term, cycle, terms.currency) - each) * item.quantity
        tax = money.tax(amount, Decimal(terms.tax_rate).scaleb(-2), terms.currency)
        assert (amount * scale, tax * scale, off * scale) == (terms.amount(item), terms.tax(item), terms.off(item))
        if not item.is_optional:
            priced.append(money.PricedLine(cycle, amount, tax, off))
    sums = money.totals(priced, terms.currency)
    found = {name: getattr(sums, name) * scale for name in whole_numbers.SUMS}
    assert found == terms.sums(items)
    assert sums.discount * scale == sum(terms.off(item) for item in items if not item.is_optional)
