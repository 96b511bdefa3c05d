"""Check before sending: the worker asks real (sandbox) vendors, buys nothing, and the page says what they would refuse."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import asking, lifecycle, preflight, purchasing
from orders import clock as portal_clock
from orders.failures import Catalogue
from orders.journal import QuestionJournal, SendsHeld
from orders.models import (
    AccountHealth,
    Customer,
    CustomerTenant,
    Incident,
    Order,
    OrderEvent,
    Preflight,
    PurchaseAttempt,
    Vendor,
    VendorAccount,
    VendorExchange,
)
from orders.vendors import microsoft_login, partner_center
from orders.vendors.contract import Answer, Call, Refusal
from tests.harness.clock import Clock
from tests.harness.databases import Database
from tests.harness.sandbox import CLIENT_SECRET, Sandbox
from tests.harness.world import World, again, cart_of, manual_price
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage
from tests.walls.state import state

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(committed_db: Database, vendor: Sandbox) -> None:
    """Real commits and a real vendor."""
    microsoft_login.TOKENS.clear()


@pytest.fixture
def manager(client: Client, world: World) -> Client:
    client.force_login(world.harbour.manager)
    return client


def asked(order: Order, world: World) -> Preflight:
    """What the worker made of a check that was just asked for."""
    made = asking.ask(again(order), by=world.harbour.manager)
    preflight.perform(made.pk)
    return Preflight.objects.get(pk=made.pk)


def codes(made: Preflight) -> set[str]:
    return {row["code"] for row in made.problems}


def spoil(world: World, **changes: str) -> None:
    Customer.objects.filter(pk=world.harbour.customer.pk).update(**changes)


def answer(order: Order, world: World, *problems: dict[str, object], finished: bool = True, **fields: object) -> Preflight:
    """A check as the worker would have left it, without a vendor."""
    now = portal_clock.now()
    rows = [{"vendor": "microsoft", "code": "", "http_status": 400, "text": "", "line": None, "field": "", **row} for row in problems]
    given = {"version": order.version, "customer_version": order.customer.version, "answered": ["microsoft"], "asked_at": now} | fields
    return Preflight.objects.create(
        order=order, asked_by=world.harbour.manager, finished_at=now if finished else None, problems=rows, **given
    )


def review(client: Client, order: Order) -> HtmlPage:
    page = HtmlPage(client.get(f"/orders/{order.number}/place/"))
    assert complaints(page) == []
    return page


# --- asking


def test_a_new_customer_without_fault_is_asked_about_and_nothing_is_bought_or_kept(engine: None, vendor: Sandbox, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly))
    made = asked(order, world)
    assert (made.problems, made.trouble, made.answered) == ([], "", ["microsoft"])
    assert made.finished_at
    assert not any(vendor.ledger()[kind] for kind in ("customers", "carts", "orders"))
    assert not PurchaseAttempt.objects.exists()
    assert not VendorExchange.objects.exists()
    assert not CustomerTenant.objects.exists()
    assert OrderEvent.objects.filter(order=order).count() == 1
    assert {call["method"] for call in vendor.calls() if "oauth2" not in call["path"] and "validations" not in call["path"]} <= {
        "GET",
        "HEAD",
    }


def test_all_problems_of_a_new_customer_come_at_once(engine: None, vendor: Sandbox, world: World) -> None:
    vendor.faults("status:404", path="/v1/products/*/availabilities", times=None)
    spoil(world, domain="takenharbour.onmicrosoft.com", postal_code="00000")
    made = asked(cart_of(world, world.line(world.premium_yearly), world.line(world.premium_monthly)), world)
    assert {"domain_taken", "3000", "address_not_found", "not_available"} <= codes(made), made.problems
    assert {row["line"] for row in made.problems if row["code"] == "not_available"} == {1, 2}
    vendor.clear_faults()


def test_a_known_customer_is_asked_about_by_his_standing_and_agreement(engine: None, vendor: Sandbox, world: World, clock: Clock) -> None:
    bought = lifecycle.place(cart_of(world, world.line(world.premium_yearly)), by=world.harbour.manager)
    for attempt in bought.attempts.all():
        purchasing.run(attempt.pk)
    tenant = CustomerTenant.objects.get().vendor_ref
    order = cart_of(world, world.line(world.premium_monthly))
    assert asked(order, world).problems == []
    vendor.set_customer(tenant, standing="NotAllowed", agreement="missing")
    made = asked(order, world)
    assert codes(made) == {"not_allowed", "agreement_missing"}


def test_several_vendors_answer_each_and_one_that_cannot_be_asked_is_named(engine: None, vendor: Sandbox, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly), world.line(), world.line(manual_price(world)))
    assert asked(order, world).answered == ["microsoft", "northgate"]
    VendorAccount.objects.filter(pk=world.northgate_account.pk).update(is_paused=True)
    made = asked(order, world)
    assert made.answered == ["microsoft"]
    assert "Northgate Backup was not asked: our login there is paused" in made.trouble


@pytest.mark.parametrize("fault", ["status:503", "html502", "drop_before_commit", "429:30"])
def test_a_vendor_that_does_not_answer_is_trouble_and_no_problem(engine: None, vendor: Sandbox, world: World, fault: str) -> None:
    vendor.faults(fault, path="/v1/domains/*", times=None)
    made = asked(cart_of(world, world.line(world.premium_yearly)), world)
    vendor.clear_faults()
    assert (made.problems, made.answered, made.trouble) == ([], [], "Microsoft did not answer.")
    assert made.finished_at


def test_a_refused_login_tells_staff_and_pauses_nothing(engine: None, vendor: Sandbox, world: World) -> None:
    account = world.microsoft_account
    account.client_secret = "not-the-secret"
    account.save()
    made = asked(cart_of(world, world.line(world.premium_yearly)), world)
    assert made.trouble == "Microsoft refuses our login. Our staff were told."
    incident = Incident.objects.get()
    assert (incident.kind, CLIENT_SECRET in incident.detail, "not-the-secret" in incident.detail) == ("login-refused", False, False)
    assert not VendorAccount.objects.filter(is_paused=True).exists()


def test_a_stopped_vendor_is_asked_all_the_same(engine: None, vendor: Sandbox, world: World) -> None:
    Vendor.objects.update(is_stopped=True)
    assert asked(cart_of(world, world.line(world.premium_yearly)), world).answered == ["microsoft"]


def test_the_limits_of_the_account_count_and_a_short_wait_is_waited_for(engine: None, vendor: Sandbox, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly))
    asked(order, world)
    health = AccountHealth.objects.get(account=world.microsoft_account)
    assert health.calls_left < world.microsoft_account.calls_per_minute
    health.not_before = portal_clock.now() + timedelta(seconds=5)
    health.save()
    calls = len(vendor.calls())
    made = asked(order, world)
    assert (made.finished_at, len(vendor.calls())) == (None, calls)
    AccountHealth.objects.update(not_before=None)
    preflight.perform(made.pk)
    assert Preflight.objects.get(pk=made.pk).answered == ["microsoft"]
    AccountHealth.objects.update(not_before=portal_clock.now() + timedelta(minutes=5))
    assert asked(order, world).trouble == "Microsoft takes no questions right now."


def test_a_task_that_comes_twice_adds_nothing(engine: None, vendor: Sandbox, world: World) -> None:
    spoil(world, postal_code="00000")
    made = asked(cart_of(world, world.line(world.premium_yearly)), world)
    before, calls = made.problems, len(vendor.calls())
    preflight.perform(made.pk)
    preflight._keep(made, world.microsoft, [Refusal("2002", 400, "again")])
    assert (Preflight.objects.get(pk=made.pk).problems, len(vendor.calls())) == (before, calls)


def test_our_own_mistake_is_trouble(engine: None, vendor: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> list[Refusal]:
        raise ZeroDivisionError

    monkeypatch.setattr(partner_center.PartnerCenter, "check", broken)
    made = asked(cart_of(world, world.line(world.premium_yearly)), world)
    assert made.trouble == "Microsoft could not be asked: our own program failed."


def test_the_journal_of_questions_lets_nothing_through_that_could_change_something() -> None:
    journal, sent = QuestionJournal("tenant"), []

    def send(call: Call, _key: str) -> Answer:
        sent.append(call)
        return Answer(200, {}, b"{}")

    with pytest.raises(SendsHeld):
        journal.write("create cart", Call("POST", "/v1/carts"), send)
    assert sent == []
    assert journal.read("look", Call("GET", "/v1/carts"), send).status == 200


# --- the page


def test_the_button_names_the_vendors_and_asks_once_a_press_without_calling_anybody(
    manager: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "perform", lambda _pk: pytest.fail("A vendor was asked in the request."))
    order = cart_of(world, world.line(world.premium_yearly), world.line(), world.line(manual_price(world)))
    page = review(manager, order)
    assert page.says("Check with Microsoft and Northgate Backup")
    for _ in range(3):
        response = manager.post(f"/orders/{order.number}/check/", {"token": "press-c"})
        assert (response.status_code, response["Location"]) == (302, f"/orders/{order.number}/place/#vendor-check")
    [made] = Preflight.objects.all()
    assert (made.order, made.asked_by, made.version) == (order, world.harbour.manager, order.version)
    # While it runs another press is the same question.
    manager.post(f"/orders/{order.number}/check/", {"token": "another-c"})
    assert Preflight.objects.count() == 1
    page = review(manager, order)
    assert page.says("Asking Microsoft and Northgate Backup now")
    assert page.says("Look again")
    assert page.by_id("vendor-check").get("hx-trigger") == "every 2s"
    assert page.says("Place order")


def test_the_part_that_htmx_asks_for_is_the_vendors_part_and_ends_when_the_order_is_gone(manager: Client, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly))
    answer(order, world, finished=False, answered=[])
    htmx = {"HX-Request": "true"}
    assert manager.get(f"/orders/{order.number}/place/", headers=htmx).status_code == 204
    Preflight.objects.update(finished_at=portal_clock.now(), answered=["microsoft"])
    part = HtmlPage(manager.get(f"/orders/{order.number}/place/", headers=htmx))
    assert part.by_id("vendor-check").get("hx-get") is None
    assert not part.says("What is bought")
    assert part.says("Nothing found that Microsoft would refuse.")
    lifecycle.place(order, by=world.harbour.manager)
    response = manager.get(f"/orders/{order.number}/place/", headers=htmx)
    assert (response.status_code, response["HX-Redirect"]) == (204, f"/orders/{order.number}/")


def test_each_problem_stands_in_our_words_with_its_field_and_the_vendors_text_stays_text(manager: Client, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly), world.line(world.premium_monthly))
    nasty = "<script>alert(1)</script> \u202e postal"
    answer(
        order,
        world,
        {"code": "3000", "field": "BillingProfile.DefaultAddress.PostalCode", "text": nasty},
        {"code": "2002", "line": 2, "text": "minimumQuantity 1"},
        {"code": "31337", "text": "Nobody knows this one."},
    )
    page = review(manager, order)
    customer = f"/customers/{order.customer.code}/edit/"
    assert {f"{customer}#id_postal_code", f"/orders/{order.number}/edit/#id_lines-1-quantity"} <= set(page.links())
    for words in ("The postal code isn’t accepted", nasty, "Microsoft would refuse this", "3 problems found", "Place order"):
        assert page.says(words), words
    assert page.all("script", src="alert(1)") == []
    # The very fields are there.
    assert HtmlPage(manager.get(customer)).by_id("id_postal_code") is not None
    assert HtmlPage(manager.get(f"/orders/{order.number}/edit/")).by_id("id_lines-1-quantity") is not None


@pytest.mark.parametrize("change", ["order", "customer"])
def test_an_answer_about_an_older_version_says_so(manager: Client, world: World, change: str) -> None:
    order = cart_of(world, world.line(world.premium_yearly))
    answer(order, world, {"code": "domain_taken"})
    assert not review(manager, order).says("changed after this answer")
    if change == "order":
        lifecycle.edit(order, [world.line(world.premium_monthly)], by=world.harbour.manager, version=order.version)
    else:
        Customer.objects.filter(pk=order.customer_id).update(version=order.customer.version + 1)
    page = review(manager, order)
    assert page.says("changed after this answer")
    assert page.says("Check again")


def test_an_asking_that_was_lost_says_so_and_may_be_asked_again(manager: Client, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly))
    answer(order, world, finished=False, answered=[], asked_at=portal_clock.now() - asking.LONGEST)
    page = review(manager, order)
    assert page.says("No answer came. Check again.")
    assert page.by_id("vendor-check").get("hx-get") is None
    manager.post(f"/orders/{order.number}/check/", {"token": "again-c"})
    assert Preflight.objects.count() == 2


def test_a_viewer_may_not_ask_and_an_order_that_is_out_may_not_be_asked_about(client: Client, world: World) -> None:
    order = cart_of(world, world.line(world.premium_yearly))
    client.force_login(world.harbour.viewer)
    assert client.post(f"/orders/{order.number}/check/", {"token": "x"}).status_code == 403
    client.force_login(world.northwind.manager)
    assert client.post(f"/orders/{order.number}/check/", {"token": "x"}).status_code == 404
    client.force_login(world.harbour.manager)
    lifecycle.place(order, by=world.harbour.manager)
    before = state()
    assert client.post(f"/orders/{order.number}/check/", {"token": "x"}).status_code == 409
    assert state() == before


def test_where_staff_order_by_hand_nobody_can_be_asked(manager: Client, world: World) -> None:
    page = review(manager, cart_of(world, world.line(manual_price(world))))
    assert not page.says("Check before sending")


def test_many_problems_and_many_lines_cost_no_more_queries(manager: Client, world: World) -> None:
    def queries(order: Order) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            asking.of(Order.objects.for_list().get(pk=order.pk), Catalogue())
        return len(captured)

    few = cart_of(world, world.line(world.premium_yearly))
    many = cart_of(world, *[world.line(world.premium_yearly) for _ in range(8)])
    answer(few, world, {"code": "2002", "line": 1})
    answer(many, world, *[{"code": "2002", "line": line} for line in range(1, 9)])
    assert queries(few) == queries(many)
