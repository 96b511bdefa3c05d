"""Vendors without an API, from the order to staff's answer and back: one engine, on both databases."""

import threading
from datetime import date
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from orders import clock as portal_clock
from orders import lifecycle, progress, provisioning, purchasing
from orders.failures import Catalogue
from orders.lifecycle import Refusal
from orders.models import AttemptState, Order, OrderEvent, PurchaseAttempt, StaffVerdict, Subscription, User, VendorAccount
from orders.provisioning import AlreadyAnswered, UsedReference
from orders.statuses import OrderStatus
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.world import World, again, cart_of, manual_price, verdict_done, verdict_refused
from tests.test_purchasing import words
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of

DAY = date(2026, 12, 1)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def engine(committed_db: Database) -> None:
    """Real commits for every test here."""


def waiting(world: World, *more: Any, quantities: tuple[int, ...] = (2, 5)) -> tuple[Order, PurchaseAttempt]:
    """An order that our staff have before them."""
    price = manual_price(world)
    lines = [world.line(price, quantity) for quantity in quantities]
    order = lifecycle.place(cart_of(world, *lines, *more), by=world.harbour.manager)
    attempt = order.attempts.get(vendor__connector="manual")
    purchasing.run(attempt.pk)
    attempt.refresh_from_db()
    assert attempt.state == AttemptState.ACCEPTED
    return again(order), attempt


def approve(attempt: PurchaseAttempt, number: int, by: User, ref: str = "") -> StaffVerdict:
    line = attempt.order.lines.get(position=number)
    return provisioning.approve(attempt, line, by=by, vendor_ref=ref or f"C-{attempt.pk}-{number}", starts_on=DAY)


def refuse(attempt: PurchaseAttempt, number: int, by: User, text: str = "", code: str = "out_of_stock") -> StaffVerdict:
    return provisioning.refuse(attempt, attempt.order.lines.get(position=number), by=by, code=code, text=text, reason="Out of stock")


def go_on() -> None:
    """What the woken worker does."""
    for attempt in PurchaseAttempt.objects.due(portal_clock.now()).by_hand():
        purchasing.run(attempt.pk)


# --- the engine


def test_it_waits_for_staff_and_says_so(world: World) -> None:
    order, attempt = waiting(world)
    assert (order.status, words(order)) == (OrderStatus.PROVISIONING_STARTED, "Waiting for our staff,")
    assert order.events.first().name == "with_staff"
    assert attempt.next_action_at > portal_clock.now()
    assert not attempt.exchanges.exists()


def steps_of(order: Order) -> list[str]:
    return [step.label for step in progress.steps(again(order))]


def test_the_steps_name_our_staff_where_no_vendor_has_an_api(world: World) -> None:
    order, _ = waiting(world)
    assert steps_of(order) == ["Ordered", "With our staff", "Staff approval", "Completed"]
    mixed, _ = waiting(world, world.line())
    assert steps_of(mixed) == ["Ordered", "Sent to vendor", "Vendor approval", "Completed"]


def test_an_order_of_both_kinds_names_who_has_not_answered(world: World) -> None:
    order, _ = waiting(world, world.line())
    assert words(order) == "Waiting for our staff and Northgate Backup,"
    verdict_done(order.attempts.get(vendor=world.northgate))
    assert words(order) == "Waiting for our staff,"


def test_a_paused_account_says_so_until_staff_have_the_order(world: World) -> None:
    order = lifecycle.place(cart_of(world, world.line(manual_price(world))), by=world.harbour.manager)
    VendorAccount.objects.filter(vendor__code="larkfield").update(is_paused=True)
    assert words(order) == "Waiting: our ordering from Larkfield Telecom is paused"


def told(world: World, order: Order) -> tuple[str, str]:
    """What happens next and who acts, as the order's page says it."""
    shown = progress.show(Order.objects.for_list().get(pk=order.pk), world.harbour.manager.membership, Catalogue())
    return progress.what_next(shown), progress.who_acts(shown)


def test_what_happens_next_is_true_for_staff_alone_both_and_a_pause(world: World) -> None:
    alone, _ = waiting(world)
    assert told(world, alone) == (
        "Our staff order this from Larkfield Telecom and enter the answer item by item. This page follows by itself. "
        "You need to do nothing.",
        "Our staff",
    )
    both, _ = waiting(world, world.line())
    assert told(world, both) == (
        "Our staff order this from Larkfield Telecom and enter the answer item by item. Northgate Backup answers by itself. "
        "The order goes on when all have answered; you need to do nothing.",
        "Our staff and the vendor",
    )
    verdict_done(both.attempts.get(vendor=world.northgate))
    assert told(world, both)[1] == "Our staff"
    paused = lifecycle.place(cart_of(world, world.line(manual_price(world))), by=world.harbour.manager)
    VendorAccount.objects.filter(vendor__code="larkfield").update(is_paused=True)
    assert told(world, paused) == (
        "Our ordering from Larkfield Telecom is paused; our staff go on as soon as it is not. Nothing was ordered there so far. "
        "You need to do nothing.",
        "Our staff",
    )


def test_an_order_of_both_kinds_whose_manual_items_are_refused_is_completed_with_errors(world: World) -> None:
    order, attempt = waiting(world, world.line())
    verdict_done(order.attempts.get(vendor=world.northgate))
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    refuse(attempt, 1, world.staff)
    refuse(attempt, 2, world.staff)
    go_on()
    assert (again(order).status, words(order)) == (OrderStatus.COMPLETED_WITH_ERRORS, "Provisioning failed: 2 of 3 items")
    assert Subscription.objects.filter(line__order=order).count() == 1


def test_all_approved_is_completed_with_reference_and_dates(world: World) -> None:
    order, attempt = waiting(world)
    approve(attempt, 1, world.staff)
    go_on()
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    approve(attempt, 2, world.staff)
    go_on()
    assert again(order).status == OrderStatus.COMPLETED
    assert [subscription.vendor_ref for subscription in Subscription.objects.filter(line__order=order)] == [
        f"C-{attempt.pk}-1",
        f"C-{attempt.pk}-2",
    ]
    # The first of December, as typed, where the seller is.
    assert Subscription.objects.filter(line__order=order)[0].starts_at.isoformat() == "2026-11-30T23:00:00+00:00"
    event = order.events.filter(name="approved_by_staff").last()
    assert (event.actor, event.actor_name, event.data["line"]) == (world.staff, "Sam Staff (staff)", "SIP Trunk, 10 channels × 2")


def test_all_refused_fails_with_the_words_of_staff(world: World) -> None:
    order, attempt = waiting(world)
    refuse(attempt, 1, world.staff, "None left.")
    refuse(attempt, 2, world.staff, "None left.")
    go_on()
    assert (again(order).status, words(order)) == (OrderStatus.PROVISIONING_FAILED, "Out of stock")
    assert {failure.text for failure in attempt.failures.all()} == {"None left."}


def test_a_part_refused_is_completed_with_errors(world: World) -> None:
    order, attempt = waiting(world)
    approve(attempt, 1, world.staff)
    refuse(attempt, 2, world.staff)
    go_on()
    assert (again(order).status, words(order)) == (OrderStatus.COMPLETED_WITH_ERRORS, "Provisioning failed: 1 of 2 items")


def test_beside_a_vendor_with_an_api_each_has_one_attempt_and_the_order_moves_when_both_have_answered(world: World) -> None:
    order, attempt = waiting(world, world.line())
    verdict_refused(order.attempts.get(vendor=world.northgate))
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert words(order) == "Northgate Backup refused 1 item, waiting for our staff"
    approve(attempt, 1, world.staff)
    approve(attempt, 2, world.staff)
    go_on()
    assert again(order).status == OrderStatus.COMPLETED_WITH_ERRORS
    assert order.attempts.count() == 2


def test_what_staff_refused_shows_while_the_vendor_with_an_api_is_out(world: World) -> None:
    order, attempt = waiting(world, world.line())
    refuse(attempt, 1, world.staff)
    refuse(attempt, 2, world.staff)
    go_on()
    assert (again(order).needs_attention, words(order)) == (True, "Larkfield Telecom refused 2 items, waiting for Northgate Backup")
    verdict_done(order.attempts.get(vendor=world.northgate))
    assert again(order).status == OrderStatus.COMPLETED_WITH_ERRORS


def test_a_retry_is_a_new_attempt_with_fresh_verdicts(world: World) -> None:
    order, first = waiting(world, quantities=(2,))
    refuse(first, 1, world.staff)
    go_on()
    lifecycle.retry(order, by=world.harbour.manager)
    second = order.attempts.last()
    purchasing.run(second.pk)
    assert (second.number, second.verdicts.count()) == (2, 0)
    approve(second, 1, world.staff)
    go_on()
    assert again(order).status == OrderStatus.COMPLETED
    assert (first.verdicts.get().is_approved, second.verdicts.get().is_approved) == (False, True)


def test_a_worker_killed_between_verdict_and_record_loses_and_doubles_nothing(world: World, clock: Clock) -> None:
    order, attempt = waiting(world, quantities=(2,))
    approve(attempt, 1, world.staff)
    assert purchasing.claim(attempt.pk)
    go_on()
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    clock.advance(seconds=settings.PURCHASE_LEASE_SECONDS + settings.REWAKE_SECONDS + 1)
    assert purchasing.sweep() == 1
    go_on()
    assert again(order).status == OrderStatus.COMPLETED
    assert Subscription.objects.filter(line__order=order).count() == 1


def test_an_answer_that_comes_while_the_worker_looks_is_not_left_lying(world: World, clock: Clock) -> None:
    order, attempt = waiting(world, quantities=(2,))
    clock.advance(hours=2)
    held = purchasing.claim(attempt.pk)
    assert held
    snapshot = purchasing.registry.connect("manual", purchasing.login_to(held.account), lambda *_: None).advance(
        held.order_request(), purchasing.AttemptJournal(held)
    )
    approve(attempt, 1, world.staff)
    purchasing.record_snapshot(held, snapshot)
    go_on()
    assert again(order).status == OrderStatus.COMPLETED


# --- who may answer what


def test_of_two_staff_at_once_one_answers_and_the_other_is_told(world: World) -> None:
    _, attempt = waiting(world, quantities=(2,))
    other = User.objects.create_superuser("tess@portal.example", "correct horse battery", name="Tess Staff")
    told: list[str] = []
    barrier = threading.Barrier(2)

    def race(by: User) -> None:
        barrier.wait()
        try:
            approve(attempt, 1, by, f"C-{by.pk}")
        except AlreadyAnswered as refusal:
            told.append(str(refusal))
        connection.close()

    threads = [threading.Thread(target=race, args=[by]) for by in (world.staff, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = attempt.verdicts.get()
    assert told == [f"{verdict.by.name} approved SIP Trunk, 10 channels × 2 before you. Nothing was changed."]
    with pytest.raises(IntegrityError), transaction.atomic():
        StaffVerdict.objects.create(attempt=attempt, line=verdict.line, is_approved=False, by=other, at=verdict.at)


def test_a_reference_stands_for_one_item(world: World) -> None:
    _, attempt = waiting(world)
    approve(attempt, 1, world.staff, "SAME")
    with pytest.raises(UsedReference):
        approve(attempt, 2, world.staff, "SAME")


def test_nothing_is_answered_before_staff_have_it_and_then_the_waiting_can_not_be_stopped(world: World) -> None:
    order = lifecycle.place(cart_of(world, world.line(manual_price(world))), by=world.harbour.manager)
    attempt = order.attempts.get()
    with pytest.raises(Refusal, match="does not wait for our staff"):
        approve(attempt, 1, world.staff)
    purchasing.run(attempt.pk)
    with pytest.raises(Refusal, match="was sent meanwhile"):
        lifecycle.stop_waiting(order, by=world.harbour.manager)


# --- the pages


def page_of(attempt: PurchaseAttempt) -> str:
    return reverse("admin:orders_manualattempt_change", args=[attempt.pk])


def test_staff_find_it_in_the_queue_and_answer_line_by_line(world: World, client: Client) -> None:
    order, attempt = waiting(world)
    client.force_login(world.staff)
    queue = HtmlPage(client.get(reverse("admin:orders_manualattempt_changelist")))
    for text in (order.number, "Harbour Cloud", "Alder Dental", "0 of 2", "SIP Trunk, 10 channels × 5"):
        assert queue.says(text), text
    sent = {"line-1-decision": "approve", "line-1-vendor_ref": "C-1", "line-1-starts_on": "2026-12-01", "line-2-decision": "refuse",
            "line-2-code": "", "line-2-text": HOSTILE}  # fmt: skip
    assert client.post(page_of(attempt), sent).status_code == 302
    go_on()
    assert again(order).status == OrderStatus.COMPLETED_WITH_ERRORS
    assert attempt.failures.get().text == HOSTILE
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get(f"/orders/{order.number}/"))
    assert page.says(HOSTILE)
    assert page.says("by Sam Staff (staff)")


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        ({"decision": "approve", "starts_on": "2026-12-01"}, "vendor_ref", "Write the vendor’s reference."),
        ({"decision": "approve", "vendor_ref": "C-1"}, "starts_on", "Say on which day it starts."),
        ({"decision": "approve", "vendor_ref": "C-1", "starts_on": "2026-12-01", "ends_on": "2026-11-30"}, "ends_on", "before the start"),
        ({"decision": "approve", "vendor_ref": "C-1", "starts_on": "0001-01-01"}, "starts_on", "between 2000 and 2099"),
        ({"decision": "approve", "vendor_ref": "C-1", "starts_on": "soon"}, "starts_on", "valid date"),
        ({"decision": "approve", "vendor_ref": "x" * 101, "starts_on": "2026-12-01"}, "vendor_ref", "at most 100"),
        ({"decision": "approve", "vendor_ref": "a\0b", "starts_on": "2026-12-01"}, "vendor_ref", "Null characters"),
        ({"decision": "refuse"}, "code", "Choose a reason"),
        ({"decision": "refuse", "code": "stopped"}, "code", "Select a valid choice"),
        ({"decision": "buy", "text": HOSTILE}, "decision", "Select a valid choice"),
        ({"text": HOSTILE}, "decision", "Choose Approve or Refuse"),
    ],
)
def test_a_mistake_stands_beside_its_field_and_nothing_typed_is_lost(
    world: World, client: Client, sent: dict[str, str], field: str, said: str
) -> None:
    _, attempt = waiting(world)
    client.force_login(world.staff)
    other = {"line-2-decision": "refuse", "line-2-code": "out_of_stock", "line-2-text": "Typed with care."}
    response = client.post(page_of(attempt), {f"line-1-{name}": value for name, value in sent.items()} | other)
    assert response.status_code == 422
    page = HtmlPage(response)
    assert said in response.content.decode()
    assert page.says("Typed with care.")
    assert complaints(page) == []
    assert said in str(response.context_data["forms"][0].errors[field])
    assert not attempt.verdicts.exists()


def test_who_comes_late_is_told_who_was_faster(world: World, client: Client) -> None:
    _, attempt = waiting(world)
    client.force_login(world.staff)
    refuse(attempt, 1, world.staff)
    sent = {"line-1-decision": "approve", "line-1-vendor_ref": "C-1", "line-1-starts_on": "2026-12-01"}
    page = HtmlPage(client.post(page_of(attempt), sent, follow=True))
    assert page.says("Sam Staff refused SIP Trunk, 10 channels × 2 before you. Nothing was changed.")
    assert not attempt.verdicts.get().is_approved


@pytest.mark.parametrize(("permission", "status"), [("", 403), ("view_order", 403), ("provision_manually", 302)])
def test_answering_needs_its_permission_on_the_post_too(world: World, client: Client, permission: str, status: int) -> None:
    _, attempt = waiting(world)
    clerk = User.objects.create_user("clerk@portal.example", "correct horse battery", name="Cleo Clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename=permission))
    client.force_login(clerk)
    sent = {"line-1-decision": "approve", "line-1-vendor_ref": "C-1", "line-1-starts_on": "2026-12-01"}
    assert client.post(page_of(attempt), sent).status_code == status
    assert attempt.verdicts.count() == (1 if status == 302 else 0)
    assert OrderEvent.objects.filter(name="approved_by_staff").count() == attempt.verdicts.count()


def test_each_item_shows_its_answer_before_the_last_one_has_it(world: World, client: Client) -> None:
    order, attempt = waiting(world, quantities=(2, 5, 7))
    approve(attempt, 1, world.staff)
    refuse(attempt, 2, world.staff)
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get(f"/orders/{order.number}/"))
    outcomes = [text_of(mark) for mark in page.all("span") if mark.get("class") == "outcome"]
    assert outcomes == ["Approved", "Refused", "Waiting"]


def test_a_reason_that_staff_chose_is_no_code_of_the_vendor(world: World, client: Client) -> None:
    order, attempt = waiting(world, quantities=(2,))
    refuse(attempt, 1, world.staff, "None left.")
    go_on()
    client.force_login(world.harbour.manager)
    for path in (f"/orders/{order.number}/", "/orders/"):
        page = HtmlPage(client.get(path))
        assert page.says("None left.")
        assert not page.says("out_of_stock")


def test_staff_see_all_that_an_order_needs(world: World, client: Client) -> None:
    customer = world.harbour.customer
    customer.registration_number, customer.state = "NL-4711", "Noord-Holland"
    customer.save()
    order = lifecycle.create(customer, [world.line(manual_price(world), 3)] * 2, by=world.harbour.manager, reference="PO-2026-88")
    attempt = lifecycle.place(order, by=world.harbour.manager).attempts.get()
    purchasing.run(attempt.pk)
    approve(attempt, 1, world.staff)
    client.force_login(world.staff)
    page = HtmlPage(client.get(page_of(attempt)))
    assert complaints(page) == []
    money = ("€ 45.00 each, € 135.00 per month", "€ 30.00 each for the whole term")
    for text in ("PO-2026-88", customer.domain, "NL-4711", "Noord-Holland", *money):
        assert page.says(text), text
    assert ".." not in page.text
    assert "p.m." not in page.text
