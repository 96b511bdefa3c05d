"""Two workers race for one attempt, a thousand times on each database: exactly one wins each race, and each order is bought once."""

from collections.abc import Callable
from pathlib import Path

from tests.harness.databases import Database
from tests.proof.running import proof

RACES = 1000


def test_of_two_workers_exactly_one_wins_every_race(
    committed_db: Database, var: Path, record_property: Callable[[str, object], None]
) -> None:
    found = proof(committed_db, var, "--races", str(RACES))
    record_property("proof", f"{committed_db.kind}, winners in {RACES} races: {found['claims']}; with a naive claim: {found['naive']}")
    assert found["claims"] == {"1": RACES}
    assert found["problems"] == []
    # The races are real: looking first and writing then lets both win.
    assert "2" in found["naive"]
