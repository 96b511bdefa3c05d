"""Changing a subscription: the whole resource with its etag, the windows, and what a change within the term undoes."""

from typing import Any

import httpx
import pytest

from .client import Box, guid


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


class Held:
    """One subscription that is active."""

    def __init__(self, box: Box, quantity: int = 10, **line: Any) -> None:
        self.box = box
        self.customer = box.customer()
        cart = box.call("POST", f"/customers/{self.customer}/carts", {"lineItems": [box.line(0, quantity, **line)]}).json()["id"]
        order = box.checkout(self.customer, cart).json()["orders"][0]["id"]
        box.advance("PT10S")
        self.id = box.call("GET", f"/customers/{self.customer}/subscriptions?order_id={order}").json()["items"][0]["id"]
        self.path = f"/customers/{self.customer}/subscriptions/{self.id}"

    def get(self) -> dict[str, Any]:
        return dict(self.box.call("GET", self.path).json())

    def change(self, etag: str | None = None, leave_out: tuple[str, ...] = (), request_id: str = "", **changes: Any) -> httpx.Response:
        """The whole resource with some changes, as the vendor wants it."""
        body = self.get() | changes
        headers = {"If-Match": etag or body["attributes"]["etag"], "MS-RequestId": request_id or guid()}
        return self.box.call("PATCH", self.path, {name: body[name] for name in body if name not in leave_out}, headers=headers)

    def later(self, duration: str = "PT1M") -> None:
        self.box.advance(duration)
        self.box.tokens.clear()


@pytest.fixture
def held(box: Box) -> Held:
    return Held(box)


NEXT_TERM = {"product": {"productId": "CFQ7TTC0LH18", "skuId": "0001", "termDuration": "P1Y", "billingCycle": "monthly"}, "quantity": 4}


def test_quantity(held: Held) -> None:
    before = held.get()
    answer = held.change(quantity=12)
    assert (answer.status_code, answer.json()["quantity"]) == (200, 12)
    assert answer.headers["ETag"] == answer.json()["attributes"]["etag"] != before["attributes"]["etag"]
    assert held.get() == answer.json()
    assert held.box.call("GET", f"{held.path}/provisioningstatus").json()["status"] == "pending"
    held.later("PT3S")
    assert held.box.call("GET", f"{held.path}/provisioningstatus").json()["status"] == "success"
    assert held.box.control("GET", "ledger")["subscriptions"][0]["quantity"] == 12


def test_same_request_id_changes_once(held: Held) -> None:
    body, request_id = held.get(), guid()
    headers = {"If-Match": body["attributes"]["etag"], "MS-RequestId": request_id}
    first = held.box.call("PATCH", held.path, body | {"quantity": 12}, headers={**headers})
    again = held.box.call("PATCH", held.path, body | {"quantity": 12}, headers={**headers})
    assert (first.status_code, again.json()) == (200, first.json())


def test_nothing_changed_is_no_change(held: Held) -> None:
    before = held.get()
    assert held.change().json() == before


def test_stale_etag(held: Held) -> None:
    old = held.get()["attributes"]["etag"]
    assert held.change(quantity=12).status_code == 200
    assert code(held.change(etag=old, quantity=13)) == (400, 2055)
    assert code(held.box.call("PATCH", held.path, held.get())) == (400, 2055)
    held.box.expected = ["stale_etag", "missing_if_match"]


def test_an_etag_that_grew_old_behind_the_callers_back_is_no_mistake(held: Held) -> None:
    before = held.get()
    assert held.change(quantity=12).status_code == 200
    # The answer to the change was lost: the caller has not seen the new version.
    held.later()
    answer = held.box.call("PATCH", held.path, before | {"quantity": 12}, headers={"If-Match": before["attributes"]["etag"]})
    assert code(answer) == (400, 2055)


def test_incomplete_body_really_resets(held: Held) -> None:
    assert held.change(scheduledNextTermInstructions=NEXT_TERM).status_code == 200
    held.later()
    answer = held.change(leave_out=("autoRenewEnabled", "scheduledNextTermInstructions"))
    assert answer.status_code == 200
    assert answer.json()["autoRenewEnabled"] is False
    assert "scheduledNextTermInstructions" not in answer.json()
    held.box.expected = ["incomplete_patch"]
    (violation,) = held.box.control("GET", "violations")["violations"]
    assert "autoRenewEnabled, scheduledNextTermInstructions" in violation["detail"]


def test_scheduled_instructions(held: Held) -> None:
    assert held.change(scheduledNextTermInstructions=NEXT_TERM).json()["scheduledNextTermInstructions"] == NEXT_TERM
    held.later()
    assert "scheduledNextTermInstructions" not in held.change(scheduledNextTermInstructions=None).json()


@pytest.mark.parametrize("changes", [{"quantity": 11}, {"status": "suspended"}, {"autoRenewEnabled": False}])
def test_what_deletes_the_scheduled_instructions(held: Held, changes: dict[str, Any]) -> None:
    assert held.change(scheduledNextTermInstructions=NEXT_TERM).status_code == 200
    held.later()
    assert "scheduledNextTermInstructions" not in held.change(**changes).json()


def test_renewal_as_instructed(held: Held) -> None:
    assert held.change(scheduledNextTermInstructions=NEXT_TERM).status_code == 200
    first = held.get()
    held.later("P366D")
    renewed = held.get()
    assert (renewed["quantity"], renewed["status"]) == (4, "active")
    assert renewed["effectiveStartDate"] == first["commitmentEndDate"]
    assert "scheduledNextTermInstructions" not in renewed
    assert renewed["attributes"]["etag"] != first["attributes"]["etag"]


def test_without_renewal_it_expires(held: Held) -> None:
    assert held.change(autoRenewEnabled=False).status_code == 200
    held.later("P366D")
    assert held.get()["status"] == "expired"
    assert code(held.change(quantity=11)) == (400, 900279)


def test_windows(held: Held) -> None:
    assert held.change(quantity=8).status_code == 200
    held.later("P7D")
    assert held.get()["refundableQuantity"] == {"totalQuantity": 0, "details": []}
    assert code(held.change(quantity=7)) == (400, 800090)
    assert code(held.change(status="deleted")) == (400, 900117)
    # Seats that were added later have seven days of their own.
    assert held.change(quantity=11).status_code == 200
    held.later("P1D")
    assert code(held.change(quantity=7)) == (400, 800090)
    assert held.change(quantity=8).status_code == 200


def test_suspended_and_deleted(held: Held) -> None:
    assert held.change(status="suspended").json()["suspensionReasons"] == ["CustomerInitiatedSuspension"]
    held.later()
    assert code(held.change(quantity=12)) == (400, 2001)
    assert code(held.change(autoRenewEnabled=False)) == (400, 800091)
    assert held.change(status="active").status_code == 200
    held.later()
    assert held.change(status="deleted").json()["status"] == "deleted"
    held.later()
    assert code(held.change(quantity=12)) == (400, 2011)


def test_changing_too_fast(held: Held) -> None:
    assert held.change(quantity=11).status_code == 200
    assert code(held.change(quantity=12)) == (409, 800082)
    held.later("PT4S")
    assert held.change(quantity=12).status_code == 200
    held.later("PT4S")
    assert code(held.change(quantity=13)) == (409, 900278)
    for quantity in range(13, 31):
        held.later()
        assert held.change(quantity=quantity).status_code == 200
    held.later()
    assert code(held.change(quantity=31)) == (400, 900311)


def test_magic_quantities_of_a_change(held: Held) -> None:
    answer = held.change(quantity=503)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert held.get()["quantity"] == 10
    assert held.change(quantity=503).json()["quantity"] == 503
    held.later()
    assert code(held.change(quantity=800088)) == (403, 800088)
    assert code(held.change(quantity=402)) == (403, 800023)
    assert code(held.change(quantity=999)) == (400, 2002)


@pytest.mark.parametrize(
    ("changes", "expected", "kind"),
    [
        ({"status": "quantum"}, (400, 900126), "bad_enum"),
        ({"billingCycle": "Monthly"}, (400, 900126), "bad_enum"),
        ({"quantity": 0}, (400, 2002), "bad_quantity"),
        ({"autoRenewEnabled": "yes"}, (400, 800002), "bad_change"),
        ({"orderId": "x"}, (400, 3000), "read_only_field"),
        ({"scheduledNextTermInstructions": {"quantity": 4}}, (400, 800002), "bad_instructions"),
    ],
)
def test_fields_of_a_change(held: Held, changes: dict[str, Any], expected: tuple[int, int], kind: str) -> None:
    assert code(held.change(**changes)) == expected
    held.box.expected = [kind]


def test_terms_of_a_change(box: Box) -> None:
    held = Held(box, termDuration="P1Y")
    assert code(held.change(billingCycle="annual")) == (400, 800097)
    assert code(held.change(termDuration="P1M")) == (400, 800122)
    longer = held.change(termDuration="P3Y").json()
    assert longer["termDuration"] == "P3Y"
    assert longer["commitmentEndDate"] > held.get()["effectiveStartDate"]


def test_more_seats_are_a_purchase(held: Held) -> None:
    held.box.control("PATCH", f"customers/{held.customer}", {"agreement": "missing"})
    assert code(held.change(quantity=11)) == (403, 13605)
    assert held.change(quantity=9).status_code == 200
