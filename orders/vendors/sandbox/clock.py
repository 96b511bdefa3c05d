"""Virtual time: real UTC plus an offset that only grows, so no test and no demonstration has to wait.

Tokens, carts, availability ids, provisioning and list lag all read this clock and nothing else does.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path

_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")

FARTHEST = 100 * 366 * 86_400.0
"""No advance may take the clock further than this (a century): later dates cannot be written with four digits for long."""


def parse_duration(text: str) -> float:
    """Seconds in an ISO 8601 duration of weeks, days, hours, minutes and seconds (months and years have no fixed length)."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as PT20M or P1D.")
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds


def iso(moment: float) -> str:
    """A Partner Center timestamp: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def add_months(moment: float, months: int) -> float:
    """The same day so many months later, or the last day of that month when it is shorter."""
    start = datetime.fromtimestamp(moment, UTC)
    years, month = divmod(start.month - 1 + months, 12)
    first = start.replace(year=start.year + years, month=month + 1, day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first.replace(day=min(start.day, (following - timedelta(days=1)).day)).timestamp()


class VirtualClock:
    """Real time, plus the offset kept in the ledger, plus the whole seconds in a file the starter may share with others."""

    def __init__(self, offset: float, save_offset: Callable[[float], None], clock_file: Path | None = None) -> None:
        self._offset = offset
        self._save_offset = save_offset
        self._clock_file = clock_file
        self._frozen: ContextVar[float | None] = ContextVar("frozen", default=None)

    @property
    def offset(self) -> float:
        """Seconds this clock runs ahead of real time."""
        return self._offset + self._file_seconds()

    def now(self) -> float:
        """Virtual seconds since the epoch."""
        frozen = self._frozen.get()
        return time.time() + self.offset if frozen is None else frozen

    @contextmanager
    def frozen_at(self, moment: float) -> Iterator[None]:
        """Let it be this moment for the calling thread: what happens late bears the time at which it was due."""
        token = self._frozen.set(moment)
        try:
            yield
        finally:
            self._frozen.reset(token)

    def day(self) -> int:
        """Number of the virtual UTC day; availability ids rotate with it."""
        return int(self.now() // 86_400)

    def advance(self, seconds: float) -> None:
        """Move forward, durably.  Going back is not offered: a vendor's clock does not."""
        if self.offset + seconds > FARTHEST:
            raise ValueError("The clock cannot be moved more than a century ahead.")
        self._offset += seconds
        self._save_offset(self._offset)

    def reset(self) -> None:
        """Back to real time (used only together with an emptied ledger)."""
        self._offset = 0.0
        self._save_offset(0.0)

    def _file_seconds(self) -> int:
        if self._clock_file is None:
            return 0
        try:
            return max(0, min(int(self._clock_file.read_text(encoding="ascii").strip() or 0), int(FARTHEST)))
        except (OSError, ValueError):
            # The writer may be replacing the file, or may not have written it yet: that means "no extra time".
            return 0
