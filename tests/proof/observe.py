"""What happened, as the checker takes it: from the portal's rows, the vendor's ledger and log, and what clients saw."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orders import clock
from orders.failures import latest_attempts
from orders.models import (
    AttemptState,
    Customer,
    FailureClass,
    Incident,
    Offer,
    Order,
    OrderLine,
    PurchaseAttempt,
    StaffVerdict,
    Subscription,
    VendorExchange,
)
from tests.harness.sandbox import Sandbox
from tests.proof.history import Click, Happened, History, Line, Outcome, Row, Sale, Seen

# What the portal itself found out, or says in its own words; everything else is the vendor's.
CODE_OF_A_VENDOR = re.compile(r"[0-9]+")
CUSTOMER_IN_PATH = re.compile(r"/v1/customers/([^/?]+)")
NOT_LIVE = {"error", "cancelled"}
SOLD_BY_ADOBE = {"1000", "1002"}
FAILED = {"provisioning_failed", "completed_with_errors"}
# The customer's day may end between the look-up of an id that changes daily and its use: refused by the vendor, and mended.
ALLOWED_VIOLATIONS = {"stale_catalog_item"}


@dataclass
class Notes:
    """What clients did and saw, kept by whoever runs them."""

    clicks: list[Click] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def click(self, order: Order, verb: str, outcome: Outcome) -> None:
        self.clicks.append(Click(order.number, order.seller.code, verb, outcome))

    def look(self, pk: int) -> None:
        """The seller opens the order."""
        order = Order.objects.select_related("seller").get(pk=pk)
        self.seen.append(Seen(order.number, order.seller.code, order.status, content(order), clock.now().timestamp()))


def history(
    orders: Iterable[int], vendor: Sandbox, notes: Notes, *, healthy_since: float | None = None, patience: float = 900.0
) -> History:
    """Everything about these orders. Their customers must have no other orders at this vendor."""
    found = list(Order.objects.filter(pk__in=list(orders)).select_related("seller", "customer").order_by("id"))
    ledger = _Ledger(vendor, found)
    rows, events = rows_and_events(found)
    return History(
        rows=rows,
        events=events,
        clicks=tuple(notes.clicks),
        seen=tuple(notes.seen),
        sales=(*ledger.sales(), *_sold_by_hand(found)),
        words=frozenset(ledger.words()),
        ended_at=clock.now().timestamp(),
        healthy_since=healthy_since,
        patience=patience,
    )


def content(order: Order) -> str:
    """A fingerprint of all that may never change once the order is historical."""
    parts = [
        sorted(Order.objects.filter(pk=order.pk).values().get().items()),
        list(OrderLine.objects.filter(order=order).order_by("position").values_list()),
        list(order.attempts.order_by("id").values_list("id", "state", "vendor_order_ref", "failure_class", "request_sha256")),
        list(order.revisions.order_by("number").values_list("content_sha256", flat=True)),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def breaches(vendor: Sandbox, but: frozenset[str] = frozenset()) -> list[str]:
    """Where we broke the vendor's contract, in sentences; not those that are allowed always, or here."""
    broken = [violation for violation in vendor.violations() if violation["kind"] not in ALLOWED_VIOLATIONS | but]
    return [f"the vendor's contract was broken: {violation}" for violation in broken]


# --- our own rows


def rows_and_events(orders: Iterable[Order]) -> tuple[tuple[Row, ...], tuple[Happened, ...]]:
    """What the portal's own tables say about these orders."""
    orders = list(orders)
    events = tuple(_event(event) for order in orders for event in order.events.select_related("order").order_by("id"))
    return tuple(_row(order) for order in orders), events


def _row(order: Order) -> Row:
    attempts = list(order.attempts.select_related("account", "vendor"))
    open_attempts = [attempt for attempt in attempts if not attempt.is_final]
    failures = [failure for attempt in latest_attempts(order) for failure in attempt.failures.all()]
    return Row(
        order=order.number,
        seller=order.seller.code,
        status=order.status,
        lines=tuple(_line(line) for line in order.lines.select_related("offer").order_by("position")),
        content=content(order),
        reasons=tuple(failure.text for failure in failures if CODE_OF_A_VENDOR.fullmatch(failure.code)),
        is_definite=order.status not in FAILED or all(_is_definite(attempt) for attempt in latest_attempts(order)),
        is_parked=_is_parked(order, open_attempts),
        next_at=_next(open_attempts),
    )


def _line(line: OrderLine) -> Line:
    recorded = Subscription.objects.living().filter(line=line).select_related("seller").first()
    return Line(
        product=_product(line),
        quantity=line.quantity,
        subscription=recorded.vendor_ref if recorded else "",
        owner=recorded.seller.code if recorded else "",
    )


def _product(line: OrderLine) -> str:
    return f"{line.offer.product_id}:{line.offer.sku_id}:{line.term}"


def _is_definite(attempt: PurchaseAttempt) -> bool:
    """Whether each no rests on something: the vendor's words or answer, staff, or the proof that nothing was sent."""
    if attempt.state != AttemptState.FAILED_DEFINITE or attempt.failure_class != FailureClass.VENDOR_REJECTED:
        return True
    failures = list(attempt.failures.all())
    return bool(failures) and all(failure.http_status is not None or failure.raw or failure.code for failure in failures)


def _is_parked(order: Order, open_attempts: list[PurchaseAttempt]) -> bool:
    """Whether a person is asked to look: an incident is open, an account is paused, or the attempt itself says so."""
    told = Incident.objects.filter(order=order, closed_at=None).exists()
    return told or any(attempt.account.is_paused or attempt.state == "parked" for attempt in open_attempts)


def _next(open_attempts: list[PurchaseAttempt]) -> float | None:
    """When the portal acts next: at its own time, or when the lease of a worker that died is over."""
    times = [attempt.lease_until or attempt.next_action_at for attempt in open_attempts]
    return min((at.timestamp() for at in times if at), default=None)


def _event(event: Any) -> Happened:
    due = event.order.scheduled_for.timestamp() if event.name == "scheduled" and event.order.scheduled_for else None
    return Happened(event.order.number, event.name, event.from_status, event.to_status, event.at.timestamp(), due)


def _sold_by_hand(orders: list[Order]) -> list[Sale]:
    """A vendor without an API keeps no ledger that we could read: what staff answered is the ledger."""
    approved = StaffVerdict.objects.filter(attempt__order__in=orders, is_approved=True).select_related(
        "line__offer", "attempt__order__seller"
    )
    return [
        Sale(
            verdict.vendor_ref, verdict.attempt.order.number, verdict.attempt.order.seller.code, _product(verdict.line),
            verdict.line.quantity, verdict.at.timestamp(),
        )
        for verdict in approved
    ]  # fmt: skip


# --- the vendor's side


class _Ledger:
    """The sandbox's ledger and log, with each entry laid to the order that it belongs to."""

    def __init__(self, vendor: Sandbox, orders: list[Order]) -> None:
        self._ledger = vendor.ledger()
        self._calls = vendor.calls()
        owners = {customer.domain.lower(): customer for customer in Customer.objects.select_related("seller")}
        self._customers = {row["id"]: owners.get(row["companyProfile"]["domain"].lower()) for row in self._ledger["customers"]}
        self._of_customer: dict[int, list[Order]] = defaultdict(list)
        for order in orders:
            self._of_customer[order.customer_id].append(order)
        keys = VendorExchange.objects.filter(attempt__order__in=orders, kind="request", step__startswith="create cart")
        self._by_key = dict(keys.values_list("key", "attempt__order__number"))
        self._by_domain = {domain: self._of_customer.get(customer.pk, []) for domain, customer in owners.items()}

    def sales(self) -> list[Sale]:
        found = []
        for sold in self._ledger["orders"]:
            customer = self._customers.get(sold["customerId"])
            for item in sold["lineItems"]:
                product, sku, _ = item["offerId"].split(":")
                found.append(
                    Sale(
                        ref=item.get("subscriptionId") or f"{sold['id']}/{item['lineItemNumber']}",
                        order=self._order_of(sold, customer),
                        seller=customer.seller.code if customer else "",
                        product=f"{product}:{sku}:{item['termDuration']}",
                        quantity=item["quantity"],
                        at=datetime.fromisoformat(sold["creationDate"]).timestamp(),
                        is_live=sold["status"] not in NOT_LIVE,
                    )
                )
        return [*found, *self._adobe_sales()]

    def _adobe_sales(self) -> list[Sale]:
        """What the sandbox sold as Adobe; a customer there is known by the company's name."""
        adobe, products = self._ledger["adobe"], {offer.sku_id: offer for offer in Offer.objects.filter(vendor__connector="adobe")}
        by_name = {customer.name: customer for customer in Customer.objects.select_related("seller")}
        owners = {row["customerId"]: by_name.get(row["companyProfile"]["companyName"]) for row in adobe["customers"]}
        found = []
        for sold in adobe["orders"]:
            customer = owners.get(sold["customerId"])
            orders = self._of_customer.get(customer.pk, []) if customer else []
            for item in sold["lineItems"]:
                offer = products[item["offerId"]]
                found.append(
                    Sale(
                        ref=item.get("subscriptionId") or f"{sold['orderId']}/{item['extLineItemNumber']}",
                        order=orders[0].number if orders else "",
                        seller=customer.seller.code if customer else "",
                        product=f"{offer.product_id}:{offer.sku_id}:P1Y",
                        quantity=item["quantity"],
                        at=datetime.fromisoformat(sold["creationDate"]).timestamp(),
                        is_live=sold["status"] in SOLD_BY_ADOBE,
                    )
                )
        return found

    def _order_of(self, sold: dict[str, Any], customer: Customer | None) -> str:
        """By whose customer it is; among several orders of one customer, by the key that the journal holds."""
        orders = self._of_customer.get(customer.pk, []) if customer else []
        return orders[0].number if len(orders) == 1 else self._by_key.get(sold["cartRequestId"], "")

    def words(self) -> set[tuple[str, str]]:
        """Every text that left the vendor in a refusal, as a column can hold it."""
        found = set()
        for call in self._calls:
            for order in self._orders_of(call):
                found |= {(order.number, _storable(text)) for text in _refusing_texts(call["responseBody"])}
        return found

    def _orders_of(self, call: dict[str, Any]) -> list[Order]:
        if named := CUSTOMER_IN_PATH.match(call["path"]):
            customer = self._customers.get(named[1])
            return self._of_customer.get(customer.pk, []) if customer else []
        body = call["requestBody"] if isinstance(call["requestBody"], dict) else {}
        domain = (body.get("CompanyProfile") or {}).get("Domain", "").lower()
        # A read that names no customer may have been for any order.
        return self._by_domain.get(domain, []) if domain else [order for orders in self._of_customer.values() for order in orders]


def _refusing_texts(body: Any) -> list[str]:
    if isinstance(body, list):
        return [text for item in body for text in _refusing_texts(item)]
    if not isinstance(body, dict):
        return []
    own = [body[name] for name in ("description", "message", "errorDescription", "error_description") if isinstance(body.get(name), str)]
    return own + [text for value in body.values() if isinstance(value, dict | list) for text in _refusing_texts(value)]


def _storable(text: str) -> str:
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)
