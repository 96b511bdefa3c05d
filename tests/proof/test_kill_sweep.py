"""The kill sweep on both databases. By hand: `--sweep=400` points for each flow, `--sweep=all`, `--sweep-seed=N`, `--flow=NAME`."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.databases import Database
from tests.proof.running import proof

# Over all flows, in every run of the suite. Each commit of each flow is among them on both databases, also when there are more than that.
POINTS = {"sqlite": 400, "postgresql": 100}


def test_no_kill_buys_twice_or_loses(
    committed_db: Database, var: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    option = request.config.getoption
    seed = option("sweep_seed") or secrets.randbelow(10**6)
    asked = option("sweep")
    points = [] if asked == "all" else ["--each", asked] if asked else ["--total", str(POINTS[committed_db.kind])]
    flows = [part for name in option("flow") for part in ("--flow", name)]
    found = proof(committed_db, var, "--seed", str(seed), *points, *flows)
    record_property("proof", found["text"])
    assert found["problems"] == [], found["text"]
    assert found["missed"] == [], found["text"]
