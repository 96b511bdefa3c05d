"""A restored backup: what was sent after it was made is not bought again, and nobody waits longer than it takes to look."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from django.conf import settings

from orders import epoch, failures, lifecycle, purchasing
from orders.journal import AttemptJournal
from orders.lifecycle import Refusal
from orders.models import AttemptState, Incident, PortalEpoch, Seller, Subscription, VendorAccount
from orders.statuses import OrderStatus
from orders.vendors import microsoft_login, registry
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, again, cart_of
from tests.test_doubts import run_due
from tests.test_purchasing import bought, placed, words, work


@pytest.fixture(autouse=True)
def engine(committed_db: Database, vendor: Sandbox) -> None:
    """Real commits and a real vendor for every test here."""
    microsoft_login.TOKENS.clear()


def pass_minutes(clock: Clock, minutes: int) -> None:
    """Sweep and worker, minute by minute; our token is of another clock than the vendor's."""
    microsoft_login.TOKENS.clear()
    for _ in range(minutes):
        clock.advance(minutes=1)
        purchasing.sweep()
        run_due()


def test_a_restored_backup_asks_first_and_adopts_what_was_bought(world: World, vendor: Sandbox, clock: Clock, database: Database) -> None:
    bought_before = lifecycle.create(world.harbour.customer, [world.line(world.premium_monthly, 5)], by=world.harbour.manager)
    order = lifecycle.place(bought_before, by=world.harbour.manager)
    other = lifecycle.create(world.harbour.other_customer, [world.line(world.premium_monthly, 9)], by=world.harbour.manager)
    other = lifecycle.place(other, by=world.harbour.manager)
    with database.backed_up():
        assert work(order, clock).status == OrderStatus.COMPLETED
    # The backup is back: it knows both orders as waiting to be sent, and one of them was bought.
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.get().state == AttemptState.PREPARED
    microsoft_login.TOKENS.clear()
    purchasing.sweep()
    assert epoch.is_reconciling()
    assert words(order) == "Comparing with Microsoft before anything is sent"
    for _ in range(30):
        clock.advance(minutes=2)
        run_due()
        purchasing.sweep()
        if again(order).status == again(other).status == OrderStatus.COMPLETED:
            break
    assert (again(order).status, again(other).status) == (OrderStatus.COMPLETED, OrderStatus.COMPLETED)
    assert not epoch.is_reconciling()
    assert len(bought(vendor)) == 2
    assert Subscription.objects.filter(line__order__in=[order, other]).count() == 2
    assert not Incident.objects.filter(kind="backup-restored", closed_at=None).exists()


def test_nothing_is_sent_while_the_file_outside_knows_more_than_the_database(world: World, vendor: Sandbox, clock: Clock) -> None:
    first = placed(world, world.line(world.premium_monthly, 5))
    purchasing.run(first.attempts.get().pk)
    PortalEpoch.objects.update(sent=0)
    second = placed(world, world.line(world.premium_monthly, 6))
    carts = len(vendor.ledger()["carts"])
    purchasing.run(second.attempts.get().pk)
    assert second.attempts.get().state == AttemptState.PREPARED
    assert len(vendor.ledger()["carts"]) == carts
    assert Incident.objects.filter(kind="backup-restored", closed_at=None).exists()


def test_a_database_that_sent_something_and_has_no_file_beside_it_was_restored(world: World, vendor: Sandbox, clock: Clock) -> None:
    purchasing.run(placed(world, world.line(world.premium_monthly, 5)).attempts.get().pk)
    settings.EPOCH_FILE.unlink()
    assert epoch.look_after()


def test_a_new_database_begins_without_looking(world: World) -> None:
    assert not epoch.look_after()
    assert not epoch.look_after()


def test_what_another_worker_sends_while_we_look_is_no_restored_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """He commits and notes his number between any two of our steps; both workers' looks were taken for a backup once."""
    assert not epoch.look_after()
    locked = epoch._locked

    @contextmanager
    def after_somebody_else() -> Iterator[None]:
        monkeypatch.setattr(epoch, "_locked", locked)
        assert epoch.note(epoch.count_sent())
        with locked():
            yield

    monkeypatch.setattr(epoch, "_locked", after_somebody_else)
    assert not epoch.look_after()
    assert epoch._locked is locked
    assert not Incident.objects.exists()


# --- what a backup does not know


def test_a_backup_of_the_moment_between_claim_and_checkout_is_known_by_the_calls_that_followed(
    world: World, vendor: Sandbox, clock: Clock, database: Database
) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    held = purchasing.claim(order.attempts.get().pk)
    assert held
    with database.backed_up():
        connector = registry.connect(held.vendor.connector, purchasing.login_to(held.account), failures.meanings(held.vendor.dialect))
        with closing(connector):
            purchasing._converse(held, connector, AttemptJournal(held, connector.decides))
        assert work(order, clock).status == OrderStatus.COMPLETED
    pass_minutes(clock, 60)
    assert again(order).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 1


def test_a_list_that_shows_half_of_a_lost_purchase_is_looked_at_when_all_of_it_must_show(
    world: World, vendor: Sandbox, clock: Clock, database: Database
) -> None:
    order = placed(world, world.line(world.premium_monthly, 5), world.line(world.premium_yearly, 3))
    with database.backed_up():
        assert work(order, clock).status == OrderStatus.COMPLETED
    purchasing.sweep()
    looks = len(vendor.calls())
    pass_minutes(clock, 10)
    assert len(vendor.calls()) == looks
    pass_minutes(clock, 30)
    assert again(order).status == OrderStatus.COMPLETED
    assert len(bought(vendor)) == 2


def test_nobody_stops_an_order_that_may_have_been_sent_by_the_lost_life(
    world: World, vendor: Sandbox, clock: Clock, database: Database
) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    with database.backed_up():
        assert work(order, clock).status == OrderStatus.COMPLETED
    purchasing.sweep()
    with pytest.raises(Refusal):
        lifecycle.stop_waiting(order, by=world.harbour.manager)
    pass_minutes(clock, 60)
    assert again(order).status == OrderStatus.COMPLETED
    assert not epoch.is_reconciling()


def test_an_order_of_a_seller_who_was_switched_off_is_looked_for_all_the_same(
    world: World, vendor: Sandbox, clock: Clock, database: Database
) -> None:
    order = placed(world, world.line(world.premium_monthly, 5))
    unsent = lifecycle.place(cart_of(world, world.line(world.premium_monthly, 7)), by=world.harbour.manager)
    with database.backed_up():
        assert work(order, clock).status == OrderStatus.COMPLETED
    Seller.objects.filter(pk=world.harbour.seller.pk).update(is_active=False)
    pass_minutes(clock, 60)
    assert again(order).status == OrderStatus.COMPLETED
    assert again(unsent).status == OrderStatus.PROVISIONING_FAILED
    assert not epoch.is_reconciling()
    assert len(bought(vendor)) == 1


def test_a_paused_account_keeps_nobody_else_from_sending(world: World, vendor: Sandbox, clock: Clock) -> None:
    waiting = placed(world, world.line(quantity=2))
    VendorAccount.objects.filter(pk=world.northgate_account.pk).update(is_paused=True)
    epoch.declare_restored()
    fresh = placed(world, world.line(world.premium_monthly, 5))
    pass_minutes(clock, 60)
    assert again(fresh).status == OrderStatus.COMPLETED
    assert waiting.attempts.get().must_look


def test_a_draft_of_the_backup_does_not_adopt_the_purchase_of_an_order_that_was_lost(
    world: World, vendor: Sandbox, clock: Clock, database: Database
) -> None:
    draft = cart_of(world, world.line(world.premium_monthly, 5))
    with database.backed_up():
        assert work(placed(world, world.line(world.premium_monthly, 5)), clock).status == OrderStatus.COMPLETED
    epoch.declare_restored()
    lifecycle.place(draft, by=world.harbour.manager)
    pass_minutes(clock, 40)
    assert draft.attempts.get().state == AttemptState.PARKED
    assert len(bought(vendor)) == 1
