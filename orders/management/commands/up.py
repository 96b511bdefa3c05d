"""`manage.py up`: the whole portal on this machine, for trying it. Loopback only; the demo profile is chosen in manage.py."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from orders.management import demo
from orders.management.supervisor import Child, Say, supervise


class Command(BaseCommand):
    help = "Make the database, load the demo, and run web, worker and sandbox vendor until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--sandbox-port", type=int, default=8787)
        parser.add_argument("--fresh", action="store_true", help="Remove all of var/ first: database, keys, the sandbox's ledger.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.IS_DEMO:
            raise CommandError(f"`up` runs the demo profile only, and PORTAL_PROFILE is {settings.PROFILE}. Production: see README.")
        port, sandbox_port = options["port"], options["sandbox_port"]
        for number, option in ((port, "--port"), (sandbox_port, "--sandbox-port")):
            _refuse_busy(number, option)
        if options["fresh"]:
            # The keys were read when the settings loaded; a new process makes new ones.
            shutil.rmtree(settings.VAR_DIR, ignore_errors=True)
            _begin_again()
        _refuse_unwritable(settings.VAR_DIR)
        say = Say()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        is_new = demo.load(sandbox_url=f"http://127.0.0.1:{sandbox_port}")
        connections.close_all()
        say("Demo data loaded." if is_new else "Kept the data that was there. `--fresh` begins anew.")
        say(
            f"\n  Seller Portal   http://127.0.0.1:{port}/"
            f"\n  Staff admin     http://127.0.0.1:{port}/admin/"
            f"\n\n  Sign in with (password of all: {demo.PASSWORD})"
        )
        for email, role in demo.LOGINS:
            say(f"    {email:<28} {role}")
        say("\n  Ctrl-C stops everything.\n")
        supervise(_children(port, sandbox_port), say)
        say("Stopped.")


def _children(port: int, sandbox_port: int) -> list[Child]:
    """Stopped in this order: first no new requests, then no new calls, then the vendor."""
    web = [
        sys.executable, "-m", "gunicorn", "portal.wsgi", "-b", f"127.0.0.1:{port}", "-w", "2", "--threads", "4",
        "--graceful-timeout", "5", "--no-control-socket", "--log-level", "warning",
    ]  # fmt: skip
    worker = [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"]
    sandbox = [
        sys.executable, "-m", "orders.vendors.sandbox", "--port", str(sandbox_port),
        "--ledger", str(settings.VAR_DIR / "sandbox.sqlite3"), "--clock-file", str(settings.CLOCK_FILE),
    ]  # fmt: skip
    env = {"PORTAL_PROFILE": "demo", "DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONPATH": str(settings.BASE_DIR)}
    env["PORTAL_URL"] = f"http://127.0.0.1:{port}"
    return [
        Child("web", web, env),
        Child("worker", worker, env),
        Child("sandbox vendor", sandbox, env | demo.sandbox_environment()),
    ]


def _refuse_busy(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandError(f"Port {port} is taken by another program. Choose another with {option}.") from None


def _refuse_unwritable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".probe").write_text("")
        (folder / ".probe").unlink()
    except OSError as error:
        raise CommandError(f"The folder {folder} can't be written: {error.strerror}. The portal keeps its data there.") from None


def _begin_again() -> None:
    """Start this command once more, without --fresh, in a process that makes new keys."""
    os.execv(sys.executable, [sys.executable, *(word for word in sys.argv if word != "--fresh")])  # noqa: S606
