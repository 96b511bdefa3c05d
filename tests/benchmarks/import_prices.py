"""Imports 200,000 generated rows into a new SQLite database: seconds, longest write transactions, peak memory, load.

Between the lock and the commit a busy machine adds its own waits, so the processor time of a transaction stands beside.

uv run python -m tests.benchmarks.import_prices [rows]
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

FOLDER = tempfile.TemporaryDirectory(prefix="portal-benchmark-")
os.environ.update(PORTAL_PROFILE="test", PORTAL_VAR=FOLDER.name, DJANGO_SETTINGS_MODULE="portal.settings")

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from orders import pricing  # noqa: E402
from orders.models import Vendor  # noqa: E402
from tests.harness.price_lists import row  # noqa: E402

PLANS = (("P1M", "Monthly"), ("P1Y", "Monthly"), ("P1Y", "Annual"), ("P3Y", "Annual"), ("P3Y", "Triennial"))
MARKETS = (("NL", "EUR"), ("BE", "EUR"), ("GB", "GBP"), ("US", "USD"))


def generated(number: int, price: str = "48") -> Iterator[dict[str, str]]:
    for index in range(number):
        offer, rest = divmod(index, len(PLANS) * len(MARKETS))
        (term, plan), (market, currency) = PLANS[rest % len(PLANS)], MARKETS[rest // len(PLANS)]
        changes = {
            "ERP": price if index % 10 == 0 else "48",
            "TermDuration": term,
            "BillingPlan": plan,
            "Market": market,
            "Currency": currency,
        }
        yield row(ProductId=f"CFQ7T{offer:07d}", SkuTitle=f"Plan {offer}", SkuDescription="Words about the offer. " * 12, **changes)


class Timed:
    """In place of django.db.transaction inside the importer."""

    held: ClassVar[list[tuple[float, float]]] = []  # seconds, and those of the processor

    @staticmethod
    @contextmanager
    def atomic() -> Iterator[None]:
        with transaction.atomic():
            # BEGIN IMMEDIATE has the lock from here on; the commit at the end counts too.
            began, worked = time.monotonic(), time.process_time()
            yield
        Timed.held.append((time.monotonic() - began, time.process_time() - worked))


def measure(label: str, path: Path, vendor: Any) -> None:
    Timed.held.clear()
    began = time.monotonic()
    outcome = pricing.import_prices(path, vendor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{label}: {outcome}")
    held, worked = (sorted(found) for found in zip(*Timed.held, strict=True))
    most = len(held) * 99 // 100
    print(
        f"  {time.monotonic() - began:.1f} s in all, {len(held)} write transactions: longest {held[-1]:.3f} s, 99 % {held[most]:.3f} s, "
        f"processor {worked[-1]:.3f} s; peak memory of the process {peak:.0f} MB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()}"
    )


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    call_command("migrate", verbosity=0)
    vendor = Vendor.objects.create(code="microsoft", name="Microsoft", connector="partner_center")
    pricing.transaction = Timed  # type: ignore[attr-defined]
    folder = Path(FOLDER.name)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB before the first import")
    first = folder / "first.csv"
    for path, price in ((first, "48"), (folder / "second.csv", "50")):
        stream(path, number, price)
    measure("empty database", first, vendor)
    measure("the same again", first, vendor)
    measure("a tenth changed", folder / "second.csv", vendor)


def stream(path: Path, number: int, price: str) -> None:
    import csv

    from orders.price_sheet import COLUMNS

    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(generated(number, price))
        # Else the system writes the list to the disk half a minute later, and a commit of the import waits for it.
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
