"""The clock: the database's time, and what tests and the demo add to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from orders import clock as time
from tests.harness.clock import Clock
from tests.harness.databases import Database


def test_now_is_aware_and_in_utc(db: None) -> None:
    before = datetime.now(UTC)
    now = time.now()
    assert now.utcoffset() == timedelta()
    # Both servers of the tests share this machine's clock.
    assert before - timedelta(seconds=1) <= now <= datetime.now(UTC) + timedelta(seconds=1)


def test_time_goes_on_within_a_transaction(db: None) -> None:
    with transaction.atomic():
        first = time.now()
        assert time.now() > first


def test_advancing_moves_this_process(db: None, clock: Clock) -> None:
    before = time.now()
    clock.advance(days=3)
    clock.advance(minutes=20)
    assert timedelta(days=3, minutes=20) <= time.now() - before < timedelta(days=3, minutes=21)


def test_without_a_file_nothing_is_added(tmp_path: Path, settings) -> None:
    settings.CLOCK_FILE = tmp_path / "clock"
    assert time.offset() == timedelta()


def test_production_adds_nothing_whatever_the_file_says(clock: Clock, settings) -> None:
    clock.advance(days=1)
    settings.CLOCK_FILE = None
    assert time.offset() == timedelta()


@pytest.mark.django_db
def test_postgresql_is_asked_and_an_embedded_database_is_not(database: Database, django_assert_num_queries) -> None:
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 0):
        time.now()
