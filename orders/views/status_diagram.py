"""The machine as a picture: every edge that Order.status has, drawn where this file says, or straight where it says nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from orders.models import Order
from orders.statuses import TABLE, OrderStatus, Section, StatusInfo

WIDTH, HEIGHT = 1024, 486
NODE_HEIGHT = 40
CORNER = 9

# Where each status stands: left edge, middle, width.
PLACES = {
    OrderStatus.START: (16, 232, 84),
    OrderStatus.QUOTE_SENT: (186, 122, 124),
    OrderStatus.DRAFT: (186, 232, 124),
    OrderStatus.SCHEDULED: (186, 342, 124),
    OrderStatus.PROVISIONING_STARTED: (392, 232, 166),
    OrderStatus.PROVISIONING_FINISHED: (606, 146, 172),
    OrderStatus.PROVISIONING_FAILED: (606, 318, 172),
    OrderStatus.COMPLETED: (840, 146, 172),
    OrderStatus.COMPLETED_WITH_ERRORS: (840, 232, 172),
    OrderStatus.DELETED: (840, 430, 172),
}

# What a transition is called for people, where its name is not the word, and what it says of itself.
VERBS = {
    "keep_as_quote": (
        "keep as quote",
        "The seller sends it as a quote, or adds an item that can’t be in a cart, such as a Microsoft offer.",
    ),
    "send": ("send", "A revision goes to the customer."),
    "revise": ("revise", "You work on the next revision."),
    "withdraw": ("withdraw", "You take the quote back."),
    "decline": ("decline", "The customer says no."),
    "place": ("place", "The order goes to its vendors."),
    "schedule": ("schedule", "A change waits for its date."),
    "fire": ("fire", "The date of the change has come."),
    "confirm": ("confirm", "The vendor approves every item."),
    "fail": ("fail", "The vendor refuses and nothing is bought."),
    "finish_with_errors": ("finish with errors", "Some items are bought and some are not."),
    "complete": ("complete", "Every subscription is recorded."),
    "retry": ("retry", "You send the order again, after a definite refusal."),
    "close": ("close", "You give the order up; the reason stays readable."),
    "delete_from_cart": ("delete", "You remove it, before anything went to a vendor."),
}


@dataclass(frozen=True, slots=True)
class Route:
    """The corners of an arrow, and where its words stand."""

    points: tuple[tuple[int, int], ...]
    x: int
    y: int
    anchor: str = "middle"


S = OrderStatus
ROUTES = {
    (S.START, S.DRAFT): Route(((100, 232), (184, 232)), 141, 225),
    (S.START, S.PROVISIONING_STARTED): Route(((58, 212), (58, 62), (478, 62), (478, 210)), 268, 55),
    (S.START, S.DELETED): Route(((58, 252), (58, 472), (926, 472), (926, 452)), 66, 372, "start"),
    (S.DRAFT, S.QUOTE_SENT): Route(((278, 212), (278, 144)), 285, 183, "start"),
    (S.DRAFT, S.PROVISIONING_STARTED): Route(((310, 232), (390, 232)), 359, 225),
    (S.DRAFT, S.SCHEDULED): Route(((248, 252), (248, 320)), 255, 291, "start"),
    (S.DRAFT, S.DELETED): Route(((186, 243), (158, 243), (158, 442), (838, 442)), 151, 372, "end"),
    (S.QUOTE_SENT, S.DRAFT): Route(((214, 142), (214, 210)), 206, 183, "end"),
    (S.QUOTE_SENT, S.PROVISIONING_STARTED): Route(((310, 112), (444, 112), (444, 210)), 377, 105),
    (S.QUOTE_SENT, S.DELETED): Route(((310, 132), (332, 132), (332, 418), (838, 418)), 339, 168, "start"),
    (S.SCHEDULED, S.PROVISIONING_STARTED): Route(((310, 342), (424, 342), (424, 254)), 372, 335),
    (S.SCHEDULED, S.DELETED): Route(((248, 362), (248, 430), (838, 430)), 255, 384, "start"),
    (S.PROVISIONING_STARTED, S.PROVISIONING_FINISHED): Route(((516, 212), (516, 146), (604, 146)), 560, 139),
    (S.PROVISIONING_STARTED, S.PROVISIONING_FAILED): Route(((516, 252), (516, 307), (604, 307)), 560, 300),
    (S.PROVISIONING_STARTED, S.COMPLETED_WITH_ERRORS): Route(((558, 239), (838, 239)), 650, 256),
    (S.PROVISIONING_FINISHED, S.COMPLETED_WITH_ERRORS): Route(((704, 166), (704, 223), (838, 223)), 711, 198, "start"),
    (S.PROVISIONING_FINISHED, S.COMPLETED): Route(((778, 146), (838, 146)), 807, 139),
    (S.PROVISIONING_FAILED, S.PROVISIONING_STARTED): Route(((606, 330), (462, 330), (462, 254)), 560, 346),
    (S.PROVISIONING_FAILED, S.COMPLETED_WITH_ERRORS): Route(((778, 318), (926, 318), (926, 254)), 796, 311),
}


@dataclass(frozen=True, slots=True)
class Verb:
    """One transition as people read it."""

    name: str
    label: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Edge:
    """From one status to another, with every verb that goes there, and how it is drawn."""

    source: StatusInfo
    target: StatusInfo
    verbs: tuple[Verb, ...]
    path: str
    x: int
    y: int
    anchor: str

    @property
    def key(self) -> str:
        return f"{self.source.status}>{self.target.status}"

    @property
    def label(self) -> str:
        return ", ".join(verb.label for verb in self.verbs)


@dataclass(frozen=True, slots=True)
class Node:
    """A status as a box, with its icon and its words inside."""

    info: StatusInfo
    x: int
    y: int
    width: int

    @property
    def icon_x(self) -> int:
        return self.x + 10

    @property
    def icon_y(self) -> int:
        return self.y + NODE_HEIGHT // 2 - 7

    @property
    def text_x(self) -> int:
        return self.x + 30

    @property
    def text_y(self) -> int:
        return self.y + NODE_HEIGHT // 2 + 4


@dataclass(frozen=True, slots=True)
class Area:
    """The ground that a section of the list stands on."""

    name: str
    x: int
    y: int
    width: int
    height: int

    @property
    def text_x(self) -> int:
        return self.x + 14

    @property
    def text_y(self) -> int:
        return self.y + 23


AREAS = (Area(Section.RECENT.value, 2, 2, 812, HEIGHT - 4), Area(Section.HISTORICAL.value, 826, 2, 196, HEIGHT - 4))


def nodes() -> list[Node]:
    return [Node(TABLE[status], x, middle - NODE_HEIGHT // 2, width) for status, (x, middle, width) in PLACES.items()]


def edges() -> list[Edge]:
    """What the machine knows, in the order of the status table; the verbs of one edge in the order of VERBS."""
    found: dict[tuple[OrderStatus, OrderStatus], list[str]] = {}
    for transition in Order._meta.get_field("status").get_all_transitions(Order):
        found.setdefault((S(str(transition.source)), S(str(transition.target))), []).append(transition.name)
    order = list(TABLE)
    pairs = sorted(found, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))
    return [_edge(source, target, found[source, target]) for source, target in pairs]


def _edge(source: OrderStatus, target: OrderStatus, names: Iterable[str]) -> Edge:
    route = ROUTES.get((source, target)) or _straight(source, target)
    known = list(VERBS)
    names = sorted(names, key=lambda name: known.index(name) if name in known else len(known))
    verbs = tuple(Verb(name, *VERBS.get(name, (name.replace("_", " "), ""))) for name in names)
    return Edge(TABLE[source], TABLE[target], verbs, _path(route.points), route.x, route.y, route.anchor)


def _straight(source: OrderStatus, target: OrderStatus) -> Route:
    """For an edge that nobody drew yet: ugly, but never missing."""
    (x1, y1), (x2, y2) = ((x + width // 2, y) for x, y, width in (PLACES[source], PLACES[target]))
    return Route(((x1, y1), (x2, y2)), (x1 + x2) // 2, (y1 + y2) // 2)


def _path(points: tuple[tuple[int, int], ...]) -> str:
    """Lines from corner to corner, the corners round."""
    (x, y), *rest = points
    parts = [f"M{x} {y}"]
    for before, corner, after in zip(points, rest, rest[1:], strict=False):
        (x1, y1), (x2, y2) = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{x1} {y1}Q{corner[0]} {corner[1]} {x2} {y2}")
    return "".join([*parts, f"L{rest[-1][0]} {rest[-1][1]}"])


def _towards(corner: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The point CORNER away from the corner; arrows run along the axes."""
    x, y = corner
    step_x = max(-CORNER, min(CORNER, other[0] - x))
    step_y = max(-CORNER, min(CORNER, other[1] - y))
    return x + step_x, y + step_y
