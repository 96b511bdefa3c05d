"""Faults: what the caller sees, and what the ledger has nevertheless."""

import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from .client import Box, customer_body, guid


def orders(box: Box) -> int:
    return len(box.control("GET", "ledger")["orders"])


def in_background(box: Box, customer: str, cart: str) -> Future[httpx.Response]:
    """Check out on a connection of its own."""
    box.token()
    outcome: Future[httpx.Response] = Future()

    def run() -> None:
        try:
            with httpx.Client(base_url=box.url, timeout=10) as http:
                outcome.set_result(box.checkout(customer, cart, http=http))
        except httpx.HTTPError as problem:
            outcome.set_exception(problem)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def wait_for_held(box: Box, count: int) -> None:
    deadline = time.monotonic() + 5
    while box.control("GET", "faults")["held"] != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("action", "after"), [("drop_before_commit", 0), ("drop_after_commit", 1)])
def test_drop(box: Box, action: str, after: int) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout", "POST")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        box.checkout(customer, cart)
    assert orders(box) == after
    assert box.checkout(customer, cart).status_code == 201
    assert orders(box) == 1
    dropped = [call for call in box.control("GET", "log")["calls"] if call["outcome"] == "dropped"]
    assert [call["status"] for call in dropped] == [None]


@pytest.mark.parametrize(("action", "while_held"), [("hold_before_commit", 0), ("hold_after_commit", 1)])
def test_hold_and_release(box: Box, action: str, while_held: int) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout", "POST")
    outcome = in_background(box, customer, cart)
    wait_for_held(box, 1)
    assert orders(box) == while_held
    assert box.control("GET", "faults")["holding"][0]["where"] == action
    assert box.control("POST", "release") == {"released": 1}
    assert outcome.result(5).status_code == 201
    assert orders(box) == 1
    wait_for_held(box, 0)


def test_effect_after_the_caller_gave_up(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault("hold_before_commit", "*/checkout", "POST")
    with httpx.Client(base_url=box.url, timeout=0.1) as http, pytest.raises(httpx.ReadTimeout):
        box.checkout(customer, cart, http=http)
    assert orders(box) == 0
    box.control("POST", "release")
    deadline = time.monotonic() + 5
    while orders(box) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_held_call_vanishes_with_a_reset(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault("hold_before_commit", "*/checkout", "POST")
    outcome = in_background(box, customer, cart)
    wait_for_held(box, 1)
    box.control("POST", "reset")
    with pytest.raises(httpx.HTTPError):
        outcome.result(5)
    assert orders(box) == 0


def test_parallel_checkouts_of_one_cart(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: box.checkout(customer, cart), range(16)))
    assert {answer.text for answer in answers} == {answers[0].text}
    assert orders(box) == 1


def test_replay_after_a_lost_creation(box: Box) -> None:
    request_id = guid()
    box.fault("drop_after_commit", "*/customers", "POST")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        box.call("POST", "/customers", customer_body(), headers={"MS-RequestId": request_id})
    again = box.call("POST", "/customers", customer_body(), headers={"MS-RequestId": request_id})
    assert again.status_code == 201
    assert again.json()["userCredentials"]["password"]
    assert len(box.control("GET", "ledger")["customers"]) == 1


def test_a_lost_call_used_up_its_correlation_id(box: Box) -> None:
    used = guid()
    box.fault("drop_before_commit")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        box.call("GET", "/customers", headers={"MS-CorrelationId": used})
    assert box.call("GET", "/customers", headers={"MS-CorrelationId": used}).status_code == 400
    box.expected = ["correlation_reused"]


def test_times_and_after(box: Box) -> None:
    box.fault("status:500", "/v1/customers", "GET", times=2, after=1)
    assert [box.call("GET", "/customers").status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    (fault,) = box.control("GET", "faults")["faults"]
    assert (fault["matched"], fault["acted"]) == (5, 2)
    box.fault("status:418", times=None)
    assert [box.call("GET", "/customers").status_code for _ in range(3)] == [418] * 3
    assert box.control("DELETE", "faults") == {"deleted": 2}
    assert box.call("GET", "/customers").status_code == 200


def test_forced_answers(box: Box) -> None:
    box.fault("code:404/400019")
    answer = box.call("GET", "/customers")
    assert (answer.status_code, answer.json()["code"]) == (404, 400019)
    box.fault("429:57")
    answer = box.call("GET", "/customers")
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["statusCode"]) == (429, "57", 429)
    box.fault("html502")
    answer = box.call("GET", "/customers")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    box.fault("text:Say: <b>no</b> \u202e")
    answer = box.call("GET", "/customers")
    assert (answer.status_code, answer.json()["code"], answer.json()["description"]) == (400, 3000, "Say: <b>no</b> \u202e")
    box.fault("nul")
    assert json.loads(box.call("GET", "/customers").text)["description"] == "before\u0000after \ud800 end"
    assert box.http.get("/__sandbox__/log").status_code == 200


def test_delay(box: Box) -> None:
    box.token()
    box.fault("delay:PT0.2S", "/v1/customers")
    started = time.monotonic()
    assert box.call("GET", "/customers").status_code == 200
    assert time.monotonic() - started >= 0.2


def test_spoiled_bodies(box: Box) -> None:
    customer = box.customer()
    path = f"/customers/{customer}"
    box.fault("bom")
    answer = box.call("GET", path)
    assert answer.content.startswith(b"\xef\xbb\xbf{")
    assert json.loads(answer.content.decode("utf-8-sig"))["id"] == customer
    box.fault("empty")
    answer = box.call("GET", path)
    assert (answer.status_code, answer.content) == (200, b"")
    box.fault("bad_json")
    with pytest.raises(json.JSONDecodeError):
        box.call("GET", path).json()
    box.fault("truncate")
    with pytest.raises(httpx.RemoteProtocolError):
        box.call("GET", path)
    assert box.call("GET", path).status_code == 200


@pytest.mark.parametrize("action", ["truncate", "empty", "bom", "bad_json", "status_after_commit:500"])
def test_spoiled_answers_come_after_the_effect(box: Box, action: str) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout")
    try:
        box.checkout(customer, cart)
    except httpx.RemoteProtocolError:
        assert action == "truncate"
    assert orders(box) == 1


@pytest.mark.parametrize("action", ["html502", "status:500", "text:no", "nul", "429:1", "code:409/800064"])
def test_forced_answers_have_no_effect(box: Box, action: str) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout")
    assert box.checkout(customer, cart).status_code >= 400
    assert orders(box) == 0


def test_token_fault(box: Box) -> None:
    box.control("POST", "faults", {"action": "token:invalid_grant"})
    answer = box.ask_token()
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert box.ask_token().status_code == 200
