"""Uploading a price list in the admin: the request only stores it, the worker imports it, and the page says what came of it."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_tasks_db.models import DBTaskResult

from orders import pricing
from orders.models import Offer, Price, PriceList
from tests.harness.price_lists import row, write
from tests.harness.world import World
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage

ADD = "/admin/orders/pricelist/add/"
State = PriceList.State


@pytest.fixture
def staff(client: Client, world: World) -> Client:
    client.force_login(world.staff)
    return client


@pytest.fixture
def content(tmp_path: Path) -> Any:
    return lambda *found: write(tmp_path / "list.csv", *found).read_bytes()


def upload(client: Client, world: World, content: bytes, name: str = "june.csv", **more: str) -> Any:
    return client.post(ADD, {"vendor": world.microsoft.pk, "file": SimpleUploadedFile(name, content), **more})


def work() -> None:
    """What the worker does with each task that waits."""
    for result in DBTaskResult.objects.filter(task_path=pricing.IMPORT_UPLOAD):
        pk, skip, allow = result.args_kwargs["args"]
        pricing.import_upload(pk, skip_bad_rows=skip, allow_ending=allow)


def test_an_upload_waits_for_the_worker_and_its_page_follows(staff: Client, world: World, content: Any) -> None:
    page = HtmlPage(staff.get(ADD))
    assert complaints(page) == []
    response = upload(staff, world, content(row()))
    [found] = PriceList.objects.all()
    address = f"/admin/orders/pricelist/{found.pk}/change/"
    assert (response.status_code, response["Location"]) == (302, address)
    assert (found.state, found.name, found.imported_by) == (State.WAITING, "june.csv", world.staff)
    assert not Offer.objects.filter(product_id="CFQ7TTC0TEST").exists()
    waiting = staff.get(address)
    assert waiting["Refresh"] == "3"
    assert complaints(HtmlPage(waiting)) == []
    assert pricing.upload_path(found).exists()
    work()
    assert not pricing.upload_path(found).exists()
    done = staff.get(address)
    assert "Refresh" not in done
    assert HtmlPage(done).says("Imported")
    assert Price.objects.listed().filter(added_by=found).count() == 1
    # A task that is delivered twice does nothing more.
    work()
    assert PriceList.objects.get().state == State.CURRENT


def test_a_bad_upload_says_line_column_and_reason_and_imports_nothing(staff: Client, world: World, content: Any) -> None:
    upload(staff, world, content(row(), row(SkuId="3", Market="<b>XX</b>")))
    work()
    [found] = PriceList.objects.all()
    page = HtmlPage(staff.get(f"/admin/orders/pricelist/{found.pk}/change/"))
    assert page.says("“<b>XX</b>” is no country")
    assert page.says("Refused; nothing of it was imported")
    assert complaints(page) == []
    assert not Price.objects.filter(added_by=found).exists()
    assert HtmlPage(staff.get("/admin/orders/pricelist/")).says("june.csv")


def test_the_checkbox_skips_bad_rows(staff: Client, world: World, content: Any) -> None:
    upload(staff, world, content(row(), row(SkuId="3", Market="XX")), skip_bad_rows="on")
    work()
    [found] = PriceList.objects.all()
    assert (found.state, found.added, found.skipped) == (State.CURRENT, 1, 1)


def test_a_list_that_ends_most_prices_is_refused_unless_the_box_is_ticked(staff: Client, world: World, content: Any) -> None:
    upload(staff, world, content(row(), row(SkuId="3"), row(SkuId="4")))
    work()
    upload(staff, world, content(row()))
    work()
    refused = PriceList.objects.first()
    assert refused is not None
    assert HtmlPage(staff.get(f"/admin/orders/pricelist/{refused.pk}/change/")).says("2 of 3 prices in NL EUR")
    assert Price.objects.listed().filter(added_by__isnull=False).count() == 3
    upload(staff, world, content(row()), allow_ending="on")
    work()
    assert Price.objects.listed().filter(added_by__isnull=False).count() == 1


@pytest.mark.parametrize("nonsense", [b"PK\x03\x04", b"\xff" * 3000, b"a;b\n", bytes(range(256)) * 20])
def test_whatever_is_uploaded_gets_a_sentence(staff: Client, world: World, nonsense: bytes) -> None:
    assert upload(staff, world, nonsense, name="..\\..\\e\u202evil.csv").status_code == 302
    work()
    [found] = PriceList.objects.all()
    assert found.state == State.REFUSED
    assert len(found.problems) == 1
    assert staff.get(f"/admin/orders/pricelist/{found.pk}/change/").status_code == 200


def test_an_empty_file_or_none_is_refused_by_the_form(staff: Client, world: World) -> None:
    assert HtmlPage(upload(staff, world, b"")).says("The submitted file is empty.")
    assert HtmlPage(staff.post(ADD, {"vendor": world.microsoft.pk})).says("This field is required.")
    assert not PriceList.objects.exists()


def test_an_upload_during_another_import_is_told_so(staff: Client, world: World, content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(staff, world, content(row()))

    def busy(*_args: Any, **_more: Any) -> None:
        raise pricing.Busy("Another import of Microsoft’s prices is running.")

    monkeypatch.setattr(pricing, "import_prices", busy)
    work()
    [found] = PriceList.objects.all()
    assert found.state == State.REFUSED
    assert found.problems[0]["reason"] == "Another import of Microsoft’s prices is running."


def test_an_import_that_breaks_says_so_and_keeps_no_file(
    staff: Client, world: World, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(staff, world, content(row()))

    def broken(_self: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(pricing._Writer, "_finish", broken)
    work()
    [found] = PriceList.objects.all()
    assert found.state == State.REFUSED
    assert "broke on our side" in found.problems[0]["reason"]
    assert not Price.objects.filter(added_by=found).exists()
    assert not pricing.upload_path(found).exists()


def test_a_list_is_only_read_afterwards(staff: Client, world: World, content: Any) -> None:
    upload(staff, world, content(row()))
    [found] = PriceList.objects.all()
    assert staff.post(f"/admin/orders/pricelist/{found.pk}/change/", {"name": "other", "state": "current"}).status_code == 403
    assert staff.post(f"/admin/orders/pricelist/{found.pk}/delete/", {"post": "yes"}).status_code == 403
    assert PriceList.objects.get().state == State.WAITING
