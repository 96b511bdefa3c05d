"""The vendor's state, changed by hand: a status of an order, what is thought of a customer, a whole ledger set aside."""

import re
from typing import Any

from . import customer_rules
from .answers import Answer
from .customers import customer_json
from .orders import order_json, set_status
from .state import Sandbox

_STATUS = re.compile(r"[\w -]{1,60}")


def edit_order(sandbox: Sandbox, identifier: str, asked: Any) -> Answer:
    """`{"status": "error"}`: any word, also one that nobody knows; null lets the order go its own way again."""
    status = asked.get("status", "") if isinstance(asked, dict) else ""
    if status is not None and (not isinstance(status, str) or _STATUS.fullmatch(status) is None):
        raise ValueError('The body must be {"status": "completed"}, or null for the order\'s own course.')
    with sandbox.ledger.transaction():
        order = sandbox.ledger.get("order", identifier.lower())
        if order is None:
            raise ValueError(f"There is no order {identifier}.")
        set_status(sandbox, order, status)
        return Answer(200, order_json(sandbox, order))


def edit_customer(sandbox: Sandbox, identifier: str, asked: Any) -> Answer:
    """`{"agreement": "direct", "standing": "Allowed", "relationship": "reseller", "credit": true, "locked": false}`, or some of it."""
    allowed = customer_rules.CHANGEABLE
    if (
        not isinstance(asked, dict)
        or not asked
        or not all(name in allowed and _is_one_of(value, allowed[name]) for name, value in asked.items())
    ):
        choices = "; ".join(f"{name}: {', '.join(map(repr, values))}" for name, values in allowed.items())
        raise ValueError(f"The body must be an object with some of {choices}.")
    with sandbox.ledger.transaction():
        customer = sandbox.ledger.get("customer", identifier.lower())
        if customer is None:
            raise ValueError(f"There is no customer {identifier}.")
        customer["account"] = {**customer.get("account", {}), **asked}
        sandbox.ledger.put("customer", customer["id"], customer["tenant"], customer["tenant"], customer)
        return Answer(200, {**customer_json(customer), "account": customer_rules.account_of(customer)})


def take_snapshot(sandbox: Sandbox) -> Answer:
    """Set the whole ledger aside, to be put back later."""
    return Answer(201, {"snapshot": sandbox.ledger.take_snapshot()})


def restore_snapshot(sandbox: Sandbox, asked: Any) -> Answer:
    """Put a ledger back: a vendor that forgot what came after.  His clock does not go back with it."""
    number = asked.get("snapshot") if isinstance(asked, dict) else None
    if type(number) is not int or not sandbox.ledger.restore_snapshot(number):
        raise ValueError('The body must be {"snapshot": 1}, the number of one that was taken.')
    with sandbox.ledger.transaction():
        sandbox.clock.advance(0)
    return Answer(200, {"snapshot": number})


def _is_one_of(value: Any, allowed: tuple[Any, ...]) -> bool:
    # By type as well: 1 is not true here.
    return any(type(value) is type(choice) and value == choice for choice in allowed)
