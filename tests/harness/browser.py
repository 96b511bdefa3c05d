"""A real browser, and a page that reports whatever its console complains about."""

import os
import re
import shutil
from pathlib import Path

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page

from orders.models import User
from tests.harness.portal import Portal
from tests.harness.world import PASSWORD

NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chrome", "chromium-browser")
PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium")
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
    "--password-store=basic",
)


def executable(browser_type: BrowserType) -> str:
    """An installed Chrome or Chromium, else Playwright's own; raises FileNotFoundError that says what to do."""
    for found in (*map(shutil.which, NAMES), *PLACES, browser_type.executable_path):
        if found and Path(found).exists():
            return found
    raise FileNotFoundError("The browser tests need Chrome or Chromium: install one, or run `uv run playwright install chromium`.")


def launch_arguments() -> list[str]:
    return [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


class Problems:
    """What the console, the page's scripts and the content security policy complained about."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """Declare a complaint that the test provokes, as a regular expression; call it before or after it happens."""
        self._allowed.append(re.compile(pattern))

    def watch(self, page: Page) -> None:
        page.on(
            "console",
            lambda message: self._note(f"console {message.type}: {message.text}") if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: self._note(f"page error: {error}"))

    @property
    def unexpected(self) -> list[str]:
        return [seen for seen in self._seen if not any(pattern.search(seen) for pattern in self._allowed)]

    def _note(self, text: str) -> None:
        self._seen.append(text)


def watched_context(browser: Browser, problems: Problems, **options: object) -> BrowserContext:
    """A browser's own world (cookies, cache, size); what its pages complain about goes to `problems`.

    Without movement: a card on its way is pressed where it no longer is, and has colours that are on no page.
    """
    own = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "reduced_motion": "reduce"}
    context = browser.new_context(**{**own, **options})
    context.set_default_timeout(10_000)
    context.on("page", problems.watch)
    return context


def sign_in(page: Page, portal: Portal, email: str, password: str = PASSWORD) -> None:
    """Through the sign-in page, as a person would."""
    page.goto(f"{portal.url}/signin/")
    page.locator("input[name=username]").fill(email)
    page.locator("input[name=password]").fill(password)
    with page.expect_navigation():
        page.locator("input[name=password]").press("Enter")


def session_key(user: User) -> str:
    """A session of the user, made in the database."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def signed_in(context: BrowserContext, portal: Portal, user: User) -> None:
    """Sign the whole browser context in without the page; saves half a second where signing in is not what is tested."""
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_key(user), "url": portal.url, "httpOnly": True}])
