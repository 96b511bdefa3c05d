"""The drafting screen over HTTP: rows by buttons without script, templates, copies, the floor, and what a preview may never say."""

import re
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client

from orders import clock, lifecycle, quote_templates, quoting
from orders.models import Offer, Order, Price, QuoteTemplate, Seller
from orders.statuses import OrderStatus
from tests.harness.world import World, again, order_in
from tests.test_quote_pdf import text
from tests.walls.pages import HtmlPage, text_of
from tests.walls.state import state

pytestmark = [pytest.mark.django_db, pytest.mark.pages, pytest.mark.usefixtures("static_files")]


@pytest.fixture
def draft(world: World) -> Order:
    return order_in(OrderStatus.DRAFT, world, world.line(quantity=5), world.line(world.premium_monthly, 6))


@pytest.fixture
def manager(world: World) -> Client:
    client = Client()
    client.force_login(world.harbour.manager)
    return client


def fields(page: HtmlPage) -> dict[str, str]:
    """The form as a browser would send it, without the button."""
    return dict(page.sent())


def press(client: Client, order: Order, action: str, **typed: str) -> HtmlPage:
    path = f"/orders/{order.number}/edit/"
    return HtmlPage(client.post(path, fields(HtmlPage(client.get(path))) | typed | {"action": action}))


def titles(page: HtmlPage) -> list[str]:
    """The items from above, by their quantity and offer."""
    sent = page.sent()
    rows = sorted({int(found[1]) for name in sent if (found := re.fullmatch(r"lines-(\d+)-offer", name))})
    return [f"{sent[f'lines-{row}-quantity']} {sent[f'lines-{row}-offer']}" for row in rows]


def test_a_new_quote_is_called_so_everywhere_on_its_screen(manager: Client) -> None:
    page = HtmlPage(manager.get("/orders/new/?quote=1"))
    assert [text_of(part) for part in page.all("h1")] == ["New quote"]
    assert page.says("Before you send")
    assert page.says("Revision 1")
    assert not page.says("New order")


# --- rows


def test_rows_move_without_script_and_nothing_is_saved_by_it(manager: Client, draft: Order) -> None:
    before = state()
    assert titles(press(manager, draft, "down-0")) == ["6 CFQ7TTC0LCHC-0002", "5 NGBACKUP0001-0001"]
    assert titles(press(manager, draft, "up-1")) == ["6 CFQ7TTC0LCHC-0002", "5 NGBACKUP0001-0001"]
    for nonsense in ("up-0", "down-1", "down-9", "up-x", "up-"):
        assert titles(press(manager, draft, nonsense)) == ["5 NGBACKUP0001-0001", "6 CFQ7TTC0LCHC-0002"]
    assert state() == before


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("CFQ7TTC0LCHC:0002\t7", "7 CFQ7TTC0LCHC-0002"),
        ("7 CFQ7TTC0LCHC:0002", "7 CFQ7TTC0LCHC-0002"),
        ("cfq7ttc0lchc-0002;7", "7 CFQ7TTC0LCHC-0002"),
        ('"CFQ7TTC0LCHC:0002","7"', "7 CFQ7TTC0LCHC-0002"),
        ("CFQ7TTC0LCHC\t0002\t7", "7 CFQ7TTC0LCHC-0002"),
        ("CFQ7TTC0LCHC:0002\tMicrosoft 365 Premium\t7", "7 CFQ7TTC0LCHC-0002"),
        ("CFQ7TTC0LCHC:0002", "1 CFQ7TTC0LCHC-0002"),
        ("CFQ7TTC0LCHC:0002\t1.000", "Write the quantity as a whole number"),
        ("CFQ7TTC0LCHC:0002\tmany", "Write the quantity as a whole number"),
        ("CFQ7TTC0LCHC:0002\t0", "Sold from 1 to"),
        ("CFQ7TTC0LCHC:0002\t99999999", "Sold from 1 to"),
        ("SKU\tQuantity", "There is no SKU in it."),
        ("NOSUCH:0001\t3", "The catalogue has no such SKU."),
        ("<script>alert(1)</script>\t3", "There is no SKU in it."),
        ("\0:0001 3", "There is no SKU in it."),
    ],
)  # fmt: skip
def test_a_row_of_a_spreadsheet_becomes_an_item_or_stays_in_the_box_with_why(manager: Client, draft: Order, row: str, found: str) -> None:
    page = press(manager, draft, "paste", paste=row)
    added, box = titles(page)[2:], page.by_id("id_paste")
    if found[0].isdigit():
        assert (added, text_of(box)) == ([found], "")
    else:
        assert added == []
        assert found in text_of(page.by_id("id_paste_said"))
        assert page.says("1 row stays in the box")


def test_twenty_rows_make_twenty_items_and_more_than_an_order_holds_stay_in_the_box(manager: Client, draft: Order) -> None:
    page = press(manager, draft, "paste", paste="\n".join(f"CFQ7TTC0LCHC:0002\t{number}" for number in range(1, 21)))
    assert titles(page)[2:] == [f"{number} CFQ7TTC0LCHC-0002" for number in range(1, 21)]
    page = press(manager, draft, "paste", paste="CFQ7TTC0LCHC:0002\n" * 60)
    assert len(titles(page)) == 50
    assert page.says("An order holds at most 50 items.")
    typed = {f"lines-{number}-{name}": value for number in range(51) for name, value in (("offer", "NGBACKUP0001-0001"), ("quantity", "1"))}
    assert len(titles(press(manager, draft, "paste", paste="CFQ7TTC0LCHC:0002\n" * 5, **typed))) == 51


def test_a_row_for_another_segment_says_so(manager: Client, draft: Order, world: World) -> None:
    Offer.objects.filter(pk=world.premium.pk).update(segment="Education")
    assert "Only for the segment Education." in text_of(press(manager, draft, "paste", paste="CFQ7TTC0LCHC:0002 3").by_id("id_paste_said"))


# --- the margin and its floor


def test_margins_are_of_each_item_and_of_all_and_optional_items_do_not_count(manager: Client, draft: Order) -> None:
    Seller.objects.update(margin_floor_percent=8)
    lines = list(draft.lines.all())
    page = HtmlPage(manager.get(f"/orders/{draft.number}/edit/"))
    for number, line in enumerate(lines):
        assert line.margin.percent is not None
        assert f"{line.margin.percent:.1f}".removesuffix(".0") in text_of(page.by_id(f"margin-{number}"))
    percent = again(draft).margin_percent()
    assert percent is not None
    assert f"{percent:.1f}".removesuffix(".0") in text_of(page.by_id("margin"))
    alone = press(manager, draft, "totals", **{"lines-1-is_optional": "on"})
    only = lines[0].margin.percent
    assert only is not None
    assert f"{only:.1f}".removesuffix(".0") in text_of(alone.by_id("margin"))


def test_the_discount_that_is_offered_is_the_highest_that_keeps_the_floor(manager: Client, draft: Order) -> None:
    Seller.objects.update(margin_floor_percent=8)
    page = press(manager, draft, "totals", **{"lines-0-discount": "95"})
    note = text_of(page.by_id("note-0"))
    found = re.search(r"A discount of ([0-9.]+)", note)
    assert found, note
    most = Decimal(found[1])
    for discount, says in ((most, ""), (most + Decimal("0.2"), "Margin is below your 8")):
        said = text_of(press(manager, draft, "totals", **{"lines-0-discount": str(discount)}).by_id("note-0")).strip()
        assert (said.startswith(says), bool(said)) == (True, bool(says))


def test_below_the_floor_a_manager_sends_only_what_an_admin_approved_at_these_prices(manager: Client, draft: Order, world: World) -> None:
    Seller.objects.update(margin_floor_percent=99)
    send = f"/orders/{draft.number}/send/"
    page = HtmlPage(manager.get(send))
    assert page.says(f"A seller admin must send it: {world.harbour.admin.name}.")
    assert manager.post(send, {"token": "floor-1"}).status_code == 409
    admin = Client()
    admin.force_login(world.harbour.admin)
    assert HtmlPage(admin.get(f"/orders/{draft.number}/")).says("Margin below the floor")
    assert admin.post(f"/orders/{draft.number}/approve/", {"token": "floor-2", "reason": ""}).status_code == 422
    assert admin.post(f"/orders/{draft.number}/approve/", {"token": "floor-3", "reason": "A good customer"}).status_code == 302
    # Another price asks again.
    lifecycle.edit(draft, [world.line(quantity=4), world.line(world.premium_monthly, 6)], by=world.harbour.manager, version=1)
    assert manager.post(send, {"token": "floor-4"}).status_code == 409
    lifecycle.edit(draft, [world.line(quantity=5), world.line(world.premium_monthly, 6)], by=world.harbour.manager, version=2)
    assert manager.post(send, {"token": "floor-5"}).status_code == 302
    assert again(draft).status == OrderStatus.QUOTE_SENT


# --- sending


def test_a_cart_becomes_a_quote_by_sending_it(manager: Client, world: World) -> None:
    order = order_in(OrderStatus.START, world)
    path = f"/orders/{order.number}/edit/"
    answer = manager.post(path, fields(HtmlPage(manager.get(path))) | {"action": "send"})
    assert (answer.status_code, answer["Location"]) == (302, f"/orders/{order.number}/send/")
    assert again(order).status == OrderStatus.DRAFT
    assert manager.post(answer["Location"], {"token": "cart-1"}).status_code == 302
    assert again(order).status == OrderStatus.QUOTE_SENT


def test_a_new_quote_is_a_draft_whatever_is_in_it(manager: Client, world: World) -> None:
    data = fields(HtmlPage(manager.get(f"/orders/new/?quote=1&customer={world.harbour.customer.code}")))
    data |= {"lines-0-offer": "NGBACKUP0001-0001", "lines-0-plan": "P1M:monthly", "lines-0-quantity": "2", "action": "save"}
    assert manager.post("/orders/new/", data).status_code == 302
    assert Order.objects.get().status == OrderStatus.DRAFT


def test_preview_and_pdf_hold_neither_cost_nor_margin_nor_the_internal_note(manager: Client, draft: Order) -> None:
    Order.objects.filter(pk=draft.pk).update(internal_note="Between us", customer_note="For you")
    page = manager.get(f"/orders/{draft.number}/preview/").content.decode()
    assert "For you" in page
    for secret in ("Between us", "argin", "cost", *(f"\u00a0{line.term_cost:.2f}" for line in draft.lines.all())):
        assert secret not in page
    paper = text(b"".join(manager.get(f"/orders/{draft.number}/pdf/")))
    assert "Foryou" in paper
    assert "Betweenus" not in paper


def test_the_screen_says_what_a_quote_still_needs(manager: Client, draft: Order) -> None:
    page = HtmlPage(manager.get(f"/orders/{draft.number}/edit/"))
    assert "No recipient is named" in text_of(page.by_id("checks"))
    page = press(manager, draft, "totals", recipients="anna@alder.example", valid_until="2020-01-01")
    assert "Goes to anna@alder.example" in text_of(page.by_id("checks"))
    assert "The last day is over." in text_of(page.by_id("checks"))
    page = press(manager, draft, "totals", **{"lines-0-is_optional": "on", "lines-1-is_optional": "on"})
    assert "Every item is optional." in text_of(page.by_id("checks"))


# --- templates and copies


def test_a_template_fills_items_note_and_days_with_the_prices_of_the_day(manager: Client, draft: Order, world: World) -> None:
    Order.objects.filter(pk=draft.pk).update(customer_note="As usual", internal_note="Between us", valid_until=quoting.today(draft))
    draft.lines.filter(position=2).update(discount_value=Decimal("2.5"), is_optional=True)
    assert manager.post(f"/orders/{draft.number}/template/", {"token": "template-1", "name": "Usual"}).status_code == 302
    template = QuoteTemplate.objects.get()
    assert "Between us" not in str(template.content)
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal("99"))
    page = HtmlPage(manager.get(f"/orders/new/?template={template.pk}&customer={world.harbour.customer.code}"))
    sent = page.sent()
    assert titles(page) == ["5 NGBACKUP0001-0001", "6 CFQ7TTC0LCHC-0002"]
    assert (sent["lines-1-discount"], sent["lines-1-is_optional"], sent["customer_note"]) == ("2.5", "on", "As usual")
    assert "495.00" in text_of(page.by_id("amount-0"))


def test_a_name_is_taken_once_until_its_template_is_archived(manager: Client, draft: Order, world: World) -> None:
    path = f"/orders/{draft.number}/template/"
    manager.post(path, {"token": "name-1", "name": "Usual"})
    again_ = manager.post(path, {"token": "name-2", "name": "Usual"})
    assert again_.status_code == 422
    assert HtmlPage(again_).says("There is a template called Usual already.")
    template = QuoteTemplate.objects.get()
    assert manager.post(f"/templates/{template.pk}/archive/", {"token": "name-3"}).status_code == 302
    assert HtmlPage(manager.get("/templates/")).says("There is no template yet.")
    assert HtmlPage(manager.get("/templates/?view=archived")).says("Usual")
    assert manager.post(path, {"token": "name-4", "name": "Usual"}).status_code == 302
    manager.post(f"/templates/{template.pk}/restore/", {"token": "name-5"})
    assert QuoteTemplate.objects.filter(is_archived=False).count() == 1


def test_another_sellers_template_is_none(manager: Client, world: World) -> None:
    other = quote_templates.save_as_template(order_in(OrderStatus.DRAFT, world, at=world.northwind), "Theirs", by=world.northwind.admin)
    assert titles(HtmlPage(manager.get(f"/orders/new/?template={other.pk}"))) == []
    for nonsense in ("x", "-1", "9" * 30, "²", ""):
        assert manager.get(f"/orders/new/?template={nonsense}").status_code == 200
    assert not HtmlPage(manager.get("/templates/")).says("Theirs")


@pytest.mark.parametrize("status", [OrderStatus.DRAFT, OrderStatus.DELETED, OrderStatus.COMPLETED])
def test_a_copy_has_todays_prices_and_says_which_changed(manager: Client, world: World, status: OrderStatus) -> None:
    order = order_in(status, world)
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal("19.00"))
    answer = manager.post(f"/orders/{order.number}/duplicate/", {"token": "copy-1"}, follow=True)
    line = order.lines.get()
    page = HtmlPage(answer)
    assert page.says(f"Other prices than in {order.number}: {line.title} € {line.unit_price:.2f} → € 19.00 per month.")
    copy = Order.objects.exclude(pk=order.pk).get()
    assert (copy.lines.get().quantity, copy.lines.get().unit_price) == (line.quantity, Decimal("19.00"))


# --- what is ordered and what is summed up are the same


def test_an_item_of_a_failed_order_is_not_optional_whatever_is_posted(manager: Client, world: World) -> None:
    failed = order_in(OrderStatus.PROVISIONING_FAILED, world, world.line(quantity=5), world.line(quantity=3))
    page = HtmlPage(manager.get(f"/orders/{failed.number}/edit/"))
    assert not [name for name in page.sent() if name.endswith("is_optional")]
    assert not page.says("Optional")
    press(manager, failed, "save", **{"lines-1-is_optional": "on", "lines-1-quantity": "4"})
    assert list(failed.lines.values_list("quantity", "is_optional")) == [(5, False), (4, False)]
    lifecycle.retry(failed, by=world.harbour.manager)
    assert [line.quantity for attempt in failed.attempts.filter(number=2) for line in attempt.order_request().lines] == [5, 4]


def test_a_scheduled_change_leaves_out_what_nobody_chose(world: World) -> None:
    change = order_in(OrderStatus.DRAFT, world, world.line(quantity=5), world.line(world.premium_monthly, 6), kind=Order.Kind.CHANGE)
    change.lines.filter(position=2).update(is_optional=True)
    lifecycle.schedule(again(change), by=world.harbour.manager, at=clock.now(), on=date(2026, 12, 1), zone="Europe/Amsterdam")
    lifecycle.fire(change)
    assert [len(attempt.order_request().lines) for attempt in change.attempts.all()] == [1]
    assert change.events.filter(name="options_left").exists()
