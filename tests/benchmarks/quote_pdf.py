"""Makes PDFs of quotes of 60 lines: seconds of the first, which loads the fonts, and of later ones, each with other words.

Other programs take their share of a busy machine, so the processor time stands beside.

uv run python -m tests.benchmarks.quote_pdf [quotes]
"""

import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace

FOLDER = tempfile.TemporaryDirectory(prefix="portal-benchmark-")
os.environ.update(PORTAL_PROFILE="test", PORTAL_VAR=FOLDER.name, DJANGO_SETTINGS_MODULE="portal.settings")

import django  # noqa: E402

django.setup()

from orders.quote_document import Row, Sheet, Sum  # noqa: E402
from orders.quote_pdf import pdf  # noqa: E402


def quote(number: int) -> Sheet:
    """60 lines, with add-ons, discounts and options; titles and amounts are no other quote's."""
    return Sheet(
        number=f"SO-{10_000 + number}",
        revision="Revision 1",
        seller="Harbour Cloud Ltd",
        language="en_GB",
        colour="#0a7d4b",
        customer=(f"Customer {number} Ltd", "Ann Baker", "Keizersgracht 1", "1015 CJ Amsterdam", "Netherlands"),
        facts=(("Date", "23 Nov 2026"), ("Valid until", "23 Dec 2026"), ("Currency", "EUR")),
        note="Prices include education discount. Seats start on the day you accept.",
        rows=tuple(row(number, position) for position in range(1, 61)),
        sums=(Sum("Due on acceptance", f"€ {number}.00"), Sum("First payment", f"€ {number}.21", is_strong=True)),
        tax_note="",
        terms="Payment within 30 days. Seats may be reduced at renewal only.\n\n" * 10,
    )


def row(number: int, position: int) -> Row:
    return Row(
        position=position,
        title=f"Microsoft 365 plan {position} of customer {number}",
        plan="1 year, monthly",
        sku=f"CFQ7TTC0LCHC:{position:04d}",
        vendor="Microsoft",
        quantity=str(position),
        price=f"€ {position}.50",
        per="per month",
        discount=f"5 % off € {position}.60" if position % 3 == 0 else "",
        amount=f"€ {number * position}.00",
        is_optional=position % 7 == 0,
        is_chosen=position % 7 != 0,
        base=position - 1 if position % 5 == 0 else None,
    )


def measured(sheet: Sheet) -> tuple[float, float]:
    """Seconds, and those of the processor."""
    began, worked = time.perf_counter(), time.process_time()
    pdf(sheet, logo=None)
    return time.perf_counter() - began, time.process_time() - worked


def show(label: str, found: list[tuple[float, float]]) -> None:
    seconds, worked = ([round(1000 * one) for one in sorted(times)] for times in zip(*found, strict=True))
    print(
        f"{label}: median {statistics.median(seconds):.0f} ms, {seconds[0]} to {seconds[-1]}; "
        f"processor {statistics.median(worked):.0f} ms, {worked[0]} to {worked[-1]}"
    )


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    show("the first quote of 60 lines", [measured(quote(0))])
    show(f"{number} more, each other words", [measured(quote(index)) for index in range(1, number + 1)])
    same = quote(number)
    show("the last one again", [measured(same) for _ in range(5)])
    show("only its revision changed", [measured(replace(same, revision=f"Revision {index}")) for index in range(2, 7)])
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()}")


if __name__ == "__main__":
    main()
