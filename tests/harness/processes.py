"""Real processes that never outlive the tests: each has a group of its own, a log file, and dies with its parent."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.harness.zygote import Forked

ROOT = Path(__file__).resolve().parents[2]
TAIL = 6_000
# Every process that was started and not forgotten, so that a failing test can show their logs.
STARTED: "list[Process]" = []


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """For preexec_fn: the kernel sends the signal when the process that started this one is gone (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signum)


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: ours, the product's own settings module, and output that nobody holds back."""
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONUNBUFFERED": "1", **more}


class Process:
    """One command with its log file. `start`, wait until `ready` says so, `stop` or `kill`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        ready: Callable[["Process"], bool],
        pass_fds: Sequence[int] = (),
        fork: "Callable[..., Forked] | None" = None,
    ) -> None:
        """`fork` makes it from a process that has the libraries already (zygote.py)."""
        self.name, self.command, self.log, self.env, self._ready, self._pass_fds = (
            name,
            list(command),
            log,
            dict(env),
            ready,
            tuple(pass_fds),
        )
        self._fork = fork
        self._popen: subprocess.Popen[bytes] | Forked | None = None
        self._since = 0

    @property
    def pid(self) -> int:
        assert self._popen is not None, f"{self.name} was not started."
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start without waiting; so two processes may start side by side."""
        assert not self.is_running, f"{self.name} runs already."
        self._since = self.log.stat().st_size if self.log.exists() else 0
        if self._fork:
            self._popen = self._fork(self.command, env=self.env, log=self.log, pass_fds=self._pass_fds)
        else:
            self._popen = self._spawned()
        if self not in STARTED:
            STARTED.append(self)

    def _spawned(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=die_with_parent,
                pass_fds=self._pass_fds,
            )

    def wait(self, seconds: float = 30) -> None:
        """Until it is ready. Fails with the log when it ended or takes too long."""
        deadline = time.monotonic() + seconds
        while not self._ready(self):
            assert self.is_running, f"{self.name} ended with code {self._popen and self._popen.returncode}:\n{self.output()}"
            assert time.monotonic() < deadline, f"{self.name} was not ready after {seconds} s:\n{self.output()}"
            time.sleep(0.02)

    def output(self) -> str:
        """What was written since the last start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._since)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        return self.output()[-TAIL:]

    def kill(self) -> None:
        """SIGKILL the whole group: nothing is cleaned up, as in a power cut."""
        self._end(signal.SIGKILL, 10)

    def stop(self, seconds: float = 15) -> None:
        """Ask to end (SIGTERM), and kill what does not."""
        self._end(signal.SIGTERM, seconds)

    def restart(self) -> None:
        if self.is_running:
            self.kill()
        self.start()
        self.wait()

    def forget(self) -> None:
        self.kill()
        if self in STARTED:
            STARTED.remove(self)

    def _end(self, signum: int, seconds: float) -> None:
        if self._popen is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signum)
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also after an orderly end: a child of its own may have stayed.
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait(10)


def listening_socket() -> socket.socket:
    """A bound socket on a free port, to be handed to a server: nobody else can take the port meanwhile."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    return server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
