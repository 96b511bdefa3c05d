"""What happened: events, notes and incidents. Append-only but for an incident's being closed (guards.py)."""

from datetime import datetime

from django.conf import settings
from django.db import models

from orders.models.orders import Order


class OrderEvent(models.Model):
    """One thing that happened to an order, written in the transaction that did it."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    name = models.CharField(max_length=40)
    from_status = models.CharField(max_length=30, blank=True)
    to_status = models.CharField(max_length=30, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    actor_name = models.CharField(max_length=150, help_text="As it was then; “Portal” or the vendor when no person acted.")
    data = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["order", "-at", "-id"], name="event_timeline")]

    def __str__(self) -> str:
        return f"{self.order} {self.name}"


class OrderNote(models.Model):
    """What somebody wrote on an order, Historical ones too."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=4000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return self.text[:60]


class IncidentQuerySet(models.QuerySet["Incident"]):
    def tell_once(self, kind: str, detail: str, *, at: datetime, order: Order | None = None) -> None:
        """Tell staff, unless one of this kind is open: the next asking would find the same again."""
        if not self.filter(kind=kind, order=order, closed_at=None).exists():
            self.create(kind=kind, order=order, detail=detail, at=at)


class Incident(models.Model):
    """Something that must not happen and did: for staff, with what is known."""

    kind = models.SlugField(max_length=60)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="incidents")
    detail = models.TextField()
    at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    resolution = models.CharField(max_length=500, blank=True, help_text="What was found and done. Staff read it, sellers do not.")

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.order or ''}".strip()
