"""System checks of our own: `manage.py check --database default` says what `wsgi.py` and the worker refuse to start with."""

from collections.abc import Sequence
from typing import Any

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


def register_all() -> None:
    checks.register(guards_are_installed, checks.Tags.database)
