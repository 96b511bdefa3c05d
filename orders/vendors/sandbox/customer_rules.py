"""What the vendor thinks of a customer, read from his domain, and what a country asks of one.

Pure functions over the customer's document.  A domain that begins with one of `PREFIXES` makes the customer special for
good; `PATCH /__sandbox__/customers/{id}` changes it, as the customer or the vendor's staff would.
"""

from typing import Any

from .answers import Answer, error
from .ledger import Document

ALLOWED, UNDER_REVIEW, NOT_ALLOWED, UNKNOWN, NOT_READY = "Allowed", "UnderReview", "NotAllowed", "Unknown", "Not Ready"
STANDINGS = (ALLOWED, UNDER_REVIEW, NOT_ALLOWED, UNKNOWN, NOT_READY, "")
"""The words of `validationStatus`; the empty one means that the vendor has no status of this customer (404, code 600074)."""

ATTESTED, DIRECT, MISSING = "attested", "direct", "missing"
AGREEMENTS = (ATTESTED, DIRECT, MISSING)
"""How the customer accepted the Microsoft Customer Agreement: the partner said so, he signed it himself, or not at all."""

RELATIONSHIPS = ("reseller", "none")

PREFIXES: dict[str, Document] = {
    "nomca": {"agreement": MISSING},
    "direct": {"agreement": DIRECT},
    "review": {"standing": UNDER_REVIEW},
    "denied": {"standing": NOT_ALLOWED},
    "nostatus": {"standing": ""},
    "norel": {"relationship": "none"},
    "credit": {"credit": False},
    "locked": {"locked": True},
}
"""What a domain's beginning says about its customer."""

CHANGEABLE: dict[str, tuple[Any, ...]] = {
    "agreement": AGREEMENTS,
    "standing": STANDINGS,
    "relationship": RELATIONSHIPS,
    "credit": (True, False),
    "locked": (True, False),
}

_GOOD: Document = {"agreement": ATTESTED, "standing": ALLOWED, "relationship": "reseller", "credit": True, "locked": False}

REGISTRATION_COUNTRIES = frozenset({
    "AE", "AM", "AZ", "BR", "BY", "HU", "IN", "IQ", "KG", "KZ", "MD", "MM",
    "PL", "RU", "SA", "SS", "TH", "TJ", "TR", "UA", "UZ", "VE", "VN", "ZA",
})  # fmt: skip
"""Where a registration number and a phone are mandatory; everywhere else a number is refused ("Create a customer")."""

PHONE_MISSING = "000"
"""A phone number that counts as none."""


def account_of(customer: Document) -> Document:
    """agreement, standing, relationship, credit and locked of a customer."""
    magic = next((values for prefix, values in PREFIXES.items() if customer["domain"].lower().startswith(prefix)), {})
    return {**_GOOD, **magic, **customer.get("account", {})}


def has_agreement(customer: Document) -> bool:
    return bool(account_of(customer)["agreement"] != MISSING)


def refused_purchase(customer: Document) -> Answer | None:
    """Why this customer can't buy anything at all now, or None."""
    account = account_of(customer)
    if account["locked"]:
        return error(403, 900416, "The customer account is locked for transactions.")
    if account["standing"] in {UNDER_REVIEW, UNKNOWN}:
        return error(403, 800073, "The customer account is under review.")
    if account["standing"] == NOT_ALLOWED:
        return error(403, 800075, "The customer account is not approved to transact.")
    if account["agreement"] == MISSING:
        return error(403, 13605, "The acceptance of the Microsoft Customer Agreement is not confirmed for this customer.")
    if not account["credit"]:
        return error(403, 800023, "The credit line of the customer is below the purchase threshold.")
    return None


def refused_by_country(company: Document, address: Document) -> Answer | None:
    """What a country asks of a new customer and he lacks, or None."""
    number = company.get("organizationRegistrationNumber")
    is_asked = address["Country"] in REGISTRATION_COUNTRIES
    if is_asked and not number:
        return error(400, 600049, "The registration number is missing.", ["CompanyProfile.organizationRegistrationNumber"])
    if number and not is_asked:
        return error(
            400, 600002, "A registration number is not supported in this country.", ["CompanyProfile.organizationRegistrationNumber"]
        )
    phone = address.get("PhoneNumber") or ""
    if phone == PHONE_MISSING or (is_asked and not phone):
        return error(400, 600051, "The customer's phone number is missing.", ["BillingProfile.DefaultAddress.PhoneNumber"])
    return None
