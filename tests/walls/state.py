"""The business state as one value: every row of every table of ours and of the queue."""

import hashlib

from django.db import connection

from tests.harness.databases import contents, tables


def state() -> str:
    """A hash of everything. Sign in before the first look: that writes last_login."""
    if connection.vendor == "postgresql":
        return _state_by_database()
    return hashlib.sha256(repr(contents()).encode()).hexdigest()


def _state_by_database() -> str:
    """One question for all tables: the walls ask it thousands of times."""
    each = (
        f"SELECT '{name}' AS name, md5(string_agg(one::text, chr(10) ORDER BY one::text COLLATE \"C\")) AS rows FROM {name} AS one"
        for name in tables()
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(each))
        return repr(sorted(cursor.fetchall()))


def difference(before: dict[str, list[tuple[object, ...]]], after: dict[str, list[tuple[object, ...]]]) -> str:
    """Which tables differ, for a message."""
    return ", ".join(f"{name}: {len(before[name])} → {len(after[name])} rows" for name in before if before[name] != after[name])
