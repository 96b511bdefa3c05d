"""What a country asks of an address, and whether an address exists."""

import re
from typing import Any

from .answers import Answer, RefusedError, Request, error
from .contract import read_json, refuse
from .customer_rules import REGISTRATION_COUNTRIES
from .ledger import Document
from .state import Sandbox

POSTAL_CODE_UNKNOWN = "00000"
_COUNTRY = re.compile(r"[A-Z]{2}")
_FIELDS = {"AddressLine1": 200, "AddressLine2": 200, "City": 100, "State": 100, "PostalCode": 20, "Country": 2}
_REQUIRED = ("AddressLine1", "City", "Country")
_STATES = {
    "AU": "Australian Capital Territory|New South Wales|Northern Territory|Queensland|South Australia|Tasmania|Victoria|Western Australia",
    "CA": "AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT",
    "US": "AK|AL|AR|AZ|CA|CO|CT|DC|DE|FL|GA|HI|IA|ID|IL|IN|KS|KY|LA|MA|MD|ME|MI|MN|MO|MS"
    "|MT|NC|ND|NE|NH|NJ|NM|NV|NY|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VA|VT|WA|WI|WV|WY",
}
_CALLING_CODES = {
    "AU": "61", "BE": "32", "BR": "55", "CA": "1", "CH": "41", "DE": "49", "DK": "45", "ES": "34", "FR": "33", "GB": "44",
    "IN": "91", "IT": "39", "LV": "371", "NL": "31", "NO": "47", "PL": "48", "SE": "46", "US": "1", "ZA": "27",
}  # fmt: skip
_LANGUAGES = {
    "BR": "pt",
    "DE": "de",
    "DK": "da",
    "ES": "es",
    "FR": "fr",
    "IT": "it",
    "LV": "lv",
    "NL": "nl",
    "NO": "nb",
    "PL": "pl",
    "SE": "sv",
}
_POSTAL_CODES = {
    "AU": r"^\d{4}$", "BE": r"^\d{4}$", "BR": r"^\d{5}-?\d{3}$", "CH": r"^\d{4}$", "DE": r"^\d{5}$", "DK": r"^\d{4}$", "ES": r"^\d{5}$",
    "FR": r"^\d{5}$", "IN": r"^\d{6}$", "IT": r"^\d{5}$", "LV": r"^LV-\d{4}$", "NL": r"^\d{4} ?[A-Z]{2}$", "NO": r"^\d{4}$",
    "PL": r"^\d{2}-\d{3}$", "SE": r"^\d{3} ?\d{2}$", "US": r"^\d{5}(-\d{4})?$", "ZA": r"^\d{4}$",
}  # fmt: skip
_NO_POSTAL_CODES = frozenset({"AE", "HK", "IE", "QA"})


def country_rules(sandbox: Sandbox, request: Request, country: str) -> Answer:
    """`GET /countryvalidationrules/{iso2}`: what the form of a customer in this country has to ask and to check."""
    iso2 = country.upper()
    if _COUNTRY.fullmatch(iso2) is None:
        raise RefusedError(error(404, 1000, f"There are no rules of country {country}."))
    language = _LANGUAGES.get(iso2, "en")
    body = {
        "iso2Code": iso2,
        "defaultCulture": f"{language}-{iso2}",
        "isStateRequired": iso2 in _STATES,
        "supportedStatesList": _STATES[iso2].split("|") if iso2 in _STATES else [],
        "supportedLanguagesList": sorted({language, "en"}),
        "supportedCulturesList": sorted({f"{language}-{iso2}", "en-US"}),
        "isPostalCodeRequired": iso2 not in _NO_POSTAL_CODES,
        "postalCodeRegex": _POSTAL_CODES.get(iso2),
        "isCityRequired": True,
        "isVatIdSupported": False,
        "vatIdRegex": None,
        "taxIdFormat": None,
        "taxIdSample": None,
        "isTaxIdSupported": False,
        "isTaxIdOptional": True,
        "isOrganizationRegistrationNumberRequired": iso2 in REGISTRATION_COUNTRIES,
        "phoneNumberRegex": r"^[0-9 +()./-]{3,40}$",
        "countryCallingCodesList": [_CALLING_CODES[iso2]] if iso2 in _CALLING_CODES else [],
        "attributes": {"objectType": "CountryValidationRules"},
    }
    return Answer(200, body)


def validate_address(sandbox: Sandbox, request: Request) -> Answer:
    """`POST /validations/address`: Verified, StreetPartial with three proposals (no house number), or None (code 00000)."""
    address = _checked(sandbox, request)
    line, code = address["AddressLine1"], address.get("PostalCode") or ""
    rule = _POSTAL_CODES.get(address["Country"])
    if code == POSTAL_CODE_UNKNOWN or (rule and re.match(rule, code, re.IGNORECASE) is None):
        return _verdict(address, "None", "The postal code is not one of this country.", [])
    if re.search(r"\d", line) is None:
        proposed = [{**_answered(address), "addressLine1": f"{line} {number}"} for number in (1, 12, 25)]
        return _verdict(address, "StreetPartial", "The street was found, the house number is missing.", proposed)
    return _verdict(address, "VerifiedShippable", "", [])


def _checked(sandbox: Sandbox, request: Request) -> Document:
    body = read_json(sandbox, request)
    wrong = [key for key in body if key not in _FIELDS]
    wrong += [key for key, longest in _FIELDS.items() if not _fits(body.get(key), longest, key in _REQUIRED)]
    if isinstance(body.get("Country"), str) and _COUNTRY.fullmatch(body["Country"]) is None:
        wrong.append("Country")
    if wrong:
        names = list(dict.fromkeys(wrong))
        refuse(sandbox, request, "bad_address_field", 400, 3000, f"Invalid properties: {', '.join(names)}.", names)
    return body


def _fits(value: Any, longest: int, required: bool) -> bool:
    if value is None or value == "":
        return not required
    return isinstance(value, str) and len(value) <= longest


def _answered(address: Document) -> Document:
    return {key[:1].lower() + key[1:]: value for key, value in address.items()}


def _verdict(address: Document, status: str, message: str, proposed: list[Document]) -> Answer:
    body = {
        "originalAddress": _answered(address),
        "suggestedAddresses": proposed,
        "status": status,
        "validationMessage": message or None,
        "attributes": {"objectType": "AddressValidationResponse"},
    }
    return Answer(200, body)
