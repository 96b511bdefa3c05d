"""People of a seller: invited by a link that works once, never without an admin, and gone at once."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail as mail_box
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import mail, people
from orders.models import Invitation, Membership, Role, SettingsChange, User
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.world import PASSWORD, World, build
from tests.walls.corpus import TEXTS
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, likeness
from tests.walls.state import state

pytestmark = pytest.mark.pages

PATH = "/settings/people/"
NEW = {"name": "Nina New", "password": "long enough for all", "repeated": "long enough for all"}


@pytest.fixture
def admin(client: Client, world: World) -> Client:
    client.force_login(world.harbour.admin)
    return client


def invited(client: Client, email: str = "nina@harbour.example", role: str = "account_manager") -> str:
    """The path of the link in the mail."""
    token = HtmlPage(client.get(PATH)).sent()["token"]
    response = client.post(PATH, {"email": email, "role": role, "token": token})
    assert response.status_code == 302, response.content.decode()
    return link_in(mail_box.outbox[-1])


def link_in(sent: Any) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/join/[\w-]+/)", sent.body)
    assert found, sent.body
    return found[1]


def member(user: User) -> Membership:
    return Membership.objects.get(user=user)


# --- invitations


def test_an_invited_colleague_joins_by_the_link_in_the_mail_and_is_signed_in(admin: Client, world: World) -> None:
    link = invited(admin)
    [sent] = mail_box.outbox
    assert (sent.to, sent.is_private) == (["nina@harbour.example"], True)
    token = link.split("/")[2]
    assert token not in "".join(str(vars(row)) for row in [*Invitation.objects.all(), *SettingsChange.objects.all()])
    stranger = Client()
    before = state()
    page = HtmlPage(stranger.get(link))
    assert page.says("Join Harbour Cloud")
    assert complaints(page) == []
    assert stranger.head(link).status_code == 200
    assert state() == before
    joined = stranger.post(link, NEW)
    assert (joined.status_code, joined["Location"]) == (302, "/orders/")
    assert HtmlPage(stranger.get("/orders/")).says("Welcome to Harbour Cloud")
    nina = User.objects.get(email="nina@harbour.example")
    assert (nina.name, member(nina).role, member(nina).seller) == ("Nina New", "account_manager", world.harbour.seller)
    assert nina.check_password(NEW["password"])
    texts = list(SettingsChange.objects.values_list("text", flat=True))
    assert texts == ["Nina New joined as Account manager", "nina@harbour.example was invited as Account manager"]


def test_a_link_works_once_for_seven_days_until_it_is_taken_back_or_replaced(admin: Client, world: World, clock: Clock) -> None:
    used = invited(admin)
    assert Client().post(used, NEW).status_code == 302
    again = Client().post(used, NEW)
    assert (again.status_code, HtmlPage(again).says("was used")) == (410, True)
    replaced, sent = invited(admin, "two@harbour.example"), len(mail_box.outbox)
    newer = invited(admin, "Two@Harbour.example", "viewer")
    assert len(mail_box.outbox) == sent + 1
    assert Client().get(replaced).status_code == 410
    assert Client().get(newer).status_code == 200
    [waiting] = Invitation.objects.waiting()
    assert admin.post(f"/settings/invitations/{waiting.pk}/revoke/").status_code == 302
    gone = Client().post(newer, NEW)
    assert (gone.status_code, HtmlPage(gone).says("taken back")) == (410, True)
    old = invited(admin, "three@harbour.example")
    clock.advance(days=7, seconds=1)
    late = Client().post(old, NEW)
    assert (late.status_code, HtmlPage(late).says("too old")) == (410, True)
    assert not User.objects.filter(email__in=("two@harbour.example", "three@harbour.example")).exists()
    assert Client().get("/join/nonsense/").status_code == 404


def test_sending_again_makes_a_new_link_and_the_old_one_stops(admin: Client, world: World) -> None:
    old = invited(admin)
    [waiting] = Invitation.objects.waiting()
    response = admin.post(f"/settings/invitations/{waiting.pk}/resend/", {"token": "again"})
    assert response.status_code == 302
    # The same press that arrives twice sends one mail.
    admin.post(f"/settings/invitations/{waiting.pk}/resend/", {"token": "again"})
    assert len(mail_box.outbox) == 2
    assert Client().get(old).status_code == 410
    assert Client().get(link_in(mail_box.outbox[-1])).status_code == 200


def test_the_page_of_the_link_tells_it_to_nobody(admin: Client) -> None:
    link = invited(admin)
    for response in (Client().get(link), Client().post(link, {}), Client().get("/join/x/")):
        if response.status_code != 404:
            assert response["Referrer-Policy"] == "strict-origin"
            assert response["Cache-Control"] == "no-store, private"
            assert response["X-Robots-Tag"] == "noindex, nofollow"


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("", "required"), ("nobody", "e-mail"), ("a@b.nosuchdomain", "nosuchdomain"), ("max@harbour.example", "works here already"),
        ("MAX@harbour.example", "works here already"), ("a\0@harbour.example", "Null"),
    ],
)  # fmt: skip
def test_who_can_not_be_invited_is_said_beside_the_field_and_no_mail_leaves(admin: Client, email: str, words: str) -> None:
    before = state()
    response = admin.post(PATH, {"email": email, "role": "viewer", "token": "once"})
    page = HtmlPage(response)
    assert response.status_code == 422
    assert words.lower() in page.beside("email").lower()
    assert state() == before


def test_a_mail_server_that_refuses_is_said_and_the_invitation_can_be_sent_again(
    admin: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: Any) -> None:
        raise mail.NotSent("554 no")

    monkeypatch.setattr(mail, "send", refuse)
    page = HtmlPage(admin.post(PATH, {"email": "nina@harbour.example", "role": "viewer", "token": "once"}, follow=True))
    assert page.says("did not leave")
    assert page.says("Send again")
    assert "554" not in page.text
    monkeypatch.undo()
    [waiting] = Invitation.objects.waiting()
    admin.post(f"/settings/invitations/{waiting.pk}/resend/", {"token": "again"})
    assert Client().get(link_in(mail_box.outbox[-1])).status_code == 200


def test_fifty_invitations_may_wait_and_no_more(admin: Client, world: World) -> None:
    for number in range(people.MOST_WAITING):
        people.invite(world.harbour.seller, f"p{number}@harbour.example", Role.VIEWER, by=world.harbour.admin)
    response = admin.post(PATH, {"email": "more@harbour.example", "role": "viewer", "token": "once"})
    assert (response.status_code, HtmlPage(response).says("wait already")) == (422, True)
    # Sending one of them again is no further one.
    people.invite(world.harbour.seller, "p1@harbour.example", Role.VIEWER, by=world.harbour.admin)


# --- joining


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "required"), ({"password": "short", "repeated": "short"}, "password", "12"),
        ({"password": "nina@harbour.example", "repeated": "nina@harbour.example"}, "password", "similar"),
        ({"repeated": "something else altogether"}, "repeated", "differ"), ({"name": "a\0b"}, "name", "Null"),
    ],
)  # fmt: skip
def test_what_is_wrong_on_joining_is_said_beside_its_field(admin: Client, changes: dict[str, str], field: str, words: str) -> None:
    link, before = invited(admin), state()
    response = Client().post(link, NEW | changes)
    assert response.status_code == 422
    assert words in HtmlPage(response).beside(field)
    assert state() == before


def test_any_text_on_joining_is_no_breakdown(admin: Client) -> None:
    link = invited(admin)
    for text in TEXTS:
        assert Client().post(link, {"name": text[:400_000], "password": "short", "repeated": "short"}).status_code == 422


def test_somebody_who_can_sign_in_joins_with_his_own_password_and_keeps_it(admin: Client, world: World) -> None:
    lone = User.objects.create_user("lone@nowhere.example", PASSWORD, name="Lone")
    link = invited(admin, lone.email)
    stranger = Client()
    assert stranger.post(link, NEW).status_code == 422
    assert not Membership.objects.filter(user=lone).exists()
    assert stranger.post(link, {"password": PASSWORD}).status_code == 302
    lone.refresh_from_db()
    assert lone.check_password(PASSWORD)
    assert member(lone).seller == world.harbour.seller


def test_whoever_works_elsewhere_or_is_staff_is_not_taken_over_and_the_inviter_is_not_told(admin: Client, world: World) -> None:
    for person in (world.northwind.manager, world.staff):
        link, before = invited(admin, person.email), state()
        response = Client().post(link, {"password": PASSWORD})
        assert (response.status_code, HtmlPage(response).says("works elsewhere")) == (410, True)
        assert state() == before


def test_a_signed_in_person_does_not_join_by_accident(admin: Client, world: World) -> None:
    link = invited(admin)
    page = HtmlPage(admin.get(link))
    assert page.says("you are signed in as ada@harbour.example")
    assert admin.post(link, NEW).status_code == 409
    assert not User.objects.filter(email="nina@harbour.example").exists()


def test_wrong_passwords_on_the_link_count_like_those_on_the_sign_in_page(admin: Client) -> None:
    lone = User.objects.create_user("lone@nowhere.example", PASSWORD, name="Lone")
    link, stranger = invited(admin, lone.email), Client()
    for _ in range(5):
        last = stranger.post(link, {"password": "wrong"})
    assert last.status_code == 429
    assert stranger.post(link, {"password": PASSWORD}).status_code != 302


# --- roles and leaving


def test_a_role_counts_from_the_next_request_on(admin: Client, world: World, client: Client) -> None:
    viewer, theirs = member(world.harbour.viewer), Client()
    theirs.force_login(world.harbour.viewer)
    assert theirs.get("/orders/new/").status_code == 403
    assert admin.post(f"{PATH}{viewer.pk}/role/", {"role": "account_manager"}).status_code == 302
    assert theirs.get("/orders/new/").status_code == 200
    before = state()
    refused = admin.post(f"{PATH}{viewer.pk}/role/", {"role": "owner"}, follow=True)
    assert (refused.redirect_chain, HtmlPage(refused).says("Choose one of the roles.")) == ([(PATH, 302)], True)
    assert state() == before


def test_who_is_removed_is_out_in_every_browser_at_once_and_can_be_brought_back(admin: Client, world: World) -> None:
    manager, browsers = member(world.harbour.manager), [Client(), Client()]
    for browser in browsers:
        browser.force_login(world.harbour.manager)
    assert admin.post(f"{PATH}{manager.pk}/remove/").status_code == 302
    for browser in browsers:
        assert browser.get("/orders/")["Location"].startswith("/signin/")
    signed_in = Client().post("/signin/", {"username": manager.user.email, "password": PASSWORD})
    assert HtmlPage(signed_in).says("belong together")
    page = HtmlPage(admin.get(PATH))
    assert page.says("Bring back")
    assert complaints(page) == []
    assert admin.post(f"{PATH}{manager.pk}/restore/").status_code == 302
    assert (member(world.harbour.manager).is_active, member(world.harbour.manager).role) == (True, "account_manager")
    world.harbour.manager.refresh_from_db()
    assert world.harbour.manager.check_password(PASSWORD)
    texts = list(SettingsChange.objects.values_list("text", flat=True))
    assert [text.rpartition(" was ")[2] for text in texts] == ["brought back", "removed"]
    # And twice is once.
    before = state()
    people.bring_back(manager, by=world.harbour.admin)
    assert state() == before


def test_a_removed_person_may_be_invited_anew_and_chooses_a_new_password(admin: Client, world: World) -> None:
    people.remove(member(world.harbour.manager), by=world.harbour.admin)
    link = invited(admin, world.harbour.manager.email, "viewer")
    assert Client().post(link, NEW).status_code == 302
    back = User.objects.get(pk=world.harbour.manager.pk)
    assert back.check_password(NEW["password"])
    assert (member(back).role, member(back).is_active, back.is_active) == ("viewer", True, True)


def test_the_last_admin_can_neither_leave_nor_become_less(admin: Client, world: World) -> None:
    mine = member(world.harbour.admin)
    assert complaints(HtmlPage(admin.get(f"{PATH}{mine.pk}/remove/"))) == []
    for path, data in ((f"{PATH}{mine.pk}/remove/", {}), (f"{PATH}{mine.pk}/role/", {"role": "viewer"})):
        before = state()
        # To the list, because a button's address can't be loaded again.
        response = admin.post(path, data, follow=True)
        assert (response.redirect_chain, HtmlPage(response).says("last seller admin")) == ([(PATH, 302)], True)
        assert state() == before
    # An admin who can't sign in is none.
    User.objects.filter(pk=world.harbour.manager.pk).update(is_active=False)
    Membership.objects.filter(user=world.harbour.manager).update(role="admin")
    assert HtmlPage(admin.post(f"{PATH}{mine.pk}/remove/", follow=True)).says("last seller admin")


def test_an_admin_who_leaves_is_signed_out_and_one_who_becomes_less_goes_to_the_orders(admin: Client, world: World) -> None:
    Membership.objects.filter(user=world.harbour.manager).update(role="admin")
    mine = member(world.harbour.admin)
    left = admin.post(f"{PATH}{mine.pk}/remove/", follow=True)
    assert left.redirect_chain == [("/signin/", 302)]
    assert HtmlPage(left).says("You no longer work for Harbour Cloud")
    assert admin.get("/orders/").status_code == 302
    Membership.objects.filter(user=world.harbour.viewer).update(role="admin")
    other = Client()
    other.force_login(world.harbour.manager)
    less = other.post(f"{PATH}{member(world.harbour.manager).pk}/role/", {"role": "viewer"})
    assert less["Location"] == "/orders/"
    assert other.get(PATH).status_code == 403


def test_another_sellers_people_and_invitations_are_as_if_they_were_not(admin: Client, world: World) -> None:
    theirs = member(world.northwind.viewer).pk
    invitation, _ = people.invite(world.northwind.seller, "x@northwind.example", Role.VIEWER, by=world.northwind.admin)
    before = state()
    for path in (f"{PATH}{{}}/role/", f"{PATH}{{}}/remove/", f"{PATH}{{}}/restore/"):
        answers = [likeness(admin.post(path.format(pk), {"role": "admin"})) for pk in (theirs, 999_999, 10**30)]
        assert [status for status, *_ in answers] == [404] * 3
        assert answers[0] == answers[1]
    for verb in ("resend", "revoke"):
        answers = [likeness(admin.post(f"/settings/invitations/{pk}/{verb}/", {"token": "x"})) for pk in (invitation.pk, 999_999)]
        assert answers[0] == answers[1]
    assert state() == before


def test_the_page_asks_as_often_for_three_people_as_for_thirty(admin: Client, world: World, django_assert_num_queries: Any) -> None:
    with CaptureQueriesContext(connection) as few:
        admin.get(PATH)
    for number in range(30):
        user = User.objects.create_user(f"p{number}@harbour.example", None, name=f"P {number}")
        Membership.objects.create(user=user, seller=world.harbour.seller, role="viewer", is_active=number % 2 == 0)
        people.invite(world.harbour.seller, f"i{number}@harbour.example", Role.VIEWER, by=world.harbour.admin)
    with django_assert_num_queries(len(few)):
        admin.get(PATH)


# --- at the same moment


def together(*works: Callable[[], object]) -> list[object]:
    """What each returned or raised, all begun at once."""
    gate, results = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        gate.wait()
        try:
            results[number] = work()  # type: ignore[call-overload]
        except Exception as error:
            results[number] = error  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_admins_who_remove_each_other_at_once_leave_one(committed_db: Database) -> None:
    world = build()
    for _ in range(8):
        Membership.objects.filter(seller=world.harbour.seller).update(role="admin", is_active=True)
        User.objects.update(is_active=True)
        people.remove(member(world.harbour.viewer), by=world.harbour.admin)
        one, other = member(world.harbour.admin), member(world.harbour.manager)
        results = together(
            lambda one=one, other=other: people.remove(one, by=other.user), lambda one=one, other=other: people.remove(other, by=one.user)
        )
        assert len([result for result in results if isinstance(result, people.Refusal)]) == 1, results
        assert Membership.objects.filter(seller=world.harbour.seller, is_active=True, role="admin").count() == 1


def test_one_link_opened_by_many_at_once_lets_one_in(committed_db: Database) -> None:
    world = build()
    invitation, _ = people.invite(world.harbour.seller, "nina@harbour.example", Role.VIEWER, by=world.harbour.admin)
    results = together(*[lambda n=n: people.join(invitation, name=f"Nina {n}", password=NEW["password"]) for n in range(8)])
    assert len([result for result in results if isinstance(result, User)]) == 1, results
    assert len([result for result in results if isinstance(result, people.Refusal)]) == 7, results
    assert User.objects.filter(email="nina@harbour.example").count() == 1
