"""`python -m tests.proof`: a kill sweep in a process of its own, on the database of DATABASE_URL, which must be migrated.

The tests start it (test_kill_sweep.py); by hand use pytest with --sweep, which also makes the database.
"""

import argparse
import json
import sys

import django
from django.conf import settings


def main() -> int:
    options = _options()
    # A child opens its own connection; a pool would bring threads along.
    settings.DATABASES["default"]["OPTIONS"].pop("pool", None)
    django.setup()
    # Django must be up before the flows are imported.
    from tests.proof import stage

    with stage.Stage() as made:
        result = made.race(options) if options.races else made.mutate(options) if options.mutant else made.sweep(options)
    json.dump(result, sys.stdout)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("--flow", action="append", default=[], help="only this one; may be given again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--total", type=int, default=0, help="points over all flows")
    parser.add_argument("--each", type=int, default=0, help="points for every flow; with neither, all there are")
    parser.add_argument("--mutant", action="append", default=[], help="with this naive variant; may be given again")
    parser.add_argument("--races", type=int, default=0, help="no sweep, but so many races of two workers for one attempt")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
