"""What the vendors said when they were asked before sending: every rule that needs no purchase."""

from django.conf import settings
from django.db import models

from orders.models.orders import Order


class Preflight(models.Model):
    """One asking. It speaks of one version of the order and of its customer; an edit of either makes it old."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="preflights")
    version = models.PositiveIntegerField()
    customer_version = models.PositiveIntegerField(default=0)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    answered = models.JSONField(default=list, help_text="Codes of the vendors that were asked and answered.")
    problems = models.JSONField(default=list, help_text="What a vendor would refuse: vendor, code, HTTP status, text, line, field.")
    trouble = models.CharField(max_length=300, blank=True, help_text="Why a vendor could not be asked.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.order}, version {self.version}"
