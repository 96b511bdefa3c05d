"""Shells that the worker calls. No rule lives here."""

from django.tasks import task

from orders import notices, purchasing


@task()
def run_attempt(attempt_id: int) -> None:
    purchasing.run(attempt_id)


@task()
def send_notices() -> None:
    notices.send_due()
