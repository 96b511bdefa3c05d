"""Staff move orders by four named verbs only: each status, each verb, each permission, and what a forged POST does."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from orders.admin.moves import MOVES
from orders.models import FailureReason, User
from orders.statuses import OrderStatus
from orders.vendors.contract import Refusal
from tests.harness.world import World, again, order_in, verdict_refused
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of
from tests.walls.state import state

pytestmark = pytest.mark.pages

ALLOWED = {
    ("retry", "provisioning_failed"): "provisioning_started",
    ("close", "provisioning_failed"): "completed_with_errors",
    ("stop", "provisioning_started"): "provisioning_failed",
    **{("remove", status): "deleted" for status in ("start", "draft", "quote_sent", "scheduled")},
}
NAMES = tuple(move.name for move in MOVES)
SENT = {"reason": "The seller asked us to.", "token": "press-1"}


def address(name: str, order: object) -> str:
    return reverse(f"admin:orders_order_{name}", args=[order.pk])  # type: ignore[attr-defined]


@pytest.fixture
def clerk(world: World) -> User:
    return User.objects.create_user("clerk@portal.example", "correct horse battery", name="Cleo Clerk", is_staff=True)


def may(person: User, *codenames: str) -> None:
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.django_db
def test_only_what_the_status_allows_has_a_button_and_works(client: Client, world: World, status: str) -> None:
    client.force_login(world.staff)
    order = order_in(status, world)
    page = HtmlPage(client.get(reverse("admin:orders_order_change", args=[order.pk])))
    offered = {name for name in NAMES if address(name, order) in page.links()}
    assert offered == {name for name in NAMES if (name, status) in ALLOWED}
    for name in NAMES:
        order = order_in(status, world)
        assert client.get(address(name, order)).status_code == (200 if (name, status) in ALLOWED else 409)
        before = state()
        response = client.post(address(name, order), {**SENT, "token": name, "status": "completed", "name": "close"})
        if (name, status) not in ALLOWED:
            assert (response.status_code, state()) == (409, before)
            continue
        assert response.status_code == 302
        assert again(order).status == ALLOWED[name, status]
        event = next(event for event in order.events.all() if event.actor_id)
        assert (event.actor_name, event.data["reason"]) == ("Sam Staff (staff)", SENT["reason"])


@pytest.mark.parametrize(("name", "status"), ALLOWED)
@pytest.mark.django_db
def test_each_verb_needs_its_own_permission_on_get_and_post(client: Client, world: World, clerk: User, name: str, status: str) -> None:
    client.force_login(clerk)
    order = order_in(status, world)
    others = [f"{other}_order" for other in NAMES if other != name]
    for codenames in ([], ["view_order", "change_order", "delete_order", *others], [f"{name}_order"]):
        may(clerk, *codenames)
        before = state()
        assert (client.get(address(name, order)).status_code, client.post(address(name, order), SENT).status_code) == (403, 403)
        assert state() == before
    may(clerk, "view_order", f"{name}_order")
    assert client.post(address(name, order), SENT).status_code == 302
    assert again(order).status == ALLOWED[name, status]


@pytest.mark.parametrize(("name", "status"), ALLOWED)
@pytest.mark.django_db
def test_without_a_reason_nothing_happens_and_pressed_twice_it_happens_once(client: Client, world: World, name: str, status: str) -> None:
    client.force_login(world.staff)
    order = order_in(status, world)
    before = state()
    for wrong in ({}, {"reason": " ", "token": "a"}, {"reason": "x" * 201, "token": "a"}, {"reason": "No token."}):
        response = client.post(address(name, order), wrong)
        assert response.status_code == 422
        assert complaints(HtmlPage(response)) == []
    assert state() == before
    assert [client.post(address(name, order), SENT).status_code for _ in range(3)] == [302, 302, 302]
    assert len([event for event in order.events.all() if event.data.get("reason") == SENT["reason"]]) == 1


@pytest.mark.django_db
def test_a_retry_that_the_reason_forbids_is_refused_on_the_post(client: Client, world: World) -> None:
    client.force_login(world.staff)
    order = order_in("provisioning_failed", world)
    FailureReason.objects.filter(code="3000").update(retry="never")
    before = state()
    assert client.post(address("retry", order), SENT).status_code == 409
    assert state() == before


@pytest.mark.django_db
def test_the_seller_reads_who_did_it_and_why(client: Client, world: World) -> None:
    client.force_login(world.staff)
    order = order_in("provisioning_failed", world)
    client.post(address("retry", order), {**SENT, "reason": "<b>Because.</b>"})
    client.force_login(world.harbour.viewer)
    page = HtmlPage(client.get(f"/orders/{order.number}/"))
    assert page.says("by Sam Staff (staff)")
    assert page.says("<b>Because.</b>")


@pytest.mark.django_db
def test_codes_without_an_entry_lead_to_the_form_filled_in(client: Client, world: World) -> None:
    client.force_login(world.staff)
    order_in("provisioning_failed", world)
    path = reverse("admin:orders_failurereason_unknown")
    assert HtmlPage(client.get(path)).says("Every code that was seen has its entry.")
    FailureReason.objects.filter(code="3000").delete()
    [link] = [link for link in HtmlPage(client.get(path)).links() if "/add/?" in link]
    sent = HtmlPage(client.get(link)).sent()
    assert (sent["dialect"], sent["http_status"], sent["code"]) == ("partner_center", "400", "3000")


@pytest.mark.django_db
def test_an_entry_that_staff_write_for_an_unknown_code_is_on_the_cards_at_once(client: Client, world: World) -> None:
    client.force_login(world.staff)
    order = order_in("provisioning_started", world)
    hostile = "<script>alert(1)</script> & more"
    verdict_refused(order.attempts.get(), Refusal("77<7", 418, hostile, b"{}"))
    second = order_in("provisioning_started", world)
    verdict_refused(second.attempts.get(), Refusal("77<7", 418, hostile, b"{}"))
    page = HtmlPage(client.get(reverse("admin:orders_failurereason_unknown")))
    assert complaints(page) == []
    [row] = [row for row in page.all("tr") if "77<7" in text_of(row)]
    assert hostile in text_of(row)
    assert "2" in [text_of(cell) for cell in row.iter("td")]
    [link] = [link for link in page.links() if "/add/?" in link]
    form = {name: value for name, value in HtmlPage(client.get(link)).sent().items() if name != "_preview"}
    assert (form["dialect"], form["http_status"], form["code"], form["slug"]) == ("partner_center", "418", "77<7", "partner_center-777")
    words = {"short": "Teapot", "summary": "The vendor is a teapot", "meaning": "Nothing was bought.", "fix": "Ask for coffee."}
    assert client.post(link, form | words | {"who": "staff", "retry": "staff"}).status_code == 302
    assert HtmlPage(client.get(reverse("admin:orders_failurereason_unknown"))).says("Every code that was seen has its entry.")
    client.force_login(world.harbour.manager)
    for path in ("/orders/", f"/orders/{order.number}/", f"/orders/{second.number}/"):
        page = HtmlPage(client.get(path))
        assert page.says("The vendor is a teapot"), path
        assert page.says("Retry is off: Ask for coffee."), path
    assert HtmlPage(client.get("/help/failures/")).by_id("partner_center-777") is not None
