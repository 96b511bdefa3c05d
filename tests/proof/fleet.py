"""A fleet of real workers, killed at random while people press buttons, the vendor misbehaves and time jumps.

Time that jumps past the lease of a worker in the middle of a call makes what a machine that slept makes: two workers that both
think an attempt is theirs. Nothing here can be repeated exactly; what is checked is what came of it.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db import DatabaseError
from django_fsm import TransitionNotAllowed

from orders import clock as portal_clock
from orders import lifecycle, quoting
from orders.models import Order, PurchaseAttempt, VendorAccount
from tests.harness.processes import Process
from tests.harness.sandbox import Sandbox
from tests.harness.world import again
from tests.proof.flows import LONGEST_SECONDS, Scene, accept_quote, is_settled
from tests.proof.history import Outcome, check
from tests.proof.observe import breaches, history

# So long that time, which passes fast once nothing is broken any more, does not end every conversation.
LEASE_SECONDS = 30
# Beside what simply works: a refusal of one line and of the whole, two kinds of busy, and one that is busy for ever.
QUANTITIES = (5, 5, 5, 12, 207, 402, 429, 599)
# Of real time, on a busy machine.
PATIENCE_SECONDS = 600
# How fast time passes in peace: while a worker has something to do, and while none has.
STEP_SECONDS, LEAP_SECONDS = 4, 20
# Time passes for the vendor and not for the workers, who believe in a token for a real hour.
TOO_FAST = frozenset({"expired_token"})

type Verb = Callable[[Order], object]


@dataclass
class Round:
    """What one round came to. `problems` are sentences; empty is the proof."""

    orders: int = 0
    kills: int = 0
    faults: int = 0
    ends: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Fleet:
    """Workers that are killed, over a scene that nobody else works on."""

    def __init__(self, workers: Sequence[Process], scene: Scene, faults: Sequence[tuple[str, str, str]], chance: random.Random) -> None:
        """`faults`: (mode, method, path), of which the vendor plays some."""
        self._workers, self._scene, self._faults, self._chance = workers, scene, faults, chance
        self._round = Round()

    def round(self, seconds: float) -> Round:
        """So long everything at once, then peace until every order is through, and then the checker."""
        for worker in self._workers:
            worker.restart()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            happens = [self._order, self._kill, self._break, self._press, self._pass_time, self._scene.vendor.release]
            self._chance.choices(happens, weights=[8, 6, 4, 4, 3, 1])[0]()
            time.sleep(self._chance.random() * 0.1)
        self._make_peace()
        self._wait()
        self._judge()
        return self._round

    # --- what happens

    def _order(self) -> None:
        self._round.orders += 1
        self._chance.choices([self._placed, self._scheduled, self._accepted], weights=[8, 2, 2])[0]()

    def _placed(self) -> None:
        self._did("placed", self._cart(), lambda order: lifecycle.place(order, by=order.created_by))

    def _scheduled(self) -> None:
        order = self._scene.cart(self._scene.northgate(4), kind=Order.Kind.CHANGE)
        at = portal_clock.now() + timedelta(seconds=self._chance.randint(1, 60))
        self._did(
            "scheduled", order, lambda it: lifecycle.schedule(it, by=it.created_by, at=at, on=date(2026, 12, 1), zone="Europe/Amsterdam")
        )

    def _accepted(self) -> None:
        order = self._cart()
        self._did("sent", order, lambda it: quoting.send(it, by=it.created_by))
        self._did("placed", order, accept_quote)

    def _cart(self) -> Order:
        """At one vendor or at two, for a new customer or for one who has ordered before and whose orders may be on their way."""
        more = [self._scene.northgate(3)] if self._chance.random() < 0.4 else []
        lines = [self._scene.microsoft(self._chance.choice(QUANTITIES)), *more]
        if not self._scene.orders or self._chance.random() < 0.7:
            return self._scene.cart(*lines)
        before = Order.objects.get(pk=self._chance.choice(self._scene.orders))
        return self._scene.cart_for(before.customer, *lines, by=before.created_by)

    def _press(self) -> None:
        """Somebody looks at an order and presses what its status offers."""
        if not self._scene.orders:
            return
        order = Order.objects.get(pk=self._chance.choice(self._scene.orders))
        if order.status == "provisioning_failed":
            self._did("retried", order, lambda it: lifecycle.retry(it, by=it.created_by))
        elif order.status == "provisioning_started":
            self._did("stopped", order, lambda it: lifecycle.stop_waiting(it, by=it.created_by))
        else:
            self._scene.notes.look(order.pk)

    def _did(self, verb: str, order: Order, press: Verb) -> None:
        """An error of the database leaves open whether it happened; a refusal of the portal says that it did not."""
        try:
            press(again(order))
        except (lifecycle.Refusal, TransitionNotAllowed):
            outcome = Outcome.FAIL
        except DatabaseError:
            outcome = Outcome.INFO
        else:
            outcome = Outcome.OK
        self._scene.notes.click(order, verb, outcome)

    def _kill(self) -> None:
        """It comes up again while the others go on."""
        worker = self._chance.choice(self._workers)
        worker.kill()
        worker.start()
        self._round.kills += 1

    def _break(self) -> None:
        mode, method, path = self._chance.choice(self._faults)
        self._scene.vendor.faults(mode, method=method, path=path)
        self._round.faults += 1

    def _pass_time(self) -> None:
        self._scene.clock.advance(seconds=self._chance.randint(1, 2 * LEASE_SECONDS))

    # --- and what becomes of it

    def _make_peace(self) -> None:
        """The vendor is well again, and staff renew what was paused."""
        self._scene.vendor.clear_faults()
        self._scene.vendor.release()
        VendorAccount.objects.filter(is_paused=True).update(is_paused=False, paused_reason="")
        self._healthy_since = portal_clock.now().timestamp()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._open() and time.monotonic() < deadline:
            time.sleep(0.2)
            now = portal_clock.now()
            is_busy = PurchaseAttempt.objects.filter(lease_until__gt=now).exists() or PurchaseAttempt.objects.due(now).exists()
            self._scene.clock.advance(seconds=STEP_SECONDS if is_busy else LEAP_SECONDS)
        self._round.problems += [f"{order.number} is still {order.status}" for order in self._open()]
        for worker in self._workers:
            worker.kill()

    def _open(self) -> list[Order]:
        return [order for order in Order.objects.filter(pk__in=self._scene.orders) if not is_settled(order)]

    def _judge(self) -> None:
        scene = self._scene
        for pk in scene.orders:
            scene.notes.look(pk)
        found = history(scene.orders, scene.vendor, scene.notes, healthy_since=self._healthy_since, patience=LONGEST_SECONDS)
        self._round.ends = [row.status for row in found.rows]
        for anomaly in check(found):
            self._round.problems.append(str(anomaly))
            # It can't be repeated: what is known must be read now.
            print(*evidence(anomaly.order, scene.vendor), sep="\n    ", file=sys.stderr, flush=True)
        self._round.problems += breaches(scene.vendor, TOO_FAST)
        print(*self._round.problems, sep="\n", file=sys.stderr, flush=True)


def evidence(number: str, vendor: Sandbox) -> list[str]:
    """What our journal and the vendor's log tell of one order, by time."""
    order = Order.objects.get(number=number)
    told = [(event.at, f"event {event.name}: {event.from_status} {event.data}") for event in order.events.all()]
    for attempt in order.attempts.all():
        told.append((attempt.created_at, f"attempt {attempt.pk} {attempt.vendor} number {attempt.number}, at the end {attempt.state}"))
        told += [
            (row.at, f"journal {attempt.pk} {row.step} {row.kind} {row.http_status or ''} key {row.key[:8]} {row.text[:150]}")
            for row in attempt.exchanges.all()
        ]
    tenants = order.customer.tenants.values_list("vendor_ref", flat=True)
    told += [
        (
            datetime.fromisoformat(call["at"]),
            f"vendor {call['method']} {call['path'][-60:]} {call['status']} {call['outcome']} {str(call['responseBody'])[:100]}",
        )
        for call in vendor.calls()
        if any(tenant in call["path"] for tenant in tenants)
    ]
    return [f"{at:%H:%M:%S.%f} {words}" for at, words in sorted(told)]
