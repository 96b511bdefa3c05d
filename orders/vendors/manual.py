"""A vendor without an API: our staff order from him by mail or telephone and answer here, line by line.

Nothing goes over the network. The journal holds what staff answered, and the answer counts when every line of the attempt has
one: until then the attempt waits, as it waits for any other vendor. Source: product.md rule 2.
"""

from __future__ import annotations

from datetime import datetime

from orders.vendors.contract import (
    Answer,
    Bought,
    Capabilities,
    Journal,
    Meanings,
    OrderRequest,
    Phase,
    Refusal,
    Rejected,
    Snapshot,
    Verdict,
    can_decide,
)
from orders.vendors.http import Login

WAITING, ANSWERED = "Waiting for our staff", "Answered by our staff"


class Manual:
    """Orders that staff place by hand. The account has no address and no secret, so the login is not looked at."""

    slug = "manual"
    dialect = "manual"
    capabilities = Capabilities(allows_start=True, has_api=False, creates_customers=False)

    buying_step = ""  # staff buy; nothing is sent

    def __init__(self, login: Login, meanings: Meanings) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """See contract.Connector.close. Nothing was opened."""

    def decides(self, step: str, answer: Answer) -> bool:
        """See contract.Connector.decides. There are no calls."""
        return can_decide(answer.status)

    def advance(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """See contract.Connector.advance. Raises Rejected when staff refused every line."""
        verdicts = {verdict.line: verdict for verdict in journal.verdicts()}
        if any(line.number not in verdicts for line in order.lines):
            return Snapshot(Phase.ACCEPTED, raw_status=WAITING)
        answers = [verdicts[line.number] for line in order.lines]
        refusals = tuple(_refusal(verdict) for verdict in answers if not verdict.is_approved)
        bought = tuple(_bought(verdict) for verdict in answers if verdict.is_approved)
        if not bought:
            raise Rejected(refusals)
        references = tuple(item.vendor_order_ref for item in bought)
        return Snapshot(Phase.DONE, order_refs=references, bought=bought, refusals=refusals, raw_status=ANSWERED)

    def find(self, order: OrderRequest, journal: Journal, since: datetime) -> tuple[str, ...]:
        """See contract.Connector.find. There is nobody to ask."""
        return ()

    def is_unsold(self, order: OrderRequest, journal: Journal) -> bool:
        """See contract.Connector.is_unsold. There is nobody to ask."""
        return False

    def check(self, order: OrderRequest, journal: Journal) -> list[Refusal]:
        """See contract.Connector.check. There is nobody to ask."""
        return []


def _bought(verdict: Verdict) -> Bought:
    """The vendor names the contract of a line by one reference; what it cost stands on his invoice, which we don't read."""
    return Bought(verdict.line, verdict.vendor_ref, verdict.vendor_ref, None, verdict.starts_at, verdict.ends_at)


def _refusal(verdict: Verdict) -> Refusal:
    return Refusal(verdict.code, None, verdict.text, line=verdict.line)
