"""What only Adobe does, against his dialect of the sandbox over real HTTP; the rest is in test_conformance.py. No database."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from orders.vendors import adobe_login, microsoft_login
from orders.vendors.adobe import CREATED, ORDER
from orders.vendors.contract import Answer, AuthBroken, Busy, Call, MustPark, NothingSent, OutcomeUnknown, Phase, Rejected, Snapshot
from orders.vendors.http import Client
from tests.harness.sandbox import ADOBE_RESELLER, CLIENT_SECRET, Sandbox
from tests.vendors.kits import ADOBE as KIT
from tests.vendors.memory_journal import MemoryJournal, Send
from tests.vendors.test_conformance import pass_time, sent

type Retold = Callable[[str, dict[str, Any]], dict[str, Any]]

ORDERS = {"method": "POST", "path": KIT.buying_path}


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    KIT.tokens.clear()
    yield
    KIT.tokens.clear()


def bought(vendor: Sandbox) -> int:
    return len(KIT.purchases(vendor.ledger()))


def test_an_order_is_open_first_and_filled_later(vendor: Sandbox) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    first = KIT.advance(vendor, order, journal)
    assert (first.phase, first.raw_status, first.bought) == (Phase.ACCEPTED, "1002", ())
    vendor.clock("PT3S")
    assert (KIT.advance(vendor, order, journal).phase, len(sent(vendor, KIT))) == (Phase.DONE, 1)


def test_the_order_goes_out_as_documented(vendor: Sandbox) -> None:
    order, journal = KIT.order(5, 3), KIT.journal(vendor)
    order = replace(order, reference="r" * 40)
    KIT.follow(vendor, order, journal)
    assert json.loads(next(row.call.body for row in journal.writes if row.step == ORDER)) == {
        "orderType": "NEW",
        "externalReferenceId": "r" * 35,
        "lineItems": [
            {"extLineItemNumber": 1, "offerId": "65304479CA01A12", "quantity": 5, "currencyCode": "EUR"},
            {"extLineItemNumber": 2, "offerId": "65304479CA01A12", "quantity": 3, "currencyCode": "EUR"},
        ],
    }
    customer = json.loads(next(row.call.body for row in journal.writes if row.step != ORDER))
    assert customer["resellerId"] == ADOBE_RESELLER
    assert "addressLine2" not in customer["companyProfile"]["address"], "What is empty is left out."


def test_an_item_sold_for_another_term_is_refused_before_anything_is_sent(vendor: Sandbox) -> None:
    order, journal = KIT.order(5, 3), KIT.journal(vendor)
    order = replace(order, lines=(order.lines[0], replace(order.lines[1], term="P1M")))
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, order, journal)
    assert [(no.line, no.code) for no in caught.value.refusals] == [(2, "not_available")]
    assert vendor.calls() == []


def test_a_customer_that_exists_already_is_adopted(vendor: Sandbox) -> None:
    """By name and administrator, whether he is pending still or active."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.advance(vendor, order, journal)
    again = KIT.journal(vendor)
    KIT.follow(vendor, replace(order, reference=uuid.uuid4().hex), again)
    assert again.tenant_ref == journal.tenant_ref
    assert len(KIT.customers(vendor.ledger())) == 1


def test_a_namesake_with_another_administrator_is_somebody_else(vendor: Sandbox) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    other = replace(order, customer=replace(order.customer, email="noor@birch.example"), reference=uuid.uuid4().hex)
    others = KIT.journal(vendor)
    KIT.follow(vendor, other, others)
    assert others.tenant_ref != journal.tenant_ref


def test_one_that_exists_and_is_not_ours_is_a_no(vendor: Sandbox) -> None:
    vendor.faults("shape:6:400/1127", method="POST", path="/v3/customers")
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, KIT.order(5), KIT.journal(vendor))
    assert caught.value.refusals[0].code == "1127"


def test_an_order_that_is_still_being_processed_is_looked_for_and_never_sent_anew(vendor: Sandbox) -> None:
    order, journal = KIT.order(4122), KIT.journal(vendor)
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE
    assert (len(sent(vendor, KIT)), bought(vendor), len(journal.adopted_refs)) == (1, 1, 1)


def test_being_processed_is_no_not_now_before_an_order_would_have_shown(vendor: Sandbox) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    vendor.faults("shape:6:400/4122", times=2, **ORDERS)
    with pytest.raises(OutcomeUnknown):
        KIT.advance(vendor, order, journal)
    pass_time(vendor, KIT, journal, timedelta(minutes=16))
    with pytest.raises(Busy):
        KIT.advance(vendor, order, journal)
    assert bought(vendor) == 0


def test_a_passing_error_of_a_repeat_is_a_doubt_while_the_first_call_may_yet_count(vendor: Sandbox) -> None:
    """The first call is under way still when the second is told that nothing is taken now."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    vendor.faults("late_effect:PT10M", **ORDERS)
    vendor.faults("shape:6:400/5122", **ORDERS)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            KIT.advance(vendor, order, journal)
    pass_time(vendor, KIT, journal, timedelta(minutes=11))
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE
    assert bought(vendor) == 1


def test_an_own_error_of_the_vendor_is_never_a_no_and_after_a_day_staff_look(vendor: Sandbox) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    vendor.faults("shape:6:500/1124", times=None, **ORDERS)
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            KIT.advance(vendor, order, journal)
        pass_time(vendor, KIT, journal, timedelta(hours=7))
    pass_time(vendor, KIT, journal, timedelta(hours=7))
    with pytest.raises(MustPark):
        KIT.advance(vendor, order, journal)


def test_only_the_whole_history_tells(vendor: Sandbox) -> None:
    """Found on the second page, and also when it is older than the current term, which Adobe shows unless asked."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    with closing(KIT.connect(vendor)) as connector:
        pages = Pages(connector.decides, journal.tenant_ref)
        found = connector.find(order, pages, datetime.now(UTC) - timedelta(minutes=1))
    assert len(found) == 1
    assert [row.step for row in pages.rows] == ["list orders"] * 2


class Pages(MemoryJournal):
    """A vendor whose first page is full of other orders."""

    def read(self, step: str, call: Call, send: Send) -> Answer:
        if "offset=0" in call.path:
            answer = super().read(step, replace(call, path=call.path), send)
            others = [{"orderId": str(number), "externalReferenceId": "x", "lineItems": []} for number in range(100)]
            return replace(answer, body=json.dumps({"totalCount": 101, "items": others}).encode())
        return super().read(step, replace(call, path=call.path.replace("offset=100", "offset=0")), send)


def test_the_same_items_under_a_reference_of_a_lost_life_are_for_staff(vendor: Sandbox) -> None:
    """Only while nothing was sent: after that the order's own reference tells."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    refs = KIT.follow(vendor, order, journal).order_refs
    start, other = datetime.now(UTC) - timedelta(minutes=1), replace(order, reference=uuid.uuid4().hex)
    with closing(KIT.connect(vendor)) as connector:
        look = KIT.journal(vendor, journal.tenant_ref)
        with pytest.raises(MustPark):
            connector.find(other, look, start)
        look.known = frozenset(refs)
        assert connector.find(other, look, start) == ()


@pytest.mark.parametrize(
    ("status", "of_line", "phase"),
    [
        ("1000", "1000", Phase.DONE),
        ("1000", "1002", Phase.ACCEPTED),
        ("1002", "1000", Phase.ACCEPTED),
        ("1000", "1099", Phase.UNKNOWN),
        ("1099", "1000", Phase.UNKNOWN),
        ("1000", None, Phase.UNKNOWN),
        ("", "1000", Phase.ACCEPTED),
        ("1024", "1002", None),
        ("1020", "1004", None),
        ("1008", "1008", None),
        ("1000", "1004", None),
    ],
)
def test_every_status_of_order_and_line(vendor: Sandbox, status: str, of_line: str | None, phase: Phase | None) -> None:
    """None: a no. An order that does not repeat our line was not understood, and is none."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    told = Told(journal, status, of_line)
    if phase is None:
        with pytest.raises(Rejected) as caught:
            KIT.advance(vendor, order, told)
        assert [(no.line, no.code) for no in caught.value.refusals] == [(1, of_line if status == "1000" else status)]
    else:
        assert KIT.advance(vendor, order, told).phase is phase


class Told(MemoryJournal):
    """Goes on where another journal stopped, with an order and a line of these statuses."""

    def __init__(self, before: MemoryJournal, status: str, of_line: str | None) -> None:
        super().__init__(before.decides, before.tenant_ref)
        self.rows, self._status, self._of_line = before.rows, status, of_line

    def read(self, step: str, call: Call, send: Send) -> Answer:
        answer = super().read(step, call, send)
        if not step.startswith("order "):
            return answer
        placed = json.loads(answer.body) | {"status": self._status}
        lines = [line | {"status": self._of_line} for line in placed["lineItems"]] if self._of_line else []
        return replace(answer, body=json.dumps(placed | {"lineItems": lines}).encode())


@pytest.mark.parametrize("code", ["4115", "4117"])
def test_a_refused_api_key_or_token_is_no_orders_fault(vendor: Sandbox, code: str) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    vendor.faults(f"shape:6:403/{code}", **ORDERS)
    with pytest.raises(AuthBroken):
        KIT.advance(vendor, order, journal)
    assert not journal.was_sent(ORDER)
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE
    assert bought(vendor) == 1


def test_any_other_403_that_the_catalogue_knows_is_a_no(vendor: Sandbox) -> None:
    vendor.faults("shape:6:403/4121", **ORDERS)
    with pytest.raises(Rejected):
        KIT.advance(vendor, KIT.order(5), KIT.journal(vendor))


@pytest.mark.parametrize("path", KIT.writing_paths)
def test_a_key_that_the_gateway_refuses_pauses_the_account(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    gateways = {"error_code": "403003", "message": "Api Key is invalid"}
    order, journal = KIT.order(5), KIT.journal(vendor)
    with monkeypatch.context() as patched:
        instead(patched, path, 403, gateways)
        with pytest.raises(AuthBroken):
            KIT.advance(vendor, order, journal)
    assert not journal.was_sent(ORDER)
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize(
    "body",
    [
        {"error": "Not Found", "message": "No handler"},
        {"error": {"code": "1117", "message": "Bad."}},
        {"code": 1117, "description": "Bad.", "data": [], "source": "PartnerFD"},
        {"code": "BadGateway", "description": "Bad."},
    ],
)
def test_somebody_elses_error_is_no_verdict_before_an_order_would_have_shown(
    vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, Any]
) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    instead(monkeypatch, KIT.buying_path, status, body)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            KIT.advance(vendor, order, journal)
        pass_time(vendor, KIT, journal, timedelta(minutes=7))
    pass_time(vendor, KIT, journal, timedelta(minutes=2))
    with pytest.raises(Rejected):
        KIT.advance(vendor, order, journal)


def instead(patched: pytest.MonkeyPatch, path: str, status: int, body: dict[str, Any]) -> None:
    """Answer writing calls on this path with something that does not come from Adobe; nothing is passed on."""
    real = Client._exchange

    def exchange(self: Client, method: str, url: str, headers: dict[str, str], content: bytes) -> Answer:
        if method == "POST" and fnmatchcase(urlsplit(url).path, path):
            return Answer(status, {}, json.dumps(body).encode())
        return real(self, method, url, headers, content)

    patched.setattr(Client, "_exchange", exchange)


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("1000", Phase.DONE),
        ("1002", Phase.APPROVED),
        ("1009", Phase.APPROVED),
        ("", Phase.APPROVED),
        ("1004", Phase.UNKNOWN),
        ("9999", Phase.UNKNOWN),
        ("we\nird", Phase.UNKNOWN),
    ],
)
def test_only_an_active_subscription_is_done(vendor: Sandbox, status: str, phase: Phase) -> None:
    snapshot = look_again(vendor, lambda step, data: data | {"status": status} if step.startswith("subscription ") else data)
    assert (snapshot.phase, len(snapshot.bought)) == (phase, int(phase is Phase.DONE))
    assert snapshot.raw_status.isprintable()


@pytest.mark.parametrize(
    ("pricing", "cost"),
    [
        ({"partnerPrice": 12.5, "discountedPartnerPrice": 10}, Decimal(10)),
        ({"partnerPrice": 12.5, "discountedPartnerPrice": None}, Decimal("12.5")),
        ({"partnerPrice": 12.5}, Decimal("12.5")),
        ({"partnerPrice": 0}, Decimal(0)),
        ({"partnerPrice": float("nan")}, None),
        ({"partnerPrice": float("inf")}, None),
        ({"partnerPrice": True}, None),
        ({"partnerPrice": 1e30}, None),
        ({"partnerPrice": 10**400}, None),
        ({"partnerPrice": -1}, None),
        ({"partnerPrice": "12.5"}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_price_that_is_none_is_no_cost(vendor: Sandbox, pricing: object, cost: Decimal | None) -> None:
    def told(step: str, data: dict[str, Any]) -> dict[str, Any]:
        lines = [line | {"pricing": pricing} for line in data.get("lineItems", [])]
        return data | {"lineItems": lines} if step.startswith("order ") else data

    assert [bought.unit_cost for bought in look_again(vendor, told).bought] == [cost]


def look_again(vendor: Sandbox, told: Retold) -> Snapshot:
    """An order that was filled, asked about again when the vendor tells it so."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    return KIT.advance(vendor, order, Retelling(journal, told))


class Retelling(MemoryJournal):
    """Goes on where another journal stopped, with answers that are told otherwise."""

    def __init__(self, before: MemoryJournal, told: Retold) -> None:
        super().__init__(before.decides, before.tenant_ref)
        self.rows, self._told = before.rows, told

    def read(self, step: str, call: Call, send: Send) -> Answer:
        answer = super().read(step, call, send)
        return replace(answer, body=json.dumps(self._told(step, json.loads(answer.body))).encode())


@pytest.mark.parametrize("ref", ["", None, 7.5, ["x"], "x" * 101, "a\nb", "a\x00b", "\ud800", "a/../b", ".."])
def test_what_is_no_id_is_no_answer(vendor: Sandbox, ref: object) -> None:
    with closing(KIT.connect(vendor)) as connector:
        for step, key in CREATED.items():
            assert not connector.decides(step, Answer(201, {}, json.dumps({key: ref}).encode()))
            assert connector.decides(step, Answer(201, {}, json.dumps({key: "P-1"}).encode()))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ({"links": {"next": {"uri": "/v3"}}}, {}),
        ({"totalCount": 1, "links": {"next": "/v3"}}, {"totalCount": 1}),
        ({}, {}),
        ({"totalCount": 101}, {"totalCount": 101}),
    ],
)
def test_a_list_is_read_to_its_end_however_it_is_told(vendor: Sandbox, first: dict[str, Any], last: dict[str, Any]) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    others = [{"orderId": str(number), "externalReferenceId": "x", "lineItems": []} for number in range(100)]
    with closing(KIT.connect(vendor)) as connector:
        start = datetime.now(UTC) - timedelta(minutes=1)
        ours = next(row for row in journal.rows if row.step == ORDER and row.answer)
        placed = json.loads(ours.answer.body if ours.answer else b"")
        pages = Paged(journal, [first | {"items": others}, last | {"items": [placed]}])
        assert connector.find(order, pages, start) == (placed["orderId"],)
        cut = Paged(journal, [{"totalCount": 101, "items": others}, {"totalCount": 101, "items": []}])
        with pytest.raises((Busy, OutcomeUnknown)):
            connector.find(order, cut, start)


class Paged(MemoryJournal):
    """A vendor who answers with these pages, whatever he is asked."""

    def __init__(self, before: MemoryJournal, pages: list[dict[str, Any]]) -> None:
        super().__init__(before.decides, before.tenant_ref)
        self._pages = iter(pages)

    def read(self, step: str, call: Call, send: Send) -> Answer:
        return Answer(200, {}, json.dumps(next(self._pages)).encode())


def test_an_order_of_ours_without_an_id_is_a_doubt(vendor: Sandbox) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor, "4711")
    page = {"totalCount": 1, "items": [{"orderId": "a\nb", "externalReferenceId": order.reference, "lineItems": []}]}
    with closing(KIT.connect(vendor)) as connector, pytest.raises((Busy, OutcomeUnknown)):
        connector.find(order, Paged(journal, [page]), datetime.now(UTC))


def test_of_another_sellers_customer_nothing_is_kept(vendor: Sandbox) -> None:
    """A namesake's record is read to be told apart, and sellers may share the account."""
    theirs, now = KIT.order(5), datetime.now(UTC)
    KIT.follow(vendor, theirs, KIT.journal(vendor))
    ours, looks = replace(theirs, customer=replace(theirs.customer, email="noor@birch.example")), KIT.journal(vendor)
    with closing(KIT.connect(vendor)) as connector:
        assert connector.find(ours, looks, now) == ()
    kept = b"".join(row.answer.body for row in looks.rows if row.answer)
    assert b'"isOurs":false' in kept
    assert not any(word.encode() in kept for word in (theirs.customer.email, theirs.customer.phone, theirs.customer.city, "Alder"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"<html>Forbidden</html>"),
        (404, b"<html>Not found</html>"),
        (302, b""),
        (400, b""),
        (400, b'{"error":"temporarily_unavailable"}'),
        (400, b'{"error":"bad ' + CLIENT_SECRET.encode() + b'"}'),
        (200, b'{"access_token":null}'),
        (200, b'{"access_token":5}'),
        (200, b'{"access_token":"line\\nbreak"}'),
    ],
)
@pytest.mark.parametrize("login", [adobe_login, microsoft_login])
def test_only_the_login_services_own_no_pauses_an_account(
    vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, login: ModuleType, status: int, body: bytes
) -> None:
    monkeypatch.setattr(Client, "_exchange", lambda *_call: Answer(status, {}, body))
    account = KIT.login(vendor, account="page")
    with closing(Client(account)) as client, pytest.raises(NothingSent) as caught:
        login.bearer(client, account)
    assert CLIENT_SECRET not in str(caught.value)


@pytest.mark.parametrize("login", [adobe_login, microsoft_login])
def test_the_login_services_own_no_pauses_an_account(vendor: Sandbox, monkeypatch: pytest.MonkeyPatch, login: ModuleType) -> None:
    monkeypatch.setattr(Client, "_exchange", lambda *_call: Answer(400, {}, b'{"error":"invalid_client"}'))
    account = KIT.login(vendor, account="page")
    with closing(Client(account)) as client, pytest.raises(AuthBroken):
        login.bearer(client, account)
