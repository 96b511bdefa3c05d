"""Who is told of a failed order, once for each attempt, in one mail when many fail at once, and never twice."""

import smtplib
from typing import Any

import pytest
from django.test import Client, override_settings

from orders import lifecycle, mail, notices
from orders.models import Incident, Membership, Notice, SentMail
from orders.models.notices import MAX_TRIES
from orders.vendors.contract import Refusal
from tests.harness.databases import Database
from tests.harness.world import World, cart_of, order_in, verdict_refused
from tests.walls.pages import HtmlPage, text_of
from tests.walls.visitor import at_once

KEPT = override_settings(MAILERS={"default": {"BACKEND": "orders.mail.KeptMail"}})


@pytest.fixture
def outbox(mailoutbox: list[Any]) -> list[Any]:
    return mailoutbox


def choose(world: World, *recipients: str, creator: bool = True) -> None:
    seller = world.harbour.seller
    seller.mail_recipients, seller.mails_creator = list(recipients), creator
    seller.save()


def test_the_creator_and_the_chosen_are_told_each_once(world: World, outbox: list[Any]) -> None:
    choose(world, "ops@harbour.example", "MAX@harbour.example", "ops@harbour.example")
    order = order_in("provisioning_failed", world)
    assert notices.send_due() == 2
    assert notices.send_due() == 0
    assert sorted(message.to[0] for message in outbox) == ["max@harbour.example", "ops@harbour.example"]
    body = outbox[0].body
    for words in (order.number, "Alder Dental", "What to do:", f"/orders/{order.number}/", "The contact e-mail is not valid."):
        assert words in body
    assert "Provisioning Failed" in outbox[0].subject
    assert "6.40" not in body, "no cost"


def test_each_attempt_that_fails_is_told_once(world: World, outbox: list[Any]) -> None:
    order = order_in("provisioning_failed", world)
    notices.send_due()
    lifecycle.retry(order, by=world.harbour.manager)
    verdict_refused(order.attempts.last())
    notices.send_due()
    assert len(outbox) == 2


def test_many_at_once_are_one_digest(world: World, outbox: list[Any]) -> None:
    orders = [order_in("provisioning_failed", world) for _ in range(3)]
    assert notices.send_due() == 1
    assert outbox[0].subject == "3 orders could not be completed"
    assert all(order.number in outbox[0].body for order in orders)


@pytest.mark.parametrize("off", ["setting", "membership", "person"])
def test_a_creator_who_left_or_is_not_to_be_told_is_not(world: World, outbox: list[Any], off: str) -> None:
    if off == "setting":
        choose(world, creator=False)
    elif off == "membership":
        Membership.objects.filter(user=world.harbour.manager).update(is_active=False)
    else:
        world.harbour.manager.is_active = False
        world.harbour.manager.save()
    order_in("provisioning_failed", world)
    assert not Notice.objects.exists()


def test_partial_orders_are_told_and_good_ones_are_not(world: World) -> None:
    order_in("completed", world)
    assert not Notice.objects.exists()
    order_in("completed_with_errors", world, world.line(), world.line(quantity=3))
    assert Notice.objects.get().event.name == "finished_with_errors"


def test_a_vendors_words_break_no_header_and_turn_nothing(world: World, outbox: list[Any]) -> None:
    world.harbour.customer.name = "Evil\r\nBcc: x@example.org\u202e"
    world.harbour.customer.save()
    order = order_in("provisioning_started", world)
    verdict_refused(order.attempts.get(), Refusal("3000", 400, "a\r\nFrom: b\u202ec" + "x" * 5000, b"{}"))
    notices.send_due()
    message = outbox[0].message()
    assert message["Bcc"] is None
    assert "\n" not in outbox[0].subject
    assert "\u202e" not in outbox[0].subject + outbox[0].body
    assert len(outbox[0].body) < 2500


def failing(error: Exception, opening: bool) -> Any:
    class Fails:
        def open(self) -> None:
            if opening:
                raise error

        def send_messages(self, messages: Any) -> None:
            raise error

        def close(self) -> None:
            pass

    return type("Mailers", (), {"default": Fails()})()


@pytest.mark.parametrize(
    ("error", "opening"),
    [(ConnectionRefusedError("no"), True), (TimeoutError("slow"), True), (smtplib.SMTPDataError(451, b"later"), False)],
)
def test_what_definitely_did_not_leave_is_tried_again_and_given_up_with_an_incident(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, opening: bool
) -> None:
    order_in("provisioning_failed", world)
    monkeypatch.setattr(mail, "mailers", failing(error, opening))
    for tries in range(1, MAX_TRIES + 1):
        Notice.objects.update(due_at="2020-01-01T00:00:00Z")
        notices.send_due()
        assert Notice.objects.get().tries == tries
    assert Notice.objects.get().given_up_at
    assert Incident.objects.get().kind == "mail-given-up"


@pytest.mark.parametrize("error", [TimeoutError("cut"), smtplib.SMTPServerDisconnected("gone")])
def test_what_may_have_left_is_never_sent_again(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, outbox: list[Any]) -> None:
    order_in("provisioning_failed", world)
    with monkeypatch.context() as patched:
        patched.setattr(mail, "mailers", failing(error, opening=False))
        notices.send_due()
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    assert notices.send_due() == 0
    assert outbox == []
    assert Incident.objects.count() == 1


def test_what_a_dead_worker_held_is_reported_and_not_sent(world: World, outbox: list[Any]) -> None:
    order_in("provisioning_failed", world)
    assert notices.claim(world.harbour.seller.pk, world.harbour.manager.email)
    notices.sweep()
    assert not Incident.objects.exists()
    Notice.objects.update(claimed_at="2020-01-01T00:00:00Z")
    notices.sweep()
    notices.sweep()
    assert Incident.objects.count() == 1
    assert notices.send_due() == 0
    assert outbox == []


def test_ten_workers_at_once_send_one_mail(committed_db: Database, world: World, outbox: list[Any]) -> None:
    from django.db import connection

    order_in("provisioning_failed", world)

    def work(_number: int) -> int:
        try:
            return notices.send_due()
        finally:
            connection.close()

    assert sum(at_once(6, work)) == 1
    assert len(outbox) == 1


# --- the demo's page


def test_the_demo_shows_the_sellers_own_mails_escaped_and_linked(client: Client, world: World) -> None:
    with KEPT:
        order = order_in("provisioning_failed", world)
        order_in("provisioning_failed", world, at=world.northwind)
        notices.send_due()
    SentMail.objects.create(seller=world.harbour.seller, recipients="x@y.example", subject="<b>hi", body="<script>", at=order.created_at)
    client.force_login(world.harbour.viewer)
    page = HtmlPage(client.get("/demo/mail/"))
    assert page.says(order.number)
    assert not page.says("northwind.example")
    assert page.says("<b>hi")
    assert any(link.endswith(f"/orders/{order.number}/") for link in page.links())


def test_a_mail_that_lets_somebody_in_is_shown_to_admins_only(client: Client, world: World) -> None:
    seller = world.harbour.seller
    SentMail.objects.create(seller=seller, is_private=True, recipients="x@y.example", subject="Secret", body="s", at=seller.created_at)
    for person, sees in ((world.harbour.admin, True), (world.harbour.manager, False), (world.northwind.admin, False)):
        client.force_login(person)
        assert HtmlPage(client.get("/demo/mail/")).says("Secret") is sees


def test_the_page_exists_in_the_demo_only_and_pages_by_key(client: Client, world: World) -> None:
    seller = world.harbour.seller
    for number in range(30):
        SentMail.objects.create(seller=seller, recipients="x@y.example", subject=f"Mail {number}.", body="b", at=seller.created_at)
    client.force_login(world.harbour.admin)
    [older] = [link for link in HtmlPage(client.get("/demo/mail/")).links() if "before=" in link]
    assert HtmlPage(client.get(f"/demo/mail/{older}")).says("Mail 4.")
    for nonsense in ("x", "-1", "9" * 30, "²"):
        assert client.get("/demo/mail/", {"before": nonsense}).status_code == 200
    with override_settings(IS_LOCAL=False):
        assert client.get("/demo/mail/").status_code == 404


# --- who, and in which words


def test_whoever_made_it_and_whoever_placed_it_are_told_once_each(world: World, outbox: list[Any]) -> None:
    choose(world)
    order = cart_of(world)
    verdict_refused(lifecycle.place(order, by=world.harbour.admin).attempts.get())
    own = lifecycle.create(world.harbour.customer, [world.line()], by=world.harbour.admin)
    verdict_refused(lifecycle.place(own, by=world.harbour.admin).attempts.get())
    told = list(Notice.objects.values_list("event__order__number", "recipient"))
    assert sorted(told) == sorted(
        [(order.number, "max@harbour.example"), (order.number, "ada@harbour.example"), (own.number, "ada@harbour.example")]
    )


def test_a_vendor_that_gave_no_reason_is_not_quoted(world: World, outbox: list[Any]) -> None:
    order = order_in("provisioning_started", world)
    verdict_refused(order.attempts.get(), Refusal("3000", 400, "", b"{}"))
    notices.send_due()
    assert "Northgate Backup gave no reason." in outbox[0].body
    assert "said: >" not in outbox[0].body


def test_of_a_historical_order_no_mail_and_no_card_says_what_to_do_or_to_retry(client: Client, world: World, outbox: list[Any]) -> None:
    order = order_in("completed_with_errors", world, world.line(), world.line(quantity=3))
    notices.send_due()
    assert order.number in outbox[0].body
    assert "What to do" not in outbox[0].body
    assert "retry" not in outbox[0].body.lower()
    client.force_login(world.harbour.manager)
    [card] = [
        element for element in HtmlPage(client.get("/orders/historical/")).all("div") if element.get("id") == f"reason-{order.number}"
    ]
    assert "retry" not in text_of(card).lower()
    failed = order_in("provisioning_failed", world)
    [card] = [element for element in HtmlPage(client.get("/orders/")).all("div") if element.get("id") == f"reason-{failed.number}"]
    assert "retry" in text_of(card).lower()
