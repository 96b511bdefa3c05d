"""Check before sending, on the web's side: asks the worker to ask the vendors, and says what they answered. No vendor is called here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse

from orders import clock
from orders.failures import UNKNOWN, Catalogue, Explanation
from orders.models import Failure, Order, OrderLine, Preflight, User, Vendor
from orders.wake import wake

ASK_VENDORS = "orders.tasks.ask_vendors"
# Longer than any asking takes. What is not finished by then was lost, and may be asked for again.
LONGEST = timedelta(minutes=2)


@transaction.atomic
def ask(order: Order, *, by: User) -> Preflight:
    """Have the vendors asked. While they are being asked about the same content, that asking is the answer."""
    now = clock.now()
    same = {"version": order.version, "customer_version": order.customer.version}
    running = order.preflights.filter(finished_at=None, asked_at__gt=now - LONGEST, **same).first()
    if running:
        return running
    preflight = order.preflights.create(asked_by=by, asked_at=now, **same)
    wake(ASK_VENDORS, preflight.pk)
    return preflight


def vendors_of(lines: Iterable[OrderLine]) -> dict[str, Vendor]:
    """The vendors of the lines that have an API, by their codes. Load `offer__vendor` with the lines."""
    return {line.offer.vendor.code: line.offer.vendor for line in lines if line.offer.vendor.capabilities.has_api}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a vendor would refuse; `fix_url` leads to the field, empty when the order has none to correct."""

    explanation: Explanation
    fix_url: str

    @property
    def summary(self) -> str:
        """The catalogue's words; where it has none they would speak of an order that was refused."""
        is_known = self.explanation.reason is not UNKNOWN
        return self.explanation.summary if is_known else f"{self.explanation.vendor} would refuse this"

    @property
    def fix(self) -> str:
        """What to do; nothing was tried yet that could be tried again."""
        return self.explanation.fix.replace(", then retry.", ".").removesuffix(" Then retry.")


@dataclass(frozen=True, slots=True)
class VendorCheck:
    """What the review page shows: who can be asked, and what they said."""

    vendors: str  # "Microsoft and Northgate"
    is_waiting: bool = False
    is_lost: bool = False
    is_old: bool = False  # the order or its customer was changed since
    answered: str = ""
    problems: tuple[Problem, ...] = ()
    trouble: str = ""
    at: datetime | None = None


def of(order: Order, catalogue: Catalogue) -> VendorCheck | None:
    """For an order of for_list(); None when none of its vendors can be asked. One query."""
    vendors = vendors_of(order.lines.all())
    if not vendors:
        return None
    names = _names(vendors.values())
    latest = order.preflights.first()
    if latest is None:
        return VendorCheck(names)
    is_lost = latest.finished_at is None and latest.asked_at <= clock.now() - LONGEST
    return VendorCheck(
        names,
        is_waiting=latest.finished_at is None and not is_lost,
        is_lost=is_lost,
        is_old=(latest.version, latest.customer_version) != (order.version, order.customer.version),
        answered=_names(vendors[code] for code in latest.answered if code in vendors),
        problems=tuple(_problems(order, latest, vendors, catalogue)),
        trouble=latest.trouble,
        at=latest.finished_at,
    )


def _problems(order: Order, preflight: Preflight, vendors: dict[str, Vendor], catalogue: Catalogue) -> Iterator[Problem]:
    """In the catalogue's words, without a query; what the order no longer asks a vendor for is left out."""
    lines = {line.position: (index, line) for index, line in enumerate(order.lines.all())}
    for number, row in enumerate(preflight.problems, start=1):
        vendor = vendors.get(row["vendor"])
        if vendor is None:
            continue
        # Never saved: the catalogue explains failures, and this one has not happened. Its number tells the page's parts apart.
        failure = Failure(pk=number, code=row["code"], http_status=row["http_status"], text=row["text"], field=row["field"])
        reason = catalogue.reason_for(vendor.dialect, failure)
        index, line = lines.get(row["line"] or 0, (0, None))
        explanation = Explanation(failure, reason, vendor.name, (line,) if line else ())
        yield Problem(explanation, _fix_url(order, reason.fix_field, index))


def _fix_url(order: Order, field: str, index: int) -> str:
    """The field on the page of the order or of its customer; `index` is of the line, the first one when the vendor named none."""
    if not field:
        return ""
    if field.startswith("lines-"):
        return f"{reverse('orders:order-edit', args=[order.number])}#id_lines-{index}-{field.removeprefix('lines-')}"
    return f"{reverse('orders:customer-edit', args=[order.customer.code])}#id_{field}"


def _names(vendors: Iterable[Vendor]) -> str:
    names = [vendor.name for vendor in vendors]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
