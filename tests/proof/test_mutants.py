"""Each naive variant of the engine is caught by the proof. `--mutants` sweeps each through all flows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.databases import Database
from tests.proof.mutants import MUTANTS
from tests.proof.running import proof


def test_every_mutant_is_caught(
    committed_db: Database, var: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    everywhere = ["--each", "25"] if request.config.getoption("mutants") else []
    names = [part for name in MUTANTS for part in ("--mutant", name)]
    caught = proof(committed_db, var, "--seed", "1", *everywhere, *names)
    record_property("proof", "\n".join(["mutants caught:", *(f"  {name:24} {', '.join(kinds)}" for name, kinds in caught.items())]))
    assert set(caught) == set(MUTANTS)
    survivors = {name: kinds for name, kinds in caught.items() if not MUTANTS[name].caught_as & set(kinds)}
    assert survivors == {}, f"Not caught as they must be: {survivors}"
