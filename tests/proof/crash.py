"""Die by SIGKILL at an exact point of the portal's own code: in a forked child, while its parent lives on.

A point is the n-th event (an instruction of the portal's code, or a line of anybody else's), the n-th line of the portal's code that was
not run before, or the moment just before or just after a mark: a commit, a write outside a transaction, a sync of a file, a call to
a vendor. Marks are what decides, so they are aimed at by number; events may shift by a few between two runs of the same work.
"""

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import httpx
from django.db import connection

TOOL = 3
OURS = str(Path(__file__).resolve().parents[2] / "orders")
WRITES = ("INSERT", "UPDATE", "DELETE")
# A child that hangs is a finding too, not a suite that never ends.
PATIENCE_SECONDS = 120

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Point:
    """`where` is event, line, before or after; `number` counts from 1."""

    where: str
    number: int

    def __str__(self) -> str:
        return f"{self.where} {self.number}"


@dataclass
class Report:
    """How a child ended: what it said while it lived, and, when it came to its end, how many events, lines and which marks it passed."""

    died: bool
    said: list[str] = field(default_factory=list)
    events: int = 0
    lines: int = 0
    marks: list[str] = field(default_factory=list)
    error: str = ""


def in_child(work: Callable[[Say], None], point: Point | None) -> Report:
    """Do the work in a forked child that dies at the point, if it comes that far. The caller must hold no connection.

    `work` gets a function that tells the parent something at once: what it said was seen, whatever happened later.
    """
    assert connection.connection is None, "A connection must not be shared with a child."
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _live(work, point, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        lines = [json.loads(line) for line in pipe.read().splitlines()]
    _, status = os.waitpid(pid, 0)
    report = Report(died=os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
    for line in lines:
        if "said" in line:
            report.said.append(line["said"])
        else:
            report.events, report.lines = line["events"], line["lines"]
            report.marks, report.error = line["marks"], line["error"]
    if not report.died and not lines and status:
        report.error = f"The child ended with status {status}."
    return report


def _live(work: Callable[[Say], None], point: Point | None, pipe: int) -> None:
    """The child's whole life. Never returns."""
    signal.alarm(PATIENCE_SECONDS)
    watch = Watch(point)
    error = ""
    try:
        with watch.watching():
            work(lambda words: _write(pipe, {"said": words}))
    except BaseException:
        error = traceback.format_exc()
    _write(pipe, {"events": watch.events, "lines": len(watch.lines), "marks": watch.marks, "error": error})
    # No clean-up of what the parent owns, and no exit handlers.
    os._exit(0)


def _write(pipe: int, line: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(line).encode() + b"\n")


class Watch:
    """Counts events, lines and marks, and ends the process at the point. Without a point it counts all three."""

    def __init__(self, point: Point | None) -> None:
        self.events = 0
        self.lines: set[tuple[CodeType, int]] = set()
        self.marks: list[str] = []
        self._where = point.where if point else ""
        self._number = point.number if point else 0
        self._counts_events = self._where in ("event", "")
        self._counts_lines = self._where in ("line", "")

    @contextmanager
    def watching(self) -> Iterator[None]:
        connection.execute_wrappers.append(self._execute)
        connection._commit = self._marked("commit", connection._commit)
        # Outside the database something is kept durably, too (orders/epoch.py).
        os.fsync = self._marked("fsync", os.fsync)
        httpx.Client.send = self._marked_call(httpx.Client.send)
        self._count()
        try:
            yield
        finally:
            sys.monitoring.free_tool_id(TOOL)

    def _count(self) -> None:
        """To count every event costs as much again as the work itself; to meet every line once costs next to nothing."""
        monitoring = sys.monitoring
        monitoring.use_tool_id(TOOL, "kill sweep")
        monitoring.register_callback(TOOL, monitoring.events.LINE, self._line)
        monitoring.register_callback(TOOL, monitoring.events.INSTRUCTION, self._happened)
        for code in _our_code() if self._counts_events or self._counts_lines else ():
            monitoring.set_local_events(TOOL, code, monitoring.events.INSTRUCTION if self._counts_events else monitoring.events.LINE)
        if self._counts_events:
            monitoring.set_events(TOOL, monitoring.events.LINE)

    def _line(self, code: CodeType, line: int) -> object:
        if self._counts_lines and code in _our_code() and (code, line) not in self.lines:
            self.lines.add((code, line))
            if self._where == "line" and len(self.lines) == self._number:
                _die()
        if not self._counts_events:
            return sys.monitoring.DISABLE
        self._happened(code, line)
        return None

    def _happened(self, _code: CodeType, _place: int) -> None:
        self.events += 1
        if self.events == self._number:
            _die()

    def _marked(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def marked(*args: Any, **kwargs: Any) -> Any:
            with self._mark(name):
                return function(*args, **kwargs)

        return marked

    def _marked_call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def send(client: httpx.Client, request: httpx.Request, **kwargs: Any) -> Any:
            with self._mark(f"call {request.method}"):
                return function(client, request, **kwargs)

        return send

    def _execute(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if connection.in_atomic_block or not sql.startswith(WRITES):
            return execute(sql, params, many, context)
        with self._mark(f"write {' '.join(sql.split()[:3])}"):
            return execute(sql, params, many, context)

    @contextmanager
    def _mark(self, name: str) -> Iterator[None]:
        self.marks.append(name)
        number = len(self.marks)
        if self._where == "before" and number == self._number:
            _die()
        yield
        if self._where == "after" and number == self._number:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # The signal may take a moment; nothing more may be done meanwhile.
    signal.pause()


def _our_code() -> set[CodeType]:
    """Every function's code of the portal that is loaded, with what is nested in it. Found once, before the first fork."""
    if not _CODE:
        pending = [thing.__code__ for thing in gc.get_objects() if isinstance(thing, FunctionType)]
        while pending:
            code = pending.pop()
            if code.co_filename.startswith(OURS) and code not in _CODE:
                _CODE.add(code)
                pending += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return _CODE


_CODE: set[CodeType] = set()


def warm() -> None:
    """Look at all the code now, in the parent, and not again in each child; and let no child copy memory to look for garbage."""
    _our_code()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
