"""The portal as it is run: gunicorn and the worker, as processes, on the database of the test."""

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.harness.databases import Database
from tests.harness.processes import Process, environment, listening_socket
from tests.harness.sandbox import Sandbox
from tests.harness.zygote import Zygote

# Long enough that a slow machine ends no conversation by it. The tests' own times are short, for those that wait for their end.
PATIENT = {"PURCHASE_DEADLINE_SECONDS": "20", "PURCHASE_LEASE_SECONDS": "30"}


def worker(var: Path, env: Mapping[str, str], zygote: Zygote, name: str = "worker") -> Process:
    return Process(
        name,
        [sys.executable, "manage.py", "worker"],
        log=var / f"{name}.log",
        env=env,
        ready=lambda process: "Worker ready" in process.output(),
        fork=zygote.fork,
    )


class Portal:
    """`url`, `sandbox`, `web` and `worker` (each with kill, restart, output), `stop`."""

    def __init__(self, var: Path, database: Database, sandbox: Sandbox, zygote: Zygote, **times: str) -> None:
        self.sandbox = sandbox
        # Bound here, so that the address stays the same when gunicorn is killed and started again.
        self._socket = listening_socket()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        env = environment(DATABASE_URL=database.url, PORTAL_VAR=str(var), **times)
        self.web = Process(
            "gunicorn",
            [
                sys.executable, "-m", "gunicorn", "portal.wsgi", "-b", f"fd://{self._socket.fileno()}", "-w", "1", "--threads", "4",
                "--graceful-timeout", "5", "--no-control-socket", "--worker-tmp-dir", str(var),
            ],
            log=var / "gunicorn.log",
            env=env,
            ready=self._answers,
            pass_fds=[self._socket.fileno()],
            fork=zygote.fork,
        )  # fmt: skip
        self.worker = worker(var, env, zygote)

    def start(self, *, worker: bool = True) -> None:
        """Both side by side, then wait for both."""
        processes = [self.web, self.worker] if worker else [self.web]
        for process in processes:
            process.start()
        for process in processes:
            process.wait()

    def stop(self) -> None:
        """End both the orderly way (the worker first, as `up` would end the web last)."""
        for process in (self.worker, self.web):
            if process.is_running:
                process.stop()

    def end(self) -> None:
        for process in (self.worker, self.web):
            process.forget()
        self._socket.close()

    def _answers(self, process: Process) -> bool:
        """Any answer of the application will do, a redirect too; the socket itself accepts from the beginning."""
        if "Booting worker" not in process.output():
            return False
        try:
            httpx.head(f"{self.url}/signin/", timeout=2)
        except httpx.HTTPError:
            return False
        return True
