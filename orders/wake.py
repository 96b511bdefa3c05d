"""Enqueues background work by the dotted path of its task, inside the caller's transaction.

A path, not an import: verbs sit below the tasks that call them. The queue only speeds things up; the sweep finds
whatever a lost task would have done.
"""

from datetime import datetime
from typing import Any

from django.tasks import Task
from django.utils.module_loading import import_string

from orders import clock


def wake(task_path: str, *args: object, at: datetime | None = None) -> None:
    """Enqueue the task with JSON arguments; `at` is the earliest instant to run it, by clock.now()."""
    task: Task[Any, Any] = import_string(task_path)
    # The queue knows real time only, not what a test or the demo added to ours.
    (task.using(run_after=at - clock.offset()) if at else task).enqueue(*args)
