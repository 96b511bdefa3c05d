"""A small world: two sellers with their people and customers, two vendors and what they sell; and orders in any status.

Built with the models and the verbs only, as the product itself would.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from orders import clock, lifecycle, purchasing, quoting
from orders.journal import AttemptJournal
from orders.lifecycle import LineInput
from orders.models import (
    Customer,
    FailureReason,
    Membership,
    Offer,
    Order,
    Price,
    PurchaseAttempt,
    Role,
    Seller,
    User,
    Vendor,
    VendorAccount,
)
from orders.statuses import OrderStatus
from orders.vendors.contract import Answer, Bought, Busy, Call, Phase, Refusal, Snapshot
from tests.harness import sandbox

PASSWORD = "correct horse battery"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class SellerWorld:
    """One seller: people in each role and two customers."""

    seller: Seller
    admin: User
    manager: User
    viewer: User
    customer: Customer
    other_customer: Customer


@dataclass(frozen=True)
class World:
    harbour: SellerWorld
    northwind: SellerWorld
    staff: User
    microsoft: Vendor
    northgate: Vendor
    microsoft_account: VendorAccount
    northgate_account: VendorAccount
    premium: Offer
    backup: Offer
    premium_yearly: Price  # P1Y, billed annually
    premium_yearly_monthly: Price  # P1Y, billed monthly
    premium_monthly: Price  # P1M
    backup_monthly: Price
    sellers: tuple[SellerWorld, ...] = field(default=())

    def line(self, price: Price | None = None, quantity: int = 2) -> LineInput:
        """Two seats of the Northgate backup, which a cart may hold, unless something else is asked for."""
        return LineInput(price or self.backup_monthly, quantity)


def build(vendor_url: str = NOWHERE) -> World:
    """All of it; `vendor_url` is where the sandbox listens, or nowhere."""
    microsoft = Vendor.objects.create(code="microsoft", name="Microsoft", connector="partner_center")
    northgate = Vendor.objects.create(code="northgate", name="Northgate Backup", connector="partner_center_cart")
    premium = _offer(microsoft, "CFQ7TTC0LCHC", "0002", "Microsoft 365 Business Premium")
    backup = _offer(northgate, "NGBACKUP0001", "0001", "Northgate Backup for Mailboxes")
    harbour, northwind = _seller("harbour", "Harbour Cloud"), _seller("northwind", "Northwind IT")
    return World(
        harbour=harbour,
        northwind=northwind,
        sellers=(harbour, northwind),
        staff=User.objects.create_superuser("staff@portal.example", PASSWORD, name="Sam Staff"),
        microsoft=microsoft,
        northgate=northgate,
        microsoft_account=_account(microsoft, vendor_url, sandbox.MICROSOFT_TENANT),
        northgate_account=_account(northgate, vendor_url, sandbox.NORTHGATE_TENANT),
        premium=premium,
        backup=backup,
        premium_yearly=_price(premium, "P1Y", "annual", "211.20", "264.00"),
        premium_yearly_monthly=_price(premium, "P1Y", "monthly", "221.76", "277.20"),
        premium_monthly=_price(premium, "P1M", "monthly", "21.12", "26.40"),
        backup_monthly=_price(backup, "P1M", "monthly", "6.40", "9.50"),
    )


def _seller(code: str, name: str) -> SellerWorld:
    seller = Seller.objects.create(code=code, name=name)

    def person(first: str, role: Role) -> User:
        user = User.objects.create_user(f"{first.lower()}@{code}.example", PASSWORD, name=f"{first} {name.split()[0]}")
        Membership.objects.create(user=user, seller=seller, role=role)
        return user

    return SellerWorld(
        seller=seller,
        admin=person("Ada", Role.ADMIN),
        manager=person("Max", Role.ACCOUNT_MANAGER),
        viewer=person("Vera", Role.VIEWER),
        customer=customer_of(seller, "Alder Dental", f"alderdental{code}"),
        other_customer=customer_of(seller, "Birch Bakery", f"birchbakery{code}"),
    )


def customer_of(seller: Seller, name: str, prefix: str, **changes: object) -> Customer:
    """A customer that both the portal and the sandbox accept."""
    fields: dict[str, object] = {
        "name": name,
        "domain": f"{prefix}.onmicrosoft.com",
        "contact_first_name": "Anna",
        "contact_last_name": "Visser",
        "contact_email": f"anna@{prefix}.example",
        "contact_phone": "+31201234567",
        "address_line1": "Havenstraat 12",
        "city": "Amsterdam",
        "postal_code": "1011 AB",
        "country": "NL",
    }
    return Customer.objects.create(seller=seller, **(fields | changes))


def _account(vendor: Vendor, url: str, tenant: str) -> VendorAccount:
    account = VendorAccount(vendor=vendor, name="Platform", base_url=url, login_url=url, tenant=tenant, client_id=sandbox.CLIENT_ID)
    account.client_secret = sandbox.CLIENT_SECRET
    account.save()
    return account


def _offer(vendor: Vendor, product: str, sku: str, title: str) -> Offer:
    return Offer.objects.create(vendor=vendor, code=f"{product}-{sku}", product_id=product, sku_id=sku, title=title)


def _price(offer: Offer, term: str, cycle: str, cost: str, price: str) -> Price:
    return Price.objects.create(
        offer=offer, market="NL", currency="EUR", term=term, billing_cycle=cycle, term_cost=Decimal(cost), term_price=Decimal(price)
    )


def few_reasons() -> None:
    """Leave one in twelve of the catalogue's reasons, and those without a vendor: pages that list them all are long to read again and again."""
    kept = [pk for index, pk in enumerate(FailureReason.objects.order_by("id").values_list("pk", flat=True)) if index % 12 == 0]
    FailureReason.objects.exclude(pk__in=kept).exclude(dialect__in=["", "manual"]).delete()


def manual_price(world: World) -> Price:
    """What a vendor without an API sells; made when a test asks for it. The account has no login."""
    vendor, is_new = Vendor.objects.get_or_create(code="larkfield", defaults={"name": "Larkfield Telecom", "connector": "manual"})
    if not is_new:
        return Price.objects.get(offer__vendor=vendor)
    VendorAccount.objects.create(vendor=vendor, name="Platform")
    return _price(_offer(vendor, "LARKSIP10", "0001", "SIP Trunk, 10 channels"), "P1M", "monthly", "30.00", "45.00")


def adobe_price(world: World) -> Price:
    """What a vendor of another shape sells, at the same sandbox; made when a test asks for it."""
    vendor, is_new = Vendor.objects.get_or_create(code="adobe", defaults={"name": "Adobe", "connector": "adobe"})
    if not is_new:
        return Price.objects.get(offer__vendor=vendor)
    _account(vendor, world.microsoft_account.base_url, sandbox.ADOBE_RESELLER)
    return _price(_offer(vendor, "ADOBECC", "65304479CA01A12", "Creative Cloud All Apps"), "P1Y", "annual", "620.00", "739.00")


# --- orders in any status


def cart_of(world: World, *lines: LineInput, kind: str = Order.Kind.NEW, as_cart: bool = True, at: SellerWorld | None = None) -> Order:
    """A Start order, or a Draft when a line or `as_cart` asks for it."""
    seller = at or world.harbour
    return lifecycle.create(seller.customer, lines or [world.line()], by=seller.manager, kind=kind, as_cart=as_cart)


def order_in(
    status: str, world: World, *lines: LineInput, kind: str = Order.Kind.NEW, at: SellerWorld | None = None, quoted: bool = False
) -> Order:
    """A fresh order in the status, brought there by verbs and recorded verdicts only, with no vendor called.

    `lines`: two seats of the Northgate backup unless given. Completed with Errors has one line bought and one refused when
    there are two or more lines, else it is a failed order that was closed. `quoted`: a revision was sent first.
    Not inside `transaction.atomic()` of your own: the journal commits.
    """
    seller = at or world.harbour
    by = seller.manager
    if status == OrderStatus.START:
        order = cart_of(world, *lines, at=at)
        assert order.status == OrderStatus.START, "A line refuses Start, or the order is a change."
        return order
    kind = Order.Kind.CHANGE if status == OrderStatus.SCHEDULED else kind
    order = cart_of(world, *lines, kind=kind, as_cart=False, at=at)
    if status == OrderStatus.DRAFT:
        return order
    if status == OrderStatus.QUOTE_SENT:
        return quoting.send(order, by=by)
    if status == OrderStatus.SCHEDULED:
        # Due at once, so that a test may fire it.
        return lifecycle.schedule(order, by=by, at=clock.now(), on=date(2026, 12, 1), zone="Europe/Amsterdam")
    if status == OrderStatus.DELETED:
        return lifecycle.delete(quoting.send(order, by=by), by=by, reason="Not wanted.")
    if quoted:
        order = quoting.send(order, by=by)
    order = lifecycle.place(order, by=by)
    if status == OrderStatus.PROVISIONING_STARTED:
        return order
    attempts = list(order.attempts.all())
    if status == OrderStatus.PROVISIONING_FINISHED:
        for attempt in attempts:
            verdict_approved(attempt)
    elif status == OrderStatus.COMPLETED:
        for attempt in attempts:
            verdict_done(attempt)
    elif status == OrderStatus.COMPLETED_WITH_ERRORS and order.lines.count() > 1:
        for attempt in attempts[:-1]:
            verdict_done(attempt)
        if len(attempts) > 1:
            verdict_refused(attempts[-1])
        else:
            verdict_done(attempts[-1], refused_lines=[order.lines.last().position])
    else:
        for attempt in attempts:
            verdict_refused(attempt)
        if status == OrderStatus.COMPLETED_WITH_ERRORS:
            lifecycle.close(order, by=by, reason="Not needed any more.")
    order = again(order)
    assert order.status == status
    return order


def again(order: Order) -> Order:
    """The order as the database has it now."""
    return Order.objects.get(pk=order.pk)


REFUSAL = Refusal(code="3000", http_status=400, text="The contact e-mail is not valid.", raw=b'{"code": 3000}')


def claimed(attempt: PurchaseAttempt) -> PurchaseAttempt:
    """The attempt as a worker holds it."""
    held = purchasing.claim(attempt.pk)
    assert held is not None, f"{attempt} could not be claimed: {PurchaseAttempt.objects.get(pk=attempt.pk).__dict__}"
    return held


def exchanged(held: PurchaseAttempt, status: int = 201, body: bytes = b'{"id": "cart-1"}') -> None:
    """One call and its answer in the attempt's journal, as if the vendor had been asked."""
    AttemptJournal(held).write(
        "checkout", Call("POST", "/v1/carts/cart-1/checkout", b"{}"), lambda _call, _key: Answer(status, {"MS-CV": "abc.0"}, body)
    )


def verdict_approved(attempt: PurchaseAttempt) -> None:
    """The vendor has approved; its subscriptions are not known yet."""
    held = claimed(attempt)
    exchanged(held)
    purchasing.record_snapshot(held, Snapshot(Phase.APPROVED, order_refs=(f"order-{held.pk}",), raw_status="completed"))


def verdict_done(attempt: PurchaseAttempt, *, refused_lines: "list[int] | tuple[int, ...]" = (), ref: str = "") -> None:
    """Everything bought and every subscription known, but for the lines that the vendor refused or reversed.

    `ref`: the vendor calls every subscription by this name.
    """
    held = claimed(attempt)
    exchanged(held)
    bought = tuple(
        Bought(line.number, ref or f"subscription-{held.pk}-{line.number}", f"order-{held.pk}", Decimal("6.40"), clock.now(), None)
        for line in held.order_request().lines
        if line.number not in refused_lines
    )
    refusals = tuple(Refusal("800069", 400, "This item was refused.", b"{}", line=number) for number in refused_lines)
    snapshot = Snapshot(Phase.DONE, order_refs=(f"order-{held.pk}",), bought=bought, refusals=refusals, raw_status="completed")
    purchasing.record_snapshot(held, snapshot)


def verdict_refused(attempt: PurchaseAttempt, refusal: Refusal = REFUSAL) -> None:
    """A definite no: nothing was bought."""
    held = claimed(attempt)
    exchanged(held, 400, refusal.raw)
    purchasing.record_refused(held, (refusal,))


def verdict_busy(attempt: PurchaseAttempt, retry_after: timedelta | None = None) -> None:
    """The vendor is away and did nothing; the next try is an attempt of its own."""
    held = claimed(attempt)
    purchasing.record_busy(held, Busy(Refusal("", 503, "Service unavailable"), retry_after))


def verdict_unknown(attempt: PurchaseAttempt) -> None:
    """Something was sent and no answer came."""
    purchasing.record_unknown(claimed(attempt), "The connection was lost.")
