"""Price lists: what is read, what is refused with line and reason, what an import changes, and what a crash leaves: nothing."""

import io
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from orders import clock, lifecycle, price_sheet, pricing
from orders.models import Offer, Price, PriceList
from orders.price_sheet import COLUMNS, BadRow, Row, Unreadable
from tests.harness.databases import contents
from tests.harness.price_lists import row, rows, write
from tests.harness.world import World, again, cart_of, order_in

CATALOGUE = ("orders_offer", "orders_price", "orders_pricelist")
KEY_ONLY = ("orders_offer", "orders_price")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    return lambda *found, **options: write(tmp_path / f"list-{random.random()}.csv", *found, **options)


def read(path: Path) -> list[Row | BadRow]:
    return list(price_sheet.rows(path))


def only(path: Path) -> Row:
    [found] = read(path)
    assert isinstance(found, Row), found
    return found


def listed(**filters: Any) -> list[Price]:
    return list(Price.objects.listed().filter(added_by__isnull=False, **filters).order_by("pk"))


# --- what is read


def test_a_row_is_read_as_the_list_means_it(file: Any) -> None:
    assert only(file(row())) == Row(
        line=2, product_id="CFQ7TTC0TEST", sku_id="0002", segment="Commercial", title="Mail Plan 1",
        description="Mail for everybody, with a calendar.", is_trial=False, market="NL", currency="EUR", term="P1Y", cycle="monthly",
        cost=Decimal("38.4"), price=Decimal(48), valid_from=datetime(2024, 5, 1, tzinfo=UTC), valid_to=None, is_removed=False,
    )  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), [("2", "0002"), ("000N", "000N"), ("11", "0011"), ("0002", "0002")])
def test_a_sku_gets_its_zeros_back(file: Any, written: str, meant: str) -> None:
    assert only(file(row(SkuId=written))).sku_id == meant


def test_the_years_1753_and_9999_are_open_ends_and_the_last_second_belongs_to_the_price(file: Any) -> None:
    found = only(file(row(EffectiveStartDate="1753-01-02T00:00:00.0000000Z")))
    assert (found.valid_from, found.valid_to) == (None, None)
    assert only(file(row(EffectiveEndDate="2026-06-30T23:59:59.0000000Z"))).valid_to == datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "term", "cycle", "is_trial"),
    [
        ({"TermDuration": "P3Y", "BillingPlan": "Triennial"}, "P3Y", "triennial", False),
        ({"TermDuration": "P3Y", "BillingPlan": "Annual"}, "P3Y", "annual", False),
        ({"TermDuration": "P1M", "BillingPlan": "None", "UnitPrice": "0", "ERP": "0"}, "P1M", "none", True),
        ({"TermDuration": "P1M", "Tags": "License;Trial"}, "P1M", "monthly", True),
        ({"TermDuration": "", "BillingPlan": "OneTime"}, "", "one_time", False),
        ({"PreviousValues": "{'ERP Price': '57.6', 'UnitPrice': '46.08'}"}, "P1Y", "monthly", False),
    ],
)
def test_terms_plans_and_trials(file: Any, changes: dict[str, str], term: str, cycle: str, is_trial: bool) -> None:
    found = only(file(row(**changes)))
    assert (found.term, found.cycle, found.is_trial) == (term, cycle, is_trial)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_separators_read_the_same(file: Any, encoding: str, delimiter: str) -> None:
    found = read(file(row(SkuTitle="Größe, 中文; ok"), row(SkuId="3", SkuDescription="Two\nlines"), encoding=encoding, delimiter=delimiter))
    assert [one.title for one in found if isinstance(one, Row)] == ["Größe, 中文; ok", "Mail Plan 1"]


def test_columns_in_another_order_read_the_same(file: Any) -> None:
    assert only(file(row(), columns=tuple(reversed(COLUMNS)))) == only(file(row()))


def test_what_nobody_sees_is_taken_out_of_a_title(file: Any) -> None:
    assert only(file(row(SkuTitle="\ufeffMail\u200b Plan\u00ad 1\u200f"))).title == "Mail Plan 1"


def test_formulas_stay_text(file: Any) -> None:
    assert only(file(row(SkuTitle='=HYPERLINK("http://evil.example")'))).title == '=HYPERLINK("http://evil.example")'


# --- what is refused, with line, column and reason

BAD = [
    ({"UnitPrice": "-1"}, "UnitPrice", "no price"),
    ({"UnitPrice": "NaN"}, "UnitPrice", "no price"),
    ({"UnitPrice": "Infinity"}, "UnitPrice", "no price"),
    ({"ERP": "1e3"}, "ERP Price", "no price"),
    ({"ERP": "1,5"}, "ERP Price", "decimal comma"),
    ({"ERP": ""}, "ERP Price", "no price"),
    ({"ERP": "１２"}, "ERP Price", "no price"),
    ({"ERP": "1_0"}, "ERP Price", "no price"),
    ({"ERP": "12345678901"}, "ERP Price", "more digits"),
    ({"ERP": "0.12345"}, "ERP Price", "more digits"),
    ({"ERP": "9" * 5000}, "ERP Price", "more digits"),
    ({"EffectiveStartDate": "5/1/2024"}, "EffectiveStartDate", "no date"),
    ({"EffectiveStartDate": "2024-02-30T00:00:00.0000000Z"}, "EffectiveStartDate", "no date"),
    ({"EffectiveEndDate": ""}, "EffectiveEndDate", "no date"),
    ({"EffectiveEndDate": "0001-01-01T00:00:00.0000000Z"}, "EffectiveEndDate", "year 1"),
    ({"EffectiveEndDate": "2024-01-01T00:00:00.0000000Z"}, "EffectiveEndDate", "before it starts"),
    ({"TermDuration": "P1M", "BillingPlan": "Annual"}, "BillingPlan", "can’t be billed"),
    ({"TermDuration": "P1Y", "BillingPlan": "Triennial"}, "BillingPlan", "can’t be billed"),
    ({"TermDuration": "P2Y"}, "TermDuration", "no term"),
    ({"TermDuration": ""}, "BillingPlan", "can’t be billed"),
    ({"BillingPlan": "Weekly"}, "BillingPlan", "no billing plan"),
    ({"Market": "XX"}, "Market", "no country"),
    ({"Market": "nl"}, "Market", "no country"),
    ({"Market": "EU"}, "Market", "no country"),
    ({"Currency": "EURO"}, "Currency", "no currency"),
    ({"Currency": "XQQ"}, "Currency", "no currency"),
    ({"ProductId": ""}, "ProductId", "Nothing is no product"),
    ({"ProductId": "../etc"}, "ProductId", "no product"),
    ({"SkuId": "12345678901"}, "SkuId", "no SKU"),
    ({"Segment": ""}, "Segment", "no segment"),
    ({"Segment": "Commerical"}, "Segment", "“Commerical” is no segment that is sold here: Commercial, Education, Charity, Government."),
    ({"Segment": "commercial"}, "Segment", "no segment"),
    ({"ProductId": "CFQ7\u200bTTC"}, "ProductId", "“CFQ7\N{REPLACEMENT CHARACTER}TTC” is no product"),
    ({"SkuId": "\ufeff2"}, "SkuId", "no SKU"),
    ({"SkuTitle": "\u200b\u2060"}, "SkuTitle", "0 characters"),
    ({"SkuTitle": "Gr\ufffd\ufffde"}, "SkuTitle", "has lost a character"),
    ({"SkuTitle": ""}, "SkuTitle", "0 characters"),
    ({"SkuTitle": "x" * 201}, "SkuTitle", "201 characters"),
    ({"SkuDescription": "x" * 10_001}, "SkuDescription", "10001 characters"),
    ({"SkuTitle": "a\0b"}, "SkuTitle", "U+0000"),
    ({"SkuTitle": "a\x1b[31mb"}, "SkuTitle", "U+001B"),
    ({"SkuTitle": "a\u202egnp"}, "SkuTitle", "U+202E"),
    ({"Publisher": "a\x7f"}, "Publisher", "U+007F"),
    ({"ChangeIndicator": "Perhaps"}, "ChangeIndicator", "no change"),
    ({"PricingTierRangeMin": "1", "PricingTierRangeMax": "24"}, "PricingTierRangeMin", "pricing tier"),
    ({"PreviousValues": "{'ERP Price': '5"}, "PreviousValues", "is not written"),
    ({"PreviousValues": "__import__('os').system('true')"}, "PreviousValues", "is not written"),
    ({"PreviousValues": "{" * 900}, "PreviousValues", "is not written"),
]


@pytest.mark.parametrize(("changes", "column", "words"), BAD)
def test_a_bad_field_is_said_with_line_column_and_reason(file: Any, changes: dict[str, str], column: str, words: str) -> None:
    good, bad = read(file(row(SkuId="9"), row(**changes)))
    assert isinstance(good, Row)
    assert isinstance(bad, BadRow)
    [problem] = bad.problems
    assert (problem.line, problem.column) == (3, column)
    assert words in problem.reason
    assert len(problem.reason) < 250


def test_all_that_is_wrong_with_a_row_is_said(file: Any) -> None:
    [bad] = read(file(row(Market="XX", Currency="??", ERP="x")))
    assert isinstance(bad, BadRow)
    assert [problem.column for problem in bad.problems] == ["Market", "Currency", "ERP Price"]


def test_a_row_that_stands_twice_is_bad_also_when_its_sku_is_spelt_otherwise(file: Any) -> None:
    _first, second = read(file(row(SkuId="2"), row(SkuId="0002", ERP="49")))
    assert isinstance(second, BadRow)
    assert "stand further up" in second.problems[0].reason


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def whole(*found: dict[str, str]) -> bytes:
    made = io.StringIO()
    import csv

    writer = csv.DictWriter(made, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return made.getvalue().encode()


UNREADABLE = [
    (b"", "empty"),
    (b"\xef\xbb\xbf", "empty"),
    (b"PK\x03\x04rest", "Excel"),
    (b"\x1f\x8b\x08rest", "compressed"),
    (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "UTF-8"),
    (b"<!doctype html><html>", "not Microsoft"),
    (b"a,b,c\n1,2,3\n", "not Microsoft"),
    (b"\0" * 500, "not Microsoft"),
    (b"x" * 1_000_000, "not Microsoft"),
    (whole(), "no rows"),
    (whole(row(SkuTitle="Größe")).decode().encode("cp1252"), "Windows-1252"),
    (whole(row()).replace(b"Market,", b"", 1), "lacks this column"),
    (whole(row()).replace(b"Market,", b"Currency,", 1), "twice"),
    (b"\xff\xfe\0\0rest", "UTF-32"),
    (whole(row()).decode().encode("utf-16-le")[:-3], "middle of a character"),
]


@pytest.mark.parametrize(("content", "words"), UNREADABLE)
def test_a_file_that_is_no_list_gets_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(raw(tmp_path / "x.csv", content))
    assert words in str(refused.value)


def test_a_file_that_is_not_there_or_a_folder_gets_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(Unreadable, match="can’t be read"):
            read(path)


def test_a_column_that_nobody_knows_is_a_problem_that_can_be_skipped(file: Any) -> None:
    strange, good = read(file({**row(), "Colour": "red"}, columns=(*COLUMNS, "Colour")))
    assert isinstance(strange, BadRow)
    assert (strange.problems[0].line, strange.problems[0].column) == (1, "Colour")
    assert isinstance(good, Row)


@pytest.mark.parametrize("missing", range(1, 400, 7))
def test_a_list_that_is_cut_off_anywhere_is_bad_or_ends_with_a_whole_row(tmp_path: Path, missing: int) -> None:
    content = whole(row(), row(SkuId="3", PreviousValues="{'ERP Price': '57.6'}"), row(SkuId="4", PreviousValues="{'ERP Price': '57.6'}"))
    found = read(raw(tmp_path / "x.csv", content[:-missing]))
    # A cut exactly after a row, or before its empty or whole last field, leaves no trace.
    assert isinstance(found[-1], BadRow) or content[:-missing].endswith((b",", b"}", b"\n"))
    if isinstance(found[-1], BadRow):
        assert found[-1].sku is None


def test_fields_too_many_too_few_and_stray_quotes(tmp_path: Path) -> None:
    good = whole(row()).splitlines()
    lines = [good[0], b"a,b,c", good[1] + b",more", good[1].replace(b"License", b'"Lic"ense'), good[1], b",,,,,", b""]
    found = read(raw(tmp_path / "x.csv", b"\n".join(lines) + b"\n"))
    assert [type(one) for one in found] == [BadRow, BadRow, BadRow, Row, BadRow] or [type(one) for one in found] == [
        BadRow,
        BadRow,
        BadRow,
        Row,
    ]
    reasons = [one.problems[0].reason for one in found if isinstance(one, BadRow)]
    assert "3 fields" in reasons[0]
    assert "22 fields" in reasons[1]
    assert "quotation mark" in reasons[2]


def test_a_gigantic_field_costs_its_row_and_no_memory(tmp_path: Path) -> None:
    head, good = whole(row()).splitlines(keepends=True)
    path = raw(tmp_path / "x.csv", head + good + b"x" * 30_000_000 + b"\n" + good.replace(b",2,", b",3,"))
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(one) for one in found] == [Row, BadRow, Row]
    assert [one.line for one in found] == [2, 3, 4]
    assert peak < 3_000_000


def test_a_quotation_that_never_ends_costs_no_memory(tmp_path: Path) -> None:
    head, good = whole(row()).splitlines(keepends=True)
    path = raw(tmp_path / "x.csv", head + b'"' + (b"a" * 1000 + b"\n") * 3000 + good)
    found = read(path)
    assert isinstance(found[0], BadRow)
    assert found[0].line == 2
    assert found[0].sku is None


def test_noise_is_never_a_breakdown(tmp_path: Path) -> None:
    """Bytes of a good list, changed at random: each time rows, or a sentence."""
    chance = random.Random(7)
    content = whole(*rows(5))
    for turn in range(300):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            changed[chance.randrange(len(changed))] = chance.choice(b'\0"\n\r,;\xff\xc3\x80A9-' + bytes([chance.randrange(256)]))
        try:
            read(raw(tmp_path / f"{turn}.csv", bytes(changed)))
        except Unreadable:
            continue


# --- what an import changes


def test_offers_and_prices_come_in_with_the_word_of_the_list(world: World, file: Any) -> None:
    outcome = pricing.import_prices(file(row(), row(TermDuration="P1M", UnitPrice="3.84", ERP="4.8")), world.microsoft)
    offer = Offer.objects.get(code="CFQ7TTC0TEST-0002")
    assert (offer.title, offer.segment, offer.vendor, offer.is_trial, offer.is_active) == (
        "Mail Plan 1",
        "Commercial",
        world.microsoft,
        False,
        True,
    )
    assert [(price.term, price.term_cost, price.term_price, price.unit_price(world.harbour.seller)) for price in listed()] == [
        ("P1Y", Decimal("38.4"), Decimal(48), Decimal("4.00")), ("P1M", Decimal("3.84"), Decimal("4.8"), Decimal("4.80")),
    ]  # fmt: skip
    # The three prices that the list does not have were made by staff; they end too.
    assert str(outcome).startswith("2 rows: 2 added, 0 changed, 3 ended, 0 unchanged, 0 skipped")


def test_the_same_file_again_changes_nothing_and_says_so(world: World, file: Any) -> None:
    path = file(*rows(30), row(PreviousValues="{'ERP Price': '1'}"))
    pricing.import_prices(path, world.microsoft)
    before = contents(*CATALOGUE)
    outcome = pricing.import_prices(path, world.microsoft)
    assert outcome.changed_nothing
    assert str(outcome).startswith("Nothing changed. 31 rows")
    assert contents(*CATALOGUE) == before


def test_an_import_that_is_made_again_in_another_order_changes_no_price(world: World, file: Any) -> None:
    found = rows(30)
    pricing.import_prices(file(*found), world.microsoft)
    before = contents(*KEY_ONLY)
    outcome = pricing.import_prices(file(*reversed(found)), world.microsoft)
    assert (outcome.price_list.added, outcome.price_list.changed, outcome.price_list.ended, outcome.price_list.unchanged) == (0, 0, 0, 30)
    assert contents(*KEY_ONLY) == before


def test_a_changed_price_is_a_new_row_and_the_old_one_is_history(world: World, file: Any) -> None:
    first = pricing.import_prices(file(row()), world.microsoft).price_list
    second = pricing.import_prices(file(row(ERP="60", SkuTitle="Mail Plan One")), world.microsoft).price_list
    [new] = listed()
    assert (new.term_price, new.added_by, new.ended_by) == (Decimal(60), second, None)
    [old] = Price.objects.shown().filter(added_by=first)
    assert (old.term_price, old.ended_by, old.withdrawn_at) == (Decimal(48), second, second.finished_at)
    assert Offer.objects.get(code="CFQ7TTC0TEST-0002").title == "Mail Plan One"
    assert (second.added, second.changed, second.ended, second.unchanged) == (0, 1, 0, 0)


def test_an_end_that_was_open_and_is_not_any_more_counts_as_a_change(world: World, file: Any) -> None:
    pricing.import_prices(file(row()), world.microsoft)
    pricing.import_prices(file(row(EffectiveEndDate="2026-12-31T23:59:59.0000000Z")), world.microsoft)
    assert [price.valid_to for price in listed()] == [datetime(2027, 1, 1, tzinfo=UTC)]


def test_a_newer_list_ends_what_it_no_longer_has_within_its_scope_only(world: World, file: Any) -> None:
    pricing.import_prices(
        file(row(), row(SkuId="3"), row(Market="BE"), row(Currency="USD"), row(SkuId="4", Segment="Education")), world.microsoft
    )
    outcome = pricing.import_prices(file(row()), world.microsoft)
    assert outcome.price_list.ended == 1
    kept = {(price.offer.sku_id, price.market, price.currency, price.offer.segment) for price in listed()}
    assert kept == {
        ("0002", "NL", "EUR", "Commercial"), ("0002", "BE", "EUR", "Commercial"), ("0002", "NL", "USD", "Commercial"), ("0004", "NL", "EUR", "Education"),
    }  # fmt: skip
    # Prices of another vendor in the same place stay as well; and the offer itself is not switched off.
    assert Price.objects.listed().filter(offer=world.backup).exists()
    assert Offer.objects.get(sku_id="0003", product_id="CFQ7TTC0TEST").is_active


@pytest.mark.parametrize("word", ["Delete", "Removed"])
def test_a_row_that_is_marked_as_removed_ends_its_price(world: World, file: Any, word: str) -> None:
    pricing.import_prices(file(row(), row(SkuId="3")), world.microsoft)
    pricing.import_prices(file(row(), row(SkuId="3", ChangeIndicator=word)), world.microsoft)
    assert [price.offer.sku_id for price in listed()] == ["0002"]


def test_a_price_that_comes_back_is_listed_again(world: World, file: Any) -> None:
    both, one = file(row(), row(SkuId="3")), file(row())
    for path in (both, one, both):
        pricing.import_prices(path, world.microsoft)
    assert [price.offer.sku_id for price in listed()] == ["0002", "0003"]


def test_two_segments_that_share_a_sku_are_two_offers_and_keep_their_codes(world: World, file: Any) -> None:
    shared = [row(), row(Segment="Education"), row(Segment="Charity")]
    pricing.import_prices(file(*shared), world.microsoft)
    codes = dict(Offer.objects.filter(product_id="CFQ7TTC0TEST").values_list("segment", "code"))
    assert codes == {
        "Commercial": "CFQ7TTC0TEST-0002", "Education": "CFQ7TTC0TEST-0002-Education", "Charity": "CFQ7TTC0TEST-0002-Charity",
    }  # fmt: skip
    pricing.import_prices(file(*reversed(shared)), world.microsoft)
    assert dict(Offer.objects.filter(product_id="CFQ7TTC0TEST").values_list("segment", "code")) == codes


def test_an_offer_with_a_paid_plan_is_no_trial(world: World, file: Any) -> None:
    trial = row(TermDuration="P1M", BillingPlan="None", UnitPrice="0", ERP="0")
    pricing.import_prices(file(trial, row(SkuId="3", Tags="License;Trial"), row()), world.microsoft)
    assert dict(Offer.objects.filter(product_id="CFQ7TTC0TEST").values_list("sku_id", "is_trial")) == {"0002": False, "0003": True}


# --- prices with other dates

FAR, FARTHER = "2150-01-01T00:00:00.0000000Z", "2160-01-01T00:00:00.0000000Z"
IN_2150, IN_2160 = datetime(2150, 1, 1, tzinfo=UTC), datetime(2160, 1, 1, tzinfo=UTC)


def counts(found: pricing.Outcome) -> tuple[int, int, int, int]:
    """Added, changed, ended, unchanged."""
    made = found.price_list
    return made.added, made.changed, made.ended, made.unchanged


def held(**filters: Any) -> list[tuple[int, datetime | None, datetime | None]]:
    """Price and dates of what is listed, by its start."""
    start = lambda price: price.valid_from or datetime.min.replace(tzinfo=UTC)  # noqa: E731
    return [(int(price.term_price), price.valid_from, price.valid_to) for price in sorted(listed(**filters), key=start)]


def sold_at(instant: datetime) -> list[int]:
    """What the catalogue would take then: of those that are valid at once the last to begin."""
    found = Price.objects.valid_at(instant).filter(added_by__isnull=False).order_by(F("valid_from").asc(nulls_first=True), "pk")
    latest = {(price.offer_id, price.market, price.currency, price.term, price.billing_cycle): price for price in found}
    return [int(price.term_price) for price in latest.values()]


def test_a_new_month_in_which_every_price_starts_anew_is_a_change_of_every_price(world: World, file: Any) -> None:
    pricing.import_prices(file(*rows(30)), world.microsoft)
    month = file(*rows(30, ERP="50", EffectiveStartDate="2025-11-01T00:00:00.0000000Z"))
    assert counts(pricing.import_prices(month, world.microsoft)) == (0, 30, 0, 0)
    assert held() == [(50, datetime(2025, 11, 1, tzinfo=UTC), None)] * 30
    before = contents(*CATALOGUE)
    assert pricing.import_prices(month, world.microsoft).changed_nothing
    assert contents(*CATALOGUE) == before


def test_a_start_that_moves_back_is_a_change_too(world: World, file: Any) -> None:
    pricing.import_prices(file(row(EffectiveStartDate="2025-11-01T00:00:00.0000000Z")), world.microsoft)
    assert counts(pricing.import_prices(file(row(ERP="50")), world.microsoft)) == (0, 1, 0, 0)
    assert held() == [(50, datetime(2024, 5, 1, tzinfo=UTC), None)]


def test_a_list_of_coming_prices_leaves_todays_on_sale_until_they_begin(world: World, file: Any) -> None:
    pricing.import_prices(file(*rows(30)), world.microsoft)
    coming = file(*rows(30, ERP="50", EffectiveStartDate=FAR))
    assert counts(pricing.import_prices(coming, world.microsoft)) == (0, 30, 0, 0)
    assert held(offer__product_id="CFQ7TTC00000") == [(48, datetime(2024, 5, 1, tzinfo=UTC), IN_2150), (50, IN_2150, None)]
    assert sold_at(clock.now()) == sold_at(IN_2150 - timedelta(seconds=1)) == [48] * 30
    assert sold_at(IN_2150) == [50] * 30
    before = contents(*CATALOGUE)
    assert pricing.import_prices(coming, world.microsoft).changed_nothing
    assert contents(*CATALOGUE) == before
    offer = Offer.objects.select_related("vendor").get(product_id="CFQ7TTC00000")
    assert pricing.why_not(offer, world.harbour.customer, prices_of(offer)) == ""
    # The day comes; the same list, and the next one, find nothing to do.
    assert pricing.why_not(offer, world.harbour.customer, prices_of(offer), IN_2150) == ""


def test_after_the_day_the_same_list_still_changes_nothing(world: World, file: Any, clock: Any) -> None:
    pricing.import_prices(file(row()), world.microsoft)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    coming = file(row(ERP="50", EffectiveStartDate=f"{tomorrow:%Y-%m-%dT%H:%M:%S}.0000000Z"))
    pricing.import_prices(coming, world.microsoft)
    before = contents(*CATALOGUE)
    clock.advance(days=2)
    assert pricing.import_prices(coming, world.microsoft).changed_nothing
    assert contents(*CATALOGUE) == before


@pytest.mark.parametrize("end", ["9999-11-30T23:59:59.0000000Z", "2149-12-31T23:59:59.0000000Z"])
@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("is_reversed", [True, False])
def test_a_list_with_todays_and_the_coming_price_keeps_both_without_gap_and_overlap(
    world: World, file: Any, end: str, is_new: bool, is_reversed: bool
) -> None:
    if not is_new:
        pricing.import_prices(file(row()), world.microsoft)
    both = [row(EffectiveEndDate=end), row(ERP="50", EffectiveStartDate=FAR)]
    path = file(*(reversed(both) if is_reversed else both))
    # The first list ends the three prices that staff made.
    assert counts(pricing.import_prices(path, world.microsoft)) == ((2, 0, 3, 0) if is_new else (0, 2, 0, 0))
    assert held() == [(48, datetime(2024, 5, 1, tzinfo=UTC), IN_2150), (50, IN_2150, None)]
    assert sold_at(IN_2150 - timedelta(seconds=1)) == [48]
    assert sold_at(IN_2150) == [50]
    before = contents(*CATALOGUE)
    assert pricing.import_prices(path, world.microsoft).changed_nothing
    assert contents(*CATALOGUE) == before


def test_a_coming_price_that_is_taken_back_gives_today_its_open_end_again(world: World, file: Any) -> None:
    pricing.import_prices(file(row()), world.microsoft)
    pricing.import_prices(file(row(ERP="50", EffectiveStartDate=FAR)), world.microsoft)
    assert counts(pricing.import_prices(file(row()), world.microsoft)) == (0, 1, 0, 0)
    assert held() == [(48, datetime(2024, 5, 1, tzinfo=UTC), None)]


def test_a_coming_price_that_alone_is_taken_back_is_told_as_a_change(world: World, file: Any) -> None:
    """Today's price has its own end here and stays as it is, so no row of the list counts the change."""
    today = row(EffectiveEndDate="2149-12-31T23:59:59.0000000Z")
    pricing.import_prices(file(today, row(ERP="50", EffectiveStartDate=FAR)), world.microsoft)
    outcome = pricing.import_prices(file(today), world.microsoft)
    assert counts(outcome) == (0, 1, 0, 1)
    assert not outcome.changed_nothing
    assert held() == [(48, datetime(2024, 5, 1, tzinfo=UTC), IN_2150)]


def test_a_coming_price_that_is_put_off_lets_todays_go_on_until_then(world: World, file: Any) -> None:
    pricing.import_prices(file(row()), world.microsoft)
    pricing.import_prices(file(row(ERP="50", EffectiveStartDate=FAR)), world.microsoft)
    assert counts(pricing.import_prices(file(row(ERP="50", EffectiveStartDate=FARTHER)), world.microsoft)) == (0, 1, 0, 0)
    assert held() == [(48, datetime(2024, 5, 1, tzinfo=UTC), IN_2160), (50, IN_2160, None)]


def test_a_price_whose_own_end_is_earlier_does_not_go_on(world: World, file: Any) -> None:
    pricing.import_prices(file(row(EffectiveEndDate="2140-12-31T23:59:59.0000000Z")), world.microsoft)
    pricing.import_prices(file(row(ERP="50", EffectiveStartDate=FAR)), world.microsoft)
    assert held() == [(48, datetime(2024, 5, 1, tzinfo=UTC), datetime(2141, 1, 1, tzinfo=UTC)), (50, IN_2150, None)]


def test_a_price_for_a_while_leaves_the_one_around_it(world: World, file: Any) -> None:
    pricing.import_prices(
        file(row(), row(ERP="40", EffectiveStartDate=FAR, EffectiveEndDate="2150-01-31T23:59:59.0000000Z")), world.microsoft
    )
    assert [price.valid_to for price in listed()] == [None, datetime(2150, 2, 1, tzinfo=UTC)]
    assert sold_at(datetime(2150, 3, 1, tzinfo=UTC)) == [48]


def test_what_is_over_is_history_and_no_loss(world: World, file: Any, clock: Any) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    pricing.import_prices(file(*rows(10, EffectiveEndDate=f"{tomorrow:%Y-%m-%dT%H:%M:%S}.0000000Z"), row()), world.microsoft)
    clock.advance(days=2)
    assert counts(pricing.import_prices(file(row()), world.microsoft)) == (0, 0, 0, 1)
    assert Price.objects.filter(ended_by__isnull=False, added_by__isnull=False).count() == 0


def test_an_import_of_other_dates_that_breaks_leaves_everything_as_it_was(world: World, file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pricing.import_prices(file(*rows(10)), world.microsoft)
    before = contents("orders_price")

    def crash(self: Any) -> None:
        assert Price.objects.filter(valid_to=IN_2150).count() == 10
        raise RuntimeError

    monkeypatch.setattr(pricing._Writer, "_finish", crash)
    with pytest.raises(RuntimeError):
        pricing.import_prices(file(*rows(10, EffectiveStartDate=FAR)), world.microsoft)
    assert contents("orders_price") == before


def test_a_skipped_row_does_not_keep_the_old_price_beside_a_new_one(world: World, file: Any, tmp_path: Path) -> None:
    pricing.import_prices(file(row(), row(SkuId="3")), world.microsoft)
    path = raw(tmp_path / "x.csv", whole(row(ERP="50", EffectiveStartDate="2020-01-01T00:00:00.0000000Z")) + b"???\n")
    assert counts(pricing.import_prices(path, world.microsoft, skip_bad_rows=True)) == (0, 1, 0, 0)
    assert sorted(int(price.term_price) for price in listed()) == [48, 50]


# --- bad rows


def test_nothing_of_a_file_with_a_bad_row_is_imported(world: World, file: Any) -> None:
    before = contents(*KEY_ONLY)
    outcome = pricing.import_prices(file(*rows(600), row(Market="XX")), world.microsoft)
    assert contents(*KEY_ONLY) == before
    assert outcome.price_list.state == PriceList.State.REFUSED
    assert str(outcome) == "Nothing was imported: 1 bad row."
    assert outcome.price_list.problems == [
        {"line": 602, "column": "Market", "reason": "“XX” is no country: two capital letters, such as NL."}
    ]


def test_bad_rows_are_skipped_on_request_and_end_nothing_of_their_offer(world: World, file: Any) -> None:
    pricing.import_prices(file(row(), row(SkuId="3"), row(SkuId="4")), world.microsoft)
    outcome = pricing.import_prices(file(row(ERP="50"), row(SkuId="3", ERP="x")), world.microsoft, skip_bad_rows=True)
    assert [(price.offer.sku_id, price.term_price) for price in listed()] == [("0003", Decimal(48)), ("0002", Decimal(50))]
    assert (outcome.price_list.skipped, outcome.price_list.ended, outcome.price_list.rows) == (1, 1, 2)


def test_a_skipped_row_of_which_the_offer_can_not_be_told_ends_nothing(world: World, file: Any, tmp_path: Path) -> None:
    pricing.import_prices(file(row(), row(SkuId="3")), world.microsoft)
    path = raw(tmp_path / "x.csv", whole(row()) + b"???\n")
    assert pricing.import_prices(path, world.microsoft, skip_bad_rows=True).price_list.ended == 0
    assert len(listed()) == 2


def test_the_first_problems_are_kept_and_all_bad_rows_counted(world: World, file: Any) -> None:
    found = pricing.import_prices(file(*rows(700, Market="XX")), world.microsoft).price_list
    assert (len(found.problems), found.skipped, found.rows) == (200, 700, 700)


# --- all at once, and crashes


def test_an_import_that_breaks_in_the_middle_shows_nothing_and_leaves_nothing(
    world: World, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pricing, "BATCH", 10)
    pricing.import_prices(file(*rows(40)), world.microsoft)
    prices, before = contents("orders_price"), list(Price.objects.listed().order_by("pk"))
    broken = pricing._Writer._finish

    def crash(self: Any) -> None:
        assert list(Price.objects.listed().order_by("pk")) == before
        raise KeyboardInterrupt

    monkeypatch.setattr(pricing._Writer, "_finish", crash)
    with pytest.raises(KeyboardInterrupt):
        pricing.import_prices(file(*rows(20, ERP="99"), row()), world.microsoft, allow_ending=True)
    assert contents("orders_price") == prices
    monkeypatch.setattr(pricing._Writer, "_finish", broken)
    assert pricing.import_prices(file(*rows(40)), world.microsoft).changed_nothing
    assert contents("orders_price") == prices


def killed(monkeypatch: pytest.MonkeyPatch, path: Path, world: World) -> PriceList:
    """An import that wrote everything and was killed before it could end or tidy up."""
    with monkeypatch.context() as patch:

        def die(self: Any) -> None:
            raise SystemExit

        patch.setattr(pricing._Writer, "_finish", die)
        patch.setattr(pricing, "_give_up", lambda _found: None)
        with pytest.raises(SystemExit):
            pricing.import_prices(path, world.microsoft)
    return PriceList.objects.get(state=PriceList.State.WRITING)


def test_what_a_killed_import_left_shows_nowhere_and_the_next_import_takes_it_away(
    world: World, file: Any, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    pricing.import_prices(file(*rows(5)), world.microsoft)
    before, prices = list(Price.objects.listed().order_by("pk")), contents("orders_price")
    offers = list(Offer.objects.for_catalogue())
    left = killed(monkeypatch, file(*rows(3, ERP="99"), row()), world)
    assert Price.objects.filter(added_by=left).count() == 4
    assert list(Price.objects.listed().order_by("pk")) == before
    assert list(Offer.objects.for_catalogue()) == offers
    with pytest.raises(pricing.Busy, match="Another import of Microsoft’s prices is running"):
        pricing.import_prices(file(*rows(5)), world.microsoft)
    clock.advance(seconds=61)
    pricing.import_prices(file(*rows(5)), world.microsoft)
    assert contents("orders_price") == prices
    left.refresh_from_db()
    assert left.state == PriceList.State.REFUSED


def test_an_importer_that_was_taken_for_dead_writes_nothing_more(world: World, file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "BATCH", 5)
    calls = []

    def overtaken(doing: str, number: int) -> None:
        calls.append(number)
        if doing == "written" and number == 5:
            PriceList.objects.filter(state=PriceList.State.WRITING).update(state=PriceList.State.REFUSED)

    with pytest.raises(pricing.Interrupted, match="took this one for dead"):
        pricing.import_prices(file(*rows(20)), world.microsoft, progress=overtaken)
    assert listed() == []
    assert not Price.objects.filter(added_by__isnull=False).exists()


def test_a_file_that_changes_between_the_two_readings_is_not_imported(world: World, file: Any) -> None:
    path = file(*rows(3))

    def meddle(doing: str, number: int) -> None:
        if doing == "written":
            write(path, *rows(3, ERP="1"))

    with pytest.raises(pricing.Interrupted, match="file changed"):
        pricing.import_prices(path, world.microsoft, progress=meddle)
    assert listed() == []


def test_the_words_of_an_offer_change_only_when_nothing_can_refuse_the_list(world: World, file: Any) -> None:
    pricing.import_prices(file(row(), row(SkuId="3"), row(SkuId="4")), world.microsoft)
    with pytest.raises(pricing.EndsTooMuch):
        pricing.import_prices(file(row(SkuTitle="Another")), world.microsoft)
    assert set(Offer.objects.filter(product_id="CFQ7TTC0TEST").values_list("title", flat=True)) == {"Mail Plan 1"}


def test_what_staff_write_while_a_batch_is_planned_is_not_doubled(world: World, file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pricing.import_prices(file(row()), world.microsoft)
    planned = pricing._Writer._plan

    def meddle(self: Any, batch: Any) -> Any:
        plan = planned(self, batch)
        Price.objects.filter(added_by__isnull=False, ended_by=None).update(term_price=Decimal(55))
        return plan

    monkeypatch.setattr(pricing._Writer, "_plan", meddle)
    pricing.import_prices(file(row(ERP="60")), world.microsoft)
    assert [price.term_price for price in listed()] == [Decimal(60)]


# --- a list that ends too much


def test_a_list_that_would_end_more_than_half_of_a_place_is_refused_with_the_numbers(world: World, file: Any) -> None:
    pricing.import_prices(file(*rows(9), *rows(2, Market="BE")), world.microsoft)
    before = listed()
    with pytest.raises(
        pricing.EndsTooMuch, match="The list would end 1 of 2 prices in BE EUR; 5 of 9 prices in NL EUR, as if the file were cut off"
    ):
        pricing.import_prices(file(*rows(4, ERP="50"), *rows(1, Market="BE")), world.microsoft)
    assert listed() == before
    outcome = pricing.import_prices(file(*rows(4, ERP="50"), *rows(1, Market="BE")), world.microsoft, allow_ending=True)
    assert (outcome.price_list.changed, outcome.price_list.ended) == (4, 6)


def test_half_of_a_place_may_end_unasked(world: World, file: Any) -> None:
    pricing.import_prices(file(*rows(8)), world.microsoft)
    assert pricing.import_prices(file(*rows(8, ERP="50")[4:]), world.microsoft).price_list.ended == 4


def test_a_list_asks_before_it_ends_ten_prices_and_a_twentieth_of_a_market(world: World, file: Any) -> None:
    halves = [*rows(100), *rows(99, SkuId="3", Segment="Charity")]
    pricing.import_prices(file(*halves), world.microsoft)
    # From the beginning of the list, as no cut does; nine may go, and of each segment it is little.
    assert counts(pricing.import_prices(file(*halves[9:]), world.microsoft)) == (0, 0, 9, 190)
    pricing.import_prices(file(*halves), world.microsoft)
    before = listed()
    with pytest.raises(pricing.EndsTooMuch) as asked:
        pricing.import_prices(file(*halves[5:100], *halves[105:]), world.microsoft)
    assert str(asked.value) == (
        "The list would end 10 of 199 prices in NL EUR, as if the file were cut off: Plan 0, 1 year, monthly (NL); "
        "Plan 1, 1 year, monthly (NL); Plan 2, 1 year, monthly (NL); and 7 more. Nothing was imported. "
        "If they shall end, import it again with --allow-ending; in the admin, tick “Allow ending”."
    )
    assert listed() == before
    ten = file(*halves[5:100], *halves[105:])
    assert counts(pricing.import_prices(ten, world.microsoft, allow_ending=True)) == (0, 0, 10, 189)


def test_ten_of_a_great_market_may_end_unasked(world: World, file: Any) -> None:
    pricing.import_prices(file(*rows(200)), world.microsoft)
    assert pricing.import_prices(file(*rows(200)[10:]), world.microsoft).price_list.ended == 10


@pytest.mark.parametrize("month", ["the same", "a later one"])
def test_a_list_that_lacks_the_end_of_the_earlier_one_asks_however_little_it_is(world: World, file: Any, month: str) -> None:
    pricing.import_prices(file(*rows(100)), world.microsoft)
    changed = {"ERP": "50", "EffectiveStartDate": "2025-01-01T00:00:00.0000000Z"} if month == "a later one" else {}
    added = [row(ProductId="CFQ7TNEW")] if month == "a later one" else []
    whole_list = [*rows(40, **changed), *added, *rows(100)[40:]]
    pricing.import_prices(file(*whole_list), world.microsoft)
    with pytest.raises(pricing.EndsTooMuch, match=r"The list would end 3 of 10[01] prices in NL EUR"):
        pricing.import_prices(file(*whole_list[:-3]), world.microsoft)


def test_a_list_without_loss_never_asks(world: World, file: Any) -> None:
    pricing.import_prices(file(*rows(50)), world.microsoft)
    found = [*rows(50, ERP="60", EffectiveStartDate=FAR), *rows(50, Market="BE"), *rows(50, Currency="USD"), *rows(50, SkuId="7")]
    assert counts(pricing.import_prices(file(*reversed(found)), world.microsoft)) == (150, 50, 0, 0)


# --- how much it costs


def test_a_batch_shrinks_when_the_lock_was_held_long_and_grows_again() -> None:
    pace = pricing._Pace()
    slow, right, fast = pricing.SLOW + 0.01, (pricing.SLOW + pricing.FAST) / 2, pricing.FAST - 0.001
    for seconds, size in ((slow, 20), (0.2, 10), (right, 10), (fast, 20), (fast, 40), (fast, 40)):
        pace._adapt(seconds)
        assert pace.size == size
    for _ in range(20):
        pace._adapt(9)
    assert pace.size == pricing.LEAST


@contextmanager
def transactions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of statements of each outermost transaction of the import."""
    counts: list[int] = []
    depth = [0]

    @contextmanager
    def counted() -> Iterator[None]:
        if depth[0] == 0:
            counts.append(0)
        depth[0] += 1
        try:
            with transaction.Atomic(None, True, False):
                yield
        finally:
            depth[0] -= 1

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if depth[0]:
            counts[-1] += 1
        return execute(sql, params, many, context)

    class Counting:
        atomic = staticmethod(counted)

    monkeypatch.setattr(pricing, "transaction", Counting)
    with connection.execute_wrapper(count):
        yield counts


def test_no_transaction_of_an_import_is_long(world: World, file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pricing.import_prices(file(*rows(1500)), world.microsoft)
    redated = {"ERP": "50", "SkuTitle": "New", "EffectiveStartDate": "2150-01-01T00:00:00.0000000Z"}
    changed = [*rows(400, ERP="50", SkuTitle="New"), *rows(800, **redated)[400:], *rows(700, SkuId="7")]
    with transactions(monkeypatch) as counts:
        pricing.import_prices(file(*changed), world.microsoft, allow_ending=True)
    # Lock, clock, offers, codes, new offers, changed offers, prices, ended, new prices; bulk statements may come in two, and savepoints count.
    assert max(counts) <= 20, counts
    assert len(counts) >= 1500 / pricing.BATCH


def test_memory_does_not_grow_with_the_list(world: World, tmp_path: Path) -> None:
    path = write(tmp_path / "big.csv", *rows(20_000))
    tracemalloc.start()
    price_sheet_rows = sum(1 for _ in price_sheet.rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert price_sheet_rows == 20_000
    # One number a row against duplicates: 20,000 of them are under 2 MB; the rows themselves would be 30 MB.
    assert peak < 5_000_000


@pytest.mark.appearance
def test_importing_keeps_numbers_of_the_list_and_not_its_rows(world: World, tmp_path: Path) -> None:
    path = write(tmp_path / "big.csv", *rows(8_000))
    tracemalloc.start()
    pricing.import_prices(path, world.microsoft)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The rows of the list alone would be 12 MB.
    assert peak < 10_000_000


# --- the command


def command(path: Path, *options: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_prices", str(path), *options, stdout=out, stderr=err)
    except CommandError as error:
        return f"{err.getvalue()}{error}"
    return err.getvalue() + out.getvalue()


def test_the_command_says_what_it_did_and_what_was_wrong(world: World, file: Any) -> None:
    assert command(file(row())).startswith("1 rows: 1 added")
    bad = file(row(), row(SkuId="3", ERP="x"))
    assert (
        command(bad) == "line 3, ERP Price: “x” is no price: digits with a decimal point, not negative.\nNothing was imported: 1 bad row."
    )
    assert "1 skipped" in command(bad, "--skip-bad-rows")
    assert "There is no vendor with the code nobody. Known: microsoft, northgate." in command(bad, "--vendor", "nobody")
    assert "can’t be read" in command(Path("/no/such/file.csv"))


# --- why a customer can't buy


def prices_of(offer: Offer) -> list[Price]:
    return list(Price.objects.shown().filter(offer=offer).select_related("ended_by"))


def test_what_a_customer_can_not_buy_says_why(world: World, file: Any) -> None:
    pricing.import_prices(
        file(
            row(), row(SkuId="3", Market="BE"), row(SkuId="4", Currency="USD"), row(SkuId="5", Segment="Education"), row(SkuId="6"),
            row(SkuId="7", EffectiveStartDate="2150-01-01T00:00:00.0000000Z"),
        ),
        world.microsoft,
    )  # fmt: skip
    pricing.import_prices(file(row(), row(SkuId="7", EffectiveStartDate="2150-01-01T00:00:00.0000000Z")), world.microsoft)
    customer = world.harbour.customer
    today = f"{timezone.localtime(clock.now()):%-d %B %Y}"

    def why(sku: str) -> str:
        offer = Offer.objects.select_related("vendor").get(product_id="CFQ7TTC0TEST", sku_id=sku)
        return pricing.why_not(offer, customer, prices_of(offer))

    assert why("0002") == ""
    assert why("0003") == "Not sold in Netherlands."
    assert why("0004") == "Sold in Netherlands in USD, not in EUR."
    assert why("0005") == "Only for the segment Education; this customer is Commercial."
    assert why("0006") == f"No longer sold: its last price ended on {today}."
    assert why("0007") == "Sold from 1 January 2150 on."
    Offer.objects.filter(sku_id="0002").update(is_active=False)
    assert why("0002") == "Our staff have taken this offer from sale."
    type(world.microsoft).objects.filter(pk=world.microsoft.pk).update(is_active=False)
    assert why("0002") == "Microsoft is not sold at the moment."


# --- what new prices mean for a draft


def test_an_order_keeps_its_prices_and_says_which_changed_in_one_query(world: World, django_assert_max_num_queries: Any) -> None:
    order = cart_of(world, world.line(world.premium_yearly), world.line(world.premium_monthly), world.line())
    assert pricing.changes_of(order) == []
    Price.objects.filter(pk=world.premium_yearly.pk).update(term_price=Decimal(300))
    Price.objects.filter(pk=world.premium_monthly.pk).delete()
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_cost=Decimal(7))
    order = again(order)
    list(order.lines.all())
    order = type(order).objects.for_list().get(pk=order.pk)
    # On PostgreSQL the clock asks too.
    with django_assert_max_num_queries(2):
        changes = pricing.changes_of(order)
    told = [(change.line.position, change.old, change.new_price, change.is_for_customer) for change in changes]
    assert told == [
        (1, Decimal(264), Decimal("300.00"), True), (2, Decimal("26.4"), None, True), (3, Decimal("9.5"), Decimal("9.50"), False),
    ]  # fmt: skip
    assert [line.unit_price for line in again(order).lines.all()] == [Decimal(264), Decimal("26.4"), Decimal("9.5")]


def test_of_two_prices_that_are_valid_at_once_the_later_counts(world: World) -> None:
    order = cart_of(world)
    Price.objects.create(
        offer=world.backup, market="NL", currency="EUR", term="P1M", billing_cycle="monthly", term_cost=7, term_price=11,
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    [change] = pricing.changes_of(order)
    assert change.new is not None
    assert change.new.term_price == 11


@pytest.mark.parametrize("status", ["start", "draft", "provisioning_failed"])
def test_repricing_takes_todays_prices_for_the_lines_named(world: World, status: str) -> None:
    order = order_in(status, world, world.line(), world.line(quantity=3))
    Price.objects.filter(pk=world.backup_monthly.pk).update(term_price=Decimal(12))
    new = Price.objects.get(pk=world.backup_monthly.pk)
    done = lifecycle.reprice(order, {2: new}, by=world.harbour.manager, version=order.version)
    assert [line.unit_price for line in again(order).lines.all()] == [Decimal("9.5"), Decimal(12)]
    assert (again(order).due_now, done.version) == (Decimal("9.5") * 2 + 12 * 3, order.version + 1)
    assert done.events.first().name == "repriced"


def test_repricing_refuses_another_version_another_plan_and_what_is_with_the_vendor(world: World) -> None:
    order = order_in("draft", world)
    with pytest.raises(lifecycle.StaleVersion):
        lifecycle.reprice(order, {1: world.backup_monthly}, by=world.harbour.manager, version=order.version + 1)
    with pytest.raises(lifecycle.Refusal, match="another offer"):
        lifecycle.reprice(order, {1: world.premium_monthly}, by=world.harbour.manager, version=order.version)
    for status in ("provisioning_started", "scheduled", "completed", "quote_sent"):
        frozen = order_in(status, world)
        with pytest.raises(lifecycle.Refusal, match="can’t be changed"):
            lifecycle.reprice(frozen, {1: world.backup_monthly}, by=world.harbour.manager, version=frozen.version)
