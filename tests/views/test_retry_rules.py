"""When Retry is offered and when a sentence stands in its place: reasons that forbid it, leave it to staff, or want a new domain."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orders import lifecycle
from orders.models import FailureReason, Order
from orders.statuses import OrderStatus
from orders.vendors.contract import Refusal
from tests.harness.world import World, again, order_in, verdict_refused
from tests.walls.pages import HtmlPage
from tests.walls.state import state

BURNT = Refusal(code="27002", http_status=400, text="NotificationEmailAddress is invalid", raw=b"{}", field="BillingProfile.Email")
LOCKED = Refusal(code="900416", http_status=403, text="Locked.", raw=b"{}")
GONE = Refusal(code="800018", http_status=400, text="Sandbox limit met.", raw=b"{}")


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def refused(world: World, refusal: Refusal) -> Order:
    """An order of a Microsoft offer that was refused like this."""
    order = lifecycle.place(order_in(OrderStatus.DRAFT, world, world.line(world.premium_yearly, 1)), by=world.harbour.manager)
    for attempt in order.attempts.all():
        verdict_refused(attempt, refusal)
    return again(order)


def retry_of(client: Client, order: Order, path: str) -> bool:
    return bool(HtmlPage(client.get(path)).all("form", action=f"/orders/{order.number}/retry/"))


def pages(order: Order) -> tuple[str, str, str]:
    return "/orders/", f"/orders/{order.number}/", f"/customers/{order.customer.code}/"


def has_domain(order: Order, domain: str) -> None:
    order.customer.domain = domain
    order.customer.save()


def no_retry(client: Client, order: Order, words: str) -> None:
    """Retry is on no page, its sentence is, and a POST is refused and changes nothing."""
    for path in pages(order):
        assert not retry_of(client, order, path), path
        assert HtmlPage(client.get(path)).says(f"Retry is off: {words}"), path
    before = state()
    response = client.post(f"/orders/{order.number}/retry/", {"token": f"refused-{len(words)}"})
    assert response.status_code == 409
    assert HtmlPage(response).says(words)
    assert state() == before


@pytest.mark.parametrize("refusal", [LOCKED, GONE], ids=["left to staff", "never"])
@pytest.mark.django_db
def test_where_the_reason_forbids_it_the_reason_stands_in_the_place_of_retry(manager: Client, world: World, refusal: Refusal) -> None:
    order = refused(world, refusal)
    reason = FailureReason.objects.get(code=refusal.code)
    no_retry(manager, order, reason.fix.replace("{vendor}", "Microsoft"))
    # Neither does the order's form do it, whatever is sent to it.
    path = f"/orders/{order.number}/edit/"
    page = HtmlPage(manager.get(path))
    assert not [button for button in page.all("button") if button.get("value") == "retry"]
    before = state()
    assert manager.post(path, page.sent() | {"action": "retry"}).status_code == 409
    assert state() == before


@pytest.mark.django_db
def test_staff_retry_what_is_left_to_them_and_nothing_that_can_never_succeed(client: Client, world: World) -> None:
    client.force_login(world.staff)
    sent = {"reason": "The vendor unlocked it.", "token": "staff"}
    never = refused(world, GONE)
    assert client.post(reverse("admin:orders_order_retry", args=[never.pk]), sent).status_code == 409
    assert again(never).status == OrderStatus.PROVISIONING_FAILED
    theirs = refused(world, LOCKED)
    page = HtmlPage(client.get(f"/admin/orders/order/{theirs.pk}/change/"))
    [link] = [link for link in page.links() if link.endswith("/retry/")]
    assert client.post(link, sent).status_code == 302
    assert again(theirs).status == OrderStatus.PROVISIONING_STARTED


# --- a domain that is used up


@pytest.mark.parametrize("code", ["27002", "domain_taken", "3000:CompanyProfile.Domain"])
@pytest.mark.django_db
def test_a_burnt_domain_has_to_be_replaced_before_retry_appears(manager: Client, world: World, code: str) -> None:
    number, _, field = code.partition(":")
    order = refused(world, Refusal(number, 400, "No.", b"{}", field=field))
    burnt = order.customer.domain
    no_retry(manager, order, f"Choose another domain first: {burnt} can’t be used at Microsoft any more.")
    # Another way to write it is no other domain, and another detail is no other domain either.
    has_domain(order, burnt.upper())
    order.customer.contact_email = "another@working.example"
    order.customer.save()
    no_retry(manager, order, f"Choose another domain first: {burnt}")
    has_domain(order, "a-fresh-one.onmicrosoft.com")
    assert all(retry_of(manager, order, path) for path in pages(order))
    assert manager.post(f"/orders/{order.number}/retry/", {"token": "two"}).status_code == 302
    assert again(order).status == OrderStatus.PROVISIONING_STARTED


@pytest.mark.django_db
def test_staff_need_a_new_domain_too(client: Client, world: World) -> None:
    client.force_login(world.staff)
    order = refused(world, BURNT)
    page = HtmlPage(client.get(f"/admin/orders/order/{order.pk}/change/"))
    assert not [link for link in page.links() if link.endswith("/retry/")]


@pytest.mark.django_db
def test_the_page_with_the_domain_offers_save_and_retry_and_refuses_the_old_one(manager: Client, world: World) -> None:
    order = refused(world, BURNT)
    path = f"/orders/{order.number}/edit/"
    page = HtmlPage(manager.get(path))
    assert [button for button in page.all("button") if button.get("value") == "retry"]
    sent: dict[str, Any] = page.sent() | {"action": "retry", "contact_email": "works@working.example"}
    before = state()
    response = manager.post(path, sent)
    assert response.status_code == 409
    assert HtmlPage(response).says("Choose another domain first")
    assert state() == before, "half of it was saved"
    assert manager.post(path, sent | {"domain": "a-fresh-one.onmicrosoft.com"}).status_code == 302
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert again(order).customer.domain == "a-fresh-one.onmicrosoft.com"


@pytest.mark.django_db
def test_a_domain_that_is_used_up_again_has_to_be_replaced_again(manager: Client, world: World) -> None:
    order = refused(world, BURNT)
    has_domain(order, "second.onmicrosoft.com")
    manager.post(f"/orders/{order.number}/retry/", {"token": "one"})
    verdict_refused(again(order).attempts.get(number=2), BURNT)
    assert not retry_of(manager, order, "/orders/")
    no_retry(manager, again(order), "Choose another domain first: second.onmicrosoft.com")


@pytest.mark.django_db
def test_asking_for_the_domain_costs_no_query_for_each_row(manager: Client, world: World) -> None:
    refused(world, BURNT)
    manager.get("/orders/")
    with CaptureQueriesContext(connection) as one:
        manager.get("/orders/")
    for _ in range(4):
        refused(world, BURNT)
    with CaptureQueriesContext(connection) as five:
        assert HtmlPage(manager.get("/orders/")).says("Choose another domain first")
    assert len(five) == len(one)
