"""The customer's page of a quote: what it shows, what changes nothing, what it refuses, and fifty who accept at once."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import clock as portal_clock
from orders import quote_document, quoting
from orders.models import Order, OrderNote, QuoteAcceptance, QuoteLink, QuoteMessage, Seller
from orders.statuses import OrderStatus
from orders.views import quote_public
from tests.harness.clock import Clock
from tests.harness.portal import Portal
from tests.harness.world import World, again, order_in
from tests.test_quote_pdf import text
from tests.walls.corpus import TEXTS
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, body_of
from tests.walls.state import state
from tests.walls.visitor import at_once

FIFTY = 50
WHO = {"name": "Anna Visser", "role": "Director", "agreed": "on"}


@pytest.fixture(autouse=True)
def _nobody_has_asked_yet() -> None:
    cache.clear()


def sent(world: World, *lines: Any, **changes: Any) -> Order:
    order = order_in(OrderStatus.DRAFT, world, *lines)
    Order.objects.filter(pk=order.pk).update(
        **{"quote_recipients": ["anna@alder.example"], "customer_note": "As we said.", "internal_note": "Keep-this-to-us"} | changes
    )
    return quoting.send(again(order), by=world.harbour.manager)


def address(order: Order) -> str:
    link = again(order).quote_link
    assert link
    return quoting.address_of(link)


def accept_data(page: HtmlPage, **changes: Any) -> dict[str, Any]:
    return {"content": page.field("content").get("value", "")} | WHO | changes


# --- what it shows


@pytest.mark.pages
def test_it_shows_what_was_frozen_to_whoever_has_the_link_and_nothing_of_the_sellers_side(client: Client, world: World) -> None:
    order = sent(world)
    OrderNote.objects.create(order=order, author=world.harbour.manager, text="A note to us only", at=portal_clock.now())
    response = client.get(address(order))
    page = HtmlPage(response)
    assert response.status_code == 200
    for words in (order.number, "Harbour Cloud", "Alder Dental", "Northgate Backup for Mailboxes", "As we said.", "Anna Visser"):
        assert page.says(words), words
    line = order.lines.get()
    pdf = body_of(client.get(f"{address(order)}pdf/"))
    assert pdf.startswith(b"%PDF-")
    for body in (bytes(response.content), pdf):
        for secret in ("Keep-this-to-us", "A note to us only", "margin", "Max Harbour", str(line.term_cost)):
            assert secret.encode() not in body, secret
    assert complaints(page) == []
    # What is changed at the order afterwards is in no revision that was sent.
    Order.objects.filter(pk=order.pk).update(customer_note="Something else")
    world.harbour.customer.name = "Renamed"
    world.harbour.customer.save()
    assert HtmlPage(client.get(address(order))).text == page.text


@pytest.mark.pages
def test_every_figure_of_the_page_is_in_the_sheet_that_the_pdf_prints(client: Client, world: World) -> None:
    order = sent(world, world.line(quantity=7), world.line(world.premium_yearly, 3), world.line(world.premium_monthly, 11))
    link = again(order).quote_link
    assert link
    sheet = quote_document.sheet(link.revision.document, link.valid_until)
    shown = HtmlPage(client.get(address(order))).text
    for row in sheet.rows:
        for words in (row.title, row.quantity, row.price, row.amount):
            assert " ".join(words.split()) in shown, words
    for one in sheet.sums:
        assert " ".join(one.label.split()) in shown
        assert " ".join(one.amount.split()) in shown


@pytest.mark.pages
def test_its_headers_keep_the_address_to_the_customer(client: Client, world: World) -> None:
    order = sent(world)
    for path in (address(order), f"{address(order)}pdf/", "/q/no-such-link/"):
        headers = client.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert "noindex" in headers["X-Robots-Tag"], path
        assert "no-store" in headers["Cache-Control"], path
        assert "Set-Cookie" not in headers, path
    policy = client.get(address(order)).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.pages
def test_a_page_costs_a_few_questions_to_the_database_however_long_the_quote_is(client: Client, world: World) -> None:
    counts = []
    for lines in (1, 30):
        order = sent(world, *(world.line(quantity=number + 1) for number in range(lines)))
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert client.get(address(order)).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 6, counts


# --- what changes nothing


@pytest.mark.pages
def test_reading_changes_nothing_and_is_no_opening_whoever_reads(client: Client, world: World) -> None:
    order = sent(world)
    before = state()
    for agent in ("Mozilla/5.0 Firefox", "Mimecast URL Protect", "Microsoft Office Existence Discovery", ""):
        for end in ("", "pdf/"):
            assert client.get(f"{address(order)}{end}", headers={"User-Agent": agent}).status_code == 200
            assert client.head(f"{address(order)}{end}", headers={"User-Agent": agent}).status_code == 200
        for end in ("accept/", "decline/", "ask/", "opened/"):
            assert client.get(f"{address(order)}{end}", headers={"User-Agent": agent}).status_code == 405
    assert state() == before


@pytest.mark.pages
def test_an_opening_is_told_by_the_pages_own_script_and_not_of_ones_own_people(client: Client, world: World) -> None:
    order = sent(world)
    path = f"{address(order)}opened/"
    client.post(path)
    client.post(path, headers={"Sec-Fetch-Site": "cross-site"})
    client.force_login(world.harbour.viewer)
    client.post(path, headers={"Sec-Fetch-Site": "same-origin"})
    assert QuoteLink.objects.get().openings == 0
    client.logout()
    client.post(path, headers={"Sec-Fetch-Site": "same-origin"})
    assert QuoteLink.objects.get().openings == 1


@pytest.mark.pages
def test_other_sums_are_shown_without_anything_being_kept(client: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world, world.line(quantity=2), world.line(world.premium_monthly, 3))
    order.lines.filter(position=2).update(is_optional=True)
    order = quoting.send(again(order), by=world.harbour.manager)
    before = state()
    without, chosen = (HtmlPage(client.post(address(order), {"name": "Anna", "o": one})) for one in ("", "2"))
    assert without.text != chosen.text
    assert "checked" in next(field for field in chosen.all(name="o") if field.get("value") == "2").attrib
    assert chosen.field("name").get("value") == "Anna"
    assert state() == before


# --- answers


@pytest.mark.pages
def test_accepting_leads_back_to_the_page_which_says_so(client: Client, world: World) -> None:
    order = sent(world)
    page = HtmlPage(client.get(address(order)))
    answer = client.post(f"{address(order)}accept/", accept_data(page), headers={"User-Agent": "Firefox"})
    assert (answer.status_code, answer.headers["Location"]) == (302, address(order))
    after = HtmlPage(client.get(address(order)))
    assert after.says("Anna Visser")
    assert after.says("ccepted")
    assert after.all("form") == []
    assert QuoteAcceptance.objects.get().browser == "Firefox"
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    again_pressed = client.post(f"{address(order)}accept/", accept_data(page))
    assert again_pressed.status_code == 409
    assert QuoteAcceptance.objects.count() == 1


@pytest.mark.pages
def test_chosen_options_are_ordered_and_the_others_are_not(client: Client, world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world, world.line(quantity=2), world.line(world.premium_monthly, 3), world.line(quantity=9))
    order.lines.filter(position__in=[2, 3]).update(is_optional=True)
    order = quoting.send(again(order), by=world.harbour.manager)
    page = HtmlPage(client.get(address(order)))
    assert client.post(f"{address(order)}accept/", accept_data(page, o=["2"])).status_code == 302
    order = again(order)
    assert order.status == OrderStatus.PROVISIONING_STARTED
    assert [line.quantity for line in order.lines.all()] == [2, 3]
    assert order.due_now == order.totals().due_now
    assert QuoteAcceptance.objects.get().chosen == [2]
    client.force_login(world.harbour.manager)
    assert f"/orders/{order.number}/pdf/" in HtmlPage(client.get(f"/orders/{order.number}/")).links()
    kept = text(client.get(f"/orders/{order.number}/pdf/").content)
    assert kept.count("notinthetotals") == 1, "the file is what was accepted, with what was not chosen"


@pytest.mark.pages
@pytest.mark.parametrize(
    ("changes", "name"), [({"name": ""}, "name"), ({"agreed": ""}, "agreed"), ({"name": "x" * 500}, "name"), ({"role": "x" * 500}, "role")]
)
def test_an_answer_that_lacks_something_is_refused_beside_its_field_with_all_that_was_typed(
    client: Client, world: World, changes: dict[str, str], name: str
) -> None:
    order = sent(world)
    data = accept_data(HtmlPage(client.get(address(order))), **changes)
    before = state()
    response = client.post(f"{address(order)}accept/", data)
    page = HtmlPage(response)
    assert response.status_code == 422
    assert page.field(name).get("aria-invalid") == "true"
    assert page.beside(name)
    for field in {"name", "role"} - {name}:
        assert page.field(field).get("value") == data[field]
    assert state() == before


@pytest.mark.pages
def test_a_page_that_shows_other_content_than_is_with_the_customer_accepts_nothing(client: Client, world: World) -> None:
    order = sent(world)
    response = client.post(f"{address(order)}accept/", WHO | {"content": "0" * 64})
    assert response.status_code == 409
    assert not QuoteAcceptance.objects.exists()
    assert again(order).status == OrderStatus.QUOTE_SENT


@pytest.mark.pages
def test_declining_and_asking_reach_the_seller_and_are_shown_in_the_thread(client: Client, world: World) -> None:
    order = sent(world)
    assert (
        client.post(f"{address(order)}ask/", {"ask-name": "Anna", "ask-line-1": "Seven?", "ask-text": "<b>Cheaper</b>"}).status_code == 302
    )
    page = HtmlPage(client.get(address(order)))
    assert page.says("<b>Cheaper</b>")
    assert page.says("Seven?")
    assert complaints(page) == []
    assert client.post(f"{address(order)}ask/", {"ask-name": "Anna"}).status_code == 422
    assert client.post(f"{address(order)}decline/", {"no-name": "Anna", "no-reason": "Too dear"}).status_code == 302
    assert again(order).status_note == "Declined: Too dear"


@pytest.mark.pages
def test_whatever_is_typed_is_no_breakdown(client: Client, world: World) -> None:
    order, problems = sent(world), []
    forms = {"accept/": ("name", "role", "content"), "decline/": ("no-name", "no-reason"), "ask/": ("ask-name", "ask-text", "ask-line-1")}
    quote_public_writes = len(TEXTS) * 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quote_public, "WRITES", quote_public_writes)
        for number, text in enumerate(TEXTS):
            for end, fields in forms.items():
                field = fields[number % len(fields)]
                response = client.post(f"{address(order)}{end}", {field: text})
                if response.status_code not in {302, 409, 422}:
                    problems.append(f"{end} {field}={text[:40]!r}: {response.status_code}")
                elif complaint := complaints(HtmlPage(response)):
                    problems.append(f"{end} {field}={text[:40]!r}: {complaint}")
    assert problems == []


# --- what is refused


@pytest.mark.pages
def test_what_is_over_says_why_and_offers_no_answer(client: Client, world: World, clock: Clock) -> None:
    said = {}
    for why in ("replaced", "withdrawn", "expired"):
        order = sent(world)
        path = address(order)
        data = accept_data(HtmlPage(client.get(path)))
        if why == "replaced":
            quoting.revise(again(order), by=world.harbour.manager)
            quoting.send(again(order), by=world.harbour.manager)
        elif why == "withdrawn":
            quoting.withdraw(again(order), by=world.harbour.manager)
        else:
            link = again(order).quote_link
            assert link
            clock.advance(seconds=(link.expires_at - portal_clock.now()).total_seconds() + 1)
        page = HtmlPage(client.get(path))
        assert page.all("form") == [], why
        answer = client.post(f"{path}accept/", data)
        assert answer.status_code == 409, why
        said[why] = HtmlPage(answer).text
    assert len(set(said.values())) == 3
    assert not QuoteAcceptance.objects.exists()


@pytest.mark.pages
def test_a_revoked_link_answers_as_one_that_never_was(client: Client, world: World) -> None:
    order = sent(world)
    old = address(order)
    quoting.new_link(again(order), by=world.harbour.manager)
    answers = []
    for path in (old, f"/q/{'A' * 43}/", "/q/x/"):
        for end in ("", "pdf/"):
            with CaptureQueriesContext(connection) as asked:
                response = client.get(f"{path}{end}")
            answers.append((response.status_code, re.sub(rb"/q/[^/]*/", b"", response.content), len(asked)))
        for end in ("accept/", "decline/", "ask/", "opened/"):
            assert client.post(f"{path}{end}", WHO).status_code == 404
    assert answers == answers[:1] * len(answers)
    assert answers[0][0] == 404


@pytest.mark.pages
def test_another_sites_page_answers_nothing(client: Client, world: World) -> None:
    order = sent(world)
    data = accept_data(HtmlPage(client.get(address(order))))
    for site in ("cross-site", "same-site"):
        assert client.post(f"{address(order)}accept/", data, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert not QuoteAcceptance.objects.exists()


@pytest.mark.pages
def test_who_asks_too_often_waits(client: Client, world: World) -> None:
    order = sent(world)
    statuses = [client.get(address(order)).status_code for _ in range(quote_public.READS + 1)]
    # A minute may have begun anew in between; then twice as many are too many.
    if statuses[-1] == 200:
        statuses += [client.get(address(order)).status_code for _ in range(quote_public.READS)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


@pytest.mark.pages
def test_the_quote_of_a_seller_who_is_gone_is_no_quote(client: Client, world: World) -> None:
    order = sent(world)
    Seller.objects.filter(pk=order.seller_id).update(is_active=False)
    assert client.get(address(order)).status_code == 404


@pytest.mark.pages
def test_dates_are_of_the_sellers_zone(client: Client, world: World) -> None:
    Seller.objects.filter(pk=world.harbour.seller.pk).update(time_zone="Pacific/Kiritimati")
    order = again(order_in(OrderStatus.DRAFT, world))
    until = quoting.today(order) + timedelta(days=3)
    Order.objects.filter(pk=order.pk).update(valid_until=until)
    order = quoting.send(again(order), by=world.harbour.manager)
    assert f"{until.day} " in HtmlPage(client.get(address(order))).text


# --- at once, at a real server


def test_fifty_who_accept_at_once_are_one(web: Portal, world: World) -> None:
    order = sent(world)
    link = again(order).quote_link
    assert link
    path, data = quoting.address_of(link), WHO | {"content": link.revision.content_sha256}

    def press(number: int) -> Any:
        with httpx.Client(base_url=web.url, timeout=60) as visitor:
            return visitor.post(f"{path}accept/", data=data | {"name": f"Person {number}"})

    answers = [answer.status_code for answer in at_once(FIFTY, press)]
    assert QuoteAcceptance.objects.count() == 1
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.count() == 1
    assert order.events.filter(name="quote_accepted").count() == 1
    assert order.events.filter(name="placed").count() == 1
    assert sorted(answers) == [302] + [409] * (FIFTY - 1)
    assert not QuoteMessage.objects.exists()
