"""Orders of two sellers, interleaved by chance: whatever is done in whatever order, the status is the fold of the events.

Each step is a verb, a word of a vendor, or time that passes; a verb that is refused changes nothing. After every step the checker
looks at all orders, and every order but the one that was meant is as it was.
"""

from collections.abc import Callable
from datetime import date, timedelta

import hypothesis
from django.conf import settings
from django.db import transaction
from django_fsm import TransitionNotAllowed
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from orders import clock as portal_clock
from orders import epoch, lifecycle, purchasing, quoting
from orders.models import AttemptState, Order, PurchaseAttempt
from tests.harness.clock import Clock
from tests.harness.world import (
    REFUSAL,
    World,
    again,
    customer_of,
    verdict_approved,
    verdict_busy,
    verdict_done,
    verdict_refused,
    verdict_unknown,
)
from tests.proof.flows import accept_quote
from tests.proof.history import History, Outcome, Sale, check
from tests.proof.observe import Notes, content, rows_and_events

EXAMPLES, STEPS = 6, 20
REFUSED = (TransitionNotAllowed, lifecycle.Refusal)
LINE_REFUSED = "This item was refused."


def accept(order: Order) -> None:
    """The customer, by his link; what comes too late he is told."""
    if order.quote_link is None:
        raise lifecycle.Refusal("No quote was sent.")
    try:
        accept_quote(order)
    except quoting.NotTaken as late:
        raise lifecycle.Refusal(late.why) from late


# By the event that each writes.
VERBS: dict[str, Callable[[Order], object]] = {
    "sent": lambda order: quoting.send(order, by=order.created_by),
    "withdrawn": lambda order: quoting.withdraw(order, by=order.created_by),
    "revised": lambda order: quoting.revise(order, by=order.created_by),
    "quote_accepted": accept,
    "declined": lambda order: quoting.decline(order, reason="Too dear."),
    "placed": lambda order: lifecycle.place(order, by=order.created_by),
    "scheduled": lambda order: lifecycle.schedule(
        order, by=order.created_by, at=portal_clock.now() + timedelta(minutes=1), on=date(2026, 12, 1), zone="Europe/Amsterdam"
    ),
    "retried": lambda order: lifecycle.retry(order, by=order.created_by),
    "stopped": lambda order: lifecycle.stop_waiting(order, by=order.created_by),
    "closed": lambda order: lifecycle.close(order, by=order.created_by),
    "deleted": lambda order: lifecycle.delete(order, by=order.created_by),
}
# What a vendor says of an attempt, and which lines that sells and which it refuses.
WORDS: dict[str, Callable[[PurchaseAttempt], object]] = {
    "approved": verdict_approved,
    "bought": verdict_done,
    "bought but for the first": lambda attempt: verdict_done(attempt, refused_lines=[1]),
    "refused": verdict_refused,
    "busy": verdict_busy,
    "nothing": verdict_unknown,
}
# After an approval it may still take something back, and no more than that.
AFTER_APPROVAL = {"bought", "bought but for the first"}


class OrderMachine(RuleBasedStateMachine):
    """One example is one transaction, rolled back at its end."""

    world: World
    time: Clock
    orders = Bundle("orders")

    @initialize()
    def begin(self) -> None:
        self._transaction = transaction.atomic()
        # The journal asks for commits of its own; inside a test this has to be enough.
        self._transaction._from_testcase = True
        self._transaction.__enter__()
        # The file outside the database knows of an example that was rolled back.
        settings.EPOCH_FILE.unlink(missing_ok=True)
        epoch.look_after()
        self.notes, self.known = Notes(), dict[int, str]()
        self.sales: dict[tuple[int, int], Sale] = {}

    def teardown(self) -> None:
        if hasattr(self, "_transaction"):
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)

    @rule(target=orders, seller=st.integers(0, 1), lines=st.integers(1, 2), kind=st.sampled_from(Order.Kind.values), as_cart=st.booleans())
    def create(self, seller: int, lines: int, kind: str, as_cart: bool) -> int:
        owner = self.world.sellers[seller]
        customer = customer_of(owner.seller, "Customer", f"machine{len(self.known)}")
        wanted = [self.world.line(quantity=number + 2) for number in range(lines)]
        order = lifecycle.create(customer, wanted, by=owner.manager, kind=kind, as_cart=as_cart)
        self.known[order.pk] = content(order)
        return order.pk

    @rule(pk=orders, verb=st.sampled_from(sorted(VERBS)))
    def press(self, pk: int, verb: str) -> None:
        order = Order.objects.get(pk=pk)
        try:
            with transaction.atomic():
                VERBS[verb](order)
        except REFUSED:
            self.notes.click(order, verb, Outcome.FAIL)
        else:
            self.notes.click(order, verb, Outcome.OK)
            self.known[pk] = content(again(order))

    @rule(pk=orders, word=st.sampled_from(sorted(WORDS)))
    def answer(self, pk: int, word: str) -> None:
        """The vendor says something of the order's open attempt."""
        attempt = PurchaseAttempt.objects.filter(order=pk).exclude(state__in=["succeeded", "failed_definite"]).last()
        if attempt is None or (attempt.state == AttemptState.APPROVED and word not in AFTER_APPROVAL):
            return
        if word == "bought but for the first" and len(attempt.order_request().lines) == 1:
            return
        self.time.advance(minutes=2)
        WORDS[word](attempt)
        self._sell(attempt, word)
        self.known[pk] = content(again(attempt.order))

    @rule(seconds=st.sampled_from([1, 61, 600]))
    def wait(self, seconds: int) -> None:
        """Time passes, and the sweep comes by."""
        self.time.advance(seconds=seconds)
        purchasing.sweep()
        self.known = {order.pk: content(order) for order in Order.objects.all()}

    @rule(pk=orders)
    def look(self, pk: int) -> None:
        self.notes.look(pk)

    @invariant()
    def every_promise_is_kept(self) -> None:
        if not hasattr(self, "known"):
            return
        orders = list(Order.objects.select_related("seller").order_by("id"))
        assert {order.pk: content(order) for order in orders} == self.known, "An order changed that nobody meant."
        rows, events = rows_and_events(orders)
        found = History(
            rows=rows,
            events=events,
            clicks=tuple(self.notes.clicks),
            seen=tuple(self.notes.seen),
            sales=tuple(self.sales.values()),
            words=frozenset((row.order, words) for row in rows for words in (REFUSAL.text, LINE_REFUSED)),
            ended_at=portal_clock.now().timestamp(),
            # Nobody works here unless told to, so nothing is late.
            patience=1e9,
        )
        assert [str(anomaly) for anomaly in check(found)] == []

    def _sell(self, attempt: PurchaseAttempt, word: str) -> None:
        """What the vendor's ledger would hold after this word."""
        if word not in {"approved", *AFTER_APPROVAL}:
            return
        order = attempt.order
        for line in attempt.order_request().lines:
            self.sales[attempt.pk, line.number] = Sale(
                ref=f"subscription-{attempt.pk}-{line.number}",
                order=order.number,
                seller=order.seller.code,
                product=f"{line.product_id}:{line.sku_id}:{line.term}",
                quantity=line.quantity,
                at=portal_clock.now().timestamp(),
                is_live=not (word == "bought but for the first" and line.number == 1),
            )


def test_orders_of_two_sellers_keep_every_promise(world: World, clock: Clock) -> None:
    run_state_machine_as_test(
        type("Machine", (OrderMachine,), {"world": world, "time": clock}),
        settings=hypothesis.settings(max_examples=EXAMPLES, stateful_step_count=STEPS),
    )
