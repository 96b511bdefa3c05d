"""Who is told what: the outbox of mails, and in the demo a copy of each that left."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from orders.models.accounts import Seller, User
from orders.models.events import OrderEvent

MAX_TRIES = 5


class NoticeQuerySet(models.QuerySet["Notice"]):
    def waiting(self) -> Self:
        """Neither sent nor with a worker, and not given up."""
        return self.filter(sent_at=None, claim="", given_up_at=None)

    def due(self, instant: datetime) -> Self:
        return self.waiting().filter(due_at__lte=instant)

    def beside(self, instant: datetime) -> Self:
        """What may leave together with one that is due: also those that still collect, but none that waits for its next try."""
        return self.waiting().filter(Q(due_at__lte=instant) | Q(tries=0))

    def tell(self, event: OrderEvent, seller: Seller, people: Sequence[User | None], *, due_at: datetime) -> list["Notice"]:
        """Write who is to be told of this event of the seller's order: whom the settings name, and these people of his."""
        wanted = recipients(seller, people)
        return self.bulk_create(Notice(seller=seller, event=event, recipient=recipient, due_at=due_at) for recipient in wanted)


class Notice(models.Model):
    """One event that one recipient is to be told of; several of one recipient may leave as one mail.

    `claim` is set from just before a mail is sent until its outcome is known: what died in between may have been sent, and
    is never sent again.
    """

    class Kind(models.TextChoices):
        FAILED = "failed", "A failed order, to the seller's people"
        QUOTE = "quote", "A quote, to the customer"
        ANSWER = "answer", "A customer's answer, to the seller's people"

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.FAILED)
    event = models.ForeignKey(OrderEvent, on_delete=models.PROTECT, related_name="notices")
    recipient = models.EmailField()
    due_at = models.DateTimeField()
    claim = models.CharField(max_length=32, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["due_at"], name="notice_due", condition=Q(sent_at=None, claim="", given_up_at=None)),
            models.Index(fields=["claimed_at"], name="notice_claimed", condition=Q(sent_at=None, given_up_at=None) & ~Q(claim="")),
        ]
        constraints = [models.UniqueConstraint(fields=["event", "recipient"], name="one_notice_per_event_and_recipient")]

    def __str__(self) -> str:
        return f"{self.event} to {self.recipient}"


class SentMail(models.Model):
    """A mail as it left, kept in the demo so that everybody can read it there."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    is_private = models.BooleanField(default=False, help_text="Holds a link that lets somebody in: for seller admins only.")
    recipients = models.CharField(max_length=500)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.subject


def recipients(seller: Seller, people: Sequence[User | None], *, always: bool = False) -> list[str]:
    """Who is told: these people while they work for the seller, and whom the settings name; each once.

    Of a failed order people are told if the settings want it; of what a customer answers `always`.
    """
    found = [person.email for person in people if person and _works_for(person, seller)] if always or seller.mails_creator else []
    return list(dict.fromkeys(address.strip().lower() for address in [*found, *seller.mail_recipients]))


def _works_for(person: User, seller: Seller) -> bool:
    return seller.memberships.filter(user=person, is_active=True, user__is_active=True).exists()
