"""Shells that the worker calls. No rule lives here."""

from django.tasks import task

from orders import hints, notices, preflight, pricing, purchasing


@task()
def run_attempt(attempt_id: int) -> None:
    purchasing.run(attempt_id)


@task()
def ask_vendors(preflight_id: int) -> None:
    preflight.perform(preflight_id)


@task()
def handle_vendor_events() -> None:
    hints.handle_waiting()


@task()
def import_price_list(price_list_id: int, skip_bad_rows: bool, allow_ending: bool = False) -> None:
    pricing.import_upload(price_list_id, skip_bad_rows=skip_bad_rows, allow_ending=allow_ending)


@task()
def send_notices() -> None:
    notices.send_due()
