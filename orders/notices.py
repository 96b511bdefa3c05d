"""Tells people by mail: of failed orders grouped, one mail a recipient; of quotes and their answers one by one. No mail leaves twice.

A notice is claimed by an UPDATE that only one worker can win and committed before anything is sent. A definite "not sent"
gives it back for a later try; when it is unclear, or the worker died, it is given up and staff are told (never sent twice).
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from orders import clock, formats, mail, quote_mails
from orders.failures import Catalogue, Explanation
from orders.lifecycle import SEND_NOTICES
from orders.models import Incident, Notice, Order, OrderEvent, Seller
from orders.models.notices import MAX_TRIES, NoticeQuerySet
from orders.statuses import OrderStatus
from orders.wake import wake

log = logging.getLogger(__name__)
LOST_AFTER = timedelta(minutes=15)
MOST_IN_A_DIGEST = 50


def send_due() -> int:
    """Send everything that is due; how many mails left."""
    now = clock.now()
    groups = list(Notice.objects.due(now).order_by().values_list("seller_id", "recipient", "kind").distinct()[:200])
    return sum(_send_group(*group) for group in groups)


def sweep() -> None:
    """Give up what a dead worker held, and wake the sender for what should have left: its task may be lost."""
    now = clock.now()
    for notice in Notice.objects.exclude(claim="").filter(sent_at=None, given_up_at=None, claimed_at__lt=now - LOST_AFTER)[:100]:
        _give_up([notice], "The worker ended while the mail was being sent; it may have left.")
    if Notice.objects.due(now - timedelta(seconds=settings.REWAKE_SECONDS)).exists():
        wake(SEND_NOTICES)


def _send_group(seller_id: int, recipient: str, kind: str) -> int:
    """Send what waits for the recipient: failures as one mail, all else one after the other until one does not leave."""
    if kind == Notice.Kind.FAILED:
        return _send_one(claim(seller_id, recipient))
    sent = 0
    while _send_one(claim_first(seller_id, recipient, kind)):
        sent += 1
    return sent


def _send_one(notices: list[Notice]) -> bool:
    """One mail about these. False when there is nothing to send, or it has not left."""
    if not notices:
        return False
    try:
        message = written(notices)
    except Exception as error:
        log.exception("A mail could not be written")
        _try_later(notices, f"It could not be written: {error}")
        return False
    try:
        mail.send(message)
    except mail.NotSent as error:
        _try_later(notices, str(error))
        return False
    except Exception as error:
        log.exception("A mail to one recipient may have left or not")
        _give_up(notices, f"It is not known whether the mail left: {error}")
        return False
    Notice.objects.filter(pk__in=[notice.pk for notice in notices]).update(sent_at=clock.now())
    return True


def claim(seller_id: int, recipient: str) -> list[Notice]:
    """Take what waits for this recipient, for this process alone; committed before it returns."""
    now = clock.now()
    return _claimed(Notice.objects.beside(now).filter(seller_id=seller_id, recipient=recipient, kind=Notice.Kind.FAILED), now)


def claim_first(seller_id: int, recipient: str, kind: str) -> list[Notice]:
    """Take the oldest that is due of a kind that is told one by one, for this process alone."""
    now = clock.now()
    due = Notice.objects.due(now).filter(seller_id=seller_id, recipient=recipient, kind=kind)
    first = due.order_by("pk").values_list("pk", flat=True).first()
    return _claimed(due.filter(pk=first), now) if first else []


def _claimed(waiting: NoticeQuerySet, now: datetime) -> list[Notice]:
    """Those of `waiting` that nobody else took meanwhile."""
    token = secrets.token_hex(16)
    waiting.update(claim=token, claimed_at=now)
    return list(Notice.objects.filter(claim=token).select_related("seller", "event__order__quote_link", "event__actor").order_by("pk"))


def _try_later(notices: Sequence[Notice], error: str) -> None:
    now = clock.now()
    for notice in notices:
        tries = notice.tries + 1
        if tries >= MAX_TRIES:
            _give_up([notice], f"Tried {tries} times: {error}")
            continue
        waits = settings.NOTICE_RETRY_SECONDS
        due_at = now + timedelta(seconds=waits[min(tries, len(waits)) - 1])
        with transaction.atomic():
            Notice.objects.filter(pk=notice.pk, claim=notice.claim).update(claim="", claimed_at=None, tries=tries, due_at=due_at)
            wake(SEND_NOTICES, at=due_at)


def _give_up(notices: Sequence[Notice], why: str) -> None:
    now = clock.now()
    for notice in notices:
        with transaction.atomic():
            held = Notice.objects.filter(pk=notice.pk, claim=notice.claim, sent_at=None, given_up_at=None)
            if held.update(given_up_at=now, tries=notice.tries + 1):
                detail = f"{notice.recipient} was not told of {notice.event.order.number}. {why}"
                Incident.objects.create(kind="mail-given-up", order=notice.event.order, detail=detail[:2000], at=now)


# --- words


def written(notices: Sequence[Notice]) -> mail.PortalMail:
    """The mail about these notices of one seller and recipient: of one order, or a digest."""
    seller: Seller = notices[0].seller
    if notices[0].kind != Notice.Kind.FAILED:
        return quote_mails.written(notices[0])
    orders = Order.objects.for_seller(seller).for_list().in_bulk([notice.event.order_id for notice in notices])
    catalogue = Catalogue()
    with formats.using(seller.language):
        told = [(notice.event, orders[notice.event.order_id]) for notice in notices]
        if len(told) == 1:
            subject = _subject(*told[0])
            body = _about(*told[0], catalogue)
        else:
            subject = f"{formats.number(len(told))} orders could not be completed"
            parts = [_about(event, order, catalogue) for event, order in told[:MOST_IN_A_DIGEST]]
            left = len(told) - len(parts)
            more = [f"And {left} more: {mail.link(reverse('orders:order-list'))}?view=attention"] if left else []
            body = "\n\n----\n\n".join([f"{subject}.", *parts, *more])
    reason = f"You get this mail because {seller.name} asked for it. A seller admin can change that in Settings."
    return mail.PortalMail(seller, notices[0].recipient, subject, f"{body}\n\n--\n{mail.one_line(reason, 300)}\n")


def _subject(event: OrderEvent, order: Order) -> str:
    return f"{order.number}: {_label(event)}, {mail.one_line(order.customer.name, 60)}"


def _about(event: OrderEvent, order: Order, catalogue: Catalogue) -> str:
    """Number, customer, reasons with what can be done, the vendor's words quoted, and the link. No cost and no price."""
    lines = [f"Order {order.number} for {mail.one_line(order.customer.name, 120)}: {_label(event)}."]
    for explanation in catalogue.explain(order)[:5]:
        lines += ["", f"{explanation.summary}. {explanation.meaning}"]
        if order.is_recent:
            # Nothing of a historical order can be corrected or retried.
            lines.append(f"What to do: {explanation.fix}")
        if explanation.vendor_spoke:
            lines.append(_said(explanation))
    return "\n".join([*lines, "", mail.link(reverse("orders:order-detail", args=[order.number]))])


def _said(explanation: Explanation) -> str:
    if not explanation.failure.text.strip():
        return f"{explanation.vendor} gave no reason."
    return f"{explanation.vendor} said: > {mail.one_line(explanation.vendor_text, 300)}"


def _label(event: OrderEvent) -> str:
    """The status word as it was when it happened."""
    return str(OrderStatus(event.to_status).label)
