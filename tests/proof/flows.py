"""What is killed: each flow makes an order ready, does one piece of work on it, and knows how that must end."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django_tasks_db.models import DBTaskResult

from orders import checklist, lifecycle, parking, provisioning, purchasing, quoting
from orders import clock as portal_clock
from orders.lifecycle import LineInput
from orders.models import AttemptState, Customer, Order, PurchaseAttempt, User
from orders.models.purchases import CLAIMABLE_STATES
from orders.statuses import OrderStatus
from orders.vendors import adobe_login, microsoft_login
from tests.harness.clock import Clock
from tests.harness.sandbox import Sandbox
from tests.harness.world import SellerWorld, World, adobe_price, again, claimed, customer_of, manual_price
from tests.proof.crash import Say
from tests.proof.history import WITH_VENDOR, Outcome
from tests.proof.observe import Notes

# Of virtual time: how often a worker looks, and after how long an order must have left its vendors: a lost call may take effect for
# a quarter of an hour, and what it bought need not show for another one.
STEP_SECONDS, LONGEST_SECONDS = 5, 3600
RUN_ATTEMPT = "orders.tasks.run_attempt"


@dataclass
class Scene:
    """A world to run flows in, and what its clients did and saw. Sellers take turns, and every order has a customer of its own."""

    world: World
    vendor: Sandbox
    clock: Clock
    prefix: str
    began: float
    notes: Notes = field(default_factory=Notes)
    orders: list[int] = field(default_factory=list)
    made: int = 0

    def cart(self, *lines: LineInput, kind: str = Order.Kind.NEW) -> Order:
        self.made += 1
        seller = self.seller
        customer = customer_of(seller.seller, f"Customer {self.made}", f"{self.prefix}{self.made}")
        return self.cart_for(customer, *lines, by=seller.manager, kind=kind)

    def cart_for(self, customer: Customer, *lines: LineInput, by: User, kind: str = Order.Kind.NEW) -> Order:
        order = lifecycle.create(customer, lines or [self.microsoft(5)], by=by, kind=kind)
        self.orders.append(order.pk)
        return order

    @property
    def seller(self) -> SellerWorld:
        return self.world.sellers[self.made % len(self.world.sellers)]

    def placed(self, *lines: LineInput) -> Order:
        order = self.cart(*lines)
        self.did("placed", lambda: lifecycle.place(order, by=self.seller.manager), order)
        return again(order)

    def did(self, verb: str, press: Callable[[], object], order: Order) -> None:
        """Somebody pressed a button and saw that it worked."""
        press()
        self.notes.click(order, verb, Outcome.OK)

    def microsoft(self, quantity: int) -> LineInput:
        return LineInput(self.world.premium_monthly, quantity)

    def yearly(self, quantity: int) -> LineInput:
        return LineInput(self.world.premium_yearly, quantity)

    def northgate(self, quantity: int) -> LineInput:
        return LineInput(self.world.backup_monthly, quantity)


@dataclass
class Flow:
    """`prepare` may talk to the vendor; `act` is what dies; `verbs` are the clicks in it; `after` is what people do when they look
    again and see that their click had no effect. `ends`: what the order must have become."""

    name: str
    prepare: Callable[[Scene], Order]
    act: Callable[[Scene, Order, Say], None]
    ends: frozenset[str]
    verbs: tuple[str, ...] = ()
    after: Callable[[Scene, Order], None] = lambda scene, order: None


# --- what a worker does


def restart(order: Order) -> None:
    """The machine comes up again: the queue is lost, no token is known, and no lease of the dead worker counts any more."""
    DBTaskResult.objects.all().delete()
    forget_tokens()


def forget_tokens() -> None:
    """As a worker that has just started."""
    microsoft_login.TOKENS.clear()
    adobe_login.TOKENS.clear()


def work() -> None:
    """One round of a worker: the sweep, then every task that it finds in the queue. Nothing else ever makes an attempt due."""
    purchasing.sweep()
    for task in list(DBTaskResult.objects.filter(task_path=RUN_ATTEMPT).order_by("enqueued_at")):
        DBTaskResult.objects.filter(pk=task.pk).delete()
        purchasing.run(*task.args_kwargs["args"])


def run(order: Order) -> None:
    """What is due for the order, as its tasks would do it."""
    for attempt in PurchaseAttempt.objects.due(portal_clock.now()).filter(order=order):
        purchasing.run(attempt.pk)


def is_settled(order: Order) -> bool:
    """Neither with its vendors nor, where its date has come, still waiting to be fired."""
    return Order.objects.values_list("status", flat=True).get(pk=order.pk) not in {*WITH_VENDOR, OrderStatus.SCHEDULED}


def settle(scene: Scene, order: Order) -> bool:
    """Work until the order has left its vendors; time passes at once. False when it never does."""
    passed = 0
    while not is_settled(order) and passed < LONGEST_SECONDS:
        work()
        seconds = STEP_SECONDS if is_settled(order) else until_due(order)
        scene.clock.advance(seconds=seconds)
        passed += seconds
    return is_settled(order)


def until_due(order: Order) -> int:
    """Seconds to the first look at which something of the order can be due: in between, a worker would find nothing."""
    now, attempts = portal_clock.now(), order.attempts.filter(account__is_paused=False)
    moments = [
        *attempts.filter(state=AttemptState.SENDING).values_list("lease_until", flat=True),
        *attempts.filter(state__in=CLAIMABLE_STATES).values_list("next_action_at", flat=True),
        *Order.objects.filter(pk=order.pk, status=OrderStatus.SCHEDULED).values_list("scheduled_for", flat=True),
    ]
    seconds = min(((at - now).total_seconds() for at in moments if at), default=LONGEST_SECONDS)
    return STEP_SECONDS * max(1, math.ceil(seconds / STEP_SECONDS))


# --- how orders are made ready


def _unsent(scene: Scene) -> Order:
    return scene.cart(scene.microsoft(5), scene.northgate(3))


def _placed(*quantities: int) -> Callable[[Scene], Order]:
    return lambda scene: scene.placed(*(scene.microsoft(quantity) for quantity in quantities))


def _quoted(scene: Scene) -> Order:
    order = scene.cart(scene.microsoft(5), scene.northgate(3))
    # As the page does. It reads the rules of countries, once in a process: that is no part of what is killed.
    checklist.of(order)
    scene.did("sent", lambda: quoting.send(order, by=scene.seller.manager), order)
    return again(order)


def _accepted(scene: Scene) -> Order:
    order = scene.placed(scene.microsoft(5), scene.yearly(3))
    run(order)
    scene.clock.advance(seconds=5)
    return order


def _partly_refused(scene: Scene) -> Order:
    order = scene.placed(scene.microsoft(5), scene.yearly(207))
    run(order)
    scene.clock.advance(seconds=5)
    return order


def _answer_lost(path: str, fault: str = "drop_after_commit") -> Callable[[Scene], Order]:
    """The vendor did it, and the line broke before he could say so."""

    def prepare(scene: Scene) -> Order:
        order = scene.placed()
        scene.vendor.faults(fault, method="POST", path=path)
        run(order)
        scene.clock.advance(seconds=5)
        return order

    return prepare


def _mended(scene: Scene) -> Order:
    """Refused by the vendor, and what was wrong is put right."""
    order = scene.placed(scene.microsoft(402))
    run(order)
    order = again(order)
    if order.status == "provisioning_failed":
        lifecycle.edit(order, [scene.microsoft(40)], by=scene.seller.manager, version=order.version)
    return order


def _left_by_a_dead_worker(scene: Scene) -> Order:
    order = scene.placed()
    claimed(order.attempts.get())
    scene.clock.advance(seconds=settings.PURCHASE_LEASE_SECONDS + 1)
    return order


def _scheduled(scene: Scene) -> Order:
    order = scene.cart(scene.northgate(4), kind=Order.Kind.CHANGE)
    at = portal_clock.now() + timedelta(seconds=10)
    by = scene.seller.manager
    scene.did("scheduled", lambda: lifecycle.schedule(order, by=by, at=at, on=date(2026, 12, 1), zone="Europe/Amsterdam"), order)
    # Not yet: a sweep before the time fires nothing.
    purchasing.sweep()
    scene.clock.advance(seconds=11)
    return order


def _by_hand(scene: Scene) -> Order:
    price = manual_price(scene.world)
    order = scene.placed(LineInput(price, 2), LineInput(price, 3))
    run(order)
    return order


def _from_adobe(scene: Scene) -> Order:
    return scene.placed(LineInput(adobe_price(scene.world), 5))


def _parked(scene: Scene) -> Order:
    """Bought, and nothing tells it any more."""
    order = _answer_lost("*/checkout")(scene)
    # The account may rest for a moment, after what another flow's vendor did.
    while order.attempts.get().state == AttemptState.PREPARED:
        scene.clock.advance(seconds=until_due(order))
        run(order)
    while (held := purchasing.claim(order.attempts.get().pk)) is None:
        scene.clock.advance(seconds=until_due(order))
    purchasing.record_parked(held, "Nothing can tell what became of it.")
    return order


def _waiting_for_a_busy_vendor(scene: Scene) -> Order:
    order = scene.placed(scene.microsoft(599))
    run(order)
    return order


# --- what is killed


def _place(scene: Scene, order: Order, say: Say) -> None:
    lifecycle.place(order, by=scene.seller.manager)
    say("placed")


def _accept(scene: Scene, order: Order, say: Say) -> None:
    """The customer, by his link."""
    accept_quote(order)
    say("placed")


def accept_quote(order: Order) -> Order:
    link = order.quote_link
    assert link, "Only a sent quote has one."
    return quoting.accept(link, quoting.Signature("Anna Alder"), content_sha256=link.revision.content_sha256, chosen=())


def _run(scene: Scene, order: Order, say: Say) -> None:
    run(order)


def _work(scene: Scene, order: Order, say: Say) -> None:
    work()


def _retry(scene: Scene, order: Order, say: Say) -> None:
    lifecycle.retry(order, by=scene.seller.manager)
    say("retried")
    run(order)


def _stop(scene: Scene, order: Order, say: Say) -> None:
    lifecycle.stop_waiting(order, by=scene.seller.manager)
    say("stopped")


def _answer(scene: Scene, order: Order, say: Say) -> None:
    """Staff answer what is open: the first line sold, the second not."""
    attempt = order.attempts.get()
    for line in provisioning.open_lines(attempt):
        if line.position == 1:
            provisioning.approve(attempt, line, by=scene.world.staff, vendor_ref=f"LARK-{order.number}", starts_on=date(2026, 12, 1))
        else:
            provisioning.refuse(attempt, line, by=scene.world.staff, code="sold_out", text="Sold out.")
    run(order)


def _decide(scene: Scene, order: Order, say: Say) -> None:
    """Staff ask the vendor by other ways and name what they found; then the portal asks for it."""
    tenant = order.customer.tenants.get().vendor_ref
    refs = [sold["id"] for sold in scene.vendor.ledger()["orders"] if sold["customerId"] == tenant]
    parking.was_bought(order.attempts.get(), by=scene.world.staff, vendor_order_refs=refs, evidence="Seen.", reason="It was bought.")
    run(order)


def _ask_twice(scene: Scene, order: Order, say: Say) -> None:
    """A mistake somewhere else wants a second attempt while the first is in doubt; the database must refuse it."""
    first = order.attempts.get()
    try:
        with transaction.atomic():
            PurchaseAttempt.objects.prepare(order, first.vendor, first.account, list(order.lines.all()), at=portal_clock.now())
    except IntegrityError:
        say("second attempt refused")
    run(order)


# --- what people do when they look again


def _press_again(verb: str, statuses: set[str], press: Callable[[Scene, Order], object]) -> Callable[[Scene, Order], None]:
    def after(scene: Scene, order: Order) -> None:
        found = again(order)
        if found.status in statuses:
            scene.did(verb, lambda: press(scene, found), order)

    return after


def _answer_the_rest(scene: Scene, order: Order) -> None:
    if order.attempts.get().state == AttemptState.ACCEPTED:
        _answer(scene, order, lambda words: None)


def _decide_again(scene: Scene, order: Order) -> None:
    if order.attempts.get().state == AttemptState.PARKED:
        _decide(scene, order, lambda words: None)


_place_again = _press_again("placed", {"start", "draft"}, lambda scene, order: lifecycle.place(order, by=scene.seller.manager))
_accept_again = _press_again("placed", {"quote_sent"}, lambda scene, order: accept_quote(order))
_retry_again = _press_again("retried", {"provisioning_failed"}, lambda scene, order: lifecycle.retry(order, by=scene.seller.manager))

COMPLETED, FAILED, PARTLY = frozenset({"completed"}), frozenset({"provisioning_failed"}), frozenset({"completed_with_errors"})

FLOWS = {
    flow.name: flow
    for flow in (
        Flow("place", _unsent, _place, COMPLETED, ("placed",), _place_again),
        Flow("accept", _quoted, _accept, COMPLETED, ("placed",), _accept_again),
        Flow("purchase", _placed(5), _run, COMPLETED),
        Flow("confirm", _accepted, _run, COMPLETED),
        Flow("partial", _partly_refused, _run, PARTLY),
        Flow("refused", _placed(402), _run, FAILED),
        Flow("busy", _placed(429), _run, COMPLETED),
        Flow("recover", _answer_lost("*/checkout"), _run, COMPLETED),
        Flow("recover-customer", _answer_lost("/v1/customers"), _run, COMPLETED),
        Flow("retry", _mended, _retry, COMPLETED, ("retried",), _retry_again),
        Flow("sweep", _left_by_a_dead_worker, _work, COMPLETED),
        Flow("fire", _scheduled, _work, COMPLETED),
        Flow("by-hand", _by_hand, _answer, PARTLY, (), _answer_the_rest),
        Flow("stop", _waiting_for_a_busy_vendor, _stop, FAILED, ("stopped",)),
        Flow("verdict", _parked, _decide, COMPLETED, (), _decide_again),
        Flow("adobe", _from_adobe, _run, COMPLETED),
        Flow("ask-twice", _answer_lost("*/checkout"), _ask_twice, COMPLETED),
    )
}


def let_go() -> None:
    """Before a fork, and after a child's work: nothing of the database is shared."""
    connection.close()
