"""Templates: what quotes begin with. A template holds no price; those are of the day and the customer it is used for.

Source: product.md section 4; reference/competitors.md, feature 31.
"""

from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from orders import clock, quoting
from orders.lifecycle import Refusal
from orders.models import Order, OrderLine, QuoteTemplate, Seller, User

MOST_TEMPLATES = 200


@transaction.atomic
def save_as_template(order: Order, name: str, *, by: User) -> QuoteTemplate:
    """A template of the order's items, note and days of validity. Raises Refusal for a name that another one has."""
    if of(order.seller)[:MOST_TEMPLATES].count() >= MOST_TEMPLATES:
        raise Refusal(f"You have {MOST_TEMPLATES} templates. Archive one first.")
    try:
        with transaction.atomic():
            return QuoteTemplate.objects.create(
                seller=order.seller, name=name, content=_content(order), created_by=by, created_at=clock.now()
            )
    except IntegrityError as taken:
        raise Refusal(f"There is a template called {name} already. Choose another name, or archive that one first.") from taken


def _content(order: Order) -> dict[str, Any]:
    days = (order.valid_until - quoting.today(order)).days if order.valid_until else 0
    return {
        "lines": [row_of(line) for line in order.lines.select_related("offer")],
        "note": order.customer_note,
        "days": max(days, 0),
    }


def row_of(line: OrderLine) -> dict[str, str]:
    """The line as the order form has it, without a price."""
    return {
        "offer": line.offer.code,
        "plan": f"{line.term}:{line.billing_cycle}",
        "quantity": str(line.quantity),
        "discount": f"{line.discount_value.normalize():f}" if line.discount else "",
        "discount_kind": line.discount_kind,
        "is_optional": "on" if line.is_optional else "",
    }


def of(seller: Seller, *, is_archived: bool = False) -> QuerySet[QuoteTemplate]:
    """The seller's templates by name: those in use, or the archived ones."""
    return QuoteTemplate.objects.filter(seller=seller, is_archived=is_archived).select_related("created_by").order_by("name", "id")


def last_day(template: QuoteTemplate, today: date) -> date | None:
    """Until when a quote is valid that begins with it today; None leaves it to the seller's own number of days."""
    return today + timedelta(days=template.content["days"]) if template.content.get("days") else None


@transaction.atomic
def archive(template: QuoteTemplate) -> None:
    """Take it out of use. Its name is free again."""
    QuoteTemplate.objects.filter(pk=template.pk).update(is_archived=True)


@transaction.atomic
def bring_back(template: QuoteTemplate) -> None:
    """Undo archive(). Raises Refusal when another one has the name meanwhile."""
    try:
        with transaction.atomic():
            QuoteTemplate.objects.filter(pk=template.pk).update(is_archived=False)
    except IntegrityError as taken:
        raise Refusal(f"Another template is called {template.name} now.") from taken
