"""What a sweep needs around it, in its own process: the vendor, the clock, and a world on the database."""

import argparse
import logging
from typing import Any, Self

from django.conf import settings
from django.db import connection

from orders import clock as portal_clock
from orders import epoch
from orders.models import PurchaseAttempt
from tests.harness.clock import Clock
from tests.harness.sandbox import Sandbox
from tests.harness.world import build
from tests.proof import crash
from tests.proof.flows import FLOWS, Scene, forget_tokens
from tests.proof.history import check
from tests.proof.mutants import MUTANTS, Mutant
from tests.proof.observe import history
from tests.proof.races import naive_claim, race_claims, race_runs
from tests.proof.sweep import Plan, Swept, sweep, timed


class Stage:
    """The vendor lives as long as the stage; every scene on it begins with an empty ledger."""

    def __enter__(self) -> Self:
        # Thousands of deaths, each with its warnings, would hide what matters.
        logging.disable(logging.CRITICAL)
        self._vendor = Sandbox(settings.VAR_DIR)
        self._clock = Clock(settings.CLOCK_FILE)
        self._world = build(self._vendor.url)
        self._scenes = 0
        # As the worker's first sweep does: until then nothing may be sent.
        settings.EPOCH_FILE.unlink(missing_ok=True)
        epoch.look_after()
        connection.close()
        crash.warm()
        return self

    def __exit__(self, *_error: object) -> None:
        self._vendor.end()
        connection.close()

    def sweep(self, options: argparse.Namespace) -> dict[str, Any]:
        plan = Plan(options.seed, options.total, options.each)
        found, text = timed(options.flow or list(FLOWS), plan, self._scene)
        return {"text": text, "problems": [problem for swept in found for problem in swept.problems], "missed": missed(found)}

    def mutate(self, options: argparse.Namespace) -> dict[str, Any]:
        """For each mutant the kinds of harm that it was caught by; with --each through all flows, else where it is sure to show."""
        return {name: self._caught(MUTANTS[name], options) for name in options.mutant}

    def _caught(self, mutant: Mutant, options: argparse.Namespace) -> list[str]:
        plan = Plan(options.seed, each=options.each) if options.each else Plan(options.seed, each=1, dies_after=mutant.dies_after or "none")
        with mutant.patch():
            found = sweep(list(FLOWS) if options.each else list(mutant.flows), plan, self._scene)
        _leave_the_rest()
        return sorted({anomaly.kind for swept in found for anomaly in swept.anomalies})

    def race(self, options: argparse.Namespace) -> dict[str, Any]:
        """How many workers won each race for a claim, with the engine's and with a naive one, and what whole runs came to."""
        claims = race_claims(self._scene("claims"), options.races)
        naive = race_claims(self._scene("naive"), options.races // 5, naive_claim)
        _leave_the_rest()
        scene = self._scene("runs")
        problems = race_runs(scene, options.races // 50)
        found = history(scene.orders, scene.vendor, scene.notes, healthy_since=scene.began)
        return {"claims": claims, "naive": naive, "problems": problems + [str(anomaly) for anomaly in check(found)]}

    def _scene(self, name: str) -> Scene:
        self._vendor.reset()
        # The emptied vendor knows none of the tokens that he gave out.
        forget_tokens()
        self._scenes += 1
        return Scene(self._world, self._vendor, self._clock, f"s{self._scenes}c", portal_clock.now().timestamp())


def missed(found: list[Swept]) -> list[str]:
    """Flows of which too little was really killed: a sweep that kills nothing proves nothing."""
    return [f"{swept.flow}: {swept.died} of {swept.points} points killed" for swept in found if swept.died < 0.8 * swept.points - 1]


def _leave_the_rest() -> None:
    """What lies about from before must not be worked on, nor bought, while something else is looked at."""
    PurchaseAttempt.objects.current().exclude(state="succeeded").update(next_action_at=None, lease_until=None)
    connection.close()
