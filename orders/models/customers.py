"""Customers of a seller, and the tenants they have at vendors."""

import re
import secrets
from typing import Self

from django.core.validators import RegexValidator
from django.db import connection, models
from django.db.models import Count, Q

from orders.models.accounts import Seller
from orders.models.catalogue import VendorAccount
from orders.statuses import OrderStatus
from orders.vendors.contract import CustomerRequest

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE = re.compile(r"[0-9A-Z]{1,12}")


def new_code() -> str:
    """A public identifier: unguessable, never a row number, without letters that look alike."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(10))


tenant_domain = RegexValidator(
    r"^[a-z0-9][a-z0-9-]{0,26}\.onmicrosoft\.com$",
    "Write the domain as name.onmicrosoft.com; the name has at most 27 letters, digits or hyphens.",
)


class CustomerQuerySet(models.QuerySet["Customer"]):
    def for_seller(self, seller: Seller) -> Self:
        return self.filter(seller=seller)

    def with_code(self, code: str) -> Self:
        """The one with this public code; nobody when the text can't be a code, whatever was sent."""
        return self.filter(code=code) if CODE.fullmatch(code) else self.none()

    def with_failures(self) -> Self:
        """Each with `failed_orders`: how many of his orders wait for a correction."""
        return self.annotate(failed_orders=Count("orders", filter=Q(orders__status=OrderStatus.PROVISIONING_FAILED)))

    def active(self) -> Self:
        return self.filter(is_archived=False)

    def locked(self) -> Self:
        return self.select_for_update(of=("self",)) if connection.features.has_select_for_update_of else self


class Customer(models.Model):
    """A company that a seller sells to. Archived, never deleted."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="customers")
    code = models.CharField(max_length=12, unique=True, default=new_code, editable=False)
    name = models.CharField(max_length=200)
    domain = models.CharField(
        max_length=100, validators=[tenant_domain], help_text="The customer’s tenant, for example alderdental.onmicrosoft.com."
    )
    contact_first_name = models.CharField("contact first name", max_length=50)
    contact_last_name = models.CharField("contact last name", max_length=50)
    contact_email = models.EmailField("contact e-mail")
    contact_phone = models.CharField("contact phone", max_length=32, blank=True)
    address_line1 = models.CharField("address", max_length=200)
    address_line2 = models.CharField("address, second line", max_length=200, blank=True)
    city = models.CharField(max_length=80)
    state = models.CharField("state or province", max_length=60, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, default="NL")
    currency = models.CharField(max_length=3, default="EUR")
    segment = models.CharField(max_length=20, default="Commercial")
    tax_rate = models.DecimalField("tax rate, percent", max_digits=5, decimal_places=2, default=21)
    registration_number = models.CharField(max_length=40, blank=True)
    # Microsoft Customer Agreement: who signed for the customer, and when.
    agreement_first_name = models.CharField("signatory’s first name", max_length=50, blank=True)
    agreement_last_name = models.CharField("signatory’s last name", max_length=50, blank=True)
    agreement_email = models.EmailField("signatory’s e-mail", blank=True)
    agreement_phone = models.CharField("signatory’s phone", max_length=32, blank=True)
    agreement_on = models.DateField("accepted on", null=True, blank=True)
    tax_note = models.CharField("reason for no tax", max_length=120, blank=True)
    is_archived = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["seller", "name"], name="customer_by_name")]
        constraints = [
            models.CheckConstraint(condition=models.Q(tax_rate__gte=0) & models.Q(tax_rate__lte=100), name="customer_tax_is_a_percentage"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def contact_name(self) -> str:
        return f"{self.contact_first_name} {self.contact_last_name}".strip()

    @property
    def initials(self) -> str:
        words = self.name.split()
        return "".join(word[0] for word in words[:2]).upper()

    def others_of_domain(self) -> CustomerQuerySet:
        """Other customers of the seller with the same domain: one tenant can't be two companies'."""
        return Customer.objects.filter(seller=self.seller_id, domain=self.domain).exclude(pk=self.pk).order_by("id")

    def as_request(self) -> CustomerRequest:
        """The customer as a vendor's connector takes him."""
        return CustomerRequest(
            name=self.name,
            domain=self.domain,
            email=self.contact_email,
            first_name=self.contact_first_name,
            last_name=self.contact_last_name,
            phone=self.contact_phone,
            address_line1=self.address_line1,
            address_line2=self.address_line2,
            city=self.city,
            state=self.state,
            postal_code=self.postal_code,
            country=self.country,
            registration_number=self.registration_number,
        )

    def snapshot(self) -> dict[str, str]:
        """The customer as placed: kept on the order, so that a later change never rewrites the past."""
        fields = (
            "code name domain contact_first_name contact_last_name contact_email contact_phone address_line1 address_line2 "
            "city state postal_code country registration_number currency segment tax_note "
            "agreement_first_name agreement_last_name agreement_email agreement_phone"
        )
        return {field: str(getattr(self, field)) for field in fields.split()} | {
            "tax_rate": str(self.tax_rate),
            "agreement_on": str(self.agreement_on or ""),
        }


class CustomerTenant(models.Model):
    """A customer at a vendor: who he is there. Belongs to one vendor account for good."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="tenants")
    account = models.ForeignKey(VendorAccount, on_delete=models.PROTECT, related_name="tenants")
    vendor_ref = models.CharField(max_length=100)
    domain = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "account"], name="one_tenant_per_customer_and_account"),
            models.UniqueConstraint(fields=["account", "vendor_ref"], name="one_customer_per_tenant"),
        ]

    def __str__(self) -> str:
        return self.domain
