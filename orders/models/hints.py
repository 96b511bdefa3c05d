"""What vendors tell us unasked. A hint is never a verdict: it only makes the portal ask earlier."""

from django.db import models

from orders.models.catalogue import VendorAccount


class VendorEvent(models.Model):
    """One event as it was received, kept before it is believed. Its signature is verified by the worker, not in the request."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting to be verified"
        USED = "used", "Genuine; what it names was asked for"
        REFUSED = "refused", "Not genuine"

    account = models.ForeignKey(VendorAccount, on_delete=models.PROTECT, related_name="events")
    identity = models.CharField(max_length=64, help_text="SHA-256 of what makes it one event; a second delivery is the same event.")
    headers = models.JSONField(default=dict, help_text="Allow-listed: what the signature needs.")
    body = models.BinaryField(default=bytes)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    detail = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["account", "identity"], name="one_row_per_vendor_event")]
        indexes = [models.Index(fields=["id"], name="event_waiting", condition=models.Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.account} {self.received_at:%Y-%m-%d %H:%M}"
