"""One press of a button does one thing, however often the form arrives (reliability.md I-9)."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from orders import lifecycle
from orders.models import Customer, Order, OrderNote, PurchaseAttempt, Submission, VendorAccount
from orders.statuses import OrderStatus
from tests.harness.portal import Portal
from tests.harness.world import World, again, order_in
from tests.walls.pages import HtmlPage
from tests.walls.state import state
from tests.walls.visitor import Visitor, at_once

FIFTY = 50
RETRY_TOKEN = re.compile(r'/retry/.*?name="token" value="([^"]*)"')


def two_vendors(world: World) -> Order:
    """A quote with a line of each vendor."""
    return order_in(OrderStatus.DRAFT, world, world.line(world.premium_yearly_monthly, 3), world.line(quantity=5))


def new_order(world: World, **changes: str) -> dict[str, str]:
    fields = {
        "customer": world.harbour.customer.code, "reference": "PO-1", "version": "0", "token": "one-press", "action": "save",
        "lines-0-offer": world.backup.code, "lines-0-plan": "P1M:monthly", "lines-0-quantity": "7",
    }  # fmt: skip
    return fields | changes


def only_place_led_to(answers: list[Any]) -> str:
    """Every answer is the same redirect; its Location."""
    assert [answer.status_code for answer in answers] == [302] * len(answers), sorted({(a.status_code, a.text[:400]) for a in answers})
    places = {answer.headers["Location"] for answer in answers}
    assert len(places) == 1, places
    return str(places.pop())


# --- fifty at once, at a real server


def test_fifty_simultaneous_sends_of_a_new_order_make_one_order_and_are_all_led_to_it(web: Portal, world: World) -> None:
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        place = only_place_led_to(at_once(FIFTY, lambda _number: visitor.post("/orders/new/", new_order(world))))
    order = Order.objects.get()
    assert place == f"/orders/{order.number}/"
    assert [line.quantity for line in order.lines.all()] == [7]
    assert Submission.objects.exclude(token__endswith=".made").count() == 1


def test_fifty_simultaneous_sends_of_a_new_customer_make_one_customer(web: Portal, world: World) -> None:
    data = {
        "name": "Cedar Clinic", "domain": "cedarclinic.onmicrosoft.com", "contact_first_name": "Cor", "contact_last_name": "Ceder",
        "contact_email": "cor@cedar.example", "address_line1": "Kade 1", "postal_code": "1011 AB", "city": "Amsterdam", "country": "NL",
        "segment": "Commercial", "currency": "EUR", "tax_rate": "21",
        "customer_version": "0", "token": "one-press",
    }  # fmt: skip
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        place = only_place_led_to(at_once(FIFTY, lambda _number: visitor.post("/customers/new/", data)))
    assert place == f"/orders/new/?customer={Customer.objects.get(domain=data['domain']).code}"


def test_fifty_simultaneous_presses_of_place_make_one_attempt_at_each_vendor(web: Portal, world: World) -> None:
    order = two_vendors(world)
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        token = visitor.page(f"/orders/{order.number}/place/").sent()["token"]
        place = only_place_led_to(at_once(FIFTY, lambda _number: visitor.post(f"/orders/{order.number}/place/", {"token": token})))
    assert place == f"/orders/{order.number}/"
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert sorted(attempt.vendor.code for attempt in order.attempts.all()) == ["microsoft", "northgate"]
    assert order.events.filter(name="placed").count() == 1


def test_fifty_simultaneous_presses_of_retry_make_one_new_attempt(web: Portal, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        token = visitor.page(f"/orders/{order.number}/").sent()["token"]
        only_place_led_to(at_once(FIFTY, lambda _number: visitor.post(f"/orders/{order.number}/retry/", {"token": token})))
    assert [attempt.number for attempt in order.attempts.all()] == [1, 2]
    assert order.events.filter(name="retried").count() == 1


def test_fifty_simultaneous_presses_of_undo_make_one_order(web: Portal, world: World) -> None:
    order = order_in(OrderStatus.DELETED, world)
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        place = only_place_led_to(at_once(FIFTY, lambda _number: visitor.post(f"/orders/{order.number}/undo/", {"token": "one-press"})))
    assert place == f"/orders/{again(order).follow_ups.get().number}/"


def test_fifty_simultaneous_sends_of_a_note_write_it_once(web: Portal, world: World) -> None:
    order = order_in(OrderStatus.COMPLETED, world)
    data = {"token": "one-press", "text": "Called the customer."}
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        place = only_place_led_to(at_once(FIFTY, lambda _number: visitor.post(f"/orders/{order.number}/notes/", data)))
    assert place == f"/orders/{order.number}/#timeline"
    assert [note.text for note in OrderNote.objects.all()] == ["Called the customer."]


def test_fifty_tabs_that_place_at_once_make_one_attempt_at_each_vendor_and_the_others_are_told(web: Portal, world: World) -> None:
    """Each tab has a token of its own, so no repeat saves us: the machine does."""
    order = two_vendors(world)
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        answers = at_once(FIFTY, lambda number: visitor.post(f"/orders/{order.number}/place/", {"token": f"tab-{number}"}))
    assert sorted(answer.status_code for answer in answers) == [302] + [409] * (FIFTY - 1)
    assert PurchaseAttempt.objects.filter(order=order).count() == 2
    assert Submission.objects.exclude(token__endswith=".made").count() == 1


def test_fifty_tabs_that_undo_at_once_are_all_led_to_the_one_new_order(web: Portal, world: World) -> None:
    order = order_in(OrderStatus.DELETED, world)
    with Visitor(web.url).sign_in(world.harbour.manager) as visitor:
        answers = at_once(FIFTY, lambda number: visitor.post(f"/orders/{order.number}/undo/", {"token": f"tab-{number}"}))
    assert only_place_led_to(answers) == f"/orders/{again(order).follow_ups.get().number}/"


# --- one after the other


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def test_a_form_that_is_sent_again_after_back_leads_where_it_led_and_does_nothing(manager: Client, world: World) -> None:
    first = manager.post("/orders/new/", new_order(world))
    before = state()
    again_ = manager.post("/orders/new/", new_order(world))
    assert (again_.status_code, again_["Location"]) == (302, first["Location"])
    assert state() == before


def test_a_colleague_with_the_same_form_is_led_to_the_same_order(manager: Client, world: World) -> None:
    """The token is the form's, not the person's: a shared screen or a restored tab makes no second order."""
    first = manager.post("/orders/new/", new_order(world))
    other = Client()
    other.force_login(world.harbour.admin)
    assert other.post("/orders/new/", new_order(world))["Location"] == first["Location"]
    assert Order.objects.count() == 1


def test_the_token_of_one_form_with_the_content_of_another_is_refused(manager: Client, world: World) -> None:
    manager.post("/orders/new/", new_order(world))
    order, before = Order.objects.get(), state()
    for path, data in (
        ("/orders/new/", new_order(world, **{"lines-0-quantity": "8"})),
        ("/orders/new/", new_order(world, action="review")),
        (f"/orders/{order.number}/place/", {"token": "one-press"}),
        (f"/orders/{order.number}/delete/", {"token": "one-press"}),
        (f"/orders/{order.number}/notes/", {"token": "one-press", "text": "A note."}),
    ):
        response = manager.post(path, data)
        assert response.status_code == 422, path
        assert HtmlPage(response).says("This form was sent before with other content."), path
    assert state() == before


@pytest.mark.parametrize("token", [None, "", " "], ids=["no token", "an empty one", "a space"])
def test_without_a_token_nothing_is_done(manager: Client, world: World, token: str | None) -> None:
    draft, failed = order_in(OrderStatus.DRAFT, world), order_in(OrderStatus.PROVISIONING_FAILED, world)
    deleted, waiting = order_in(OrderStatus.DELETED, world), order_in(OrderStatus.PROVISIONING_STARTED, world)
    before = state()
    wanted = {} if token is None else {"token": token}
    blank = new_order(world)
    del blank["token"]
    sends: list[tuple[str, dict[str, str]]] = [
        ("/orders/new/", blank),
        (f"/orders/{draft.number}/place/", {}),
        (f"/orders/{draft.number}/delete/", {}),
        (f"/orders/{failed.number}/retry/", {}),
        (f"/orders/{failed.number}/close/", {}),
        (f"/orders/{deleted.number}/undo/", {}),
        (f"/orders/{waiting.number}/stop/", {}),
        (f"/orders/{draft.number}/notes/", {"text": "A note."}),
    ]
    answers = {path: manager.post(path, data | wanted).status_code for path, data in sends}
    assert answers == dict.fromkeys(answers, 422)
    assert state() == before


def test_two_presses_of_different_forms_are_two_orders(manager: Client, world: World) -> None:
    """What repeats is the token, not the content: the same order may well be wanted twice."""
    places = {manager.post("/orders/new/", new_order(world, token=token))["Location"] for token in ("first", "second")}
    assert len(places) == 2
    assert Order.objects.count() == 2


def test_each_page_carries_a_token_of_its_own(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    for path in ("/orders/new/", "/customers/new/", f"/orders/{order.number}/edit/", f"/orders/{order.number}/place/"):
        tokens = {HtmlPage(manager.get(path)).sent()["token"] for _ in range(3)}
        assert len(tokens) == 3, path
        assert min(map(len, tokens)) >= 22, "128 bits at least"


def test_a_token_that_did_one_thing_is_never_taken_for_another_with_the_same_fields(manager: Client, world: World) -> None:
    """Buttons send nothing but their token, so what is asked lies in the address: order A's answer must not stand for order B."""
    first, second = order_in(OrderStatus.DRAFT, world), order_in(OrderStatus.DRAFT, world)
    assert manager.post(f"/orders/{first.number}/place/", {"token": "shared"}).status_code == 302
    before = state()
    for path in (f"/orders/{second.number}/place/", f"/orders/{second.number}/delete/", f"/orders/{first.number}/stop/"):
        assert manager.post(path, {"token": "shared"}).status_code == 422, path
    assert state() == before


def test_every_retry_button_of_the_list_and_of_the_order_page_retries_its_order(manager: Client, world: World) -> None:
    orders = [order_in(OrderStatus.PROVISIONING_FAILED, world) for _ in range(3)]
    for path, wanted in (("/orders/", orders[:2]), (f"/orders/{orders[2].number}/", orders[2:])):
        page = HtmlPage(manager.get(path))
        for order in wanted:
            [form] = page.all("form", action=f"/orders/{order.number}/retry/")
            [token] = [field.get("value", "") for field in form.iter("input") if field.get("name") == "token"]
            assert token, f"{path}: the Retry of {order.number} has no token"
            response = manager.post(form.attrib["action"], {"token": token})
            assert (response.status_code, response["Location"]) == (302, f"/orders/{order.number}/")
            assert again(order).status == OrderStatus.PROVISIONING_STARTED


def test_a_row_that_arrives_live_has_a_retry_button_that_works(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.PROVISIONING_FAILED, world)
    then = "2020-01-01T00:00:00+00:00"
    answer = manager.get("/orders/live/", {"since": then, "opened": then, "fresh": "0", "row": f"{order.number}@1"})
    token = RETRY_TOKEN.search(answer.content.decode())
    assert token, "no Retry in the row"
    assert token[1], "the Retry has no token"
    assert manager.post(f"/orders/{order.number}/retry/", {"token": token[1]})["Location"] == f"/orders/{order.number}/"
    assert again(order).status == OrderStatus.PROVISIONING_STARTED


# --- a refusal keeps nothing


def refused_then_allowed(manager: Client, path: str, data: dict[str, str], remove_cause: Callable[[], object]) -> Any:
    before = state()
    refused = manager.post(path, data)
    assert refused.status_code == 409, refused.content
    assert state() == before
    remove_cause()
    allowed = manager.post(path, data)
    assert allowed.status_code == 302, allowed.content
    return allowed


def test_a_refused_place_may_be_sent_again_with_its_token_when_the_cause_is_gone(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    accounts = VendorAccount.objects.filter(vendor=world.northgate)
    accounts.update(is_active=False)
    refused_then_allowed(manager, f"/orders/{order.number}/place/", {"token": "patient"}, lambda: accounts.update(is_active=True))
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.count() == 1


def test_a_refused_undo_may_be_sent_again_with_its_token_after_the_deletion(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    path, data = f"/orders/{order.number}/undo/", {"token": "patient"}
    refused_then_allowed(manager, path, data, lambda: lifecycle.delete(order, by=world.harbour.manager))
    assert again(order).follow_ups.count() == 1


def test_a_stale_edit_may_be_sent_again_with_its_token_and_the_new_version(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    path = f"/orders/{order.number}/edit/"
    data = {**HtmlPage(manager.get(path)).sent(), "lines-0-quantity": "9", "action": "save"}
    lifecycle.edit(order, [world.line(quantity=4)], by=world.harbour.admin, version=order.version)
    before = state()
    assert manager.post(path, data).status_code == 409
    assert state() == before
    assert manager.post(path, data | {"version": str(again(order).version)}).status_code == 302
    assert [line.quantity for line in order.lines.all()] == [9]


def test_an_invalid_form_keeps_its_token_for_the_corrected_one(manager: Client, world: World) -> None:
    response = manager.post("/orders/new/", new_order(world, **{"lines-0-quantity": "0"}))
    assert response.status_code == 422
    assert HtmlPage(response).sent()["token"] == "one-press"
    assert manager.post("/orders/new/", new_order(world)).status_code == 302


def test_a_press_whose_work_breaks_leaves_no_token_and_no_half_of_it(
    manager: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = two_vendors(world)
    path, data = f"/orders/{order.number}/place/", {"token": "unlucky"}
    real = lifecycle.wake

    def broken(task: str, *arguments: Any, **options: Any) -> None:
        real(task, *arguments, **options)
        raise RuntimeError("the disk is full")

    before = state()
    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, "wake", broken)
        with pytest.raises(RuntimeError, match="the disk is full"):
            manager.post(path, data)
    assert not connection.needs_rollback
    assert state() == before
    assert manager.post(path, data).status_code == 302
    assert order.attempts.count() == 2
