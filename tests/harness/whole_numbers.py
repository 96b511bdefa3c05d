"""What an order costs, in whole numbers of the currency's smallest unit: product.md section 5 once more, without the product's code.

Prices and discounts are ten-thousandths, other percentages hundredths, as the columns hold them. Only integers are divided, so
nothing is lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass

DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
# How often a term is billed in each way.
PERIODS = {
    ("P1M", "monthly"): 1,
    ("P1Y", "monthly"): 12,
    ("P1Y", "annual"): 1,
    ("P3Y", "monthly"): 36,
    ("P3Y", "annual"): 3,
    ("P3Y", "triennial"): 1,
    ("P1Y", "one_time"): 1,
    ("", "one_time"): 1,
}
PLANS = [*sorted(PERIODS), ("P1M", "none")]
SUMS = ("due_now", "tax_now", "per_month", "per_year", "per_three_years", "first_payment")


def rounded(numerator: int, denominator: int) -> int:
    """The quotient, half up."""
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(frozen=True)
class Item:
    """So many of something with these two prices for its whole term.

    `discount`: percent, or off each and each time that it is billed. An optional one is not summed up until it is chosen.
    """

    plan: tuple[str, str]
    quantity: int
    listed: int
    cost: int
    discount: int = 0
    is_percent: bool = True
    is_optional: bool = False


@dataclass(frozen=True)
class Terms:
    """How a seller prices and taxes what one customer buys."""

    currency: str
    is_from_cost: bool
    markup: int
    tax_rate: int

    def unit(self, item: Item) -> int:
        """Of one, each time that it is billed."""
        return self._unit(item, item.discount)

    def _unit(self, item: Item, discount: int) -> int:
        if item.plan[1] == "none":
            return 0
        # In units of 10 to the power of minus 8.
        whole_term = item.cost * (10_000 + self.markup) if self.is_from_cost else item.listed * 10_000
        periods = PERIODS[item.plan]
        percent = discount if item.is_percent else 0
        left = max(whole_term - (0 if item.is_percent else discount * 10_000 * periods), 0)
        return rounded(left * (10**6 - percent) * 10 ** DIGITS[self.currency], 10**14 * periods)

    def amount(self, item: Item) -> int:
        return self.unit(item) * item.quantity

    def off(self, item: Item) -> int:
        """What the discount takes off each time."""
        return (self._unit(item, 0) - self.unit(item)) * item.quantity

    def tax(self, item: Item) -> int:
        return rounded(self.amount(item) * self.tax_rate, 10_000)

    def sums(self, items: Iterable[Item]) -> dict[str, int]:
        """The totals by their names in an order."""
        found = dict.fromkeys(SUMS, 0)
        of_cycle = {"monthly": "per_month", "annual": "per_year", "triennial": "per_three_years"}
        for item in items:
            if item.is_optional:
                continue
            amount, tax = self.amount(item), self.tax(item)
            found["due_now"] += amount
            found["tax_now"] += tax
            found["first_payment"] += amount + tax
            if name := of_cycle.get(item.plan[1]):
                found[name] += amount
        return found
