"""Help says what the portal does: every status, every edge of the machine, every row of the failure catalogue."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.test import Client

import orders
from orders.failures import UNKNOWN, Catalogue
from orders.models import FailureReason, Order
from orders.statuses import TABLE, OrderStatus, Section
from orders.views import status_diagram
from tests.harness.world import REFUSAL, World, order_in, verdict_refused
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of

pytestmark = pytest.mark.pages

PAGES = ("/help/", "/help/statuses/", "/help/failures/", "/help/sandbox/")
HOSTILE = "<script>alert(1)</script>\"'<b>"


@pytest.fixture
def viewer(client: Client, world: World) -> Client:
    client.force_login(world.harbour.viewer)
    return client


def page_at(client: Client, path: str, **query: str) -> HtmlPage:
    response = client.get(path, query)
    assert response.status_code == 200
    return HtmlPage(response)


def ids(page: HtmlPage) -> list[str]:
    return [element.attrib["id"] for element in page.all() if "id" in element.attrib]


def machine() -> set[str]:
    """Every edge of the FSM as source>target."""
    return {f"{edge.source}>{edge.target}" for edge in Order._meta.get_field("status").get_all_transitions(Order)}


# --- all pages


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.django_db
def test_every_member_of_a_seller_reads_every_page_and_none_holds_anything_inline(client: Client, world: World, path: str) -> None:
    for person in (world.harbour.viewer, world.harbour.manager, world.harbour.admin):
        client.force_login(person)
        page = page_at(client, path)
        assert complaints(page) == []
        assert len(ids(page)) == len(set(ids(page)))
        assert [element.tag for element in page.all("h1")] == ["h1"]
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.django_db
def test_a_stranger_is_asked_to_sign_in(client: Client, world: World, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, urlsplit(response["Location"]).path) == (302, "/signin/")


@pytest.mark.django_db
def test_the_help_centre_leads_to_all_pages(viewer: Client) -> None:
    assert set(PAGES) <= set(page_at(viewer, "/help/").links())


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.django_db
def test_every_link_within_a_page_has_its_target(viewer: Client, path: str) -> None:
    page = page_at(viewer, path)
    anchors = {link[1:] for link in page.links() if link.startswith("#")}
    assert anchors <= set(ids(page))


# --- statuses


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.django_db
def test_each_status_stands_with_its_words_in_its_section(viewer: Client, status: OrderStatus) -> None:
    page, info = page_at(viewer, "/help/statuses/"), TABLE[status]
    entry = page.by_id(status)
    badge = next(element for element in entry.iter("span") if element.get("data-status"))
    assert (badge.get("data-status"), badge.get("data-tone"), text_of(badge)) == (status, info.tone, status.label)
    for sentence in (info.meaning, info.what_next, info.who):
        assert sentence in text_of(entry)
    section = next(panel for panel in page.all("section") if entry in panel.iter())
    assert section.get("aria-labelledby") == f"section-{info.section.lower()}"


@pytest.mark.django_db
def test_the_two_sections_hold_each_status_once(viewer: Client) -> None:
    page = page_at(viewer, "/help/statuses/")
    found = []
    for section in Section:
        panel = next(panel for panel in page.all("section") if panel.get("aria-labelledby") == f"section-{section.lower()}")
        found += [entry.attrib["id"] for entry in panel.iter("li")]
    assert found == [str(status) for status in TABLE]


@pytest.mark.django_db
def test_every_edge_of_the_machine_is_drawn_and_labelled_and_stands_in_the_table(viewer: Client) -> None:
    page = page_at(viewer, "/help/statuses/")
    drawn, labels, rows = (
        {element.attrib[name]: element for element in page.all() if name in element.attrib}
        for name in ("data-edge", "data-label-of", "data-row")
    )
    assert set(drawn) == set(labels) == set(rows) == machine()
    for edge in Order._meta.get_field("status").get_all_transitions(Order):
        key, (word, sentence) = f"{edge.source}>{edge.target}", status_diagram.VERBS[edge.name]
        assert word in text_of(labels[key])
        assert sentence in text_of(rows[key])
        badges = [element.get("data-status") for element in rows[key].iter("span") if element.get("data-status")]
        assert badges == [edge.source, edge.target]


def test_every_edge_has_a_route_and_every_status_a_place_and_no_route_is_left_over() -> None:
    assert {f"{source}>{target}" for source, target in status_diagram.ROUTES} == machine()
    assert set(status_diagram.PLACES) == set(OrderStatus)


def test_every_arrow_begins_and_ends_at_its_boxes() -> None:
    for (source, target), route in status_diagram.ROUTES.items():
        assert touches(source, route.points[0]), (source, target)
        assert touches(target, route.points[-1]), (source, target)


def touches(status: OrderStatus, point: tuple[int, int]) -> bool:
    """Arrow heads end two units before the box."""
    left, middle, width = status_diagram.PLACES[status]
    half = status_diagram.NODE_HEIGHT // 2
    return left - 2 <= point[0] <= left + width + 2 and middle - half - 2 <= point[1] <= middle + half + 2


def test_an_edge_that_nobody_drew_is_drawn_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_diagram, "ROUTES", {})
    monkeypatch.setattr(status_diagram, "VERBS", {})
    edges = status_diagram.edges()
    assert {edge.key for edge in edges} == machine()
    assert all(re.fullmatch(r"M\d+ \d+L\d+ \d+", edge.path) and edge.label for edge in edges)


@pytest.mark.django_db
def test_the_picture_has_a_title_and_its_region_can_be_scrolled_by_key(viewer: Client) -> None:
    page = page_at(viewer, "/help/statuses/")
    picture = next(element for element in page.all(role="img") if element.tag.endswith("svg"))
    for part in picture.attrib["aria-labelledby"].split():
        assert text_of(page.by_id(part))
    region = next(element for element in page.all("div", role="region") if picture in element.iter())
    assert region.get("tabindex") == "0"
    assert region.get("aria-label")


# --- failures


@pytest.mark.django_db
def test_every_row_of_the_catalogue_has_its_anchor_and_all_its_words(viewer: Client) -> None:
    page = page_at(viewer, "/help/failures/")
    reasons = [*FailureReason.objects.all(), UNKNOWN]
    assert len(reasons) > 20
    for reason in reasons:
        text = text_of(page.by_id(reason.slug))
        for words in (reason.summary, reason.meaning, reason.fix):
            # The page speaks of no vendor in particular.
            parts = [part for part in re.split(r"\{vendor\}", " ".join(words.split())) if part.strip()]
            assert all(part.strip() in text for part in parts), reason.slug
        assert reason.get_who_display() in text
        assert reason.code.partition(":")[0] in text
    assert not page.says("{vendor}")


@pytest.mark.django_db
def test_the_vendor_without_a_name_begins_a_sentence_with_a_capital(viewer: Client) -> None:
    FailureReason.objects.create(
        slug="grammar", short="s", summary="{vendor} said no", meaning="{vendor} said no. {vendor} is right.", fix="Ask {vendor}.",
        code="grammar", who="vendor", retry="never",
    )  # fmt: skip
    text = text_of(page_at(viewer, "/help/failures/").by_id("grammar"))
    assert "The vendor said no. The vendor is right." in text
    assert "Ask the vendor." in text
    assert "Not offered" in text


@pytest.mark.django_db
def test_the_help_link_of_every_explanation_leads_to_a_reason_on_the_page(viewer: Client, world: World) -> None:
    order = order_in("provisioning_started", world)
    verdict_refused(order.attempts.get(), replace(REFUSAL, code="no-such-code", text="Nobody knows this."))
    known = order_in("provisioning_failed", world)
    catalogue, anchors = Catalogue(), set(ids(page_at(viewer, "/help/failures/")))
    slugs = set()
    for found in (order, known):
        for explanation in catalogue.explain(Order.objects.for_list().get(pk=found.pk)):
            address = urlsplit(explanation.help_url)
            assert address.path == "/help/failures/"
            assert address.fragment in anchors
            slugs.add(address.fragment)
    assert UNKNOWN.slug in slugs


@pytest.mark.django_db
def test_hostile_words_of_the_catalogue_stay_words(viewer: Client) -> None:
    FailureReason.objects.create(
        slug="hostile", short=HOSTILE, summary=HOSTILE, meaning=HOSTILE, fix=HOSTILE, code=HOSTILE, who="vendor", retry="retry"
    )
    page = page_at(viewer, "/help/failures/")
    assert complaints(page) == []
    assert text_of(page.by_id("hostile")).count("<script>alert(1)</script>") >= 4
    assert not list(page.by_id("hostile").iter("script"))


@pytest.mark.parametrize("asked", [HOSTILE, "\0", "x" * 5000, "%", "'; --", "\u202e", "'\"><svg onload=alert(1)>"])
@pytest.mark.django_db
def test_whatever_is_searched_for_the_page_answers(viewer: Client, asked: str) -> None:
    page = page_at(viewer, "/help/failures/", q=asked)
    assert complaints(page) == []
    assert page.says("No reason matches")


@pytest.mark.django_db
def test_the_search_finds_by_word_and_by_code_in_any_case_and_keeps_what_was_asked(viewer: Client) -> None:
    def found(asked: str) -> set[str]:
        page = page_at(viewer, "/help/failures/", q=asked)
        assert page.field("q").get("value") == asked
        return {element.attrib["id"] for element in page.all("article")}

    assert found("800023") == {"credit-limit"}
    assert found("CREDIT line") == {"credit-limit"}
    assert {"too-many-seats", "seats-left", "quantity-out-of-range"} <= found("quantity")
    everything = {*FailureReason.objects.values_list("slug", flat=True), UNKNOWN.slug}
    assert found("") == everything


@pytest.mark.django_db
def test_help_costs_the_same_however_many_orders_failed(viewer: Client, world: World, django_assert_max_num_queries: Any) -> None:
    for _ in range(3):
        order_in("provisioning_failed", world, at=world.northwind)
    with django_assert_max_num_queries(6):
        page = page_at(viewer, "/help/failures/")
    for stranger in (world.northwind.seller.name, world.northwind.customer.domain, "SO-1"):
        assert not page.says(stranger)


# --- the sandbox's triggers


def sandbox_file(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Path(orders.__file__).parent / "vendors" / "sandbox" / name).read_text())
    return found


@pytest.mark.django_db
def test_every_trigger_of_the_sandbox_is_on_its_page(viewer: Client) -> None:
    page = page_at(viewer, "/help/sandbox/")
    groups = sandbox_file("triggers.json")
    triggers = [*sandbox_file("magic.json"), *(row for group in groups for row in group["rows"])]
    rows = [text_of(row) for row in page.all("tr")]
    for trigger in triggers:
        assert any(all(trigger[key] in row for key in ("name", "where", "value", "result")) for row in rows), trigger["name"]
    # Each once: a heading a group, and a row a trigger.
    assert len(rows) == len(triggers) + len(groups) + 1


@pytest.mark.django_db
def test_triggers_are_in_groups_that_a_row_of_links_leads_to(viewer: Client) -> None:
    page = page_at(viewer, "/help/sandbox/")
    titles = [text_of(heading) for heading in page.all("h2")]
    assert titles == ["Quantities", *(group["title"] for group in sandbox_file("triggers.json"))]
    targets = [link.removeprefix("#") for link in page.links() if link.startswith("#")]
    assert set(targets) >= {"quantities", "products", "customers", "changes", "faults", "control"}
    assert set(targets) <= set(ids(page)) | {""}


@pytest.mark.django_db
def test_in_production_there_is_no_such_page_and_no_link_to_it(viewer: Client, settings: LazySettings) -> None:
    settings.IS_LOCAL = False
    assert viewer.get("/help/sandbox/").status_code == 404
    assert "/help/sandbox/" not in page_at(viewer, "/help/").links()
