"""Time that passes at once, for this process, the started ones and the sandbox alike: they all add the same file."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Self


class Clock:
    """Back to real time at the end of its `with`."""

    def __init__(self, file: Path) -> None:
        self._file, self._seconds = file, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.unlink(missing_ok=True)

    def advance(self, **duration: float) -> None:
        """For example advance(minutes=20). Whole seconds, forward only."""
        seconds = int(timedelta(**duration).total_seconds())
        assert seconds > 0, "Time passes in whole seconds, and forward."
        self._seconds += seconds
        new = self._file.with_suffix(".new")
        new.write_text(str(self._seconds))
        # At once, so that no reader finds half a number.
        os.replace(new, self._file)
