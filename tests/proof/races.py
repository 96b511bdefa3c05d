"""Two workers, one attempt, at the same instant, again and again: who wins, and how often nobody or both."""

import os
from collections import Counter
from collections.abc import Callable
from typing import ClassVar

from django.db import connection

from orders import clock, purchasing
from orders.models import AttemptState, Order, PurchaseAttempt
from tests.proof.flows import Scene, let_go, settle

WORKERS = 2

type Claim = Callable[[int], object]


def race_claims(scene: Scene, rounds: int, claim: Claim = purchasing.claim) -> Counter[int]:
    """How many of the two won, and in how many rounds. After each round the attempt is as it was before, but for its fence."""
    attempt = scene.placed(scene.northgate(3)).attempts.get()
    let_go()
    workers = [_Worker(lambda: claim(attempt.pk)) for _ in range(WORKERS)]
    winners: Counter[int] = Counter()
    for _ in range(rounds):
        PurchaseAttempt.objects.filter(pk=attempt.pk).update(
            state=AttemptState.PREPARED, lease_owner="", lease_until=None, next_action_at=clock.now()
        )
        winners[_once(workers)] += 1
    for worker in workers:
        worker.end()
    fence = PurchaseAttempt.objects.values_list("fence", flat=True).get(pk=attempt.pk)
    assert claim is not purchasing.claim or fence == winners.total(), "Not every claim raised the fence by one."
    return winners


def race_runs(scene: Scene, rounds: int) -> list[str]:
    """Both workers run the whole purchase of a new order against the vendor; then it is worked on to its end."""
    problems = []
    for _ in range(rounds):
        order = scene.placed(scene.microsoft(5))
        attempt_id = order.attempts.get().pk
        let_go()
        workers = [_Worker(lambda number=attempt_id: purchasing.run(number)) for _ in range(WORKERS)]
        _once(workers)
        for worker in workers:
            worker.end()
        if not settle(scene, order) or Order.objects.values_list("status", flat=True).get(pk=order.pk) != "completed":
            problems.append(f"{order.number} was not completed")
        scene.notes.look(order.pk)
    return problems


def naive_claim(attempt_id: int) -> bool:
    """A mutant: look, then write, in two steps."""
    attempt = PurchaseAttempt.objects.get(pk=attempt_id)
    if attempt.state != AttemptState.PREPARED:
        return False
    os.sched_yield()
    attempt.state = AttemptState.SENDING
    attempt.save(update_fields=["state"])
    return True


def _once(workers: list["_Worker"]) -> int:
    for worker in workers:
        worker.go()
    return sum(worker.won() for worker in workers)


class _Worker:
    """A forked process that does its work each time that it is told to. Nobody is connected when it is forked."""

    alive: ClassVar[list["_Worker"]] = []

    def __init__(self, work: Callable[[], object]) -> None:
        assert connection.connection is None, "A connection must not be shared with a child."
        told, self._tell = os.pipe()
        self._hear, says = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            # Whoever holds a writing end of a worker's pipe keeps it waiting: also this one of the workers before it.
            os.close(self._tell)
            for earlier in _Worker.alive:
                os.close(earlier._tell)
            _serve(work, told, says)
        _Worker.alive.append(self)
        os.close(told)
        os.close(says)

    def go(self) -> None:
        os.write(self._tell, b"!")

    def won(self) -> bool:
        answer = os.read(self._hear, 1)
        assert answer in {b"0", b"1"}, "A worker failed."
        return answer == b"1"

    def end(self) -> None:
        _Worker.alive.remove(self)
        os.close(self._tell)
        os.close(self._hear)
        os.waitpid(self._pid, 0)


def _serve(work: Callable[[], object], told: int, says: int) -> None:
    """The child's life, until its parent closes the pipe. Never returns."""
    try:
        while os.read(told, 1):
            os.write(says, b"1" if work() else b"0")
    finally:
        os._exit(0)
