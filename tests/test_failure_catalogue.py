"""The failure catalogue as it is seeded: every documented code has its entry, its kind and its words; and what the engine is told."""

import re
import tomllib
from collections import Counter
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from orders.failures import CATALOGUE, NOTHING_BOUGHT, OWN_CODES, Catalogue, add_missing, catalogue_rows, meanings
from orders.models import Failure, FailureReason
from orders.models.failures import AUTOMATIC, FIX_FIELDS, REFUSING, RetryClass
from orders.vendors.contract import Meaning, MeaningKind
from tests.vendor_codes import Code, all_codes

FIX, RETRY, LATER, WAIT, REFRESH, LOOK, NEVER, STAFF = RetryClass
SEEDED = [FailureReason(**row) for row in catalogue_rows()]
BY_KEY = {(reason.dialect, reason.http_status, reason.code): reason for reason in SEEDED}

# What a letter may become. "The seller corrects data" is FIX only where the order form has that data.
CLASSES: dict[str, set[RetryClass]] = {
    "N": {NEVER}, "F": {FIX, LATER, STAFF}, "A": {LATER, STAFF}, "C": {LATER}, "R": {REFRESH}, "W": {LOOK, WAIT}, "W24": {WAIT},
    "D": {WAIT, LOOK}, "L": {WAIT}, "S": {STAFF}, "K": {STAFF},
}  # fmt: skip
# Where we know better than the letter, and why.
EXCEPTIONS: dict[tuple[str, str], RetryClass] = {
    # A smaller order passes, and that the seller can do himself.
    ("partner_center", "800023"): FIX,
    ("partner_center", "800025"): FIX,
    ("partner_center", "900121"): FIX,
    # The same mark was processed before: an order may be there.
    ("adobe", "4120"): LOOK,
    # A renewal that the vendor keeps on: nothing that somebody corrects lets it be switched off.
    ("adobe", "5134"): NEVER,
}
# The calls that buy may answer so and nothing was bought all the same: the documentation says what was wrong with the request.
REFUSED_BY_A_DOUBTFUL_STATUS = {
    "27009", "800031", "800083", "800084", "800087", "900114",
}  # fmt: skip


def entries(dialect: str, status: int, code: str) -> list[FailureReason]:
    """The entry of a documented pair; where no status is documented, those of the code."""
    if status:
        found = BY_KEY.get((dialect, status, code)) or BY_KEY.get((dialect, 0, code))
        return [found] if found else []
    return [reason for reason in SEEDED if (reason.dialect, reason.code) == (dialect, code)]


def test_the_table_of_codes_names_each_pair_once_and_is_whole() -> None:
    codes = list(all_codes())
    assert [key for key, times in Counter(code[:3] for code in codes).items() if times > 1] == []
    assert Counter(code[0] for code in codes) == {"partner_center": 248, "adobe": 105}


def test_every_documented_code_has_its_entry_of_the_documented_kind() -> None:
    wrong = [(code, kinds) for code in all_codes() if not (kinds := kinds_of(code)) or not kinds <= wanted(code)]
    assert wrong == []


def kinds_of(code: Code) -> set[RetryClass]:
    dialect, status, number, _letters = code
    return {RetryClass(reason.retry) for reason in entries(dialect, status, number)}


def wanted(code: Code) -> set[RetryClass]:
    dialect, _status, number, letters = code
    if exception := EXCEPTIONS.get((dialect, number)):
        return {exception}
    if letters == "-":
        return set(RetryClass)
    return CLASSES.get(letters) or set().union(*(CLASSES[letter] for letter in letters))


def test_waiting_takes_as_long_as_the_vendor_says() -> None:
    waits = {number: entries(dialect, status, number)[0].wait_minutes for dialect, status, number, _letters in all_codes() if status}
    asked = {"900278": 1440, "800073": 720, "800074": 720, "800010": 1440, "800082": 15, "800014": 30, "900261": 30}
    assert {number: waits[number] for number in asked} == asked


def test_what_a_server_breaks_off_with_is_no_refusal_unless_it_says_what_was_wrong() -> None:
    doubtful = [reason for reason in SEEDED if reason.http_status >= 500 or reason.http_status in {408, 409, 425, 429}]
    assert {reason.code for reason in doubtful if reason.is_refusal} == REFUSED_BY_A_DOUBTFUL_STATUS
    assert {reason.retry for reason in doubtful if reason.http_status >= 500 and reason.code and not reason.is_refusal} == {LOOK}


def test_every_kind_either_is_a_refusal_or_goes_on_by_itself() -> None:
    assert {FIX, RETRY, LATER, NEVER, STAFF} == REFUSING
    assert {WAIT, REFRESH, LOOK} == AUTOMATIC
    assert [FailureReason(retry=kind).is_refusal for kind in RetryClass] == [kind in REFUSING for kind in RetryClass]


# --- words


def test_every_entry_is_one_that_the_admin_would_take() -> None:
    for reason in SEEDED:
        reason.full_clean(validate_unique=False, validate_constraints=False)
        assert reason.fix_field in FIX_FIELDS
        assert all([reason.short, reason.summary, reason.meaning, reason.fix]), reason.slug


def test_words_are_plain() -> None:
    assert {reason.slug: said for reason in SEEDED if (said := machine_words(reason))} == {}
    # And this test would notice.
    assert machine_words(FailureReason(summary="Error 3000 of {nobody}. ")) != []


def machine_words(reason: FailureReason) -> list[str]:
    text = " | ".join([reason.short, reason.summary, reason.meaning, reason.fix, reason.fix_label])
    found = re.findall(r"\d{4}|[Oo]ops|[Ee]rror|[Ii]nvalid\b|HTTP|API|'|  ", text) + re.findall(r"\{(?!vendor\})", text)
    if any(part != part.strip() for part in (reason.short, reason.summary, reason.meaning, reason.fix)):
        found.append("space around")
    if reason.summary.endswith("."):
        found.append("full stop")
    return found


def test_a_sentence_says_what_the_kind_of_the_entry_asks_of_it() -> None:
    missing = {
        NEVER: [reason.slug for reason in SEEDED if reason.retry == NEVER and "lose" not in reason.fix],
        STAFF: [reason.slug for reason in SEEDED if reason.retry == STAFF and "upport" not in reason.fix],
        # Nobody knows yet whether something was bought.
        LOOK: [reason.slug for reason in SEEDED if reason.retry == LOOK and NOTHING_BOUGHT in reason.meaning],
        FIX: [reason.slug for reason in SEEDED if reason.retry == FIX and not reason.fix_field],
    }
    assert missing == {NEVER: [], STAFF: [], LOOK: [], FIX: []}


def test_no_two_entries_of_a_vendor_or_of_any_key_are_the_same() -> None:
    assert [slug for slug, times in Counter(reason.slug for reason in SEEDED).items() if times > 1] == []
    assert len(BY_KEY) == len(SEEDED)
    assert [words for words, times in Counter((reason.dialect, reason.summary) for reason in SEEDED).items() if times > 1] == []


def test_a_refusal_at_an_order_says_what_it_means_for_money_or_service() -> None:
    silent = [
        reason.slug
        for reason in SEEDED
        if reason.is_refusal and not re.search(r"[Nn]othing|stays? |goes on|billed|ends as|as before|unchanged", reason.meaning)
    ]
    assert silent == []


def test_a_seed_file_names_whose_codes_it_has() -> None:
    dialects = {path.stem: tomllib.loads(path.read_text())["dialect"] for path in CATALOGUE.glob("*.toml")}
    assert dialects == {
        "adobe": "adobe",
        "manual": "manual",
        "partner_center": "partner_center",
        "partner_center_changes": "partner_center",
        "partner_center_special": "partner_center",
        "portal": "",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"retry": "wait", "wait_minutes": 0},
        {"retry": "later", "wait_minutes": 5},
        {"retry": "look", "fix_field": "name", "fix_label": "Edit name"},
        {"retry": "fix", "fix_field": "name", "fix_label": "Edit name", "needs_new_domain": True},
        {"retry": "fix", "fix_field": "", "fix_label": ""},
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, object]) -> None:
    words = {"slug": "x", "code": "x", "short": "x", "summary": "x", "meaning": "x", "fix": "x", "who": "seller"}
    with pytest.raises(ValidationError):
        FailureReason(**words, **changes).full_clean(validate_unique=False, validate_constraints=False)


# --- the table


@pytest.mark.django_db
def test_the_table_has_the_seed_and_a_migrate_keeps_what_staff_wrote_and_adds_what_is_missing() -> None:
    assert FailureReason.objects.count() == len(SEEDED)
    FailureReason.objects.filter(slug="credit-limit").update(fix="Ask Anna.", retry="never")
    FailureReason.objects.filter(slug="adobe-not-eligible").delete()
    add_missing()
    assert FailureReason.objects.count() == len(SEEDED)
    assert FailureReason.objects.get(slug="credit-limit").fix == "Ask Anna."


@pytest.mark.django_db
def test_the_engine_is_told_what_a_code_means() -> None:
    meaning = meanings("partner_center")
    assert meaning(400, "3000") == Meaning(MeaningKind.REFUSED)
    assert meaning(403, "13605") == Meaning(MeaningKind.REFUSED)
    assert meaning(403, "800069") == Meaning(MeaningKind.REFUSED)
    assert meaning(200, "400072") == Meaning(MeaningKind.REFUSED)
    assert meaning(409, "900278") == Meaning(MeaningKind.WAIT, timedelta(days=1))
    assert meaning(403, "800073") == Meaning(MeaningKind.WAIT, timedelta(hours=12))
    assert meaning(404, "400019") == Meaning(MeaningKind.REFRESH)
    assert meaning(500, "800005") == Meaning(MeaningKind.LOOK)
    assert meaning(400, "800065") == Meaning(MeaningKind.LOOK)
    assert meanings("adobe")(400, "5122") == Meaning(MeaningKind.WAIT, timedelta(minutes=15))


@pytest.mark.django_db
def test_a_code_means_what_its_status_says_and_else_what_it_says_with_any() -> None:
    FailureReason.objects.create(
        slug="any", dialect="partner_center", code="2006", short="s", summary="s", meaning="m", fix="f", who="vendor", retry="look"
    )
    meaning = meanings("partner_center")
    # One code, two meanings: we may not sell the offer, and the offer takes no changes. Both are refusals.
    assert meaning(403, "2006") == meaning(400, "2006") == Meaning(MeaningKind.REFUSED)
    assert meaning(500, "2006") == meaning(None, "2006") == Meaning(MeaningKind.LOOK)
    catalogue = Catalogue()
    said = {status: catalogue.reason_for("partner_center", Failure(code="2006", http_status=status)).slug for status in (403, 400, 404)}
    assert said == {403: "not-authorised-for-offer", 400: "updates-not-allowed", 404: "any"}


@pytest.mark.django_db
def test_a_code_inside_a_success_has_the_words_and_the_meaning_of_the_same_error() -> None:
    """A checkout answers 201 and tells in it of groups that were refused, with the codes of errors."""
    meaning, catalogue = meanings("partner_center"), Catalogue()
    assert meaning(201, "800060") == meaning(None, "800060") == Meaning(MeaningKind.LOOK)
    assert meaning(201, "800073") == Meaning(MeaningKind.WAIT, timedelta(hours=12))
    assert meaning(201, "2006") == Meaning(MeaningKind.REFUSED)
    assert meaning(403, "800060") is None, "an error with a status of its own"
    assert catalogue.reason_for("partner_center", Failure(code="800069", http_status=201)).slug != "unknown"
    assert catalogue.reason_for("partner_center", Failure(code="800060", http_status=None)).slug == "order-in-progress"
    assert catalogue.reason_for("partner_center", Failure(code="2006", http_status=201)).slug == "unknown", "two, which differ"
    FailureReason.objects.create(
        slug="twice",
        dialect="partner_center",
        http_status=400,
        code="800060",
        short="s",
        summary="s",
        meaning="m",
        fix="f",
        who="vendor",
        retry="retry",
    )
    assert meanings("partner_center")(201, "800060") == Meaning(MeaningKind.LOOK)


@pytest.mark.django_db
def test_what_the_catalogue_does_not_know_means_nothing() -> None:
    meaning = meanings("partner_center")
    assert meaning(400, "no-such-code") is None
    assert meaning(500, "3000") is None, "known with another status only"
    assert meaning(503, "") is None, "silence has words on the card and is no last word"
    assert meaning(None, "") is None
    assert meaning(400, "1117") is None, "another vendor's code"
    assert meanings("klingon")(400, "3000") is None
    assert all(meaning(None, code) is None for code in OWN_CODES)


@pytest.mark.django_db
def test_an_entry_for_one_property_leaves_the_code_itself_alone() -> None:
    FailureReason.objects.filter(code__startswith="3000:").update(retry="look")
    assert meanings("partner_center")(400, "3000") == Meaning(MeaningKind.REFUSED)
    FailureReason.objects.filter(code="3000").delete()
    assert meanings("partner_center")(400, "3000") is None


@pytest.mark.django_db
def test_the_table_is_read_once_however_many_codes_are_asked_for(django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        meaning = meanings("partner_center")
        for dialect, status, code, _letters in all_codes():
            assert dialect == "adobe" or not status or meaning(status, code)
