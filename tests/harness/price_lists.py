"""Price lists for tests, in the form of Microsoft's."""

import csv
from pathlib import Path

from orders.price_sheet import COLUMNS

ROW = {
    "ChangeIndicator": "Unchanged",
    "ProductTitle": "Mail",
    "ProductId": "CFQ7TTC0TEST",
    "SkuId": "2",
    "SkuTitle": "Mail Plan 1",
    "Publisher": "Microsoft Corporation",
    "SkuDescription": "Mail for everybody, with a calendar.",
    "TermDuration": "P1Y",
    "BillingPlan": "Monthly",
    "Market": "NL",
    "Currency": "EUR",
    "UnitPrice": "38.4",
    "EffectiveStartDate": "2024-05-01T00:00:00.0000000Z",
    "EffectiveEndDate": "9999-11-30T23:59:59.0000000Z",
    "Tags": "License",
    "ERP Price": "48",
    "Segment": "Commercial",
}


def row(**changes: str) -> dict[str, str]:
    """One good row, with other values for the columns named; ERP stands for “ERP Price”."""
    return {**ROW, **{"ERP Price" if name == "ERP" else name: value for name, value in changes.items()}}


def rows(number: int, **changes: str) -> list[dict[str, str]]:
    """So many offers with one price each."""
    return [row(**{"ProductId": f"CFQ7TTC{index:05d}", "SkuTitle": f"Plan {index}", **changes}) for index in range(number)]


def write(
    path: Path, *found: dict[str, str], encoding: str = "utf-8-sig", delimiter: str = ",", columns: tuple[str, ...] = COLUMNS
) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(found)
    return path
