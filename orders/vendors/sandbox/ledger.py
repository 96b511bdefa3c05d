"""The vendor's own durable memory: one SQLite file, fsynced on every commit, one lock.

A vendor that forgets would hide double purchases, so an effect is on disk before any byte of its answer is sent
(`PRAGMA synchronous=FULL`).  Documents are kept as ASCII JSON, because callers may send lone surrogates, which
SQLite text cannot hold.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

type Document = dict[str, Any]

BORN_EXPIRED = 0.0
"""The expiry of a token that was never good, because a fault asked for that."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL, parent TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS documents_parent ON documents (kind, parent);
CREATE INDEX IF NOT EXISTS documents_tenant ON documents (kind, tenant);
CREATE TABLE IF NOT EXISTS domains (tenant TEXT, name TEXT, PRIMARY KEY (tenant, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (digest TEXT PRIMARY KEY, tenant TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest TEXT PRIMARY KEY, tenant TEXT NOT NULL, parent TEXT NOT NULL, expires REAL NOT NULL, revoked INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    tenant TEXT NOT NULL, request_id TEXT NOT NULL, fingerprint TEXT NOT NULL, expires REAL NOT NULL, answer TEXT,
    PRIMARY KEY (tenant, request_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS correlations (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS violations (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""

_RESET = """
DELETE FROM documents; DELETE FROM domains; DELETE FROM tokens; DELETE FROM requests; DELETE FROM correlations;
DELETE FROM counters; DELETE FROM violations; DELETE FROM refresh_tokens
"""


def digest(secret: str) -> str:
    """How a token is remembered: the ledger never holds one that could be used."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Ledger:
    """All durable state.  Every method but the constructor and `close` must run inside `transaction()`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.is_closed = False
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Wait for the running transaction, then close the file."""
        with self._lock:
            self.is_closed = True
            self._db.close()

    def take_snapshot(self) -> int:
        """Copy everything into a file beside the ledger; the number tells it from the others."""
        with self._lock:
            number = next(number for number in range(1, 10_000) if not self._snapshot(number).exists())
            copy = sqlite3.connect(self._snapshot(number))
            try:
                self._db.backup(copy)
            finally:
                copy.close()
            return number

    def restore_snapshot(self, number: int) -> bool:
        """Put that copy in the place of everything.  False when there is none of this number."""
        with self._lock:
            if not self._snapshot(number).is_file():
                return False
            copy = sqlite3.connect(self._snapshot(number))
            try:
                copy.backup(self._db)
            finally:
                copy.close()
            return True

    def _snapshot(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.snapshot-{number}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the one lock; commit (fsynced) at the end, or roll back when an exception passes."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # Documents: customers, carts, orders.

    def put(self, kind: str, identifier: str, tenant: str, parent: str, body: Document) -> None:
        """Insert a document, or replace the body of the one with this kind and id."""
        self._db.execute(
            "INSERT INTO documents (kind, id, tenant, parent, body) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, identifier, tenant, parent, json.dumps(body)),
        )

    def delete(self, kind: str, identifier: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, identifier))

    def delete_of_tenant(self, kind: str, tenant: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND tenant = ?", (kind, tenant))

    def get(self, kind: str, identifier: str) -> Document | None:
        """The document of this kind and id, of whatever tenant."""
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, identifier)).fetchone()
        return None if row is None else json.loads(row[0])

    def children(self, kind: str, parent: str) -> list[Document]:
        """Documents of a kind under one parent, oldest first."""
        rows = self._db.execute("SELECT body FROM documents WHERE kind = ? AND parent = ? ORDER BY seq", (kind, parent))
        return [json.loads(row[0]) for row in rows]

    def of_tenant(self, kind: str, tenant: str) -> list[Document]:
        """Documents of a kind in one partner tenant, oldest first."""
        rows = self._db.execute("SELECT body FROM documents WHERE kind = ? AND tenant = ? ORDER BY seq", (kind, tenant))
        return [json.loads(row[0]) for row in rows]

    def every(self, kind: str) -> list[Document]:
        """Documents of a kind in all tenants, oldest first."""
        return [json.loads(row[0]) for row in self._db.execute("SELECT body FROM documents WHERE kind = ? ORDER BY seq", (kind,))]

    # Domains are unique in the whole cloud, not per partner.

    def domain_taken(self, tenant: str, name: str) -> bool:
        return self._db.execute("SELECT 1 FROM domains WHERE tenant = ? AND name = ?", (tenant, name.lower())).fetchone() is not None

    def take_domain(self, tenant: str, name: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO domains (tenant, name) VALUES (?, ?)", (tenant, name.lower()))

    # Bearer tokens, by digest only.

    def add_token(self, digest: str, tenant: str, expires: float) -> None:
        self._db.execute("INSERT INTO tokens (digest, tenant, expires) VALUES (?, ?, ?)", (digest, tenant, expires))

    def token(self, digest: str) -> tuple[str, float] | None:
        """(tenant, virtual expiry) of a token this vendor issued."""
        row = self._db.execute("SELECT tenant, expires FROM tokens WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else (row[0], row[1])

    def add_refresh_token(self, digest: str, tenant: str, parent: str, expires: float) -> None:
        """Know a refresh token; `parent` is the digest of the one it was given for."""
        self._db.execute(
            "INSERT OR IGNORE INTO refresh_tokens (digest, tenant, parent, expires, revoked) VALUES (?, ?, ?, ?, 0)",
            (digest, tenant, parent, expires),
        )

    def refresh_token(self, digest: str) -> tuple[str, str, float, bool] | None:
        """(tenant, parent, virtual expiry, revoked) of a refresh token this vendor issued."""
        row = self._db.execute("SELECT tenant, parent, expires, revoked FROM refresh_tokens WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else (row[0], row[1], row[2], bool(row[3]))

    def revoke_refresh_token(self, digest: str) -> None:
        self._db.execute("UPDATE refresh_tokens SET revoked = 1 WHERE digest = ?", (digest,))

    # What the MS-RequestId and MS-CorrelationId rules have to remember.

    def remember_request(self, tenant: str, request_id: str, fingerprint: str, expires: float) -> None:
        """Start remembering a request id afresh, without an answer yet."""
        self._db.execute(
            "INSERT OR REPLACE INTO requests (tenant, request_id, fingerprint, expires, answer) VALUES (?, ?, ?, ?, NULL)",
            (tenant, request_id, fingerprint, expires),
        )

    def request(self, tenant: str, request_id: str, now: float) -> tuple[str, Document | None] | None:
        """(fingerprint, stored answer) of a request id that is still remembered at `now`."""
        row = self._db.execute(
            "SELECT fingerprint, answer FROM requests WHERE tenant = ? AND request_id = ? AND expires > ?", (tenant, request_id, now)
        ).fetchone()
        return None if row is None else (row[0], None if row[1] is None else json.loads(row[1]))

    def store_answer(self, tenant: str, request_id: str, answer: Document) -> None:
        self._db.execute("UPDATE requests SET answer = ? WHERE tenant = ? AND request_id = ?", (json.dumps(answer), tenant, request_id))

    def first_use_of_correlation(self, correlation_id: str) -> bool:
        """Remember a correlation id; False when it was already used by an earlier call."""
        return self._db.execute("INSERT OR IGNORE INTO correlations (id) VALUES (?)", (correlation_id.lower(),)).rowcount == 1

    # Small things.

    def count(self, name: str) -> int:
        """Add one to a named counter and return it."""
        row = self._db.execute(
            "INSERT INTO counters (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        ).fetchone()
        return int(row[0])

    def clear_count(self, name: str) -> None:
        self._db.execute("DELETE FROM counters WHERE name = ?", (name,))

    def add_violation(self, body: Document) -> None:
        self._db.execute("INSERT INTO violations (body) VALUES (?)", (json.dumps(body),))

    def violations(self) -> list[Document]:
        return [{"number": seq, **json.loads(body)} for seq, body in self._db.execute("SELECT seq, body FROM violations ORDER BY seq")]

    def meta(self, key: str, default: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def reset(self) -> None:
        """Forget everything but settings.  Only a test or a demonstration asks for this."""
        # One statement at a time: `executescript` would commit the running transaction first.
        for statement in _RESET.split(";"):
            self._db.execute(statement)
