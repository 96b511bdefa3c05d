"""The sandbox vendor as a real process, and a small client of its control calls."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.harness.processes import Process, environment

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "a-secret-for-tests"
REFRESH_TOKEN = "a-refresh-token-for-tests"
MICROSOFT_TENANT = "11111111-1111-4111-8111-111111111111"
NORTHGATE_TENANT = "22222222-2222-4222-8222-222222222222"
ADOBE_RESELLER = "5556667778"
READY = "sandbox vendor on "


class Sandbox:
    """The vendor. Its clock also follows the `clock` fixture's file; `clock` here moves the vendor's alone."""

    def __init__(self, var: Path, *, provisioning_seconds: float = 1) -> None:
        self.process = Process(
            "sandbox",
            [
                sys.executable, "-m", "orders.vendors.sandbox", "--port", "0", "--ledger", str(var / "sandbox.sqlite3"),
                "--clock-file", str(var / "clock"), "--provisioning-seconds", str(provisioning_seconds),
            ],
            log=var / "sandbox.log",
            env=environment(
                SANDBOX_CLIENT_ID=CLIENT_ID,
                SANDBOX_CLIENT_SECRET=CLIENT_SECRET,
                SANDBOX_TENANTS=f"{MICROSOFT_TENANT},{NORTHGATE_TENANT},{ADOBE_RESELLER}",
                SANDBOX_REFRESH_TOKEN=REFRESH_TOKEN,
            ),
            ready=lambda process: READY in process.output() and process.output().endswith("\n"),
        )  # fmt: skip
        self.process.start()
        self.process.wait()
        self.url = self.process.output().partition(READY)[2].split()[0]
        self._http = httpx.Client(base_url=self.url, timeout=30)

    def end(self) -> None:
        self._http.close()
        self.process.forget()

    def reset(self) -> None:
        """Empty the ledger, the log, the violations and the faults; let go what is held."""
        self.call("POST", "reset")

    def violations(self) -> list[dict[str, Any]]:
        """Where we broke the vendor's contract. Empty, or the test fails at its end."""
        return list(self.call("GET", "violations")["violations"])

    def ledger(self) -> dict[str, Any]:
        """What was bought: customers, carts, orders, subscriptions, each with the call that made it."""
        return dict(self.call("GET", "ledger"))

    def calls(self) -> list[dict[str, Any]]:
        """Every call that arrived, oldest first, with what became of it."""
        return list(self.call("GET", "log")["calls"])

    def faults(self, action: str, *, path: str = "*", method: str = "*", times: int | None = 1, after: int = 0) -> None:
        """From the call after the next `after` on, do `action` for `times` calls (None: for ever) that match."""
        self.call("POST", "faults", {"match": {"method": method, "path": path}, "action": action, "times": times, "after": after})

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def held(self) -> Sequence[Any]:
        """The calls that a hold keeps open now."""
        return list(self.call("GET", "faults")["holding"])

    def release(self) -> int:
        """Let every held call go on."""
        return int(self.call("POST", "release")["released"])

    def clock(self, duration: str) -> None:
        """Move the vendor's clock alone, for example PT20M. For both clocks use the `clock` fixture."""
        self.call("POST", "clock", {"advance": duration})

    def set_order(self, identifier: str, status: str | None) -> None:
        """Give a vendor order a status by hand, or None for its own course again."""
        self.call("PATCH", f"orders/{identifier}", {"status": status})

    def set_customer(self, identifier: str, **changes: Any) -> None:
        """What the customer or the vendor's staff do: agreement, standing, relationship, credit, locked."""
        self.call("PATCH", f"customers/{identifier}", changes)

    def late(self) -> list[dict[str, Any]]:
        """The calls of a late_effect fault that have not had their effect yet."""
        return list(self.call("GET", "late")["late"])

    def events(self) -> list[dict[str, Any]]:
        """The webhooks that were sent or wait, with what became of each attempt."""
        return list(self.call("GET", "events")["events"])

    def send_event(self, **asked: Any) -> list[dict[str, Any]]:
        """Send a webhook: subscriptionId or resend, and date, times, signature, certificate, certificateUrl."""
        return list(self.call("POST", "events", asked)["events"])

    def authority(self) -> str:
        """The certificate, in PEM, that vouches for the sender of webhooks."""
        return str(self.call("GET", "authority")["certificate"])

    def snapshot(self) -> int:
        """Set the vendor's whole ledger aside."""
        return int(self.call("POST", "snapshot")["snapshot"])

    def restore(self, number: int) -> None:
        """Put a ledger back: the vendor forgets what came after."""
        self.call("POST", "restore", {"snapshot": number})

    def call(self, method: str, name: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"/__sandbox__/{name}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()
