"""What the failure catalogue means, read from its seed files: for connectors under test, which have no database."""

from orders.failures import catalogue_rows, meanings_in
from orders.models import FailureReason
from orders.vendors.contract import Meanings


def meanings(dialect: str) -> Meanings:
    return meanings_in(FailureReason(**row) for row in catalogue_rows() if row.get("dialect") == dialect)
