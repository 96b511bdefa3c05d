"""The door: who comes in, who is kept out and for how long, and where a person is led afterwards."""

import re
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.test import Client

from orders.models import Membership, Role, Seller, User
from tests.harness.world import PASSWORD, World, order_in
from tests.walls.pages import HtmlPage
from tests.walls.state import state

pytestmark = pytest.mark.pages

WRONG = "This e-mail and password don’t belong together."
CLOSED = "Too many wrong passwords"


def knock(client: Client, email: str, password: str = PASSWORD, path: str = "/signin/", **more: Any) -> Any:
    return client.post(path, {"username": email, "password": password, **more})


def is_in(client: Client) -> bool:
    return bool(client.get("/orders/").status_code == 200)


# --- coming in


@pytest.mark.parametrize(
    "typed", ["max@harbour.example", "MAX@Harbour.Example", "  max@harbour.example  ", "\tMax@HARBOUR.example\n", " max@harbour.example "]
)
def test_an_e_mail_in_any_case_and_with_spaces_around_it_signs_in(client: Client, world: World, typed: str) -> None:
    response = knock(client, typed)
    assert (response.status_code, response["Location"]) == (302, "/orders/")
    assert is_in(client)


def test_the_form_says_what_it_wants_and_keeps_the_e_mail_that_was_typed(client: Client, world: World) -> None:
    page = HtmlPage(knock(client, "max@harbour.example", "wrong"))
    assert page.field("username").get("value") == "max@harbour.example"
    assert page.field("username").get("autocomplete") == "username"
    assert page.field("password").get("autocomplete") == "current-password"
    assert page.field("password").get("value") is None, "a password is never sent back"
    assert len([element for element in page.all() if "autofocus" in element.attrib]) == 1


def test_a_wrong_password_and_an_unknown_address_are_told_the_same(client: Client, world: World) -> None:
    """Nobody learns from the page who has an account, not even one that was switched off."""
    User.objects.filter(pk=world.harbour.viewer.pk).update(is_active=False)
    answers = [
        knock(Client(), "max@harbour.example", "wrong"),
        knock(Client(), "nobody@harbour.example", "wrong"),
        knock(Client(), "vera@harbour.example", "wrong"),
        knock(Client(), "vera@harbour.example", PASSWORD),
        knock(Client(), "max@harbour.example", PASSWORD.upper()),
    ]
    for answer in answers:
        assert answer.status_code == 200
        page = HtmlPage(answer)
        assert [element for element in page.all("p", role="alert") if WRONG in "".join(element.itertext())]
    bodies = {
        re.sub(rb'value="[^"]*"', b"", answer.content) for answer in answers
    }  # the address that was typed and the CSRF token are values
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("", ""), ("max@harbour.example", ""), ("", PASSWORD), ("max", PASSWORD), ("max@harbour.example", "x" * 10_000),
        ("max@harbour.example" + "x" * 10_000, PASSWORD), ("max@harbour.example\0", PASSWORD), ("max@harbour.example", PASSWORD + "\0"),
        ("ｍａｘ@harbour.example", PASSWORD), ("max@harbour.example\r\nBcc: x@example.org", PASSWORD), ("' OR 1=1--", "' OR 1=1--"),
        ("max@harbour.exampl\u0435", PASSWORD), ("MAX@HARBOUR.EXAMPLE\u202e", PASSWORD), ("ma\u017f@harbour.example", PASSWORD),
        ("<script>alert(1)</script>@harbour.example", PASSWORD), ("%", "%"), ("max@harbour.example", f" {PASSWORD}"),
    ],
)  # fmt: skip
def test_what_is_not_an_address_and_its_password_stays_outside_without_a_breakdown(
    client: Client, world: World, email: str, password: str
) -> None:
    before = state()
    response = knock(client, email, password)
    assert response.status_code == 200
    assert not is_in(client)
    assert state() == before
    HtmlPage(response).field("username")


def test_the_session_has_another_key_after_signing_in(client: Client, world: World) -> None:
    """Otherwise a key that somebody planted before would be worth something afterwards."""
    client.get("/signin/")
    session = client.session
    session["planted"] = True
    session.save()
    planted = client.cookies["sessionid"] = session.session_key
    knock(client, "max@harbour.example")
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()
    stranger = Client()
    stranger.cookies["sessionid"] = planted
    assert not is_in(stranger)


def test_whoever_is_signed_in_already_is_led_on_from_the_sign_in_page(client: Client, world: World) -> None:
    client.force_login(world.harbour.viewer)
    assert client.get("/signin/")["Location"] == "/orders/"
    assert client.get("/signin/?next=/orders/historical/")["Location"] == "/orders/historical/"


def test_a_deep_link_is_reached_after_signing_in_with_all_its_parameters(client: Client, world: World) -> None:
    asked = client.get("/orders/?status=draft&q=a%26b")
    assert asked.status_code == 302
    page = HtmlPage(client.get(asked["Location"]))
    answer = client.post(asked["Location"], {**page.sent(), "username": "max@harbour.example", "password": PASSWORD})
    assert answer["Location"] == "/orders/?status=draft&q=a%26b"


# --- where to afterwards


@pytest.mark.parametrize(
    "hostile",
    [
        "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example/orders/",
        "http://testserver@evil.example/", "http:///evil.example", "https:///evil.example", "\t//evil.example", "%09//evil.example", " //evil.example",
        "/%0d%0aSet-Cookie:%20a=b", "/\r\nSet-Cookie: a=b", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "ftp://testserver/",
        "http://testserver.evil.example/", "http://evil.example\\@testserver/", "//testserver@evil.example", "\0//evil.example", "\x01//evil.example",
        "http://[::1", "/" + "a" * 5_000, "x" * 5_000, "", "../../", "http://testserver:443@evil.example",
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", ["form", "address"])
def test_next_leads_to_the_own_host_or_to_the_orders(client: Client, world: World, hostile: str, by: str) -> None:
    from urllib.parse import quote, urljoin, urlsplit

    if by == "form":
        response = knock(client, "max@harbour.example", next=hostile)
    else:
        response = knock(client, "max@harbour.example", path=f"/signin/?next={quote(hostile)}")
    assert response.status_code == 302
    location = response["Location"]
    # As browsers read it: backslashes are slashes; tabs, newlines and leading spaces are nothing.
    read = re.sub(r"[\t\r\n]", "", location).replace("\\", "/").strip("".join(map(chr, range(33))))
    reached = urlsplit(urljoin("http://testserver/signin/", read))
    assert (reached.scheme, reached.netloc) == ("http", "testserver"), location
    assert "\n" not in location
    assert "\r" not in location
    assert set(response.cookies) <= {"sessionid", "csrftoken", "messages"}


def test_the_host_header_of_somebody_else_is_refused(client: Client, world: World) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "testserver@evil.example", "evil.example:80", ""):
        response = client.get("/signin/", headers={"host": host}) if host else client.get("/signin/", SERVER_NAME="evil.example")
        assert response.status_code == 400, host
        assert b"evil.example" not in response.content


# --- five wrong ones


def five_wrong(email: str, **extra: Any) -> Any:
    for _ in range(4):
        assert knock(Client(**extra), email, "wrong").status_code == 200
    return knock(Client(**extra), email, "wrong")


def test_the_fifth_wrong_password_closes_the_door_for_that_address_from_that_place(client: Client, world: World) -> None:
    response = five_wrong("max@harbour.example")
    assert response.status_code == 429
    assert HtmlPage(response).says(CLOSED)
    right = knock(client, "max@harbour.example")
    assert right.status_code == 429, "the right password does not open it either"
    assert HtmlPage(right).says("closed here for ten minutes")
    assert not is_in(client)


def test_an_address_in_other_letters_is_the_same_address_to_the_throttle(client: Client, world: World) -> None:
    for typed in ("max@harbour.example", "MAX@harbour.example", " max@harbour.example ", "Max@Harbour.Example"):
        knock(Client(), typed, "wrong")
    assert knock(Client(), "mAX@harbour.example", "wrong").status_code == 429


def test_a_colleague_at_the_same_place_still_comes_in(client: Client, world: World) -> None:
    five_wrong("max@harbour.example")
    assert knock(client, "ada@harbour.example").status_code == 302
    assert is_in(client)


def test_nobody_can_lock_another_out_from_elsewhere(client: Client, world: World) -> None:
    five_wrong("max@harbour.example", REMOTE_ADDR="203.0.113.9")
    assert knock(client, "max@harbour.example").status_code == 302


def test_a_forged_forwarding_header_is_not_another_place(client: Client, world: World) -> None:
    """Without a proxy in front, X-Forwarded-For is the visitor's own invention."""
    for number in range(4):
        knock(Client(), "max@harbour.example", "wrong", headers={"x-forwarded-for": f"203.0.113.{number}"})
    knocked = Client(headers={"x-forwarded-for": "203.0.113.77"})
    assert knock(knocked, "max@harbour.example", "wrong").status_code == 429


def test_signing_in_forgets_the_wrong_ones_before(client: Client, world: World) -> None:
    for _ in range(2):
        for _ in range(4):
            assert knock(Client(), "max@harbour.example", "wrong").status_code == 200
        assert knock(Client(), "max@harbour.example").status_code == 302
    assert not AccessAttempt.objects.filter(username="max@harbour.example", failures_since_start__gte=1).exists()


def test_the_admins_door_has_the_same_throttle(client: Client, world: World) -> None:
    for _ in range(5):
        knock(Client(), "staff@portal.example", "wrong", path="/signin/?next=/admin/")
    assert knock(client, "staff@portal.example").status_code == 429


def test_no_password_is_kept_anywhere(client: Client, world: World) -> None:
    knock(client, "max@harbour.example", "a-wrong-secret-9")
    kept = repr(list(AccessAttempt.objects.values()))
    assert "max@harbour.example" in kept
    assert "a-wrong-secret-9" not in kept


# --- going out


def test_signing_out_is_a_post_and_ends_the_session_for_good(client: Client, world: World) -> None:
    knock(client, "max@harbour.example")
    key = client.session.session_key
    for method in ("get", "head", "put", "patch", "delete"):
        assert getattr(client, method)("/signout/").status_code == 405, method
        assert is_in(client), f"{method} signed out"
    response = client.post("/signout/")
    assert (response.status_code, response["Location"]) == (302, "/signin/")
    assert not is_in(client)
    thief = Client()
    thief.cookies["sessionid"] = key
    assert not is_in(thief)


def test_signing_out_needs_the_forms_token(client: Client, world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.harbour.manager)
    assert strict.post("/signout/").status_code == 403
    assert is_in(strict)


def test_after_an_expired_session_a_button_leads_to_a_page_that_opens(client: Client, world: World) -> None:
    """A POST that found nobody signed in must not lead to an address that only takes POSTs."""
    order = order_in("provisioning_failed", world)
    problems = []
    for path in ("/signout/", f"/orders/{order.number}/retry/", f"/orders/{order.number}/notes/", "/orders/new/"):
        visitor = Client()
        asked = visitor.post(path, {"token": "t"})
        assert asked.status_code == 302, path
        led = knock(visitor, "max@harbour.example", path=asked["Location"])
        opened = visitor.get(led["Location"]).status_code
        if opened != 200:
            problems.append(f"POST {path} → sign in → {led['Location']}: {opened}")
    assert not problems, "\n".join(problems)


def test_a_part_of_a_page_that_finds_nobody_signed_in_sends_the_whole_page_to_sign_in(client: Client, world: World) -> None:
    """htmx follows a redirect by itself and would put the sign-in page into a cell, or call a dead list live."""
    order = order_in("draft", world)
    here = f"http://testserver/orders/{order.number}/edit/?fix=1"
    for method, path in (("post", "/orders/new/"), ("get", "/orders/live/"), ("get", "/orders/?q=x")):
        response = getattr(Client(), method)(path, headers={"HX-Request": "true", "HX-Current-URL": here})
        assert response.status_code in {200, 204, 401}, f"{path}: {response.status_code}"
        assert response["HX-Redirect"].startswith("/signin/?next=/orders/"), path
        assert b"<form" not in response.content
        visitor = Client()
        led = knock(visitor, "max@harbour.example", path=response["HX-Redirect"])
        assert visitor.get(led["Location"]).status_code == 200, led["Location"]


# --- switched off


def test_a_person_who_was_switched_off_is_out_on_the_next_request(client: Client, world: World) -> None:
    client.force_login(world.harbour.manager)
    assert is_in(client)
    User.objects.filter(pk=world.harbour.manager.pk).update(is_active=False)
    assert client.get("/orders/").status_code == 302
    assert knock(Client(), "max@harbour.example").status_code == 200


@pytest.mark.parametrize("what", ["membership", "seller"])
def test_without_an_active_membership_or_seller_every_page_says_so_on_the_next_request(client: Client, world: World, what: str) -> None:
    client.force_login(world.harbour.manager)
    assert is_in(client)
    order = order_in("draft", world)
    if what == "membership":
        Membership.objects.filter(user=world.harbour.manager).update(is_active=False)
    else:
        Seller.objects.filter(pk=world.harbour.seller.pk).update(is_active=False)
    before = state()
    for path in ("/orders/", f"/orders/{order.number}/", "/orders/new/", "/help/"):
        response = client.get(path)
        assert response.status_code == 403, path
        page = HtmlPage(response)
        assert page.says("belongs to no active seller")
        assert not page.says(world.harbour.seller.name)
        assert page.all("form", action="/signout/"), "one can still sign out"
    assert client.post(f"/orders/{order.number}/place/", {"token": "t"}).status_code == 403
    assert state() == before


def test_a_role_counts_from_the_next_request_on(client: Client, world: World) -> None:
    client.force_login(world.harbour.manager)
    assert client.get("/orders/new/").status_code == 200
    Membership.objects.filter(user=world.harbour.manager).update(role=Role.VIEWER)
    assert client.get("/orders/new/").status_code == 403


# --- staff


def test_staff_sign_in_by_the_portals_own_page_and_land_in_the_admin(client: Client, world: World) -> None:
    path, steps = "/admin/", 0
    response = client.get(path)
    while response.status_code == 302 and steps < 5:
        path, steps = response["Location"], steps + 1
        response = client.get(path)
    assert path.startswith("/signin/?next="), path
    page = HtmlPage(response)
    assert page.says("Sign in")
    answer = client.post(path, {**page.sent(), "username": "staff@portal.example", "password": PASSWORD}, follow=True)
    assert answer.status_code == 200
    assert answer.request["PATH_INFO"] == "/admin/"


def test_the_admins_own_login_form_is_not_there(client: Client, world: World) -> None:
    response = client.post("/admin/login/", {"username": "staff@portal.example", "password": PASSWORD, "next": "/admin/"})
    assert response.status_code in {302, 405}
    assert "_auth_user_id" not in client.session


def test_a_deactivated_member_of_the_staff_is_out_of_the_admin_on_the_next_request(client: Client, world: World) -> None:
    client.force_login(world.staff)
    assert client.get("/admin/").status_code == 200
    User.objects.filter(pk=world.staff.pk).update(is_staff=False)
    assert client.get("/admin/").status_code in {302, 403, 404}
    User.objects.filter(pk=world.staff.pk).update(is_staff=True, is_active=False)
    assert client.get("/admin/").status_code == 302


# --- staff


@pytest.mark.parametrize(("wanted", "led"), [("", "/admin/"), ("/orders/", "/admin/"), ("/admin/orders/order/", "/admin/orders/order/")])
def test_staff_without_a_seller_are_led_to_the_admin(client: Client, world: World, wanted: str, led: str) -> None:
    response = knock(client, world.staff.email, next=wanted)
    assert (response.status_code, response["Location"]) == (302, led)
    assert client.get("/signin/", {"next": wanted})["Location"] == led


def test_staff_who_work_for_a_seller_are_led_to_their_orders(client: Client, world: World) -> None:
    Membership.objects.create(user=world.staff, seller=world.harbour.seller, role=Role.VIEWER)
    assert knock(client, world.staff.email)["Location"] == "/orders/"
