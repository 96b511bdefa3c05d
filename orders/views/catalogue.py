"""The catalogue: what is sold, for how much, and why a customer can't have it. The same for all sellers but for their customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import F
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orders import catalogue, clock, contacts, pricing
from orders.catalogue import Place
from orders.models import Customer, Offer, Price, Seller, Vendor
from orders.models.catalogue import PriceQuerySet
from orders.money import PER_LABELS, TERM_LABELS, TERM_MONTHS
from orders.paging import page_by
from orders.scoping import SellerRequest

CUSTOMERS_OFFERED = 200
HISTORY_LIMIT = 100


@dataclass(frozen=True, slots=True)
class PriceShown:
    """One price in words. Cost and margin are for those who may see them; the template asks."""

    price: Price
    seller: Seller

    @property
    def each(self) -> Decimal:
        return self.price.unit_price(self.seller)

    @property
    def per(self) -> str:
        return PER_LABELS[self.price.billing_cycle]

    @property
    def margin(self) -> str:
        """Of the customer's price, in percent; empty where nothing is charged."""
        price, cost = self.price.sold_by(self.seller), self.price.term_cost
        return f"{(price - cost) * 100 / price:.1f} %".replace("-", "\u2212") if price else ""


@dataclass(frozen=True, slots=True)
class OfferShown:
    """An offer with its prices at one place, or why it has none there."""

    offer: Offer
    prices: list[PriceShown]
    why: str


@require_safe
def offer_list(request: SellerRequest) -> HttpResponse:
    get = request.GET
    place = catalogue.place_of(request.seller, get.get("customer", ""))
    vendors = list(Vendor.objects.all())
    segments = list(Offer.objects.order_by("segment").values_list("segment", flat=True).distinct())
    filters = catalogue.read(
        q=get.get("q", ""),
        vendor=get.get("vendor", ""),
        segment=get.get("segment", ""),
        term=get.get("term", ""),
        vendors=vendors,
        segments=segments,
    )
    offers = catalogue.apply(Offer.objects.for_catalogue().select_related("vendor"), filters, place)
    page = page_by(offers, "title", after=get.get("after", ""), before=get.get("before", ""))
    customers = Customer.objects.for_seller(request.seller).active().order_by("name", "id")[:CUSTOMERS_OFFERED]
    context = {
        "filters": filters,
        "place": place,
        "country": contacts.country_name(place.market),
        "page": page,
        "rows": offers_shown(page.rows, place, request.seller),
        "vendors": vendors,
        "segments": segments,
        "terms": [(term, TERM_LABELS[term]) for term in TERM_MONTHS],
        "customers": customers,
    }
    return render(request, "orders/offer_list.html", context)


def offers_shown(offers: Sequence[Offer], place: Place, seller: Seller) -> list[OfferShown]:
    """In two queries, however many offers: today's prices, and all prices of offers about which something must be said."""
    today: dict[int, list[PriceShown]] = {}
    for price in _in_order(catalogue.prices_at(place).filter(offer__in=offers)):
        today.setdefault(price.offer_id, []).append(PriceShown(price, seller))
    customer = place.customer or Customer(country=place.market, currency=place.currency, segment="")
    silent = [offer for offer in offers if offer.pk not in today or place.customer or not (offer.is_active and offer.vendor.is_active)]
    ever: dict[int, list[Price]] = {}
    for price in Price.objects.shown().filter(offer__in=silent).select_related("ended_by"):
        ever.setdefault(price.offer_id, []).append(price)
    now, shown = clock.now(), []
    for offer in offers:
        if not place.customer:
            # Of nobody in particular: whoever buys will be of the offer's segment.
            customer.segment = offer.segment
        why = pricing.why_not(offer, customer, ever.get(offer.pk, []), now) if offer in silent else ""
        shown.append(OfferShown(offer, today.get(offer.pk, []), why))
    return shown


def _in_order(prices: PriceQuerySet) -> list[Price]:
    """Short terms first; of two that are valid at once the one that began last."""
    latest: dict[tuple[object, ...], Price] = {}
    for price in prices.order_by(F("valid_from").asc(nulls_first=True), "pk"):
        latest[price.offer_id, price.market, price.term, price.billing_cycle] = price
    return sorted(
        latest.values(), key=lambda price: (price.market, TERM_MONTHS.get(price.term, 0), price.billing_cycle != "monthly", price.pk)
    )


@require_safe
def offer_detail(request: SellerRequest, code: str) -> HttpResponse:
    if "\0" in code:
        raise Http404
    offer = Offer.objects.for_catalogue().select_related("vendor").filter(code=code).first()
    if offer is None:
        raise Http404
    place = catalogue.place_of(request.seller, request.GET.get("customer", ""))
    [shown] = offers_shown([offer], place, request.seller)
    markets = {place.market, *Customer.objects.for_seller(request.seller).active().values_list("country", flat=True).distinct()}
    mine = Price.objects.shown().filter(offer=offer, currency=place.currency, market__in=markets)
    now = clock.now()
    current = _in_order(mine.valid_at(now))
    context = {
        "shown": shown,
        "offer": offer,
        "place": place,
        "country": contacts.country_name(place.market),
        "current": [(contacts.country_name(price.market), PriceShown(price, request.seller)) for price in current],
        "history": _history(mine, {price.pk for price in current}, now, request.seller),
        "bases": offer.bases.filter(pk__in=Offer.objects.for_catalogue().values("pk")),
        "addons": offer.addons.filter(pk__in=Offer.objects.for_catalogue().values("pk")),
    }
    return render(request, "orders/offer_detail.html", context)


@dataclass(frozen=True, slots=True)
class Past:
    """A price that is not today's: when it held or will hold, and which list brought and ended it."""

    shown: PriceShown
    country: str
    begins: datetime | None
    ends: datetime | None
    is_coming: bool


def _history(prices: PriceQuerySet, current: set[int], now: datetime, seller: Seller) -> list[Past]:
    """Coming prices first, then the ended ones, the last first."""
    rows = list(prices.select_related("added_by", "ended_by").order_by("-pk")[: HISTORY_LIMIT + len(current)])
    # A list that only moves the end of a price writes it anew. That is one price and not two.
    written_anew = {(price.added_by_id, *_without_end(price)) for price in rows}
    found = []
    for price in rows:
        if price.pk in current or (price.withdrawn_at and (price.ended_by_id, *_without_end(price)) in written_anew):
            continue
        is_coming = price.withdrawn_at is None and price.valid_from is not None and price.valid_from > now
        found.append(Past(PriceShown(price, seller), contacts.country_name(price.market), price.valid_from, price.over_at, is_coming))
    return sorted(found, key=lambda past: (past.is_coming, past.ends or now), reverse=True)[:HISTORY_LIMIT]


def _without_end(price: Price) -> tuple[object, ...]:
    return price.market, price.term, price.billing_cycle, price.valid_from, price.term_cost, price.term_price
