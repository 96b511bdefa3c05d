"""The process itself: starting, refusing to start, leaving, and remembering."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from .client import Box, customer_body
from .conftest import Start, url_of


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """(exit code, error output) of a process that must end by itself soon."""
    _, problem = process.communicate(timeout=5)
    return process.returncode, problem


def test_refuses_other_addresses(start: Start, tmp_path: Path) -> None:
    code, problem = ended(start("--bind", "0.0.0.0", "--port", "0", "--ledger", str(tmp_path / "l")))
    assert code == 1
    assert problem.count("\n") == 1
    assert "127.0.0.1 or ::1" in problem


@pytest.mark.parametrize("name", ["SANDBOX_CLIENT_SECRET", "SANDBOX_CLIENT_ID", "SANDBOX_TENANTS"])
def test_refuses_to_start_without_credentials(start: Start, tmp_path: Path, name: str) -> None:
    code, problem = ended(start("--port", "0", "--ledger", str(tmp_path / "l"), **{name: ""}))
    assert code == 1
    assert problem.count("\n") == 1
    assert name in problem


def test_busy_port(start: Start, tmp_path: Path) -> None:
    port = url_of(start("--port", "0", "--ledger", str(tmp_path / "a"))).rpartition(":")[2]
    code, problem = ended(start("--port", port, "--ledger", str(tmp_path / "b")))
    assert code == 1
    assert problem == f"The sandbox vendor cannot listen on port {port}: Address already in use.\n"


def test_ledger_that_cannot_be_opened(start: Start, tmp_path: Path) -> None:
    code, problem = ended(start("--port", "0", "--ledger", str(tmp_path / "missing" / "l")))
    assert code == 1
    assert problem.startswith("The ledger ")


def ask_in_vain(box: Box) -> None:
    with contextlib.suppress(httpx.HTTPError):
        box.call("GET", "/customers")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_leaves_at_once_even_with_a_held_call(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start("--port", "0", "--ledger", str(tmp_path / "l"))
    with Box(url_of(process)) as box, httpx.Client(base_url=box.url) as other:
        box.token()
        box.fault("hold_before_commit")
        asking = threading.Thread(target=ask_in_vain, args=(box,), daemon=True)
        asking.start()
        while other.get("/__sandbox__/faults").json()["held"] == 0:
            time.sleep(0.01)
        process.send_signal(number)
        # The held call lasts until somebody releases it: that the process ends at all is the proof.
        assert ended(process) == (0, "")
        asking.join()


def test_a_killed_vendor_remembers(start: Start, tmp_path: Path) -> None:
    """Customers, orders, tokens, used correlation ids, the clock: all are there after SIGKILL."""
    arguments = ("--port", "0", "--ledger", str(tmp_path / "l"), "--provisioning-seconds", "600")
    process = start(*arguments)
    with Box(url_of(process)) as box:
        customer = box.customer()
        cart = box.cart(customer, 5)
        first = box.checkout(customer, cart)
        box.advance("PT20M")
    process.kill()
    process.wait()
    with Box(url_of(start(*arguments)), tokens=box.tokens) as again:
        assert again.checkout(customer, cart).json() == first.json()
        assert again.status(customer, first.json()["orders"][0]["id"]) == "completed"
        assert again.control("GET", "health")["offsetSeconds"] == 1200
        assert again.kinds() == []


def test_clock_file(start: Start, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    with Box(url_of(start("--port", "0", "--ledger", str(tmp_path / "l"), "--clock-file", str(clock)))) as box:
        assert box.control("GET", "health")["offsetSeconds"] == 0
        clock.write_text("90\n", encoding="ascii")
        assert box.control("GET", "health")["offsetSeconds"] == 90
        box.advance("PT10S")
        assert box.control("GET", "health")["offsetSeconds"] == 100
        clock.write_text("nonsense", encoding="ascii")
        assert box.control("GET", "health")["offsetSeconds"] == 10


def test_starts_at_once(start: Start, tmp_path: Path) -> None:
    """Measured in its own processor time, so that a busy machine does not matter: it must not need anything heavy to start."""
    process = start("--port", "0", "--ledger", str(tmp_path / "l"))
    url_of(process)
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") < 1
    assert "cryptography" not in Path(f"/proc/{process.pid}/maps").read_text()


def test_limits_of_a_sandbox_account(start: Start, tmp_path: Path) -> None:
    with Box(url_of(start("--port", "0", "--ledger", str(tmp_path / "l"), "--account-limits"))) as box:
        first = box.customer("c0.onmicrosoft.com")
        assert box.post_cart(first, 26, 5, 25).json()["lineItems"][2].get("error") is None
        assert box.post_cart(first, 30).json()["lineItems"][0]["error"]["errorCode"] == 10009
        assert [line["error"]["errorCode"] for line in box.post_cart(first, *[1] * 6).json()["lineItems"]] == [10009] * 6
        for number in range(1, 75):
            box.customer(f"c{number}.onmicrosoft.com")
        answer = box.call("POST", "/customers", customer_body("c75.onmicrosoft.com"))
        assert (answer.status_code, answer.json()["code"]) == (400, 800018)


def test_some_resources_are_for_a_person(start: Start, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--ledger", str(tmp_path / "l"), "--wants-person")
    with Box(url_of(start(*arguments, SANDBOX_REFRESH_TOKEN="consent"))) as box:
        path = f"/customers/{box.customer()}/validationStatus?type=account"
        assert box.call("GET", path).json()["code"] == 900329
        token = box.ask_token(grant_type="refresh_token", refresh_token="consent").json()["access_token"]
        assert box.call("GET", path, headers={"Authorization": f"Bearer {token}"}).json()["status"] == "Allowed"
