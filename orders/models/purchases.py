"""What we asked of vendors and what they answered: attempts, exchanges, failures. reference: product.md rules 2, 4-6.

The attempt is the truth and the queue is disposable. States:
  prepared -> sending -> accepted -> approved -> succeeded
  sending -> unknown (an expired lease, no clear answer) -> accepted, approved, failed_definite
  unknown -> parked, when nothing that the vendor offers can tell any more; staff look and decide
  anything before approved -> failed_definite, only by a definite refusal or a proof that nothing was sent
"""

import hashlib
import json
import secrets
from dataclasses import asdict, replace
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, Max, OuterRef, Q

from orders.models.catalogue import Vendor, VendorAccount
from orders.models.orders import Order, OrderLine
from orders.vendors import registry
from orders.vendors.contract import CustomerRequest, LineRequest, OrderRequest

MAX_TRIES = 5


class AttemptState(models.TextChoices):
    PREPARED = "prepared", "Waiting to be sent"
    SENDING = "sending", "Being sent"
    UNKNOWN = "unknown", "Confirming"
    PARKED = "parked", "Parked for staff"
    ACCEPTED = "accepted", "With the vendor"
    APPROVED = "approved", "Approved"
    SUCCEEDED = "succeeded", "Bought"
    FAILED_DEFINITE = "failed_definite", "Refused"


# `sending` is not among them: only the sweep may touch that one, and only to call it `unknown`.
CLAIMABLE_STATES = (AttemptState.PREPARED, AttemptState.UNKNOWN, AttemptState.ACCEPTED, AttemptState.APPROVED)
FINAL_STATES = frozenset({AttemptState.SUCCEEDED, AttemptState.FAILED_DEFINITE})


class FailureClass(models.TextChoices):
    VENDOR_REJECTED = "vendor_rejected", "Refused by the vendor"
    VENDOR_BUSY = "vendor_busy", "Vendor busy"
    NEVER_SENT = "never_sent", "Never sent"
    NOT_FOUND = "not_found", "Staff found that nothing was bought"


class AttemptQuerySet(models.QuerySet["PurchaseAttempt"]):
    def current(self) -> Self:
        """Not the refused ones: the attempts that still count."""
        return self.exclude(state=AttemptState.FAILED_DEFINITE)

    def by_hand(self) -> Self:
        """Those that staff answer: their vendor has no API."""
        return self.filter(vendor__connector__in=sorted(registry.WITHOUT_API))

    def due(self, now: datetime) -> Self:
        """What a worker may claim: its time has come, nobody holds it, and its account is not paused."""
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        return self.filter(free, state__in=CLAIMABLE_STATES, next_action_at__lte=now, account__is_paused=False)

    def in_the_way_of(self, attempt: "PurchaseAttempt", now: datetime, *, customer_is_known: bool) -> Self:
        """Other attempts for the same customer at the same account that must be over before this one begins.

        Those that a worker holds; and, while the vendor does not know the customer, those that may have created him.
        """
        held = Q(lease_until__gte=now)
        if not customer_is_known:
            held |= Q(state__in=[AttemptState.SENDING, AttemptState.UNKNOWN, AttemptState.PARKED])
        return self.filter(held, account=attempt.account_id, order__customer=attempt.order.customer_id).exclude(pk=attempt.pk)

    def prepare(
        self,
        order: Order,
        vendor: Vendor,
        account: VendorAccount,
        lines: list[OrderLine],
        *,
        at: datetime,
        must_look: bool = False,
    ) -> "PurchaseAttempt":
        """Freeze what we want bought and write it down; nothing is sent here. Raises IntegrityError if one is open.

        `must_look`: a backup was restored lately, so the vendor is asked first what he has.
        """
        request = request_of(order, lines, secrets.token_hex(16))
        return self._write(request, order, vendor, account, at=at, due_at=at, must_look=must_look)

    def prepare_next_try(self, attempt: "PurchaseAttempt", *, at: datetime, due_at: datetime) -> "PurchaseAttempt":
        """After a busy vendor: what was wanted then is wanted again, whatever has been changed of the customer since."""
        request = replace(attempt.order_request(), reference=secrets.token_hex(16))
        number = attempt.try_number + 1
        return self._write(request, attempt.order, attempt.vendor, attempt.account, at=at, due_at=due_at, try_number=number)

    def _write(
        self,
        request: OrderRequest,
        order: Order,
        vendor: Vendor,
        account: VendorAccount,
        *,
        at: datetime,
        due_at: datetime,
        try_number: int = 1,
        must_look: bool = False,
    ) -> "PurchaseAttempt":
        last = self.filter(order=order, vendor=vendor).aggregate(last=Max("number"))["last"] or 0
        body = json.dumps(asdict(request), sort_keys=True, separators=(",", ":")).encode()
        return self.create(
            order=order,
            vendor=vendor,
            account=account,
            number=last + 1,
            try_number=try_number,
            reference=request.reference,
            request=body,
            request_sha256=hashlib.sha256(body).hexdigest(),
            next_action_at=due_at,
            woken_at=at,
            created_at=at,
            must_look=must_look,
        )


def request_of(order: Order, lines: list[OrderLine], reference: str) -> OrderRequest:
    """What is wanted of one vendor, as the order and its customer are now."""
    return OrderRequest(
        reference=reference,
        currency=order.currency,
        customer=order.customer.as_request(),
        lines=tuple(
            LineRequest(
                number=line.position,
                product_id=line.offer.product_id,
                sku_id=line.offer.sku_id,
                title=line.title,
                quantity=line.quantity,
                term=line.term,
                billing_cycle=line.billing_cycle,
                segment=line.offer.segment,
            )
            for line in lines
        ),
    )


class PurchaseAttempt(models.Model):
    """One try to buy what an order wants of one vendor."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="attempts")
    vendor = models.ForeignKey(Vendor, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(VendorAccount, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField(help_text="1, 2, 3 … for one order and vendor.")
    try_number = models.PositiveIntegerField(default=1, help_text="1 to 5 while the vendor is busy or away.")
    state = models.CharField(max_length=20, choices=AttemptState, default=AttemptState.PREPARED)
    reference = models.CharField(max_length=40, unique=True, help_text="What the vendor sees; never the order's number.")
    request = models.BinaryField()
    request_sha256 = models.CharField(max_length=64)
    fence = models.PositiveIntegerField(default=0, help_text="Rises with every claim; a record with an older one is refused.")
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    next_action_at = models.DateTimeField(null=True, blank=True)
    woken_at = models.DateTimeField(null=True, blank=True, help_text="When a task was last enqueued for it.")
    asked = models.PositiveIntegerField(default=0, help_text="How often we asked since the state last changed; spaces the next asking.")
    sent_at = models.DateTimeField(null=True, blank=True)
    unknown_since = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    vendor_order_ref = models.CharField(max_length=100, blank=True)
    vendor_order_refs = models.JSONField(default=list, blank=True, help_text="All of them; one purchase may become several orders there.")
    vendor_status = models.CharField(max_length=60, blank=True)
    action = models.CharField(max_length=300, blank=True, help_text="What a person must do before the vendor goes on.")
    failure_class = models.CharField(max_length=20, choices=FailureClass, blank=True)
    adopted = models.JSONField(default=list, blank=True, help_text="Orders at the vendor that were found to be this attempt’s.")
    must_look = models.BooleanField(default=False, help_text="After a restored backup: look at the vendor before anything is sent.")
    parked_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()

    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["number", "id"]
        indexes = [
            models.Index(fields=["next_action_at"], name="attempt_due", condition=~Q(state__in=["succeeded", "failed_definite"])),
        ]
        constraints = [
            # The at-most-once rule: while one attempt may still buy, or has bought, no second one can exist.
            models.UniqueConstraint(
                fields=["order", "vendor"], condition=~Q(state="failed_definite"), name="one_open_attempt_per_order_and_vendor"
            ),
            models.UniqueConstraint(fields=["order", "vendor", "number"], name="one_attempt_per_number"),
            models.CheckConstraint(condition=Q(state__in=AttemptState.values), name="attempt_state_is_known"),
            models.CheckConstraint(condition=~Q(state="failed_definite") | ~Q(failure_class=""), name="refused_attempt_says_why"),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "succeeded"]) | ~Q(vendor_order_ref=""), name="bought_attempt_has_evidence"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order} at {self.vendor}, attempt {self.number}"

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    def order_request(self) -> OrderRequest:
        """What was frozen, as the connector takes it. Raises ValueError when somebody changed it since."""
        if hashlib.sha256(bytes(self.request)).hexdigest() != self.request_sha256:
            raise ValueError(f"The frozen request of {self} was changed.")
        data = json.loads(bytes(self.request))
        return OrderRequest(
            reference=data["reference"],
            currency=data["currency"],
            customer=CustomerRequest(**data["customer"]),
            lines=tuple(LineRequest(**line) for line in data["lines"]),
        )


class ParkedVerdict(models.Model):
    """What staff found out about an attempt that nothing could tell of: bought or not, by which evidence, and why. Append-only."""

    attempt = models.ForeignKey(PurchaseAttempt, on_delete=models.PROTECT, related_name="parked_verdicts")
    is_bought = models.BooleanField()
    vendor_order_refs = models.JSONField("vendor’s orders", default=list, blank=True)
    evidence = models.TextField(max_length=4000, help_text="Where it was seen: page, time, who at the vendor said so.")
    reason = models.CharField(max_length=200, help_text="The seller reads it in the order’s timeline.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.attempt}: {'bought' if self.is_bought else 'not bought'}"


class ManualAttemptManager(models.Manager.from_queryset(AttemptQuerySet)):  # type: ignore[misc]
    """Only those that staff answer."""

    def get_queryset(self) -> models.QuerySet["PurchaseAttempt"]:
        found: models.QuerySet[PurchaseAttempt] = super().get_queryset().by_hand()
        return found


class ManualAttempt(PurchaseAttempt):
    """An attempt at a vendor without an API, as staff see it in their queue: the same row."""

    objects = ManualAttemptManager()  # type: ignore[misc]

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = [("provision_manually", "Can answer for vendors without an API")]
        verbose_name = "manual order"
        verbose_name_plural = "manual provisioning"


class ParkedAttemptManager(models.Manager.from_queryset(AttemptQuerySet)):  # type: ignore[misc]
    """Those that wait for a verdict of staff, and those that got one."""

    def get_queryset(self) -> models.QuerySet["PurchaseAttempt"]:
        found: models.QuerySet[PurchaseAttempt] = super().get_queryset()
        # A mistyped number parks an attempt again, and it gets another verdict.
        decided = ParkedVerdict.objects.filter(attempt=OuterRef("pk"))
        return found.filter(Q(state=AttemptState.PARKED) | Exists(decided))


class ParkedAttempt(PurchaseAttempt):
    """An attempt that nothing can tell of any more, as staff see it in their queue: the same row."""

    objects = ParkedAttemptManager()  # type: ignore[misc]

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = [("decide_parked", "Can decide attempts that no vendor can tell of")]
        verbose_name = "parked attempt"
        verbose_name_plural = "parked attempts"


class VendorExchange(models.Model):
    """One half of a call: what we sent, or what came back. Written before it is interpreted; never changed."""

    class Kind(models.TextChoices):
        REQUEST = "request", "Sent"
        ANSWER = "answer", "Answered"
        NOT_SENT = "not_sent", "Could not be sent"
        NO_ANSWER = "no_answer", "No answer"

    attempt = models.ForeignKey(PurchaseAttempt, on_delete=models.PROTECT, related_name="exchanges")
    step = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=Kind)
    is_write = models.BooleanField(help_text="Whether the call could change something at the vendor.")
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=500)
    key = models.CharField(max_length=80, help_text="What the vendor knows a repeat by.")
    http_status = models.PositiveIntegerField(null=True, blank=True)
    headers = models.JSONField(default=dict, help_text="Allow-listed: no credentials.")
    body = models.BinaryField(default=bytes)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["attempt", "step"], name="exchange_by_step")]

    def __str__(self) -> str:
        return f"{self.step} {self.kind}"

    @property
    def text(self) -> str:
        return bytes(self.body).decode("utf-8-sig", errors="replace")


class Failure(models.Model):
    """One definite no of a vendor, with the vendor's own words, unchanged."""

    attempt = models.ForeignKey(PurchaseAttempt, on_delete=models.PROTECT, related_name="failures")
    line = models.ForeignKey(
        OrderLine, on_delete=models.PROTECT, null=True, blank=True, related_name="failures", help_text="Empty: the whole attempt."
    )
    code = models.CharField(max_length=60, blank=True)
    http_status = models.PositiveIntegerField(null=True, blank=True)
    field = models.CharField(max_length=100, blank=True, help_text="The property that the vendor named.")
    text = models.TextField(blank=True, help_text="As received, but for characters that no text can hold.")
    raw = models.BinaryField(default=bytes)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.code} {self.text[:60]}".strip()

    @property
    def vendor_code(self) -> str:
        """The code as the vendor's. Of one without an API it is ours: the reason that staff chose."""
        by_hand = self.attempt.vendor_id and not self.attempt.vendor.capabilities.has_api
        return "" if by_hand else self.code


class StaffVerdict(models.Model):
    """What staff answered for one line of a vendor without an API. Append-only."""

    attempt = models.ForeignKey(PurchaseAttempt, on_delete=models.PROTECT, related_name="verdicts")
    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="verdicts")
    is_approved = models.BooleanField()
    vendor_ref = models.CharField("vendor reference", max_length=100, blank=True)
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    code = models.CharField(max_length=60, blank=True, help_text="A reason of the failure catalogue.")
    text = models.TextField(blank=True, max_length=4000, help_text="What the seller reads as the vendor's message.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["attempt", "line"], name="one_staff_verdict_per_line")]

    def __str__(self) -> str:
        return f"{self.line}: {'approved' if self.is_approved else 'refused'}"


def storable(text: str) -> str:
    """The text with NUL and lone surrogates, which no database column holds, as U+FFFD; nothing else is touched."""
    return "".join("\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in text)
