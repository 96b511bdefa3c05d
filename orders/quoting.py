"""Verbs on quotes: sending a revision, what the seller does with it afterwards, and what the customer answers by his link.

Each is one transaction, shaped as those of lifecycle.py. A revision never changes; validity, openings and how it ended stand on
its link. Source: product.md section 2, Quotes; section 4, public quote.
"""

import hashlib
import secrets as random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from django.db import transaction
from django_fsm import TransitionNotAllowed

from orders import checklist, clock, lifecycle, quote_document, secrets
from orders.lifecycle import SEND_NOTICES, Refusal, end_links, keep_floor, lock, record, save
from orders.models import (
    Notice,
    Order,
    OrderEvent,
    OrderLine,
    QuoteAcceptance,
    QuoteLink,
    QuoteMessage,
    QuoteRevision,
    User,
)
from orders.models.notices import recipients
from orders.models.orders import TOTAL_FIELDS
from orders.models.quotes import content_hash, end_of_day
from orders.statuses import OrderStatus
from orders.wake import wake

ACCEPTED_WAITS = "Accepted: place the order"
CHANGE_ASKED = "Change asked"
REMIND_EVERY = timedelta(days=1)
LONGEST_MESSAGE = 2000
# More are no conversation; a link is no place to fill our disk from.
MOST_MESSAGES = 200
Ended = QuoteLink.Ended


# --- the seller


@transaction.atomic
def send(order: Order, *, by: User | None, reason: str = "") -> Order:
    """Freeze a revision and put it with the customer: its link goes to the recipients.

    `reason` is why a seller admin sends it below the margin floor. Raises Refusal for a day of validity that is over.
    """
    order = lock(order)
    before, now = order.status, clock.now()
    order.send()
    if by:
        keep_floor(order, by, reason)
    order.valid_until = order.valid_until or today(order) + timedelta(days=order.seller.quote_days)
    if order.valid_until < today(order):
        raise Refusal("The quote’s last day is over. Choose a later one.")
    number = order.revisions.count() + 1
    document = quote_document.freeze(order, number)
    revision = QuoteRevision.objects.create(
        order=order, number=number, document=document, content_sha256=content_hash(document), sent_at=now, sent_by=by
    )
    order.quote_link = _new_link(revision, order)
    order.status_note = ""
    save(order, "quote_link", "valid_until")
    event = record(order, "sent", by, from_status=before, revision=number)
    _tell_customer(order, event)
    return order


@transaction.atomic
def revise(order: Order, *, by: User | None, reason: str = "") -> Order:
    """Take the quote back to work on the next revision; of one that was accepted only with a reason, which the customer is told."""
    return _back_to_draft(order, "revise", "revised", by, Ended.REPLACED, reason=reason)


@transaction.atomic
def withdraw(order: Order, *, by: User | None, reason: str = "") -> Order:
    """Take the quote back. The customer's link says so."""
    return _back_to_draft(order, "withdraw", "withdrawn", by, Ended.WITHDRAWN, reason=reason)


@transaction.atomic
def extend(order: Order, valid_until: date, *, by: User) -> Order:
    """Another last day, and nothing else of the revision."""
    order, link = _sent(order)
    if valid_until < today(order):
        raise Refusal("Choose a day from today on.")
    QuoteLink.objects.filter(pk=link.pk).update(valid_until=valid_until, expires_at=end_of_day(valid_until, link.zone))
    order.valid_until = valid_until
    save(order, "valid_until")
    record(order, "extended", by, before=link.valid_until.isoformat(), after=valid_until.isoformat())
    return order


@transaction.atomic
def remind(order: Order, *, by: User) -> Order:
    """Mail the link to the recipients again, at most once a day."""
    order, link = _sent(order)
    now = clock.now()
    if link.is_expired(now):
        raise Refusal("The quote has expired. Extend it first.")
    if not order.quote_recipients:
        raise Refusal("The quote has no recipients. Copy the link and send it yourself.")
    if link.reminded_at and now - link.reminded_at < REMIND_EVERY:
        raise Refusal("The customer was reminded less than a day ago.")
    QuoteLink.objects.filter(pk=link.pk).update(reminded_at=now)
    _tell_customer(order, record(order, "reminded", by, revision=link.revision.number))
    return order


@transaction.atomic
def new_link(order: Order, *, by: User) -> Order:
    """Another address for the same revision; the one before looks as if it had never been."""
    order, link = _sent(order)
    QuoteLink.objects.filter(pk=link.pk).update(revoked_at=clock.now())
    order.quote_link = _new_link(link.revision, order)
    save(order, "quote_link")
    record(order, "link_replaced", by, revision=link.revision.number)
    return order


@transaction.atomic
def answer(order: Order, text: str, *, by: User) -> QuoteMessage:
    """What the seller writes back in the thread of the quote; the customer reads it at his link and is told by mail."""
    order, link = _sent(order)
    message = _write(link.revision, by.name, text, author=by)
    QuoteLink.objects.filter(pk=link.pk).update(asked_at=None)
    if order.status_note == CHANGE_ASKED:
        order.status_note, order.needs_attention = "", False
    save(order)
    _tell_customer(order, record(order, "answered", by, revision=link.revision.number))
    return message


@transaction.atomic
def record_agreement(order: Order, *, name: str, how: str, by: User) -> Order:
    """The customer agreed otherwise than by the link: who, and how, as a colleague writes it down. The order waits to be placed."""
    order, link = _sent(order)
    QuoteAcceptance.objects.create(
        revision=link.revision, name=name, how=how, content_sha256=link.revision.content_sha256, recorded_by=by, at=clock.now()
    )
    end_links(order, Ended.ACCEPTED)
    order.status_note, order.needs_attention = ACCEPTED_WAITS, True
    save(order)
    record(order, "agreement_recorded", by, revision=link.revision.number, agreed_by=name, how=how)
    return order


def is_accepted(order: Order) -> bool:
    """Whether the customer said yes to what is with him, and the order is not placed yet."""
    link = order.quote_link
    return order.status == OrderStatus.QUOTE_SENT and link is not None and link.ended_as == Ended.ACCEPTED


def standing(order: Order) -> QuoteLink | None:
    """The link of what is with the customer or was accepted; None while a new quote can be made of the order."""
    link = order.quote_link
    if link is None or order.status in {OrderStatus.START, OrderStatus.DRAFT}:
        return None
    return link if order.status == OrderStatus.QUOTE_SENT or link.ended_as == Ended.ACCEPTED else None


def today(order: Order) -> date:
    """The day that it is at the seller's."""
    return clock.now().astimezone(ZoneInfo(order.seller.time_zone)).date()


def address_of(link: QuoteLink) -> str:
    """The path of the customer's page, derived again from the key outside the database."""
    return f"/q/{secrets.link_token(link.pk, link.salt, link.token_sha256)}/"


def _sent(order: Order) -> tuple[Order, QuoteLink]:
    """The locked order, with the customer and not answered yet, and its link. Raises Refusal."""
    order = lock(order)
    link = QuoteLink.objects.select_related("revision").filter(pk=order.quote_link_id).first() if order.quote_link_id else None
    if order.status != OrderStatus.QUOTE_SENT or link is None:
        raise Refusal(f"The order is {order.info.status.label}; no quote is with the customer.")
    if link.ended_as:
        raise Refusal(f"The quote was {link.get_ended_as_display().lower()} meanwhile.")
    return order, link


def _new_link(revision: QuoteRevision, order: Order) -> QuoteLink:
    assert order.valid_until, "send() gave it a last day."
    salt, zone = random.token_hex(32), order.seller.time_zone
    link = QuoteLink.objects.create(
        revision=revision,
        salt=salt,
        # Of nothing that anybody has, until the row's number is known.
        token_sha256=hashlib.sha256(random.token_bytes(32)).hexdigest(),
        valid_until=order.valid_until,
        zone=zone,
        expires_at=end_of_day(order.valid_until, zone),
        created_at=clock.now(),
    )
    link.token_sha256 = secrets.digest(secrets.new_link_token(link.pk, salt))
    link.save(update_fields=["token_sha256"])
    return link


def _back_to_draft(order: Order, transition: str, event: str, by: User | None, ended_as: str, *, reason: str = "", note: str = "") -> Order:
    order = lock(order)
    before, was_accepted = order.status, is_accepted(order)
    if was_accepted and not reason.strip():
        raise Refusal("The customer has accepted this quote. Say why it is taken back: the customer is told.")
    getattr(order, transition)()
    end_links(order, ended_as)
    if was_accepted:
        QuoteLink.objects.filter(pk=order.quote_link_id or 0).update(ended_as=ended_as, ended_at=clock.now())
    order.status_note, order.needs_attention = note[:200], False
    save(order)
    happened = record(order, event, by, from_status=before, reason=reason.strip())
    if was_accepted:
        _tell_customer(order, happened)
    return order


# --- the customer


class Why(StrEnum):
    """Why an answer isn't taken; the page has words for each."""

    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    DELETED = "deleted"
    EXPIRED = "expired"
    CHANGED = "changed"


class NotTaken(Exception):
    """The customer's answer comes too late, or is about something else than is with him."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Signature:
    """Who answers, and from where."""

    name: str
    role: str = ""
    address: str | None = None
    browser: str = ""


def link_of(token: str) -> QuoteLink | None:
    """The link with this token, one that has ended too; a revoked one is none."""
    found = QuoteLink.objects.select_related("revision__order__seller").filter(token_sha256=secrets.digest(token)).first()
    return found if found and found.revoked_at is None and found.revision.order.seller.is_active else None


def state_of(link: QuoteLink, now: datetime) -> Why | None:
    """Why nothing can be answered any more; None while the customer may."""
    if link.ended_as:
        return Why(link.ended_as)
    return Why.EXPIRED if link.is_expired(now) else None


@transaction.atomic
def accept(link: QuoteLink, by: Signature, *, content_sha256: str, chosen: Collection[int]) -> Order:
    """The customer's yes, which always counts: with its evidence, and the order placed, or waiting where it can't be.

    Raises NotTaken, also for another content than this link's; ImpossibleChoice for optional lines that can't be chosen so.
    Of many at once one is taken: the order's row is the lock.
    """
    order, link = _open(link)
    if content_sha256 != link.revision.content_sha256:
        raise NotTaken(Why.CHANGED)
    quote_document.chosen_lines(link.revision.document, chosen)
    QuoteAcceptance.objects.create(
        revision=link.revision,
        name=by.name,
        role=by.role,
        content_sha256=content_sha256,
        chosen=sorted(set(chosen)),
        address=by.address,
        browser=by.browser[:300],
        at=clock.now(),
    )
    end_links(order, Ended.ACCEPTED)
    OrderLine.objects.filter(order=order, position__in=list(chosen), is_optional=True).update(is_optional=False)
    order._prefetched_objects_cache = {}
    order.apply_totals()
    order.status_note, order.needs_attention = ACCEPTED_WAITS, True
    save(order, *TOTAL_FIELDS)
    happened = record(order, "quote_accepted", None, actor_name=by.name, revision=link.revision.number, role=by.role, chosen=sorted(chosen))
    _tell_seller(order, happened)
    return order if order.seller.looks_first else _placed(order)


def _placed(order: Order) -> Order:
    """Place what was accepted. What is in the way of it leaves the order waiting, with the acceptance."""
    if blocked := [check.text for check in checklist.of(order) if check.blocks]:
        record(order, "placing_blocked", None, why=blocked[:5])
        return order
    try:
        with transaction.atomic():
            return lifecycle.place(order, by=None)
    except (Refusal, TransitionNotAllowed) as refusal:
        record(order, "placing_blocked", None, why=[str(refusal)])
        return lock(order)


@transaction.atomic
def decline_by_link(link: QuoteLink, by: Signature, *, reason: str) -> Order:
    """The customer's no. Raises NotTaken."""
    order, _ = _open(link)
    return decline(order, reason=reason, name=by.name)


@transaction.atomic
def decline(order: Order, *, reason: str, name: str = "") -> Order:
    """The customer, `name`, says no. The order is a Draft that says why."""
    order = lock(order)
    before = order.status
    order.decline()
    end_links(order, Ended.DECLINED)
    order.status_note, order.needs_attention = (f"Declined: {reason}" if reason else "Declined")[:200], True
    save(order)
    _tell_seller(order, record(order, "declined", None, actor_name=name, from_status=before, reason=reason))
    return order


@transaction.atomic
def ask(link: QuoteLink, by: Signature, texts: Sequence[tuple[int | None, str]]) -> Order:
    """The customer asks for a change, of lines or of the whole. The revision stays acceptable. Raises NotTaken, Refusal."""
    order, link = _open(link)
    if link.revision.messages.count() + len(texts) > MOST_MESSAGES:
        raise Refusal("This quote has too many messages already. Write to your seller by mail.")
    if _is_repeated(link.revision, by.name, texts):
        return order
    for position, text in texts:
        _write(link.revision, by.name, text, position=position)
    QuoteLink.objects.filter(pk=link.pk).update(asked_at=clock.now())
    order.status_note, order.needs_attention = CHANGE_ASKED, True
    save(order)
    _tell_seller(order, record(order, "change_asked", None, actor_name=by.name, revision=link.revision.number, comments=len(texts)))
    return order


def _is_repeated(revision: QuoteRevision, name: str, texts: Sequence[tuple[int | None, str]]) -> bool:
    """The same words once more within a minute: a double click, or a page that was sent again."""
    recent = revision.messages.filter(author=None, name=name, at__gt=clock.now() - timedelta(minutes=1)).values_list("position", "text")
    return {(position, text[:LONGEST_MESSAGE]) for position, text in texts} <= set(recent)


def opened(link: QuoteLink) -> None:
    """A person has looked at the page for a moment. The order's row stays as it is."""
    now = clock.now()
    with transaction.atomic():
        QuoteLink.objects.filter(pk=link.pk, first_opened_at=None).update(first_opened_at=now)
        found = QuoteLink.objects.get(pk=link.pk)
        QuoteLink.objects.filter(pk=link.pk).update(last_opened_at=now, openings=found.openings + 1)


def _open(link: QuoteLink) -> tuple[Order, QuoteLink]:
    """The locked order and its link, while the customer may answer. Raises NotTaken."""
    order = lock(link.revision.order)
    link = QuoteLink.objects.select_related("revision").get(pk=link.pk)
    if link.revoked_at:
        raise NotTaken(Why.WITHDRAWN)
    if why := state_of(link, clock.now()):
        raise NotTaken(why)
    return order, link


def _write(revision: QuoteRevision, name: str, text: str, *, position: int | None = None, author: User | None = None) -> QuoteMessage:
    return QuoteMessage.objects.create(
        revision=revision, position=position, author=author, name=name, text=text[:LONGEST_MESSAGE], at=clock.now()
    )


# --- mails


def _tell_customer(order: Order, event: OrderEvent) -> None:
    _tell(order, event, Notice.Kind.QUOTE, order.quote_recipients)


def _tell_seller(order: Order, event: OrderEvent) -> None:
    """Whoever works on it, and whom the settings name, at once."""
    sent_by = order.quote_link.revision.sent_by if order.quote_link else None
    _tell(order, event, Notice.Kind.ANSWER, recipients(order.seller, [order.created_by, sent_by], always=True))


def _tell(order: Order, event: OrderEvent, kind: str, to: Sequence[str]) -> None:
    Notice.objects.bulk_create(
        Notice(seller=order.seller, kind=kind, event=event, recipient=recipient, due_at=event.at) for recipient in dict.fromkeys(to)
    )
    if to:
        wake(SEND_NOTICES)
