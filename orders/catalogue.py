"""What the catalogue lists: everything comes from the URL, and nonsense in it is ignored."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_

from django.db.models import Count, Exists, F, OuterRef, Q

from orders import clock
from orders.models import Customer, Order, Price, Seller, Vendor
from orders.models.catalogue import OfferQuerySet, PriceQuerySet
from orders.money import TERM_LABELS
from orders.paging import words

MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """For whom prices are shown: a customer, or whoever most of the seller's customers are like."""

    market: str
    currency: str
    customer: Customer | None = None


def place_of(seller: Seller, customer_code: str = "") -> Place:
    """The place of the seller's customer with this code, else of the country that most of his customers are in."""
    customer = Customer.objects.for_seller(seller).active().with_code(customer_code).first() if customer_code else None
    if customer:
        return Place(customer.country, customer.currency, customer)
    most = (
        Customer.objects.for_seller(seller).active().values("country").annotate(number=Count("pk")).order_by("-number", "country").first()
    )
    return Place(most["country"] if most else "NL", seller.currency)


def prices_at(place: Place) -> PriceQuerySet:
    """What is sold there now, in the order in which it began: the last of two that are valid at once counts."""
    prices = Price.objects.valid_at(clock.now()).filter(market=place.market, currency=place.currency)
    return prices.order_by(F("valid_from").asc(nulls_first=True), "pk")


def listed_for(order: Order) -> dict[tuple[int, str, str], Price]:
    """Today's prices of the order's offers for its customer, by offer, term and billing cycle: one query."""
    place = Place(order.customer.country, order.currency)
    prices = prices_at(place).filter(offer__in={line.offer_id for line in order.lines.all()}).select_related("offer__vendor")
    return {(price.offer_id, price.term, price.billing_cycle): price for price in prices}


# --- filters


@dataclass(frozen=True, slots=True)
class Filters:
    """What the URL asks for, cleaned; empty means any."""

    q: str
    vendor: str
    segment: str
    term: str

    @property
    def is_narrow(self) -> bool:
        return bool(self.q or self.vendor or self.segment or self.term)


def read(*, q: str, vendor: str, segment: str, term: str, vendors: Iterable[Vendor], segments: Iterable[str]) -> Filters:
    """Filters from raw parameters; what is no vendor, segment or term of ours is dropped."""
    return Filters(
        words(q),
        vendor if vendor in {one.code for one in vendors} else "",
        segment if segment in segments else "",
        term if term and term in TERM_LABELS else "",
    )


def apply(offers: OfferQuerySet, filters: Filters, place: Place) -> OfferQuerySet:
    """The offers that the filters let through. A term counts where the place has a price for it."""
    if filters.vendor:
        offers = offers.filter(vendor__code=filters.vendor)
    if filters.segment:
        offers = offers.filter(segment=filters.segment)
    if filters.term:
        offers = offers.filter(Exists(prices_at(place).filter(offer=OuterRef("pk"), term=filters.term)))
    if filters.q:
        offers = offers.filter(reduce(and_, map(_with_word, filters.q.split()[:MOST_WORDS])))
    return offers


def _with_word(word: str) -> Q:
    """In title, SKU, description or the vendor's name; CFQ7TTC0LCHC:0002 and CFQ7TTC0LCHC-0002 are the same."""
    return (
        Q(title__icontains=word)
        | Q(description__icontains=word)
        | Q(code__icontains=word.replace(":", "-"))
        | Q(vendor__name__icontains=word)
    )
