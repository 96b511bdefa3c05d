"""Fixtures and rules of the suite.

Which to ask for:
  db, or @pytest.mark.django_db   a transaction that is rolled back; fast; no threads and no other processes
  committed_db                    real commits, threads, processes; the database is put back from its template
  world                           two sellers, vendors, offers and customers, in whichever of the two the test has
  clock                           moves the portal's and the sandbox's time together
  vendor                          the sandbox vendor, empty; a violation of its contract fails the test
  web, portal                     gunicorn, or gunicorn and the worker, beside the vendor
  client                          Django's test client, with the static files collected
  page, context, problems         a browser; any complaint of its console fails the test
"""

import gc
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from unittest.mock import patch

import django.test
import hypothesis
import pytest
import whitenoise.middleware
from django.conf import settings as product_settings
from django.core.management import call_command
from django.template import Template
from django.test.utils import _TestState, override_settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.harness import browser as browsers
from tests.harness import processes
from tests.harness.clock import Clock
from tests.harness.databases import KINDS, Database, PostgreSQL, SQLite
from tests.harness.portal import Portal
from tests.harness.postgres import Server
from tests.harness.sandbox import Sandbox
from tests.harness.world import NOWHERE, World, build
from tests.harness.zygote import Zygote

REAL_COMMITS = (
    "Our triggers refuse the flush that follows transaction=True, transactional_db, live_server and Django's TestCase classes: "
    "write a function and ask for committed_db (real commits) or portal (a real server)."
)

# No deadline and no watch on slow generation: how long a case takes says nothing on a busy machine.
# No database: a run leaves nothing behind.
hypothesis.settings.register_profile("portal", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("portal")

DATABASE_IN_ID = re.compile(rf"[\[-]({'|'.join(KINDS)})[\]-]")

# --- options


def pytest_addoption(parser: pytest.Parser) -> None:
    proof = parser.getgroup("proof", "the proof that nothing is bought twice or lost (README, “Proving it”)")
    proof.addoption(
        "--sweep", default="", metavar="N|all", help="kill points for each flow, or all there are; else a sample over all flows"
    )
    proof.addoption("--sweep-seed", type=int, default=0, metavar="SEED", help="the random offset of an earlier sweep, to run it again")
    proof.addoption("--flow", action="append", default=[], metavar="NAME", help="sweep only this flow; may be given again")
    proof.addoption("--fleet", type=float, default=0, metavar="SECONDS", help="kill workers at random for so long, on each database")
    proof.addoption("--mutants", action="store_true", help="sweep each mutant through all its flows, not only where it is caught")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the proofs counted, with the seeds to repeat them; also when all went well."""
    for report in (one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, [])):
        for name, text in getattr(report, "user_properties", ()):
            if name == "proof" and report.when == "call":
                terminalreporter.write_line(str(text))


# --- both databases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever touches a database runs once on each; what only a browser can tell, or only the stricter database, on one."""
    if next(metafunc.definition.iter_markers("django_db"), None) and "database" not in metafunc.fixturenames:
        metafunc.fixturenames.append("database")
    if "database" in metafunc.fixturenames:
        one = {"appearance": KINDS[:1], "vendor_faults": KINDS[:1], "pages": KINDS[1:]}
        kinds = next((kinds for name, kinds in one.items() if next(metafunc.definition.iter_markers(name), None)), KINDS)
        metafunc.parametrize("database", kinds, indirect=True, scope="session")


# Modules that take a minute or more. They begin first, so that no worker is left alone with one while the others have nothing to do.
LONG = (
    "tests/browser/test_reach.py", "tests/views/test_forms.py", "tests/proof/", "tests/test_walls.py", "tests/test_up.py", "tests/browser/",
    "tests/test_kill.py", "tests/test_history.py", "tests/views/test_order_list.py", "tests/views/test_submissions.py", "tests/vendors/", "tests/sandbox/",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((index for index, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A module's tests on one database keep to one worker, because they may share what they committed.

    xdist 3.8 has --dist loadgroup for this, which groups nothing under pytest 9.2 (pytest-xdist issue 1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByDatabase(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            found = DATABASE_IN_ID.search(nodeid)
            return f"{nodeid.partition('::')[0]} on {found[1]}" if found else nodeid

    return ByDatabase(config, log)


def pytest_collection_finish() -> None:
    """What has been imported stays until the end: nobody needs to look again and again whether it may go."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True, scope="session")
def _templates_are_not_recorded(django_test_environment: None) -> Iterator[None]:
    """Django's test environment keeps a copy of every context of every template. We read what a reader reads: the page."""
    with patch.object(Template, "_render", _TestState.saved_data.template_render):
        yield


@pytest.fixture(scope="session")
def _built() -> Iterator[dict[str, Database]]:
    """The databases that this process has built; it goes from one to the other and back."""
    built: dict[str, Database] = {}
    yield built
    for made in built.values():
        made.leave()


@pytest.fixture(scope="session")
def database(
    request: pytest.FixtureRequest, _built: dict[str, Database], django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """The database of this run of the test: `kind` is sqlite or postgresql, `url` is for other processes."""
    made = _built.get(request.param)
    if made is None:
        if request.param == "sqlite":
            made = SQLite(django_db_blocker, product_settings.VAR_DIR)
        else:
            made = PostgreSQL(django_db_blocker, request.getfixturevalue("postgres_server"))
        made.build()
        _built[request.param] = made
    made.enter()
    yield made
    made.leave()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_setup(database: Database) -> None:
    """In place of pytest-django's: the database is there and migrated."""


@pytest.fixture
def committed_db(database: Database) -> Iterator[Database]:
    """Real commits. Afterwards the database is a new copy of the template."""
    with database.committed():
        yield database


@pytest.fixture
def transactional_db() -> None:
    pytest.fail(REAL_COMMITS, pytrace=False)


@pytest.fixture(scope="session")
def live_server() -> None:
    pytest.fail(REAL_COMMITS, pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("django_db")
    flushes = marker is not None and (marker.kwargs.get("transaction") or marker.kwargs.get("reset_sequences") or True in marker.args[:2])
    test_class = getattr(item, "cls", None)
    if flushes or (test_class and issubclass(test_class, django.test.TransactionTestCase)):
        pytest.fail(REAL_COMMITS, pytrace=False)


# --- a world to act in


@pytest.fixture(autouse=True)
def _epoch_as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is rolled back was not sent: the file that outlives databases must not remember it (orders/epoch.py).

    What a test commits stays, for its module or until its database is put back, and the file with it.
    """
    has = set(request.fixturenames)
    if "committed_db" in has or not (has & {"db", "world"} or request.node.get_closest_marker("django_db")):
        yield
        return
    file = product_settings.EPOCH_FILE
    before = file.read_bytes() if file.exists() else None
    yield
    if before is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(before)


@pytest.fixture
def world(request: pytest.FixtureRequest, database: Database) -> World:
    """Committed when the test commits, in the rolled-back transaction otherwise; its vendors are the sandbox when there is one."""
    has = set(request.fixturenames)
    request.getfixturevalue("committed_db" if "committed_db" in has else "db")
    if _shares_world(request):
        shared: World = database.shared()
        return shared
    vendor: Sandbox | None = request.getfixturevalue("vendor") if "vendor" in has else None
    return build(vendor.url if vendor else NOWHERE)


@pytest.fixture
def _world_around(request: pytest.FixtureRequest, database: Database) -> None:
    """The world is the same for all tests that roll back and have no vendor: it waits in a transaction around theirs."""
    if _shares_world(request):
        database.share(build)
    else:
        database.end_sharing()


@pytest.fixture
def _django_db_helper(_world_around: None, _django_db_helper: None) -> None:
    """pytest-django's own, inside what is around it."""


def _shares_world(request: pytest.FixtureRequest) -> bool:
    found = request.node._fixtureinfo.name2fixturedefs.get("world", ())
    return bool(found) and found[-1].func is world.__wrapped__ and not {"committed_db", "vendor"} & set(request.fixturenames)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with Clock(product_settings.CLOCK_FILE) as made:
        yield made


# --- processes


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(product_settings.VAR_DIR)
    yield sandbox
    sandbox.end()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.end()


@pytest.fixture
def vendor(_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox vendor, empty; at the end nothing of ours may have broken its contract."""
    _sandbox.reset()
    yield _sandbox
    assert _sandbox.violations() == []


@pytest.fixture
def _stopped_portal(vendor: Sandbox, committed_db: Database, clock: Clock, static_files: Path, zygote: Zygote) -> Iterator[Portal]:
    portal = Portal(product_settings.VAR_DIR, committed_db, vendor, zygote)
    yield portal
    portal.end()
    # What a killed worker left held open must not reach the next test.
    vendor.clear_faults()
    vendor.release()


@pytest.fixture
def web(_stopped_portal: Portal) -> Portal:
    """gunicorn on the committed database, without a worker (`web.worker.start()` brings one)."""
    _stopped_portal.start(worker=False)
    return _stopped_portal


@pytest.fixture
def portal(_stopped_portal: Portal) -> Portal:
    """gunicorn and the worker on the committed database, beside the sandbox vendor."""
    _stopped_portal.start()
    return _stopped_portal


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "vendor" in getattr(item, "fixturenames", ()):
        report.sections += [(f"log of {process.name}", process.tail()) for process in processes.STARTED]
    return report


# --- pages


@pytest.fixture(scope="session")
def static_files() -> Path:
    """Collected once: pages name their files by content hash. Compressing them takes seconds and proves nothing here."""
    with override_settings(WHITENOISE_SKIP_COMPRESS_EXTENSIONS=("css", "js", "svg", "txt", "json", "woff2", "png", "md")):
        call_command("collectstatic", verbosity=0, interactive=False)
    return product_settings.STATIC_ROOT


@pytest.fixture(autouse=True, scope="session")
def _static_files_are_listed_once() -> Iterator[None]:
    """Each new test client loads the middleware, and WhiteNoise would look at every collected file each time."""
    listed: dict[str, object] = {}
    add_files = whitenoise.middleware.WhiteNoiseMiddleware.add_files

    def once(self: whitenoise.middleware.WhiteNoiseMiddleware, root: str, prefix: str | None = None) -> None:
        key = f"{root} {prefix} {Path(root).stat().st_mtime_ns if Path(root).exists() else 0}"
        if key not in listed:
            add_files(self, root, prefix)
            listed[key] = dict(self.files)
        self.files.update(listed[key])

    with patch.object(whitenoise.middleware.WhiteNoiseMiddleware, "add_files", once):
        yield


@pytest.fixture
def client(static_files: Path) -> django.test.Client:
    return django.test.Client()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            program = browsers.executable(playwright.chromium)
        except FileNotFoundError as missing:
            pytest.fail(str(missing), pytrace=False)
        found = playwright.chromium.launch(executable_path=program, args=browsers.launch_arguments())
        yield found
        found.close()


@pytest.fixture
def problems() -> browsers.Problems:
    """`problems.allow(pattern)` declares what a test provokes on purpose."""
    return browsers.Problems()


@pytest.fixture
def new_context(browser: Browser, problems: browsers.Problems) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts (a second person, another size, no script); every page in them is watched."""
    opened: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        opened.append(browsers.watched_context(browser, problems, **options))
        return opened[-1]

    yield make
    for context in opened:
        context.close()
    assert problems.unexpected == []


@pytest.fixture
def context(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    return new_context()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page; any error or warning of its console, script or content security policy fails the test."""
    return context.new_page()
