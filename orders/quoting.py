"""Verbs on quotes. The drafting screen and the customer's link come later; the edges are whole already."""

from django.db import transaction

from orders import clock
from orders.lifecycle import lock, record, save
from orders.models import Order, QuoteRevision, User
from orders.models.quotes import content_hash


@transaction.atomic
def send(order: Order, *, by: User | None) -> Order:
    """Freeze a revision of the quote and put it with the customer."""
    order = lock(order)
    before = order.status
    order.send()
    document = _document(order)
    revision = QuoteRevision.objects.create(
        order=order,
        number=order.revisions.count() + 1,
        document=document,
        content_sha256=content_hash(document),
        sent_at=clock.now(),
        sent_by=by,
    )
    order.status_note = "Not opened"
    save(order)
    record(order, "sent", by, from_status=before, revision=revision.number)
    return order


@transaction.atomic
def revise(order: Order, *, by: User | None) -> Order:
    """Take the quote back to work on the next revision."""
    return _back_to_draft(order, "revise", "revised", by)


@transaction.atomic
def withdraw(order: Order, *, by: User | None) -> Order:
    """Take the quote back."""
    return _back_to_draft(order, "withdraw", "withdrawn", by)


@transaction.atomic
def decline(order: Order, *, reason: str, by: User | None = None) -> Order:
    """The customer says no. The order is a Draft that says why."""
    return _back_to_draft(order, "decline", "declined", by, note=f"Declined: {reason}"[:200])


def _back_to_draft(order: Order, transition: str, event: str, by: User | None, note: str = "") -> Order:
    order = lock(order)
    before = order.status
    getattr(order, transition)()
    order.status_note = note
    save(order)
    record(order, event, by, from_status=before)
    return order


def _document(order: Order) -> dict[str, object]:
    """What the customer sees: no cost, no margin, no internal note."""
    return {
        "number": order.number,
        "customer": order.customer.name,
        "currency": order.currency,
        "lines": [
            {
                "title": line.title,
                "quantity": line.quantity,
                "term": line.term,
                "billing_cycle": line.billing_cycle,
                "unit_price": str(line.unit_price),
                "amount": str(line.amount),
                "tax": str(line.tax),
            }
            for line in order.lines.all()
        ],
        "due_now": str(order.due_now),
        "first_payment": str(order.first_payment),
    }
