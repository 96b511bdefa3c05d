"""What a customer was shown and what he answered. Revisions, acceptances and messages are never changed (guards.py)."""

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models

from orders.models.accounts import Seller
from orders.models.orders import Order


class QuoteRevision(models.Model):
    """One sent edition of a quote. Validity, openings and how it ended stand on its links."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.JSONField(help_text="Lines, prices and texts exactly as the customer sees them.")
    content_sha256 = models.CharField(max_length=64)
    sent_at = models.DateTimeField()
    sent_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["order", "number"], name="one_revision_per_number")]

    def __str__(self) -> str:
        return f"{self.order} revision {self.number}"


def content_hash(document: dict[str, object]) -> str:
    """SHA-256 of the document's canonical JSON."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def end_of_day(on: date, zone: str) -> datetime:
    """The instant at which a quote that is valid until this day is not valid any more: midnight after it, in the seller's zone."""
    # In UTC: a midnight that the clocks skip is equal to nothing in Python.
    return datetime.combine(on + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)


class QuoteLinkQuerySet(models.QuerySet["QuoteLink"]):
    def open(self) -> Self:
        """Those that nothing has ended; their validity may be over."""
        return self.filter(ended_as="", revoked_at=None)


class QuoteLink(models.Model):
    """The address at which a customer finds one revision. Of its token only the hash is kept; mail and Copy link derive it again.

    A side table: it changes without touching the order, also when that is historical.
    """

    class Ended(models.TextChoices):
        REPLACED = "replaced", "Replaced by a newer revision"
        WITHDRAWN = "withdrawn", "Withdrawn"
        DECLINED = "declined", "Declined"
        ACCEPTED = "accepted", "Accepted"
        DELETED = "deleted", "Deleted"

    revision = models.ForeignKey(QuoteRevision, on_delete=models.PROTECT, related_name="links")
    salt = models.CharField(max_length=64, help_text="256 bits; with a key outside the database they make the token.")
    token_sha256 = models.CharField(max_length=64, unique=True)
    valid_until = models.DateField(help_text="The last day, as entered.")
    zone = models.CharField(max_length=60)
    expires_at = models.DateTimeField(help_text="The midnight after that day, in the zone.")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    ended_as = models.CharField(max_length=10, choices=Ended, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    first_opened_at = models.DateTimeField(null=True, blank=True)
    last_opened_at = models.DateTimeField(null=True, blank=True)
    openings = models.PositiveIntegerField(default=0)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="The customer asked for a change that nobody has answered.")
    reminded_at = models.DateTimeField(null=True, blank=True)

    objects = QuoteLinkQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"link {self.pk} to {self.revision}"

    def is_expired(self, instant: datetime) -> bool:
        return instant >= self.expires_at

    def is_open(self, instant: datetime) -> bool:
        """Whether the customer may still answer."""
        return not self.ended_as and self.revoked_at is None and not self.is_expired(instant)


class QuoteAcceptance(models.Model):
    """A customer's yes, with the evidence; or who agreed and how, as a seller wrote it down who placed a sent quote himself."""

    revision = models.OneToOneField(QuoteRevision, on_delete=models.PROTECT, related_name="acceptance")
    name = models.CharField(max_length=120)
    role = models.CharField(max_length=120, blank=True)
    how = models.CharField(max_length=300, blank=True, help_text="Where no link was used: by phone, by mail of that day.")
    content_sha256 = models.CharField(max_length=64, help_text="Of the document as it was displayed.")
    chosen = models.JSONField(default=list, help_text="Positions of the optional lines that were chosen.")
    address = models.GenericIPAddressField(null=True, blank=True)
    browser = models.CharField(max_length=300, blank=True)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.revision} accepted by {self.name}"


class QuoteMessage(models.Model):
    """What customer and seller wrote to each other about a quote; of a line where one is named."""

    revision = models.ForeignKey(QuoteRevision, on_delete=models.PROTECT, related_name="messages")
    position = models.PositiveIntegerField(null=True, blank=True, help_text="The line, as it is numbered in the revision.")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=150, help_text="Of the author as it was; a customer's as he gave it.")
    text = models.TextField(max_length=2000)
    at = models.DateTimeField()
    # For pages, which know the revision's document.
    line_title = ""

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text[:60]

    @property
    def is_of_customer(self) -> bool:
        return self.author_id is None


class FloorApproval(models.Model):
    """A seller admin let an order go below the margin floor, with these prices; other prices ask again."""

    LOWEST: ClassVar = Decimal("-9999999.99")

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="floor_approvals")
    prices_sha256 = models.CharField(max_length=64, help_text="Of the lines with their quantities, prices and costs.")
    margin_percent = models.DecimalField(max_digits=9, decimal_places=2)
    floor_percent = models.DecimalField(max_digits=5, decimal_places=2)
    reason = models.CharField(max_length=500)
    is_own = models.BooleanField(help_text="By the seller's only admin, of his own order.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.order} below the floor: {self.reason[:60]}"


class QuoteTemplate(models.Model):
    """Lines and texts that quotes begin with. It holds no price: those are of the day it is used."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="quote_templates")
    name = models.CharField(max_length=80)
    content = models.JSONField(help_text="Lines (offer, term, billing, quantity, discount, optional), note, days of validity.")
    is_archived = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["seller", "name"], name="one_template_per_name", condition=models.Q(is_archived=False)),
        ]

    def __str__(self) -> str:
        return self.name
