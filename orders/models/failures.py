"""The failure catalogue: what a vendor's code means in our words. Data, seeded from a file and edited by staff."""

from django.core.exceptions import ValidationError
from django.db import models

from orders.models.catalogue import known_dialect


class RetryClass(models.TextChoices):
    FIX = "fix", "Fix, then retry"
    RETRY = "retry", "Retry as it is"
    LATER = "later", "Somebody else acts first, then retry"
    WAIT = "wait", "Wait: tried again by itself"
    REFRESH = "refresh", "Refresh and redo by itself"
    LOOK = "look", "Look first whether it happened, by itself"
    NEVER = "never", "Do not retry"
    STAFF = "staff", "Our staff act, then they retry"


# The vendor bought nothing, for certain. The others are no last word at a call that buys.
REFUSING = frozenset({RetryClass.FIX, RetryClass.RETRY, RetryClass.LATER, RetryClass.NEVER, RetryClass.STAFF})
# What the portal does by itself: the seller has nothing to correct.
AUTOMATIC = frozenset(RetryClass) - REFUSING


class Who(models.TextChoices):
    SELLER = "seller", "You"
    CUSTOMER = "customer", "Your customer"
    STAFF = "staff", "Our staff"
    VENDOR = "vendor", "The vendor"


# The fields that a fix may lead to, by the names that the order form gives them; "lines" ones lead to the failed line.
FIX_FIELDS = {
    "": "Nowhere: nothing to correct in the order",
    "name": "Customer: company name",
    "domain": "Customer: domain",
    "contact_first_name": "Customer: first name",
    "contact_last_name": "Customer: last name",
    "contact_email": "Customer: contact e-mail",
    "contact_phone": "Customer: phone",
    "address_line1": "Customer: address",
    "city": "Customer: city",
    "state": "Customer: state or province",
    "postal_code": "Customer: postal code",
    "registration_number": "Customer: registration number",
    "lines-quantity": "Item: quantity",
    "lines-offer": "Item: offer",
    "lines-plan": "Item: term and billing",
}


class FailureReason(models.Model):
    """Our words for one answer of a vendor. `{vendor}` in a text becomes the vendor's name."""

    slug = models.SlugField(max_length=60, unique=True, help_text="Anchor on the help page.")
    dialect = models.SlugField(
        max_length=40, blank=True, validators=[known_dialect], help_text="Whose codes these are. Empty: any vendor’s."
    )
    http_status = models.PositiveIntegerField(default=0, help_text="0: any.")
    code = models.CharField(
        max_length=160, blank=True, help_text="The vendor’s code; “3000:BillingProfile.Email” is 3000 for that property."
    )
    short = models.CharField(max_length=40, help_text="For the row, for example “Contact email isn’t valid”.")
    summary = models.CharField(max_length=60, help_text="One plain sentence, no code, no blame.")
    meaning = models.TextField(help_text="What it means for money and service.")
    fix = models.TextField(help_text="What to do.")
    fix_field = models.CharField(max_length=40, blank=True, choices=list(FIX_FIELDS.items()))
    fix_label = models.CharField(max_length=40, blank=True, help_text="Verb and object, for example “Edit contact”.")
    who = models.CharField(max_length=20, choices=Who)
    retry = models.CharField(max_length=20, choices=RetryClass)
    wait_minutes = models.PositiveIntegerField(default=0, help_text="With “Wait” alone: how long until the next try.")
    needs_new_domain = models.BooleanField(
        default=False, help_text="The answer used the domain up: no retry while the customer still has the domain that was sent."
    )

    class Meta:
        ordering = ["summary"]
        constraints = [models.UniqueConstraint(fields=["dialect", "http_status", "code"], name="one_reason_per_code")]

    def __str__(self) -> str:
        return self.summary

    @property
    def is_refusal(self) -> bool:
        """Whether the vendor bought nothing, for certain, whichever call it answered so."""
        return self.retry in REFUSING

    def clean(self) -> None:
        if bool(self.fix_field) != bool(self.fix_label):
            raise ValidationError({"fix_label": "A field to correct and the words of its button come together."})
        if self.retry == RetryClass.FIX and not self.fix_field:
            raise ValidationError({"fix_field": "“Fix, then retry” needs the field to correct."})
        if self.retry in AUTOMATIC and self.fix_field:
            raise ValidationError({"fix_field": "What happens by itself has nothing to correct in the order."})
        if (self.retry == RetryClass.WAIT) != bool(self.wait_minutes):
            raise ValidationError({"wait_minutes": "“Wait” needs its minutes, and nothing else has any."})
        if self.needs_new_domain and self.fix_field != "domain":
            raise ValidationError({"needs_new_domain": "Then the field to correct is the domain."})
