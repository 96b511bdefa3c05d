"""What the catalogue lists, and in which pages: everything comes from the URL, and nonsense in it is ignored."""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_

from django.db.models import Count, Exists, OuterRef, Q

from orders import clock
from orders.models import Customer, Offer, Price, Seller, Vendor
from orders.models.catalogue import OfferQuerySet, PriceQuerySet
from orders.money import TERM_LABELS

PAGE_SIZE = 25
LONGEST_SEARCH, MOST_WORDS = 100, 8


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
    """What is sold there now."""
    return Price.objects.valid_at(clock.now()).filter(market=place.market, currency=place.currency)


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
        " ".join(q.replace("\0", "").split())[:LONGEST_SEARCH],
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
    """In title, SKU or description; CFQ7TTC0LCHC:0002 and CFQ7TTC0LCHC-0002 are the same."""
    return Q(title__icontains=word) | Q(description__icontains=word) | Q(code__icontains=word.replace(":", "-"))


# --- pages


@dataclass(frozen=True, slots=True)
class Page:
    """One page by keyset: `next` and `previous` are cursors for the URL, empty at the ends."""

    offers: list[Offer]
    next: str
    previous: str


def page(offers: OfferQuerySet, *, after: str = "", before: str = "", size: int = PAGE_SIZE) -> Page:
    """The page after or before a cursor, by title. A cursor that can't be read means the first page."""
    if at := _decode(before):
        earlier = offers.filter(Q(title__lt=at[0]) | Q(title=at[0], pk__lt=at[1])).order_by("-title", "-id")
        found = list(earlier[: size + 1])
        rows = found[:size][::-1]
        return Page(rows, _encode(rows[-1]) if rows else "", _encode(rows[0]) if len(found) > size else "")
    at = _decode(after)
    if at:
        offers = offers.filter(Q(title__gt=at[0]) | Q(title=at[0], pk__gt=at[1]))
    found = list(offers.order_by("title", "id")[: size + 1])
    rows = found[:size]
    return Page(rows, _encode(rows[-1]) if len(found) > size else "", _encode(rows[0]) if rows and at else "")


def _encode(offer: Offer) -> str:
    return base64.urlsafe_b64encode(json.dumps([offer.title, offer.pk]).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str, int] | None:
    try:
        title, pk = json.loads(base64.urlsafe_b64decode(cursor[:2000] + "=" * (-len(cursor[:2000]) % 4)))
        title.encode()  # lone surrogates, which JSON can spell and no database takes
        return (title, pk) if "\0" not in title and type(pk) is int and 0 < pk < 2**63 else None
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
