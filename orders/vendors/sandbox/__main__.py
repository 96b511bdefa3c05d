"""Start the sandbox vendor: `python -m orders.vendors.sandbox --port 8787 --ledger FILE`.

The credentials it accepts come from the environment: SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET and SANDBOX_TENANTS
(a comma list of partner tenant ids; each has its own customers and orders).  SANDBOX_REFRESH_TOKEN, if it is set, is the
refresh token that a person's consent gave.
"""

import argparse
import os
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType

from . import rules, triggers
from .clock import VirtualClock
from .faults import Faults
from .ledger import Ledger
from .server import SandboxServer
from .state import CallLog, Sandbox, Settings

LOOPBACK = ("127.0.0.1", "::1")


def main() -> int:
    """Run until a signal; the result is the exit code."""
    options = _options()
    if options.print_magic:
        sys.stdout.write(rules.printed_magic())
        return 0
    if options.print_triggers:
        sys.stdout.write(triggers.printed_triggers())
        return 0
    if options.bind not in LOOPBACK:
        return _sorry("The sandbox vendor listens on this machine only: --bind must be 127.0.0.1 or ::1.")
    try:
        settings = _settings(options)
    except ValueError as problem:
        return _sorry(str(problem))
    try:
        ledger = Ledger(options.ledger)
    except sqlite3.Error as problem:
        return _sorry(f"The ledger {options.ledger} cannot be opened: {problem}.")
    with ledger.transaction():
        offset = float(ledger.meta("clock_offset", "0"))
    clock = VirtualClock(offset, lambda seconds: ledger.set_meta("clock_offset", str(seconds)), options.clock_file)
    sandbox = Sandbox(settings, ledger, clock, Faults(), CallLog())
    try:
        server = SandboxServer((options.bind, options.port), sandbox)
    except (OSError, OverflowError) as problem:
        ledger.close()
        return _sorry(f"The sandbox vendor cannot listen on port {options.port}: {getattr(problem, 'strerror', None) or problem}.")
    _serve(server, options.bind)
    server.server_close()
    ledger.close()
    return 0


def _serve(server: SandboxServer, bind: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    host = f"[{bind}]" if ":" in bind else bind
    try:
        print(f"sandbox vendor on http://{host}:{server.server_port}", flush=True)
        server.serve_forever(poll_interval=0.2)
    except SystemExit:
        # A second signal during the clean-up must not turn a clean exit into a traceback.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:
    # Not server.shutdown(): it waits for the serving loop, which is the very thread a signal handler runs in.
    raise SystemExit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orders.vendors.sandbox", description="A stand-in for Microsoft Partner Center.")
    parser.add_argument("--bind", default="127.0.0.1", help="127.0.0.1 (default) or ::1")
    parser.add_argument("--port", type=int, default=8787, help="0 picks a free port")
    parser.add_argument("--ledger", type=Path, default=Path("sandbox-vendor.sqlite3"), help="the vendor's own database file")
    parser.add_argument("--provisioning-seconds", type=float, default=3.0, help="how long a normal order is pending")
    parser.add_argument("--slow-seconds", type=float, default=60.0, help="how long a slow order is pending (quantity 202)")
    parser.add_argument(
        "--action-seconds",
        type=float,
        default=90.0,
        help="how long an order waits for a document (quantity 428), and a customer takes to accept the agreement (13605)",
    )
    parser.add_argument(
        "--calls-per-minute", type=int, default=0, help="how many calls a tenant may make in a virtual minute; 0 (default) for any number"
    )
    parser.add_argument(
        "--account-limits", action="store_true", help="keep the limits of a sandbox account: 75 customers, 5 subscriptions, 25 seats"
    )
    parser.add_argument("--wants-person", action="store_true", help="refuse standing and agreements to a token without a person's consent")
    parser.add_argument("--clock-file", type=Path, help="a file with whole seconds to add to the vendor's clock")
    parser.add_argument("--print-magic", action="store_true", help="print the magic values as JSON and leave")
    parser.add_argument("--print-triggers", action="store_true", help="print all other triggers as JSON and leave")
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> Settings:
    secret = os.environ.get("SANDBOX_CLIENT_SECRET", "")
    client = os.environ.get("SANDBOX_CLIENT_ID", "")
    tenants = frozenset(name.strip().lower() for name in os.environ.get("SANDBOX_TENANTS", "").split(",") if name.strip())
    if not secret:
        raise ValueError("The sandbox vendor needs a secret: set SANDBOX_CLIENT_SECRET.")
    if not client or not tenants:
        raise ValueError("The sandbox vendor needs SANDBOX_CLIENT_ID and SANDBOX_TENANTS (a comma list of partner tenant ids).")
    if min(options.provisioning_seconds, options.slow_seconds, options.action_seconds, options.calls_per_minute) < 0:
        raise ValueError("The times and the limit must not be negative.")
    return Settings(
        client,
        secret,
        tenants,
        options.provisioning_seconds,
        options.slow_seconds,
        options.action_seconds,
        os.environ.get("SANDBOX_REFRESH_TOKEN", ""),
        options.calls_per_minute,
        options.account_limits,
        options.wants_person,
    )


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
