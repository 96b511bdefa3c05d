"""Whose a customer record at Partner Center is, and what of it may be kept: several sellers may sell through one account."""

from __future__ import annotations

from typing import Any

from orders.vendors.answers import is_json, items, json_bytes, parsed
from orders.vendors.contract import Answer, CustomerRequest
from orders.vendors.partner_center_values import inner, same_text
from orders.vendors.values import ident


def may_be_customer(row: dict[str, Any], customer: CustomerRequest) -> bool:
    """Whether a row of the list is worth a look: the filter also lets longer domains through."""
    domain = inner(row, "companyProfile").get("domain")
    return domain is None or same_text(domain, customer.domain)


def is_customer(record: dict[str, Any], customer: CustomerRequest) -> bool | None:
    """Whether a record is this customer's; None when nothing in it speaks against him and it does not say all three."""
    company, billing = inner(record, "companyProfile"), inner(record, "billingProfile")
    told = [
        (company.get("domain"), customer.domain),
        (billing.get("companyName"), customer.name),
        (billing.get("email"), customer.email),
    ]
    if any(said and not same_text(said, ours) for said, ours in told):
        return False
    return True if all(said for said, _ours in told) else None


def only_matches(answer: Answer, customer: CustomerRequest) -> bytes:
    """Of a list of customers, how many have the domain; an error is about our question and is kept."""
    if answer.status >= 400:
        return answer.body
    found = [{"match": may_be_customer(row, customer)} for row in items(parsed(answer), "items")]
    return json_bytes({"items": found}) if is_json(answer) else b""


def only_match(answer: Answer, customer: CustomerRequest) -> bytes:
    """Of a customer, whether he is the one that is looked for."""
    data = parsed(answer)
    if answer.status != 200 or not data:
        return b""
    is_ours = is_customer(data, customer)
    return json_bytes({"id": ident(data.get("id")), "match": True} if is_ours else {"match": is_ours})
