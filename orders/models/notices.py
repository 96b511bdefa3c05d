"""Who is told what: the outbox of mails, and in the demo a copy of each that left."""

from django.db import models
from django.db.models import Q

from orders.models.accounts import Seller
from orders.models.events import OrderEvent


class Notice(models.Model):
    """One event that one recipient is to be told of; several of one recipient may leave as one mail."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="notices")
    event = models.ForeignKey(OrderEvent, on_delete=models.PROTECT, related_name="notices")
    recipient = models.EmailField()
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["due_at"], name="notice_due", condition=Q(sent_at=None))]
        constraints = [models.UniqueConstraint(fields=["event", "recipient"], name="one_notice_per_event_and_recipient")]

    def __str__(self) -> str:
        return f"{self.event} to {self.recipient}"


class SentMail(models.Model):
    """A mail as it left, kept in the demo so that everybody can read it there."""

    recipients = models.CharField(max_length=500)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.subject
