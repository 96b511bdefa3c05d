"""`manage.py worker`: threads of the task queue's own worker, and the sweep loop beside them.

The sweep is a loop of its own and not a task: a kill would end a task for ever. Both survive a locked database; the queue's
worker ends on a long lock, so its thread begins again.
"""

import logging
import signal
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django_tasks_db.management.commands.db_worker import Worker

from orders import notices, purchasing
from orders.guards import refuse_without_guards

log = logging.getLogger(__name__)
PRUNE_SECONDS = 3600


class Command(BaseCommand):
    help = "Send orders to vendors, follow them up, and fire scheduled changes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, default=2, help="Vendor conversations at the same time (default 2).")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_without_guards()
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        workers = [self._worker(number) for number in range(options["threads"])]
        threads = [threading.Thread(target=self._work, args=(worker, stop), daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        self.stdout.write(f"Worker ready, {len(threads)} threads.")
        self._sweep_until(stop)
        for worker in workers:
            worker.running = False
        # A call in flight may finish; what does not is left as `sending` and found by the next worker's sweep.
        deadline = time.monotonic() + settings.PURCHASE_DEADLINE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _worker(self, number: int) -> Worker:
        return Worker(
            queue_names=["*"],
            interval=0.5,
            batch=False,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=f"{purchasing.worker_name()}:{number}"[:64],
            excluded_queue_names=[],
        )

    def _work(self, worker: Worker, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                worker.run()
            except Exception:
                log.exception("The queue's worker ended; it begins again")
                close_old_connections()
                stop.wait(1)

    def _sweep_until(self, stop: threading.Event) -> None:
        next_prune = 0.0
        while not stop.wait(settings.SWEEP_SECONDS):
            try:
                purchasing.sweep()
                notices.sweep()
                if time.monotonic() >= next_prune:
                    call_command("prune_db_task_results", verbosity=0)
                    next_prune = time.monotonic() + PRUNE_SECONDS
            except Exception:
                log.exception("A sweep failed; the next one tries again")
            close_old_connections()
