"""Runs child processes: restarts one that dies, and leaves none behind."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

BACKOFF_SECONDS = (0.5, 1, 2, 5, 10)
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process to keep alive. `env` is added to ours."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started_at: float = 0.0
    start_again_at: float = 0.0

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603  (our own commands)
            self.command,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        self.started_at = time.monotonic()
        self.start_again_at = 0.0

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to its whole group."""
        if self.process is None:
            return
        for signum, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            try:
                os.killpg(self.process.pid, signum)
                self.process.wait(seconds)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def supervise(children: Sequence[Child], say: "Say") -> None:
    """Start the children and keep them running until SIGTERM, SIGINT or SIGHUP; then stop them in the order given."""
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda *_: stop.set())
    try:
        for child in children:
            child.start()
        while not stop.wait(0.3):
            for child in children:
                _look_after(child, say)
    finally:
        for child in children:
            child.stop()


def _look_after(child: Child, say: "Say") -> None:
    now = time.monotonic()
    if child.start_again_at:
        if now >= child.start_again_at:
            child.start()
    elif child.process is not None and (code := child.process.poll()) is not None:
        child.deaths = child.deaths + 1 if now - child.started_at < 60 else 1
        wait = BACKOFF_SECONDS[min(child.deaths, len(BACKOFF_SECONDS)) - 1]
        child.start_again_at = now + wait
        say(f"{child.name} ended with {code}; it starts again in {wait} s.")


def _die_with_parent() -> None:
    """The kernel ends the child when we are killed without a chance to stop it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Say:
    """Prints one line at once, also into a pipe."""

    def __call__(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201  (this is the terminal)
