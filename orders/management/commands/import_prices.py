"""`manage.py import_prices FILE`: Microsoft's licence price list, as downloaded."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import pricing
from orders.models import PriceList, Vendor
from orders.price_sheet import Problem


class Command(BaseCommand):
    help = "Import a licence price list (CSV). Nothing of a file with a bad row is imported unless --skip-bad-rows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--vendor", default="microsoft", help="Code of the vendor whose list it is (default microsoft).")
        parser.add_argument("--skip-bad-rows", action="store_true", help="Import the good rows of a file that has bad ones.")
        parser.add_argument(
            "--allow-ending", action="store_true", help="Also a list that ends so many prices that the file may have been cut off."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        vendor = Vendor.objects.filter(code=options["vendor"]).first()
        if vendor is None:
            known = ", ".join(Vendor.objects.order_by("code").values_list("code", flat=True)) or "none yet"
            raise CommandError(f"There is no vendor with the code {options['vendor']}. Known: {known}.")
        try:
            outcome = pricing.import_prices(
                options["file"],
                vendor,
                skip_bad_rows=options["skip_bad_rows"],
                allow_ending=options["allow_ending"],
                progress=self._progress,
            )
        except (pricing.Busy, pricing.Interrupted) as error:
            raise CommandError(str(error)) from None
        self._end_progress()
        for problem in outcome.price_list.problems:
            self.stderr.write(str(Problem(**problem)))
        if outcome.price_list.state != PriceList.State.CURRENT:
            raise CommandError(str(outcome))
        self.stdout.write(str(outcome))

    def _progress(self, doing: str, number: int) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"\r{number:,} rows {doing}", ending="")
            self.stderr.flush()

    def _end_progress(self) -> None:
        if sys.stderr.isatty():
            self.stderr.write("")
