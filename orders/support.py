"""What a vendor's support asks for: ids and times of an attempt's calls, as plain text to copy. No body, no secret."""

from collections.abc import Sequence
from datetime import UTC

from orders.models import PurchaseAttempt, VendorExchange

NAMED = {
    "ms-correlationid": "correlation",
    "ms-cv": "MS-CV",
    "ms-serverid": "server",
    "x-correlation-id": "correlation",
    "x-request-id": "request",
}


def for_vendor(attempt: PurchaseAttempt, exchanges: Sequence[VendorExchange]) -> str:
    """One line a call, oldest first, in UTC."""
    head = [f"Reference: {attempt.reference}", f"Attempt: {attempt.number}", f"Our tenant: {attempt.account.tenant}"]
    if refs := [*attempt.vendor_order_refs, *attempt.adopted]:
        head.append(f"Orders: {', '.join(refs)}")
    return "\n".join([*head, *(_line(exchange) for exchange in exchanges)])


def _line(exchange: VendorExchange) -> str:
    at = exchange.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = f" HTTP {exchange.http_status}" if exchange.http_status else f" {exchange.get_kind_display().lower()}"
    ids = [f"key {exchange.key}"] if exchange.key else []
    ids += [f"{word} {exchange.headers[name]}" for name, word in NAMED.items() if name in exchange.headers]
    return f"{at} {exchange.method} {exchange.path}{status} ({', '.join(ids)})"
