"""Availabilities: every product and SKU is sold, except products whose id says they are gone.

An availability id names product, SKU, country, segment and virtual day, so a stored `catalogItemId` is worthless
tomorrow or in another country.  That is how the portal is made to resolve it at the moment of sending.
"""

import hashlib
import re
from decimal import Decimal

from . import magic_products, rules
from .answers import Answer, RefusedError, Request, collection, error
from .contract import refuse
from .state import Sandbox

SEGMENTS = ("commercial", "education", "government", "nonprofit")
TERMS = ("P1M", "P1Y", "P3Y")
BILLING_CYCLES = ("monthly", "annual", "triennial", "one_time", "none")
LEAST_SEATS, MOST_SEATS = 1, 10_000_000
MONTHS_BILLED = {"monthly": 1, "annual": 12, "triennial": 36, "one_time": 1, "none": 1}
MONTHS_COMMITTED = {"P1M": 1, "P1Y": 12, "P3Y": 36}

_PART = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_EURO = frozenset(["AT", "BE", "CY", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PT", "SI", "SK"])
_OTHER_CURRENCIES = {
    "AU": "AUD", "BR": "BRL", "CA": "CAD", "CH": "CHF", "CZ": "CZK", "DK": "DKK", "GB": "GBP", "IN": "INR", "JP": "JPY",
    "NO": "NOK", "NZ": "NZD", "PL": "PLN", "SE": "SEK", "ZA": "ZAR",
}  # fmt: skip
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def get_availabilities(sandbox: Sandbox, request: Request, product: str, sku: str) -> Answer:
    """`GET /products/{p}/skus/{s}/availabilities?country=XX&targetSegment=`: one availability per asked segment."""
    country = request.query.get("country", "")
    if _COUNTRY.fullmatch(country) is None:
        refuse(sandbox, request, "bad_country", 400, 800002, "country must be two capital letters.")
    segment = request.query.get("targetSegment", "").lower() or SEGMENTS[0]
    if segment not in SEGMENTS:
        refuse(sandbox, request, "bad_segment", 403, 400030, "This segment is not known.")
    _check_product(product)
    _check_sku(sku)
    identifier = availability_id(product, sku, country, segment, sandbox.clock.day())
    item = {
        "id": identifier,
        "productId": product,
        "skuId": sku,
        "catalogItemId": f"{product}:{sku}:{identifier}",
        "segment": segment,
        "country": country,
        "defaultCurrency": {"code": currency_of(country), "symbol": symbol_of(currency_of(country))},
        "isPurchasable": True,
        "isRenewable": True,
        "terms": [{"duration": term, "description": f"Commitment of {MONTHS_COMMITTED[term]} months"} for term in TERMS],
    }
    return collection([item], f"/products/{product}/skus/{sku}/availabilities?country={country}")


def get_product(sandbox: Sandbox, request: Request, product: str) -> Answer:
    """`GET /products/{p}`."""
    _check_product(product)
    body = {
        "id": product,
        "title": f"Product {product}",
        "description": "A product of the sandbox vendor.",
        "productType": {"id": "OnlineServicesNCE", "displayName": "OnlineServicesNCE"},
        "isMicrosoftProduct": True,
        "publisherName": "Microsoft Corporation",
        "links": {"skus": {"uri": f"/products/{product}/skus", "method": "GET", "headers": []}},
    }
    return Answer(200, body)


def get_sku(sandbox: Sandbox, request: Request, product: str, sku: str) -> Answer:
    """`GET /products/{p}/skus/{s}`: how many, in which billing cycles, and what has to be there first."""
    _check_product(product)
    _check_sku(sku)
    is_addon = product == magic_products.ADD_ON
    body = {
        "id": sku,
        "productId": product,
        "title": f"SKU {sku} of product {product}",
        "description": "A SKU of the sandbox vendor.",
        "minimumQuantity": LEAST_SEATS,
        "maximumQuantity": MOST_SEATS,
        "isTrial": False,
        "supportedBillingCycles": list(BILLING_CYCLES[:3]),
        "purchasePrerequisites": [],
        "inventoryVariables": [],
        "provisioningVariables": [],
        "AttestationProperties": {
            "attestationType": "ResaleAttestation" if product == magic_products.ATTESTATION else None,
            "enforceAttestation": product == magic_products.ATTESTATION,
        },
        "dynamicAttributes": {"isAddon": is_addon, "prerequisiteSkus": [], "hasConstraints": is_addon, "upgradeTargetOffers": []},
        "links": {"availabilities": {"uri": f"/products/{product}/skus/{sku}/availabilities", "method": "GET", "headers": []}},
    }
    return Answer(200, body)


def availability_id(product: str, sku: str, country: str, segment: str, day: int) -> str:
    """Twelve capitals and digits, in the look of the vendor's own ids."""
    return hashlib.sha256(f"{product}:{sku}:{country}:{segment}:{day}".encode()).hexdigest()[:12].upper()


def _check_product(product: str) -> None:
    if product.startswith(rules.PRODUCT_GONE) or _PART.fullmatch(product) is None:
        raise RefusedError(error(404, 400013, f"Product {product} was not found."))


def _check_sku(sku: str) -> None:
    if _PART.fullmatch(sku) is None:
        raise RefusedError(error(404, 400018, f"SKU {sku} was not found."))


def current_item(sandbox: Sandbox, catalog_item_id: str, country: str) -> tuple[str, str] | None:
    """(product, SKU) when this id can be bought today in this country, else None."""
    parts = catalog_item_id.split(":")
    if len(parts) != 3 or any(_PART.fullmatch(part) is None for part in parts):
        return None
    product, sku, given = parts
    day = sandbox.clock.day()
    if any(given == availability_id(product, sku, country, segment, day) for segment in SEGMENTS):
        return product, sku
    return None


def currency_of(country: str) -> str:
    """The currency the vendor bills this country in."""
    return "EUR" if country in _EURO else _OTHER_CURRENCIES.get(country, "USD")


def symbol_of(currency: str) -> str:
    return _SYMBOLS.get(currency, currency)


def unit_price(product: str, sku: str, billing_cycle: str) -> Decimal:
    """A made-up but always equal price for one seat and one billing period: 2.00 to 51.99 a month."""
    number = int.from_bytes(hashlib.sha256(f"{product}:{sku}".encode()).digest()[:4])
    return (Decimal(200 + number % 5000) / 100) * MONTHS_BILLED[billing_cycle]
