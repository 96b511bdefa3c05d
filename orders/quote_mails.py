"""What mails about a quote say: to the customer, with his link, and to the seller's people, with what he answered."""

from collections.abc import Callable

from django.urls import reverse

from orders import clock, formats, mail, quoting
from orders.models import Notice, Order, OrderEvent, QuoteLink


def written(notice: Notice) -> mail.PortalMail:
    """The mail of one notice, in the seller's way of writing dates."""
    event, seller = notice.event, notice.seller
    with formats.using(seller.language):
        subject, lines = (_to_customer if notice.kind == Notice.Kind.QUOTE else _to_seller)(event, event.order)
    # Whoever sent the quote is asked back, not the portal's own address, which nobody reads.
    asks = [event.actor.email] if notice.kind == Notice.Kind.QUOTE and event.actor else []
    return mail.PortalMail(seller, notice.recipient, subject, "\n".join(lines) + "\n", reply_to=asks)


# --- to the customer


def _to_customer(event: OrderEvent, order: Order) -> tuple[str, list[str]]:
    seller, reason = mail.one_line(order.seller.name, 120), mail.one_line(str(event.data.get("reason", "")), 300)
    words: dict[str, tuple[str, str]] = {
        "sent": (f"Quote {order.number} from {seller}", f"{seller} sent you quote {order.number}."),
        "reminded": (f"Reminder: quote {order.number} from {seller}", f"{seller} reminds you of quote {order.number}."),
        "answered": (f"{seller} answered about quote {order.number}", f"{seller} answered what you wrote about quote {order.number}."),
        "revised": (
            f"Quote {order.number} is being changed",
            f"{seller} takes back quote {order.number}, which you accepted, to change it: {reason}",
        ),
        "withdrawn": (f"Quote {order.number} was withdrawn", f"{seller} has withdrawn quote {order.number}, which you accepted: {reason}"),
        "deleted": (f"Quote {order.number} was withdrawn", f"{seller} has withdrawn quote {order.number}, which you accepted: {reason}"),
    }
    subject, first = words[event.name]
    return subject, [first, *_how_to_answer(order.quote_link), "", f"-- \n{seller}"]


def _how_to_answer(link: QuoteLink | None) -> list[str]:
    """The way to the page, while it takes an answer. A mail that leaves late must not promise what is over."""
    if link is None or not link.is_open(clock.now()):
        return []
    return [
        f"It is valid until {formats.day(link.valid_until, with_year=True)}, the whole day.",
        "",
        "Read it, accept it, decline it or ask for a change:",
        mail.link(quoting.address_of(link)),
        "",
        "Whoever has this link can answer in your name. Pass it on only to those who may.",
    ]


# --- to the seller's people


def _to_seller(event: OrderEvent, order: Order) -> tuple[str, list[str]]:
    customer = mail.one_line(order.customer.name, 120)
    words = _ANSWERS[event.name](event)
    body = [f"Quote {order.number} for {customer}: {words}", "", mail.link(reverse("orders:order-detail", args=[order.number]))]
    return f"{order.number}: {words.partition(' by ')[0].partition(':')[0]}, {customer[:60]}", body


def _accepted(event: OrderEvent) -> str:
    role = mail.one_line(str(event.data.get("role", "")), 120)
    waits = event.order.status_note == quoting.ACCEPTED_WAITS
    return f"accepted by {_who(event)}{f' ({role})' if role else ''}. " + (
        "Look at it and place the order." if waits else "The order is placed."
    )


def _who(event: OrderEvent) -> str:
    return mail.one_line(event.actor_name, 120)


_ANSWERS: dict[str, Callable[[OrderEvent], str]] = {
    "quote_accepted": _accepted,
    "declined": lambda event: f"declined by {_who(event)}: {mail.one_line(str(event.data.get('reason', '')) or 'no reason given', 300)}",
    "change_asked": lambda event: f"change asked by {_who(event)}. Read it at the order and answer or revise.",
}
