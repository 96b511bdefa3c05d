"""What the database itself refuses, whatever the code does: triggers that keep history and status honest.

SQLite forgets the triggers of a table that a migration rebuilds, so they are made again after every migrate, and neither
web nor worker starts while one is missing. Source of the rules: product.md rule 7 and section 2.
"""

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from orders.statuses import HISTORICAL, OrderStatus

PREFIX = "guard_"
CLOSED = ", ".join(f"'{status}'" for status in sorted(HISTORICAL))
BIRTH = f"'{OrderStatus.START}', '{OrderStatus.DRAFT}'"
OTHER_SELLER = "NOT EXISTS (SELECT 1 FROM orders_customer c WHERE c.id = NEW.customer_id AND c.seller_id = NEW.seller_id)"
# Rows that no one changes or removes, whatever their order's status.
APPEND_ONLY = (
    "orders_orderevent",
    "orders_ordernote",
    "orders_vendorexchange",
    "orders_failure",
    "orders_staffverdict",
    "orders_parkedverdict",
    "orders_quoterevision",
    "orders_quoteacceptance",
    "orders_quotemessage",
    "orders_floorapproval",
    "orders_settingschange",
)
GUARDED = ("orders_order", "orders_orderline", "orders_purchaseattempt", *APPEND_ONLY)


def _edges() -> str:
    """The pairs of statuses that a transition connects, as SQL values."""
    order = apps.get_model("orders", "Order")
    pairs = {
        (str(edge.source), str(edge.target))
        for edge in order._meta.get_field("status").get_all_transitions(order)
        if edge.target is not None
    }
    return ", ".join(f"'{source}>{target}'" for source, target in sorted(pairs))


def _line_of_closed(row: str) -> str:
    return f"EXISTS (SELECT 1 FROM orders_order o WHERE o.id = {row}.order_id AND o.status IN ({CLOSED}))"  # noqa: S608  (constants)


def rules() -> list[tuple[str, str, str, str, str]]:
    """Every trigger: name, table, event, condition, and the sentence it refuses with."""
    final = "'succeeded', 'failed_definite'"
    found = [
        ("order_update", "orders_order", "UPDATE", f"OLD.status IN ({CLOSED})", "A historical order cannot be changed."),
        ("order_delete", "orders_order", "DELETE", "1 = 1", "An order is never removed."),
        ("order_edge", "orders_order", "UPDATE", f"OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN ({_edges()})",
         "This status may not follow that one."),
        ("order_birth", "orders_order", "INSERT", f"NEW.status NOT IN ({BIRTH})", "An order begins as Start or Draft."),
        ("order_seller", "orders_order", "INSERT", OTHER_SELLER, "The customer belongs to another seller."),
        ("order_customer", "orders_order", "UPDATE", OTHER_SELLER, "The customer belongs to another seller."),
        ("line_insert", "orders_orderline", "INSERT", _line_of_closed("NEW"), "A historical order takes no new line."),
        ("line_update", "orders_orderline", "UPDATE", f"{_line_of_closed('OLD')} OR {_line_of_closed('NEW')}",
         "A line of a historical order cannot be changed."),
        ("line_delete", "orders_orderline", "DELETE", _line_of_closed("OLD"), "A line of a historical order cannot be removed."),
        ("revision_insert", "orders_quoterevision", "INSERT", _line_of_closed("NEW"), "A historical order takes no new revision."),
        ("attempt_update", "orders_purchaseattempt", "UPDATE", f"OLD.state IN ({final})", "A decided attempt cannot be changed."),
        ("attempt_delete", "orders_purchaseattempt", "DELETE", "1 = 1", "An attempt is never removed."),
    ]  # fmt: skip
    for table in APPEND_ONLY:
        name = table.removeprefix("orders_")
        found.append((f"{name}_update", table, "UPDATE", "1 = 1", "This row is append-only."))
        found.append((f"{name}_delete", table, "DELETE", "1 = 1", "This row is append-only."))
    return found


def install(connection: BaseDatabaseWrapper) -> None:
    """Make every trigger anew. Leaves a database without our tables alone."""
    if not _has_tables(connection):
        return
    statements = _postgresql() if connection.vendor == "postgresql" else _sqlite()
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def uninstall_cross_table(connection: BaseDatabaseWrapper) -> None:
    """Before a migration on SQLite: take off the triggers that read a second table.

    SQLite refuses to rename a rebuilt table while a trigger elsewhere names it. Those that read only their own row stay;
    install() brings all back after the migration, and until then neither web nor worker starts.
    """
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        for name, _table, _event, condition, _text in rules():
            if "SELECT" in condition:
                cursor.execute(f"DROP TRIGGER IF EXISTS {PREFIX}{name}")


def _sqlite() -> list[str]:
    statements = []
    for name, table, event, condition, text in rules():
        statements.append(f"DROP TRIGGER IF EXISTS {PREFIX}{name}")
        statements.append(
            f"CREATE TRIGGER {PREFIX}{name} BEFORE {event} ON {table} FOR EACH ROW WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
        )
    return statements


def _postgresql() -> list[str]:
    statements = [
        f"CREATE OR REPLACE FUNCTION {PREFIX}refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
    ]
    for name, table, event, condition, text in rules():
        function = f"{PREFIX}{name}_check"
        row = "OLD" if event == "DELETE" else "NEW"
        # A function of its own, because a WHEN clause may not read another table.
        statements += [
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN RAISE EXCEPTION '{text}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN {row}; END $$",
            f"DROP TRIGGER IF EXISTS {PREFIX}{name} ON {table}",
            f"CREATE TRIGGER {PREFIX}{name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
        ]
    for table in GUARDED:
        name = f"{PREFIX}{table.removeprefix('orders_')}_truncate"
        statements += [
            f"DROP TRIGGER IF EXISTS {name} ON {table}",
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {PREFIX}refuse('This table is never emptied.')",
        ]
    return statements


def expected(connection: BaseDatabaseWrapper) -> set[str]:
    names = {f"{PREFIX}{name}" for name, *_ in rules()}
    if connection.vendor == "postgresql":
        names |= {f"{PREFIX}{table.removeprefix('orders_')}_truncate" for table in GUARDED}
    return names


def missing(connection: BaseDatabaseWrapper) -> set[str]:
    """Names of the triggers that are absent or switched off. Empty for a database without our tables."""
    if not _has_tables(connection):
        return set()
    query = (
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return expected(connection) - {row[0] for row in cursor.fetchall()}


def refuse_without_guards(using: str = DEFAULT_DB_ALIAS) -> None:
    """Called when web and worker start. Raises ImproperlyConfigured naming what is missing; exits nothing on its own."""
    connection = connections[using]
    try:
        absent = missing(connection)
    finally:
        connection.close()
    if absent:
        some = ", ".join(sorted(absent)[:3]) + (" …" if len(absent) > 3 else "")
        raise ImproperlyConfigured(
            f"The database lacks {len(absent)} of the triggers that protect history ({some}). "
            "Run `manage.py migrate`, which makes them again; nothing starts until then."
        )


def _has_tables(connection: BaseDatabaseWrapper) -> bool:
    return set(GUARDED) <= set(connection.introspection.table_names())


def before_migrate(using: str = DEFAULT_DB_ALIAS, **_kwargs: object) -> None:
    if _has_tables(connections[using]):
        uninstall_cross_table(connections[using])


def after_migrate(using: str = DEFAULT_DB_ALIAS, **_kwargs: object) -> None:
    install(connections[using])
