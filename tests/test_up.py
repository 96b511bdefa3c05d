"""`manage.py up` as a newcomer runs it: one command, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from orders.management import demo
from tests.harness.processes import ROOT, die_with_parent, free_port

PATIENCE = 90


class Up:
    """One run of the command in a folder of its own."""

    def __init__(self, var: Path, port: int, sandbox_port: int) -> None:
        self.var, self.port, self.sandbox_port = var, port, sandbox_port
        self.log = var.parent / "up.log"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in {"PORTAL_PROFILE", "DATABASE_URL"}}
        command = [sys.executable, "manage.py", "up", "--port", str(self.port), "--sandbox-port", str(self.sandbox_port), *options]
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=kept | {"PORTAL_VAR": str(self.var)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        until(lambda: "Worker ready" in self.output() and self.answers(), lambda: self.output())

    def stop(self, signum: int = signal.SIGTERM) -> int:
        assert self._popen
        self._popen.send_signal(signum)
        return self._popen.wait(40)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).text == "ok"
        except httpx.HTTPError:
            return False

    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def processes(self) -> list[int]:
        """Ids of the processes that name our ports or our folder, whoever their parent is."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"PORTAL_VAR={self.var}".encode() in told:
                found.append(int(entry.name))
        return found


def until(what: Callable[[], bool], about: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, about()
        time.sleep(0.1)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path / "var", free_port(), free_port())
    yield made
    for process in made.processes():
        os.kill(process, signal.SIGKILL)


@contextmanager
def signed_in(up: Up, email: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=up.url, follow_redirects=True, timeout=20) as client:
        _sign_in(client, email)
        yield client


def _sign_in(client: httpx.Client, email: str) -> None:
    page = client.get("/signin/").text
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    answer = client.post("/signin/", data={"csrfmiddlewaretoken": found[1], "username": email, "password": demo.PASSWORD})
    assert answer.status_code == 200


def test_one_command_makes_everything_restarts_what_dies_keeps_its_data_and_leaves_nothing(up: Up) -> None:
    up.start()
    assert f"http://127.0.0.1:{up.port}/" in up.output()
    assert all(email in up.output() for email, _role in demo.LOGINS)
    with signed_in(up, "manager@harbour.example") as client:
        # The demo's orders reach their ends by themselves; each status is there.
        def statuses() -> set[str]:
            pages = client.get("/orders/").text + client.get("/orders/historical/").text
            return set(re.findall(r'data-status="(\w+)"', pages))

        wanted = {"draft", "start", "scheduled", "quote_sent", "provisioning_started", "provisioning_failed"}
        wanted |= {"completed", "completed_with_errors", "deleted"}
        until(lambda: wanted <= statuses(), lambda: f"missing: {wanted - statuses()}")
        orders = client.get("/orders/").text.count('class="row-link"')
    worker = next(pid for pid in up.processes() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    until(lambda: "worker ended with" in up.output() and up.output().count("Worker ready") == 2, up.output)
    assert up.stop(signal.SIGINT) == 0
    assert up.processes() == []

    up.start()
    assert "Kept the data that was there" in up.output()
    with signed_in(up, "manager@harbour.example") as client:
        assert client.get("/orders/").text.count('class="row-link"') >= orders - 4
    secret = (up.var / "secret.key").read_text()
    assert up.stop() == 0
    assert up.processes() == []

    (up.var / "left.over").write_text("x")
    up.start("--fresh")
    assert "Demo data loaded" in up.output()
    assert not (up.var / "left.over").exists()
    assert (up.var / "secret.key").read_text() != secret
    assert up.stop() == 0
    assert up.processes() == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_the_command(up: Up, signum: int) -> None:
    up.start()
    assert len(up.processes()) >= 4
    up.stop(signum)
    until(lambda: up.processes() == [], lambda: f"left: {up.processes()}")


def run(tmp_path: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PORTAL_PROFILE", "DATABASE_URL"}}
    return subprocess.run(
        [sys.executable, "manage.py", "up", *options],
        cwd=ROOT,
        env=kept | {"PORTAL_VAR": str(tmp_path / "var")} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def one_sentence(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_busy_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} is taken" in one_sentence(run(tmp_path, "--port", str(port)))


def test_a_folder_that_can_not_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "can't be written" in one_sentence(run(tmp_path, "--port", str(free_port()), PORTAL_VAR=str(tmp_path / "file" / "var")))


def test_up_refuses_any_other_profile(tmp_path: Path) -> None:
    result = run(tmp_path, PORTAL_PROFILE="test")
    assert "runs the demo profile only" in one_sentence(result)


@pytest.mark.parametrize("missing", ["SECRET_KEY", "CREDENTIAL_KEYS", "ALLOWED_HOSTS", "DATABASE_URL", "PORTAL_URL"])
def test_production_does_not_start_without_its_settings(tmp_path: Path, missing: str) -> None:
    values = {
        "SECRET_KEY": "s" * 40,
        "CREDENTIAL_KEYS": "k" * 40,
        "ALLOWED_HOSTS": "portal.example",
        "PORTAL_URL": "https://portal.example",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}",
    }
    kept = {name: value for name, value in os.environ.items() if name not in {"PORTAL_PROFILE", *values}}
    env = kept | {name: value for name, value in values.items() if name != missing}
    result = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert missing in one_sentence(result)
