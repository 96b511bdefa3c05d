"""Somebody with a browser's cookies at a real server, who can press a button many times at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Self

import httpx

from orders.models import User
from tests.harness.world import PASSWORD
from tests.walls.pages import HtmlPage


class Visitor:
    """`get` and `post` follow nothing; `post` brings the CSRF token by itself."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=64, max_keepalive_connections=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def sign_in(self, user: User) -> Self:
        self._http.get("/signin/")
        answer = self.post("/signin/", {"username": user.email, "password": PASSWORD})
        assert answer.status_code == 302, answer.text
        return self

    def get(self, path: str) -> Any:
        return self._http.get(path)

    def page(self, path: str) -> HtmlPage:
        answer = self.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return HtmlPage(answer)

    def post(self, path: str, data: dict[str, str]) -> Any:
        token = self._http.cookies["csrftoken"]
        return self._http.post(path, data={**data, "csrfmiddlewaretoken": token})


def at_once(count: int, press: Callable[[int], Any]) -> list[Any]:
    """Call `press` in `count` threads that all begin at the same moment; the answers in no order."""
    barrier = Barrier(count)

    def one(number: int) -> Any:
        barrier.wait(30)
        return press(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))
