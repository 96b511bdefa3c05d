"""The order: one row from Draft to Historical, its lines, and which status may follow which.

A transition here says what is legal and nothing else; verbs (lifecycle.py, quoting.py) lock, move, save and record.
Never call refresh_from_db on an order for its status: get it again (`Order.objects.get`), under a lock when you change it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import connection, models
from django.db.models import F, Prefetch, Q
from django_fsm import FSMField, transition

from orders import clock, money
from orders.models.accounts import Seller
from orders.models.catalogue import Offer, Vendor
from orders.models.customers import Customer
from orders.money import CYCLE_LABELS, PER_LABELS, TERM_LABELS
from orders.statuses import EDITABLE, HISTORICAL, RECENT, TABLE, OrderStatus, StatusInfo

FIRST_NUMBER = 10001
NUMBER = re.compile(r"SO-[0-9]{1,17}")


class SafeRefresh(models.Model):
    """refresh_from_db for models with a protected status.

    django-fsm-2 4.2.4 opens the protection of the class-wide field while it refreshes, for every thread, and leaves it
    open after a failed refresh. This one sets the values past the descriptor and never opens anything.
    """

    class Meta:
        abstract = True

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        deferred = self.get_deferred_fields()
        protected = [field.attname for field in self._meta.concrete_fields if getattr(field, "protected", False)]
        saved = {name: self.__dict__.pop(name) for name in protected if name in self.__dict__ and (fields is None or name in fields)}
        if fields is None:
            fields = [field.attname for field in self._meta.concrete_fields if field.attname not in deferred]
            self._prefetched_objects_cache: dict[str, Any] = {}
        try:
            models.Model.refresh_from_db(self, using=using, fields=fields, from_queryset=from_queryset)
        finally:
            for name, value in saved.items():
                self.__dict__.setdefault(name, value)


class Sequence(models.Model):
    """A named counter; the one of order numbers is shared by all sellers."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


def next_order_number() -> str:
    """The next number, such as SO-10482. Call it inside the transaction that uses it: a rollback gives it back."""
    Sequence.objects.get_or_create(name="order", defaults={"value": FIRST_NUMBER - 1})
    Sequence.objects.filter(name="order").update(value=F("value") + 1)
    return f"SO-{Sequence.objects.values_list('value', flat=True).get(name='order')}"


@dataclass(frozen=True, slots=True)
class Margin:
    """What is left of whole-term prices after their costs. Only the seller's team sees it."""

    price: Decimal
    cost: Decimal

    @classmethod
    def of(cls, lines: "Iterable[OrderLine]") -> Self:
        lines = list(lines)
        price = sum((line.sold_term_price * line.quantity for line in lines), Decimal(0))
        return cls(price, sum((line.term_cost * line.quantity for line in lines), Decimal(0)))

    @property
    def amount(self) -> Decimal:
        return self.price - self.cost

    @property
    def percent(self) -> Decimal | None:
        """None where nothing is charged or paid."""
        if not self.price:
            # Given away: nothing is lost where it costs nothing, and everything where it does.
            return None if not self.cost else Decimal(-100)
        return self.amount / self.price * 100


class OrderQuerySet(models.QuerySet["Order"]):
    def for_seller(self, seller: Seller) -> Self:
        return self.filter(seller=seller)

    def numbered(self, numbers: Iterable[str]) -> Self:
        """Those with one of these numbers; what can't be a number finds nothing, whatever was sent."""
        return self.filter(number__in=[number for number in numbers if NUMBER.fullmatch(number)])

    def recent(self) -> Self:
        return self.filter(status__in=sorted(RECENT))

    def historical(self) -> Self:
        return self.filter(status__in=sorted(HISTORICAL))

    def locked(self) -> Self:
        """For a row that is about to change. SQLite needs no row lock: its transactions begin IMMEDIATE."""
        return self.select_for_update(of=("self",)) if connection.features.has_select_for_update_of else self

    def for_list(self) -> Self:
        """Everything a row of the list or the order page shows, in a fixed number of queries."""
        return self.select_related("customer", "seller", "created_by", "quote_link").prefetch_related(
            Prefetch("lines", OrderLine.objects.select_related("offer__vendor")),
            "attempts__failures__line",
            "attempts__vendor",
            "attempts__account__health",
        )


class Order(SafeRefresh):
    """What a seller buys or changes for one customer. Status changes only through the verbs."""

    class Kind(models.TextChoices):
        NEW = "new", "New purchase"
        CHANGE = "change", "Change"

    class FollowUp(models.TextChoices):
        UNDO = "undo", "Undo of a deletion"
        COPY = "copy", "Copy"

    number = models.CharField(max_length=20, unique=True)
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="orders")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NEW)
    status = FSMField(max_length=30, choices=OrderStatus, default=OrderStatus.DRAFT, protected=True)
    # What the second line says when the status alone is not enough, written by the verb: "Stopped by you. Nothing was sent."
    status_note = models.CharField(max_length=200, blank=True)
    needs_attention = models.BooleanField(default=False)
    currency = models.CharField(max_length=3)
    reference = models.CharField("your PO number", max_length=60, blank=True)
    # What the quote says besides its lines; a revision freezes it when it is sent.
    quote_recipients = models.JSONField("send to", default=list, blank=True, help_text="E-mail addresses at the customer.")
    valid_until = models.DateField(null=True, blank=True, help_text="The last day, in the seller's zone.")
    customer_note = models.TextField("notes to the customer", max_length=4000, blank=True)
    internal_note = models.TextField("internal notes", max_length=4000, blank=True)
    # The link that the customer has; its openings never touch this row.
    quote_link = models.ForeignKey("QuoteLink", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    customer_snapshot = models.JSONField(null=True, blank=True, help_text="The customer as placed.")
    follow_up_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="follow_ups")
    follow_up_kind = models.CharField(max_length=20, choices=FollowUp, blank=True)
    scheduled_for = models.DateTimeField(null=True, blank=True)
    scheduled_on = models.DateField(null=True, blank=True, help_text="The date as entered, in the zone below.")
    scheduled_zone = models.CharField(max_length=60, blank=True)
    due_now = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    tax_now = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    per_month = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    per_year = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    per_three_years = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    version = models.PositiveIntegerField(default=1)
    # A form is never stale against what it saved itself, should the answer have been lost on the way.
    editor_token = models.CharField(max_length=64, blank=True, help_text="Of the form that saved last.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    placed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        # One a verb: whoever may retry need not be one who may end an order for good.
        permissions = [
            ("retry_order", "Can retry a seller’s order"),
            ("close_order", "Can close a seller’s order"),
            ("stop_order", "Can stop the waiting of a seller’s order"),
            ("remove_order", "Can delete a seller’s order from the cart"),
        ]
        indexes = [
            models.Index(fields=["seller", "-changed_at", "-id"], name="order_list"),
            models.Index(fields=["seller", "status", "-changed_at", "-id"], name="order_list_by_status"),
            models.Index(fields=["seller", "customer", "-changed_at", "-id"], name="order_list_by_customer"),
            models.Index(fields=["scheduled_for"], name="order_due", condition=Q(status="scheduled")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=OrderStatus.values), name="order_status_is_one_of_ten"),
            models.CheckConstraint(
                condition=~Q(status="scheduled") | Q(scheduled_for__isnull=False), name="scheduled_order_has_an_instant"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    # --- what the status says

    @property
    def info(self) -> StatusInfo:
        return TABLE[OrderStatus(self.status)]

    @property
    def stamp(self) -> str:
        """Tells one state of the row from the next."""
        return str(int(self.changed_at.timestamp() * 1_000_000))

    @property
    def is_recent(self) -> bool:
        return self.status in RECENT

    @property
    def is_historical(self) -> bool:
        return self.status in HISTORICAL

    @property
    def is_editable(self) -> bool:
        """Rule 4: whether the content may change, whoever asks."""
        return self.status in EDITABLE

    @property
    def kind_label(self) -> str:
        """The word under the number: a purchase that was not placed yet is called a quote where the status says so."""
        if self.kind == self.Kind.NEW and self.status in {OrderStatus.DRAFT, OrderStatus.QUOTE_SENT}:
            return "Quote"
        return self.get_kind_display()

    # --- conditions of transitions; `Any`, because django-fsm types what it passes as a plain Model

    def allows_start(self: Any) -> bool:
        """Start is refused while any line is of a vendor that keeps no cart, Microsoft for one (product.md rule 1)."""
        return all(line.offer.vendor.capabilities.allows_start for line in self.lines.select_related("offer__vendor"))

    def refuses_start(self: Any) -> bool:
        return not self.allows_start()

    def has_lines(self: Any) -> bool:
        return bool(self.lines.exists())

    def is_change(self: Any) -> bool:
        return bool(self.kind == self.Kind.CHANGE)

    # --- transitions: all the edges there are (product.md section 2); none leaves a historical status, none has source "*"

    @transition(status, source=OrderStatus.START, target=OrderStatus.DRAFT)
    def keep_as_quote(self) -> None:
        """The seller makes a quote of a cart; by itself, when a line is added that Start refuses."""

    @transition(status, source=OrderStatus.DRAFT, target=OrderStatus.QUOTE_SENT, conditions=[has_lines])
    def send(self) -> None:
        """A revision goes to the customer."""

    @transition(status, source=OrderStatus.QUOTE_SENT, target=OrderStatus.DRAFT)
    def revise(self) -> None:
        """The seller works on the next revision."""

    @transition(status, source=OrderStatus.QUOTE_SENT, target=OrderStatus.DRAFT)
    def withdraw(self) -> None:
        """The seller takes the quote back."""

    @transition(status, source=OrderStatus.QUOTE_SENT, target=OrderStatus.DRAFT)
    def decline(self) -> None:
        """The customer says no."""

    @transition(
        status,
        source=[OrderStatus.START, OrderStatus.DRAFT, OrderStatus.QUOTE_SENT],
        target=OrderStatus.PROVISIONING_STARTED,
        conditions=[has_lines],
    )
    def place(self) -> None:
        """The order goes to its vendors."""

    @transition(status, source=OrderStatus.DRAFT, target=OrderStatus.SCHEDULED, conditions=[is_change])
    def schedule(self) -> None:
        """A change waits for its date."""

    @transition(status, source=OrderStatus.SCHEDULED, target=OrderStatus.PROVISIONING_STARTED)
    def fire(self) -> None:
        """The date has come."""

    @transition(status, source=OrderStatus.PROVISIONING_STARTED, target=OrderStatus.PROVISIONING_FINISHED)
    def confirm(self) -> None:
        """Every line was bought."""

    @transition(status, source=OrderStatus.PROVISIONING_STARTED, target=OrderStatus.PROVISIONING_FAILED)
    def fail(self) -> None:
        """Nothing was bought, and every vendor's verdict is definite."""

    @transition(
        status,
        source=[OrderStatus.PROVISIONING_STARTED, OrderStatus.PROVISIONING_FINISHED],
        target=OrderStatus.COMPLETED_WITH_ERRORS,
    )
    def finish_with_errors(self) -> None:
        """Some was bought, or the vendor reversed what it had approved."""

    @transition(status, source=OrderStatus.PROVISIONING_FINISHED, target=OrderStatus.COMPLETED)
    def complete(self) -> None:
        """Every subscription is recorded."""

    @transition(status, source=OrderStatus.PROVISIONING_FAILED, target=OrderStatus.PROVISIONING_STARTED, conditions=[has_lines])
    def retry(self) -> None:
        """A new attempt after a definite refusal."""

    @transition(status, source=OrderStatus.PROVISIONING_FAILED, target=OrderStatus.COMPLETED_WITH_ERRORS)
    def close(self) -> None:
        """The seller gives the failed order up; the vendor's words stay readable."""

    @transition(
        status,
        source=[OrderStatus.START, OrderStatus.DRAFT, OrderStatus.QUOTE_SENT, OrderStatus.SCHEDULED],
        target=OrderStatus.DELETED,
    )
    def delete_from_cart(self) -> None:
        """Only what never went to a vendor. Not called `delete`: that name belongs to Django and removes rows."""

    # --- money

    def apply_totals(self) -> None:
        """Set the five sums from the lines; the caller saves TOTAL_FIELDS."""
        sums = self.totals()
        for field in TOTAL_FIELDS:
            setattr(self, field, getattr(sums, field))

    def firm_lines(self) -> "list[OrderLine]":
        """What is ordered whatever the customer chooses; optional lines count once he has chosen them."""
        return [line for line in self.lines.all() if not line.is_optional]

    def totals(self) -> money.Totals:
        return money.totals((line.priced() for line in self.firm_lines()), self.currency)

    def margin(self) -> Margin:
        return Margin.of(self.firm_lines())

    def margin_percent(self) -> Decimal | None:
        return self.margin().percent

    @property
    def is_below_floor(self) -> bool:
        """Whether less is left than the seller's floor (product.md section 4)."""
        margin = self.margin_percent()
        return margin is not None and margin < self.seller.margin_floor_percent

    @property
    def first_payment(self) -> Decimal:
        return self.due_now + self.tax_now


TOTAL_FIELDS = ("due_now", "tax_now", "per_month", "per_year", "per_three_years")


class ExactDecimalField(models.DecimalField):  # type: ignore[type-arg]
    """A decimal of which SQLite keeps every digit too: as a number it keeps fifteen, as text all."""

    def db_type(self, connection: Any) -> str | None:
        return f"varchar({self.max_digits + 2})" if connection.vendor == "sqlite" else super().db_type(connection)


class DiscountKind(models.TextChoices):
    PERCENT = "percent", "%"
    AMOUNT = "amount", "off each"


class OrderLine(models.Model):
    """One offer in an order. Title, price and tax are copies from when the line was written."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    base_position = models.PositiveIntegerField(null=True, blank=True, help_text="Of an add-on: the line that it belongs under.")
    quantity = models.PositiveIntegerField()
    term = models.CharField(max_length=4, choices=list(TERM_LABELS.items()), blank=True)
    billing_cycle = models.CharField(max_length=10, choices=list(CYCLE_LABELS.items()))
    term_cost = models.DecimalField(max_digits=14, decimal_places=4)
    # A cost of four decimals with a markup of two has eight: kept exact, because only the unit price is rounded.
    term_price = ExactDecimalField(max_digits=18, decimal_places=8)
    discount_kind = models.CharField(max_length=10, choices=DiscountKind, default=DiscountKind.PERCENT)
    discount_value = models.DecimalField(
        max_digits=14, decimal_places=4, default=0, help_text="Percent, or off each unit and billing period."
    )
    is_optional = models.BooleanField(default=False, help_text="The customer chooses; until then it is neither summed up nor ordered.")
    unit_price = models.DecimalField(max_digits=14, decimal_places=4)
    amount = models.DecimalField(max_digits=16, decimal_places=4)
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2)
    tax = models.DecimalField(max_digits=16, decimal_places=4)

    class Meta:
        ordering: ClassVar[list[str]] = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="one_line_per_position"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="line_quantity_is_positive"),
            models.CheckConstraint(
                condition=Q(discount_value__gte=0) & (~Q(discount_kind="percent") | Q(discount_value__lte=100)),
                name="line_discount_is_possible",
            ),
            models.CheckConstraint(condition=Q(amount__gte=0) & Q(tax__gte=0) & Q(unit_price__gte=0), name="line_money_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.title} × {self.quantity}"

    @property
    def vendor(self) -> Vendor:
        return self.offer.vendor

    @property
    def per_label(self) -> str:
        return PER_LABELS[self.billing_cycle]

    def price(self, tax_rate: Decimal, currency: str) -> None:
        """Set unit price, amount and tax from the term price and the discount, by money's rules."""
        self.tax_rate = tax_rate
        self.unit_price = money.unit_price(self.term_price, self.term, self.billing_cycle, currency, self.discount)
        self.amount = self.unit_price * self.quantity
        self.tax = money.tax(self.amount, tax_rate, currency)

    @property
    def discount(self) -> money.Discount:
        return money.Discount(self.discount_value, self.discount_kind == DiscountKind.PERCENT)

    @property
    def sold_term_price(self) -> Decimal:
        """What the customer pays for one unit and the whole term, exact: the basis of the margin."""
        if self.billing_cycle == "none":
            return Decimal(0)
        return self.discount.off(self.term_price, money.periods_in_term(self.term, self.billing_cycle))

    @property
    def list_unit_price(self) -> Decimal:
        """One unit and billing period without the discount."""
        return money.unit_price(self.term_price, self.term, self.billing_cycle, self.order.currency)

    @property
    def discount_amount(self) -> Decimal:
        """What the discount takes off the line in each billing period."""
        return (self.list_unit_price - self.unit_price) * self.quantity if self.discount else Decimal(0)

    @property
    def margin(self) -> Margin:
        return Margin.of([self])

    def priced(self) -> money.PricedLine:
        return money.PricedLine(self.billing_cycle, self.amount, self.tax, self.discount_amount)


class Submission(models.Model):
    """A form that was sent once and may arrive many times: double clicks, Back and send again, a proxy's repeat."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+")
    token = models.CharField(max_length=64)
    body_sha256 = models.CharField(max_length=64)
    location = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["seller", "token"], name="one_submission_per_token")]

    def __str__(self) -> str:
        return self.location
