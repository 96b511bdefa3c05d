"""What every answer carries, whoever asks and whatever it is: the policy, the headers, careful cookies, and nothing inline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings

from orders import lifecycle
from orders.models import Order
from tests.harness.world import World
from tests.test_walls import paths
from tests.walls import scene as scenes
from tests.walls.markup import complaints, is_elsewhere
from tests.walls.pages import HtmlPage, body_of
from tests.walls.scene import Scene
from tests.walls.urls import addresses

pytestmark = pytest.mark.pages

# Literal, so that a change of the settings shows here.
POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "font-src": "'self'", "connect-src": "'self'",
    "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
}  # fmt: skip
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture
def scene(world: World, static_files: Path) -> Scene:
    made = scenes.build(world)
    # Words that would show as elements, handlers and styles wherever somebody forgot to escape.
    hostile = "\"><img src=//evil.example/x onerror=alert(1) style='x'><script>1</script>"
    Order.objects.filter(pk=made.own["draft"].pk).update(reference=hostile[:60])
    lifecycle.add_note(made.own["draft"], hostile, by=world.harbour.manager)
    return made


def policy(response: Any) -> dict[str, str]:
    parts = response.headers.get("Content-Security-Policy", "").split(";")
    return {words[0]: " ".join(words[1:]) for part in parts if (words := part.split())}


def wrong_with(response: Any, *, is_signed_in: bool) -> list[str]:
    """What the answer lacks or has too much of; empty when all is well."""
    found = []
    if policy(response) != POLICY:
        found.append(f"the policy is {policy(response)}")
    headers = HEADERS
    if response.request["PATH_INFO"].startswith("/join/") and response.status_code not in {404, 405}:
        # Its address lets somebody in. "same-origin" would tell it to our own other pages; a test of its own looks at the rest.
        headers = HEADERS | {"Referrer-Policy": "strict-origin"}
    if response.request["PATH_INFO"].startswith("/q/") and response.status_code != 405:
        # The address alone lets somebody read and answer: it goes nowhere, and neither into an index nor into a cache.
        headers = HEADERS | {
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex, nofollow, noarchive",
            "Cache-Control": "no-store, private",
        }
    found += [f"{name} is {response.headers.get(name)!r}" for name, value in headers.items() if response.headers.get(name) != value]
    # A permanent redirect to the address with its slash holds nothing of anybody.
    if is_signed_in and response.status_code != 301 and "no-store" not in response.headers.get("Cache-Control", ""):
        found.append(f"a signed-in page may be stored: Cache-Control is {response.headers.get('Cache-Control')!r}")
    for name, cookie in response.cookies.items():
        if not cookie.value and cookie["max-age"] == 0:
            continue  # taken away
        if not cookie["httponly"] or cookie["samesite"] not in {"Lax", "Strict"} or cookie["domain"]:
            found.append(f"the cookie {name} is {cookie.OutputString()}")
    if "html" in response.headers.get("Content-Type", "") and response.status_code not in {204, 301, 302}:
        found += complaints(HtmlPage(response))
    if "Location" in response.headers and is_elsewhere(response["Location"]):
        found.append(f"leads to {response['Location']}")
    return found


def everything(scene: Scene, actor: str) -> Iterator[str]:
    """An address of each pattern of the site, with objects in all statuses, missing ones, and pages that are not there."""
    for address in addresses():
        yield from (path for _whose, path in paths(address, scene, actor))
    yield from ("/no-such-page/", "/orders", "/admin", "/favicon.ico", "/.git/HEAD", "/.env", "/<script>alert(1)</script>/", "/%0d%0aX-Evil:1/",
                "/orders/..%2f..%2fetc/", "//evil.example/", "/orders/?q=%22%3E%3Cscript%3E1%3C/script%3E", "/static/no-such-file.css")  # fmt: skip


@pytest.mark.parametrize("actor", ["anonymous", "viewer", "manager", "staff", "former"])
def test_every_page_carries_every_header_and_holds_nothing_inline(scene: Scene, actor: str) -> None:
    client, problems, pages = scene.client(actor), [], 0
    for path in everything(scene, actor):
        response = client.get(path)
        assert response.status_code < 500, path
        is_page = not path.startswith("/static/")
        problems += [
            f"{path} ({response.status_code}): {wrong}" for wrong in wrong_with(response, is_signed_in=actor != "anonymous" and is_page)
        ]
        pages += response.status_code == 200
    assert not problems, "\n".join(dict.fromkeys(problems))
    assert pages >= {"anonymous": 2, "former": 1, "viewer": 15}.get(actor, 20)


def test_the_answers_to_mistakes_carry_every_header_too(scene: Scene) -> None:
    """400, 403, 404, 405, 409, 422 and 429."""
    manager, seen, problems = scene.client("manager"), set(), []
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(scene.world.harbour.manager)
    draft, done = scene.own["draft"], scene.own["completed"]
    answers = [
        manager.post("/orders/new/", {f"field-{number}": "x" for number in range(1001)}),
        strict.post("/orders/new/", {"token": "t"}),
        scene.client("viewer").get("/orders/new/"),
        manager.get("/orders/SO-99999/"),
        manager.get(f"/orders/{draft.number}/retry/"),
        manager.get(f"/orders/{done.number}/edit/"),
        manager.post(f"/orders/{done.number}/retry/", {"token": "t-1"}),
        manager.post("/orders/new/", {"token": "t-2"}),
        manager.post("/customers/new/", {"token": "t-3"}),
        manager.post(f"/orders/{draft.number}/notes/", {"token": "t-4", "text": ""}),
        manager.post(f"/orders/{draft.number}/delete/", {}),
    ]
    answers += [Client().post("/signin/", {"username": "max@harbour.example", "password": "wrong"}) for _ in range(5)]
    for response in answers:
        seen.add(response.status_code)
        signed_in = response.request["PATH_INFO"] != "/signin/"
        problems += [
            f"{response.request['PATH_INFO']} ({response.status_code}): {wrong}" for wrong in wrong_with(response, is_signed_in=signed_in)
        ]
    assert not problems, "\n".join(problems)
    assert seen >= {400, 403, 404, 405, 409, 422, 200}


@pytest.mark.django_db
def test_a_breakdown_shows_our_page_with_every_header_and_nothing_of_the_inside(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orders import search

    def broken(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("secret of the inside: /etc/portal")

    client.raise_request_exception = False
    client.force_login(world.harbour.manager)
    monkeypatch.setattr(search, "page", broken)
    response = client.get("/orders/")
    assert response.status_code == 500
    assert HtmlPage(response).says("Something broke on our side")
    assert "secret of the inside" not in response.content.decode()
    assert "Traceback" not in response.content.decode()
    assert wrong_with(response, is_signed_in=True) == []


@pytest.mark.django_db
def test_a_wrong_host_is_refused_with_every_header(client: Client, world: World) -> None:
    response = client.get("/signin/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert wrong_with(response, is_signed_in=False) == []


@pytest.mark.django_db
def test_every_static_file_is_served_with_the_headers_and_its_own_type(static_files: Path) -> None:
    """WhiteNoise reads its folder when the middleware is made, so the client comes after the files."""
    client = Client()
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain"}
    seen = set()
    for file in sorted(path for path in static_files.rglob("*") if path.is_file() and path.suffix in types):
        path = f"/static/{file.relative_to(static_files)}"
        response = client.get(path)
        assert response.status_code == 200, path
        assert body_of(response) == file.read_bytes(), path
        assert response["Content-Type"].startswith(types[file.suffix]), (path, response["Content-Type"])
        assert response["X-Content-Type-Options"] == "nosniff", path
        assert policy(response) == POLICY, path
        assert not response.cookies, path
        seen.add(file.suffix)
    assert {".css", ".js", ".svg", ".woff2"} <= seen


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/static/../manage.py", "/static/%2e%2e/manage.py", "/static/..%2f..%2fportal/settings.py", "/static//etc/passwd", "/static/"]
)
def test_the_static_folder_leads_nowhere_else(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in {302, 404}
    assert b"SECRET_KEY" not in body_of(response)


def test_our_own_style_and_script_files_name_nothing_elsewhere() -> None:
    """Nor do they run text as code."""
    for file in sorted((settings.BASE_DIR / "static").rglob("*")):
        if file.suffix not in {".css", ".js"}:
            continue
        text = file.read_text()
        assert "http://" not in text.replace("http://www.w3.org/", ""), file.name
        assert "https://" not in text, file.name
        assert "@import" not in text, file.name
        for code in ("eval(", "new Function", "innerHTML", "document.write", "insertAdjacentHTML", ".style."):
            assert code not in text, (file.name, code)


def test_the_policy_of_the_settings_is_the_strict_one() -> None:
    assert {name: " ".join(values) for name, values in settings.SECURE_CSP.items()} == POLICY
    assert not getattr(settings, "SECURE_CSP_REPORT_ONLY", None)


@pytest.mark.django_db
def test_over_https_cookies_are_secure_and_the_browser_is_told_to_stay_there(client: Client, world: World) -> None:
    """What production sets, on the same pages."""
    production = {"SESSION_COOKIE_SECURE": True, "CSRF_COOKIE_SECURE": True, "SECURE_SSL_REDIRECT": True, "SECURE_HSTS_SECONDS": 31536000}
    with override_settings(**production):
        secure = Client()
        assert secure.get("/signin/").status_code == 301
        response = secure.get("/signin/", secure=True)
        assert response["Strict-Transport-Security"].startswith("max-age=31536000")
        assert response.cookies["csrftoken"]["secure"]
        answer = secure.post("/signin/", {"username": "max@harbour.example", "password": "correct horse battery"}, secure=True)
        assert answer.cookies["sessionid"]["secure"]
        assert answer.cookies["sessionid"]["httponly"]
