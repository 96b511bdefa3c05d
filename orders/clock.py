"""The one clock. Production reads the database's time, so that all processes agree; an embedded database shares ours.

Tests and the demo add whole seconds from settings.CLOCK_FILE; the sandbox vendor adds the same file.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection


def now() -> datetime:
    """The current instant, aware, in UTC. Costs one query on PostgreSQL and none on SQLite."""
    return _database_time() + offset()


def here() -> datetime:
    """The current instant by this process's own clock: free, and near enough to say “12 min ago”. Decide nothing by it."""
    return datetime.now(UTC) + offset()


def _database_time() -> datetime:
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        # Not now(): that one stands still for the length of a transaction.
        cursor.execute("SELECT clock_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


def offset() -> timedelta:
    """What the demo or a test added to real time; zero in production."""
    if settings.CLOCK_FILE is None:
        return timedelta()
    try:
        return timedelta(seconds=int(settings.CLOCK_FILE.read_text() or 0))
    except FileNotFoundError:
        return timedelta()
