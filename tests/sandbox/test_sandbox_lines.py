"""Faults of the line: answers that never end, that are too large, or that come from somewhere else; and effects that come late."""

import json
import socket
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from .client import Box, guid
from .conftest import Start, url_of

MIB = 1024 * 1024
RESET = (httpx.ReadError, httpx.RemoteProtocolError)


def orders(box: Box) -> list[dict[str, Any]]:
    return list(box.control("GET", "ledger")["orders"])


def test_late_effect(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault("late_effect:PT30S", "*/checkout", "POST")
    with pytest.raises(RESET):
        box.checkout(customer, cart)
    assert orders(box) == []
    assert [call["path"].rpartition("/")[2] for call in box.control("GET", "late")["late"]] == ["checkout"]
    box.advance("PT29S")
    assert orders(box) == []
    box.advance("P1D")
    (order,) = orders(box)
    assert box.control("GET", "late")["late"] == []
    # It bears the time at which it happened, not that of the look.
    assert order["creationDate"] < box.control("GET", "health")["now"][:10]
    box.tokens.clear()
    assert box.checkout(customer, cart).json()["orders"][0]["id"] == order["id"]


def test_late_effect_after_the_same_call_again_buys_once(box: Box) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault("late_effect:PT30S", "*/checkout", "POST")
    with pytest.raises(RESET):
        box.checkout(customer, cart)
    assert box.checkout(customer, cart).status_code == 201
    box.advance("PT1M")
    assert len(orders(box)) == 1


def test_late_creations_with_the_same_request_id_are_one(box: Box) -> None:
    customer, request_id = box.customer(), guid()
    body = {"lineItems": [box.line(0, 5)]}
    box.fault("late_effect:PT30S", "*/carts", "POST")
    with pytest.raises(RESET):
        box.call("POST", f"/customers/{customer}/carts", body, headers={"MS-RequestId": request_id})
    first = box.call("POST", f"/customers/{customer}/carts", body, headers={"MS-RequestId": request_id})
    box.advance("PT1M")
    assert [cart["id"] for cart in box.control("GET", "ledger")["carts"]] == [first.json()["id"]]


def test_a_killed_vendor_still_has_the_late_effect(start: Start, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--ledger", str(tmp_path / "l"))
    process = start(*arguments)
    with Box(url_of(process)) as box:
        customer = box.customer()
        cart = box.cart(customer, 5)
        box.fault("late_effect:PT30S", "*/checkout", "POST")
        with pytest.raises(RESET):
            box.checkout(customer, cart)
    process.kill()
    process.wait()
    with Box(url_of(start(*arguments))) as again:
        assert orders(again) == []
        again.advance("PT30S")
        assert len(orders(again)) == 1


@pytest.mark.parametrize(("action", "after"), [("hang", 0), ("hang_after_commit", 1)])
def test_hang(box: Box, action: str, after: int) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout", "POST")
    with httpx.Client(base_url=box.url, timeout=0.3) as http, pytest.raises(httpx.ReadTimeout):
        box.checkout(customer, cart, http=http)
    assert len(orders(box)) == after
    assert box.control("GET", "log")["calls"][-1]["outcome"] == "hung"
    assert box.checkout(customer, cart).status_code == 201
    assert len(orders(box)) == 1


def test_hanging_ends_with_a_reset(box: Box) -> None:
    box.token()
    box.fault("hang", "/v1/customers")
    address = box.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=5) as line:
        line.sendall(f"GET /v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {box.token()}\r\n\r\n".encode())
        while not box.control("GET", "log")["calls"] or box.control("GET", "log")["calls"][-1]["outcome"] != "hung":
            time.sleep(0.01)
        box.control("POST", "reset")
        with pytest.raises(ConnectionResetError):
            line.recv(1)


def test_drip(box: Box) -> None:
    customer = box.customer()
    box.fault("drip:0.001")
    started = time.monotonic()
    answer = box.call("GET", f"/customers/{customer}")
    assert answer.json()["id"] == customer
    assert time.monotonic() - started >= 0.001 * len(answer.content)


def test_drip_headers(box: Box) -> None:
    box.token()
    box.fault("drip_headers:1")
    with httpx.Client(base_url=box.url, timeout=0.5) as http, pytest.raises(httpx.ReadTimeout):
        # Each byte comes in time for nobody: the first after none, the next after a second.
        box.call("GET", "/customers", http=http)
    box.fault("drip_headers:0.001")
    assert box.call("GET", "/customers").json()["items"] == []


@pytest.mark.parametrize(("action", "size"), [("huge", 10 * MIB), ("huge:2000000", 2_000_000)])
def test_huge(box: Box, action: str, size: int) -> None:
    customer = box.customer()
    box.fault(action)
    answer = box.call("GET", f"/customers/{customer}")
    assert len(answer.content) == size
    assert json.loads(answer.content)["id"] == customer


def test_gzip_bomb_though_nobody_asked(box: Box) -> None:
    customer = box.customer()
    box.fault("gzip_bomb")
    headers: dict[str, str | None] = {"Authorization": f"Bearer {box.token()}", "Accept-Encoding": "identity"}
    with box.http.stream("GET", f"/v1/customers/{customer}", headers={k: v for k, v in headers.items() if v}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < MIB
    unpacker, size = zlib.decompressobj(16 + zlib.MAX_WBITS), 0
    left = packed
    while left:
        size += len(unpacker.decompress(left, MIB))
        left = unpacker.unconsumed_tail
    assert size == 128 * MIB
    box.fault("gzip_bomb:5000")
    answer = box.call("GET", f"/customers/{customer}", headers=headers)
    assert (len(answer.content), answer.json()["id"]) == (5000, customer)


def test_redirect(box: Box) -> None:
    box.fault("redirect:http://169.254.169.254/latest/meta-data/")
    answer = box.call("GET", "/customers")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://169.254.169.254/latest/meta-data/")


def test_wrong_content_type_and_lone_surrogate(box: Box) -> None:
    box.fault("wrong_content_type")
    answer = box.call("GET", "/customers")
    assert (answer.headers["Content-Type"], answer.json()["totalCount"]) == ("text/plain", 0)
    box.fault("lone_surrogate")
    answer = box.call("GET", "/customers")
    assert (answer.status_code, json.loads(answer.text)["description"]) == (400, "before \udfff after")
    box.control("GET", "log")


@pytest.mark.parametrize(
    ("shape", "keys"),
    [
        (1, {"code", "description", "data", "source"}),
        (2, {"code", "message", "description", "errorName", "isRetryable", "parameters", "errorMessageExtended"}),
        (3, {"statusCode", "message"}),
        (4, {"error", "error_description", "error_codes", "correlation_id", "trace_id"}),
        (5, None),
        (6, {"code", "message", "additionalDetails"}),
        (7, {"error"}),
        (8, {"error_code", "errors"}),
    ],
)
def test_shapes(box: Box, shape: int, keys: set[str] | None) -> None:
    box.fault(f"shape:{shape}:409/800064")
    answer = box.call("GET", "/customers")
    assert answer.status_code == 409
    if keys is None:
        assert answer.headers["Content-Type"].startswith("text/html")
    else:
        assert set(answer.json()) == keys
        assert "800064" in answer.text


@pytest.mark.parametrize(
    "action", ["hang_after_commit", "huge", "gzip_bomb:9000", "wrong_content_type", "drip:0.0001", "drip_headers:0.0001"]
)
def test_these_come_after_the_effect(box: Box, action: str) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout")
    if action == "hang_after_commit":
        with httpx.Client(base_url=box.url, timeout=0.3) as http, pytest.raises(httpx.ReadTimeout):
            box.checkout(customer, cart, http=http)
    else:
        assert box.checkout(customer, cart).status_code == 201
    assert len(orders(box)) == 1


@pytest.mark.parametrize("action", ["lone_surrogate", "redirect:http://10.0.0.1/", "shape:2:500/0", "shape:5:502/0"])
def test_these_have_no_effect(box: Box, action: str) -> None:
    customer = box.customer()
    cart = box.cart(customer, 5)
    box.fault(action, "*/checkout")
    assert box.checkout(customer, cart).status_code >= 300
    assert orders(box) == []


@pytest.mark.parametrize(
    "action", ["shape:9:400/1", "shape:1:99/1", "huge:x", "huge:99999999999", "drip:", "redirect:", "redirect:a\r\nb", "late_effect:soon"]
)
def test_rules_that_make_no_sense(box: Box, action: str) -> None:
    assert box.http.post("/__sandbox__/faults", json={"action": action}).status_code == 400
