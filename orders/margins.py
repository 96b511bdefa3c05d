"""A margin beside its seller's floor, as the team sees it while somebody drafts. No customer ever does.

Source: product.md section 4, the drafting screen.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from orders.models.orders import Margin

# The meter is full at this many percent, or where the floor is in its middle.
FULL = Decimal(25)


@dataclass(frozen=True, slots=True)
class AgainstFloor:
    """`floor` in percent of what is charged, as the margin is."""

    margin: Margin
    floor: Decimal

    @property
    def is_below(self) -> bool:
        percent = self.margin.percent
        return percent is not None and percent < self.floor

    @property
    def value(self) -> int:
        """How long the bar of a meter is, from 0 to 100."""
        return self._at(self.margin.percent or Decimal(0))

    @property
    def mark(self) -> int:
        """Where the floor is on the meter, from 0 to 100."""
        return self._at(self.floor)

    def _at(self, percent: Decimal) -> int:
        return int(min(max(percent / max(FULL, 2 * self.floor) * 100, Decimal(0)), Decimal(100)))


def most_discount(term_price: Decimal, term_cost: Decimal, floor: Decimal) -> Decimal | None:
    """The highest discount in percent, in steps of 0.1, that leaves the floor; None where no discount at all is too much already.

    Of the price p, cost c and floor f in percent: p (1 - d) - c >= f p (1 - d), so that d <= 1 - c / (p (1 - f)).
    """
    if not term_price or floor >= 100:
        return None
    most = 100 - 100 * term_cost / (term_price * (100 - floor) / 100)
    return most.quantize(Decimal("0.1"), rounding=ROUND_FLOOR) if most >= 0 else None
