"""What the failure catalogue means, read from its seed file: for connectors under test, which have no database."""

from orders.failures import catalogue_rows, meaning_of_row
from orders.models import FailureReason
from orders.vendors.contract import Meaning, Meanings


def meanings(dialect: str) -> Meanings:
    rows = [FailureReason(**row) for row in catalogue_rows() if row.get("dialect") == dialect]
    found: dict[tuple[int, str], Meaning] = {(row.http_status, row.code): meaning_of_row(row) for row in rows}
    return lambda http_status, code: found.get((http_status or 0, code)) or found.get((0, code))
