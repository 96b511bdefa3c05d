"""Tags that draw: icons, money, times. None of them queries."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders import clock, formats
from orders.models import OrderLine
from orders.money import CYCLE_LABELS, TERM_LABELS

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite; decoration only, the words beside it carry the meaning."""
    return format_html('<svg class="i {}" aria-hidden="true"><use href="{}#i-{}"/></svg>', classes, static("img/icons.svg"), name)


@register.filter
def money(amount: Decimal | None, currency: str) -> str:
    """“€ 1,132.80”, in the seller's way of writing; empty for no amount."""
    return "" if amount is None else formats.money(amount, currency)


@register.filter
def discount(line: OrderLine, currency: str) -> str:
    """“5 % off € 5.60”; empty without one."""
    return formats.discount(line.discount_value, line.list_unit_price, currency, is_percent=line.discount.is_percent)


@register.filter
def mail(address: str) -> SafeString:
    """A mail address that breaks before its @ where it does not fit into a line, and not within a word."""
    local, at, domain = address.rpartition("@")
    return format_html("{}<wbr>{}{}", local, at, domain)


@register.filter
def number(value: Decimal | int | None) -> str:
    """“1,132”, in the seller's way of writing."""
    return "" if value is None else formats.number(value)


@register.filter
def percent(value: Decimal) -> str:
    """“4.2 %”, in the seller's way of writing."""
    return f"{formats.number(round(value, 1))}{formats.NO_BREAK}%"


@register.filter
def ago(instant: datetime | None) -> str:
    """“40 s ago”, “12 min ago”, “3 h ago” under a day, then the date; portal.js keeps it counting."""
    if instant is None:
        return ""
    return f"{words} ago" if (words := age(instant)) else day(instant)


@register.filter
def age(instant: datetime) -> str:
    """“40 s”, “12 min”, “3 h”; empty from a day on."""
    passed = max(clock.here() - instant, timedelta())
    if passed < timedelta(minutes=1):
        return f"{passed.seconds} s"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min"
    return f"{passed.seconds // 3600} h" if passed < timedelta(days=1) else ""


@register.filter
def day(instant: datetime | date | None) -> str:
    """“22 Nov”, with the year when it is another one; in the seller's zone and way of writing. A date is a day already."""
    if instant is None:
        return ""
    local = timezone.localtime(instant) if isinstance(instant, datetime) else instant
    return formats.day(local, with_year=local.year != timezone.localtime(clock.here()).year)


@register.filter
def moment(instant: datetime | None) -> str:
    """“Today, 13:48” or “20 Nov, 09:12”, in the seller's zone and way of writing."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    today = timezone.localtime(clock.here()).date()
    return f"{'Today' if local.date() == today else day(instant)}, {formats.clock_time(local)}"


@register.filter
def term_words(term: str) -> str:
    return TERM_LABELS.get(term, term)


@register.filter
def cycle_words(cycle: str) -> str:
    return CYCLE_LABELS.get(cycle, cycle)
