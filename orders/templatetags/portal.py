"""Tags that draw: icons, money, times. None of them queries."""

from datetime import datetime, timedelta
from decimal import Decimal

from babel.numbers import format_currency
from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders import clock
from orders.money import CYCLE_LABELS, TERM_LABELS

register = template.Library()
MINUS = "\u2212"


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite; decoration only, the words beside it carry the meaning."""
    return format_html('<svg class="i {}" aria-hidden="true"><use href="{}#i-{}"/></svg>', classes, static("img/icons.svg"), name)


@register.filter
def money(amount: Decimal | None, currency: str) -> str:
    """“€ 1,132.80”: unbreakable, with the minus sign of typography, in the currency's own decimals."""
    if amount is None:
        return ""
    return format_currency(amount, currency, "¤\u00a0#,##0.00", locale="en_GB").replace("-", MINUS)


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
def day(instant: datetime | None) -> str:
    """“22 Nov”, with the year when it is another one; in the seller's zone."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    text = f"{local.day} {local:%b}"
    return text if local.year == timezone.localtime(clock.here()).year else f"{text} {local.year}"


@register.filter
def moment(instant: datetime | None) -> str:
    """“Today, 13:48” or “20 Nov, 09:12”, in the seller's zone."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    today = timezone.localtime(clock.here()).date()
    return f"{'Today' if local.date() == today else day(instant)}, {local:%H:%M}"


@register.filter
def term_words(term: str) -> str:
    return TERM_LABELS.get(term, term)


@register.filter
def cycle_words(cycle: str) -> str:
    return CYCLE_LABELS.get(cycle, cycle)
