"""The two databases that every test runs on, and how one is put back as it was.

Built once and kept as a template: migrated, with its triggers and its failure catalogue. A test either runs inside a
transaction that is rolled back, or commits and gets the whole database replaced by a copy of the template. Never by
flushing, which our triggers refuse by design, and never by switching them off.
"""

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest_django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from portal.settings import database as settings_of
from tests.harness.postgres import Server

KINDS = ("sqlite", "postgresql")


class Database:
    """One kind of database: `url` for other processes, `django.db.connection` for this one."""

    kind: str
    url: str
    template_url: str

    def __init__(self, blocker: "pytest_django.DjangoDbBlocker") -> None:
        self._blocker = blocker
        self._before = connections.settings["default"]
        # The connection whose open transaction holds what is shared, and that.
        self._holder: BaseDatabaseWrapper | None = None
        self._shared: Any = None

    def build(self) -> None:
        """Migrate the template and make the first copy of it."""
        with self._blocker.unblock():
            self._use(self.template_url)
            call_command("migrate", verbosity=0, interactive=False)
            self.disconnect()
            self.copy()
            self._set(self._before)

    def enter(self) -> None:
        """From here on the tests' connection leads here."""
        with self._blocker.unblock():
            self._use(self.url)

    def leave(self) -> None:
        with self._blocker.unblock():
            self.disconnect()
            self._set(self._before)

    def share(self, build: Callable[[], Any]) -> None:
        """From here on tests run inside a transaction that already holds what `build` makes: it is made once for many of them."""
        with self._blocker.unblock():
            if self._holder is not connections["default"] or self._holder.closed_in_transaction:
                self.end_sharing()
                transaction.atomic().__enter__()
                self._holder, self._shared = connections["default"], build()

    def shared(self) -> Any:
        """What was built, as nobody has touched it."""
        return copy.deepcopy(self._shared)

    def end_sharing(self) -> None:
        """Also from a context that has another connection, as there is after a browser was started or ended: a closed one rolls back."""
        if self._holder is not None:
            with self._blocker.unblock():
                self._holder.in_atomic_block = False
                self._holder.close()
                # Where a test had closed it, Django keeps it until the block ends, which it just did.
                self._holder.connection = None
            self._holder = self._shared = None

    @contextmanager
    def committed(self) -> Iterator["Database"]:
        """Real commits inside; afterwards the database is as the template was."""
        self.end_sharing()
        with self._blocker.unblock():
            settings.EPOCH_FILE.unlink(missing_ok=True)
            try:
                yield self
            finally:
                self.restore()

    def restore(self) -> None:
        self.disconnect()
        self.copy()
        # The file that tells a restored backup from a running portal begins anew with the database (orders/epoch.py).
        settings.EPOCH_FILE.unlink(missing_ok=True)

    @contextmanager
    def backed_up(self) -> Iterator[None]:
        """A backup is made before, and restored after: what happened inside is forgotten by the database, and by nobody else."""
        raise NotImplementedError
        yield

    def copy(self) -> None:
        """Replace the database by a copy of the template. Nobody of this process may be connected."""
        raise NotImplementedError

    def disconnect(self) -> None:
        self.end_sharing()
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()

    def _use(self, url: str) -> None:
        self._set(connections.configure_settings({"default": settings_of(url)})["default"])

    def _set(self, values: dict[str, object]) -> None:
        self.disconnect()
        del connections["default"]
        connections.settings["default"] = settings.DATABASES["default"] = values


class SQLite(Database):
    kind = "sqlite"

    def __init__(self, blocker: "pytest_django.DjangoDbBlocker", folder: Path) -> None:
        super().__init__(blocker)
        self._template, self._file = folder / "template.sqlite3", folder / "portal.sqlite3"
        self.template_url, self.url = f"sqlite://{self._template}", f"sqlite://{self._file}"

    def copy(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        assert not Path(f"{self._template}-wal").exists(), "The template was not closed."
        shutil.copyfile(self._template, self._file)

    @contextmanager
    def backed_up(self) -> Iterator[None]:
        backup = self._file.with_suffix(".backup")
        self.disconnect()
        shutil.copyfile(self._file, backup)
        yield
        self.disconnect()
        for suffix in ("-wal", "-shm"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        backup.replace(self._file)


class PostgreSQL(Database):
    kind = "postgresql"

    def __init__(self, blocker: "pytest_django.DjangoDbBlocker", server: Server) -> None:
        super().__init__(blocker)
        self._server = server
        self.template_url, self.url = server.url("portal_template"), server.url("portal")
        server.execute("DROP DATABASE IF EXISTS portal_template WITH (FORCE)", "CREATE DATABASE portal_template")

    def copy(self) -> None:
        self._server.execute("DROP DATABASE IF EXISTS portal WITH (FORCE)", "CREATE DATABASE portal TEMPLATE portal_template")

    @contextmanager
    def backed_up(self) -> Iterator[None]:
        self.disconnect()
        self._server.execute("DROP DATABASE IF EXISTS portal_backup WITH (FORCE)", "CREATE DATABASE portal_backup TEMPLATE portal")
        yield
        self.disconnect()
        self._server.execute("DROP DATABASE IF EXISTS portal WITH (FORCE)", "ALTER DATABASE portal_backup RENAME TO portal")


@cache
def tables() -> tuple[str, ...]:
    """The portal's tables and the queue's, the same in every database of a run."""
    return tuple(sorted(name for name in connection.introspection.table_names() if name.startswith(("orders_", "django_tasks"))))


def contents(*some: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables, whole; all of the portal's and the queue's tables unless some are named."""
    found = {}
    with connection.cursor() as cursor:
        for name in some or tables():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")
            # By name: a table that a migration rebuilt may have its columns in another order.
            columns = [column[0] for column in cursor.description]
            order = sorted(range(len(columns)), key=columns.__getitem__)
            found[name] = sorted((tuple(_plain(row[place]) for place in order) for row in cursor), key=repr)
    return found


def _plain(cell: Any) -> Any:
    return bytes(cell) if isinstance(cell, memoryview) else cell
