"""What every connector of a vendor with an API must keep, whatever the vendor's shape: over real HTTP, with a journal in memory.

A new connector joins with a kit (tests/vendors/kits.py). No Django, no database.
"""

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest

from orders.vendors.contract import Answer, AuthBroken, Busy, Call, MustPark, OutcomeUnknown, Phase, Rejected
from orders.vendors.http import ForbiddenAddress
from orders.vendors.sandbox.answers import SHAPES
from orders.vendors.sandbox.faults import ACTIONS_WITH_ARGUMENT, EVENT_ACTIONS, PLAIN_ACTIONS
from tests.harness.sandbox import CLIENT_SECRET, Sandbox
from tests.vendors.kits import KITS, Kit
from tests.vendors.memory_journal import MemoryJournal, Send

# An action that the sandbox documents with a placeholder, and one to try; the others are tried as they are documented.
EXAMPLES = {
    "status:NNN": ("status:500", "status:503", "status:429", "status:408", "status:409"),
    "status_after_commit:NNN": ("status_after_commit:500", "status_after_commit:429"),
    "code:HTTP/CODE": ("code:400/9999", "code:500/9999"),
    "429:SECONDS": ("429:1",),
    "delay:PT5S": ("delay:PT0.1S",),
    "drip:SECONDS": ("drip:0.1",),
    "drip_headers:SECONDS": ("drip_headers:0.1",),
    "huge:BYTES": ("huge:2000000",),
    "gzip_bomb:BYTES": ("gzip_bomb:2000000",),
    "redirect:URL": ("redirect:http://169.254.169.254/",),
    "shape:N:HTTP/CODE": tuple(f"shape:{shape}:{status}/9999" for shape in SHAPES for status in (400, 503)),
}
# What leaves our patience to end the call.
ENDLESS = ("hold", "hang", "drip")


def faults() -> list[str]:
    """Every fault of a call that the sandbox knows."""
    documented = [action for action in PLAIN_ACTIONS if action not in EVENT_ACTIONS and not action.startswith("token:")]
    return documented + [example for action in ACTIONS_WITH_ARGUMENT for example in EXAMPLES.get(action, (action,))]


def is_no(fault: str) -> bool:
    """An error with a code and a 4xx status is a no, when nothing was bought; everything else is none."""
    return fault.partition(":")[0] in {"text", "nul", "lone_surrogate"} or "400/9999" in fault


per_kit = pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.slug)
STEPS = [pytest.param(kit, path, id=f"{kit.slug} {path}") for kit in KITS for path in kit.writing_paths]


def of_each(name: str, of: Callable[[Kit], Any]) -> pytest.MarkDecorator:
    """One case for each thing that a kit has."""
    cases = [pytest.param(kit, key, id=f"{kit.slug} {key}") for kit in KITS for key in of(kit)]
    return pytest.mark.parametrize(("kit", name), cases)


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    for kit in KITS:
        kit.tokens.clear()
    yield
    for kit in KITS:
        kit.tokens.clear()


def sent(vendor: Sandbox, kit: Kit) -> list[dict[str, Any]]:
    """The calls that could have bought, as they arrived."""
    calls = [call for call in vendor.calls() if call["method"] == "POST" and fnmatchcase(call["path"], kit.buying_path)]
    return [call for call in calls if not call["requestBody"] or call["requestBody"].get("orderType") != "PREVIEW"]


def pass_time(vendor: Sandbox, kit: Kit, journal: MemoryJournal, by: timedelta) -> None:
    """For the vendor and for us; tokens do not live that long."""
    vendor.clock(f"PT{int(by.total_seconds())}S")
    journal.passed += by
    kit.tokens.clear()


def refusals(caught: pytest.ExceptionInfo[Rejected]) -> list[tuple[object, ...]]:
    return [(refusal.line, refusal.code, refusal.http_status, refusal.field) for refusal in caught.value.refusals]


# --- what the vendor says


@per_kit
def test_an_order_is_bought_once_with_a_subscription_for_each_line(vendor: Sandbox, kit: Kit) -> None:
    snapshot = kit.buy(vendor, kit.order(5, 3))
    assert [bought.line for bought in snapshot.bought] == [1, 2]
    assert all(bought.subscription_ref and bought.vendor_order_ref and bought.unit_cost for bought in snapshot.bought)
    assert all(bought.starts_at and bought.ends_at and bought.starts_at < bought.ends_at for bought in snapshot.bought)
    assert snapshot.refusals == ()
    assert len(kit.purchases(vendor.ledger())) == 1
    assert len(sent(vendor, kit)) == 1


@of_each("name", lambda kit: kit.refused)
def test_a_definite_no_is_told_with_its_code_and_line_and_nothing_is_bought(vendor: Sandbox, kit: Kit, name: str) -> None:
    case = kit.refused[name]
    with pytest.raises(Rejected) as caught:
        kit.follow(vendor, kit.order(*case.quantities, offer=case.offer, **case.customer), kit.journal(vendor))
    assert refusals(caught) == list(case.told)
    assert kit.purchases(vendor.ledger()) == []


@of_each("quantities", lambda kit: kit.partly)
def test_one_line_refused_and_one_bought_are_both_told(vendor: Sandbox, kit: Kit, quantities: tuple[int, ...]) -> None:
    snapshot = kit.buy(vendor, kit.order(*quantities))
    assert [bought.line for bought in snapshot.bought] == [1]
    assert [(refusal.line, refusal.code) for refusal in snapshot.refusals] == [kit.partly[quantities]]


@of_each("quantity", lambda kit: kit.busy)
def test_a_busy_vendor_did_nothing_and_a_new_attempt_buys_once(vendor: Sandbox, kit: Kit, quantity: int) -> None:
    order = kit.order(quantity)
    with pytest.raises(Busy) as caught:
        kit.follow(vendor, order, kit.journal(vendor))
    assert caught.value.refusal.http_status
    assert kit.purchases(vendor.ledger()) == []
    assert kit.buy(vendor, order).phase is Phase.DONE
    assert len(kit.purchases(vendor.ledger())) == 1


@per_kit
def test_the_vendors_text_arrives_as_it_was_sent(vendor: Sandbox, kit: Kit) -> None:
    with pytest.raises(Rejected) as caught:
        kit.follow(vendor, kit.order(2, email="hostile@alder.example"), kit.journal(vendor))
    text = caught.value.refusals[0].text
    assert text.startswith("<img src=x onerror=alert(1)><script>")
    assert "\u202e" in text
    assert len(text) > 4000


@per_kit
def test_a_word_that_we_do_not_know_is_no_verdict(vendor: Sandbox, kit: Kit) -> None:
    order, journal = kit.order(5), kit.journal(vendor)
    kit.follow(vendor, order, journal)
    snapshot = kit.advance(vendor, order, Unheard(journal))
    assert (snapshot.phase, snapshot.bought, snapshot.refusals) == (Phase.UNKNOWN, (), ())
    assert "quantum_flux" in snapshot.raw_status


class Unheard(MemoryJournal):
    """Goes on where another journal stopped, with a vendor whose orders have a status that nobody documented."""

    def __init__(self, before: MemoryJournal) -> None:
        super().__init__(before.decides, before.tenant_ref)
        self.rows = before.rows

    def read(self, step: str, call: Call, send: Send) -> Answer:
        answer = super().read(step, call, send)
        return replace(answer, body=json.dumps(_unheard(json.loads(answer.body))).encode()) if step.startswith("order ") else answer


def _unheard(value: Any) -> Any:
    if isinstance(value, list):
        return [_unheard(item) for item in value]
    return {key: "quantum_flux" if key == "status" else _unheard(item) for key, item in value.items()} if isinstance(value, dict) else value


# --- what the network does


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize(("kit", "path"), STEPS)
def test_a_fault_at_any_step_never_buys_twice_and_never_reads_as_a_no(vendor: Sandbox, kit: Kit, path: str, fault: str) -> None:
    """A doubt is asked again with the same key; a busy vendor (nothing bought) is left to a new attempt."""
    vendor.faults(fault, method="POST", path=path)
    deadline = 2.0 if fault.startswith(ENDLESS) else 20.0
    try:
        kit.buy(vendor, kit.order(5), deadline_seconds=deadline)
    except Rejected:
        assert is_no(fault)
        assert kit.purchases(vendor.ledger()) == [], f"{fault} read as a no, and the order was bought."
        return
    ledger = vendor.ledger()
    assert len(kit.purchases(ledger)) == 1
    assert len(kit.customers(ledger)) == 1


@per_kit
def test_two_faults_in_a_row_at_the_call_that_buys_buy_once(vendor: Sandbox, kit: Kit) -> None:
    vendor.faults("drop_after_commit", method="POST", path=kit.buying_path)
    vendor.faults("status:500", method="POST", path=kit.buying_path, times=2)
    assert kit.buy(vendor, kit.order(5)).phase is Phase.DONE
    assert len(kit.purchases(vendor.ledger())) == 1


@per_kit
def test_while_the_doubt_lasts_a_vendor_that_is_away_changes_nothing(vendor: Sandbox, kit: Kit) -> None:
    order, journal = kit.order(5), kit.journal(vendor)
    vendor.faults("drop_after_commit", method="POST", path=kit.buying_path)
    with pytest.raises(OutcomeUnknown):
        kit.advance(vendor, order, journal)
    with pytest.raises(OutcomeUnknown):
        kit.advance(vendor, order, journal, base_url="http://127.0.0.1:9")
    assert kit.follow(vendor, order, journal).phase is Phase.DONE
    assert len(kit.purchases(vendor.ledger())) == 1


@per_kit
def test_a_repeat_has_the_same_bytes_and_key_and_a_new_attempt_another(vendor: Sandbox, kit: Kit) -> None:
    order = kit.order(5)
    vendor.faults("drop_before_commit", method="POST", path=kit.buying_path)
    journal = kit.journal(vendor)
    kit.follow(vendor, order, journal)
    first, again = sent(vendor, kit)
    assert first["path"] == again["path"]
    assert first["requestBody"] == again["requestBody"]
    assert first["requestHeaders"][kit.key_header] == again["requestHeaders"][kit.key_header]
    assert first["requestHeaders"][kit.try_header] != again["requestHeaders"][kit.try_header]
    assert len({row.call.body for row in journal.writes if row.step == kit.buying_step}) == 1
    kit.follow(vendor, replace(order, reference=uuid.uuid4().hex), kit.journal(vendor, journal.tenant_ref))
    assert sent(vendor, kit)[-1]["requestHeaders"][kit.key_header] != first["requestHeaders"][kit.key_header]


@per_kit
def test_a_vendor_that_is_not_there_did_nothing(vendor: Sandbox, kit: Kit) -> None:
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(Busy):
        kit.advance(vendor, kit.order(5), kit.journal(vendor), base_url=nowhere, login_url=nowhere)


@per_kit
def test_a_login_service_that_stutters_sends_nothing_and_pauses_no_account(vendor: Sandbox, kit: Kit) -> None:
    for fault in ("status:503", "429:1", "drop_after_commit"):
        vendor.faults(fault, method="POST", path=kit.token_path)
        with pytest.raises(Busy):
            kit.advance(vendor, kit.order(5), kit.journal(vendor))
    assert kit.customers(vendor.ledger()) == []


@per_kit
def test_a_refused_login_is_no_orders_fault(vendor: Sandbox, kit: Kit) -> None:
    with pytest.raises(AuthBroken):
        kit.advance(vendor, kit.order(5), kit.journal(vendor), client_secret="wrong")
    vendor.faults("token:invalid_grant", method="POST", path=kit.token_path)
    with pytest.raises(AuthBroken):
        kit.advance(vendor, kit.order(5), kit.journal(vendor))
    assert vendor.ledger()["now"]
    assert kit.customers(vendor.ledger()) == []


@per_kit
def test_a_login_refused_in_the_middle_leaves_the_order_to_be_sent_again(vendor: Sandbox, kit: Kit) -> None:
    """The door is shut for the call that buys, twice, so a new token does not help; later the same attempt goes on."""
    order, journal = kit.order(5), kit.journal(vendor)
    vendor.faults("status:401", method="POST", path=kit.buying_path, times=2)
    with pytest.raises(AuthBroken):
        kit.advance(vendor, order, journal)
    assert kit.follow(vendor, order, journal).phase is Phase.DONE
    assert len(kit.purchases(vendor.ledger())) == 1


# --- what can no longer be asked


@per_kit
def test_after_the_key_has_expired_the_order_is_looked_up_and_adopted(vendor: Sandbox, kit: Kit) -> None:
    order, journal = kit.order(5), kit.journal(vendor)
    vendor.faults("drop_after_commit", method="POST", path=kit.buying_path)
    with pytest.raises(OutcomeUnknown):
        kit.advance(vendor, order, journal)
    pass_time(vendor, kit, journal, kit.key_life)
    assert kit.follow(vendor, order, journal).phase is Phase.DONE
    assert journal.adopted_refs
    assert len(kit.purchases(vendor.ledger())) == 1
    assert len(sent(vendor, kit)) == 1, "The same call would buy again."


@per_kit
def test_after_the_key_has_expired_an_order_that_is_not_found_is_parked(vendor: Sandbox, kit: Kit) -> None:
    order, journal = kit.order(5), kit.journal(vendor)
    vendor.faults("drop_before_commit", method="POST", path=kit.buying_path)
    with pytest.raises(OutcomeUnknown):
        kit.advance(vendor, order, journal)
    pass_time(vendor, kit, journal, kit.key_life)
    for _ in range(2):
        with pytest.raises(MustPark):
            kit.advance(vendor, order, journal)
    assert len(sent(vendor, kit)) == 1, "The same call would buy again."
    assert kit.purchases(vendor.ledger()) == []


@per_kit
def test_find_ignores_the_orders_of_other_attempts_and_parks_when_two_fit(vendor: Sandbox, kit: Kit) -> None:
    """Two attempts bought the same: only which of them the portal knows tells them apart."""
    start, order = datetime.now(UTC) - timedelta(minutes=1), kit.order(5)
    journal = kit.journal(vendor)
    first = kit.follow(vendor, order, journal).order_refs
    second = kit.follow(vendor, order, kit.journal(vendor, journal.tenant_ref)).order_refs
    assert first != second
    look = kit.journal(vendor, journal.tenant_ref)
    pass_time(vendor, kit, look, timedelta(minutes=20))

    def found(known: tuple[str, ...]) -> tuple[str, ...]:
        look.known = frozenset(known)
        with closing(kit.connect(vendor)) as connector:
            return connector.find(order, look, start)

    assert found(first) == second
    assert found(second) == first
    assert found(first + second) == ()
    with pytest.raises(MustPark):
        found(())
    assert look.writes == []


@per_kit
def test_a_list_that_can_not_be_read_does_not_say_that_nothing_was_bought(vendor: Sandbox, kit: Kit) -> None:
    """Nor that the vendor refused: after a restored backup nothing else is known of what was sent."""
    order, journal = kit.order(5), kit.journal(vendor)
    bought = kit.follow(vendor, order, journal)
    pass_time(vendor, kit, journal, timedelta(minutes=20))
    start = datetime.now(UTC) - timedelta(minutes=1)
    with closing(kit.connect(vendor)) as connector:
        for path in kit.listing_paths:
            for fault in ("truncate", "empty", "bad_json", "html502", "drop_after_commit", "status:500", "code:404/9999", "code:403/9999"):
                vendor.faults(fault, method="GET", path=path)
                with pytest.raises((OutcomeUnknown, Busy)):
                    connector.find(order, kit.journal(vendor), start)
        assert connector.find(order, kit.journal(vendor), start) == bought.order_refs


@per_kit
def test_an_adopted_order_is_only_asked_about(vendor: Sandbox, kit: Kit) -> None:
    order, journal = kit.order(5, 3), kit.journal(vendor)
    bought = kit.follow(vendor, order, journal)
    vendor.call("POST", "clock", {"advance": "PT1S"})
    adopting = kit.journal(vendor, journal.tenant_ref)
    adopting.adopt(bought.order_refs)
    assert kit.advance(vendor, order, adopting).bought == bought.bought
    assert adopting.writes == []
    assert len(kit.purchases(vendor.ledger())) == 1


# --- questions


@per_kit
def test_check_lists_every_problem_at_once_and_changes_nothing(vendor: Sandbox, kit: Kit) -> None:
    journal = kit.journal(vendor)
    kit.follow(vendor, kit.order(5), journal)
    before = vendor.ledger()
    asked = kit.journal(vendor, journal.tenant_ref)
    with closing(kit.connect(vendor)) as connector:
        good = connector.check(kit.order(5, 3), asked)
        wrong = connector.check(kit.two_problems(kit), asked)
    assert good == []
    assert {refusal.line for refusal in wrong} == {1, 2}
    assert asked.writes == []
    after = vendor.ledger()
    assert (kit.purchases(after), kit.customers(after)) == (kit.purchases(before), kit.customers(before))


@per_kit
def test_check_of_a_new_customer_creates_nobody(vendor: Sandbox, kit: Kit) -> None:
    journal = kit.journal(vendor)
    with closing(kit.connect(vendor)) as connector:
        assert connector.check(kit.order(5), journal) == []
    assert journal.writes == []
    assert kit.customers(vendor.ledger()) == []


@per_kit
def test_check_says_when_the_vendor_could_not_be_asked(vendor: Sandbox, kit: Kit) -> None:
    nowhere = "http://127.0.0.1:9"
    with closing(kit.connect(vendor, base_url=nowhere, login_url=nowhere)) as connector, pytest.raises(Busy):
        connector.check(kit.order(5), kit.journal(vendor))


# --- secrets, addresses, time


@per_kit
def test_no_secret_is_in_an_exchange_an_error_or_a_repr(vendor: Sandbox, kit: Kit) -> None:
    said: list[object] = [kit.login(vendor)]
    journal = kit.journal(vendor)
    kit.follow(vendor, kit.order(5), journal)
    for fault in ("status:401", "drop_after_commit", "html502"):
        vendor.faults(fault, method="POST", path=kit.buying_path, times=2)
        other = kit.journal(vendor, journal.tenant_ref)
        with pytest.raises((AuthBroken, OutcomeUnknown, Busy)) as caught:
            kit.advance(vendor, kit.order(5), other)
        said += [caught.value, repr(caught.value), other.rows]
        vendor.clear_faults()
    kit.tokens.clear()
    with pytest.raises(AuthBroken) as refused:
        kit.advance(vendor, kit.order(5), kit.journal(vendor), client_secret="wrong-canary")
    kit.follow(vendor, kit.order(5), kit.journal(vendor, journal.tenant_ref))
    with closing(kit.connect(vendor)) as connector:
        said += [refused.value, repr(refused.value), repr(connector), journal.rows]
    text = " ".join(map(str, said))
    assert kit.tokens, "There is a token that could have leaked."
    for secret in (CLIENT_SECRET, "wrong-canary", *(token for token, _until in kit.tokens.values())):
        assert secret not in text


@pytest.mark.parametrize("url", ["http://vendor.example", "https://10.0.0.8", "https://127.0.0.1", "https://localhost", "https://[::1]"])
@per_kit
def test_an_address_that_may_not_be_called_is_refused_before_anything_is_opened(vendor: Sandbox, kit: Kit, url: str) -> None:
    for part in ("base_url", "login_url"):
        good = {"base_url": "https://vendor.example", "login_url": "https://vendor.example", "allow_loopback": False}
        with pytest.raises(ForbiddenAddress):
            kit.connect(vendor, **(good | {part: url}))


@pytest.mark.parametrize("manner", ["silent", "drips", "drips its headers"])
@per_kit
def test_the_deadline_holds_for_a_vendor_that_is_silent_or_drips(vendor: Sandbox, kit: Kit, manner: str) -> None:
    kit.tokens["test"] = ("token", time.monotonic() + 600)
    journal = kit.journal(vendor, tenant="4711")
    with Slow(manner) as slow:
        began = time.monotonic()
        with pytest.raises((OutcomeUnknown, Busy)):
            kit.advance(vendor, kit.order(5), journal, base_url=slow.url, login_url=slow.url, deadline_seconds=1.0)
        took = time.monotonic() - began
    assert took < 5, f"A conversation of one second took {took:.1f}."


class Slow:
    """A server that takes every call and never comes to the end of its answer."""

    def __init__(self, manner: str) -> None:
        self._manner = manner
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Slow":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        talks = []
        while not self._over.is_set():
            try:
                caller, _address = self._socket.accept()
            except TimeoutError:
                continue
            talks.append(threading.Thread(target=self._talk, args=(caller,)))
            talks[-1].start()
        for talk in talks:
            talk.join()

    def _talk(self, caller: socket.socket) -> None:
        with caller:
            try:
                caller.recv(65536)
                if self._manner == "drips":
                    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
                elif self._manner == "drips its headers":
                    caller.sendall(b"HTTP/1.1 200 OK\r\n")
                while not self._over.wait(0.05):
                    if self._manner == "drips":
                        caller.sendall(b" ")
                    elif self._manner == "drips its headers":
                        caller.sendall(b"X-Slow: 1\r\n")
            except OSError:
                return
