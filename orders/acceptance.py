"""What the customer accepted of an order, and how far the order may still differ from it after a refusal by the vendor.

Source: product.md section 2, rule 4: delivery data is free; other lines need a reason, and what the customer pays may fall, never rise.
"""

from orders import formats, quote_document
from orders.models import Order, QuoteAcceptance, QuoteLink
from orders.quote_document import Changes, Document
from orders.statuses import OrderStatus

SUMS = {"due_now": "at first", "per_month": "every month", "per_year": "every year", "per_three_years": "every 3 years"}


def binding(order: Order) -> QuoteAcceptance | None:
    """The acceptance that a failed order has to keep to; None while there is none, or while a new quote can still be made of it."""
    link = order.quote_link
    if order.status != OrderStatus.PROVISIONING_FAILED or link is None or link.ended_as != QuoteLink.Ended.ACCEPTED:
        return None
    return QuoteAcceptance.objects.select_related("revision").filter(revision=link.revision_id).first()


def differences(order: Order, acceptance: QuoteAcceptance) -> Changes:
    """What the order has otherwise than was accepted, in sentences."""
    before = _accepted(acceptance)
    return quote_document.changes(before, before | {"lines": quote_document.freeze(order, acceptance.revision.number)["lines"]})


def objection(order: Order, acceptance: QuoteAcceptance, reason: str) -> str:
    """Why the order as it is now may not be kept, as a sentence; empty when it may."""
    agreed, now = quote_document.totals(_accepted(acceptance)), order.totals()
    for name, words in SUMS.items():
        if (more := getattr(now, name)) > (most := getattr(agreed, name)):
            accepted, found = formats.money(most, order.currency), formats.money(more, order.currency)
            return (
                f"The customer accepted {accepted} {words}, and this is {found}. What the customer pays may fall and never rise: "
                "order less, or close this order and send a new quote."
            )
    if differences(order, acceptance) and not reason.strip():
        return "Say why the items differ from what the customer accepted."
    return ""


def _accepted(acceptance: QuoteAcceptance) -> Document:
    """The document with the optional lines that were chosen, as what they were ordered as."""
    document, chosen = acceptance.revision.document, acceptance.chosen
    ordered = [line for line in document["lines"] if not line["is_optional"] or line["position"] in chosen]
    return dict(document) | {"lines": [line | {"is_optional": False} for line in ordered]}
