"""The kill sweep: each flow is killed at many points, the machine comes up again, and the checker looks at what became of it.

`python -m tests.proof` runs it in a process of its own: a parent with everything warmed that forks a worker for each point.
Points are stratified: every commit of every flow is hit, then every mark from both sides as far as the number allows, and the
rest is spread over all events at equal distances from a random offset. Without a number it is every mark from both sides and
every line of the portal's code that a flow comes to. Every fourth recovery is killed as well.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from orders.models import Order
from tests.proof import flows
from tests.proof.crash import Point, Report, in_child
from tests.proof.flows import Flow, Scene
from tests.proof.history import Anomaly, Outcome, check
from tests.proof.observe import breaches, history

RECOVERY_KILLED_EVERY = 4
# The vendor's log keeps its last calls only, and what he said is looked up in it.
JUDGED_EVERY = 100
# Of virtual time: longer than a recovery with all its waits, shorter than it goes on trying before it gives up.
PATIENCE_SECONDS = flows.LONGEST_SECONDS


@dataclass
class Swept:
    """What one flow came to. `problems` are sentences, of the anomalies and of all else that was not right; empty is the proof."""

    flow: str
    events: int = 0
    lines: int = 0
    marks: list[str] = field(default_factory=list)
    points: int = 0
    died: int = 0
    died_in_recovery: int = 0
    anomalies: list[Anomaly] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def commits(self) -> list[int]:
        """The numbers of the marks at which the database makes something durable."""
        return [number for number, name in enumerate(self.marks, start=1) if name.startswith(("commit", "write"))]


@dataclass(frozen=True)
class Plan:
    """How many points: `total` over all flows, `each` for every flow, or neither for all there are: marks and lines."""

    seed: int
    total: int = 0
    each: int = 0
    dies_after: str = ""  # only just after marks that begin so


def sweep(names: list[str], plan: Plan, new_scene: Callable[[str], Scene]) -> list[Swept]:
    """Sweep the flows, and tell stderr how far it is. `new_scene` gives an empty vendor and nobody's clicks."""
    found = [_census(flows.FLOWS[name], new_scene) for name in names]
    for swept, quota in zip(found, _quotas(found, plan), strict=True):
        chance = random.Random(f"{plan.seed} {swept.flow}")
        if plan.dies_after:
            points = _after(swept, plan.dies_after)
        elif quota is None:
            points = every(swept)
        else:
            points = choose(swept, quota, chance)
        _sweep_flow(flows.FLOWS[swept.flow], swept, points, chance, new_scene)
        print(_line(swept), *swept.problems, sep="\n", file=sys.stderr, flush=True)
    return found


def _census(flow: Flow, new_scene: Callable[[str], Scene]) -> Swept:
    """Once without a kill: how many events and lines there are, and which marks."""
    scene = new_scene(f"{flow.name} census")
    swept = Swept(flow.name)
    report = _one(flow, scene, swept, None, None)
    swept.events, swept.lines, swept.marks = report.events, report.lines, report.marks
    _judge(scene, swept)
    return swept


def _quotas(found: list[Swept], plan: Plan) -> Sequence[int | None]:
    """How many points each flow gets: its commits in any case, and of the rest its share by length. None: all of its own."""
    if plan.each:
        return [plan.each] * len(found)
    if not plan.total:
        return [None] * len(found)
    rest = max(0, plan.total - sum(len(swept.commits) for swept in found))
    everything = sum(len(swept.marks) for swept in found) or 1
    return [len(swept.commits) + rest * len(swept.marks) // everything for swept in found]


def choose(swept: Swept, quota: int, chance: random.Random) -> list[Point]:
    """The points of one flow: each commit once, from alternating sides; then both sides of every mark; then events.

    With fewer than there are commits, as many of these.
    """
    side = chance.randrange(2)
    commits = [Point(("before", "after")[(place + side) % 2], number) for place, number in enumerate(swept.commits)]
    others = [point for point in _sides(swept) if point not in commits]
    chance.shuffle(others)
    if quota < len(commits):
        return chance.sample(commits, quota)
    rest = quota - len(commits)
    # Two thirds of what is left at the marks, where the outcome is decided; one third anywhere.
    taken = others[: max(rest * 2 // 3, rest - swept.events)]
    events = max(0, rest - len(taken))
    step = swept.events / events if events else 0
    offset = chance.random() * step
    return commits + taken + [Point("event", 1 + int(offset + step * number)) for number in range(events)]


def every(swept: Swept) -> list[Point]:
    """Every mark from both sides, and every line of the portal when it is first come to: all that a person can tell apart."""
    return _sides(swept) + [Point("line", number) for number in range(1, swept.lines + 1)]


def _sides(swept: Swept) -> list[Point]:
    return [Point(where, number) for number in range(1, len(swept.marks) + 1) for where in ("before", "after")]


def _after(swept: Swept, name: str) -> list[Point]:
    return [Point("after", number) for number, mark in enumerate(swept.marks, start=1) if mark.startswith(name)]


def _sweep_flow(flow: Flow, swept: Swept, points: list[Point], chance: random.Random, new_scene: Callable[[str], Scene]) -> None:
    scene = new_scene(swept.flow)
    for number, point in enumerate(points):
        if number and number % JUDGED_EVERY == 0:
            _judge(scene, swept)
            print(f"  {swept.flow:17} {number:5} of {len(points)} points, {len(swept.problems)} problems", file=sys.stderr, flush=True)
            scene = new_scene(swept.flow)
        again = _anywhere(swept, chance) if number % RECOVERY_KILLED_EVERY == 0 else None
        report = _one(flow, scene, swept, point, again)
        swept.points += 1
        swept.died += report.died
    _judge(scene, swept)


def _anywhere(swept: Swept, chance: random.Random) -> Point:
    """A point for a recovery, which passes other marks than the flow: early ones exist in any."""
    return chance.choice(
        [Point(chance.choice(["before", "after"]), chance.randint(1, 12)), Point("event", chance.randint(1, swept.events))]
    )


def _one(flow: Flow, scene: Scene, swept: Swept, point: Point | None, again: Point | None) -> Report:
    """Prepare, act and perhaps die, come up again and perhaps die once more, and work until the order is through."""
    order = flow.prepare(scene)
    flows.forget_tokens()
    flows.let_go()
    report = in_child(lambda say: flow.act(scene, order, say), point)
    for verb in flow.verbs:
        scene.notes.click(order, verb, Outcome.OK if verb in report.said else Outcome.INFO)
    where = f"{flow.name} {order.number}, killed {point}" + (f" and in recovery {again}" if again else "")
    _up_again(scene, order)
    second = Report(died=False)
    if again:
        flows.let_go()
        second = in_child(lambda say: flows.work(), again)
        swept.died_in_recovery += second.died
        _up_again(scene, order)
    flow.after(scene, order)
    if not flows.settle(scene, order):
        swept.problems.append(f"{where}: it never settled")
    status = Order.objects.values_list("status", flat=True).get(pk=order.pk)
    if status not in flow.ends:
        swept.problems.append(f"{where}: it ended as {status}")
    swept.problems += [f"{where}: {error}" for error in (report.error, second.error) if error]
    scene.notes.look(order.pk)
    return report


def _up_again(scene: Scene, order: Order) -> None:
    flows.restart(order)
    scene.clock.advance(seconds=settings.PURCHASE_LEASE_SECONDS + 1)


def _judge(scene: Scene, swept: Swept) -> None:
    """Let the checker look at everything that happened in the scene."""
    found = history(scene.orders, scene.vendor, scene.notes, healthy_since=scene.began, patience=PATIENCE_SECONDS)
    anomalies = check(found)
    swept.anomalies += anomalies
    swept.problems += [f"{swept.flow}: {anomaly}" for anomaly in anomalies]
    swept.problems += [f"{swept.flow}: {breach}" for breach in breaches(scene.vendor)]
    flows.let_go()


def summary(found: list[Swept], plan: Plan, seconds: float) -> str:
    """The result in a few lines, with what is needed to run it again."""
    points, died = sum(swept.points for swept in found), sum(swept.died for swept in found)
    problems = [problem for swept in found for problem in swept.problems]
    head = f"{connection.vendor}, seed {plan.seed}: {len(problems)} anomalies at {points} points ({died} kills), {seconds:.0f} s"
    return "\n".join([head, *(_line(swept) for swept in found), *problems[:40]])


def _line(swept: Swept) -> str:
    return (
        f"  {swept.flow:17} {swept.points:5} points, {swept.died:5} killed, {swept.died_in_recovery:4} again in recovery; "
        f"{len(swept.commits):3} commits, {len(swept.marks):3} marks, {swept.lines:4} lines, {swept.events:6} events"
    )


def timed(names: list[str], plan: Plan, new_scene: Callable[[str], Scene]) -> tuple[list[Swept], str]:
    began = time.monotonic()
    found = sweep(names, plan, new_scene)
    return found, summary(found, plan, time.monotonic() - began)
