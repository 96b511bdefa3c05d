"""One portal for all tests of a module: each makes its own orders, and looks at those only."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

from tests.harness.databases import Database
from tests.harness.portal import Portal
from tests.harness.sandbox import Sandbox
from tests.harness.world import World, build


@dataclass(frozen=True)
class Shop:
    portal: Portal
    world: World

    @property
    def url(self) -> str:
        return self.portal.url


@pytest.fixture(scope="module")
def shop(database: Database, _sandbox: Sandbox, static_files: Path) -> Iterator[Shop]:
    """gunicorn without a worker, on a committed world. Orders move by the verbs that a test calls itself."""
    with database.committed():
        _sandbox.reset()
        portal = Portal(settings.VAR_DIR, database, _sandbox)
        portal.start(worker=False)
        yield Shop(portal, build(_sandbox.url))
        portal.end()
