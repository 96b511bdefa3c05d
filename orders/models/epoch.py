"""Which life of the database this is: compared with a file outside of it, it tells a restored backup from a running portal."""

from django.db import models


class PortalEpoch(models.Model):
    """One row. `sent` counts the attempts that were handed to a vendor; the file outside knows the number too (orders/epoch.py)."""

    epoch = models.CharField(max_length=40, help_text="As in the file outside; another one there means that a backup was restored.")
    sent = models.PositiveBigIntegerField(default=0)
    reconciling_since = models.DateTimeField(null=True, blank=True, help_text="Set: vendors are asked and nothing is sent to them.")
    restored_at = models.DateTimeField(null=True, blank=True, help_text="When the last restored backup was noticed.")
    known_until = models.DateTimeField(null=True, blank=True, help_text="The last thing that the restored backup knew.")
    sent_until = models.DateTimeField(null=True, blank=True, help_text="Nothing that the backup does not know was sent after this.")

    def __str__(self) -> str:
        return self.epoch
