"""What can be sold: vendors, our accounts there, offers and their prices."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import models
from django.db.models import Q

from orders import money, secrets
from orders.models.accounts import Seller, User
from orders.money import CYCLE_LABELS, TERM_LABELS
from orders.vendors import registry
from orders.vendors.contract import Capabilities


def known_connector(slug: str) -> None:
    if slug not in registry.CONNECTORS:
        raise ValidationError(f"There is no connector called {slug}. Known: {', '.join(sorted(registry.CONNECTORS))}.")


def known_dialect(name: str) -> None:
    if name not in registry.DIALECTS:
        raise ValidationError(f"No vendor speaks {name}. Known: {', '.join(sorted(registry.DIALECTS))}.")


class Vendor(models.Model):
    """Somebody who sells through us. `connector` names the code that talks to him."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    connector = models.SlugField(max_length=40, validators=[known_connector])
    is_active = models.BooleanField(default=True)
    is_stopped = models.BooleanField(
        "stopped",
        default=False,
        help_text="Kill switch: nothing is sent to this vendor any more. What became of sent orders is still asked.",
    )
    stopped_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def capabilities(self) -> Capabilities:
        return registry.CONNECTORS[self.connector].capabilities

    @property
    def dialect(self) -> str:
        """Whose error codes this vendor speaks; two vendors may share one."""
        return registry.CONNECTORS[self.connector].dialect


class VendorAccountQuerySet(models.QuerySet["VendorAccount"]):
    def usable_by(self, seller: Seller) -> Self:
        """The seller's own accounts first, then the platform's."""
        return self.filter(Q(seller=seller) | Q(seller=None), is_active=True).order_by(models.F("seller").desc(nulls_last=True), "id")


class VendorAccount(models.Model):
    """Our login at a vendor: the platform's, or one seller's own. Credentials are sealed and never shown again.

    At a vendor without an API there is nothing to log in to: address, tenant, client and secret are empty.
    """

    vendor = models.ForeignKey(Vendor, on_delete=models.PROTECT, related_name="accounts")
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, null=True, blank=True, related_name="vendor_accounts")
    name = models.CharField(max_length=80)
    base_url = models.CharField(max_length=200, blank=True, help_text="For example https://api.partnercenter.microsoft.com")
    login_url = models.CharField(max_length=200, blank=True, help_text="For example https://login.microsoftonline.com")
    tenant = models.CharField(max_length=100, blank=True, help_text="Our own tenant at the vendor.")
    client_id = models.CharField(max_length=100, blank=True)
    sealed_secret = models.TextField(blank=True, editable=False)
    is_active = models.BooleanField(default=True)
    is_paused = models.BooleanField(default=False, help_text="Nothing is sent while paused; orders wait.")
    paused_reason = models.CharField(max_length=300, blank=True)
    calls_per_minute = models.PositiveIntegerField(default=300, help_text="More calls wait. Partner Center allows 500 for a tenant.")
    parallel_calls = models.PositiveIntegerField(default=4, help_text="Conversations with the vendor at the same time.")
    breaker_failures = models.PositiveIntegerField(
        default=5, help_text="So many failed conversations in a row end the sending for a while."
    )
    breaker_seconds = models.PositiveIntegerField(default=60, help_text="How long; then one order tries, and the others follow it.")
    sealed_refresh_token = models.TextField(blank=True, editable=False)

    objects = VendorAccountQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} ({self.vendor})"

    @property
    def client_secret(self) -> str:
        return secrets.unseal(self.sealed_secret).get("client_secret", "")

    @client_secret.setter
    def client_secret(self, value: str) -> None:
        self.sealed_secret = secrets.seal({"client_secret": value})

    @property
    def refresh_token(self) -> str:
        """Of a person who consented once; empty when the account speaks as the application alone."""
        return secrets.unseal(self.sealed_refresh_token).get("refresh_token", "")

    @refresh_token.setter
    def refresh_token(self, value: str) -> None:
        self.sealed_refresh_token = secrets.seal({"refresh_token": value}) if value else ""


class AccountHealth(models.Model):
    """How the vendor has answered one account of ours lately, and how many calls it may still make. Written after every conversation."""

    account = models.OneToOneField(VendorAccount, on_delete=models.PROTECT, related_name="health")
    calls_left = models.FloatField(default=0, help_text="Fills up to a minute’s calls; below one, conversations wait.")
    filled_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="Conversations in a row that the vendor did not answer.")
    down_since = models.DateTimeField(null=True, blank=True, help_text="Set while the breaker is open.")
    not_before = models.DateTimeField(null=True, blank=True, help_text="Nothing is asked or sent before this.")

    def __str__(self) -> str:
        return f"{self.account}: {'down' if self.down_since else 'up'}"


class OfferQuerySet(models.QuerySet["Offer"]):
    def sellable(self) -> Self:
        return self.filter(is_active=True, vendor__is_active=True)

    def for_catalogue(self) -> Self:
        """Those that are sold or once were: what an import in progress, or one that failed, brought is not there yet."""
        return self.filter(models.Exists(Price.objects.shown().filter(offer=models.OuterRef("pk"))))


class Offer(models.Model):
    """One thing to buy: a product in one edition (SKU) for one segment."""

    vendor = models.ForeignKey(Vendor, on_delete=models.PROTECT, related_name="offers")
    code = models.CharField(
        max_length=60, unique=True, validators=[validate_slug], help_text="Public identifier, for example CFQ7TTC0LCHC-0002."
    )
    product_id = models.CharField(max_length=40)
    sku_id = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    segment = models.CharField(max_length=20, default="Commercial")
    is_trial = models.BooleanField(default=False)
    bases = models.ManyToManyField("self", symmetrical=False, related_name="addons", blank=True, help_text="An add-on needs one of these.")
    min_quantity = models.PositiveIntegerField(default=1)
    max_quantity = models.PositiveIntegerField(default=10_000_000)
    is_active = models.BooleanField(default=True)

    objects = OfferQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        indexes = [models.Index(fields=["title", "id"], name="offer_by_title")]
        constraints = [models.UniqueConstraint(fields=["vendor", "product_id", "sku_id", "segment"], name="one_offer_per_sku_and_segment")]

    def __str__(self) -> str:
        return self.title

    @property
    def sku(self) -> str:
        return f"{self.product_id}:{self.sku_id}"


class PriceList(models.Model):
    """One imported price list. Its prices show, and those it ends vanish, at the moment it becomes current: all at once."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting to be read"
        WRITING = "writing", "Being imported"
        CURRENT = "current", "Imported"
        REFUSED = "refused", "Refused"

    vendor = models.ForeignKey(Vendor, on_delete=models.PROTECT, related_name="price_lists")
    name = models.CharField(max_length=200, help_text="The file's name.")
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.WRITING)
    markets = models.CharField(max_length=200, blank=True, help_text="Markets, currencies and segments that it covers.")
    rows = models.PositiveIntegerField(default=0, help_text="Rows read so far, those that could not be read included.")
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    ended = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField("bad rows", default=0, help_text="Rows that could not be read.")
    problems = models.JSONField(default=list, help_text="The first rows that were refused: line, column, reason.")
    imported_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="While it is imported: after this its importer is taken for dead.")

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["vendor"], condition=Q(state="writing"), name="one_import_at_a_time")]

    def __str__(self) -> str:
        return self.name


class PriceQuerySet(models.QuerySet["Price"]):
    def shown(self) -> Self:
        """Those that anybody may ever have seen, ended ones included: made by staff or by a finished import."""
        return self.filter(Q(added_by=None) | Q(added_by__state=PriceList.State.CURRENT))

    def listed(self) -> Self:
        """Those of finished imports that no finished import ended; an import in progress shows nothing yet."""
        current = PriceList.State.CURRENT
        return self.filter(Q(added_by=None) | Q(added_by__state=current), Q(ended_by=None) | ~Q(ended_by__state=current))

    def valid_at(self, instant: datetime) -> Self:
        return self.listed().filter(Q(valid_from=None) | Q(valid_from__lte=instant), Q(valid_to=None) | Q(valid_to__gt=instant))


class Price(models.Model):
    """What an offer costs for one term, billed in one way, in one market. Both amounts are for the WHOLE term."""

    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="prices")
    market = models.CharField(max_length=2)
    currency = models.CharField(max_length=3)
    term = models.CharField(max_length=4, choices=list(TERM_LABELS.items()), blank=True)
    billing_cycle = models.CharField(max_length=10, choices=list(CYCLE_LABELS.items()))
    term_cost = models.DecimalField(max_digits=14, decimal_places=4, help_text="What we pay, whole term (the list's UnitPrice).")
    term_price = models.DecimalField(max_digits=14, decimal_places=4, help_text="What customers pay, whole term (ERP Price).")
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    added_by = models.ForeignKey(PriceList, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    ended_by = models.ForeignKey(PriceList, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ["offer", "term", "billing_cycle"]
        constraints = [
            models.UniqueConstraint(
                fields=["offer", "market", "currency", "term", "billing_cycle", "valid_from"],
                condition=Q(ended_by=None),
                name="one_price_at_a_time",
            ),
            models.CheckConstraint(condition=Q(term_cost__gte=0) & Q(term_price__gte=0), name="price_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.offer}, {TERM_LABELS[self.term]}, {CYCLE_LABELS[self.billing_cycle]}"

    @property
    def withdrawn_at(self) -> datetime | None:
        """When a newer list ended it; None while it is listed. Load `ended_by` with it."""
        ended_by = self.ended_by
        return ended_by.finished_at if ended_by and ended_by.state == PriceList.State.CURRENT else None

    @property
    def over_at(self) -> datetime | None:
        """The first instant at which it does not hold any more: its own end, or earlier when a newer list ended it."""
        return min((at for at in (self.withdrawn_at, self.valid_to) if at), default=None)

    @property
    def never_began(self) -> bool:
        """Was it withdrawn, or replaced, before its first day?"""
        return self.withdrawn_at is not None and self.valid_from is not None and self.withdrawn_at <= self.valid_from

    @property
    def unit_cost(self) -> Decimal:
        """What we pay for one unit and one billing period, in `currency`."""
        return money.unit_price(self.term_cost, self.term, self.billing_cycle, self.currency)

    def unit_price(self, seller: Seller) -> Decimal:
        """What this seller's customers pay for one unit and one billing period, in `currency`."""
        return money.unit_price(self.sold_by(seller), self.term, self.billing_cycle, self.currency)

    def sold_by(self, seller: Seller) -> Decimal:
        """The term price that this seller's customers pay, by the rule that the seller set."""
        return money.term_price(self.term_price, self.term_cost, seller.pricing, seller.markup_percent)
