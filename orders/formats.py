"""How dates, times, numbers and money are written: by the locale that a seller chose. The words of the pages stay English.

The functions are pure when they are given a locale. Without one they use that of the request, which scoping activates as
it does the time zone, so that no template and no query has to carry it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal

from babel.dates import format_skeleton, format_time
from babel.numbers import format_currency, format_decimal

DEFAULT = "en_GB"
LOCALES = {
    "en_GB": "English (United Kingdom)",
    "en_US": "English (United States)",
    "nl_NL": "Dutch (Netherlands)",
    "de_DE": "German (Germany)",
    "fr_FR": "French (France)",
    "es_ES": "Spanish (Spain)",
    "it_IT": "Italian (Italy)",
    "pt_PT": "Portuguese (Portugal)",
    "pl_PL": "Polish (Poland)",
    "sv_SE": "Swedish (Sweden)",
    "da_DK": "Danish (Denmark)",
    "nb_NO": "Norwegian (Norway)",
    "fi_FI": "Finnish (Finland)",
}
MINUS, NO_BREAK = "\u2212", "\u00a0"
# English money is written with a space, as the design has it; every other locale as its own people write it.
ENGLISH_MONEY = f"¤{NO_BREAK}#,##0.00"

_active: ContextVar[str] = ContextVar("locale", default=DEFAULT)


def activate(locale: str) -> None:
    """Write by this locale until deactivate(); one that is not offered is taken as the default."""
    _active.set(locale if locale in LOCALES else DEFAULT)


def deactivate() -> None:
    _active.set(DEFAULT)


def current() -> str:
    return _active.get()


@contextmanager
def using(locale: str) -> Iterator[None]:
    """Write by this locale inside, and as before afterwards."""
    before = current()
    activate(locale)
    try:
        yield
    finally:
        activate(before)


def money(amount: Decimal, currency: str, locale: str = "") -> str:
    """“€ 1,132.80” or “1.132,80 €”: unbreakable, with the minus sign of typography, in the currency's own decimals."""
    locale = locale or current()
    pattern = ENGLISH_MONEY if locale.startswith("en") else None
    return _unbroken(format_currency(amount, currency, pattern, locale=locale))


def number(value: Decimal | int, locale: str = "") -> str:
    """“1,132” or “1.132”: as many decimals as the value has, up to four."""
    return _unbroken(format_decimal(value, "#,##0.####", locale=locale or current()))


def discount(value: Decimal, before: Decimal, currency: str, *, is_percent: bool) -> str:
    """ "5 % off € 2.60", "€ 0.50 off € 9.50"; empty without one. `before`: the unit price without it."""
    if not value:
        return ""
    off = f"{number(value)}{NO_BREAK}%" if is_percent else money(value, currency)
    return f"{off} off {money(before, currency)}"


def day(on: date, locale: str = "", *, with_year: bool) -> str:
    """“22 Nov”, or “22 Nov 2026”. Of a datetime, its own zone's day."""
    plain = on.date() if isinstance(on, datetime) else on
    return format_skeleton("yMMMd" if with_year else "MMMd", plain, locale=locale or current())


def clock_time(at: datetime, locale: str = "", *, seconds: bool = False) -> str:
    """“13:48”, “1:48 PM”: in the zone that `at` is in."""
    return format_time(at, "medium" if seconds else "short", tzinfo=at.tzinfo, locale=locale or current()).replace(" ", NO_BREAK)


def _unbroken(text: str) -> str:
    return text.replace(" ", NO_BREAK).replace("-", MINUS)
