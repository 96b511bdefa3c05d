"""`PATCH /customers/{id}/subscriptions/{id}`: the one way to change a subscription.

The body is the whole resource.  What is left out is not left alone: renewal is switched off and scheduled instructions are
deleted, as at the real vendor, and here the caller is told so in the list of violations as well.
"""

from typing import Any

from . import customer_rules, rules
from .answers import Answer, RefusedError, Request, error, html
from .catalogue import BILLING_CYCLES, LEAST_SEATS, MONTHS_COMMITTED, MOST_SEATS, TERMS
from .contract import read_json, refuse, violation
from .customers import find_client
from .ledger import Document
from .state import Sandbox
from .subscriptions import (
    WINDOW_SECONDS,
    etag,
    find_subscription,
    is_changing,
    refundable_seats,
    save,
    shown,
    state_of,
    subscription_json,
    term_end,
)
from .webhooks import announce_subscription

MOST_CHANGES = 20
CHANGES_A_MINUTE = 2
STATUSES = ("active", "suspended", "deleted")
_NOT_SENT_BACK = frozenset({"attributes", "links"})
_REFUSED_QUANTITIES = (rules.QUANTITY_NO_CREDIT, 800067, rules.QUANTITY_SEAT_LIMIT)


def patch_subscription(sandbox: Sandbox, request: Request, customer_id: str, subscription_id: str) -> Answer:
    """Quantity, auto-renew, status, term, and what shall be at renewal."""
    order, line = find_subscription(sandbox, request, customer_id, subscription_id)
    state = state_of(sandbox, order, line)
    _check_etag(sandbox, request, state)
    wanted = _wanted(sandbox, request, state, subscription_json(sandbox, order, line))
    changed = {name: value for name, value in wanted.items() if value != state[name]}
    if changed:
        _refuse_busy(sandbox, state)
        _refuse_state(state, changed)
        if changed.get("quantity", 0) > state["quantity"]:
            _refuse_customer(sandbox, request, order)
        _refuse_quantity(sandbox, request, state, changed)
        _refuse_terms(state, changed)
        _apply(sandbox, state, changed)
        save(sandbox, order, state)
        announce_subscription(sandbox, order, state["id"])
    return shown(sandbox, order, line)


def _check_etag(sandbox: Sandbox, request: Request, state: Document) -> None:
    given = request.headers.get("if-match")
    if given is None:
        refuse(sandbox, request, "missing_if_match", 400, 2055, "If-Match is missing.")
    if given == etag(state):
        return
    if state["shown"] == state["version"]:
        refuse(sandbox, request, "stale_etag", 400, 2055, "The ETag is no longer valid.")
    # Somebody else changed it since the caller looked: that is no mistake of his.
    raise RefusedError(error(400, 2055, "The ETag is no longer valid."))


def _wanted(sandbox: Sandbox, request: Request, state: Document, resource: Document) -> Document:
    body = read_json(sandbox, request)
    missing = [name for name in resource if name not in body and name not in _NOT_SENT_BACK]
    if missing:
        violation(sandbox, request, "incomplete_patch", f"The body is not the whole resource: {', '.join(missing)} left out.")
    if fixed := [name for name in ("id", "orderId") if body.get(name, resource[name]) != resource[name]]:
        refuse(sandbox, request, "read_only_field", 400, 3000, f"Invalid properties: {', '.join(fixed)}.", fixed)
    wanted = {
        "quantity": body.get("quantity", state["quantity"]),
        "status": body.get("status", state["status"]),
        "autoRenewEnabled": body.get("autoRenewEnabled", False),
        "friendlyName": body.get("friendlyName", state["friendlyName"]),
        "termDuration": body.get("termDuration", state["termDuration"]),
        "billingCycle": body.get("billingCycle", state["billingCycle"]),
        "instructions": body.get("scheduledNextTermInstructions"),
    }
    _check_types(sandbox, request, state, wanted)
    if not wanted["autoRenewEnabled"]:
        # Nothing can be scheduled for a renewal that does not happen.
        wanted["instructions"] = None
    return wanted


def _check_types(sandbox: Sandbox, request: Request, state: Document, wanted: Document) -> None:
    quantity, instructions = wanted["quantity"], wanted["instructions"]
    if type(quantity) is not int or not LEAST_SEATS <= quantity <= MOST_SEATS:
        refuse(sandbox, request, "bad_quantity", 400, 2002, "The quantity is not a whole number within the allowed range.", ["quantity"])
    if not isinstance(wanted["autoRenewEnabled"], bool) or not isinstance(wanted["friendlyName"], str | None):
        refuse(sandbox, request, "bad_change", 400, 800002, "Invalid request input.", ["autoRenewEnabled"])
    allowed = {"status": (*STATUSES, state["status"]), "termDuration": (*TERMS, None), "billingCycle": BILLING_CYCLES}
    for name, words in allowed.items():
        if wanted[name] not in words:
            refuse(sandbox, request, "bad_enum", 400, 900126, f"{name} cannot be parsed.", [name])
    if instructions is not None and not _are_instructions(instructions):
        refuse(sandbox, request, "bad_instructions", 400, 800002, "Invalid request input.", ["scheduledNextTermInstructions"])


def _are_instructions(value: Any) -> bool:
    """`{product: {productId, skuId, availabilityId, billingCycle, termDuration}, quantity}`."""
    if not isinstance(value, dict) or not isinstance(value.get("product"), dict):
        return False
    product, quantity = value["product"], value.get("quantity")
    named = all(isinstance(product.get(name), str) for name in ("productId", "skuId"))
    cycle_fits = product.get("billingCycle") in (None, *BILLING_CYCLES) and product.get("termDuration") in (None, *TERMS)
    return named and cycle_fits and (quantity is None or (type(quantity) is int and LEAST_SEATS <= quantity <= MOST_SEATS))


def _refuse_busy(sandbox: Sandbox, state: Document) -> None:
    if len(state["changes"]) >= MOST_CHANGES:
        raise RefusedError(error(400, 900311, "The subscription has been updated too many times."))
    if is_changing(sandbox, state):
        raise RefusedError(error(409, 800082, "The subscription is not ready; try later."))
    lately = [at for at in state["changes"] if at > sandbox.clock.now() - 60]
    if len(lately) >= CHANGES_A_MINUTE:
        raise RefusedError(error(409, 900278, "There is a pending operation; try again after 24 hours."))


def _refuse_state(state: Document, changed: Document) -> None:
    if state["status"] == "deleted":
        raise RefusedError(error(400, 2011, "A deleted subscription cannot be updated."))
    if state["status"] == "expired":
        raise RefusedError(error(400, 900279, "Updates are no longer allowed."))
    if state["status"] == "suspended" and changed.get("status") is None:
        code, words = (2001, "The quantity cannot be changed") if "quantity" in changed else (800091, "It cannot be updated")
        raise RefusedError(error(400, code, f"{words} while the subscription is suspended."))


def _refuse_customer(sandbox: Sandbox, request: Request, order: Document) -> None:
    """More seats are a purchase like any other."""
    refused = customer_rules.refused_purchase(find_client(sandbox, request, order["customerId"]))
    if refused is not None:
        raise RefusedError(refused)


def _refuse_quantity(sandbox: Sandbox, request: Request, state: Document, changed: Document) -> None:
    quantity = changed.get("quantity")
    if quantity is None:
        return
    if 500 <= quantity <= 599 and sandbox.ledger.count(f"{state['id']}:{quantity}") == 1:
        raise RefusedError(html(quantity, "The change is not processed"))
    if quantity in _REFUSED_QUANTITIES:
        raise RefusedError(error(*rules.QUANTITY_REFUSALS[quantity]))
    if quantity == rules.QUANTITY_OUT_OF_RANGE:
        raise RefusedError(error(400, 2002, "The quantity is outside the allowed range.", ["quantity"]))
    if state["quantity"] - quantity > refundable_seats(state, sandbox.clock.now()):
        raise RefusedError(error(400, 800090, "The quantity cannot be decreased."))


def _refuse_terms(state: Document, changed: Document) -> None:
    if "billingCycle" in changed:
        raise RefusedError(error(400, 800097, "The billing cycle cannot be updated."))
    if "termDuration" in changed and _months(changed["termDuration"]) < _months(state["termDuration"]):
        raise RefusedError(error(400, 800122, "The target term is shorter than the current one."))


def _months(term: str | None) -> int:
    return MONTHS_COMMITTED.get(term or "", 1)


def _apply(sandbox: Sandbox, state: Document, changed: Document) -> None:
    now = sandbox.clock.now()
    if changed.get("status") == "deleted" and now >= state["started"] + WINDOW_SECONDS:
        raise RefusedError(error(400, 900117, "The 7-day cancellation window has passed."))
    if "quantity" in changed:
        _move_seats(state, changed["quantity"] - state["quantity"], now)
    if "termDuration" in changed:
        state.update(started=now, ends=term_end(now, changed["termDuration"]))
    state.update(changed)
    if {"quantity", "termDuration"} & set(changed) or changed.get("status") in {"suspended", "deleted"}:
        # A change within the term, and a suspension, delete what was scheduled for its end.
        state["instructions"] = None
    if changed.get("status") == "deleted":
        state["autoRenewEnabled"] = False
    state["changes"].append(now)
    state["version"] += 1


def _move_seats(state: Document, difference: int, now: float) -> None:
    """Seats that come are a lot of their own; seats that go are taken from the newest lots."""
    if difference > 0:
        state["lots"].append([difference, now])
        return
    left = -difference
    while left > 0:
        lot = state["lots"][-1]
        taken = min(left, lot[0])
        lot[0] -= taken
        left -= taken
        if lot[0] == 0:
            state["lots"].pop()
