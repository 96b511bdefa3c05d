"""Settings: seller admins only, every problem beside its field, and a record of who changed what."""

from decimal import Decimal

import pytest
from django.test import Client

from orders.models import Seller, SettingsChange
from tests.harness.world import World
from tests.walls.corpus import TEXTS
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, value_of
from tests.walls.state import state

PATH = "/settings/"


@pytest.fixture
def admin(client: Client, world: World) -> Client:
    client.force_login(world.harbour.admin)
    return client


def opened(client: Client) -> dict[str, str]:
    response = client.get(PATH)
    assert response.status_code == 200
    page = HtmlPage(response)
    assert complaints(page) == []
    # Boxes are sent when they are ticked, which the reader of forms leaves out.
    boxes = [box.get("name", "") for box in page.all("input", type="checkbox") if "checked" in box.attrib]
    return page.sent() | dict.fromkeys(boxes, "on")


def test_what_is_set_is_kept_counts_at_once_and_says_who_set_it(admin: Client, world: World) -> None:
    sent = opened(admin) | {
        "currency": "SEK", "language": "nl_NL", "pricing": "cost", "markup_percent": "12,5", "tax_rate": "25",
        "mail_recipients": "Team@harbour.example\n\nteam@harbour.example, boss@harbour.example",
    }  # fmt: skip
    assert admin.post(PATH, sent).status_code == 302
    seller = Seller.objects.get(pk=world.harbour.seller.pk)
    assert (seller.currency, seller.language, seller.pricing, seller.markup_percent) == ("SEK", "nl_NL", "cost", Decimal("12.50"))
    assert seller.mail_recipients == ["team@harbour.example", "boss@harbour.example"]
    changes = list(SettingsChange.objects.values_list("actor_name", "text"))
    assert len(changes) == 6, changes
    assert {name for name, _ in changes} == {world.harbour.admin.name}
    page = HtmlPage(admin.get(PATH))
    assert page.says("became SEK")
    # A customer who is there already keeps his currency.
    world.harbour.customer.refresh_from_db()
    assert world.harbour.customer.currency == "EUR"
    # What is saved as it was is no change.
    assert admin.post(PATH, opened(admin)).status_code == 302
    assert SettingsChange.objects.count() == 6


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("tax_rate", "101"), ("tax_rate", "1e1"), ("margin_floor_percent", "-1"), ("markup_percent", "many"), ("currency", "XQQ"),
        ("time_zone", "Mars/Base"), ("language", "tlh"), ("pricing", "free"), ("mail_recipients", "nobody"),
        ("mail_recipients", "\n".join(f"a{number}@harbour.example" for number in range(21))),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved_or_lost(admin: Client, world: World, field: str, typed: str) -> None:
    sent, before = opened(admin) | {field: typed, "terms": "New terms"}, state()
    page = HtmlPage(admin.post(PATH, sent))
    assert page.field(field).get("aria-invalid") == "true"
    assert page.says("to correct")
    assert value_of(page.field("terms")).strip() == "New terms"
    assert state() == before


def test_any_text_is_no_breakdown(admin: Client, world: World) -> None:
    sent = opened(admin)
    for number, text in enumerate(TEXTS):
        # Alone, so that it is saved, and in all other fields at once, where it is refused.
        for fields in (("terms",), ("mail_recipients", "tax_rate", "currency", "language", "time_zone", "pricing")):
            response = admin.post(PATH, sent | dict.fromkeys(fields, text[:400_000]) | {"token": f"text-{number}-{len(fields)}"})
            assert response.status_code in {302, 400, 422}, (fields, text)


def test_whoever_is_no_admin_neither_sees_nor_changes_them(client: Client, world: World) -> None:
    for person in (world.harbour.manager, world.harbour.viewer):
        client.force_login(person)
        before = state()
        assert client.get(PATH).status_code == 403
        assert client.post(PATH, {"currency": "SEK"}).status_code == 403
        assert 'href="/settings/"' not in client.get("/orders/").content.decode()
        assert state() == before
