"""Starts `python -m tests.proof` on the test's database and reads what it found."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.harness.databases import Database
from tests.harness.portal import PATIENT
from tests.harness.processes import ROOT, die_with_parent, environment


def proof(database: Database, var: Path, *arguments: str) -> dict[str, Any]:
    """The database is left as it then is; what is in it must be committed."""
    database.disconnect()
    done = subprocess.run(
        [sys.executable, "-m", "tests.proof", *arguments],
        cwd=ROOT,
        env=environment(DATABASE_URL=_address(database, var), PORTAL_VAR=str(var), **PATIENT),
        stdin=subprocess.DEVNULL,
        # How far it is and what it complains about goes where the test's own words go: to the terminal with -s.
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=die_with_parent,
    )
    assert done.returncode == 0, "It ended with an error; what it said stands among what the test wrote."
    return dict(json.loads(done.stdout))


def _address(database: Database, var: Path) -> str:
    """A database that is a file is copied beside the rest, into memory."""
    if database.kind != "sqlite":
        return database.url
    copy = var / "portal.sqlite3"
    shutil.copyfile(database.url.removeprefix("sqlite://"), copy)
    return f"sqlite://{copy}"
