"""What Partner Center can be asked before a purchase: reads only, and every problem at once.

Sources: Partner Center REST, "Get validation status of a customer", "Get confirmation of customer acceptance", "Validate an
address", "Get country validation rules", "Get a SKU". A question that the account may not ask, or that is not answered as
documented, is left to the purchase itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from orders.vendors.answers import items, json_bytes, parsed, text
from orders.vendors.contract import Answer, Call, CustomerRequest, LineRequest, OrderRequest, Refusal
from orders.vendors.partner_center_carts import sold_item
from orders.vendors.partner_center_values import cycle, folded, is_same_cycle

AGREEMENT = "MicrosoftCustomerAgreement"
STANDINGS = {"notallowed": "not_allowed", "underreview": "under_review", "unknown": "under_review"}
BAD_ADDRESSES = frozenset({"interactionrequired", "streetpartial", "premisespartial", "multiple", "none", "notvalidated"})
LONGEST_PATTERN = 200


class Checks:
    """`ask` sends one reading call and answers 4xx like any other answer."""

    def __init__(self, ask: Callable[[str, Call], Answer]) -> None:
        self._ask = ask

    def of_customer(self, tenant: str) -> list[Refusal]:
        """His standing. No status at all (404, code 600074) blocks nothing."""
        answer = self._ask("check standing", Call("GET", f"/v1/customers/{tenant}/validationStatus?type=account"))
        status = text(parsed(answer), "status") if answer.status == 200 else ""
        code = STANDINGS.get(folded(status), "")
        return [Refusal(code, answer.status, f"validationStatus: {status}", answer.body)] if code else []

    def of_agreement(self, tenant: str) -> list[Refusal]:
        """Whether he accepted Microsoft's agreement, told by us or by himself."""
        path = f"/v1/customers/{tenant}/agreements?{urlencode({'agreementType': AGREEMENT})}"
        told = self._ask("check agreement", Call("GET", path))
        if told.status != 200 or items(parsed(told), "items"):
            return []
        path = f"/v1/customers/{tenant}/directSignedMicrosoftCustomerAgreementStatus"
        signed = self._ask("check signed agreement", Call("GET", path))
        if signed.status != 200 or parsed(signed).get("isSigned") is not False:
            return []
        return [Refusal("agreement_missing", signed.status, "isSigned: false", signed.body)]

    def of_new_customer(self, customer: CustomerRequest) -> list[Refusal]:
        """The domain is free, the details obey the rules of the country, the address exists."""
        return [*self._domain(customer), *self._country(customer), *self._address(customer)]

    def of_lines(self, order: OrderRequest) -> list[Refusal]:
        """Every item is sold to this country for its term and cycle, in this quantity."""
        return [refusal for line in order.lines for refusal in self._line(line, order)]

    # --- a new customer

    def _domain(self, customer: CustomerRequest) -> Iterator[Refusal]:
        answer = self._ask("check domain", Call("HEAD", f"/v1/domains/{quote(customer.domain)}"))
        if answer.status == 200:
            yield Refusal("domain_taken", 200, f"HEAD /domains/{customer.domain} answered 200: the domain is taken.")

    def _country(self, customer: CustomerRequest) -> Iterator[Refusal]:
        answer = self._ask("country rules", Call("GET", f"/v1/countryvalidationrules/{quote(customer.country)}"))
        rules = parsed(answer) if answer.status == 200 else {}
        states = rules.get("supportedStatesList") or rules.get("states")
        for name, value, is_required, pattern in (
            ("City", customer.city, rules.get("isCityRequired"), None),
            ("State", customer.state, rules.get("isStateRequired"), None),
            ("PostalCode", customer.postal_code, rules.get("isPostalCodeRequired"), rules.get("postalCodeRegex")),
            ("PhoneNumber", customer.phone, False, rules.get("phoneNumberRegex")),
        ):
            is_known = name != "State" or not value or not isinstance(states, list) or value in states
            if (is_required and not value) or not is_known or (value and not _fits(pattern, value)):
                field = f"BillingProfile.DefaultAddress.{name}"
                yield Refusal("3000", 400, f"countryvalidationrules/{customer.country}: {name}", answer.body, field=field)

    def _address(self, customer: CustomerRequest) -> Iterator[Refusal]:
        body = {
            "AddressLine1": customer.address_line1,
            "AddressLine2": customer.address_line2,
            "City": customer.city,
            "State": customer.state,
            "PostalCode": customer.postal_code,
            "Country": customer.country,
        }
        answer = self._ask("check address", Call("POST", "/v1/validations/address", json_bytes(body)))
        found = parsed(answer) if answer.status == 200 else {}
        if folded(found.get("status")) in BAD_ADDRESSES:
            yield Refusal("address_not_found", answer.status, _words_of(found), answer.body)

    # --- the items

    def _line(self, line: LineRequest, order: OrderRequest) -> Iterator[Refusal]:
        where = urlencode({"country": order.customer.country, "targetSegment": line.segment.lower()})
        sku = f"/v1/products/{quote(line.product_id)}/skus/{quote(line.sku_id)}"
        answer = self._ask(f"look up {line.product_id}:{line.sku_id}", Call("GET", f"{sku}/availabilities?{where}"))
        if answer.status != 200 or not sold_item(parsed(answer), line):
            words = f"No availability of {line.product_id}:{line.sku_id} for {line.term} in {order.customer.country}."
            yield Refusal("not_available", answer.status, words, answer.body, line.number)
        answer = self._ask(f"sku {line.product_id}:{line.sku_id}", Call("GET", f"{sku}?{where}"))
        details = parsed(answer) if answer.status == 200 else {}
        least, most = details.get("minimumQuantity"), details.get("maximumQuantity")
        if (isinstance(least, int) and line.quantity < least) or (isinstance(most, int) and line.quantity > most):
            yield Refusal("2002", 400, f"minimumQuantity {least}, maximumQuantity {most}", answer.body, line.number)
        cycles = details.get("supportedBillingCycles")
        # Words that we don't know say nothing of those that we do.
        named = [cycle(one) for one in cycles] if isinstance(cycles, list) else []
        if named and all(named) and not any(is_same_cycle(one, line.billing_cycle) for one in named):
            yield Refusal("900269", 400, f"supportedBillingCycles: {', '.join(map(str, cycles or []))}", answer.body, line.number)


def _fits(pattern: object, value: str) -> bool:
    """Whether the value fits the vendor's pattern; one that is broken, or long enough to be a trap, says nothing."""
    if not isinstance(pattern, str) or not pattern or len(pattern) > LONGEST_PATTERN or len(value) > LONGEST_PATTERN:
        return True
    if re.search(r"[+*}]\s*\)?\s*[+*{]", pattern):
        # Nested repetition may take for ever on a value made for it.
        return True
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _words_of(found: dict[str, Any]) -> str:
    """The vendor's message, and the addresses that he suggests, each on a line of its own."""
    suggested = []
    for address in items(found, "suggestedAddresses")[:3]:
        parts = (address.get(key) or address.get(key[:1].lower() + key[1:]) for key in ("AddressLine1", "PostalCode", "City"))
        suggested.append(", ".join(str(part) for part in parts if part))
    first = text(found, "validationMessage") or f"status: {text(found, 'status')}"
    return "\n".join([first, *suggested])
