"""Help: made from the tables that the portal itself runs by, so that it can't say anything else."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orders.failures import UNKNOWN
from orders.models import FailureReason, RetryClass
from orders.scoping import SellerRequest
from orders.statuses import TABLE, Section
from orders.views import status_diagram

SENTENCE_START = re.compile(r"(^|[.!?]\s+)\{vendor\}")
LONGEST_SEARCH = 100
# Up to so many, the table of contents names every reason; above, the groups that they are in.
FEW = 40

RETRY_WORDS = {
    RetryClass.FIX: "Offered. Correct the order first: sent again as it is, it would be refused again.",
    RetryClass.RETRY: "Offered. The order can be sent again as it is.",
    RetryClass.LATER: "Offered, but it only works after somebody else has acted.",
    RetryClass.WAIT: "By itself, at the time shown on the order. Offered when all tries were refused.",
    RetryClass.REFRESH: "By itself, once, with what is newest at the vendor. Offered when that was refused too.",
    RetryClass.LOOK: "By itself, after we looked whether it happened. Offered when we know that it did not.",
    RetryClass.NEVER: "Not offered: sending this order again can’t succeed.",
    RetryClass.STAFF: "Not offered: our staff send the order again when it is settled.",
}
NEEDS_NEW_DOMAIN = "Offered once the customer has another domain: the one that was sent is used up."
# Whose answers they are, as a seller would look for them; others go by their dialect's own name.
SPEAKERS = {"": "The portal itself, and any vendor", "manual": "Vendors that our staff order from"}


@dataclass(frozen=True, slots=True)
class Kind:
    """Reasons that ask the same of the reader."""

    name: str
    title: str
    words: str
    tone: str
    retries: frozenset[RetryClass]


KINDS = (
    Kind("fix", "Correct the order, then retry", "Something in the order has to change first.", "bad", frozenset({RetryClass.FIX})),
    Kind(
        "later",
        "Somebody acts first, then retry",
        "The order is right; something around it is not yet.",
        "bad",
        frozenset({RetryClass.LATER}),
    ),
    Kind("retry", "Retry as it is", "Nothing has to change.", "bad", frozenset({RetryClass.RETRY})),
    Kind(
        "by-itself",
        "Goes on by itself",
        "We wait, look or read again, and send nothing twice.",
        "info",
        frozenset({RetryClass.WAIT, RetryClass.REFRESH, RetryClass.LOOK}),
    ),
    Kind("staff", "Our staff act and retry", "The vendor or our staff have to decide something.", "plan", frozenset({RetryClass.STAFF})),
    Kind("never", "Can’t be retried", "Close the order, or order something else.", "neutral", frozenset({RetryClass.NEVER})),
)


@require_safe
def help_index(request: SellerRequest) -> HttpResponse:
    return render(request, "orders/help_index.html", {"has_sandbox": settings.IS_LOCAL})


@require_safe
def help_statuses(request: SellerRequest) -> HttpResponse:
    sections = [(section.value, [info for info in TABLE.values() if info.section is section]) for section in Section]
    context = {
        "sections": sections,
        "nodes": status_diagram.nodes(),
        "edges": status_diagram.edges(),
        "areas": status_diagram.AREAS,
        "width": status_diagram.WIDTH,
        "height": status_diagram.HEIGHT,
        "node_height": status_diagram.NODE_HEIGHT,
    }
    return render(request, "orders/help_statuses.html", context)


@dataclass(frozen=True, slots=True)
class ReasonShown:
    """A reason as the page says it: of no vendor in particular."""

    reason: FailureReason

    @property
    def slug(self) -> str:
        return self.reason.slug

    @property
    def summary(self) -> str:
        return _of_any_vendor(self.reason.summary)

    @property
    def short(self) -> str:
        return _of_any_vendor(self.reason.short)

    @property
    def meaning(self) -> str:
        return _of_any_vendor(self.reason.meaning)

    @property
    def fix(self) -> str:
        return _of_any_vendor(self.reason.fix)

    @property
    def who(self) -> str:
        return self.reason.get_who_display()

    @property
    def retry(self) -> str:
        return NEEDS_NEW_DOMAIN if self.reason.needs_new_domain else RETRY_WORDS[RetryClass(self.reason.retry)]

    @property
    def code(self) -> str:
        """The code alone; after a colon the catalogue has the property that it was about."""
        return self.reason.code.partition(":")[0]

    @property
    def without_code(self) -> str:
        """What stands where the code would."""
        return "Any that is not on this page" if self.reason is UNKNOWN else "None"

    @property
    def property_name(self) -> str:
        return self.reason.code.partition(":")[2]

    @property
    def speaker(self) -> str:
        """Whose code it is: “Partner Center”; empty for any vendor's."""
        return _speaker(self.reason.dialect) if self.reason.dialect and self.reason.dialect not in SPEAKERS else ""

    def has(self, words: list[str]) -> bool:
        text = " ".join([self.summary, self.short, self.meaning, self.fix, self.who, self.reason.code, self.slug, self.speaker]).casefold()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Group:
    """The reasons of one kind that one vendor gives."""

    kind: Kind
    anchor: str
    reasons: tuple[ReasonShown, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """All that one vendor says."""

    title: str
    anchor: str
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        return sum(len(group.reasons) for group in self.groups)


@require_safe
def help_failures(request: SellerRequest) -> HttpResponse:
    asked = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    reasons = [ReasonShown(row) for row in FailureReason.objects.exclude(slug=UNKNOWN.slug)] + [ReasonShown(UNKNOWN)]
    found = [reason for reason in reasons if reason.has(asked.casefold().split())]
    context = {"q": asked, "parts": _parts(found), "found": len(found), "count": len(reasons), "lists_all": len(found) <= FEW}
    return render(request, "orders/help_failures.html", context)


def _parts(reasons: list[ReasonShown]) -> list[Part]:
    """By vendor, then by what is asked of the reader, then by summary; what any vendor may say comes first."""
    dialects = sorted({reason.reason.dialect for reason in reasons}, key=lambda dialect: (dialect != "", _speaker(dialect).casefold()))
    return [_part(dialect, [reason for reason in reasons if reason.reason.dialect == dialect]) for dialect in dialects]


def _part(dialect: str, reasons: list[ReasonShown]) -> Part:
    # No slug has a colon, so that no reason can have the anchor of a group.
    anchor = f"from:{dialect or 'any'}"
    groups = []
    for kind in KINDS:
        mine = sorted((reason for reason in reasons if reason.reason.retry in kind.retries), key=_place)
        if mine:
            groups.append(Group(kind, f"{anchor}:{kind.name}", tuple(mine)))
    return Part(_speaker(dialect), anchor, tuple(groups))


def _place(reason: ReasonShown) -> tuple[bool, str]:
    """By summary, and last what is said when no row fits."""
    return reason.reason is UNKNOWN, reason.summary.casefold()


def _speaker(dialect: str) -> str:
    return SPEAKERS.get(dialect) or dialect.replace("_", " ").title()


def _of_any_vendor(text: str) -> str:
    return SENTENCE_START.sub(r"\1The vendor", text).replace("{vendor}", "the vendor")


@require_safe
def help_sandbox(request: SellerRequest) -> HttpResponse:
    if not settings.IS_LOCAL:
        raise Http404
    return render(request, "orders/help_sandbox.html", {"groups": _triggers()})


def _triggers() -> list[dict[str, Any]]:
    """What the demo's vendor reacts to, in groups: first what is typed into an order, last what only programs send."""
    # Read as files: views import nothing of the vendors'.
    folder = Path(apps.get_app_config("orders").path) / "vendors" / "sandbox"
    groups = json.loads((folder / "triggers.json").read_text())
    groups.insert(0, {"title": "Quantities", "slug": "quantities", "about": "Order so many of anything.", "rows": []})
    rows = {group["slug"]: group["rows"] for group in groups}
    place = {"Quantity": rows["quantities"], "Product id": rows["products"]}
    for row in reversed(json.loads((folder / "magic.json").read_text())):
        place.get(row["where"], rows["customers"]).insert(0, row)
    return list(groups)
