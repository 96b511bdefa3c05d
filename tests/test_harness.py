"""The harness keeps its promises: what a test commits is gone afterwards, and processes die with the tests."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from django.db import connection

from orders.models import FailureReason, Seller
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.portal import Portal
from tests.harness.processes import ROOT, Process, environment
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, build


def test_what_a_test_commits_is_gone_afterwards(database: Database) -> None:
    with database.committed():
        build()
        assert Seller.objects.count() == 2
    with database.committed():
        assert Seller.objects.count() == 0
        assert FailureReason.objects.exists()


def test_a_committed_world_is_seen_by_other_threads(committed_db: Database, world: World) -> None:
    seen = []

    def look() -> None:
        seen.append(Seller.objects.count())
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [2]


def test_a_world_stands_on_either_database(database: Database, world: World) -> None:
    assert connection.vendor == database.kind
    assert world.harbour.admin.check_password("correct horse battery")
    assert world.microsoft_account.client_secret


def test_the_vendor_is_empty_and_its_clock_follows(vendor: Sandbox, clock: Clock) -> None:
    assert vendor.ledger()["orders"] == []
    clock.advance(hours=2)
    vendor.clock("PT20M")
    assert vendor.call("GET", "health")["offsetSeconds"] == 7200 + 1200


def test_the_portal_answers_and_its_worker_can_be_killed(portal: Portal) -> None:
    assert httpx.get(f"{portal.url}/admin/").status_code == 302
    pid = portal.worker.pid
    portal.worker.kill()
    assert not portal.worker.is_running
    portal.worker.restart()
    assert portal.worker.pid != pid
    portal.stop()
    assert not portal.web.is_running


def test_a_process_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; from tests.harness.processes import Process\n"
        "child = Process('child', [sys.executable, '-c', 'import time; print(1); time.sleep(600)'], log=pathlib.Path(sys.argv[1]),"
        " env={'PYTHONUNBUFFERED': '1'}, ready=lambda process: '1' in process.output())\n"
        "child.start(); child.wait(); print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "log")], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == -signal.SIGKILL, done.stderr
    child = int(done.stdout)
    # The kernel tells a child of nobody about its end soon, not at once.
    deadline = threading.Event()
    while is_alive(child) and not deadline.wait(0.02):
        pass


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


FLUSHING = """
import pytest
from django.test import TransactionTestCase

@pytest.mark.django_db(transaction=True)
def test_mark(): pass

def test_server(live_server): pass

def test_fixture(transactional_db): pass

class TestClass(TransactionTestCase):
    def test_method(self): pass
"""


def test_a_test_that_would_flush_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """In a pytest of its own, with the suite's conftest."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_flushing.py").write_text(FLUSHING)
    arguments = ["-n", "0", "-q", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), "-k", "not postgresql", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert "4 errors" in done.stdout.splitlines()[-1], done.stdout + done.stderr
    assert "passed" not in done.stdout
    assert done.stdout.count("Our triggers refuse the flush") >= 4


def test_a_started_process_is_watched_through_its_log(tmp_path: Path) -> None:
    process = Process(
        "broken", [sys.executable, "-c", "raise SystemExit('no luck')"], log=tmp_path / "log", env=os.environ, ready=lambda _process: False
    )
    process.start()
    with pytest.raises(AssertionError, match="no luck"):
        process.wait()
    process.forget()
