"""The vendor as a real process, once per module; an emptied ledger for each test."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .client import CLIENT_ID, CLIENT_SECRET, OTHER_TENANT, TENANT, Box

PROJECT = Path(__file__).resolve().parents[2]

type Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start vendor processes with the given arguments; all of them are ended after the module."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        credentials = {
            "SANDBOX_CLIENT_ID": CLIENT_ID,
            "SANDBOX_CLIENT_SECRET": CLIENT_SECRET,
            "SANDBOX_TENANTS": f"{TENANT},{OTHER_TENANT}",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "orders.vendors.sandbox", *arguments],
            cwd=PROJECT,
            env={**os.environ, **credentials, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    """Wait for the one line that says where the vendor listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("sandbox vendor on http://127.0.0.1:"), line
    return line.removeprefix("sandbox vendor on ").strip()


@pytest.fixture(scope="module")
def vendor_url(start: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    ledger = tmp_path_factory.mktemp("vendor") / "ledger.sqlite3"
    return url_of(start("--port", "0", "--ledger", str(ledger)))


@pytest.fixture
def box(vendor_url: str) -> Iterator[Box]:
    """A caller of an empty vendor.  Afterwards exactly the violations the test meant to provoke must be listed."""
    with Box(vendor_url) as client:
        client.control("POST", "reset")
        yield client
        assert client.kinds() == client.expected
