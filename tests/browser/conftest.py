"""One portal for all tests of a module: each makes its own orders, and looks at those only."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

from tests.harness.databases import Database
from tests.harness.portal import PATIENT, Portal
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, build
from tests.harness.zygote import Zygote


@dataclass(frozen=True)
class Shop:
    portal: Portal
    world: World

    @property
    def url(self) -> str:
        return self.portal.url


@contextmanager
def opened(database: Database, sandbox: Sandbox, zygote: Zygote, *, worker: bool) -> Iterator[Shop]:
    """The portal on a committed world, beside an empty vendor."""
    with database.committed():
        sandbox.reset()
        portal = Portal(settings.VAR_DIR, database, sandbox, zygote, **PATIENT)
        try:
            portal.start(worker=worker)
            yield Shop(portal, build(sandbox.url))
        finally:
            portal.end()


@pytest.fixture(scope="module")
def shop(database: Database, _sandbox: Sandbox, static_files: Path, zygote: Zygote) -> Iterator[Shop]:
    """gunicorn without a worker, on a committed world. Orders move by the verbs that a test calls itself."""
    with opened(database, _sandbox, zygote, worker=False) as shop:
        yield shop
