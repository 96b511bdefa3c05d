"""A pytest plugin that is loaded before pytest-django reads the settings (`-p tests.early` in pyproject.toml).

Whatever the shell says, tests run with the test profile, a run-time folder of their own for each process, and no
database of the shell's.
"""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ["PORTAL_PROFILE"] = "test"
# Playwright's sync API keeps an event loop on the main thread, where Django would refuse every query.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
for name in ("DATABASE_URL", "SECRET_KEY", "CREDENTIAL_KEYS", "PURCHASE_DEADLINE_SECONDS", "PURCHASE_LEASE_SECONDS", "SWEEP_SECONDS"):
    os.environ.pop(name, None)
    os.environ.pop(f"{name}_FILE", None)
VAR = os.environ["PORTAL_VAR"] = tempfile.mkdtemp(prefix="portal-tests-")
# For a start that fails early; xdist's workers end without it.
atexit.register(shutil.rmtree, VAR, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    shutil.rmtree(VAR, ignore_errors=True)
