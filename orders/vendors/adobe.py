"""Adobe VIP Marketplace: customer, order, subscriptions.

Sources: developer.adobe.com/vipmp ("Create order", "Get order details", "Idempotency", "Get customer list", "Status codes and
error handling"). What decides the shape: one call buys, POST orders, and is answered at once with status 1002; whether it was
filled (1000) or failed is asked later. X-Correlation-Id names the intent and is the journal's key: without an answer the same
one is sent again, and Adobe answers a known one with its first answer, errors too, for ten days; after that the same call would
buy again. X-Request-Id is new on every try (else 4120).

Definite, from the first byte of the order on: an order id, an answer that the failure catalogue calls a refusal, or an error of
Adobe's own with a 4xx status when the customer's history has no order of ours. Of the latter, one that the catalogue knows to
pass (5122, an HTTP 400) ends the attempt as busy, because the spent key would only repeat it. All else is a doubt. Before it
nothing is bought, whatever the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from orders.vendors import adobe_login
from orders.vendors.answers import busy, is_json, is_own_error, items, json_bytes, parsed, refusal_of, text
from orders.vendors.contract import (
    CLOCK_DRIFT,
    Answer,
    AuthBroken,
    Bought,
    Busy,
    Call,
    Capabilities,
    CustomerRequest,
    Journal,
    LineRequest,
    Meaning,
    MeaningKind,
    Meanings,
    MustPark,
    NothingSent,
    OrderRequest,
    OutcomeUnknown,
    Phase,
    Refusal,
    Rejected,
    Snapshot,
    VendorError,
    can_decide,
    new_key,
)
from orders.vendors.http import Client, Login
from orders.vendors.values import cost, ident, instant, printable, whole

CUSTOMER, ORDER = "create customer", "create order"
CREATED = {CUSTOMER: "customerId", ORDER: "orderId"}
KEY_LIFETIME = timedelta(days=10)
# A key is not sent again in its last hour: the call might arrive after its end.
RESEND_MARGIN = timedelta(hours=1)
# How long an order of an earlier call may take to show. Adobe names no time; an unanswered call is over by then.
SETTLES = timedelta(minutes=15)
# Adobe's own 5xx is repeated for a spent key as long as the key lives; a day of it is enough for staff to look.
HOPELESS = timedelta(days=1)
LONGEST_REFERENCE = 35
FILLED, OPEN, FAILED_SILENTLY, SCHEDULED = "1000", "1002", "1004", "1009"
# 1010 to 1026 say why: address, blocked, duplicate, distributor, reseller or customer inactive, customer unknown.
FAILED = frozenset({FAILED_SILENTLY, "1008", "1010", "1012", "1014", "1020", "1022", "1024", "1026"})
EXISTS, IN_PROCESS = "1127", "4122"
# The word on our API key and token; nothing was passed on. The gateway has codes of its own: 403000, 403003, 403010 …
NOT_LET_IN = frozenset({"4115", "4116", "4117"})
GATEWAY_REFUSES = "403"
# A list that never ends is none.
MOST_PAGES = 100
# An offer is for a year; the term is no part of the order.
TERM = "P1Y"
SEGMENTS = {"education": "EDU", "government": "GOV"}


class AdobeMarketplace:
    """Orders of Adobe offers. The account's tenant is our reseller id at Adobe; an offer's SKU is Adobe's offerId."""

    slug = "adobe"
    dialect = "adobe"
    buying_step = ORDER
    capabilities = Capabilities(
        allows_start=True,
        cancel_window=timedelta(days=14),
        resend_for=KEY_LIFETIME,
        finds_orders=True,
        lookup_lag=SETTLES,
    )

    def __init__(self, login: Login, meanings: Meanings) -> None:
        self._login = login
        self._meanings = meanings
        self._client = Client(login)

    def close(self) -> None:
        """See contract.Connector.close."""
        self._client.close()

    def decides(self, step: str, answer: Answer) -> bool:
        """See contract.Connector.decides."""
        if 200 <= answer.status < 300:
            # A cut-off or empty success says nothing that we could go on with; the same key brings it whole.
            return bool(ident(parsed(answer).get(CREATED[step])))
        if not is_own_error(answer, self.dialect):
            return False
        if meaning := self._meaning(answer):
            return meaning.kind is MeaningKind.REFUSED
        return step != ORDER and can_decide(answer.status)

    # --- the order of things

    def advance(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """See contract.Connector.advance."""
        if not journal.adopted() and journal.answered(ORDER) is None:
            if not journal.was_sent(ORDER) and (wrong := _for_other_terms(order)):
                raise Rejected(wrong)
            tenant = journal.tenant() or self._ensure_customer(order, journal)
            self._buy(order, tenant, journal)
        return self._look(order, journal)

    def find(self, order: OrderRequest, journal: Journal, since: datetime) -> tuple[str, ...]:
        """See contract.Connector.find. Our reference tells; it is random, but Adobe does not keep it unique.

        A lost life of the database may have used another reference. So while nothing of this attempt was sent, an order of
        the same items that the portal does not know is for staff to judge.
        """
        tenant = journal.tenant() or self._find_customer(order, journal)
        if not tenant:
            return ()
        taken, mine, alike = journal.known_orders(), [], []
        for placed in self._history(tenant, since, journal):
            ref, is_mine = ident(placed.get("orderId")), text(placed, "externalReferenceId") == _reference(order)
            if is_mine and not ref:
                raise _unasked("An order of ours stands in the list of orders without an id.", journal)
            if not ref or ref in taken:
                continue
            if is_mine:
                mine.append(ref)
            elif text(placed, "status") not in FAILED and _has_items_of(placed, order):
                alike.append(ref)
        if len(mine) > 1:
            raise MustPark(f"Orders {', '.join(mine)} at the vendor all carry this order’s reference.")
        if alike and not mine and not journal.was_sent(ORDER):
            raise MustPark(f"The vendor has an order of the same items that the portal does not know: {', '.join(alike)}.")
        if mine:
            journal.remember_tenant(tenant)
        return tuple(mine)

    def is_unsold(self, order: OrderRequest, journal: Journal) -> bool:
        """See contract.Connector.is_unsold. The history is all there is to read."""
        return False

    def check(self, order: OrderRequest, journal: Journal) -> list[Refusal]:
        """See contract.Connector.check. A customer that Adobe does not know yet has nothing to be asked for but his reseller."""
        tenant = journal.tenant()
        path = f"/v3/customers/{quote(tenant)}" if tenant else f"/v3/resellers/{quote(self._login.tenant)}"
        found = [*self._standing(path, journal), *_for_other_terms(order)]
        return found + self._preview_all(order, tenant, journal) if tenant else found

    # --- the customer

    def _ensure_customer(self, order: OrderRequest, journal: Journal) -> str:
        """The customer's id at Adobe; creates him, or finds him when he was there or an earlier call of ours created him."""
        answer = journal.answered(CUSTOMER)
        if answer is None:
            if journal.was_sent(CUSTOMER) and (found := self._find_customer(order, journal)):
                journal.remember_tenant(found)
                return found
            if journal.age(CUSTOMER) > KEY_LIFETIME - RESEND_MARGIN:
                raise Busy(Refusal("", None, "The customer was sent days ago and was not created."))
            answer = self._write(CUSTOMER, Call("POST", "/v3/customers", self._customer_body(order)), journal)
        tenant = ident(parsed(answer).get(CREATED[CUSTOMER])) if answer.status < 300 else ""
        is_open = not self.decides(CUSTOMER, answer) or refusal_of(answer).code == EXISTS
        if not tenant and is_open:
            tenant = self._find_customer(order, journal)
        if not tenant:
            raise self._not_created(answer, journal, is_open=is_open)
        journal.remember_tenant(tenant)
        return tenant

    def _not_created(self, answer: Answer, journal: Journal, *, is_open: bool) -> VendorError:
        """What it means that there is no such customer. One that exists and that we may not see is a no."""
        if not is_open or refusal_of(answer).code == EXISTS:
            return Rejected(_refusals(answer))
        is_over = can_decide(answer.status) or journal.age(CUSTOMER) > SETTLES
        if answer.status == 429 or (answer.status >= 400 and is_over and is_own_error(answer, self.dialect)):
            # The key is spent and would bring the same answer: a new attempt has a new one.
            return self._no(answer)
        return OutcomeUnknown(f"{answer.status} to {CUSTOMER}")

    def _find_customer(self, order: OrderRequest, journal: Journal) -> str:
        """Whoever has the same company name and administrator: by these Adobe itself tells customers apart (status 1014).

        Sellers may share our account, and each reads the exchanges of his own orders. So of a namesake's record nothing is
        kept but whether it is the one that was looked for.
        """
        path = f"/v3/resellers/{quote(self._login.tenant)}/customers"
        for status in (FILLED, OPEN):
            # The list shows active ones alone unless asked; a new customer is pending, and may order.
            query = {"company-name": order.customer.name, "status": status, "limit": "50"}
            for row in self._listed("find customer", path, query, journal, keep=_without_records):
                found = ident(row.get(CREATED[CUSTOMER]))
                if found and self._is_customer(found, order.customer, journal):
                    return found
        return ""

    def _is_customer(self, tenant: str, customer: CustomerRequest, journal: Journal) -> bool:
        call = Call("GET", f"/v3/customers/{quote(tenant)}")
        answer = self._read("find customer’s contact", call, journal, keep=lambda whole: _compared(whole, tenant, customer))
        return parsed(answer).get("isOurs") is True

    def _customer_body(self, order: OrderRequest) -> bytes:
        customer, segment = order.customer, order.lines[0].segment.lower()
        address = {
            "country": customer.country,
            "region": customer.state,
            "city": customer.city,
            "addressLine1": customer.address_line1,
            "addressLine2": customer.address_line2,
            "postalCode": customer.postal_code,
            "phoneNumber": customer.phone,
        }
        contact = {
            "firstName": customer.first_name,
            "lastName": customer.last_name,
            "email": customer.email,
            "phoneNumber": customer.phone,
        }
        return json_bytes(
            {
                "resellerId": self._login.tenant,
                "externalReferenceId": customer.domain[:LONGEST_REFERENCE],
                "companyProfile": {
                    "companyName": customer.name,
                    "preferredLanguage": customer.culture,
                    "marketSegment": SEGMENTS.get(segment, "COM"),
                    "address": _filled(address),
                    "contacts": [_filled(contact)],
                },
            }
        )

    # --- questions before a purchase

    def _standing(self, path: str, journal: Journal) -> Iterator[Refusal]:
        """Whether the account may buy; one that is still pending may."""
        answer = self._read("check standing", Call("GET", path), journal)
        if answer.status >= 400:
            yield from self._told(answer)
        elif (status := text(parsed(answer), "status")) in FAILED:
            yield Refusal(status, answer.status, f"status: {status}", answer.body)

    def _preview_all(self, order: OrderRequest, tenant: str, journal: Journal) -> list[Refusal]:
        """Adobe may stop at the first thing that is wrong, so a refused order is asked for item by item, too."""
        whole = self._preview(order, tenant, journal)
        if not whole or len(order.lines) == 1:
            return whole
        each = [
            replace(refusal, line=line.number)
            for line in order.lines
            for refusal in self._preview(replace(order, lines=(line,)), tenant, journal)
        ]
        told = {refusal.code for refusal in each}
        return each + [refusal for refusal in whole if refusal.code not in told]

    def _preview(self, order: OrderRequest, tenant: str, journal: Journal) -> list[Refusal]:
        """What Adobe would say to this order: PREVIEW looks at price and eligibility and buys nothing."""
        call = Call("POST", f"/v3/customers/{quote(tenant)}/orders", _order_body(order, "PREVIEW"))
        answer = self._read("preview order", call, journal)
        return self._told(answer) if answer.status >= 400 else []

    def _told(self, answer: Answer) -> list[Refusal]:
        """The refusals in an answer to a question. Raises Busy when it is none but a "not now"."""
        no = self._no(answer)
        if isinstance(no, Busy):
            raise no
        return list(no.refusals)

    # --- the call that buys

    def _buy(self, order: OrderRequest, tenant: str, journal: Journal) -> None:
        """From its first byte on, only Adobe's own word decides."""
        if journal.age(ORDER) > KEY_LIFETIME - RESEND_MARGIN:
            self._adopt_or_park(order, journal)
            return
        was_sent = journal.was_sent(ORDER)
        answer = self._write(ORDER, Call("POST", f"/v3/customers/{quote(tenant)}/orders", _order_body(order, "NEW")), journal)
        if not self.decides(ORDER, answer):
            self._clear_doubt(order, answer, journal, was_sent=was_sent)

    def _clear_doubt(self, order: OrderRequest, answer: Answer, journal: Journal, *, was_sent: bool) -> None:
        """An answer that is no last word: look whether the order is there. `was_sent`: an earlier call may still take effect."""
        if found := self._find_bought(order, journal):
            journal.adopt(found)
            return
        doubt = f"{answer.status} to {ORDER}: {refusal_of(answer).code}"
        is_own = is_own_error(answer, self.dialect)
        if answer.status < 400 or not (is_own or _is_foreign_error(answer)):
            raise OutcomeUnknown(doubt)
        if not can_decide(answer.status):
            if is_own and answer.status >= 500 and journal.age(ORDER) > HOPELESS:
                raise MustPark(f"The vendor answers the same error to this order again and again: {doubt}.")
            raise OutcomeUnknown(doubt)
        meaning = self._meaning(answer)
        is_vague = not is_own or refusal_of(answer).code == IN_PROCESS or (meaning is not None and meaning.kind is MeaningKind.LOOK)
        if (was_sent or is_vague) and journal.age(ORDER) < SETTLES:
            raise OutcomeUnknown(doubt)
        raise self._no(answer) if is_own else Rejected(_refusals(answer))

    def _adopt_or_park(self, order: OrderRequest, journal: Journal) -> None:
        """Adobe has forgotten the key, so only the customer's history can tell."""
        if found := self._find_bought(order, journal):
            journal.adopt(found)
            return
        raise MustPark(f"The order was sent {journal.age(ORDER).days} days ago without a clear answer; the vendor shows no order of it.")

    def _find_bought(self, order: OrderRequest, journal: Journal) -> tuple[str, ...]:
        sent = journal.first_sent(ORDER)
        return self.find(order, journal, sent - CLOCK_DRIFT) if sent else ()

    # --- what became of it

    def _look(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """What became of the order, line by line."""
        if refs := journal.adopted():
            return self._tell(order, refs, journal)
        answer = journal.answered(ORDER)
        if answer is None:
            raise OutcomeUnknown("The order has no answer yet.")
        if answer.status >= 300:
            raise Rejected(_refusals(answer))
        return self._tell(order, (ident(parsed(answer).get(CREATED[ORDER])),), journal)

    def _tell(self, order: OrderRequest, refs: tuple[str, ...], journal: Journal) -> Snapshot:
        tenant, untold = journal.tenant(), {line.number for line in order.lines}
        bought: list[Bought] = []
        refusals: list[Refusal] = []
        words, phase = [], Phase.DONE
        for ref in refs:
            call = Call("GET", f"/v3/customers/{quote(tenant)}/orders/{quote(ref)}?fetch-price=true")
            answer = self._read(f"order {ref}", call, journal)
            if answer.status == 404 and journal.adopted():
                raise MustPark(f"The vendor knows no order {ref}.")
            placed = parsed(answer) if answer.status == 200 else {}
            status = text(placed, "status")
            words.append(printable(status) or "not visible yet")
            phase = _least(phase, _phase_of(status))
            if status != FILLED and status not in FAILED:
                continue
            for item in items(placed, "lineItems"):
                number = whole(item.get("extLineItemNumber"))
                if number not in untold:
                    continue
                untold.remove(number)
                of_line = _line_status(item, status)
                if of_line in FAILED:
                    refusals.append(Refusal(of_line, None, "", answer.body, number))
                elif of_line != FILLED:
                    phase = _least(phase, _phase_of(of_line))
                else:
                    subscription = self._subscription(tenant, ident(item.get("subscriptionId")), journal)
                    has = text(subscription, "status")
                    if has == FILLED:
                        bought.append(_bought(number, ref, item, subscription))
                    elif has in {"", OPEN, SCHEDULED}:
                        phase = _least(phase, Phase.APPROVED)
                    else:
                        # Bought, and not running: ended already, or a word that we don't know.
                        words.append(f"subscription {printable(has)}")
                        phase = Phase.UNKNOWN
        if phase is Phase.DONE and untold:
            # Adobe repeats every line of an order; one that lacks some was not understood.
            phase = Phase.UNKNOWN
        if phase is Phase.DONE and not bought:
            raise Rejected(refusals)
        return Snapshot(phase, order_refs=refs, bought=tuple(bought), refusals=tuple(refusals), raw_status=", ".join(words))

    def _subscription(self, tenant: str, ref: str, journal: Journal) -> dict[str, Any]:
        """The subscription, empty while it is not there. Its id may be empty until the order is filled."""
        if not ref:
            return {}
        answer = self._read(f"subscription {ref}", Call("GET", f"/v3/customers/{quote(tenant)}/subscriptions/{quote(ref)}"), journal)
        return parsed(answer) if answer.status == 200 else {}

    # --- calls

    def _history(self, tenant: str, since: datetime, journal: Journal) -> Iterator[dict[str, Any]]:
        """The customer's new orders. Without a date Adobe shows the current term alone."""
        start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"order-type": "NEW", "start-date": start, "limit": "100"}
        return self._listed("list orders", f"/v3/customers/{quote(tenant)}/orders", query, journal)

    def _listed(
        self, step: str, path: str, query: dict[str, str], journal: Journal, *, keep: Callable[[Answer], Answer] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page. One that can't be read to its end, or that is refused, is not a short one."""
        offset = 0
        for _ in range(MOST_PAGES):
            answer = self._read(step, Call("GET", f"{path}?{urlencode(query | {'offset': str(offset)})}"), journal, keep=keep)
            page = parsed(answer)
            rows, links = page.get("items"), page.get("links")
            if answer.status != 200 or not isinstance(rows, list):
                raise _unasked(f"{answer.status} to {step}", journal)
            yield from items(page, "items")
            offset += len(rows)
            total = max(whole(page.get("totalCount")) or 0, 0)
            has_next = isinstance(links, dict) and bool(links.get("next"))
            # Without a number only a page that is not full, and that names no next one, is the last.
            if offset >= total and not (rows and (has_next or (not total and len(rows) >= int(query["limit"])))):
                return
            if not rows:
                break
        raise _unasked(f"{step}: the list has no end that could be read", journal)

    def _meaning(self, answer: Answer) -> Meaning | None:
        code = refusal_of(answer).code
        return self._meanings(answer.status, code) if code else None

    def _no(self, answer: Answer) -> Rejected | Busy:
        """What an error means when nothing was bought: a no or a not now."""
        meaning = self._meaning(answer)
        is_refusal = meaning.kind is MeaningKind.REFUSED if meaning else can_decide(answer.status) and is_own_error(answer, self.dialect)
        return Rejected(_refusals(answer)) if is_refusal else busy(answer, meaning.wait if meaning else None)

    def _write(self, step: str, call: Call, journal: Journal) -> Answer:
        was_sent = journal.was_sent(step)
        try:
            return journal.write(step, call, self._send)
        except NothingSent as error:
            if was_sent:
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error

    def _read(self, step: str, call: Call, journal: Journal, *, keep: Callable[[Answer], Answer] | None = None) -> Answer:
        """A call that changes nothing. When the vendor is away, a new attempt may follow only if this one left no doubt.

        `keep` makes of an answer what may be stored of it, and what is given back.
        """
        send = (lambda sent, key: keep(self._send(sent, key))) if keep else self._send
        try:
            answer = journal.read(step, call, send)
        except (NothingSent, OutcomeUnknown) as error:
            raise _unasked(str(error), journal) from error
        # A success that can't be read says nothing, least of all that something is not there.
        is_broken = answer.status < 300 and not is_json(answer)
        if is_broken or not can_decide(answer.status):
            raise OutcomeUnknown(f"{answer.status} to {step}") if _in_doubt(journal) else busy(answer)
        return answer

    def _send(self, call: Call, key: str) -> Answer:
        """Send with a bearer; a refused one is renewed once."""
        answer = self._send_with(adobe_login.bearer(self._client, self._login), call, key)
        if answer.status == 401:
            adobe_login.forget(self._login)
            answer = self._send_with(adobe_login.bearer(self._client, self._login), call, key)
        if answer.status == 401 or _is_shut_out(answer):
            raise AuthBroken(f"{call.method} {call.path} answered {answer.status} with a new token.")
        return answer

    def _send_with(self, token: str, call: Call, key: str) -> Answer:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-Api-Key": self._login.client_id,
            "X-Correlation-Id": key,
            "X-Request-Id": new_key(),
            **call.headers,
        }
        return self._client.send(call.method, self._login.base_url + call.path, headers, call.body)


_ORDER_OF_PHASES = [Phase.UNKNOWN, Phase.ACTION, Phase.ACCEPTED, Phase.APPROVED, Phase.DONE]


def _least(one: Phase, other: Phase) -> Phase:
    """The phase that is farther from done."""
    return min(one, other, key=_ORDER_OF_PHASES.index)


def _phase_of(status: str) -> Phase:
    """Of an order or a line. Failed is an end like filled; no status means that there is nothing to see yet."""
    if status in {"", OPEN}:
        return Phase.ACCEPTED
    return Phase.DONE if status == FILLED or status in FAILED else Phase.UNKNOWN


def _line_status(item: dict[str, Any], of_order: str) -> str:
    """A line's own word; of an order that failed, a line failed with it, and the order's word may say why."""
    own = text(item, "status")
    return of_order if not own or (of_order in FAILED and own in {OPEN, FAILED_SILENTLY}) else own


def _in_doubt(journal: Journal) -> bool:
    """Whether an order may have been bought, or an unanswered call may have created the customer."""
    unfinished = not journal.tenant() and journal.was_sent(CUSTOMER) and journal.answered(CUSTOMER) is None
    return unfinished or journal.was_sent(ORDER) or bool(journal.adopted())


def _is_shut_out(answer: Answer) -> bool:
    """Whether our key or token was refused, by Adobe or by the gateway before it."""
    is_gateways = text(parsed(answer), "error_code").strip().startswith(GATEWAY_REFUSES)
    return answer.status == 403 and (is_gateways or refusal_of(answer).code in NOT_LET_IN)


def _is_foreign_error(answer: Answer) -> bool:
    """An error in JSON that somebody else wrote, a gateway perhaps: it has no word in this, but it is the answer's end."""
    return bool(parsed(answer)) and can_decide(answer.status) and "statusCode" not in parsed(answer)


def _without_records(answer: Answer) -> Answer:
    """A list of customers with their ids alone."""
    page = parsed(answer)
    if answer.status >= 300 or not isinstance(page.get("items"), list):
        return replace(answer, body=b"") if answer.status < 300 else answer
    links = page.get("links")
    kept = {
        "totalCount": page.get("totalCount"),
        "items": [{CREATED[CUSTOMER]: row.get(CREATED[CUSTOMER])} if isinstance(row, dict) else {} for row in page["items"]],
        "links": {"next": isinstance(links, dict) and bool(links.get("next"))},
    }
    return replace(answer, body=json_bytes(kept))


def _compared(answer: Answer, tenant: str, customer: CustomerRequest) -> Answer:
    """Of a customer's record only whether it is the one that is looked for. One that can't be read stays unreadable."""
    if answer.status >= 300:
        return answer
    if not is_json(answer):
        return replace(answer, body=b"")
    company = parsed(answer).get("companyProfile")
    company = company if isinstance(company, dict) else {}
    is_ours = text(company, "companyName") == customer.name and any(
        text(contact, "email").lower() == customer.email.lower() for contact in items(company, "contacts")
    )
    return replace(answer, body=json_bytes({CREATED[CUSTOMER]: tenant, "isOurs": is_ours}))


def _unasked(why: str, journal: Journal) -> OutcomeUnknown | Busy:
    """A question had no answer that could be read."""
    return OutcomeUnknown(why) if _in_doubt(journal) else Busy(Refusal("", None, why))


def _reference(order: OrderRequest) -> str:
    return order.reference[:LONGEST_REFERENCE]


def _order_body(order: OrderRequest, kind: str) -> bytes:
    """The currency stands at each line: at the order, too, is refused (2140)."""
    lines = [
        {"extLineItemNumber": line.number, "offerId": line.sku_id, "quantity": line.quantity, "currencyCode": order.currency}
        for line in order.lines
    ]
    return json_bytes({"orderType": kind, "externalReferenceId": _reference(order), "lineItems": lines})


def _for_other_terms(order: OrderRequest) -> list[Refusal]:
    """Items that the seller sold for a time that Adobe would not keep to."""
    words = "Adobe sells this offer for a year, not for {}."
    return [Refusal("not_available", None, words.format(line.term), line=line.number) for line in order.lines if line.term != TERM]


def _has_items_of(placed: dict[str, Any], order: OrderRequest) -> bool:
    """Whether any line of the vendor's order is one of ours: same offer and quantity."""
    return any(_fits(item, line) for item in items(placed, "lineItems") for line in order.lines)


def _fits(item: dict[str, Any], line: LineRequest) -> bool:
    return text(item, "offerId") == line.sku_id and item.get("quantity") == line.quantity


def _filled(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _refusals(answer: Answer) -> list[Refusal]:
    """One for each line that the answer names ("Line Item: 2, Reason: …"), else one for the whole order."""
    refusal = refusal_of(answer)
    numbers = dict.fromkeys(int(found) for found in re.findall(r"^Line Item: (\d{1,6})\b", refusal.text, re.MULTILINE))
    return [replace(refusal, line=number) for number in numbers] or [refusal]


def _bought(number: int, ref: str, item: dict[str, Any], subscription: dict[str, Any]) -> Bought:
    return Bought(
        line=number,
        subscription_ref=ident(item.get("subscriptionId")),
        vendor_order_ref=ref,
        unit_cost=_price(item.get("pricing")),
        starts_at=instant(subscription.get("creationDate")),
        ends_at=instant(subscription.get("renewalDate")),
    )


def _price(pricing: object) -> Decimal | None:
    """Adobe's price for the whole term after discounts, which is what a price list has; the first bill may be less."""
    if not isinstance(pricing, dict):
        return None
    price = next((pricing[key] for key in ("discountedPartnerPrice", "partnerPrice") if pricing.get(key) is not None), None)
    return cost(price)
