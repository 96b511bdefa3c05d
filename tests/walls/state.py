"""The business state as one value: every row of every table of ours and of the queue."""

import hashlib

from tests.harness.databases import contents


def state() -> str:
    """A hash of everything. Sign in before the first look: that writes last_login."""
    return hashlib.sha256(repr(contents()).encode()).hexdigest()


def difference(before: dict[str, list[tuple[object, ...]]], after: dict[str, list[tuple[object, ...]]]) -> str:
    """Which tables differ, for a message."""
    return ", ".join(f"{name}: {len(before[name])} → {len(after[name])} rows" for name in before if before[name] != after[name])
