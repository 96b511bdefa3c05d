"""What carts, checkouts and availabilities of Partner Center hold, and which of our lines each part is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orders.vendors.answers import items, parsed, text
from orders.vendors.contract import Answer, Busy, LineRequest, OrderRequest, Refusal
from orders.vendors.partner_center_orders import REVERSED, Placed, Row
from orders.vendors.partner_center_values import cycle, folded, is_same_cycle, months
from orders.vendors.values import ident, whole


def sold_item(availabilities: dict[str, Any], line: LineRequest) -> str:
    """The catalogue id under which the line can be bought; empty when it is not sold for this term and cycle."""
    sold = (item for item in items(availabilities, "items") if item.get("isPurchasable") is not False)
    found = (ident(item.get("catalogItemId")) for item in sold if any(_offers(term, line) for term in items(item, "terms")))
    return next(filter(None, found), "")


def _offers(term: dict[str, Any], line: LineRequest) -> bool:
    """Whether a term of an availability is the line's; its cycle counts where it is named."""
    named = cycle(term.get("billingCycle"))
    return months(term.get("duration")) == months(line.term) is not None and (not named or is_same_cycle(named, line.billing_cycle))


def _cart_lines(order: OrderRequest, cart: dict[str, Any]) -> list[tuple[LineRequest | None, dict[str, Any]]]:
    """Each line of a cart with ours, which its id tells; None where it is none that we sent."""
    sent = dict(enumerate(order.lines))
    return [(sent.get(-1 if (number := whole(item.get("id"))) is None else number), item) for item in items(cart, "lineItems")]


def cart_errors(order: OrderRequest, answer: Answer) -> list[Refusal]:
    """What is wrong with a cart's lines: a 201 may carry errors, and in more shapes than one."""
    found = []
    for line, item in _cart_lines(order, parsed(answer)):
        for error in errors_in(item.get("error")):
            code = "" if error["code"] == "0" else error["code"]
            if code or error["text"]:
                found.append(Refusal(code, answer.status, error["text"], answer.body, line.number if line else None))
    return found


def checked_cart(order: OrderRequest, answer: Answer) -> str:
    """The cart's id, if it holds what was asked for and nothing else."""
    cart = parsed(answer)
    held = [(line.number, whole(item.get("quantity"))) for line, item in _cart_lines(order, cart) if line]
    asked = [(line.number, line.quantity) for line in order.lines]
    if sorted(held, key=str) != sorted(asked, key=str) or len(held) != len(items(cart, "lineItems")):
        raise Busy(Refusal("", answer.status, "The cart does not hold what was asked for.", answer.body))
    return ident(cart.get("id"))


def group_refusals(order: OrderRequest, cart: dict[str, Any], errors: list[dict[str, str]], checkout: Answer) -> list[Refusal]:
    """One refusal for each line of each group that checkout refused; of the whole order where the group is none of the cart's."""
    found: list[Refusal] = []
    grouped = [(line.number, text(item, "orderGroup")) for line, item in _cart_lines(order, cart) if line]
    for error in errors:
        lines: list[int | None] = [number for number, group in grouped if group and group == error["group"]]
        found += [Refusal(error["code"], checkout.status, error["text"], checkout.body, number) for number in lines or [None]]
    return found


def left_over(
    order: OrderRequest, placed_orders: list[Placed], rows: dict[int, Row], refused: list[Refusal], refusals: list[Refusal]
) -> list[Refusal]:
    """Refusals of the lines that are in no order, when every order has told of its items.

    Their reasons are those that the checkout gave for no group in particular, else the words of an order that was reversed.
    """
    known = set(rows) | {refusal.line for refusal in refused}
    reversed_orders = [
        placed for placed in placed_orders if placed.status in REVERSED and not any(row.placed is placed for row in rows.values())
    ]
    reasons = [refusal for refusal in refusals if not refusal.line]
    reasons = reasons or [Refusal("", None, placed.reason, placed.raw) for placed in reversed_orders[:1]] or [Refusal("", None, "")]
    return [replace(reason, line=line.number) for line in order.lines if line.number not in known for reason in reasons]


def made_orders(result: dict[str, Any]) -> list[str] | None:
    """Ids of the orders that a checkout made; None when it made one that it does not name."""
    rows = result.get("orders")
    if not rows:
        return []
    refs = [ident(row.get("id")) if isinstance(row, dict) else "" for row in rows] if isinstance(rows, list) else [""]
    return list(dict.fromkeys(refs)) if all(refs) else None


def errors_in(value: object) -> list[dict[str, str]]:
    """Each error in a field that should hold one or a list of them, as code, text and group; whatever its shape."""
    if isinstance(value, list):
        return [error for one in value for error in errors_in(one) or errors_in({"": ""})]
    if not value:
        return []
    if not isinstance(value, dict):
        return [{"code": "", "text": str(value), "group": ""}]
    fields = {folded(key): found for key, found in value.items()}
    return [
        {
            "code": _first(fields, "errorcode", "code"),
            "text": _first(fields, "errordescription", "description", "errormessage", "message"),
            "group": _first(fields, "ordergroupid", "ordergroup"),
        }
    ]


def _first(fields: dict[str, Any], *names: str) -> str:
    return next((str(fields[name]) for name in names if fields.get(name) not in (None, "")), "")
