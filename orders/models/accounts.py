"""Who uses the portal: people, the sellers they work for, and in which role."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Self
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower

from orders import contacts, formats, money

MOST_RECIPIENTS = 20


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Signs in by e-mail; works for one seller at most, or is staff of the platform."""

    email = models.EmailField("e-mail", unique=True, error_messages={"unique": "Somebody signs in with this e-mail already."})
    name = models.CharField(max_length=150)
    is_staff = models.BooleanField("staff", default=False, help_text="May use the admin.")
    is_active = models.BooleanField("active", default=True, help_text="Clear this instead of deleting people.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def works_somewhere(self) -> bool:
        """Whether an active seller has him now."""
        return Membership.objects.filter(user=self, is_active=True, seller__is_active=True).exists()

    @property
    def acts_as(self) -> str:
        """Sellers read who acted: one of theirs, or somebody of the platform."""
        return f"{self.name[:140]} (staff)" if self.is_staff else self.name


NOT_OFFERED = "This is not one of the values that can be chosen here."


class Pricing(models.TextChoices):
    LIST = "list", "List price"
    COST = "cost", "Cost plus markup"


class Seller(models.Model):
    """A reseller: the tenant. Everything but vendors, offers and the failure catalogue belongs to one."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="EUR")
    time_zone = models.CharField(max_length=60, default="Europe/Amsterdam")
    language = models.CharField("dates and numbers", max_length=10, default="en_GB", help_text="A locale, for example en_GB or nl_NL.")
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2, default=21, help_text="Percent; the default of a new customer.")
    pricing = models.CharField(max_length=10, choices=Pricing, default=Pricing.LIST)
    markup_percent = models.DecimalField(max_digits=6, decimal_places=2, default=0, help_text="On cost, when prices are made from cost.")
    margin_floor_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    terms = models.TextField(blank=True, max_length=20_000, help_text="Printed on quotes; the customer accepts them.")
    quote_days = models.PositiveSmallIntegerField("quotes are valid for", default=30, help_text="Days, unless a quote says otherwise.")
    colour = models.CharField(max_length=7, blank=True, help_text="Of your quotes, #rrggbb.")
    logo = models.ImageField(upload_to="logos/", blank=True)
    looks_first = models.BooleanField("look first", default=False, help_text="An accepted quote waits until a seller places it.")
    mails_creator = models.BooleanField(default=True, help_text="Whoever placed an order is told when it fails.")
    mail_recipients = models.JSONField(default=list, blank=True, help_text="Who else is told of failed orders: e-mail addresses.")
    is_active = models.BooleanField(default=True, help_text="Clear this instead of deleting a seller.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuses what no page of the seller could live with, whoever saves it."""
        wrong = {
            "currency": self.currency not in dict(money.CURRENCIES),
            "time_zone": self.time_zone not in available_timezones(),
            "language": self.language not in formats.LOCALES,
            "tax_rate": not _lies_within(self.tax_rate, 100),
            "markup_percent": not _lies_within(self.markup_percent, 1000),
            "margin_floor_percent": not _lies_within(self.margin_floor_percent, 100),
        }
        problems = {name: NOT_OFFERED for name, is_wrong in wrong.items() if is_wrong}
        if trouble := _trouble_with(self.mail_recipients):
            problems["mail_recipients"] = trouble
        if problems:
            raise ValidationError(problems)

    def tax_percent_for(self, country: str) -> Decimal:
        """What a new customer in this country is charged: the country's own rate, else the default."""
        own = self.tax_rates.filter(country=country).first()
        return own.percent if own else Decimal(self.tax_rate)


def _lies_within(percent: object, highest: int) -> bool:
    try:
        return 0 <= Decimal(str(percent)) <= highest
    except InvalidOperation:
        return False


def _trouble_with(recipients: object) -> str:
    """Why these can't be told by mail, as a sentence; empty when they can."""
    if not isinstance(recipients, list) or len(recipients) > MOST_RECIPIENTS:
        return f"Give a list of at most {MOST_RECIPIENTS} e-mail addresses."
    for address in recipients:
        try:
            contacts.email(address if isinstance(address, str) else "", reserved=settings.RESERVED_TOP_LEVEL_DOMAINS)
        except contacts.NotUsable as objection:
            return f"{address}: {objection}"
    return ""


class TaxRate(models.Model):
    """What a seller charges in one country; a customer gets it when he is added, and may have his own."""

    seller = models.ForeignKey(Seller, on_delete=models.CASCADE, related_name="tax_rates")
    country = models.CharField(max_length=2)
    percent = models.DecimalField(max_digits=5, decimal_places=2)

    class Meta:
        ordering = ["country"]
        constraints = [
            models.UniqueConstraint(fields=["seller", "country"], name="one_tax_rate_per_country"),
            models.CheckConstraint(condition=models.Q(percent__gte=0) & models.Q(percent__lte=100), name="tax_rate_is_a_percentage"),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.percent} %"


class Role(models.TextChoices):
    ADMIN = "admin", "Seller admin"
    ACCOUNT_MANAGER = "account_manager", "Account manager"
    VIEWER = "viewer", "Viewer"


class Membership(models.Model):
    """A person's role at the seller he works for."""

    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="membership")
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} of {self.seller}"

    @property
    def may_write(self) -> bool:
        return self.role in {Role.ADMIN, Role.ACCOUNT_MANAGER}

    @property
    def may_see_cost(self) -> bool:
        """Viewers never see cost or margin (product.md section 3)."""
        return self.role in {Role.ADMIN, Role.ACCOUNT_MANAGER}


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def waiting(self) -> Self:
        """Neither used nor revoked; its link may be too old."""
        return self.filter(accepted_at=None, revoked_at=None)

    def open_at(self, instant: datetime) -> Self:
        """Those whose link works."""
        return self.waiting().filter(expires_at__gt=instant, seller__is_active=True)


class Invitation(models.Model):
    """A colleague was asked to join, by a link that only its hash is kept of. Used, revoked or too old, it opens nothing."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Role)
    token_sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.email} to {self.seller}"


class SettingsChange(models.Model):
    """Who changed what of a seller's people and settings, and when. Append-only (guards.py)."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="changes")
    name = models.CharField(max_length=40)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    actor_name = models.CharField(max_length=150, help_text="As it was then.")
    text = models.CharField(max_length=500)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["seller", "-at", "-id"], name="settings_changes")]

    def __str__(self) -> str:
        return self.text
