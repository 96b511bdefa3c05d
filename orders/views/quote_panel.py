"""What the order page shows of a quote: its link, what the customer did, the revisions with their differences, the thread."""

from dataclasses import dataclass

from orders import clock, mail, permissions, quote_document, quoting
from orders.models import Order, QuoteAcceptance, QuoteLink, QuoteMessage, QuoteRevision
from orders.quote_document import Changes
from orders.scoping import SellerRequest
from orders.views.quote_public import thread


@dataclass(frozen=True, slots=True)
class RevisionShown:
    revision: QuoteRevision
    changes: Changes
    acceptance: QuoteAcceptance | None


@dataclass(frozen=True, slots=True)
class QuotePanel:
    """`address` is the customer's link for who may pass it on, while it takes an answer."""

    link: QuoteLink
    address: str
    is_open: bool
    is_expired: bool
    has_pdf: bool
    may_write: bool
    revisions: list[RevisionShown]
    messages: list[QuoteMessage]


def quote_panel(request: SellerRequest, order: Order) -> QuotePanel | None:
    """None for an order that was never sent as a quote. As many queries for one revision as for many."""
    link, may_write = order.quote_link, bool(permissions.can_write(request.membership))
    if link is None:
        return None
    now, revisions = clock.now(), list(order.revisions.select_related("acceptance", "sent_by").prefetch_related("messages"))
    before: list[QuoteRevision | None] = [*revisions[1:], None]
    shown = [
        RevisionShown(
            revision,
            quote_document.changes(earlier.document, revision.document) if earlier else Changes(),
            getattr(revision, "acceptance", None),
        )
        for revision, earlier in zip(revisions, before, strict=True)
    ]
    is_with_customer = order.status == "quote_sent" and not link.ended_as
    return QuotePanel(
        link=link,
        address=mail.link(quoting.address_of(link)) if may_write and is_with_customer else "",
        is_open=is_with_customer,
        is_expired=link.is_expired(now),
        has_pdf=quoting.standing(order) is not None,
        may_write=may_write,
        revisions=shown,
        messages=[message for revision in revisions[::-1] for message in thread(revision)],
    )
