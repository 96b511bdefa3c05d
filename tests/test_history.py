"""History is frozen: no way to write, by model, in bulk or in SQL, changes a row of a historical order.

Run before and after a migration that rebuilds every guarded table, because SQLite forgets the triggers of a rebuilt table.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations import AddField, Migration, RemoveField
from django.db.migrations.executor import MigrationExecutor
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from orders import guards, lifecycle
from orders.clock import now
from orders.models import (
    Failure,
    FloorApproval,
    Order,
    OrderEvent,
    OrderLine,
    OrderNote,
    ParkedVerdict,
    PurchaseAttempt,
    QuoteAcceptance,
    QuoteMessage,
    QuoteRevision,
    SettingsChange,
    StaffVerdict,
    User,
    VendorExchange,
)
from portal.settings import CLOCK_FILE
from tests.harness.clock import Clock
from tests.harness.databases import Database, contents
from tests.harness.processes import ROOT, environment
from tests.harness.world import World, again, build, order_in, verdict_busy, verdict_done

HISTORICAL = ("completed", "completed_with_errors", "deleted")
SENT = ("completed", "completed_with_errors", "provisioning_failed")
SENTENCES = {rule[-1] for rule in guards.rules()} | {"This table is never emptied."}


@dataclass
class Scene:
    """A committed order in each historical status, and one that failed: its log is append-only too."""

    world: World
    orders: dict[str, Order]
    open: Order


@pytest.fixture(scope="module", params=["as migrated", "after a rebuild"])
def history(request: pytest.FixtureRequest, database: Database, static_files: Path) -> Iterator[Scene]:
    with database.committed(), Clock(CLOCK_FILE) as clock:
        scene = _history(clock)
        if request.param == "after a rebuild":
            rows = contents(*guards.GUARDED)
            rebuild_guarded_tables()
            assert contents(*guards.GUARDED) == rows
        yield scene


def _history(clock: Clock) -> Scene:
    world = build()
    two = [world.line(), world.line(quantity=5)]
    completed = order_in("provisioning_started", world, *two, quoted=True)
    # A busy vendor first, so that a completed order has a failure to protect.
    verdict_busy(completed.attempts.get())
    clock.advance(minutes=5)
    verdict_done(completed.attempts.last())
    orders = {
        "completed": again(completed),
        "completed_with_errors": order_in("completed_with_errors", world, *two, quoted=True),
        "deleted": order_in("deleted", world, *two),
        "provisioning_failed": order_in("provisioning_failed", world, *two, quoted=True),
    }
    for status in SENT:
        attempt, line = orders[status].attempts.last(), orders[status].lines.first()
        StaffVerdict.objects.create(attempt=attempt, line=line, is_approved=False, text="No.", by=world.staff, at=orders[status].created_at)
        ParkedVerdict.objects.create(
            attempt=attempt, is_bought=False, evidence="Asked.", reason="Not there.", by=world.staff, at=orders[status].created_at
        )
        revision = orders[status].revisions.get()
        QuoteAcceptance.objects.create(revision=revision, name="Anna", content_sha256=revision.content_sha256, at=now())
        QuoteMessage.objects.create(revision=revision, name="Anna", text="Two less?", at=now())
        FloorApproval.objects.create(
            order=orders[status], prices_sha256="0" * 64, margin_percent=1, floor_percent=2, reason="So.", is_own=False,
            by=world.harbour.admin, at=now(),
        )  # fmt: skip
    for status, order in orders.items():
        assert order.status == status
        lifecycle.add_note(order, "The customer called.", by=world.harbour.manager)
    by = world.harbour.admin
    SettingsChange.objects.create(seller=world.harbour.seller, name="role", actor=by, actor_name=by.name, text="Made admin", at=now())
    return Scene(world, orders, order_in("start", world, *two))


def rebuild_guarded_tables() -> None:
    """What `migrate` does with migrations that add a column to every guarded table and take it away again."""
    emit_pre_migrate_signal(verbosity=0, interactive=False, db="default")
    state = MigrationExecutor(connection).loader.project_state()
    for model in MODELS.values():
        field = models.CharField(max_length=9, default="added")
        for operation in (AddField(model.__name__, "synthetic", field), RemoveField(model.__name__, "synthetic")):
            migration = Migration("synthetic", "orders")
            migration.operations = [operation]
            with connection.schema_editor(atomic=True) as editor:
                state = migration.apply(state, editor)
    assert connection.vendor == "postgresql" or guards.missing(connection) == guards.expected(connection), "Nothing was rebuilt."
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")


# --- the rows that must not change

MODELS: dict[str, type[models.Model]] = {
    "order": Order,
    "line": OrderLine,
    "attempt": PurchaseAttempt,
    "event": OrderEvent,
    "note": OrderNote,
    "exchange": VendorExchange,
    "failure": Failure,
    "verdict": StaffVerdict,
    "parked verdict": ParkedVerdict,
    "revision": QuoteRevision,
    "acceptance": QuoteAcceptance,
    "message": QuoteMessage,
    "floor approval": FloorApproval,
    "settings change": SettingsChange,
}
ROWS: dict[str, tuple[str, tuple[str, ...], Callable[[Order], models.Model | None]]] = {
    # table: a column to tamper with, statuses, and how to find a row of the order
    "order": ("reference", HISTORICAL, lambda order: Order.objects.get(pk=order.pk)),
    "line": ("title", HISTORICAL, lambda order: order.lines.first()),
    "attempt": ("vendor_status", SENT, lambda order: order.attempts.first()),
    "event": ("name", (*HISTORICAL, "provisioning_failed"), lambda order: order.events.first()),
    "note": ("text", (*HISTORICAL, "provisioning_failed"), lambda order: order.notes.first()),
    "exchange": ("path", SENT, lambda order: VendorExchange.objects.filter(attempt__order=order).first()),
    "failure": ("text", SENT, lambda order: Failure.objects.filter(attempt__order=order).first()),
    "verdict": ("text", SENT, lambda order: StaffVerdict.objects.filter(attempt__order=order).first()),
    "parked verdict": ("reason", SENT, lambda order: ParkedVerdict.objects.filter(attempt__order=order).first()),
    "revision": ("content_sha256", (*HISTORICAL, "provisioning_failed"), lambda order: order.revisions.first()),
    "acceptance": ("name", SENT, lambda order: QuoteAcceptance.objects.filter(revision__order=order).first()),
    "message": ("text", SENT, lambda order: QuoteMessage.objects.filter(revision__order=order).first()),
    "floor approval": ("reason", SENT, lambda order: order.floor_approvals.first()),
    "settings change": ("text", ("completed",), lambda order: order.seller.changes.first()),
}
INLINES = ("lines", "attempts", "events", "notes", "failures", "exchanges", "verdicts", "revisions")
assert {model._meta.db_table for model in MODELS.values()} == set(guards.GUARDED)


@dataclass
class Target:
    """One row, the column to change, and an open order to hide behind."""

    row: models.Model
    column: str
    open: Order

    @property
    def model(self) -> type[models.Model]:
        return type(self.row)

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def found(self) -> models.QuerySet[models.Model]:
        return self.model._base_manager.filter(pk=self.row.pk)

    def changed(self) -> models.Model:
        setattr(self.row, self.column, "tampered")
        return self.row


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def copy(target: Target, verb: str, ending: str, **instead: object) -> None:
    """Write the row again, with some columns replaced."""
    columns = [field.column for field in target.model._meta.concrete_fields]
    values = ", ".join("%s" if column in instead else column for column in columns)
    given = [instead[column] for column in columns if column in instead]
    sql(
        f"{verb} INTO {target.table} ({', '.join(columns)}) SELECT {values} FROM {target.table} WHERE id = %s {ending}",
        *given,
        target.row.pk,
    )


def replace(target: Target) -> None:
    """The row is replaced by one that would be welcome: an open order, or a line of an open order."""
    harmless: dict[str, object] = {target.column: "tampered"}
    if target.table == "orders_order":
        harmless["status"] = "draft"
    elif target.table == "orders_orderline":
        harmless |= {"order_id": target.open.pk, "position": 99}
    elif target.table == "orders_purchaseattempt":
        harmless |= {"state": "prepared", "number": 99}
    if connection.vendor == "sqlite":
        copy(target, "INSERT OR REPLACE", "", **harmless)
    else:
        copy(target, "INSERT", f"ON CONFLICT (id) DO UPDATE SET {target.column} = 'tampered'", **harmless)


def owner(row: models.Model) -> models.Model:
    """What the row hangs on: an order, an attempt, a revision or a seller."""
    return next(getattr(row, name) for name in ("order", "attempt", "revision", "seller") if hasattr(row, name))


def delete_parent(target: Target) -> None:
    parent = target.row.customer if target.table == "orders_order" else owner(target.row)
    parent.delete()


def insert_another(target: Target) -> None:
    fresh = {"position": 98} if target.table == "orders_orderline" else {"number": 98}
    copy(target, "INSERT", "", id=10_000_000, **fresh)


def in_the_admin(target: Target) -> None:
    """Staff with every permission post the change, also as an inline row of the order, and the deletion: each is refused."""
    staff = Client()
    staff.force_login(User.objects.get(email="staff@portal.example"))
    order = target.row if target.table == "orders_order" else getattr(owner(target.row), "order", owner(target.row))
    for row in (order, target.row):
        if type(row) not in admin.site._registry:
            continue
        name = f"admin:orders_{row._meta.model_name}"
        inline = {
            f"{prefix}-0-{key}": value
            for prefix in INLINES
            for key, value in (("id", target.row.pk), (target.column, "tampered"), ("DELETE", "on"))
        }
        sent = {target.column: "tampered", "_save": "Save"} | inline
        answers = [
            staff.post(reverse(f"{name}_change", args=[row.pk]), sent),
            staff.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}),
        ]
        assert [answer.status_code for answer in answers] == [403, 403]
        staff.post(reverse(f"{name}_changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    raise ProtectedError("The admin refused.", set())


def empty_table(target: Target) -> None:
    sql(f"TRUNCATE {target.table} CASCADE" if connection.vendor == "postgresql" else f"DELETE FROM {target.table}")


WAYS: dict[str, Callable[[Target], object]] = {
    "save": lambda target: target.changed().save(),
    "update": lambda target: target.found.update(**{target.column: "tampered"}),
    "bulk_update": lambda target: target.model._base_manager.bulk_update([target.changed()], [target.column]),
    "bulk_create": lambda target: target.model._base_manager.bulk_create(
        [target.changed()], update_conflicts=True, update_fields=[target.column], unique_fields=["id"]
    ),
    "replace in SQL": replace,
    "update in SQL": lambda target: sql(f"UPDATE {target.table} SET {target.column} = 'tampered' WHERE id = %s", target.row.pk),
    "delete in SQL": lambda target: sql(f"DELETE FROM {target.table} WHERE id = %s", target.row.pk),
    "delete": lambda target: target.row.delete(),
    "delete of a queryset": lambda target: target.found.delete(),
    "delete past the collector": lambda target: target.found._raw_delete("default"),
    "delete of the parent": delete_parent,
    "insert in SQL": insert_another,
    "empty the table": empty_table,
    "admin": in_the_admin,
}


def refusal_of(attack: Callable[[], object]) -> IntegrityError | None:
    """Do it as a transaction of its own, deferred constraints included; None when the database let it pass."""
    try:
        with transaction.atomic():
            attack()
            connection.check_constraints()
    except IntegrityError as refusal:
        return refusal
    return None


# Attempts, events, notes, exchanges and failures may be added; of a historical order only lines and revisions may not.
CASES = [(table, way) for table in MODELS for way in WAYS if way != "insert in SQL" or table in {"line", "revision"}]
CASES.remove(("settings change", "admin"))  # it hangs on a seller, whom staff may edit


@pytest.mark.parametrize(("table", "way"), CASES)
def test_no_way_changes_a_row_of_history(history: Scene, db: None, table: str, way: str) -> None:
    column, statuses, find = ROWS[table]
    if way == "insert in SQL":
        statuses = HISTORICAL
    rows = contents(*guards.GUARDED)
    for status in statuses:
        row = find(history.orders[status])
        assert row is not None, f"The {status} order has no {table} to attack."
        refusal = refusal_of(lambda row=row: WAYS[way](Target(row, column, history.open)))
        assert contents(*guards.GUARDED) == rows, f"{way} changed a {table} of the {status} order"
        # A sentence of ours refused, and no slip of this test.
        assert isinstance(refusal, ProtectedError) or any(text in str(refusal) for text in SENTENCES), refusal


@pytest.mark.parametrize("way", [way for way in WAYS if way not in {"delete of the parent", "empty the table", "admin"}])
def test_the_same_ways_do_change_an_order_that_is_open(history: Scene, db: None, way: str) -> None:
    line = history.open.lines.last()
    rows = contents("orders_orderline")
    WAYS[way](Target(line, "title", history.open))
    assert contents("orders_orderline") != rows


def test_no_line_is_moved_into_history(history: Scene, db: None) -> None:
    with pytest.raises(IntegrityError, match="line of a historical order"), transaction.atomic():
        history.open.lines.update(order=history.orders["completed"], position=97)


def test_no_line_is_moved_out_of_history(history: Scene, db: None) -> None:
    with pytest.raises(IntegrityError, match="line of a historical order"), transaction.atomic():
        OrderLine.objects.filter(pk=history.orders["completed"].lines.last().pk).update(order=history.open, position=97)


def test_notes_and_events_are_added_to_history(history: Scene, db: None) -> None:
    order = history.orders["completed"]
    lifecycle.add_note(order, "Asked for an invoice.", by=history.world.harbour.viewer)
    lifecycle.record(order, "looked_at", None)
    assert (order.notes.count(), order.events.first().name) == (2, "looked_at")


# --- the guards themselves


def table_of(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = %s", [name])
        return str(cursor.fetchone()[0])


def drop(name: str) -> None:
    sql(f"DROP TRIGGER {name}" if connection.vendor == "sqlite" else f"DROP TRIGGER {name} ON {table_of(name)}")


def test_a_missing_trigger_is_named_and_nothing_starts(committed_db: Database) -> None:
    guards.refuse_without_guards()
    for name in sorted(guards.expected(connection)):
        drop(name)
        assert guards.missing(connection) == {name}
        with pytest.raises(ImproperlyConfigured, match=name):
            guards.refuse_without_guards()
        with transaction.atomic():
            guards.install(connection)
        assert guards.missing(connection) == set()
        if connection.vendor == "postgresql":
            # There a trigger can also be switched off where it stands.
            sql(f"ALTER TABLE {table_of(name)} DISABLE TRIGGER {name}")
            assert guards.missing(connection) == {name}
            sql(f"ALTER TABLE {table_of(name)} ENABLE TRIGGER {name}")


def test_migrate_brings_every_trigger_back(committed_db: Database) -> None:
    for name in guards.expected(connection):
        drop(name)
    assert guards.missing(connection) == guards.expected(connection)
    call_command("migrate", verbosity=0, interactive=False)
    assert guards.missing(connection) == set()


@pytest.mark.parametrize("command", [["manage.py", "worker"], ["-c", "import portal.wsgi"]], ids=["worker", "web"])
def test_neither_web_nor_worker_starts_without_a_trigger(committed_db: Database, command: list[str]) -> None:
    drop("guard_line_delete")
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment(DATABASE_URL=committed_db.url), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1].removeprefix("django.core.exceptions.ImproperlyConfigured: ")
    assert last.startswith("The database lacks 1 of the triggers that protect history (guard_line_delete")
    assert "manage.py migrate" in last
    if "worker" in command:
        assert len(done.stderr.strip().splitlines()) == 1
