"""The staff's admin: nothing is deleted, orders are read, secrets go in and never come out, and every edit is logged."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client, RequestFactory
from django.urls import reverse

from orders import parking, people, purchasing
from orders.failures import UNKNOWN
from orders.models import (
    Customer,
    FailureReason,
    Incident,
    Invitation,
    ManualAttempt,
    Membership,
    Notice,
    Offer,
    Order,
    ParkedAttempt,
    PriceList,
    PurchaseAttempt,
    Role,
    Seller,
    SentMail,
    SettingsChange,
    Subscription,
    User,
    Vendor,
    VendorAccount,
    VendorEvent,
)
from orders.statuses import HISTORICAL, RECENT, OrderStatus
from tests.harness.clock import Clock
from tests.harness.sandbox import CLIENT_SECRET
from tests.harness.world import PASSWORD, REFUSAL, World, again, claimed, order_in, verdict_refused
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of
from tests.walls.state import state

pytestmark = pytest.mark.pages

OURS = (
    User, Seller, Customer, Vendor, VendorAccount, Offer, PriceList, FailureReason, Order, PurchaseAttempt, Subscription, Incident, ManualAttempt,
    Invitation, SettingsChange, Notice, SentMail, ParkedAttempt, VendorEvent,
)  # fmt: skip
READ_ONLY = (Order, PurchaseAttempt, Subscription, Invitation, SettingsChange, Notice, SentMail, VendorEvent)
# Theirs have no page to add one: they come from the sellers' work.
NEVER_ADDED = {*READ_ONLY, Customer, Incident, ManualAttempt, ParkedAttempt}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def staff(client: Client, world: World) -> Client:
    client.force_login(world.staff)
    return client


def address(model: Any, page: str, row: Any = None) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[row.pk] if row else [])


def form_of(client: Client, path: str) -> dict[str, str]:
    """What the page's form would send unchanged."""
    response = client.get(path)
    assert response.status_code == 200
    page = HtmlPage(response)
    buttons = {element.get("name") for element in page.all("input", type="submit")}
    # A ticked box without a value of its own sends "on".
    ticked = {
        element.attrib["name"]: element.get("value", "on") for element in page.all("input", type="checkbox") if "checked" in element.attrib
    }
    return {name: value for name, value in (page.sent() | ticked).items() if name not in buttons}


def every_row(*models: Any) -> Iterator[tuple[Any, Any]]:
    for model in models:
        for row in model.objects.all()[:3]:
            yield model, row


@pytest.fixture
def busy(world: World) -> World:
    """A world in which every page has something to show."""
    for status in OrderStatus:
        order_in(status, world)
    order = order_in("provisioning_started", world)
    verdict_refused(order.attempts.get(), type(REFUSAL)(REFUSAL.code, REFUSAL.http_status, HOSTILE, HOSTILE.encode()))
    Incident.objects.create(kind="test", order=order, detail=HOSTILE, at=order.created_at)
    VendorEvent.objects.create(account=world.microsoft_account, identity="e" * 64, body=HOSTILE.encode(), received_at=order.created_at)
    parked = order_in("provisioning_started", world)
    purchasing.record_parked(claimed(parked.attempts.get()), HOSTILE)
    invitation, token = people.invite(world.harbour.seller, "new@harbour.example", "viewer", by=world.harbour.admin)
    now, body = invitation.created_at, f"{HOSTILE} /join/{token}/"
    SentMail.objects.create(
        seller=world.harbour.seller, is_private=True, recipients="new@harbour.example", subject=HOSTILE, body=body, at=now
    )
    return world


# --- who gets in, and what the pages hold


@pytest.mark.django_db
def test_every_page_opens_for_staff_and_holds_nothing_inline(staff: Client, busy: World) -> None:
    paths = ["/admin/", "/admin/orders/", *(address(model, "changelist") for model in (*OURS, Group))]
    for model, row in every_row(*OURS):
        paths += [address(model, "change", row), address(model, "history", row)]
    paths += [address(model, "add") for model in OURS if model not in NEVER_ADDED]
    for path in paths:
        response = staff.get(path)
        assert response.status_code == 200, path
        assert complaints(HtmlPage(response)) == [], path


@pytest.mark.django_db
def test_the_words_of_a_vendor_stay_words(staff: Client, busy: World) -> None:
    attempt = PurchaseAttempt.objects.get(failures__text=HOSTILE)
    for path in (address(Order, "change", attempt.order), address(PurchaseAttempt, "change", attempt)):
        page = HtmlPage(staff.get(path))
        assert page.says("<script>alert(1)</script>")
        assert not [element for element in page.all("img") if element.get("src") == "x"]


@pytest.mark.django_db
def test_somebody_of_a_seller_is_told_that_this_is_for_staff_and_not_sent_in_circles(client: Client, world: World) -> None:
    client.force_login(world.harbour.admin)
    response = client.get("/admin/", follow=True)
    assert response.status_code == 403
    assert len(response.redirect_chain) <= 2


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/admin/orders/order/", ""])
@pytest.mark.django_db
def test_signing_in_leads_back_into_the_admin_and_nowhere_else(client: Client, world: World, wanted: str) -> None:
    response = client.get("/admin/login/", {"next": wanted})
    assert response["Location"].startswith("/signin/?next=/admin/")
    client.force_login(world.staff)
    assert client.get("/admin/login/", {"next": wanted})["Location"].startswith("/admin/")


# --- nothing is deleted


@pytest.mark.django_db
def test_no_page_of_the_admin_deletes_anything_for_anybody(rf: RequestFactory, world: World) -> None:
    request = rf.get("/admin/")
    request.user = world.staff
    assert set(OURS) <= set(admin.site._registry)
    for model, page in admin.site._registry.items():
        assert not page.has_delete_permission(request), model
        assert "delete_selected" not in page.get_actions(request), model
        for inline in page.get_inline_instances(request):
            assert not inline.has_delete_permission(request), inline


@pytest.mark.django_db
def test_a_posted_deletion_removes_no_row(staff: Client, busy: World) -> None:
    before = state()
    for model, row in every_row(*OURS):
        assert staff.post(address(model, "delete", row), {"post": "yes"}).status_code == 403
        asked = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        assert staff.post(address(model, "changelist"), asked).status_code in {200, 302, 403}
    assert state() == before


@pytest.mark.django_db
def test_ticking_delete_at_an_inline_row_removes_nothing(staff: Client, world: World) -> None:
    path = address(Offer, "change", world.backup)
    sent = form_of(staff, path) | {"prices-0-DELETE": "on"}
    assert staff.post(path, sent).status_code == 302
    assert world.backup.prices.count() == 1


# --- orders are read


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.django_db
def test_posting_a_status_or_anything_else_to_an_order_changes_nothing(staff: Client, world: World, status: OrderStatus) -> None:
    order = order_in(status, world)
    before = state()
    for other in ("completed", "deleted", "draft"):
        sent = {"status": other, "number": "SO-1", "reference": "x", "lines-0-quantity": "99", "_save": "Save"}
        assert staff.post(address(Order, "change", order), sent).status_code == 403
    assert staff.post(address(Order, "add"), {"status": "draft"}).status_code == 403
    assert staff.post(address(Order, "changelist"), {"form-0-status": "completed", "_save": "Save"}).status_code in {200, 302, 403}
    assert again(order).status == status
    assert state() == before


@pytest.mark.parametrize("model", READ_ONLY)
@pytest.mark.django_db
def test_what_is_only_read_has_no_field_to_type_into(staff: Client, busy: World, model: Any) -> None:
    row = model.objects.first()
    page = HtmlPage(staff.get(address(model, "change", row)))
    form = page.by_id(f"{model._meta.model_name}_form")
    # Inline rows bring their counters and keys; nobody can type into those.
    typed = [field.get("name") for field in form.iter() if field.tag in {"input", "select", "textarea"} and field.get("type") != "hidden"]
    assert typed == []
    assert staff.post(address(model, "change", row), {"_save": "Save"}).status_code == 403
    assert staff.get(address(model, "add")).status_code == 403


@pytest.mark.django_db
def test_the_list_of_orders_is_filtered_by_section_status_and_vendor_and_searched(staff: Client, busy: World) -> None:
    def numbers(**query: str) -> set[str]:
        page = HtmlPage(staff.get(address(Order, "changelist"), query))
        return {text_of(cell) for cell in page.all("th", class_="field-number")}

    def those(**query: Any) -> set[str]:
        return set(Order.objects.filter(**query).values_list("number", flat=True))

    assert numbers() == those()
    assert numbers(section="Recent") == those(status__in=RECENT)
    assert numbers(section="Historical") == those(status__in=HISTORICAL)
    assert numbers(status__exact="quote_sent") == those(status="quote_sent")
    assert numbers(vendor="northgate") == those()
    assert numbers(vendor="microsoft") == set()
    one = Order.objects.first()
    assert one is not None
    assert numbers(q=one.number) == {one.number}
    assert numbers(q=busy.harbour.customer.domain) == those()


@pytest.mark.django_db
def test_parked_attempts_are_filtered_by_whether_somebody_decided(staff: Client, busy: World) -> None:
    decided = order_in("provisioning_started", busy, at=busy.northwind).attempts.get()
    purchasing.record_parked(claimed(decided), "Nobody knows.")
    parking.was_not_bought(decided, by=busy.staff, evidence="A call with the vendor.", reason="The vendor has nothing.")

    def shown(**query: str) -> int:
        return len(HtmlPage(staff.get(address(ParkedAttempt, "changelist"), query)).all("th", class_="field-order_number"))

    assert (shown(), shown(decided="no"), shown(decided="yes"), shown(decided="nonsense")) == (2, 1, 1, 2)


@pytest.mark.django_db
def test_staff_name_every_order_at_the_vendor_and_decide_again_when_he_knows_none(staff: Client, world: World, clock: Clock) -> None:
    order = order_in("provisioning_started", world)
    page = address(ParkedAttempt, "change", order.attempts.get())
    words = {"evidence": "A call with the vendor.", "reason": "The vendor has two orders."}

    def parked(why: str) -> None:
        purchasing.record_parked(claimed(order.attempts.get()), why)
        clock.advance(hours=1)

    parked("Nobody knows.")
    assert staff.post(page, {"verdict": "bought", "vendor_order_refs": " , ", **words}).status_code == 422
    assert staff.post(page, {"verdict": "bought", "vendor_order_refs": "x" * 101, **words}).status_code == 422
    assert staff.post(page, {"verdict": "bought", "vendor_order_refs": "a1,\n b2 a1", **words}).status_code == 302
    assert order.attempts.get().adopted == ["a1", "b2"]
    parked("The vendor knows no order a1.")
    listed = HtmlPage(staff.get(address(ParkedAttempt, "changelist"), {"decided": "no"}))
    assert len(listed.all("th", class_="field-order_number")) == 1
    shown = HtmlPage(staff.get(page))
    assert shown.says("a1, b2")
    assert staff.post(page, {"verdict": "not_bought", "evidence": "Looked again.", "reason": "It was another one."}).status_code == 302
    assert [verdict.is_bought for verdict in order.attempts.get().parked_verdicts.all()] == [True, False]
    order.refresh_from_db()
    assert order.status == "provisioning_failed"


@pytest.mark.django_db
def test_where_an_account_is_stays_while_an_order_is_out(staff: Client, world: World) -> None:
    order_in("provisioning_started", world)
    out = HtmlPage(staff.get(address(VendorAccount, "change", world.northgate_account)))
    free = HtmlPage(staff.get(address(VendorAccount, "change", world.microsoft_account)))
    assert (len(out.all("input", name="base_url")), len(free.all("input", name="base_url"))) == (0, 1)


@pytest.mark.django_db
def test_the_order_page_shows_lines_events_attempts_and_why_it_failed(staff: Client, world: World) -> None:
    order = order_in("provisioning_failed", world)
    page = HtmlPage(staff.get(address(Order, "change", order)))
    line = order.lines.get()
    for words in (line.title, REFUSAL.code, REFUSAL.text, "Provisioning Failed", "Provisioning Started", world.harbour.manager.name):
        assert page.says(words), words


@pytest.mark.parametrize("model", OURS)
@pytest.mark.django_db
def test_a_list_costs_the_same_however_long_it_is(staff: Client, world: World, model: Any, django_assert_max_num_queries: Any) -> None:
    for _ in range(2):
        for status in ("completed", "provisioning_failed"):
            order_in(status, world)
    with django_assert_max_num_queries(11):
        assert staff.get(address(model, "changelist")).status_code == 200


# --- the account's secret


@pytest.mark.django_db
def test_the_secret_is_kept_when_the_field_is_empty_and_replaced_when_it_is_not(staff: Client, world: World) -> None:
    path = address(VendorAccount, "change", world.microsoft_account)
    sent = form_of(staff, path)
    assert sent["new_secret"] == ""
    staff.post(path, sent | {"name": "Renamed"})
    account = VendorAccount.objects.get(pk=world.microsoft_account.pk)
    assert (account.name, account.client_secret) == ("Renamed", CLIENT_SECRET)
    staff.post(path, sent | {"new_secret": "another-secret"})
    assert VendorAccount.objects.get(pk=account.pk).client_secret == "another-secret"


@pytest.mark.django_db
def test_the_secret_stands_on_no_page_and_in_no_log(staff: Client, world: World) -> None:
    order_in("completed", world)
    secret = "S3CRET-" + "x" * 30
    account = world.northgate_account
    path = address(VendorAccount, "change", account)
    staff.post(path, form_of(staff, path) | {"new_secret": secret})
    account.refresh_from_db()
    assert account.client_secret == secret
    # A refused form must not hand it back either.
    refused = staff.post(path, form_of(staff, path) | {"new_secret": secret, "name": ""})
    assert refused.status_code == 200
    seen = refused.content.decode()
    for model, row in every_row(*OURS):
        for page in ("change", "history"):
            seen += staff.get(address(model, page, row)).content.decode()
        seen += staff.get(address(model, "changelist")).content.decode()
    seen += repr(list(LogEntry.objects.values()))
    assert "Replace the secret" in seen
    for hidden in (secret, account.sealed_secret):
        assert hidden not in seen


LIMITS = {"calls_per_minute": "300", "parallel_calls": "4", "breaker_failures": "5", "breaker_seconds": "60"}


@pytest.mark.django_db
def test_a_new_account_needs_a_secret(staff: Client, world: World) -> None:
    path = address(VendorAccount, "add")
    sent = {
        "vendor": str(world.microsoft.pk), "seller": str(world.harbour.seller.pk), "name": "Own", "base_url": "https://vendor.example",
        "login_url": "https://login.example", "tenant": "t", "client_id": "c", "is_active": "on", **LIMITS,
    }  # fmt: skip
    assert staff.post(path, sent).status_code == 200
    assert staff.post(path, sent | {"new_secret": "first"}).status_code == 302
    assert VendorAccount.objects.get(name="Own").client_secret == "first"


@pytest.mark.django_db
def test_an_account_of_a_vendor_without_an_api_needs_no_login(staff: Client, world: World) -> None:
    vendor = Vendor.objects.create(code="larkfield", name="Larkfield Telecom", connector="manual")
    sent = {"vendor": str(vendor.pk), "name": "By hand", "is_active": "on", **LIMITS}
    assert staff.post(address(VendorAccount, "add"), sent).status_code == 302
    account = VendorAccount.objects.get(vendor=vendor)
    assert (account.base_url, account.sealed_secret) == ("", "")
    path = address(VendorAccount, "change", account)
    assert staff.post(path, form_of(staff, path) | {"name": "By our staff"}).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.sealed_secret) == ("By our staff", "")


@pytest.mark.django_db
def test_a_link_that_lets_somebody_in_is_shown_to_no_staff(staff: Client, busy: World) -> None:
    invitation, mail = Invitation.objects.get(), SentMail.objects.get()
    token = mail.body.split("/")[-2]
    for path in (
        address(SentMail, "changelist"), address(SentMail, "change", mail), address(Invitation, "changelist"), address(Invitation, "change", invitation),
    ):  # fmt: skip
        text = staff.get(path).content.decode()
        assert token not in text, path
        assert invitation.token_sha256 not in text, path
    assert HtmlPage(staff.get(address(SentMail, "change", mail))).says("Not shown")


@pytest.mark.django_db
def test_whose_an_account_is_stays_once_something_was_ordered_with_it(staff: Client, world: World) -> None:
    path = address(VendorAccount, "change", world.northgate_account)
    assert "tenant" in form_of(staff, path)
    order_in("provisioning_started", world)
    sent = form_of(staff, path)
    assert not {"tenant", "vendor", "seller"} & set(sent)
    staff.post(path, sent | {"tenant": "other", "seller": str(world.harbour.seller.pk)})
    account = VendorAccount.objects.get(pk=world.northgate_account.pk)
    assert (account.tenant, account.seller) == (world.northgate_account.tenant, None)


@pytest.mark.django_db
def test_pausing_and_resuming_are_one_press_and_logged(staff: Client, world: World) -> None:
    def press(action: str) -> VendorAccount:
        staff.post(address(VendorAccount, "changelist"), {"action": action, "_selected_action": [world.microsoft_account.pk]})
        return VendorAccount.objects.get(pk=world.microsoft_account.pk)

    paused = press("pause")
    assert paused.is_paused
    assert world.staff.name in paused.paused_reason
    resumed = press("resume")
    assert (resumed.is_paused, resumed.paused_reason) == (False, "")
    assert [entry.change_message for entry in LogEntry.objects.order_by("id")] == ["Paused.", "Resumed."]


@pytest.mark.django_db
def test_a_pause_by_the_form_says_why(staff: Client, world: World) -> None:
    path = address(VendorAccount, "change", world.microsoft_account)
    sent = form_of(staff, path) | {"is_paused": "on"}
    assert staff.post(path, sent).status_code == 200
    assert staff.post(path, sent | {"paused_reason": "Maintenance"}).status_code == 302
    assert VendorAccount.objects.get(pk=world.microsoft_account.pk).is_paused


# --- the failure catalogue


@pytest.mark.django_db
def test_what_staff_write_is_what_the_help_page_says(client: Client, world: World) -> None:
    reason = FailureReason.objects.get(slug="credit-limit")
    path = address(FailureReason, "change", reason)
    client.force_login(world.staff)
    assert client.post(path, form_of(client, path) | {"meaning": "{vendor} wants <money> first."}).status_code == 302
    assert HtmlPage(client.get(path)).says("Microsoft wants <money> first.")
    assert LogEntry.objects.get().user == world.staff
    client.force_login(world.harbour.viewer)
    page = HtmlPage(client.get("/help/failures/"))
    assert "The vendor wants <money> first." in text_of(page.by_id("credit-limit"))


@pytest.mark.django_db
def test_a_reason_is_checked_as_the_seed_is_and_keeps_its_anchor(staff: Client, world: World) -> None:
    reason = FailureReason.objects.get(slug="credit-limit")
    path = address(FailureReason, "change", reason)
    sent = form_of(staff, path)
    assert "slug" not in sent
    assert staff.post(path, sent | {"fix_field": "", "fix_label": ""}).status_code == 200
    assert staff.post(path, sent | {"dialect": "klingon"}).status_code == 200
    assert staff.post(path, sent | {"slug": "moved"}).status_code == 302
    assert FailureReason.objects.get(pk=reason.pk).slug == "credit-limit"
    new = sent | {"slug": UNKNOWN.slug, "code": "new-code"}
    assert staff.post(address(FailureReason, "add"), new).status_code == 200
    assert staff.post(address(FailureReason, "add"), new | {"slug": "new"}).status_code == 302


# --- people


@pytest.mark.django_db
def test_a_person_is_added_with_his_role_and_signs_in(staff: Client, client: Client, world: World) -> None:
    sent = form_of(staff, address(User, "add")) | {
        "email": " New.Person@Harbour.example ", "name": "New Person", "password1": PASSWORD, "password2": PASSWORD,
        "membership-TOTAL_FORMS": "1", "membership-0-seller": str(world.harbour.seller.pk), "membership-0-role": Role.VIEWER,
        "membership-0-is_active": "on",
    }  # fmt: skip
    assert staff.post(address(User, "add"), sent).status_code == 302
    person = User.objects.get(email="new.person@harbour.example")
    assert (person.name, person.membership.role, person.is_staff, person.is_superuser) == ("New Person", Role.VIEWER, False, False)
    response = client.post("/signin/", {"username": "new.person@harbour.example", "password": PASSWORD})
    assert response.status_code == 302
    assert PASSWORD not in repr(list(LogEntry.objects.values()))


@pytest.mark.django_db
def test_an_email_in_capitals_is_the_same_person(staff: Client, world: World) -> None:
    path = address(User, "change", world.harbour.viewer)
    sent = form_of(staff, path)
    assert staff.post(path, sent | {"email": "VERA@harbour.example"}).status_code == 302
    assert User.objects.get(pk=world.harbour.viewer.pk).email == "vera@harbour.example"
    assert staff.post(path, sent | {"email": world.harbour.admin.email.upper()}).status_code == 200


@pytest.mark.django_db
def test_a_new_password_of_a_person_counts_and_the_old_one_no_more(staff: Client, world: World) -> None:
    person, new = world.harbour.viewer, "a different long one"
    sent = {"password1": new, "password2": new, "usable_password": "true"}
    assert staff.post(reverse("admin:auth_user_password_change", args=[person.pk]), sent).status_code == 302
    person = User.objects.get(pk=person.pk)
    assert (person.check_password(new), person.check_password(PASSWORD)) == (True, False)


@pytest.mark.django_db
def test_a_role_is_changed_at_the_seller(staff: Client, world: World) -> None:
    path = address(Seller, "change", world.harbour.seller)
    sent = form_of(staff, path)
    row = next(name for name, value in sent.items() if name.endswith("-user") and value == str(world.harbour.viewer.pk)).removesuffix(
        "-user"
    )
    assert staff.post(path, sent | {f"{row}-role": Role.ADMIN}).status_code == 302
    assert Membership.objects.get(user=world.harbour.viewer).role == Role.ADMIN


@pytest.fixture
def clerk(world: World) -> User:
    """Staff by permission, not a superuser."""
    person = User.objects.create_user("clerk@portal.example", PASSWORD, name="Cleo Clerk", is_staff=True)
    person.user_permissions.set(Permission.objects.all())
    return person


@pytest.mark.django_db
def test_who_is_no_superuser_makes_none_and_touches_none(client: Client, world: World, clerk: User) -> None:
    client.force_login(clerk)
    for person in (clerk, world.harbour.admin):
        path = address(User, "change", person)
        client.post(path, form_of(client, path) | {"is_superuser": "on", "is_staff": "on"})
        assert not User.objects.get(pk=person.pk).is_superuser
    assert client.post(address(User, "change", world.staff), {"email": "x@x.example"}).status_code == 403
    sent = {"password1": "taken over by me", "password2": "taken over by me", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[world.staff.pk]), sent).status_code == 403
    assert User.objects.get(pk=world.staff.pk).check_password(PASSWORD)
    assert client.post(address(Group, "add"), {"name": "mine"}).status_code == 403


@pytest.mark.django_db
def test_staff_without_permissions_see_nothing(client: Client, world: World) -> None:
    client.force_login(User.objects.create_user("new@portal.example", PASSWORD, name="New", is_staff=True))
    for model in OURS:
        assert client.get(address(model, "changelist")).status_code == 403


# --- the rest


@pytest.mark.django_db
def test_of_an_incident_only_its_closing_can_be_written(staff: Client, world: World) -> None:
    order = order_in("completed", world)
    incident = Incident.objects.create(kind="test", order=order, detail="What happened.", at=order.created_at)
    path = address(Incident, "change", incident)
    assert set(form_of(staff, path)) == {"resolution"}
    sent = {"resolution": "", "detail": "Nothing.", "kind": "other", "closed_at_0": "2026-11-23"}
    assert staff.post(path, sent).status_code == 200
    assert Incident.objects.get().closed_at is None
    assert staff.post(path, sent | {"resolution": "Nothing was bought twice."}).status_code == 302
    found = Incident.objects.get()
    assert (found.kind, found.detail, found.resolution, found.closed_by) == (
        "test",
        "What happened.",
        "Nothing was bought twice.",
        world.staff,
    )
    assert found.closed_at is not None
    assert order.events.first().name == "incident_closed"
    assert staff.post(path, sent | {"resolution": "Another story."}).status_code == 403
    assert Incident.objects.get().resolution == "Nothing was bought twice."
    assert staff.get(address(Incident, "add")).status_code == 403


@pytest.mark.django_db
def test_incidents_that_are_open_come_first_the_oldest_on_top(staff: Client, world: World) -> None:
    order = order_in("completed", world)
    made = [
        Incident.objects.create(kind=f"kind-{number}", order=order, detail="d", at=order.created_at + timedelta(minutes=number))
        for number in range(3)
    ]
    Incident.objects.filter(pk=made[2].pk).update(closed_at=order.created_at, closed_by=world.staff, resolution="Done.")
    text = text_of(HtmlPage(staff.get(address(Incident, "changelist"))).by_id("result_list"))
    assert text.index("kind-0") < text.index("kind-1") < text.index("kind-2")


@pytest.mark.django_db
def test_of_a_customer_only_the_archive_can_be_written(staff: Client, world: World) -> None:
    customer = world.harbour.customer
    path = address(Customer, "change", customer)
    assert staff.post(path, {"is_archived": "on", "name": "Other", "seller": world.northwind.seller.pk}).status_code == 302
    found = Customer.objects.get(pk=customer.pk)
    assert (found.is_archived, found.name, found.seller) == (True, customer.name, world.harbour.seller)


@pytest.mark.django_db
def test_a_price_and_a_vendor_are_edited_and_what_orders_stand_on_is_not(staff: Client, world: World) -> None:
    path = address(Offer, "change", world.backup)
    sent = form_of(staff, path)
    assert staff.post(path, sent | {"prices-0-term_price": "11.50", "product_id": "OTHER", "title": "New title"}).status_code == 302
    offer = Offer.objects.get(pk=world.backup.pk)
    assert (offer.title, offer.product_id, str(offer.prices.get().term_price)) == ("New title", world.backup.product_id, "11.5000")
    path = address(Vendor, "change", world.northgate)
    staff.post(path, form_of(staff, path) | {"connector": "partner_center", "name": "Northgate"})
    vendor = Vendor.objects.get(pk=world.northgate.pk)
    assert (vendor.name, vendor.connector) == ("Northgate", "partner_center_cart")


def test_every_model_that_a_person_may_edit_has_its_page() -> None:
    assert {model for model in apps.get_app_config("orders").get_models() if admin.site.is_registered(model)} == set(OURS)


@pytest.mark.parametrize("page", ["change", "add"])
@pytest.mark.django_db
def test_the_preview_shows_what_is_typed_and_saves_nothing(staff: Client, world: World, page: str) -> None:
    reason = FailureReason.objects.get(code="3000") if page == "change" else None
    path = address(FailureReason, page, reason)
    sent = form_of(staff, path) | {
        "slug": "typed", "dialect": "partner_center", "code": "4711", "short": "Typed short", "summary": "{vendor} typed <b>this</b>", "meaning": "Typed meaning.",
        "fix": "Typed fix.", "who": "seller", "retry": "never", "_preview": "Preview",
    }  # fmt: skip
    before = state()
    response = staff.post(path, sent)
    seen = HtmlPage(response)
    assert (response.status_code, complaints(seen), state()) == (200, [], before)
    [card] = [element for element in seen.all("div") if element.get("class") == "seen-card"]
    for words in ("Microsoft typed <b>this</b>", "Typed meaning. Typed fix.", "In the row: Typed short.", "Retry is off"):
        assert words in text_of(card)
    assert seen.sent()["summary"] == "{vendor} typed <b>this</b>", "it is still there to be saved"
    # What is wrong is said as when it is saved.
    wrong = HtmlPage(staff.post(path, sent | {"summary": ""}))
    assert wrong.field("summary").get("aria-invalid") == "true"
    assert state() == before
    del sent["_preview"]
    assert staff.post(path, sent).status_code == 302
    assert FailureReason.objects.filter(summary="{vendor} typed <b>this</b>").count() == 1
