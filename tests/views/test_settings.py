"""Settings: seller admins only, every problem beside its field, and a record of who changed what."""

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from PIL import Image

from orders.models import Seller, SettingsChange
from tests.harness.world import World
from tests.walls.corpus import TEXTS
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, value_of
from tests.walls.state import state

pytestmark = pytest.mark.pages

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
        ("quote_days", "0"), ("quote_days", "366"), ("quote_days", "many"), ("colour", "red"), ("colour", "#12345"),
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


# --- tax by country

TAX = "/settings/tax/"


def test_a_new_customer_is_charged_what_his_country_is_and_others_the_default(admin: Client, world: World) -> None:
    assert admin.post(TAX, {"country": "DE", "percent": "19,5"}).status_code == 302
    seller = Seller.objects.get(pk=world.harbour.seller.pk)
    assert (seller.tax_percent_for("DE"), seller.tax_percent_for("NL")) == (Decimal("19.5"), Decimal(seller.tax_rate))
    page = HtmlPage(admin.get(TAX))
    assert page.says("Germany")
    assert complaints(page) == []
    # Saved again it is replaced, and as it was it is no change.
    admin.post(TAX, {"country": "DE", "percent": "20"})
    admin.post(TAX, {"country": "DE", "percent": "20.00"})
    assert seller.tax_rates.get().percent == Decimal(20)
    admin.post(TAX, {"country": "DE", "action": "remove"})
    admin.post(TAX, {"country": "DE", "action": "remove"})
    assert seller.tax_percent_for("DE") == Decimal(seller.tax_rate)
    assert list(SettingsChange.objects.order_by("pk").values_list("text", flat=True)) == [
        "Tax in Germany: nothing became 19.5", "Tax in Germany: 19.5 became 20", "Tax in Germany: 20 became the default",
    ]  # fmt: skip
    # Another seller's rates are his own.
    assert world.northwind.seller.tax_percent_for("DE") == Decimal(world.northwind.seller.tax_rate)


@pytest.mark.parametrize(("country", "percent", "field"), [("", "19", "country"), ("XX", "19", "country"), ("DE", "101", "percent"), ("DE", "", "percent")])  # fmt: skip
def test_a_rate_that_is_none_is_said_beside_its_field(admin: Client, country: str, percent: str, field: str) -> None:
    before = state()
    response = admin.post(TAX, {"country": country, "percent": percent})
    assert response.status_code == 422
    assert HtmlPage(response).beside(field)
    assert state() == before


def test_any_text_as_a_rate_is_no_breakdown(admin: Client) -> None:
    for text in TEXTS:
        for action in ("save", "remove"):
            response = admin.post(TAX, {"country": text[:400_000], "percent": text[:400_000], "action": action})
            assert response.status_code in {302, 422}, (action, text[:40])


# --- logo


def picture(kind: str = "PNG", size: tuple[int, int] = (1000, 500)) -> SimpleUploadedFile:
    made = io.BytesIO()
    Image.new("RGB", size, "red").save(made, kind, **({"comment": b"<script>"} if kind == "JPEG" else {}))
    return SimpleUploadedFile("../../logo.php", made.getvalue(), "text/html")


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[Path]:
    with override_settings(MEDIA_ROOT=tmp_path / "uploads"):
        yield tmp_path / "uploads"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_logo_is_drawn_anew_kept_small_and_served_to_the_sellers_people_only(
    admin: Client, world: World, uploads: Path, kind: str
) -> None:
    assert admin.get("/logo/").status_code == 404
    assert admin.post("/settings/logo/", {"logo": picture(kind)}).status_code == 302
    response = admin.get("/logo/")
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("image/png", "nosniff")
    with Image.open(io.BytesIO(content)) as kept:
        assert (kept.format, kept.size) == ("PNG", (480, 240))
    assert b"script" not in content
    [file] = files(uploads)
    assert file.suffix == ".png"
    assert uploads in file.parents
    page = HtmlPage(admin.get(PATH))
    assert complaints(page) == []
    assert page.says("Replace the logo")
    other = Client()
    other.force_login(world.northwind.admin)
    assert other.get("/logo/").status_code == 404


def test_a_replaced_and_a_removed_logo_leave_no_file(
    admin: Client, uploads: Path, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[Any]]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        admin.post("/settings/logo/", {"logo": picture()})
        [first] = files(uploads)
        admin.post("/settings/logo/", {"logo": picture()})
    [second] = files(uploads)
    assert first != second
    with django_capture_on_commit_callbacks(execute=True):
        admin.post("/settings/logo/", {"action": "remove"})
        admin.post("/settings/logo/", {"action": "remove"})
    assert files(uploads) == []
    assert admin.get("/logo/").status_code == 404
    assert list(SettingsChange.objects.order_by("pk").values_list("text", flat=True)) == ["Logo added", "Logo replaced", "Logo removed"]


def bomb() -> bytes:
    """A PNG of a few bytes that says that it is 60,000 pixels square."""
    content = bytearray(picture().read())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG"), (b"\x89PNG\r\n\x1a\n broken", "no PNG"), (b"x" * 3_000_000, "2 MB"),
        (bomb(), ""), (picture().read()[:200], "no PNG"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no PNG"),
    ],
    ids=["empty", "svg", "broken", "large", "bomb", "cut off", "postscript"],
)  # fmt: skip
def test_what_is_no_picture_is_said_beside_the_field_and_nothing_is_kept(admin: Client, uploads: Path, content: bytes, words: str) -> None:
    before = state()
    response = admin.post("/settings/logo/", {"logo": SimpleUploadedFile("logo.png", content, "image/png")})
    assert response.status_code == 422
    assert words in HtmlPage(response).beside("logo")
    assert (state(), files(uploads)) == (before, [])
    # Nothing at all is said in the same place.
    assert HtmlPage(admin.post("/settings/logo/", {})).beside("logo")
