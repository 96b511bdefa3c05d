"""What only Partner Center does, against the sandbox vendor over real HTTP; the rest is in test_conformance.py. No database."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest

from orders.vendors.contract import Answer, Busy, Call, Connector, MustPark, OrderRequest, OutcomeUnknown, Phase, Rejected, Snapshot
from orders.vendors.partner_center import CHECKOUT, PartnerCenter
from tests.harness.sandbox import Sandbox
from tests.vendors.kits import PARTNER_CENTER as KIT
from tests.vendors.kits import a_customer
from tests.vendors.memory_journal import MemoryJournal
from tests.vendors.test_conformance import pass_time, sent

ORDER, ORDERS, CARTS, BUY = "GET */orders/*", "GET */orders", "POST */carts", "POST */checkout"
# Long enough for an order to show in the list, also one that a lost call made.
SETTLED = timedelta(minutes=31)

type Change = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    KIT.tokens.clear()
    yield
    KIT.tokens.clear()


@pytest.fixture
def connector(vendor: Sandbox) -> Iterator[Connector]:
    with closing(KIT.connect(vendor)) as opened:
        yield opened


class Retold:
    """A vendor whose answers to some calls differ from the sandbox's: method and path, and what becomes of status and body."""

    def __init__(self) -> None:
        self._changes: list[tuple[str, Change, int | None]] = []

    def __call__(self, what: str, change: Change, *, status: int | None = None) -> None:
        self._changes.append((what, change, status))

    def clear(self) -> None:
        self._changes.clear()

    def apply(self, call: Call, answer: Answer) -> Answer:
        for what, change, status in self._changes:
            if not fnmatchcase(f"{call.method} {call.path.partition('?')[0]}", what):
                continue
            body = change(json.loads(answer.body)) if answer.body else b""
            answer = Answer(status or answer.status, answer.headers, body if isinstance(body, bytes) else json.dumps(body).encode())
        return answer


@pytest.fixture
def retell(monkeypatch: pytest.MonkeyPatch) -> Retold:
    retold, send = Retold(), PartnerCenter._send
    monkeypatch.setattr(PartnerCenter, "_send", lambda self, call, key: retold.apply(call, send(self, call, key)))
    return retold


def fields(**changes: Any) -> Change:
    """The object with these fields; None leaves one out."""
    return lambda body: {key: value for key, value in (body | changes).items() if key not in changes or value is not LEFT_OUT}


LEFT_OUT = object()


def of_lines(**changes: Any) -> Change:
    return lambda body: body | {"lineItems": [fields(**changes)(item) for item in body["lineItems"]]}


def of_rows(change: Change) -> Change:
    return lambda body: body | {"items": [change(row) for row in body["items"]]}


def bought(vendor: Sandbox) -> int:
    return len(KIT.purchases(vendor.ledger()))


def lost_checkout(vendor: Sandbox, order: OrderRequest) -> MemoryJournal:
    """An order that the vendor made, and whose answer never came."""
    journal = KIT.journal(vendor)
    vendor.faults("drop_after_commit", method="POST", path=KIT.buying_path)
    with pytest.raises(OutcomeUnknown):
        KIT.advance(vendor, order, journal)
    return journal


def look(vendor: Sandbox, order: OrderRequest, journal: MemoryJournal) -> tuple[str, ...]:
    with closing(KIT.connect(vendor)) as connector:
        return connector.find(order, journal, datetime.now(UTC) - timedelta(minutes=1))


def refused(caught: pytest.ExceptionInfo[Rejected]) -> list[tuple[int | None, str, str]]:
    return [(no.line, no.code, no.text) for no in caught.value.refusals]


def at_last(vendor: Sandbox, order: OrderRequest, journal: MemoryJournal) -> Snapshot:
    vendor.clock("PT10S")
    return KIT.advance(vendor, order, journal)


# --- which of our lines an order is


ODD_ORDERS: dict[str, Change] = {
    "no term": of_lines(termDuration=LEFT_OUT),
    "term in months": of_lines(termDuration="P12M"),
    "term in small letters": of_lines(termDuration="p1y"),
    "quantity as text": lambda body: body | {"lineItems": [item | {"quantity": str(item["quantity"])} for item in body["lineItems"]]},
    "offer in small letters": lambda body: (
        body | {"lineItems": [item | {"offerId": item["offerId"].lower()} for item in body["lineItems"]]}
    ),
    "old offer": of_lines(offerId="MS-AZR-0145P"),
    "offer with a GUID": of_lines(offerId="031c9e47-4802-4248-838e-778fb1d2cc05"),
    "cycle OneTime": fields(billingCycle="OneTime"),
    "cycle annual": fields(billingCycle="annual"),
    "cycle none": fields(billingCycle="none"),
    "cycle as a number": fields(billingCycle=1),
    "no cycle": fields(billingCycle=None),
}


@pytest.mark.parametrize("odd", ODD_ORDERS)
def test_the_orders_of_our_own_checkout_are_ours_however_they_are_spelled(vendor: Sandbox, retell: Retold, odd: str) -> None:
    retell(ORDER, ODD_ORDERS[odd])
    quantities = (5,) if "offer" in odd and "small" not in odd else (5, 3)
    snapshot = KIT.buy(vendor, KIT.order(*quantities))
    assert (snapshot.phase, len(snapshot.bought), snapshot.refusals) == (Phase.DONE, len(quantities), ())


@pytest.mark.parametrize("rows", [None, [], [1], LEFT_OUT])
def test_an_order_that_shows_no_items_is_bought_and_no_refusal(vendor: Sandbox, retell: Retold, rows: Any) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.advance(vendor, order, journal)
    retell(ORDER, fields(lineItems=rows))
    snapshot = at_last(vendor, order, journal)
    assert (snapshot.phase, snapshot.refusals, snapshot.raw_status) == (Phase.UNKNOWN, (), "completed, items not recognised")
    retell.clear()
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE


def test_items_that_fit_two_lines_alike_are_told_of_neither(vendor: Sandbox, retell: Retold) -> None:
    order, journal = KIT.order(5, 5), KIT.journal(vendor)
    order = replace(order, lines=(order.lines[0], replace(order.lines[1], term="P3Y")))
    KIT.advance(vendor, order, journal)
    retell(ORDER, of_lines(termDuration=LEFT_OUT))
    snapshot = at_last(vendor, order, journal)
    assert (snapshot.phase, snapshot.bought, snapshot.refusals) == (Phase.UNKNOWN, (), ())


def test_an_adopted_order_of_other_items_is_no_refusal(vendor: Sandbox, retell: Retold) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    refs = KIT.follow(vendor, order, journal).order_refs
    adopting = KIT.journal(vendor, journal.tenant_ref)
    adopting.adopt(refs)
    retell(ORDER, of_lines(quantity=7))
    snapshot = KIT.advance(vendor, order, adopting)
    assert (snapshot.phase, snapshot.bought, snapshot.refusals) == (Phase.UNKNOWN, (), ())


@pytest.mark.parametrize("change", [of_lines(offerId="MS-AZR-0145P", quantity=7), fields(lineItems=None)])
def test_reversed_orders_are_a_no_whatever_their_items_say(vendor: Sandbox, retell: Retold, change: Change) -> None:
    order, journal = KIT.order(204), KIT.journal(vendor)
    KIT.advance(vendor, order, journal)
    retell(ORDER, change)
    with pytest.raises(Rejected) as caught:
        at_last(vendor, order, journal)
    assert refused(caught) == [(1, "", "")]


# --- looking for an order that nobody answered


SPELLED = {
    name: change for name, change in ODD_ORDERS.items() if name not in {"old offer", "offer with a GUID", "cycle OneTime", "cycle annual"}
}


@pytest.mark.parametrize("odd", SPELLED)
def test_an_order_is_found_however_it_is_spelled(vendor: Sandbox, retell: Retold, odd: str) -> None:
    order = KIT.order(5)
    journal = lost_checkout(vendor, order)
    pass_time(vendor, KIT, journal, SETTLED)
    retell(ORDERS, of_rows(SPELLED[odd]))
    assert len(look(vendor, order, journal)) == 1


DOUBTFUL: dict[str, Change] = {
    "no items": of_rows(fields(lineItems=None)),
    "no date": of_rows(fields(creationDate=LEFT_OUT)),
    "date that is none": of_rows(fields(creationDate="yesterday")),
    "old offer": of_rows(of_lines(offerId="MS-AZR-0145P")),
    "another cycle": of_rows(fields(billingCycle="OneTime")),
    "no id": of_rows(fields(id=LEFT_OUT)),
    "id that can't be kept": of_rows(fields(id="x" * 101)),
    "rows that are none": lambda body: body | {"items": ["order"]},
    "more than shown": lambda body: body | {"totalCount": 2, "items": []},
    "next page elsewhere": lambda body: body | {"items": [], "links": {"next": {"uri": "https://elsewhere.example/orders"}}},
    "next page without end": lambda body: body | {"items": [], "links": {"next": {"uri": body["links"]["self"]["uri"]}}},
    "next page that is none": lambda body: body | {"items": [], "links": {"next": True}},
}


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_a_row_or_a_list_that_can_not_be_judged_is_a_doubt(vendor: Sandbox, retell: Retold, doubt: str) -> None:
    order = KIT.order(5)
    journal = lost_checkout(vendor, order)
    pass_time(vendor, KIT, journal, SETTLED)
    retell(ORDERS, DOUBTFUL[doubt])
    with pytest.raises(OutcomeUnknown):
        look(vendor, order, journal)


def test_rows_that_can_not_be_ours_are_no_doubt(vendor: Sandbox, retell: Retold) -> None:
    order = KIT.order(5)
    journal = lost_checkout(vendor, order)
    pass_time(vendor, KIT, journal, SETTLED)
    for change in (fields(creationDate="2020-01-01T00:00:00Z", lineItems=None), fields(status="error", lineItems=None)):
        retell(ORDERS, of_rows(change))
        assert look(vendor, order, journal) == ()
        retell.clear()
    retell(ORDERS, of_rows(of_lines(quantity=7)))
    assert look(vendor, order, journal) == ()


def test_a_row_that_fits_two_items_alike_is_for_staff(vendor: Sandbox, retell: Retold) -> None:
    order = KIT.order(5, 5)
    order = replace(order, lines=(order.lines[0], replace(order.lines[1], term="P3Y")))
    journal = lost_checkout(vendor, order)
    pass_time(vendor, KIT, journal, SETTLED)
    retell(ORDERS, of_rows(of_lines(termDuration=LEFT_OUT)))
    with pytest.raises(MustPark):
        look(vendor, order, journal)


def test_the_next_page_is_read(vendor: Sandbox, retell: Retold) -> None:
    order = KIT.order(5)
    journal = lost_checkout(vendor, order)
    pass_time(vendor, KIT, journal, SETTLED)
    pages: list[Any] = []

    def in_two(body: Any) -> Any:
        pages.append(body)
        following = {
            "uri": body["links"]["self"]["uri"] + "?seekOperation=Next",
            "headers": [{"key": "MS-ContinuationToken", "value": "abc"}],
        }
        return body | {"items": [], "links": {"next": following}} if len(pages) == 1 else body

    retell(ORDERS, in_two)
    assert len(look(vendor, order, journal)) == 1
    last = journal.rows[-1].call
    assert (last.path.partition("?")[2], last.headers) == ("seekOperation=Next", {"MS-ContinuationToken": "abc"})


def test_half_of_a_checkout_is_not_taken_for_the_whole_before_the_list_can_show_it(vendor: Sandbox, retell: Retold) -> None:
    """Two vendor orders came of one checkout, and the list has the first of them so far."""
    order = KIT.order(5, 3)
    order = replace(order, lines=(order.lines[0], replace(order.lines[1], billing_cycle="annual")))
    journal = lost_checkout(vendor, order)
    assert bought(vendor) == 2
    vendor.clock("PT20M")
    retell(ORDERS, lambda body: body | {"items": body["items"][:1], "totalCount": 1})
    KIT.tokens.clear()
    with pytest.raises(OutcomeUnknown):
        look(vendor, order, journal)
    journal.passed += SETTLED
    assert len(look(vendor, order, journal)) == 1
    retell.clear()
    assert len(look(vendor, order, journal)) == 2


# --- what a checkout answers


def with_error(code: Any, group: Any = "1", orders: int | None = None) -> Change:
    """A checkout that made only its first `orders` orders and refused a group."""
    error = {"orderGroupId": group, "code": code, "description": "In the vendor’s words."}
    return lambda body: body | {"orders": body["orders"][:orders], "orderErrors": [error]}


@pytest.mark.parametrize("group", ["0", "1", "7", None])
def test_a_checkout_that_made_an_order_is_never_a_no(vendor: Sandbox, retell: Retold, group: Any) -> None:
    """Even when its errors name the group of that order."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    retell(BUY, with_error(800069, group))
    snapshot = KIT.follow(vendor, order, journal)
    assert ([item.line for item in snapshot.bought], snapshot.refusals) == ([1], ())


@pytest.mark.parametrize(
    "rows",
    [[{"alternateId": "abc"}], [{"Id": "abc"}], [{}], ["abc"], {"id": "abc"}, [{"id": "x" * 101}], [{"id": "a\0b"}], [{"id": "\ud800"}]],
)
def test_an_order_that_the_checkout_does_not_name_is_looked_for(vendor: Sandbox, retell: Retold, rows: Any) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    retell(BUY, lambda body: body | {"orders": rows, "orderErrors": [{"orderGroupId": "0", "code": 800069, "description": "No."}]})
    with pytest.raises(OutcomeUnknown):
        KIT.advance(vendor, order, journal)
    pass_time(vendor, KIT, journal, SETTLED)
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE
    assert (bought(vendor), len(journal.adopted_refs)) == (1, 1)


@pytest.mark.parametrize("code", [800060, 800005, 800003, 0, "0", None, 800072])
def test_an_error_that_may_pass_is_no_verdict_on_a_cart_without_orders(vendor: Sandbox, retell: Retold, code: Any) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    retell(BUY, with_error(code, "0", orders=0))
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            KIT.advance(vendor, order, journal)
    retell.clear()
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE
    assert bought(vendor) == 1
    assert len({row.key for row in journal.writes if row.step == CHECKOUT}) == 1


def test_an_error_beside_an_order_that_is_not_named_is_no_no(vendor: Sandbox, retell: Retold) -> None:
    retell(BUY, lambda body: {"code": 400072, "description": "Not available.", "orders": [{}]}, status=200)
    with pytest.raises(OutcomeUnknown):
        KIT.advance(vendor, KIT.order(5), KIT.journal(vendor))


def test_an_error_that_nobody_knows_is_a_no_while_the_cart_is_unsold(vendor: Sandbox, retell: Retold) -> None:
    order, journal = KIT.order(207), KIT.journal(vendor)
    retell(BUY, with_error(777777, "0"))
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, order, journal)
    assert refused(caught) == [(1, "777777", "In the vendor’s words.")]
    order, journal = KIT.order(5), KIT.journal(vendor)
    retell.clear()
    retell(BUY, with_error(777777, "0", orders=0))
    with pytest.raises(OutcomeUnknown):
        KIT.advance(vendor, order, journal)


def in_two_groups() -> OrderRequest:
    order = KIT.order(5, 207)
    return replace(order, lines=(order.lines[0], replace(order.lines[1], quantity=3, billing_cycle="annual")))


def test_beside_an_order_an_error_that_may_pass_keeps_the_rest_open(vendor: Sandbox, retell: Retold) -> None:
    """The second group was made after all, and shows in the list later."""
    order, journal = in_two_groups(), KIT.journal(vendor)
    retell(BUY, with_error(800060, "1", orders=1))
    KIT.advance(vendor, order, journal)
    snapshot = at_last(vendor, order, journal)
    assert (snapshot.phase, [item.line for item in snapshot.bought], snapshot.refusals) == (Phase.ACCEPTED, [1], ())
    pass_time(vendor, KIT, journal, SETTLED)
    snapshot = KIT.follow(vendor, order, journal)
    assert ([item.line for item in snapshot.bought], snapshot.refusals) == ([1, 2], ())


def test_beside_an_order_an_error_that_did_not_pass_counts_when_the_list_shows_nothing(vendor: Sandbox, retell: Retold) -> None:
    order, journal = KIT.order(5, 207), KIT.journal(vendor)
    retell(BUY, with_error(800060, "1"))
    assert KIT.advance(vendor, order, journal).refusals == ()
    pass_time(vendor, KIT, journal, SETTLED)
    snapshot = KIT.follow(vendor, order, journal)
    assert [item.line for item in snapshot.bought] == [1]
    assert [(no.line, no.code, no.text) for no in snapshot.refusals] == [(2, "800060", "In the vendor’s words.")]


@pytest.mark.parametrize("group", ["9", None, ""])
def test_an_error_of_no_group_keeps_its_words(vendor: Sandbox, retell: Retold, group: Any) -> None:
    retell(BUY, with_error(800069, group))
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, KIT.order(207), KIT.journal(vendor))
    assert refused(caught) == [(None, "800069", "In the vendor’s words.")]
    snapshot = KIT.buy(vendor, KIT.order(5, 207))
    assert [item.line for item in snapshot.bought] == [1]
    assert [(no.line, no.code, no.text) for no in snapshot.refusals] == [(2, "800069", "In the vendor’s words.")]


# --- carts


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ({"errorCode": 0, "errorDescription": "Not so."}, "", "Not so."),
        ({"errorCode": None, "errorDescription": "Not so."}, "", "Not so."),
        ({"code": 10012, "description": "Not so."}, "10012", "Not so."),
        ({"ErrorCode": "10012", "ErrorDescription": "Not so."}, "10012", "Not so."),
        ("Not so.", "", "Not so."),
        ([{"errorCode": 10012, "errorDescription": "Not so."}], "10012", "Not so."),
        (["Not so."], "", "Not so."),
    ],
)
def test_an_error_at_a_line_of_the_cart_is_never_checked_out(vendor: Sandbox, retell: Retold, error: Any, code: str, words: str) -> None:
    """Whatever its shape, and told of the line whose id it has, wherever it stands."""
    retell(CARTS, lambda body: body | {"lineItems": [body["lineItems"][1], body["lineItems"][0] | {"error": error}]})
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, KIT.order(5, 3), KIT.journal(vendor))
    assert refused(caught) == [(1, code, words)]
    assert sent(vendor, KIT) == []


def test_no_error_is_none(vendor: Sandbox, retell: Retold) -> None:
    for error in (None, {}, [], "", {"errorCode": 0, "errorDescription": ""}):
        retell(CARTS, of_lines(error=error))
        assert KIT.buy(vendor, KIT.order(5)).phase is Phase.DONE


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body | {"lineItems": body["lineItems"][:1]},
        lambda body: body | {"lineItems": None},
        of_lines(quantity=4),
        of_lines(id=0),
        of_lines(id=LEFT_OUT),
        fields(id=""),
        fields(id="x" * 101),
    ],
)
def test_a_cart_that_is_not_what_was_asked_for_is_not_checked_out(vendor: Sandbox, retell: Retold, change: Change) -> None:
    retell(CARTS, change)
    with pytest.raises(Busy):
        KIT.advance(vendor, KIT.order(5, 5), KIT.journal(vendor))
    assert sent(vendor, KIT) == []


def test_an_error_at_a_line_that_may_pass_is_no_no(vendor: Sandbox, retell: Retold) -> None:
    """No inventory now; an availability that is out of date is looked up again at once."""
    retell(CARTS, of_lines(error={"errorCode": 10003, "errorDescription": "Not now."}))
    with pytest.raises(Busy) as caught:
        KIT.advance(vendor, KIT.order(5), KIT.journal(vendor))
    assert caught.value.retry_after
    retell.clear()
    carts: list[Any] = []

    def stale_once(body: Any) -> Any:
        carts.append(body)
        return of_lines(error={"errorCode": 10001, "errorDescription": "Out of date."})(body) if len(carts) == 1 else body

    retell(CARTS, stale_once)
    assert KIT.buy(vendor, KIT.order(5)).phase is Phase.DONE


# --- what is sold


def availability(**changes: Any) -> Change:
    return of_rows(fields(**changes))


@pytest.mark.parametrize(
    "change",
    [
        availability(isPurchasable=False),
        availability(catalogItemId=LEFT_OUT),
        availability(terms=[{"duration": "P1Y", "billingCycle": "Annual"}]),
        availability(terms=[{"duration": "P1Y", "billingCycle": "None"}]),
    ],
)
def test_what_can_not_be_bought_is_not_put_into_a_cart(vendor: Sandbox, retell: Retold, change: Change) -> None:
    retell("GET */availabilities", change)
    with closing(KIT.connect(vendor)) as connector:
        assert [no.code for no in connector.check(KIT.order(5), KIT.journal(vendor))] == ["not_available"]
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, KIT.order(5), KIT.journal(vendor))
    assert [(no.line, no.code) for no in caught.value.refusals] == [(1, "not_available")]
    assert vendor.ledger()["carts"] == []


def test_the_availability_that_can_be_bought_is_taken(vendor: Sandbox, retell: Retold) -> None:
    gone = {"isPurchasable": False, "catalogItemId": "CFQ7TTC0LCHC:0002:GONE"}
    retell("GET */availabilities", lambda body: body | {"items": [body["items"][0] | gone, *body["items"]], "totalCount": 2})
    retell("GET */availabilities", availability(terms=[{"duration": "P12M", "billingCycle": "Monthly"}]))
    retell("GET */skus/*", fields(supportedBillingCycles=["Monthly", "Annual"]))
    with closing(KIT.connect(vendor)) as connector:
        assert connector.check(KIT.order(5), KIT.journal(vendor)) == []
    assert KIT.buy(vendor, KIT.order(5)).phase is Phase.DONE


# --- customers


def test_nothing_of_another_sellers_customer_is_kept(vendor: Sandbox) -> None:
    """Two sellers on one account: the second types the first one's domain."""
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    others = replace(KIT.order(5), customer=a_customer(name="Birch", email="noor@birch.example", domain=order.customer.domain))
    theirs = KIT.journal(vendor)
    with pytest.raises(Rejected) as caught:
        KIT.advance(vendor, others, theirs)
    assert [no.code for no in caught.value.refusals] == ["domain_taken"]
    kept = " ".join(map(str, [*theirs.rows, *caught.value.refusals]))
    for word in (order.customer.name, order.customer.email, order.customer.phone, order.customer.address_line1, journal.tenant_ref):
        assert word not in kept


def test_our_own_customer_is_known_again_however_his_details_are_written(vendor: Sandbox) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    again = KIT.journal(vendor)
    customer = order.customer
    customer = replace(customer, name=customer.name.upper(), email=customer.email.upper(), domain=customer.domain.title())
    KIT.follow(vendor, replace(order, customer=customer), again)
    assert again.tenant_ref == journal.tenant_ref
    assert len(KIT.customers(vendor.ledger())) == 1


@pytest.mark.parametrize(
    "change", [lambda body: body | {"items": [], "totalCount": 4}, lambda body: body | {"items": [], "links": {"next": 1}}]
)
def test_half_a_list_of_customers_does_not_say_that_the_domain_is_somebody_elses(vendor: Sandbox, retell: Retold, change: Change) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    retell("GET /v1/customers", change)
    with pytest.raises(Busy):
        KIT.advance(vendor, order, KIT.journal(vendor))


@pytest.mark.parametrize("status", [200, 202])
def test_a_customer_with_an_id_was_created_whatever_the_success_is_called(vendor: Sandbox, retell: Retold, status: int) -> None:
    retell("POST /v1/customers", lambda body: body, status=status)
    journal = KIT.journal(vendor)
    assert KIT.follow(vendor, KIT.order(5), journal).phase is Phase.DONE
    assert journal.tenant_ref


@pytest.mark.parametrize("identifier", [LEFT_OUT, None, "", "x" * 101, "a\0b", "\ud800", {"id": 1}, True])
def test_a_customer_without_an_id_is_a_doubt(vendor: Sandbox, retell: Retold, identifier: Any) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    retell("POST /v1/customers", fields(id=identifier))
    with pytest.raises(OutcomeUnknown):
        KIT.advance(vendor, order, journal)
    assert journal.tenant_ref == ""
    retell.clear()
    assert KIT.follow(vendor, order, journal).phase is Phase.DONE
    assert len(KIT.customers(vendor.ledger())) == 1


@pytest.mark.parametrize("change", [fields(companyProfile="x"), fields(billingProfile=[]), lambda body: [body]])
def test_a_customer_that_does_not_say_who_he_is_is_neither_ours_nor_somebody_elses(vendor: Sandbox, retell: Retold, change: Change) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.follow(vendor, order, journal)
    retell("GET /v1/customers/*", lambda body: change(body) if "billingProfile" in body else body)
    with pytest.raises(Busy):
        KIT.advance(vendor, order, KIT.journal(vendor))


@pytest.mark.parametrize("standing", ["under_review", "Under Review", "underReview"])
def test_a_customer_under_review_waits_however_that_is_written(vendor: Sandbox, retell: Retold, standing: str) -> None:
    retell("GET */validationStatus", fields(status=standing))
    with pytest.raises(Busy) as caught:
        KIT.advance(vendor, KIT.order(5), KIT.journal(vendor))
    assert caught.value.refusal.code == "under_review"


@pytest.mark.parametrize(
    ("status", "codes"),
    [("Verified shippable", []), ("VERIFIED", []), ("QuantumFlux", []), (None, []), ("Street Partial", ["address_not_found"])],
)
def test_only_an_address_that_is_called_bad_is_a_problem(vendor: Sandbox, retell: Retold, status: Any, codes: list[str]) -> None:
    retell("POST /v1/validations/address", fields(status=status))
    with closing(KIT.connect(vendor)) as connector:
        assert [no.code for no in connector.check(KIT.order(5), KIT.journal(vendor))] == codes


# --- odd values


@pytest.mark.parametrize("pricing", [[1], "x", None, *({"price": price} for price in (True, -1, 1e30, 10**9, "1", None))])
def test_a_price_that_is_none_is_no_cost(vendor: Sandbox, retell: Retold, pricing: Any) -> None:
    retell(ORDER, of_lines(pricing=pricing))
    assert [item.unit_cost for item in KIT.buy(vendor, KIT.order(5)).bought] == [None]


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_price_that_is_no_number_is_no_cost(vendor: Sandbox, retell: Retold, price: str) -> None:
    retell(ORDER, lambda body: json.dumps(of_lines(pricing={"price": "PRICE"})(body)).replace('"PRICE"', price).encode())
    assert [item.unit_cost for item in KIT.buy(vendor, KIT.order(5)).bought] == [None]


def test_a_price_of_nothing_is_one(vendor: Sandbox, retell: Retold) -> None:
    retell(ORDER, of_lines(pricing={"price": 0}))
    assert [item.unit_cost for item in KIT.buy(vendor, KIT.order(5)).bought] == [Decimal(0)]


@pytest.mark.parametrize("identifier", ["x" * 101, "a\0b", "\ud800", 5.5, [1], ""])
def test_a_subscription_without_an_id_is_not_there_yet(vendor: Sandbox, retell: Retold, identifier: Any) -> None:
    for what, change in ((ORDER, of_lines(subscriptionId=identifier)), ("GET */subscriptions/*", fields(id=identifier))):
        order, journal = KIT.order(5), KIT.journal(vendor)
        KIT.advance(vendor, order, journal)
        retell(what, change)
        snapshot = at_last(vendor, order, journal)
        assert (snapshot.phase, snapshot.bought) == (Phase.APPROVED, ())
        retell.clear()


@pytest.mark.parametrize(
    ("status", "phase"),
    [("Active", Phase.DONE), *((status, Phase.DONE) for status in ("suspended", "deleted", "disabled", "expired")),
     *((status, Phase.APPROVED) for status in ("pending", "none", "", None, "quantum_flux"))],
)  # fmt: skip
def test_a_subscription_that_was_made_is_bought_whatever_became_of_it(vendor: Sandbox, retell: Retold, status: Any, phase: Phase) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.advance(vendor, order, journal)
    retell("GET */subscriptions/*", fields(status=status))
    assert at_last(vendor, order, journal).phase is phase


def test_what_was_not_delivered_is_told_however_that_is_written(vendor: Sandbox, retell: Retold) -> None:
    order, journal = KIT.order(5, 3), KIT.journal(vendor)
    KIT.advance(vendor, order, journal)
    vendor.set_order(vendor.ledger()["orders"][0]["id"], "partial_success")
    retell("GET */provisioningstatus", of_rows(lambda row: row | {"status": row["status"].title()}))
    snapshot = at_last(vendor, order, journal)
    assert ([item.line for item in snapshot.bought], [no.line for no in snapshot.refusals]) == ([1], [2])


def test_a_status_that_can_not_be_shown_is_kept_so_that_it_can(vendor: Sandbox, retell: Retold) -> None:
    order, journal = KIT.order(5), KIT.journal(vendor)
    KIT.advance(vendor, order, journal)
    retell(ORDER, fields(status="a\0b\ud800"))
    snapshot = KIT.advance(vendor, order, journal)
    assert (snapshot.phase, snapshot.raw_status) == (Phase.UNKNOWN, "a\ufffdb\ufffd")


# --- changing a subscription


def subscribed(vendor: Sandbox) -> tuple[str, str]:
    """Tenant and subscription of an order that was bought, and that may be changed again."""
    journal = KIT.journal(vendor)
    snapshot = KIT.follow(vendor, KIT.order(5), journal)
    return journal.tenant_ref, snapshot.bought[0].subscription_ref


def change(vendor: Sandbox, tenant: str, ref: str, journal: MemoryJournal, **changes: Any) -> Answer:
    connector = KIT.connect(vendor)
    assert isinstance(connector, PartnerCenter)
    with closing(connector):
        return connector.change_subscription(tenant, ref, changes, journal)


def patches(vendor: Sandbox) -> list[dict[str, Any]]:
    return [call for call in vendor.calls() if call["method"] == "PATCH"]


def test_a_change_sends_the_whole_subscription_back_with_its_etag(vendor: Sandbox) -> None:
    tenant, ref = subscribed(vendor)
    answer = change(vendor, tenant, ref, KIT.journal(vendor), quantity=7)
    assert json.loads(answer.body)["quantity"] == 7
    (call,) = patches(vendor)
    assert call["requestBody"]["autoRenewEnabled"] is True
    assert call["requestBody"]["id"] == ref
    assert call["requestHeaders"]["if-match"] == call["requestBody"]["attributes"]["etag"]


@pytest.mark.parametrize(
    "refusal", [(400, {"code": 2055, "description": "The ETag is no longer valid."}), (412, {"code": 1, "description": "No."})]
)
def test_a_subscription_that_somebody_else_has_changed_is_read_again(vendor: Sandbox, retell: Retold, refusal: tuple[int, Any]) -> None:
    tenant, ref = subscribed(vendor)
    status, body = refusal
    vendor.faults(f"code:{status}/{body['code']}", method="PATCH")
    journal = KIT.journal(vendor)
    assert json.loads(change(vendor, tenant, ref, journal, quantity=7).body)["quantity"] == 7
    assert [row.step.partition(ref)[0] for row in journal.writes] == ["change subscription ", "change subscription again "]


def test_an_error_inside_a_success_is_no_change(vendor: Sandbox, retell: Retold) -> None:
    tenant, ref = subscribed(vendor)
    retell("PATCH *", lambda _body: {"code": 400072, "description": "Not available."})
    with pytest.raises(Rejected):
        change(vendor, tenant, ref, KIT.journal(vendor), quantity=7)
    retell.clear()
    retell("PATCH *", lambda _body: {"code": 777777, "description": "Who knows."})
    with pytest.raises(OutcomeUnknown):
        change(vendor, tenant, ref, KIT.journal(vendor), quantity=7)


@pytest.mark.parametrize(
    "shown", [lambda body: [], lambda body: {}, fields(attributes=[1]), fields(attributes={"etag": ""}), fields(id=None)]
)
def test_without_the_whole_subscription_nothing_is_changed(vendor: Sandbox, retell: Retold, shown: Change) -> None:
    tenant, ref = subscribed(vendor)
    retell("GET */subscriptions/*", shown)
    with pytest.raises(Busy):
        change(vendor, tenant, ref, KIT.journal(vendor), quantity=7)
    assert patches(vendor) == []


def test_a_change_whose_answer_was_lost_is_looked_at_before_it_is_sent_again(vendor: Sandbox, retell: Retold) -> None:
    tenant, ref = subscribed(vendor)
    journal = KIT.journal(vendor)
    vendor.faults("drop_after_commit", method="PATCH")
    with pytest.raises(OutcomeUnknown):
        change(vendor, tenant, ref, journal, quantity=7)
    retell("GET */subscriptions/*", lambda body: [])
    with pytest.raises(OutcomeUnknown):
        change(vendor, tenant, ref, journal, quantity=7)
    retell.clear()
    assert json.loads(change(vendor, tenant, ref, journal, quantity=7).body)["quantity"] == 7
    assert len(patches(vendor)) == 1


# --- and the rest


def test_an_order_that_waits_for_a_person_says_so(vendor: Sandbox, connector: Connector) -> None:
    snapshot = connector.advance(KIT.order(428), KIT.journal(vendor))
    assert snapshot.phase is Phase.ACTION
    assert "purchase order" in snapshot.action


@pytest.mark.parametrize(("quantity", "retry_after"), [(429, 3), (503, None), (599, None)])
def test_a_busy_vendor_says_when_to_come_back(vendor: Sandbox, connector: Connector, quantity: int, retry_after: int | None) -> None:
    with pytest.raises(Busy) as caught:
        connector.advance(KIT.order(quantity), KIT.journal(vendor))
    assert (caught.value.retry_after.total_seconds() if caught.value.retry_after else None) == retry_after


@pytest.mark.parametrize("fault", ["empty", "bad_json"])
def test_a_look_up_that_can_not_be_read_does_not_say_that_the_offer_is_gone(vendor: Sandbox, connector: Connector, fault: str) -> None:
    vendor.faults(fault, method="GET", path="/v1/products/*")
    with pytest.raises(Busy):
        connector.advance(KIT.order(5), KIT.journal(vendor))


@pytest.mark.parametrize("fault", ["empty", "bad_json"])
def test_a_list_of_orders_that_can_not_be_read_does_not_prove_that_nothing_was_bought(
    vendor: Sandbox, connector: Connector, fault: str
) -> None:
    """A no that the catalogue does not know counts only after a look; the look has to be one."""
    vendor.faults("code:400/777777", method="POST", path="*/checkout")
    vendor.faults(fault, method="GET", path="/v1/customers/*/orders")
    with pytest.raises(OutcomeUnknown):
        connector.advance(KIT.order(5), KIT.journal(vendor))


def test_a_stale_catalogue_id_is_refreshed_once_by_itself(vendor: Sandbox) -> None:
    vendor.faults("code:404/400019", method="POST", path="*/carts")
    assert KIT.buy(vendor, KIT.order(5)).phase is Phase.DONE
    assert len(vendor.ledger()["orders"]) == 1


def test_the_password_of_a_new_tenant_is_never_kept(vendor: Sandbox, connector: Connector) -> None:
    journal = KIT.journal(vendor)
    connector.advance(KIT.order(5), journal)
    bodies = b"".join(row.answer.body for row in journal.rows if row.answer)
    assert b"Sbx!" not in bodies
    assert b"[removed]" in bodies
