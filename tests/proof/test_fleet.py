"""Workers killed at random. By hand for as long as one likes: `--fleet=3600` is an hour on each database (`-n0 -s` shows each round)."""

import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.conf import settings

from orders import clock as portal_clock
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.portal import worker
from tests.harness.processes import environment
from tests.harness.sandbox import Sandbox
from tests.harness.world import World
from tests.harness.zygote import Zygote
from tests.proof.fleet import LEASE_SECONDS, Fleet, Round
from tests.proof.flows import Scene, forget_tokens
from tests.proof.test_faults_at_steps import STEPS, known

WORKERS = 3
# Real seconds in which everything breaks at once, of the only round and of one of many; peace comes after.
SECONDS, ROUND_SECONDS = 8, 30


def test_a_fleet_killed_at_random_buys_nothing_twice_and_loses_nothing(
    committed_db: Database,
    world: World,
    vendor: Sandbox,
    clock: Clock,
    zygote: Zygote,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    asked = request.config.getoption("fleet")
    seed = secrets.randbelow(10**6)
    chance = random.Random(seed)
    env = environment(DATABASE_URL=committed_db.url, PORTAL_VAR=str(settings.VAR_DIR), PURCHASE_LEASE_SECONDS=str(LEASE_SECONDS))
    workers = [worker(settings.VAR_DIR, env, zygote, f"worker-{number}") for number in range(WORKERS)]
    # Whether a login works is a matter of one account, and pauses it until somebody renews it: no place for many orders at once.
    modes = [mode for mode in known(vendor) if not mode.startswith("token:")]
    # Most of them where it is decided what is bought.
    faults = [(mode, *STEPS[step]) for mode in modes for step in (*STEPS, *["checkout"] * len(STEPS))]
    rounds: list[Round] = []
    began = time.monotonic()
    try:
        while not rounds or time.monotonic() < began + asked:
            scene = Scene(world, vendor, clock, f"r{len(rounds)}o", portal_clock.now().timestamp())
            rounds.append(Fleet(workers, scene, faults, chance).round(ROUND_SECONDS if asked else SECONDS))
            print(said(committed_db, seed, rounds, time.monotonic() - began), file=sys.stderr, flush=True)
            # An emptied vendor knows none of the tokens that he gave out.
            vendor.reset()
            forget_tokens()
    finally:
        for process in workers:
            process.forget()
    record_property("proof", said(committed_db, seed, rounds, time.monotonic() - began))
    assert [problem for one in rounds for problem in one.problems] == []


def said(database: Database, seed: int, rounds: list[Round], seconds: float) -> str:
    ends = Counter(status for one in rounds for status in one.ends)
    problems = sum(len(one.problems) for one in rounds)
    return (
        f"{database.kind}, fleet of {WORKERS}, seed {seed}: {problems} anomalies in {len(rounds)} rounds, {seconds:.0f} s: "
        f"{sum(one.orders for one in rounds)} orders, {sum(one.kills for one in rounds)} kills, {sum(one.faults for one in rounds)} faults; "
        + ", ".join(f"{count} {status}" for status, count in ends.most_common())
    )
