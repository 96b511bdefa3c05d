"""Every fault that the vendor knows, at every step of a purchase: each ends clean, or parked where staff see it.

The modes are those that the sandbox tells of, so that a new one joins by itself; one with an argument needs a line in ARGUMENTS.
"""

from dataclasses import dataclass

import pytest
from django.test import override_settings

from orders import clock as portal_clock
from orders.models import Incident, Order, VendorAccount
from orders.vendors import microsoft_login
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, again
from tests.proof import flows
from tests.proof.flows import Scene
from tests.proof.history import WITH_VENDOR, check
from tests.proof.observe import history

STEPS = {
    "token": ("POST", "*/oauth2/token"),
    "check domain": ("HEAD", "/v1/domains/*"),
    "create customer": ("POST", "/v1/customers"),
    "look up offer": ("GET", "/v1/products/*"),
    "create cart": ("POST", "/v1/customers/*/carts"),
    "checkout": ("POST", "*/checkout"),
    "look at order": ("GET", "/v1/customers/*/orders/*"),
    "look at subscription": ("GET", "/v1/customers/*/subscriptions/*"),
}
ARGUMENTS = {
    "status:NNN": "status:500",
    "status_after_commit:NNN": "status_after_commit:500",
    "code:HTTP/CODE": "code:400/3000",
    "429:SECONDS": "429:3",
    "delay:PT5S": "delay:PT0.02S",
    "late_effect:PT30S": "late_effect:PT30S",
    "drip:SECONDS": "drip:0.05",
    "drip_headers:SECONDS": "drip_headers:0.05",
    "huge:BYTES": "huge:2000000",
    "gzip_bomb:BYTES": "gzip_bomb:4000000",
    "redirect:URL": "redirect:http://169.254.169.254/latest/meta-data/",
    "shape:N:HTTP/CODE": "shape:3:503/503",
    "text:SOMETHING": "text:No <b>credit</b> ✗",
    "token:invalid_grant": "token:invalid_grant",
    "token:expired_early": "token:expired_early",
}
# They spoil what the vendor tells on his own, which no step of a purchase waits for.
OF_EVENTS = {"dup_event", "event_out_of_order", "event_bad_signature"}
# Those that last until we lose patience; for them our patience is short.
LASTING = ("hold", "hang", "drip")
SHORT_SECONDS = 0.4
# The vendor's own clear no: only these may fail an order, once the fault is over.
REFUSING = ("code", "text", "nul", "lone_surrogate")


@dataclass
class Cell:
    """One fault at one step, and what it came to."""

    mode: str
    order: Order

    def __str__(self) -> str:
        return f"{self.mode}: {self.order.number}"


@pytest.mark.vendor_faults
@pytest.mark.parametrize("step", STEPS)
def test_every_fault_ends_clean_or_parked(committed_db: Database, world: World, vendor: Sandbox, clock: Clock, step: str) -> None:
    modes = [mode for mode in known(vendor) if not mode.startswith("token:") or step == "token"]
    scene = Scene(world, vendor, clock, "cell", portal_clock.now().timestamp())
    problems = []
    for mode in modes:
        cell = broken(scene, mode, step)
        settled = flows.settle(scene, cell.order) or renewed(scene, cell.order)
        problems += judged(cell, settled=settled)
        scene.notes.look(cell.order.pk)
    found = history(scene.orders, vendor, scene.notes, healthy_since=portal_clock.now().timestamp())
    assert problems + [str(anomaly) for anomaly in check(found)] == []


def known(vendor: Sandbox) -> list[str]:
    """Every mode of the sandbox, ready to be asked for."""
    names = [name for name in vendor.call("GET", "faults")["actions"] if name not in OF_EVENTS]
    without = [name for name in names if ":" in name and name not in ARGUMENTS]
    assert not without, f"The sandbox has new faults with an argument: write one for each into ARGUMENTS here: {', '.join(without)}."
    return [ARGUMENTS.get(name, name) for name in names]


def broken(scene: Scene, mode: str, step: str) -> Cell:
    """An order that met the fault, once."""
    microsoft_login.TOKENS.clear()
    order = scene.placed(scene.microsoft(5))
    method, path = STEPS[step]
    scene.vendor.faults(mode, method=method, path=path)
    lasts = mode.startswith(LASTING)
    for _ in range(60):
        # As short as it takes to lose patience with the fault, and back to normal as soon as it was met.
        with override_settings(PURCHASE_DEADLINE_SECONDS=SHORT_SECONDS) if lasts else override_settings():
            flows.work()
        scene.clock.advance(seconds=flows.until_due(order))
        if scene.vendor.call("GET", "faults")["faults"][-1]["acted"]:
            break
    else:
        pytest.fail(f"{mode} at {step} was never met")
    scene.vendor.release()
    scene.vendor.clear_faults()
    return Cell(mode, order)


def renewed(scene: Scene, order: Order) -> bool:
    """Staff renew an account that was paused, if that is why the order waits; then it goes on."""
    if not VendorAccount.objects.filter(is_paused=True).update(is_paused=False, paused_reason=""):
        return False
    assert Incident.objects.filter(order=order, closed_at=None).exists(), "The account was paused and staff were not told."
    return flows.settle(scene, order)


def judged(cell: Cell, *, settled: bool) -> list[str]:
    """What is wrong with how it ended; that it is nowhere parked unseen the checker tells."""
    status = again(cell.order).status
    if not settled:
        return [] if status in WITH_VENDOR else [f"{cell} did not settle and is {status}"]
    if status == "completed" or (status == "provisioning_failed" and cell.mode.startswith(REFUSING)):
        return []
    reasons = [f"{failure.code} {failure.text}" for attempt in cell.order.attempts.all() for failure in attempt.failures.all()]
    return [f"{cell} ended as {status} although the vendor never refused: {reasons}"]
