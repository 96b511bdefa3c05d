"""`/__sandbox__/`: what tests and demonstrations may look at and change.  No part of the vendor's contract."""

import json
from typing import Any

from . import adobe, late, rules, signing, triggers, webhooks
from .answers import Answer, Request
from .background import catch_up
from .carts import cart_json
from .clock import iso, parse_duration
from .customers import customer_json
from .editing import edit_customer, edit_order, restore_snapshot, take_snapshot
from .faults import ACTIONS_WITH_ARGUMENT, PLAIN_ACTIONS
from .ledger import Document
from .orders import order_json, subscribed
from .state import Sandbox
from .subscriptions import subscription_json

PREFIX = "/__sandbox__/"

_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


def control(sandbox: Sandbox, request: Request) -> Answer:
    """Answer one control call."""
    # A page in somebody's browser can reach loopback: it betrays itself by an Origin or a foreign Host name.
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    if host not in _LOCAL_NAMES or "origin" in request.headers:
        return _problem(403, "The control API answers local programs only.")
    name, _, identifier = request.path.removeprefix(PREFIX).partition("/")
    try:
        match request.method, name:
            case "PATCH", "orders":
                return edit_order(sandbox, identifier, _json(request))
            case "PATCH", "customers":
                return edit_customer(sandbox, identifier, _json(request))
            case _ if identifier:
                pass
            case "GET", "health":
                return Answer(200, {"status": "ok", "now": iso(sandbox.clock.now()), "offsetSeconds": sandbox.clock.offset})
            case "GET", "magic":
                return Answer(200, rules.magic_rows())
            case "GET", "violations":
                with sandbox.ledger.transaction():
                    return Answer(200, {"violations": sandbox.ledger.violations()})
            case "GET", "log":
                return Answer(200, {"calls": sandbox.log.entries()})
            case "GET", "ledger":
                with sandbox.ledger.transaction():
                    return Answer(200, dump(sandbox))
            case "GET", "triggers":
                return Answer(200, triggers.groups())
            case "GET", "late":
                with sandbox.ledger.transaction():
                    return Answer(200, {"late": late.waiting(sandbox)})
            case "GET", "events":
                with sandbox.ledger.transaction():
                    return Answer(200, {"events": sandbox.ledger.every("event")})
            case "POST", "events":
                with sandbox.ledger.transaction():
                    return Answer(201, {"events": webhooks.ask_for_event(sandbox, _json(request))})
            case "GET", "authority":
                return Answer(200, {"certificate": signing.authority(sandbox)})
            case "POST", "snapshot":
                return take_snapshot(sandbox)
            case "POST", "restore":
                return restore_snapshot(sandbox, _json(request))
            case "POST", "clock":
                return _advance(sandbox, _json(request))
            case "GET", "faults":
                return Answer(200, {**sandbox.faults.shown(), "actions": {**PLAIN_ACTIONS, **ACTIONS_WITH_ARGUMENT}})
            case "POST", "faults":
                return Answer(201, sandbox.faults.add(_json(request)).shown())
            case "DELETE", "faults":
                return Answer(200, {"deleted": sandbox.faults.delete_all()})
            case "POST", "release":
                return Answer(200, {"released": sandbox.faults.release()})
            case "POST", "reset":
                return _reset(sandbox)
    except ValueError as problem:
        return _problem(400, str(problem))
    return _problem(404, f"There is no control call {request.method} {request.path}.")


def dump(sandbox: Sandbox) -> Document:
    """Everything bought, with the call that bought it: the evidence a double purchase would leave behind."""
    ledger = sandbox.ledger
    now = sandbox.clock.now()
    customers = [
        {**customer_json(customer), "tenant": customer["tenant"], "requestId": customer["requestId"]}
        for customer in ledger.every("customer")
    ]
    carts = [
        {
            **cart_json(cart),
            "tenant": cart["tenant"],
            "customerId": cart["customerId"],
            "requestId": cart["requestId"],
            "checkoutRequestIds": cart["checkoutRequestIds"],
            "checkoutStatus": None if cart["checkout"] is None else cart["checkout"]["status"],
        }
        for cart in ledger.every("cart")
    ]
    orders = ledger.every("order")
    shown = [
        {
            **order_json(sandbox, order),
            "tenant": order["tenant"],
            "customerId": order["customerId"],
            "cartId": order["cartId"],
            "cartRequestId": order["cartRequestId"],
            "requestId": order["requestId"],
            "orderGroup": order["orderGroup"],
            "cartLineIds": [line["id"] for line in order["lines"]],
            "attachments": order["attachments"],
        }
        for order in orders
    ]
    subscriptions = [
        subscription_json(sandbox, order, line)
        for order in orders
        for number, line in enumerate(order["lines"])
        if subscribed(order, number, now)
    ]
    bought = {"customers": customers, "carts": carts, "orders": shown, "subscriptions": subscriptions}
    return {"now": iso(now), **bought, "adobe": adobe.dump(sandbox)}


def _advance(sandbox: Sandbox, body: Any) -> Answer:
    if not isinstance(body, dict) or not isinstance(body.get("advance"), str):
        raise ValueError('The body must be {"advance": "PT20M"}.')
    with sandbox.ledger.transaction():
        sandbox.clock.advance(parse_duration(body["advance"]))
    catch_up(sandbox)
    return Answer(200, {"now": iso(sandbox.clock.now()), "offsetSeconds": sandbox.clock.offset})


def _reset(sandbox: Sandbox) -> Answer:
    # Faults first: a held call that went on after the ledger is emptied would leave its effect in the new one.
    sandbox.faults.reset()
    with sandbox.ledger.transaction():
        sandbox.ledger.reset()
        sandbox.clock.reset()
    sandbox.log.clear()
    return Answer(200, {"status": "empty"})


def _json(request: Request) -> Any:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        raise ValueError("The body is not JSON.") from None


def _problem(status: int, sentence: str) -> Answer:
    return Answer(status, {"error": sentence})
