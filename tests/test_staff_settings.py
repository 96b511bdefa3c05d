"""Staff change a seller and its people: checked as the seller's own pages check, never without an admin, and the seller reads of it."""

from collections.abc import Iterable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from orders import lifecycle, people
from orders.models import Incident, Membership, Notice, Role, Seller, SettingsChange, User
from tests.harness.world import World, again, order_in, verdict_refused
from tests.test_admin import address, form_of
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage
from tests.walls.state import state

pytestmark = pytest.mark.pages

WRONG = [
    ("time_zone", "Mars/Base"),
    ("language", "tlh"),
    ("currency", "XQQ"),
    ("mail_recipients", "[null]"),
    ("mail_recipients", "nobody"),
    ("tax_rate", "101"),
    ("markup_percent", "-1"),
    ("margin_floor_percent", "many"),
]


@pytest.fixture
def staff(client: Client, world: World) -> Client:
    client.force_login(world.staff)
    return client


def told(seller: Seller) -> list[tuple[str, str]]:
    """What the seller reads under Settings, the oldest first."""
    return list(SettingsChange.objects.filter(seller=seller).order_by("pk").values_list("actor_name", "text"))


# --- what is typed


@pytest.mark.parametrize(("field", "typed"), WRONG)
@pytest.mark.django_db
def test_what_would_break_the_seller_is_refused_beside_its_field(staff: Client, world: World, field: str, typed: str) -> None:
    path = address(Seller, "change", world.harbour.seller)
    sent, before = form_of(staff, path), state()
    response = staff.post(path, sent | {field: typed})
    assert response.status_code == 200
    assert HtmlPage(response).field(field).get("aria-invalid") == "true"
    assert state() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Base"), ("language", "tlh"), ("currency", "XQQ"), ("mail_recipients", [None]), ("mail_recipients", "x"),
        ("mail_recipients", ["a@b.example"] * 21), ("tax_rate", "NaN"), ("markup_percent", -1), ("margin_floor_percent", 101),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_the_model_refuses_it_too(world: World, field: str, value: Any) -> None:
    seller = world.harbour.seller
    setattr(seller, field, value)
    with pytest.raises(ValidationError) as refused:
        seller.full_clean()
    assert field in refused.value.message_dict


@pytest.mark.django_db
def test_what_staff_change_is_kept_and_the_seller_reads_it(staff: Client, world: World) -> None:
    seller, path = world.harbour.seller, address(Seller, "change", world.harbour.seller)
    sent = form_of(staff, path) | {
        "time_zone": "Asia/Tokyo",
        "markup_percent": "12,5",
        "mail_recipients": "Ops@harbour.example\nboss@harbour.example",
    }
    assert staff.post(path, sent | {"name": "Harbour & Co"}).status_code == 302
    seller.refresh_from_db()
    assert (seller.time_zone, str(seller.markup_percent), seller.mail_recipients) == (
        "Asia/Tokyo", "12.50", ["ops@harbour.example", "boss@harbour.example"],
    )  # fmt: skip
    assert {text: name for name, text in told(seller)} == dict.fromkeys(
        [
            "Name: Harbour Cloud became Harbour & Co",
            "Time zone: Europe/Amsterdam became Asia/Tokyo",
            "Markup on cost in percent: 0.00 became 12.5",
            "Also tell: nothing became ops@harbour.example, boss@harbour.example",
        ],
        "Sam Staff (staff)",
    )
    staff.force_login(world.harbour.admin)
    page = HtmlPage(staff.get("/settings/"))
    assert page.says("Harbour & Co")
    assert page.says("Sam Staff (staff)")


# --- telling never undoes a verdict


@pytest.mark.django_db
def test_a_verdict_stands_when_nobody_can_be_told(world: World) -> None:
    Seller.objects.filter(pk=world.harbour.seller.pk).update(mail_recipients=[None])
    order = order_in("provisioning_started", world)
    verdict_refused(order.attempts.get())
    assert again(order).status == "provisioning_failed"
    assert not Notice.objects.exists()
    assert order.number in Incident.objects.get(kind="mail-given-up", order=order).detail


@pytest.mark.django_db
def test_a_verdict_stands_when_the_database_refuses_the_notice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_in("provisioning_started", world)
    monkeypatch.setattr(lifecycle, "SEND_NOTICES", "orders.tasks.nothing_of_this_name")
    verdict_refused(order.attempts.get())
    assert again(order).status == "provisioning_failed"
    assert not Notice.objects.exists(), "the savepoint took back what was half written"
    assert Incident.objects.filter(order=order).count() == 1


# --- people


def row_of(sent: dict[str, str], member: Membership) -> str:
    """The prefix of a member's row in the form."""
    return next(name.removesuffix("-id") for name, value in sent.items() if name.endswith("-id") and value == str(member.pk))


def changed(sent: dict[str, str], member: Membership, *, role: str = "", is_active: bool = True) -> dict[str, str]:
    prefix = row_of(sent, member)
    found = sent | ({f"{prefix}-role": role} if role else {})
    return found if is_active else {name: value for name, value in found.items() if name != f"{prefix}-is_active"}


def of(*users: User) -> Iterable[Membership]:
    return [Membership.objects.get(user=user) for user in users]


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
@pytest.mark.parametrize("on", [Seller, User])
@pytest.mark.django_db
def test_the_last_admin_stays(staff: Client, world: World, on: Any, change: dict[str, Any]) -> None:
    [admin] = of(world.harbour.admin)
    path = address(on, "change", admin.seller if on is Seller else admin.user)
    response = staff.post(path, changed(form_of(staff, path), admin, **change))
    assert response.status_code == 200
    page = HtmlPage(response)
    assert page.says(people.LAST_ADMIN)
    assert complaints(page) == []
    admin.refresh_from_db()
    assert (admin.role, admin.is_active) == (Role.ADMIN, True)
    assert told(admin.seller) == []


@pytest.mark.django_db
def test_the_last_admin_is_not_switched_off_as_a_person(staff: Client, world: World) -> None:
    path = address(User, "change", world.harbour.admin)
    sent = {name: value for name, value in form_of(staff, path).items() if name != "is_active"}
    response = staff.post(path, sent)
    assert response.status_code == 200
    assert HtmlPage(response).says(people.LAST_ADMIN)
    assert User.objects.get(pk=world.harbour.admin.pk).is_active


@pytest.mark.django_db
def test_two_people_change_places_and_the_seller_reads_it(staff: Client, world: World) -> None:
    admin, manager = of(world.harbour.admin, world.harbour.manager)
    path = address(Seller, "change", admin.seller)
    sent = changed(changed(form_of(staff, path), admin, role="viewer"), manager, role="admin")
    assert staff.post(path, sent).status_code == 302
    assert [member.role for member in of(world.harbour.admin, world.harbour.manager)] == [Role.VIEWER, Role.ADMIN]
    assert told(admin.seller) == [
        ("Sam Staff (staff)", "Max Harbour: Account manager became Seller admin"),
        ("Sam Staff (staff)", "Ada Harbour: Seller admin became Viewer"),
    ]


@pytest.mark.django_db
def test_somebody_is_removed_and_brought_back_by_the_verbs(staff: Client, world: World) -> None:
    [viewer] = of(world.harbour.viewer)
    path = address(Seller, "change", viewer.seller)
    assert staff.post(path, changed(form_of(staff, path), viewer, is_active=False)).status_code == 302
    assert not User.objects.get(pk=viewer.user_id).is_active
    sent = form_of(staff, path)
    assert staff.post(path, sent | {f"{row_of(sent, viewer)}-is_active": "on"}).status_code == 302
    assert User.objects.get(pk=viewer.user_id).is_active
    assert [text for _, text in told(viewer.seller)] == [
        "Vera Harbour (vera@harbour.example) was removed",
        "Vera Harbour (vera@harbour.example) was brought back",
    ]


@pytest.mark.django_db
def test_a_new_member_and_a_changed_person_stand_in_the_settings_and_nobody_is_moved(staff: Client, world: World) -> None:
    somebody = User.objects.create_user("new@harbour.example", "correct horse battery", name="Nina New")
    path = address(User, "change", somebody)
    rows = {"membership-TOTAL_FORMS": "1", "membership-0-seller": str(world.harbour.seller.pk), "membership-0-role": "viewer"}
    assert staff.post(path, form_of(staff, path) | rows | {"membership-0-is_active": "on"}).status_code == 302
    assert (
        staff.post(path, form_of(staff, path) | {"name": "Nina Newer", "membership-0-seller": str(world.northwind.seller.pk)}).status_code
        == 302
    )
    sent = {name: value for name, value in form_of(staff, path).items() if name != "is_active"}
    assert staff.post(path, sent).status_code == 302
    password = {"usable_password": "true", "password1": "horse battery correct", "password2": "horse battery correct"}
    assert staff.post(f"/admin/orders/user/{somebody.pk}/password/", password).status_code == 302
    assert Membership.objects.get(user=somebody).seller == world.harbour.seller
    assert [text for _, text in told(world.harbour.seller)] == [
        "Nina New was added as Viewer",
        "Nina New: name Nina New became Nina Newer",
        "Nina Newer (new@harbour.example) can not sign in now",
        "Nina Newer (new@harbour.example) was given another password",
    ]
