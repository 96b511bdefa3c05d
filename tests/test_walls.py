"""The walls: who reaches which address with which method, generated from the URLconf (reliability.md I-7 and I-18).

The order of the doors is the same everywhere: sign in (302), belong to a seller or to the staff (403, or the sign-in page for
the admin), a method that the address has (405), an object of one's own (404), a role that may (403), a state that allows it (409).
"""

import logging
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.test import Client

from orders import hooks, lifecycle, purchasing, quoting
from orders.models import Order, Price, Submission
from orders.statuses import OrderStatus
from tests.harness.databases import contents
from tests.harness.world import World, again, claimed, exchanged, order_in
from tests.walls import scene as scenes
from tests.walls.pages import HtmlPage, body_of, likeness
from tests.walls.scene import ACTORS, MISSING, WRITERS, Scene
from tests.walls.state import difference, state
from tests.walls.urls import METHODS, SAFE, Address, Kind, addresses, unclassified

pytestmark = pytest.mark.pages

NO_ROW = "999999"
NOBODY = "ZZZZZZZZZZ"
# Few enough for speed: one to edit, place and delete, one to fix, retry and close, one to undo, one that waits.
SHORT = (OrderStatus.DRAFT, OrderStatus.PROVISIONING_FAILED, OrderStatus.DELETED, OrderStatus.PROVISIONING_STARTED)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refusals are meant here, and each logged one keeps its whole request alive."""
    caplog.set_level(logging.CRITICAL, "django.request")


@pytest.fixture
def scene(world: World, static_files: Path) -> Scene:
    return scenes.build(world, SHORT)


# --- the table


def test_every_address_of_the_site_is_in_the_table_of_who_may_open_it() -> None:
    assert unclassified(addresses()) == []


def test_an_address_that_nobody_classified_is_named_in_a_sentence() -> None:
    forgotten = Address("orders:secret-report", "reports/secret/", (), is_admin=False)
    assert unclassified([forgotten]) == [
        "The address /reports/secret/ (orders:secret-report) is in no table of tests/walls/urls.py: say there who may open it."
    ]


# --- what is asked


def content(seller: Any) -> dict[str, str]:
    """A body that would do something at any form of the portal, if it were let through."""
    return {
        "token": "wall-token",
        "text": "A note from the wall.",
        "reason": "From the wall.",
        "customer": seller.customer.code,
        "reference": "wall",
        "version": "1",
        "customer_code": seller.customer.code,
        "customer_version": "1",
        "name": "Wall Ltd",
        "domain": "wall.onmicrosoft.com",
        "contact_first_name": "Wally",
        "contact_last_name": "Wall",
        "contact_email": "wally@wall.example",
        "address_line1": "Wall 1",
        "postal_code": "1011 AB",
        "city": "Amsterdam",
        "country": "NL",
        "segment": "Commercial",
        "currency": "EUR",
        "tax_rate": "21",
        "lines-0-offer": "NGBACKUP0001-0001",
        "lines-0-plan": "P1M:monthly",
        "lines-0-quantity": "3",
        "action": "save",
    }


def ask(client: Client, method: str, path: str, data: dict[str, str]) -> Any:
    if method in {"GET", "HEAD"}:
        return client.generic(method, path)
    if method == "POST":
        return client.post(path, data)
    return client.generic(
        method, path, "&".join(f"{name}={quote(value)}" for name, value in data.items()), "application/x-www-form-urlencoded"
    )


def paths(address: Address, scene: Scene, actor: str) -> Iterator[tuple[str, str]]:
    """(whose object, path) of an address without an object, or with an object of mine, of theirs and of nobody."""
    if address.is_admin:
        yield from admin_paths(address)
    elif not address.arguments:
        yield "none", address.path()
    elif address.name.startswith("orders:customer-"):
        side = scene.side(actor)
        for customer in (side.customer, side.other_customer):
            yield "mine", address.path(code=customer.code)
        yield "theirs", address.path(code=scene.other_side(actor).customer.code)
        yield "missing", address.path(code=NOBODY)
    elif address.name.startswith("orders:person-"):
        yield "mine", address.path(pk=scene.side(actor).viewer.membership.pk)
        yield "theirs", address.path(pk=scene.other_side(actor).viewer.membership.pk)
        yield "missing", address.path(pk=NO_ROW)
    elif address.name.startswith("orders:invitation-"):
        yield "mine", address.path(pk=scene.invitation_of(scene.side(actor)).pk)
        yield "theirs", address.path(pk=scene.invitation_of(scene.other_side(actor)).pk)
        yield "missing", address.path(pk=NO_ROW)
    elif address.name.startswith("orders:template-"):
        yield "mine", address.path(pk=scene.template_of(scene.side(actor)).pk)
        yield "theirs", address.path(pk=scene.template_of(scene.other_side(actor)).pk)
        yield "missing", address.path(pk=NO_ROW)
    elif address.name == "orders:join":
        yield "mine", address.path(token=scenes.LINK)
        yield "missing", address.path(token="no-such-link")
    elif address.name.startswith("orders:quote"):
        sent = scene.mine(actor).get(OrderStatus.QUOTE_SENT)
        if sent is not None and sent.quote_link is not None:
            yield "mine", address.path(token=quoting.address_of(sent.quote_link).split("/")[2])
        yield "missing", address.path(token="no-such-link")
    elif address.name == "orders:hook":
        yield "mine", address.path(token=hooks.token_of(scene.world.microsoft_account))
        yield "missing", address.path(token="no-such-account")
    elif address.arguments == ("code",):
        # Offers belong to no seller.
        yield "mine", address.path(code=scene.world.premium.code)
        yield "missing", address.path(code="NO-SUCH-OFFER")
    else:
        for order in scene.mine(actor).values():
            yield "mine", address.path(number=order.number)
        # One is enough here; all ten statuses have a test of their own.
        yield "theirs", address.path(number=scene.theirs(actor)[OrderStatus.DRAFT].number)
        yield "missing", address.path(number=MISSING)


def admin_paths(address: Address) -> Iterator[tuple[str, str]]:
    values: dict[str, object] = {"app_label": "orders", "content_type_id": 1, "url": "no-such-page/"}
    if address.name == "admin:app_list":
        yield from (("none", address.path(app_label=label)) for label in sorted({model._meta.app_label for model in admin.site._registry}))
    elif {"object_id", "id"} & set(address.arguments):
        [model] = [model for model in admin.site._registry if model._meta.label_lower.replace(".", "_") == address.model] or [Order]
        if found := model._default_manager.order_by("pk").first():
            yield "there", address.path(**values, object_id=found.pk, id=found.pk)
        nobody = "00000000-0000-4000-8000-000000000000"
        yield "missing", address.path(**values, object_id=nobody, id=nobody)
    else:
        yield "none", address.path(**values)


def methods(address: Address, actor: str) -> tuple[str, ...]:
    """All; one model stands for the others where a stranger comes with a rare method to the admin, whose door is one for all."""
    is_like_others = address.model not in {"", "orders_order"} and actor != "staff"
    return ("GET", "POST") if is_like_others else METHODS


# --- what must be answered


def is_refused_unseen(address: Address, method: str) -> bool:
    """The address has no such method, so whichever object is named there is not looked at."""
    rule = address.rule()
    return rule is not None and rule.kind != Kind.STAFF and method not in rule.methods


def expected(address: Address, method: str, actor: str, whose: str) -> set[int]:
    """The statuses that are right. 302 is looked at more closely by where()."""
    rule = address.rule()
    assert rule is not None, unclassified([address])
    if rule.kind == Kind.STAFF:
        return staff_door(address, method, actor, whose)
    if rule.kind != Kind.PUBLIC and actor == "anonymous":
        return {302}
    is_seller_page = rule.kind in {Kind.SELLER_READ, Kind.SELLER_WRITE, Kind.SELLER_MANAGE}
    if is_seller_page and actor in {"staff", "former"}:
        return {403}
    if method not in rule.methods:
        # OPTIONS may say which methods there are.
        return {405, 200} if method == "OPTIONS" and not is_seller_page else {405}
    if whose in {"theirs", "missing"}:
        return {404}
    if (rule.kind == Kind.SELLER_WRITE and actor == "viewer") or (rule.kind == Kind.SELLER_MANAGE and not actor.endswith("admin")):
        return {403}
    return let_through(address, method, actor)


def let_through(address: Address, method: str, actor: str) -> set[int]:
    if address.name == "orders:home" or address.name == "logout":
        return {302}
    if address.name == "login":
        return {200} if actor == "anonymous" else {302}
    if address.name == "orders:order-live":
        return {204}
    if address.name in {"orders:logo", "orders:quote-logo"}:
        # There is none.
        return {404}
    if address.name.startswith("orders:quote-") and method == "POST":
        # The body is no answer of a customer; that the page was looked at needs none.
        return {204} if address.name == "orders:quote-opened" else {422}
    if address.name == "orders:join":
        return {200, 409, 422}
    if address.name == "orders:hook":
        # A form is no event of a vendor.
        return {400}
    rule = address.rule()
    if rule is not None and rule.kind in {Kind.SELLER_WRITE, Kind.SELLER_MANAGE} and (address.arguments or method == "POST"):
        return {200, 409} if method in SAFE else {200, 302, 409, 422}
    return {200}


def staff_door(address: Address, method: str, actor: str, whose: str) -> set[int]:
    if actor != "staff":
        return {302, 403, 404, 405}
    page = address.name.removeprefix(f"admin:{address.model}_" if address.model else "admin:")
    if method not in {"GET", "HEAD"}:
        return {200, 302, 403, 404, 405}
    if whose == "missing":
        return {302, 403, 404}
    return {
        "add": {200, 403},
        "delete": {200, 403},
        "legacy-address": {302},
        "login": {302},
        "logout": {405},
        "autocomplete": {403, 404},
        "view_on_site": {404},
        "catch-all": {404},
        # What the first order's status does not allow is said with 409.
        **{verb: {200, 409} for verb in ("retry", "close", "stop", "remove")},
        # Staff change their password where the portal says; the page may be closed.
        "password_change": {200, 403, 404},
        "password_change_done": {200, 403, 404},
    }.get(page, {200})


def where(response: Any, path: str, actor: str) -> str:
    """What is wrong with where a stranger is sent; empty when it is right."""
    if response.status_code != 302 or actor != "anonymous":
        return ""
    target = urlsplit(response["Location"])
    if target.path == "/signin/" and target.query.startswith("next=/"):
        return ""
    is_admin_step = path.startswith("/admin/") and target.path in {"/admin/login/", "/admin/"}
    return "" if is_admin_step else f"leads to {response['Location']} instead of the sign-in page"


def changes_something(address: Address, method: str, actor: str, whose: str) -> bool:
    """Requests that are let through to write; a test of its own looks at those."""
    rule = address.rule()
    assert rule is not None
    if rule.kind == Kind.STAFF:
        return actor == "staff" and method not in SAFE
    if address.name == "logout":
        return method == "POST"
    if rule.kind == Kind.SELLER_MANAGE:
        return method == "POST" and actor.endswith("admin")
    return rule.kind == Kind.SELLER_WRITE and method == "POST" and actor in WRITERS and whose in {"mine", "none"}


# --- the walls


def wrong_answers(scene: Scene, client: Client, actor: str, address: Address) -> list[str]:
    """What the address answers otherwise than the table says, asked by every method that lets nobody write."""
    problems, data, seen = [], content(scene.side(actor)), set[str]()
    # How often one address may ask is looked at where it belongs (views/test_quote_public.py).
    cache.clear()
    for whose, path in paths(address, scene, actor):
        for method in methods(address, actor):
            if changes_something(address, method, actor, whose) or (whose in seen and is_refused_unseen(address, method)):
                continue
            response = ask(client, method, path, data)
            right = expected(address, method, actor, whose)
            if response.status_code not in right:
                problems.append(f"{method} {path} ({whose}): {response.status_code} instead of {sorted(right)}")
            if wrong := where(response, path, actor):
                problems.append(f"{method} {path}: {wrong}")
        seen.add(whose)
    return problems


def culprits(scene: Scene, client: Client, actor: str) -> list[str]:
    """Rows changed although nobody may write: every address again, to name the one, or at least to say so."""
    problems, before = [f"{actor} may not write, and rows changed"], contents()
    for address in addresses():
        wrong_answers(scene, client, actor, address)
        if (after := contents()) != before:
            problems.append(f"{address.name} was asked by one who may not write, and rows changed: {difference(before, after)}")
        before = after
    return problems


@pytest.mark.parametrize("actor", ACTORS)
def test_each_address_answers_each_method_as_the_table_says_and_whoever_is_kept_out_changes_nothing(scene: Scene, actor: str) -> None:
    client, problems, before = scene.client(actor), [], contents()
    for address in addresses():
        problems += wrong_answers(scene, client, actor, address)
    if contents() != before:
        problems += culprits(scene, client, actor)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("actor", WRITERS)
def test_a_writer_is_let_through_to_his_own_and_never_sees_a_breakdown(scene: Scene, actor: str) -> None:
    client, problems, done = scene.client(actor), [], 0
    for address in addresses():
        rule = address.rule()
        if address.is_admin or rule is None or rule.kind != Kind.SELLER_WRITE:
            continue
        for whose, path in paths(address, scene, actor):
            if whose in {"theirs", "missing"}:
                continue
            response = ask(client, "POST", path, {**content(scene.side(actor)), "token": f"own-{done}"})
            done += 1
            if response.status_code not in let_through(address, "POST", actor):
                problems.append(f"POST {path}: {response.status_code}")
    assert not problems, "\n".join(problems)
    assert done > 30
    # Whoever was let through wrote on his own side only.
    assert not Submission.objects.exclude(seller=scene.side(actor).seller).exists()


@pytest.mark.parametrize("actor", ["viewer", "manager", "other_admin"])
def test_another_sellers_order_answers_byte_for_byte_as_a_missing_one_in_all_ten_statuses(
    world: World, static_files: Path, actor: str
) -> None:
    scene = scenes.build(world)
    client, problems, compared, turn = scene.client(actor), [], 0, 0
    data, orders = content(scene.side(actor)), list(scene.theirs(actor).items())
    before = state()
    for address in addresses():
        if address.arguments != ("number",):
            continue
        for method in METHODS:
            missing = likeness(ask(client, method, address.path(number=MISSING), data))
            # Where no order is looked at, each status takes its turn.
            turn += 1
            for status, order in [orders[turn % len(orders)]] if is_refused_unseen(address, method) else orders:
                theirs = likeness(ask(client, method, address.path(number=order.number), data))
                compared += 1
                if theirs != missing:
                    problems.append(f"{method} {address.name}, {status}: {theirs[0]} {theirs[1]} is not {missing[0]} {missing[1]}")
    assert not problems, "\n".join(problems)
    assert compared >= 24 * (10 + len(METHODS) - 1)
    assert state() == before


@pytest.mark.parametrize("actor", ["viewer", "manager", "other_admin"])
def test_another_sellers_customer_answers_byte_for_byte_as_a_missing_one(scene: Scene, actor: str) -> None:
    client, compared = scene.client(actor), 0
    data, before = content(scene.side(actor)), state()
    for address in addresses():
        if not (address.name.startswith("orders:customer-") and address.arguments):
            continue
        for method in METHODS:
            missing, theirs = (
                likeness(ask(client, method, address.path(code=code), data)) for code in (NOBODY, scene.other_side(actor).customer.code)
            )
            assert theirs == missing, (address.name, method)
            compared += 1
    assert compared >= 4 * len(METHODS)
    assert state() == before


@pytest.mark.parametrize("actor", ["anonymous", "viewer", "manager", "admin", "other_admin", "former"])
def test_whoever_is_not_staff_and_follows_the_admins_redirects_ends_at_a_page_that_is_not_the_admin(scene: Scene, actor: str) -> None:
    client, problems = scene.client(actor), []
    for path in ("/admin/", "/admin/login/", "/admin/login/?next=/admin/orders/order/", "/admin/orders/order/", "/admin/no-such-page/"):
        seen = [path]
        response = client.get(path)
        while response.status_code in {301, 302} and len(seen) < 10:
            seen.append(response["Location"])
            response = client.get(response["Location"])
        if response.status_code in {301, 302}:
            problems.append(f"{path} never ends: {' → '.join(seen[:5])}")
        elif response.status_code == 200 and seen[-1].startswith("/admin/"):
            problems.append(f"{path} opened {seen[-1]}")
    assert not problems, "\n".join(problems)


def without_token(address: Address) -> set[int]:
    """What a form is answered that lacks its token."""
    if address.name == "orders:hook":
        # A vendor has no form of ours: his door has a token of its own, and takes events only.
        return {400, 404}
    if address.name.startswith("orders:quote"):
        # A customer has no session that a stranger's page could use; such pages are told apart by what the browser says of them.
        return {200, 204, 404, 422}
    return {403, 302, 404} if address.is_admin else {403}


def test_without_its_csrf_token_no_form_does_anything_for_anybody(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.world.harbour.admin)
    before, problems = state(), []
    for address in addresses():
        rule = address.rule()
        assert rule is not None
        if "POST" not in rule.methods and not address.is_admin:
            continue
        for whose, path in paths(address, scene, "admin"):
            response = ask(client, "POST", path, content(scene.world.harbour))
            if response.status_code not in without_token(address):
                problems.append(f"POST {path} ({whose}) without a CSRF token: {response.status_code}")
    assert not problems, "\n".join(problems)
    assert state() == before


# --- canaries: nothing of the second seller reaches the first


def leaks(response: Any, canaries: tuple[str, ...], *typed: str) -> list[str]:
    """Which strings of the other seller the answer holds; what the asker wrote himself may come back to him."""
    text = (body_of(response) + repr(sorted(response.headers.items())).encode()).decode(errors="replace").lower()
    for words in typed:
        text = text.replace(words.lower(), "")
    return [canary for canary in canaries if canary.lower() in text]


@pytest.mark.parametrize("actor", ["viewer", "manager", "admin"])
def test_every_page_that_links_lead_to_holds_nothing_of_the_other_seller(world: World, static_files: Path, actor: str) -> None:
    scene = scenes.build(world)
    client, before = scene.client(actor), state()
    waiting, seen, problems = ["/orders/", "/orders/historical/", "/orders/new/", "/customers/new/", "/help/"], set[str](), []
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        response = client.get(path)
        if found := leaks(response, scene.canaries):
            problems.append(f"{path} holds {found}")
        if response.status_code in {301, 302}:
            waiting.append(response["Location"].partition("#")[0])
        elif response.status_code == 200 and "html" in response["Content-Type"] and response.content:
            for link in HtmlPage(response).links():
                target = urlsplit(link)
                assert not target.netloc, f"{path} leads out of the portal: {link}"
                query = f"?{target.query}" if target.query else ""
                waiting.append(f"{target.path or urlsplit(path).path}{query}")
    assert not problems, "\n".join(problems)
    assert len([path for path in seen if path.startswith("/orders/SO-")]) >= 10, sorted(seen)
    assert state() == before


def failure_of(order: Order) -> str:
    attempt = order.attempts.get()
    return str(attempt.failures.get().pk)


def test_asking_for_something_of_the_other_seller_answers_as_asking_for_something_that_is_not_there(
    world: World, static_files: Path
) -> None:
    """Not only no string: no difference at all from which one could infer that it exists."""
    scene = scenes.build(world)
    client, before, problems = scene.client("manager"), state(), []
    theirs, mine = scene.foreign[OrderStatus.DRAFT], scene.own[OrderStatus.PROVISIONING_FAILED]
    instant = "2020-01-01T00:00:00%2B00:00"
    code, failure = world.northwind.customer.code, failure_of(scene.foreign[OrderStatus.PROVISIONING_FAILED])
    probes = [
        *[(f"/orders/{section}?q={{}}", word, "ZZZZZZ") for section in ("", "historical/") for word in (
            scenes.CANARY, code, theirs.number, theirs.number.removeprefix("SO-"), world.northwind.customer.domain, "northwind", "Ada Northwind",
        )],
        ("/orders/new/?customer={}", code, "ZZZZZZZZZZ"),
        (f"/orders/{mine.number}/edit/?fix={{}}", failure, NO_ROW),
        (f"/orders/live/?since={instant}&opened={instant}&fresh=0&row={{}}@1", theirs.number, MISSING),
        (f"/orders/live/?since={instant}&opened={instant}&fresh=0&q={{}}", scenes.CANARY, "ZZZZZZ"),
        ("/orders/?customer={}", code, "ZZZZZZZZZZ"),
        ("/orders/?seller={}", str(world.northwind.seller.pk), NO_ROW),
        ("/orders/{}/", theirs.number, MISSING),
    ]  # fmt: skip
    for pattern, word, nonsense in probes:
        found, nothing = client.get(pattern.format(quote(word))), client.get(pattern.format(quote(nonsense)))
        if leaked := leaks(found, scene.canaries, word, quote(word)):
            problems.append(f"{pattern.format(word)} holds {leaked}")
        if moving(likeness(found, *echoes(word, nonsense))) != moving(likeness(nothing, *echoes(nonsense, nonsense))):
            problems.append(f"{pattern.format(word)} differs from {pattern.format(nonsense)}")
    assert not problems, "\n".join(problems)
    assert state() == before


def echoes(word: str, nonsense: str) -> tuple[str, ...]:
    """How an answer may repeat what was asked for. A row's number is repeated nowhere, and stands in many places."""
    return () if nonsense == NO_ROW else (word, quote(word), quote_plus(word))


def moving(answer: tuple[int, Any, bytes]) -> tuple[int, Any, bytes]:
    """Less the seconds that pass between two looks."""

    status, headers, body = answer
    for pattern in (rb'(name="(?:since|opened)"[^>]*value=")[^"]*"', rb"\b\d+ s( ago)?\b"):
        body = re.sub(pattern, b"", body)
    return status, headers, body


def test_posting_something_of_the_other_seller_answers_as_posting_nonsense_and_makes_nothing(world: World, static_files: Path) -> None:
    scene = scenes.build(world)
    client, before, problems = scene.client("manager"), state(), []
    code, theirs = world.northwind.customer.code, scene.foreign[OrderStatus.DRAFT]
    valid = {**content(world.harbour), "token": "canary-1"}
    draft, failed = scene.own[OrderStatus.DRAFT], scene.own[OrderStatus.PROVISIONING_FAILED]
    edit = {**valid, "version": str(draft.version), "domain": world.harbour.customer.domain, "name": world.harbour.customer.name}
    probes = [
        ("/orders/new/", {**valid, "customer": "{}"}, code, "ZZZZZZZZZZ", 422),
        ("/orders/new/", {**valid, "customer": "{}"}, str(world.northwind.customer.pk), NO_ROW, 422),
        ("/orders/new/", {**valid, "customer": "{}", "action": "add-NGBACKUP0001-0001"}, code, "ZZZZZZZZZZ", 200),
        ("/orders/new/", {**valid, "customer": "{}", "action": "totals"}, code, "ZZZZZZZZZZ", 200),
        ("/orders/new/", {**valid, "customer": "{}", "action": "autosave"}, code, "ZZZZZZZZZZ", 200),
        ("/orders/new/", {**valid, "customer": "{}", "action": "search", "q": "a"}, code, "ZZZZZZZZZZ", 200),
        (f"/orders/{draft.number}/edit/", {**edit, "customer": "{}", "action": "autosave"}, code, "ZZZZZZZZZZ", 200),
        ("/orders/{}/duplicate/", {"token": "canary-4"}, theirs.number, MISSING, 404),
        (f"/orders/{draft.number}/edit/", {**edit, "customer": "{}"}, code, "ZZZZZZZZZZ", 422),
        (f"/orders/{draft.number}/edit/", {**edit, "customer": "{}", "action": "add-NGBACKUP0001-0001"}, code, "ZZZZZZZZZZ", 200),
        (f"/orders/{failed.number}/edit/", {**edit, "customer": "{}"}, code, "ZZZZZZZZZZ", 422),
        (f"/orders/{failed.number}/edit/", {**edit, "action": "add-NGBACKUP0001-0001", "fix": "{}"}, failure_of(scene.foreign[OrderStatus.PROVISIONING_FAILED]),
         NO_ROW, 200),
        ("/orders/{}/notes/", {"token": "canary-2", "text": "x"}, theirs.number, MISSING, 404),
        ("/orders/{}/place/", {"token": "canary-3"}, theirs.number, MISSING, 404),
    ]  # fmt: skip
    for path, data, word, nonsense, status in probes:
        found = client.post(path.format(word), {name: value.format(word) for name, value in data.items()})
        nothing = client.post(path.format(nonsense), {name: value.format(nonsense) for name, value in data.items()})
        if found.status_code != status:
            problems.append(f"{path} with {word}: {found.status_code}, not {status}")
        if leaked := leaks(found, scene.canaries, word):
            problems.append(f"{path} with {word} holds {leaked}")
        if moving(likeness(found, *echoes(word, nonsense))) != moving(likeness(nothing, *echoes(nonsense, nonsense))):
            problems.append(f"{path} with {word} differs from {nonsense}")
    assert not problems, "\n".join(problems)
    assert state() == before


def test_fields_that_no_form_has_put_nothing_on_another_side(scene: Scene) -> None:
    """Unknown fields are not read: seller, status, price, number, created_by of somebody else."""
    world, client = scene.world, scene.client("manager")
    theirs, mine = scene.foreign[OrderStatus.DRAFT], scene.own[OrderStatus.DRAFT]
    before = {name: [row for row in rows if scenes.CANARY in repr(row)] for name, rows in contents().items()}
    strange = {
        "seller": world.northwind.seller.pk, "seller_id": world.northwind.seller.pk, "order": theirs.pk, "id": theirs.pk, "number": theirs.number,
        "status": "completed", "price": "0", "lines-0-price": "0", "lines-0-unit_price": "0", "created_by": world.northwind.admin.pk,
        "membership": world.northwind.admin.membership.pk, "is_staff": "1", "role": "admin", "follow_up_of": theirs.pk, "currency": "USD",
    }  # fmt: skip
    response = client.post("/orders/new/", {**content(world.harbour), **strange, "token": "strange-1"})
    assert response.status_code == 302, response.content
    made = Order.objects.latest("id")
    assert (made.seller, made.customer, made.status, made.created_by, made.currency) == (
        world.harbour.seller, world.harbour.customer, OrderStatus.START, world.harbour.manager, "EUR",
    )  # fmt: skip
    assert made.follow_up_of is None
    assert made.number not in {theirs.number, mine.number}
    assert str(made.lines.get().unit_price) == "9.5000"
    customer = {**content(world.harbour), **strange, "code": world.northwind.customer.code, "version": "7", "token": "strange-2"}
    assert client.post("/customers/new/", {**customer, "customer_version": "0"}).status_code == 302
    assert world.harbour.seller.customers.filter(domain="wall.onmicrosoft.com").count() == 1
    assert client.post(f"/orders/{mine.number}/notes/", {**strange, "token": "strange-3", "text": "Mine."}).status_code == 302
    assert again(mine).notes.get().author == world.harbour.manager
    after = {name: [row for row in rows if scenes.CANARY in repr(row)] for name, rows in contents().items()}
    assert after == before
    assert again(theirs).changed_at == theirs.changed_at


def test_a_form_token_of_another_seller_is_nothing_to_mine(scene: Scene) -> None:
    """The same token on both sides: two orders, and neither side is led to the other's."""
    made = {}
    for actor in ("manager", "other_admin"):
        data = {**content(scene.side(actor)), "token": "the-very-same-token"}
        response = scene.client(actor).post("/orders/new/", data)
        assert response.status_code == 302
        made[actor] = Order.objects.get(number=urlsplit(response["Location"]).path.split("/")[2])
    assert made["manager"].seller == scene.world.harbour.seller
    assert made["other_admin"].seller == scene.world.northwind.seller


# --- inside one seller: what a viewer may not read


def test_a_viewer_reads_every_page_and_nowhere_what_something_costs_us(world: World, static_files: Path) -> None:
    """Neither in a field of ours nor in the vendor's own answers, which name prices too."""
    cost = "87.6543"
    Price.objects.update(term_cost=Decimal(cost))
    scene = scenes.build(world)
    order = order_in(OrderStatus.DRAFT, world)
    held = claimed(lifecycle.place(order, by=world.harbour.manager).attempts.get())
    exchanged(held, 200, f'{{"pricing": {{"price": {cost}}}}}'.encode())
    purchasing.record_unknown(held, "The connection was lost.")
    page = f"/orders/{order.number}/"
    assert cost in scene.client("manager").get(page).content.decode(), "the team reads the vendor's words in full"
    client = scene.client("viewer")
    paths_ = [page, "/orders/", "/orders/historical/", *(f"/orders/{own.number}/" for own in scene.own.values())]
    then = "2020-01-01T00:00:00%2B00:00"
    paths_.append(f"/orders/live/?since={then}&opened={then}&row={order.number}@1")
    shown = [path for path in paths_ if cost in client.get(path).content.decode()]
    assert not shown, f"a viewer reads the cost on {shown}"
