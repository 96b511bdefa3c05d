"""Shells that the worker calls. No rule lives here."""

from django.tasks import task

from orders import purchasing


@task()
def run_attempt(attempt_id: int) -> None:
    purchasing.run(attempt_id)
