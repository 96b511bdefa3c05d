"""System checks of our own: `manage.py check --database default` says what `wsgi.py` and the worker refuse to start with."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connections

from orders import guards


def guards_are_installed(app_configs: Any, databases: Sequence[str] | None = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(
            f"Triggers that protect history are missing: {', '.join(sorted(absent))}.",
            hint="Run `manage.py migrate`.",
            id="orders.E001",
        )
        for alias in databases or []
        if (absent := guards.missing(connections[alias]))
    ]


def mail_can_leave(app_configs: Any, **_kwargs: Any) -> list[checks.CheckMessage]:
    if settings.IS_LOCAL or settings.MAIL_HOST:
        return []
    return [checks.Warning("No mail leaves: MAIL_HOST is not set.", hint="README, Running it for real.", id="orders.W001")]


def register_all() -> None:
    checks.register(mail_can_leave, checks.Tags.security, deploy=True)
    checks.register(guards_are_installed, checks.Tags.database)
