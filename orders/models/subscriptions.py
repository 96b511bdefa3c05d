"""What customers own: one row per bought line."""

from typing import Self

from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from orders.models.accounts import Seller
from orders.models.catalogue import Offer, VendorAccount
from orders.models.customers import Customer
from orders.models.orders import OrderLine, SafeRefresh
from orders.models.purchases import PurchaseAttempt


class SubscriptionStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def living(self) -> Self:
        """All but those that were taken back or cancelled."""
        return self.exclude(status=SubscriptionStatus.CANCELLED)


class Subscription(SafeRefresh):
    """A bought line, for as long as the customer has it. May change after its order is historical."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="subscriptions")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    account = models.ForeignKey(VendorAccount, on_delete=models.PROTECT, related_name="subscriptions")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="subscriptions")
    attempt = models.ForeignKey(PurchaseAttempt, on_delete=models.PROTECT, related_name="subscriptions")
    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="subscriptions")
    vendor_ref = models.CharField(max_length=100)
    vendor_order_ref = models.CharField(max_length=100)
    status = FSMField(max_length=20, choices=SubscriptionStatus, default=SubscriptionStatus.PENDING, protected=True)
    quantity = models.PositiveIntegerField()
    unit_cost = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True, help_text="As the vendor answered.")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["line__position"]
        constraints = [
            models.UniqueConstraint(fields=["account", "vendor_ref"], name="one_row_per_vendor_subscription"),
            models.UniqueConstraint(fields=["line"], condition=~Q(status="cancelled"), name="one_living_subscription_per_line"),
            models.CheckConstraint(condition=Q(status__in=SubscriptionStatus.values), name="subscription_status_is_known"),
        ]

    def __str__(self) -> str:
        return self.vendor_ref

    @transition(status, source=SubscriptionStatus.PENDING, target=SubscriptionStatus.ACTIVE)
    def activate(self) -> None:
        """The vendor says it runs."""

    @transition(
        status,
        source=[SubscriptionStatus.PENDING, SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED],
        target=SubscriptionStatus.CANCELLED,
    )
    def cancel(self) -> None:
        """The vendor took it back."""
