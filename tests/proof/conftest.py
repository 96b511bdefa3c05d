"""The run-time folder of what the proof runs in processes of their own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def var() -> Iterator[Path]:
    """In memory where there is a folder for it: SIGKILL loses nothing that was written, on disk or not."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="portal-proof-", dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
