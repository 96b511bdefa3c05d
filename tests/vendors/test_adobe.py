"""What only Adobe does, against his dialect of the sandbox over real HTTP; the rest is in test_conformance.py. No database."""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orders.vendors.adobe import ORDER
from orders.vendors.contract import Answer, AuthBroken, Busy, Call, MustPark, OutcomeUnknown, Phase, Rejected
from tests.harness.sandbox import ADOBE_RESELLER, Sandbox
from tests.vendors.kits import ADOBE as KIT
from tests.vendors.memory_journal import MemoryJournal, Send
from tests.vendors.test_conformance import pass_time, sent

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
