"""The offers that a form names, and with which terms and billing cycles they are sold."""

from collections.abc import Iterable

from orders.catalogue import Place, prices_at
from orders.models import Offer, Price
from orders.money import CYCLE_LABELS, CYCLE_MONTHS, TERM_LABELS, TERM_MONTHS


def plan_words(term: str, cycle: str) -> str:
    return f"{TERM_LABELS[term]}, {CYCLE_LABELS[cycle]}"


class Offered:
    """The offers that a form names, with their prices where its customer is: two queries, however many lines there are."""

    def __init__(self, place: Place, codes: Iterable[str]) -> None:
        self.place = place
        named = Offer.objects.select_related("vendor").prefetch_related("bases")
        self._offers = {offer.code: offer for offer in named.filter(code__in={code for code in codes if "\0" not in code})}
        prices = prices_at(place).filter(offer__in=self._offers.values())
        self._prices = {(price.offer_id, f"{price.term}:{price.billing_cycle}"): price for price in prices}
        by_pk = {offer.pk: offer for offer in self._offers.values()}
        for price in self._prices.values():
            price.offer = by_pk[price.offer_id]

    def offer(self, code: str) -> Offer | None:
        return self._offers.get(code)

    def price(self, offer: Offer, plan: str) -> Price | None:
        return self._prices.get((offer.pk, plan))

    def plans(self, offer: Offer) -> list[tuple[str, str]]:
        """Value and words of each plan, short terms first."""
        mine = [price for (pk, _), price in self._prices.items() if pk == offer.pk]
        mine.sort(key=lambda price: (TERM_MONTHS.get(price.term, 0), CYCLE_MONTHS.get(price.billing_cycle, 0)))
        return [(f"{price.term}:{price.billing_cycle}", plan_words(price.term, price.billing_cycle)) for price in mine]
