"""The connector against the sandbox vendor over real HTTP, with a journal in memory: no Django, no database."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from orders.vendors import microsoft_login, partner_center
from orders.vendors.contract import (
    Answer,
    AuthBroken,
    Busy,
    Call,
    CustomerRequest,
    LineRequest,
    NothingSent,
    OrderRequest,
    OutcomeUnknown,
    Phase,
    Rejected,
    Snapshot,
    new_key,
)
from orders.vendors.http import Client, ForbiddenAddress, Login, check_address
from tests.harness.meanings import meanings
from tests.harness.sandbox import CLIENT_ID, CLIENT_SECRET, MICROSOFT_TENANT, Sandbox

MEANINGS = meanings("partner_center")
CUSTOMERS, CARTS, CHECKOUT = "/v1/customers", "*/carts", "*/checkout"
# What a network or a vendor does to an answer; the effect is there for the first kind and not for the second.
AFTER_THE_EFFECT = ("drop_after_commit", "truncate", "empty", "bad_json", "status_after_commit:500")
BEFORE_THE_EFFECT = ("drop_before_commit", "status:500", "status:503", "html502", "429:1")


class MemoryJournal:
    """A journal that forgets when the process ends; the rules are those of orders.journal."""

    def __init__(self, connector: partner_center.PartnerCenter) -> None:
        self.decides = connector.decides
        self.rows: list[tuple[str, str, Call, str, Answer | None]] = []
        self.tenant_ref = ""
        self.adopted_refs: tuple[str, ...] = ()
        self.sent_at: dict[str, datetime] = {}
        self.passed = timedelta()  # what a test let pass since

    def write(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        if stored := self.answered(step):
            return stored
        first = next((row for row in self.rows if row[:2] == (step, "request")), None)
        request, key = (first[2], first[3]) if first else (call, new_key())
        self.rows.append((step, "request", request, key, None))
        self.sent_at.setdefault(step, datetime.now(UTC))
        try:
            answer = send(request, key)
        except (NothingSent, AuthBroken):
            self.rows.append((step, "not sent", request, key, None))
            raise
        self.rows.append((step, "answer", request, key, answer))
        return answer

    def read(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        return send(call, new_key())

    def answered(self, step: str) -> Answer | None:
        return next((row[4] for row in self.rows if row[0] == step and row[4] and self.decides(step, row[4])), None)

    def was_sent(self, step: str) -> bool:
        kinds = [row[1] for row in self.rows if row[0] == step]
        return kinds.count("request") > kinds.count("not sent")

    def first_sent(self, step: str) -> datetime | None:
        return next((self.sent_at[row[0]] for row in self.rows if row[0] == step and self.was_sent(step)), None)

    def age(self, step: str) -> timedelta:
        sent = self.first_sent(step)
        return datetime.now(UTC) + self.passed - sent if sent else timedelta()

    def adopted(self) -> tuple[str, ...]:
        return self.adopted_refs

    def adopt(self, refs: tuple[str, ...]) -> None:
        self.adopted_refs = refs

    def known_orders(self) -> frozenset[str]:
        return frozenset()

    def tenant(self) -> str:
        return self.tenant_ref

    def remember_tenant(self, tenant_ref: str) -> None:
        self.tenant_ref = tenant_ref


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    microsoft_login.TOKENS.clear()
    yield
    microsoft_login.TOKENS.clear()


def login(vendor: Sandbox, **changes: object) -> Login:
    fields: dict[str, object] = {
        "account": "test",
        "base_url": vendor.url,
        "login_url": vendor.url,
        "tenant": MICROSOFT_TENANT,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "deadline_seconds": 5.0,
        "allow_loopback": True,
    }
    return Login(**(fields | changes))  # type: ignore[arg-type]


def an_order(*quantities: int, email: str = "ines@alder.example", prefix: str = "") -> OrderRequest:
    customer = CustomerRequest(
        name="Alder Dental Group",
        domain=f"{prefix or 'a' + uuid.uuid4().hex[:12]}.onmicrosoft.com",
        email=email,
        first_name="Ines",
        last_name="Alder",
        phone="+31 30 123 4567",
        address_line1="Oudegracht 12",
        address_line2="",
        city="Utrecht",
        state="",
        postal_code="3511 AB",
        country="NL",
    )
    lines = tuple(
        LineRequest(number, "CFQ7TTC0LCHC", "0002", f"Offer {number}", quantity, "P1Y", "monthly", "Commercial")
        for number, quantity in enumerate(quantities, start=1)
    )
    return OrderRequest(reference=uuid.uuid4().hex, currency="EUR", customer=customer, lines=lines)


def follow(
    vendor: Sandbox, order: OrderRequest, journal: MemoryJournal, connector: partner_center.PartnerCenter, looks: int = 12
) -> Snapshot:
    """Ask again and again, as the engine does, until the vendor's word is final. Time is the sandbox's own."""
    for _ in range(looks):
        try:
            snapshot = connector.advance(order, journal)
        except OutcomeUnknown:
            vendor.clock("PT2S")
            continue
        if snapshot.phase is Phase.DONE:
            return snapshot
        vendor.clock("PT3S")
    pytest.fail("The order never came to an end.")


def buy(vendor: Sandbox, order: OrderRequest) -> Snapshot:
    with closing(partner_center.PartnerCenter(login(vendor), MEANINGS)) as connector:
        return follow(vendor, order, MemoryJournal(connector), connector)


@pytest.fixture
def connector(vendor: Sandbox) -> Iterator[partner_center.PartnerCenter]:
    with closing(partner_center.PartnerCenter(login(vendor), MEANINGS)) as opened:
        yield opened


def test_an_order_is_bought_once_with_a_subscription_for_each_line(vendor: Sandbox) -> None:
    snapshot = buy(vendor, an_order(5, 3))
    assert [bought.line for bought in snapshot.bought] == [1, 2]
    assert all(bought.subscription_ref and bought.unit_cost for bought in snapshot.bought)
    assert len(vendor.ledger()["orders"]) == 1


@pytest.mark.parametrize(
    ("quantities", "email", "prefix", "expected"),
    [
        ((2,), "refused.me@alder.example", "", [(None, "3000", 400, "BillingProfile.Email")]),
        ((2,), "ines@alder.invalid", "", [(None, "27002", 400, "BillingProfile.Email")]),
        ((2,), "ines@alder.example", "takenalder", [(None, "domain_taken", 200, "")]),
        ((402,), "ines@alder.example", "", [(None, "800023", 403, "")]),
        ((800088,), "ines@alder.example", "", [(None, "800088", 403, "")]),
        ((26,), "ines@alder.example", "", [(1, "10015", 201, "")]),
        ((207,), "ines@alder.example", "", [(1, "800069", 201, "")]),
        ((204,), "ines@alder.example", "", [(1, "", None, "")]),
    ],
    ids=["contact", "contact burns the domain", "domain taken", "credit", "seats left", "too many seats", "risk check", "no reason"],
)
def test_a_definite_no_is_told_with_its_code_and_nothing_is_bought(
    vendor: Sandbox, quantities: tuple[int, ...], email: str, prefix: str, expected: list[tuple[object, ...]]
) -> None:
    with pytest.raises(Rejected) as caught:
        buy(vendor, an_order(*quantities, email=email, prefix=prefix))
    assert [(refusal.line, refusal.code, refusal.http_status, refusal.field) for refusal in caught.value.refusals] == expected
    assert not [order for order in vendor.ledger()["orders"] if order["status"] == "completed"]


def test_one_line_refused_and_one_bought_are_both_told(vendor: Sandbox) -> None:
    snapshot = buy(vendor, an_order(5, 207))
    assert [bought.line for bought in snapshot.bought] == [1]
    assert [(refusal.line, refusal.code) for refusal in snapshot.refusals] == [(2, "800069")]


def test_a_line_that_fails_later_without_a_reason_is_told_beside_the_bought_one(vendor: Sandbox) -> None:
    snapshot = buy(vendor, an_order(5, 204))
    assert [bought.line for bought in snapshot.bought] == [1]
    assert [(refusal.line, refusal.code, refusal.text) for refusal in snapshot.refusals] == [(2, "", "")]


def test_an_order_that_waits_for_a_person_says_so(vendor: Sandbox, connector: partner_center.PartnerCenter) -> None:
    snapshot = connector.advance(an_order(428), MemoryJournal(connector))
    assert snapshot.phase is Phase.ACTION
    assert "purchase order" in snapshot.action


@pytest.mark.parametrize(("quantity", "retry_after"), [(429, 3), (503, None), (599, None)])
def test_a_busy_vendor_did_nothing_and_says_when_to_come_back(vendor: Sandbox, quantity: int, retry_after: int | None) -> None:
    with pytest.raises(Busy) as caught:
        buy(vendor, an_order(quantity))
    assert (caught.value.retry_after.total_seconds() if caught.value.retry_after else None) == retry_after
    assert vendor.ledger()["orders"] == []


def test_the_vendors_text_arrives_as_it_was_sent(vendor: Sandbox) -> None:
    with pytest.raises(Rejected) as caught:
        buy(vendor, an_order(2, email="hostile@alder.example"))
    text = caught.value.refusals[0].text
    assert text.startswith("<img src=x onerror=alert(1)><script>")
    assert "\u202e" in text
    assert len(text) > 4000


@pytest.mark.parametrize("path", [CUSTOMERS, CARTS, CHECKOUT])
@pytest.mark.parametrize("fault", [*AFTER_THE_EFFECT, *BEFORE_THE_EFFECT])
def test_a_fault_at_any_step_never_buys_twice_and_never_reads_as_a_no(
    vendor: Sandbox, connector: partner_center.PartnerCenter, path: str, fault: str
) -> None:
    """A doubt is asked again with the same key; a busy vendor (nothing bought) is left to a new attempt."""
    order = an_order(5)
    vendor.faults(fault, method="POST", path=path)
    journal = MemoryJournal(connector)
    try:
        follow(vendor, order, journal, connector)
    except Busy:
        assert not journal.was_sent(partner_center.CHECKOUT), "Once the checkout was sent, only its answer decides."
        again = MemoryJournal(connector)
        again.tenant_ref = journal.tenant_ref
        follow(vendor, order, again, connector)
    ledger = vendor.ledger()
    assert len(ledger["orders"]) == 1
    assert len(ledger["customers"]) == 1


@pytest.mark.parametrize("fault", ["empty", "bad_json"])
def test_a_look_up_that_cannot_be_read_does_not_say_that_the_offer_is_gone(
    vendor: Sandbox, connector: partner_center.PartnerCenter, fault: str
) -> None:
    vendor.faults(fault, method="GET", path="/v1/products/*")
    with pytest.raises(Busy):
        connector.advance(an_order(5), MemoryJournal(connector))


@pytest.mark.parametrize("fault", ["empty", "bad_json"])
def test_a_list_of_orders_that_cannot_be_read_does_not_prove_that_nothing_was_bought(
    vendor: Sandbox, connector: partner_center.PartnerCenter, fault: str
) -> None:
    """A no that the catalogue does not know counts only after a look; the look has to be one."""
    vendor.faults("code:400/777777", method="POST", path=CHECKOUT)
    vendor.faults(fault, method="GET", path="/v1/customers/*/orders")
    with pytest.raises(OutcomeUnknown):
        connector.advance(an_order(5), MemoryJournal(connector))


def test_a_repeat_uses_the_same_key_and_a_new_attempt_another(vendor: Sandbox, connector: partner_center.PartnerCenter) -> None:
    order = an_order(5)
    vendor.faults("drop_before_commit", method="POST", path=CHECKOUT)
    journal = MemoryJournal(connector)
    follow(vendor, order, journal, connector)
    keys = {step: {row[3] for row in journal.rows if row[0] == step} for step in {row[0] for row in journal.rows}}
    assert all(len(used) == 1 for used in keys.values())
    assert len({key for used in keys.values() for key in used}) == len(keys)


def test_a_stale_catalogue_id_is_refreshed_once_by_itself(vendor: Sandbox) -> None:
    vendor.faults("code:404/400019", method="POST", path=CARTS)
    assert buy(vendor, an_order(5)).phase is Phase.DONE


def test_a_refused_login_is_no_orders_fault(vendor: Sandbox) -> None:
    with closing(partner_center.PartnerCenter(login(vendor, client_secret="wrong"), MEANINGS)) as connector, pytest.raises(AuthBroken):
        connector.advance(an_order(5), MemoryJournal(connector))


def test_a_vendor_that_is_not_there_did_nothing(vendor: Sandbox) -> None:
    away = login(vendor, base_url="http://127.0.0.1:9", login_url="http://127.0.0.1:9")
    with closing(partner_center.PartnerCenter(away, MEANINGS)) as connector, pytest.raises(Busy):
        connector.advance(an_order(5), MemoryJournal(connector))


def test_the_password_of_a_new_tenant_is_never_kept(vendor: Sandbox, connector: partner_center.PartnerCenter) -> None:
    journal = MemoryJournal(connector)
    follow(vendor, an_order(5), journal, connector)
    bodies = b"".join(row[4].body for row in journal.rows if row[4])
    assert b"Sbx!" not in bodies
    assert b"[removed]" in bodies


def test_a_login_shows_no_secret(vendor: Sandbox) -> None:
    assert CLIENT_SECRET not in repr(login(vendor))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.partnercenter.microsoft.com",
        "ftp://example.com",
        "https://127.0.0.1",
        "https://10.0.0.8",
        "https://[::1]",
        "https://169.254.169.254",
        "https://localhost",
        "https://user@example.com",
        "https://",
        "file:///etc/passwd",
    ],
)
def test_only_public_https_addresses_are_called(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        check_address(url, allow_loopback=False)


def test_a_public_https_address_and_loopback_where_allowed_are_called() -> None:
    check_address("https://api.partnercenter.microsoft.com", allow_loopback=False)
    check_address("http://127.0.0.1:8787", allow_loopback=True)


def test_a_call_after_the_deadline_is_not_sent(vendor: Sandbox) -> None:
    with closing(Client(login(vendor, deadline_seconds=0.0))) as client, pytest.raises(NothingSent):
        client.send("GET", f"{vendor.url}/__sandbox__/health", {}, b"")


def test_a_vendor_that_answers_too_late_leaves_a_doubt(vendor: Sandbox) -> None:
    vendor.faults("delay:PT2S", method="POST", path="*/oauth2/token")
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "resource": "https://api.partnercenter.microsoft.com",
        }
    ).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with closing(Client(login(vendor, deadline_seconds=0.5))) as client, pytest.raises(OutcomeUnknown):
        client.send("POST", f"{vendor.url}/{MICROSOFT_TENANT}/oauth2/token", kind, form)
