"""The ten statuses and what may follow what: every status with every verb, and what the database refuses by itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction
from django_fsm import TransitionNotAllowed

from orders import clock as time
from orders import lifecycle, quoting
from orders.models import Incident, Order, OrderLine, PurchaseAttempt, Subscription, VendorAccount
from orders.statuses import HISTORICAL, RECENT, TABLE, OrderStatus, Section
from tests.harness.clock import Clock
from tests.harness.databases import Database, contents
from tests.harness.world import (
    World,
    again,
    build,
    cart_of,
    order_in,
    verdict_approved,
    verdict_busy,
    verdict_done,
    verdict_refused,
    verdict_unknown,
)

START, DRAFT, QUOTE_SENT, SCHEDULED = "start", "draft", "quote_sent", "scheduled"
STARTED, FINISHED, FAILED = "provisioning_started", "provisioning_finished", "provisioning_failed"
COMPLETED, WITH_ERRORS, DELETED = "completed", "completed_with_errors", "deleted"
STATUSES = [START, DRAFT, QUOTE_SENT, SCHEDULED, STARTED, FINISHED, FAILED, COMPLETED, WITH_ERRORS, DELETED]

# product.md section 2, written out: (verb, from) -> to. There is no other edge.
EDGES = {
    ("keep_as_quote", START): DRAFT,
    ("send", DRAFT): QUOTE_SENT,
    ("revise", QUOTE_SENT): DRAFT,
    ("withdraw", QUOTE_SENT): DRAFT,
    ("decline", QUOTE_SENT): DRAFT,
    ("place", START): STARTED,
    ("place", DRAFT): STARTED,
    ("place", QUOTE_SENT): STARTED,
    ("schedule", DRAFT): SCHEDULED,
    ("fire", SCHEDULED): STARTED,
    ("confirm", STARTED): FINISHED,
    ("fail", STARTED): FAILED,
    ("finish_with_errors", STARTED): WITH_ERRORS,
    ("finish_with_errors", FINISHED): WITH_ERRORS,
    ("complete", FINISHED): COMPLETED,
    ("retry", FAILED): STARTED,
    ("close", FAILED): WITH_ERRORS,
    ("delete_from_cart", START): DELETED,
    ("delete_from_cart", DRAFT): DELETED,
    ("delete_from_cart", QUOTE_SENT): DELETED,
    ("delete_from_cart", SCHEDULED): DELETED,
}


@dataclass
class Scene:
    """One committed order in each status; each test runs in a transaction of its own above them."""

    world: World
    orders: dict[str, Order]
    change: Order

    def order(self, status: str, verb: str = "") -> Order:
        return again(self.change if (status, verb) == (DRAFT, "schedule") else self.orders[status])


@pytest.fixture(scope="module")
def everything(database: Database) -> Iterator[Scene]:
    with database.committed():
        world = build()
        orders = {status: order_in(status, world) for status in STATUSES}
        yield Scene(world, orders, order_in(DRAFT, world, kind=Order.Kind.CHANGE))


@pytest.fixture
def scene(everything: Scene, db: None) -> Scene:
    return everything


@pytest.fixture
def world(scene: Scene) -> World:
    return scene.world


def by_the_engine(name: str) -> Callable[[Order, World], object]:
    """What settle() does when the verdicts are in; verdicts themselves are tested below."""

    def move(order: Order, _world: World) -> None:
        with transaction.atomic():
            lifecycle._move(lifecycle.lock(order), name, name)

    return move


VERBS: dict[str, Callable[[Order, World], object]] = {
    "keep_as_quote": lambda order, world: lifecycle.keep_as_quote(order, by=world.harbour.admin),
    "send": lambda order, world: quoting.send(order, by=world.harbour.admin),
    "revise": lambda order, world: quoting.revise(order, by=world.harbour.admin),
    "withdraw": lambda order, world: quoting.withdraw(order, by=world.harbour.admin),
    "decline": lambda order, world: quoting.decline(order, reason="Too dear"),
    "place": lambda order, world: lifecycle.place(order, by=world.harbour.admin),
    "schedule": lambda order, world: lifecycle.schedule(order, by=None, at=time.now(), on=date(2026, 12, 1), zone="Europe/Amsterdam"),
    "fire": lambda order, world: lifecycle.fire(order),
    "confirm": by_the_engine("confirm"),
    "fail": by_the_engine("fail"),
    "finish_with_errors": by_the_engine("finish_with_errors"),
    "complete": by_the_engine("complete"),
    "retry": lambda order, world: lifecycle.retry(order, by=world.harbour.admin),
    "close": lambda order, world: lifecycle.close(order, by=world.harbour.admin),
    "delete_from_cart": lambda order, world: lifecycle.delete(order, by=world.harbour.admin),
}


def status_events(order: Order) -> list[tuple[str, str]]:
    return list(order.events.exclude(from_status="").order_by("id").values_list("from_status", "to_status"))


@pytest.mark.parametrize(("verb", "status"), list(product(VERBS, STATUSES)))
def test_a_verb_moves_the_order_as_the_table_says_or_changes_nothing(scene: Scene, verb: str, status: str) -> None:
    order = scene.order(status, verb)
    target = EDGES.get((verb, status))
    rows, events = contents(), status_events(order)
    if target is None:
        with pytest.raises((TransitionNotAllowed, lifecycle.Refusal)):
            VERBS[verb](order, scene.world)
        assert contents() == rows
    else:
        VERBS[verb](order, scene.world)
        assert again(order).status == target
        assert status_events(order) == [*events, (status, target)]


def test_the_machine_has_exactly_the_edges_of_the_table() -> None:
    transitions = list(Order._meta.get_field("status").get_all_transitions(Order))
    assert {(edge.name, edge.source): edge.target for edge in transitions} == EDGES
    assert len(transitions) == len(EDGES)
    assert not {"*", "+"} & {edge.source for edge in transitions}
    assert not HISTORICAL & {edge.source for edge in transitions}


def test_recent_and_historical_are_exhaustive_and_disjoint() -> None:
    assert set(OrderStatus.values) == set(TABLE) == RECENT | HISTORICAL
    assert len(TABLE) == 10
    assert not RECENT & HISTORICAL
    assert {COMPLETED, WITH_ERRORS, DELETED} == HISTORICAL
    assert {status for status, info in TABLE.items() if info.section is Section.HISTORICAL} == HISTORICAL


def test_the_two_lists_share_out_the_orders(scene: Scene) -> None:
    recent, historical = (set(found.values_list("status", flat=True)) for found in (Order.objects.recent(), Order.objects.historical()))
    assert (recent, historical) == (RECENT, HISTORICAL)


# --- verdicts of vendors


VERDICTS = [
    ("approved", STARTED, lambda attempt: verdict_approved(attempt), [(STARTED, FINISHED)]),
    ("bought", STARTED, lambda attempt: verdict_done(attempt), [(STARTED, FINISHED), (FINISHED, COMPLETED)]),
    ("partly bought", STARTED, lambda attempt: verdict_done(attempt, refused_lines=[2]), [(STARTED, WITH_ERRORS)]),
    ("refused", STARTED, lambda attempt: verdict_refused(attempt), [(STARTED, FAILED)]),
    ("busy", STARTED, lambda attempt: verdict_busy(attempt), []),
    ("no answer", STARTED, lambda attempt: verdict_unknown(attempt), []),
    ("recorded", FINISHED, lambda attempt: verdict_done(attempt), [(FINISHED, COMPLETED)]),
    ("reversed", FINISHED, lambda attempt: verdict_done(attempt, refused_lines=[1, 2]), [(FINISHED, WITH_ERRORS)]),
]


@pytest.mark.parametrize(("status", "verdict", "moves"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_a_verdict_moves_the_order(world: World, clock: Clock, status: str, verdict: Callable, moves: list) -> None:
    order = order_in(status, world, world.line(), world.line(quantity=5))
    events = status_events(order)
    clock.advance(minutes=1)
    verdict(order.attempts.last())
    assert status_events(order) == events + moves
    assert again(order).status == (moves[-1][1] if moves else status)


def test_an_order_of_two_vendors_waits_for_both(world: World) -> None:
    order = order_in(STARTED, world, world.line(), world.line(world.premium_monthly))
    first, second = order.attempts.all()
    verdict_refused(first)
    assert (again(order).status, again(order).needs_attention) == (STARTED, True)
    verdict_done(second)
    assert again(order).status == WITH_ERRORS


@pytest.mark.parametrize("first", ["of another order", "of the same order"])
def test_a_subscription_that_the_vendor_names_twice_is_recorded_once_and_left_to_staff(world: World, first: str) -> None:
    if first == "of another order":
        verdict_done(order_in(STARTED, world).attempts.get(), ref="subscription-9")
    recorded = Subscription.objects.count()
    order = order_in(STARTED, world, world.line(), world.line())
    attempt = order.attempts.get()
    verdict_done(attempt, ref="subscription-9")
    attempt = PurchaseAttempt.objects.get(pk=attempt.pk)
    assert (attempt.state, again(order).status, Subscription.objects.count()) == ("parked", STARTED, recorded)
    assert "subscription-9" in attempt.parked_reason
    assert Incident.objects.filter(order=order, kind="parked").exists()


def test_the_fifth_busy_answer_ends_the_waiting(world: World, clock: Clock) -> None:
    order = order_in(STARTED, world)
    for number in range(1, 6):
        assert again(order).status == STARTED
        clock.advance(minutes=1)
        attempt = order.attempts.last()
        assert (attempt.number, attempt.try_number) == (number, number)
        verdict_busy(attempt)
    assert again(order).status == FAILED
    assert order.attempts.values("reference").distinct().count() == 5


def test_a_retry_is_a_new_attempt_with_a_new_reference(world: World) -> None:
    order = order_in(FAILED, world)
    lifecycle.retry(order, by=world.harbour.admin)
    first, second = order.attempts.all()
    assert (first.state, second.state, second.number, second.try_number) == ("failed_definite", "prepared", 2, 1)
    assert first.reference != second.reference


# --- conditions


def test_a_microsoft_line_begins_a_draft_and_never_a_start_order(world: World) -> None:
    assert cart_of(world, world.line(world.premium_yearly)).status == DRAFT
    assert cart_of(world, world.line(), world.line(world.premium_yearly)).status == DRAFT
    assert cart_of(world, world.line()).status == START


def test_adding_a_microsoft_line_turns_start_into_draft_and_loses_nothing(world: World) -> None:
    order = cart_of(world, world.line(quantity=3))
    lines = [world.line(quantity=3), world.line(world.premium_yearly_monthly, quantity=7)]
    edited = lifecycle.edit(order, lines, by=world.harbour.manager, version=1, reference="PO 4711")
    found = again(order)
    assert (edited.status, found.status, found.reference, found.number) == (DRAFT, DRAFT, "PO 4711", order.number)
    assert [(line.title, line.quantity) for line in found.lines.all()] == [(world.backup.title, 3), (world.premium.title, 7)]


def test_a_start_order_without_a_microsoft_line_stays_in_the_cart(world: World) -> None:
    order = cart_of(world)
    lifecycle.edit(order, [world.line(quantity=9)], by=world.harbour.manager, version=1)
    assert again(order).status == START


@pytest.mark.parametrize("verb", ["send", "place"])
def test_an_order_without_lines_goes_nowhere(world: World, verb: str) -> None:
    order = cart_of(world, as_cart=False)
    lifecycle.edit(order, [], by=world.harbour.manager, version=1)
    with pytest.raises(TransitionNotAllowed):
        VERBS[verb](order, world)
    assert again(order).status == DRAFT


def test_an_order_that_no_account_can_buy_stays_as_it_was(world: World) -> None:
    order = order_in(DRAFT, world, world.line(), world.line(world.premium_monthly))
    VendorAccount.objects.filter(vendor=world.northgate).update(is_active=False)
    rows = contents()
    with pytest.raises(lifecycle.Refusal, match="no account at Northgate Backup"):
        lifecycle.place(order, by=world.harbour.admin)
    assert contents() == rows


def test_only_a_change_is_scheduled(world: World) -> None:
    order = order_in(DRAFT, world)
    with pytest.raises(TransitionNotAllowed):
        VERBS["schedule"](order, world)
    assert again(order).status == DRAFT


def test_a_scheduled_change_waits_for_its_instant(world: World, clock: Clock) -> None:
    order = order_in(DRAFT, world, kind=Order.Kind.CHANGE)
    lifecycle.schedule(order, by=None, at=time.now() + timedelta(hours=1), on=date(2026, 12, 1), zone="Europe/Amsterdam")
    with pytest.raises(lifecycle.Refusal):
        lifecycle.fire(order)
    clock.advance(hours=1, seconds=1)
    lifecycle.fire(order)
    assert again(order).status == STARTED


def test_the_status_cannot_be_assigned(world: World) -> None:
    order = order_in(DRAFT, world)
    with pytest.raises(AttributeError):
        order.status = COMPLETED
    assert order.status == DRAFT


# --- what the database refuses, whatever the code does


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in {START, DRAFT}])
def test_no_order_is_born_in_a_later_status(scene: Scene, status: str) -> None:
    now = time.now()
    seller = scene.world.harbour
    with pytest.raises(IntegrityError, match="An order begins as Start or Draft"), transaction.atomic():
        Order.objects.create(
            number="SO-1", seller=seller.seller, customer=seller.customer, status=status, currency="EUR", created_at=now, changed_at=now,
            scheduled_for=now,
        )  # fmt: skip


def test_no_statement_takes_a_status_where_no_edge_leads(scene: Scene) -> None:
    legal = {(source, target) for (_verb, source), target in EDGES.items()}
    taken = set()
    for source, target in product(STATUSES, STATUSES):
        if source == target:
            continue
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # With an instant, so that the constraint of Scheduled has nothing to say.
                cursor.execute(
                    "UPDATE orders_order SET status = %s, scheduled_for = created_at WHERE id = %s", [target, scene.orders[source].pk]
                )
                taken.add((source, target))
                transaction.set_rollback(True)
        except IntegrityError:
            pass
    assert taken == legal


def test_no_order_is_made_for_a_customer_of_another_seller(scene: Scene) -> None:
    now = time.now()
    ours, theirs = scene.world.harbour, scene.world.northwind
    with pytest.raises(IntegrityError, match="The customer belongs to another seller"), transaction.atomic():
        Order.objects.create(number="SO-1", seller=ours.seller, customer=theirs.customer, currency="EUR", created_at=now, changed_at=now)


def test_no_order_is_given_to_a_customer_of_another_seller(scene: Scene) -> None:
    with pytest.raises(IntegrityError, match="The customer belongs to another seller"), transaction.atomic():
        Order.objects.filter(pk=scene.orders[DRAFT].pk).update(customer=scene.world.northwind.customer)


def test_no_status_outside_the_ten_is_stored(scene: Scene) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET status = 'cancelled' WHERE id = %s", [scene.orders[DRAFT].pk])


def test_a_line_needs_a_quantity(scene: Scene) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderLine.objects.filter(order=scene.orders[DRAFT]).update(quantity=0)
