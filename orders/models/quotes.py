"""What a customer was shown: an immutable document, made when a quote is sent."""

import hashlib
import json

from django.conf import settings
from django.db import models

from orders.models.orders import Order


class QuoteRevision(models.Model):
    """One sent edition of a quote. Its row never changes (guards.py); validity and openings will stand on its link."""

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
