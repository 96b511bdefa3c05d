"""How dates, numbers and money are written in each locale that is offered."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from babel import Locale
from babel.numbers import get_currency_precision

from orders import formats

N = "\u00a0"


@pytest.mark.parametrize(
    ("locale", "euros", "yen", "dinars", "on", "at", "count"),
    [
        ("en_GB", f"€{N}1,132.80", f"JP¥{N}1,133", f"KWD{N}1.234", "22 Nov 2026", "13:48", "1,132"),
        ("en_US", f"€{N}1,132.80", f"¥{N}1,133", f"KWD{N}1.234", "Nov 22, 2026", "1:48\u202fPM", "1,132"),
        ("nl_NL", f"€{N}1.132,80", f"JP¥{N}1.133", f"KWD{N}1,234", "22 nov 2026", "13:48", "1.132"),
        ("de_DE", f"1.132,80{N}€", f"1.133{N}¥", f"1,234{N}KWD", "22. Nov. 2026", "13:48", "1.132"),
        ("fr_FR", f"1\u202f132,80{N}€", f"1\u202f133{N}JPY", f"1,234{N}KWD", "22 nov. 2026", "13:48", "1\u202f132"),
        ("fi_FI", f"1{N}132,80{N}€", f"1{N}133{N}¥", f"1,234{N}KWD", "22.11.2026", "13.48", f"1{N}132"),
    ],
)  # fmt: skip
def test_each_locale_writes_in_its_own_way(locale: str, euros: str, yen: str, dinars: str, on: str, at: str, count: str) -> None:
    found = (
        formats.money(Decimal("1132.80"), "EUR", locale), formats.money(Decimal(1133), "JPY", locale),
        formats.money(Decimal("1.234"), "KWD", locale), formats.day(date(2026, 11, 22), locale, with_year=True),
        formats.clock_time(datetime(2026, 11, 22, 13, 48, tzinfo=UTC), locale), formats.number(1132, locale),
    )  # fmt: skip
    assert found == (euros, yen, dinars, on, at, count)


@pytest.mark.parametrize("locale", formats.LOCALES)
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD", "USD"])
def test_money_is_unbreakable_has_the_currencys_decimals_and_a_real_minus_sign(locale: str, currency: str) -> None:
    text = formats.money(Decimal("-1234.5"), currency, locale)
    assert " " not in text
    assert "-" not in text
    assert "\u2212" in text
    digits = [char for char in text if char.isdigit()]
    assert len(digits) == 4 + get_currency_precision(currency)


def test_every_locale_on_offer_exists() -> None:
    assert all(Locale.parse(locale) for locale in formats.LOCALES)


def test_a_locale_is_active_inside_only_and_an_unknown_one_is_the_default() -> None:
    with formats.using("de_DE"):
        assert formats.number(1132) == "1.132"
        with formats.using("xx_XX"):
            assert formats.number(1132) == "1,132"
        assert formats.current() == "de_DE"
    assert formats.current() == formats.DEFAULT
