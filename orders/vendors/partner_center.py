"""Microsoft Partner Center: customer, cart, checkout, order, subscriptions.

Sources: learn.microsoft.com, Partner Center REST ("Create a customer", "Checkout a cart", "Error codes"). What decides
the shape: checkout is idempotent per cart id and is the only call that buys, so the cart id is stored before it and the
same cart is checked out again after any doubt; a cart splits into several vendor orders, and checkout answers orders[] and
orderErrors[] together; MS-RequestId is the idempotency key and is kept for a repeat, MS-CorrelationId is new on each call.

Definite, from the first byte of the checkout on: an answer with orders, an answer that the failure catalogue calls a refusal, or
an error of Microsoft's own that the catalogue does not know, when the cart is still unsold. All else is a doubt. Before it
nothing is bought, whatever the answer: no is no, and a busy vendor is asked again by a new attempt with a new cart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from orders.vendors import microsoft_login
from orders.vendors.answers import busy, is_json, is_own_error, items, json_bytes, parsed, refusal_of, text, without_secrets
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
    can_decide,
    new_key,
)
from orders.vendors.http import Client, Login
from orders.vendors.partner_center_checks import Checks

CUSTOMER, CHECKOUT = "create customer", "checkout"
# Stale catalogue ids are refreshed and the cart is made once more.
CARTS = ("create cart", "create cart again")
CART_LIFETIME = timedelta(days=7)
# A cart is not checked out again in its last hour: the answer might come after its end.
RESEND_MARGIN = timedelta(hours=1)
# "List orders" may miss an order for 15 minutes (Partner Center, error 20000).
LIST_LAG = timedelta(minutes=15)
# "Order not found" (20000) is no error for so long after the submission.
INVISIBLE_FOR = timedelta(minutes=20)
# `suspended` is documented as a status of orders and says nothing about whether they were bought.
WAITING = frozenset({"pending", "pending_review", "po_upload_complete", "unknown", "suspended"})
REVERSED = frozenset({"error", "cancelled", "po_review_rejected"})

# Partner Center, "Create a customer": the registration number is mandatory here and refused elsewhere.
REGISTRATION_COUNTRIES = frozenset({
    "AE", "AM", "AZ", "BR", "BY", "HU", "IN", "IQ",
    "KG", "KZ", "MD", "MM", "PL", "RU", "SA", "SS", "TH", "TJ", "TR", "UA", "UZ", "VE", "VN", "ZA",
})  # fmt: skip


class PartnerCenter:
    """Orders of Microsoft offers. Microsoft keeps no cart for the seller: such an order is never in Start."""

    slug = "partner_center"
    dialect = "partner_center"
    buying_step = CHECKOUT
    capabilities = Capabilities(
        needs_agreement=True,
        allows_start=False,
        cancel_window=timedelta(days=7),
        resend_for=CART_LIFETIME,
        finds_orders=True,
        lookup_lag=LIST_LAG,
        registration_countries=REGISTRATION_COUNTRIES,
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
        refusal = refusal_of(answer)
        if answer.status < 300 and not (answer.status == 200 and refusal.code):
            # A cut-off or empty success says nothing that we could go on with.
            data = parsed(answer)
            return answer.status >= 200 and bool(data) and (step != CHECKOUT or bool(_orders(data) or items(data, "orderErrors")))
        meaning = self._meanings(answer.status, refusal.code) if refusal.code else None
        if meaning:
            return meaning.kind is MeaningKind.REFUSED or (step != CHECKOUT and meaning.kind is MeaningKind.REFRESH)
        return step != CHECKOUT and can_decide(answer.status)

    # --- the order of things

    def advance(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """See contract.Connector.advance."""
        if not journal.adopted() and journal.answered(CHECKOUT) is None:
            tenant = journal.tenant() or self._ensure_customer(order, journal)
            if not journal.was_sent(CHECKOUT):
                self._ensure_allowed(tenant, journal)
            cart = self._ensure_cart(order, tenant, journal)
            self._checkout(order, tenant, cart, journal)
        return self._look(order, journal)

    def find(self, order: OrderRequest, journal: Journal, since: datetime) -> tuple[str, ...]:
        """See contract.Connector.find. The vendor keeps no reference of ours: customer, items, quantities and terms must fit."""
        try:
            tenant = journal.tenant() or self._find_customer(order, journal)
        except Rejected as error:
            raise OutcomeUnknown(f"The vendor would not look for the customer: {error}") from error
        if not tenant:
            return ()
        answer = self._read("list orders", Call("GET", f"/v1/customers/{tenant}/orders"), journal, refuse=False)
        _check_list(answer, "list orders", journal)
        taken, found, open_lines = journal.known_orders(), [], {line.number: line for line in order.lines}
        for placed in sorted(items(parsed(answer), "items"), key=lambda row: text(row, "creationDate")):
            ref, created = text(placed, "id"), _instant(placed.get("creationDate"))
            if not ref or ref in taken or _status(placed) in REVERSED or created is None or created < since:
                continue
            if not any(_fits(item, placed, line) for item in items(placed, "lineItems") for line in order.lines):
                continue
            matched = dict(_lines_of(placed, open_lines))
            if len(matched) < len(items(placed, "lineItems")):
                raise MustPark(f"Order {ref} at the vendor fits items that another order there fits too.")
            found.append(ref)
        if found:
            journal.remember_tenant(tenant)
        return tuple(found)

    def is_unsold(self, order: OrderRequest, journal: Journal) -> bool:
        """See contract.Connector.is_unsold. A cart is active until it is sold."""
        cart = next((text(parsed(answer), "id") for step in reversed(CARTS) if (answer := journal.answered(step))), "")
        return bool(cart) and _is_active(self._cart_now(journal.tenant(), cart, journal))

    def check(self, order: OrderRequest, journal: Journal) -> list[Refusal]:
        """See contract.Connector.check."""
        checks = Checks(lambda step, call: self._read(step, call, journal, refuse=False))
        # A customer whose creation was never answered may be there already, and has taken the domain himself.
        tenant = journal.tenant() or self._find_customer(order, journal)
        if not tenant:
            return checks.of_new_customer(order.customer) + checks.of_lines(order)
        agreement = checks.of_agreement(tenant) if self.capabilities.needs_agreement else []
        return checks.of_customer(tenant) + agreement + checks.of_lines(order)

    def _ensure_customer(self, order: OrderRequest, journal: Journal) -> str:
        """The customer's id at Microsoft; creates him, or finds the one that an earlier call of ours created."""
        answer = journal.answered(CUSTOMER)
        if answer is None:
            look = self._find_customer if journal.was_sent(CUSTOMER) else self._own_or_free
            if found := look(order, journal):
                journal.remember_tenant(found)
                return found
            try:
                answer = journal.write(CUSTOMER, Call("POST", "/v1/customers", self._customer_body(order)), self._send)
            except NothingSent as error:
                if _in_doubt(journal):
                    raise OutcomeUnknown(str(error)) from error
                raise Busy(Refusal("", None, str(error))) from error
        if answer.status == 429:
            raise busy(answer)
        if not self.decides(CUSTOMER, answer):
            # Creating a customer buys nothing, but a second one would burn the domain: ask again with the same key.
            raise OutcomeUnknown(f"{answer.status} to {CUSTOMER}")
        if answer.status != 201:
            raise Rejected([refusal_of(answer)])
        tenant = text(parsed(answer), "id")
        if not tenant:
            raise OutcomeUnknown("The customer was created without an id.")
        journal.remember_tenant(tenant)
        return tenant

    def _own_or_free(self, order: OrderRequest, journal: Journal) -> str:
        """The customer when an earlier attempt created him, empty when the domain is free. HEAD says 404 for free, 200 for taken."""
        answer = self._read("check domain", Call("HEAD", f"/v1/domains/{quote(order.customer.domain)}"), journal)
        if answer.status != 200:
            return ""
        if found := self._find_customer(order, journal):
            return found
        raise Rejected([Refusal("domain_taken", 200, f"HEAD /domains/{order.customer.domain} answered 200: the domain is taken.")])

    def _find_customer(self, order: OrderRequest, journal: Journal) -> str:
        """The customer that an earlier call of ours made: same domain, name and contact. Empty when there is none."""
        wanted = json.dumps({"Field": "Domain", "Value": order.customer.domain, "Operator": "starts_with"})
        answer = self._read("find customer", Call("GET", f"/v1/customers?{urlencode({'filter': wanted})}"), journal)
        _check_list(answer, "find customer", journal)
        for item in items(parsed(answer), "items"):
            found = text(item, "id")
            # The list has no contact; two resellers' customers may well share a name.
            whole = parsed(self._read("find customer’s contact", Call("GET", f"/v1/customers/{found}"), journal))
            company, billing = whole.get("companyProfile") or {}, whole.get("billingProfile") or {}
            same = (company.get("domain"), billing.get("companyName"), billing.get("email"))
            if same == (order.customer.domain, order.customer.name, order.customer.email):
                return found
        return ""

    def _ensure_allowed(self, tenant: str, journal: Journal) -> None:
        """Ask for standing and agreement before anything is put into a cart; what can't be asked, checkout will say."""
        if not self.capabilities.needs_agreement:
            return
        checks = Checks(lambda step, call: self._read(step, call, journal, refuse=False))
        found = checks.of_customer(tenant) + checks.of_agreement(tenant)
        for refusal in found:
            meaning = self._meanings(refusal.http_status, refusal.code)
            if meaning and meaning.kind is not MeaningKind.REFUSED:
                raise Busy(refusal, meaning.wait)
        if found:
            raise Rejected(found)

    def _customer_body(self, order: OrderRequest) -> bytes:
        customer = order.customer
        return json_bytes(
            {
                "enableGDAPByDefault": False,
                "CompanyProfile": _company(customer),
                "BillingProfile": {
                    "Email": customer.email,
                    "Culture": customer.culture,
                    "Language": customer.language,
                    "CompanyName": customer.name,
                    "DefaultAddress": {
                        "FirstName": customer.first_name,
                        "LastName": customer.last_name,
                        "AddressLine1": customer.address_line1,
                        "AddressLine2": customer.address_line2,
                        "City": customer.city,
                        "State": customer.state,
                        "PostalCode": customer.postal_code,
                        "Country": customer.country,
                        "PhoneNumber": customer.phone,
                    },
                },
            }
        )

    def _ensure_cart(self, order: OrderRequest, tenant: str, journal: Journal) -> str:
        """The id of the cart to check out. A cart buys nothing, so a lost one is simply made again by the next attempt."""
        for step in CARTS:
            answer = journal.answered(step)
            if answer is None:
                body = b"" if journal.was_sent(step) else self._cart_body(order, journal)
                try:
                    answer = journal.write(step, Call("POST", f"/v1/customers/{tenant}/carts", body), self._send)
                except (NothingSent, OutcomeUnknown) as error:
                    raise Busy(Refusal("", None, str(error))) from error
            if answer.status == 201 and self.decides(step, answer):
                return self._checked_cart(order, answer)
            no = self._no(answer)
            if not self._is_stale(answer):
                break
        raise no

    def _is_stale(self, answer: Answer) -> bool:
        meaning = self._meanings(answer.status, refusal_of(answer).code)
        return meaning is not None and meaning.kind is MeaningKind.REFRESH

    def _no(self, answer: Answer) -> Rejected | Busy:
        """What an answer means before the call that buys: nothing was bought, so it is a no or a not now."""
        refusal = refusal_of(answer)
        meaning = self._meanings(answer.status, refusal.code) if refusal.code else None
        is_refusal = meaning.kind is MeaningKind.REFUSED if meaning else can_decide(answer.status) and answer.status >= 400
        return Rejected([refusal]) if is_refusal else busy(answer, meaning.wait if meaning else None)

    def _cart_body(self, order: OrderRequest, journal: Journal) -> bytes:
        return json_bytes(
            {
                "lineItems": [
                    {
                        "id": index,
                        "catalogItemId": self._catalog_item(line, order, journal),
                        "friendlyName": line.title,
                        "quantity": line.quantity,
                        "currencyCode": order.currency,
                        "billingCycle": line.billing_cycle,
                        "termDuration": line.term,
                    }
                    for index, line in enumerate(order.lines)
                ]
            }
        )

    def _catalog_item(self, line: LineRequest, order: OrderRequest, journal: Journal) -> str:
        """Today's id of the offer. It rotates, so it is looked up when the order is sent and never stored with the offer."""
        where = urlencode({"country": order.customer.country, "targetSegment": line.segment.lower()})
        path = f"/v1/products/{quote(line.product_id)}/skus/{quote(line.sku_id)}/availabilities?{where}"
        answer = self._read(f"look up {line.product_id}:{line.sku_id}", Call("GET", path), journal)
        for item in items(parsed(answer), "items"):
            if any(term.get("duration") == line.term for term in items(item, "terms")):
                return text(item, "catalogItemId")
        words = f"No availability of {line.product_id}:{line.sku_id} for {line.term} in {order.customer.country}."
        raise Rejected([Refusal("not_available", answer.status, words, line=line.number)])

    def _checked_cart(self, order: OrderRequest, answer: Answer) -> str:
        """The cart's id, if no line of it has an error: a 201 may carry some."""
        cart = parsed(answer)
        wrong = [
            Refusal(text(error, "errorCode"), answer.status, text(error, "errorDescription"), answer.body, line.number)
            for line, item in zip(order.lines, _in_order(cart), strict=False)
            if isinstance(error := item.get("error"), dict) and text(error, "errorCode") not in {"", "0"}
        ]
        if wrong:
            raise Rejected(wrong)
        if not (cart_id := text(cart, "id")):
            raise Busy(Refusal("", answer.status, "The cart came without an id.", answer.body))
        return cart_id

    # --- the call that buys

    def _checkout(self, order: OrderRequest, tenant: str, cart: str, journal: Journal) -> None:
        """From its first byte on, only Microsoft's own word decides."""
        if journal.age(CHECKOUT) > CART_LIFETIME - RESEND_MARGIN:
            self._adopt_or_park(order, journal)
            return
        call = Call("POST", f"/v1/customers/{tenant}/carts/{cart}/checkout")
        had_left = journal.was_sent(CHECKOUT)
        try:
            answer = journal.write(CHECKOUT, call, self._send)
        except NothingSent as error:
            if had_left:
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error
        if not self.decides(CHECKOUT, answer):
            self._clear_doubt(order, tenant, cart, answer, journal)

    def _clear_doubt(self, order: OrderRequest, tenant: str, cart: str, answer: Answer, journal: Journal) -> None:
        """An answer that is no last word: look what became of the cart, and adopt its orders when they are there."""
        refusal = refusal_of(answer)
        meaning = self._meanings(answer.status, refusal.code) if refusal.code else None
        is_unknown_no = meaning is None and can_decide(answer.status) and is_own_error(answer)
        if not is_unknown_no and (meaning is None or meaning.kind is MeaningKind.WAIT):
            raise OutcomeUnknown(f"{answer.status} to {CHECKOUT}")
        if found := self._find_bought(order, journal):
            journal.adopt(found)
            return
        state = self._cart_now(tenant, cart, journal)
        if is_unknown_no and _is_active(state):
            raise Rejected([refusal])
        if meaning and meaning.kind is MeaningKind.REFRESH and state.status == 404 and journal.age(CHECKOUT) > LIST_LAG:
            # The cart is gone and no order of it appeared: nothing was bought, and a new attempt makes a new cart.
            raise Busy(refusal, timedelta())
        raise OutcomeUnknown(f"{answer.status} to {CHECKOUT}: {refusal.code}")

    def _cart_now(self, tenant: str, cart: str, journal: Journal) -> Answer:
        return self._read("look at cart", Call("GET", f"/v1/customers/{tenant}/carts/{cart}"), journal)

    def _adopt_or_park(self, order: OrderRequest, journal: Journal) -> None:
        """The cart is too old to be checked out again, so only the list of orders can tell."""
        if found := self._find_bought(order, journal):
            journal.adopt(found)
            return
        days = journal.age(CHECKOUT).days
        raise MustPark(f"The cart was sent {days} days ago and has expired; no order of it was found at the vendor.")

    def _find_bought(self, order: OrderRequest, journal: Journal) -> tuple[str, ...]:
        sent = journal.first_sent(CHECKOUT)
        return self.find(order, journal, sent - CLOCK_DRIFT) if sent else ()

    # --- what became of it

    def _look(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """What became of the checkout: of each vendor order, and of each line in it."""
        if refs := journal.adopted():
            return self._tell(order, list(refs), [], journal)
        checkout = journal.answered(CHECKOUT)
        if checkout is None:
            raise OutcomeUnknown("The checkout has no answer yet.")
        result = parsed(checkout)
        if not _orders(result) and not items(result, "orderErrors"):
            raise Rejected([refusal_of(checkout)])
        cart = next(answer for step in reversed(CARTS) if (answer := journal.answered(step)) and answer.status == 201)
        refusals = list(self._group_refusals(order, parsed(cart), result, checkout))
        if not _orders(result):
            raise Rejected(refusals)
        return self._tell(order, _orders(result), refusals, journal)

    def _tell(self, order: OrderRequest, refs: list[str], refusals: list[Refusal], journal: Journal) -> Snapshot:
        tenant, refused = journal.tenant(), {refusal.line for refusal in refusals}
        open_lines = {line.number: line for line in order.lines if line.number not in refused}
        bought: list[Bought] = []
        words, action, phase = [], "", Phase.DONE
        for ref in refs:
            answer = self._read(f"order {ref}", Call("GET", f"/v1/customers/{tenant}/orders/{ref}"), journal)
            now = parsed(answer)
            if answer.status == 404 and (journal.adopted() or journal.age(CHECKOUT) > INVISIBLE_FOR):
                # Never read as "not bought". In the demo it means that the sandbox was reset under a database that was kept.
                raise MustPark(f"The vendor knows no order {ref}; a vendor’s sandbox may have been reset.")
            if answer.status != 200 or not now:
                # An order may be invisible for minutes after its submission: not an error (code 20000).
                words.append("not visible yet")
                phase = _least(phase, Phase.ACCEPTED)
                continue
            status = _status(now)
            words.append(status)
            lines = dict(_lines_of(now, open_lines))
            if status == "pending_po_upload":
                action = "Upload the purchase order document in Partner Center."
                phase = _least(phase, Phase.ACTION)
            elif status in WAITING:
                phase = _least(phase, Phase.ACCEPTED)
            elif status in REVERSED:
                refusals += [Refusal("", None, _reason_in(now), answer.body, number) for number in lines]
            elif status in {"completed", "partial_success"}:
                unfulfilled = self._unfulfilled(tenant, ref, journal) if status == "partial_success" else set()
                for number, item in lines.items():
                    if _number(item) in unfulfilled:
                        refusals.append(Refusal("", None, _reason_in(now), answer.body, number))
                    elif subscription := self._subscription(tenant, text(item, "subscriptionId"), journal):
                        bought.append(_bought(number, ref, item, subscription))
                    else:
                        phase = _least(phase, Phase.APPROVED)
            else:
                phase = Phase.UNKNOWN
        if phase is Phase.DONE:
            # Every order has told of its lines: what is left over is in none of them.
            refusals += [Refusal("", None, "", b"", number) for number in open_lines]
            if not bought:
                raise Rejected(refusals)
        return Snapshot(
            phase=phase,
            order_refs=tuple(refs),
            bought=tuple(bought),
            refusals=tuple(refusals),
            raw_status=", ".join(words),
            action=action,
        )

    def _group_refusals(self, order: OrderRequest, cart: dict[str, Any], result: dict[str, Any], checkout: Answer) -> Iterator[Refusal]:
        """One refusal for each line of each group that checkout refused."""
        for error in items(result, "orderErrors"):
            for line, item in zip(order.lines, _in_order(cart), strict=False):
                if text(item, "orderGroup") == text(error, "orderGroupId"):
                    yield Refusal(text(error, "code"), checkout.status, text(error, "description"), checkout.body, line.number)

    def _unfulfilled(self, tenant: str, ref: str, journal: Journal) -> set[int]:
        answer = self._read(f"provisioning of {ref}", Call("GET", f"/v1/customers/{tenant}/orders/{ref}/provisioningstatus"), journal)
        try:
            found = json.loads(answer.body.decode("utf-8-sig") or "[]")
        except (ValueError, RecursionError):
            raise OutcomeUnknown("The provisioning status could not be read.") from None
        rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else items(parsed(answer), "items")
        return {_number(row) for row in rows if row.get("status") == "unfulfilled"}

    def _subscription(self, tenant: str, ref: str, journal: Journal) -> dict[str, Any] | None:
        """The subscription when it runs, None while it does not."""
        if not ref:
            return None
        answer = self._read(f"subscription {ref}", Call("GET", f"/v1/customers/{tenant}/subscriptions/{ref}"), journal)
        found = parsed(answer) if answer.status == 200 else {}
        return found if found.get("status") == "active" else None

    # --- subscriptions

    def change_subscription(self, tenant: str, ref: str, changes: dict[str, Any], journal: Journal) -> Answer:
        """Change a subscription: the full resource goes back, with its etag, because what is left out would be reset.

        Source: Partner Center, "Change the quantity of a subscription"; a body without autoRenewEnabled turns renewal off. Raises
        Rejected, Busy or OutcomeUnknown; after the latter the subscription is read before anything is sent again.
        """
        path = f"/v1/customers/{tenant}/subscriptions/{ref}"
        step = f"change subscription {ref}"
        answer = journal.answered(step)
        if answer is None:
            now = parsed(self._read(f"subscription {ref}", Call("GET", path), journal))
            if journal.was_sent(step) and all(now.get(key) == value for key, value in changes.items()):
                # The unanswered call took effect.
                return self._read(f"subscription {ref}", Call("GET", path), journal)
            etag = text(now.get("attributes") or {}, "etag")
            try:
                answer = journal.write(step, Call("PATCH", path, json_bytes(now | changes), {"If-Match": etag}), self._send)
            except NothingSent as error:
                raise Busy(Refusal("", None, str(error))) from error
        if not self.decides(step, answer):
            raise OutcomeUnknown(f"{answer.status} to {step}")
        if answer.status >= 300:
            raise self._no(answer)
        return answer

    # --- calls

    def _read(self, step: str, call: Call, journal: Journal, *, refuse: bool = True) -> Answer:
        """A call that changes nothing. When the vendor is away, a new attempt may follow only if this one left no doubt.

        `refuse`: an error of the vendor's ends the attempt, as long as nothing was checked out.
        """
        try:
            answer = journal.read(step, call, self._send)
        except (NothingSent, OutcomeUnknown) as error:
            if _in_doubt(journal):
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error
        # A success that can't be read says nothing, least of all that something is not there.
        is_broken = answer.status == 200 and call.method != "HEAD" and not is_json(answer)
        if is_broken or not can_decide(answer.status):
            if _in_doubt(journal):
                raise OutcomeUnknown(f"{answer.status} to {step}")
            raise busy(answer)
        if refuse and answer.status >= 400 and call.method != "HEAD" and not journal.was_sent(CHECKOUT) and not journal.adopted():
            raise self._no(answer)
        return answer

    def _send(self, call: Call, key: str) -> Answer:
        """Send with a bearer; a refused one is renewed once."""
        answer = self._send_with(microsoft_login.bearer(self._client, self._login), call, key)
        if answer.status == 401:
            microsoft_login.forget(self._login)
            answer = self._send_with(microsoft_login.bearer(self._client, self._login), call, key)
        if answer.status == 401:
            raise AuthBroken(f"{call.method} {call.path} answered 401 with a new token.")
        return answer

    def _send_with(self, token: str, call: Call, key: str) -> Answer:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "MS-RequestId": key,
            "MS-CorrelationId": new_key(),
            "MS-Contract-Version": "v1",
            "MS-PartnerCenter-Application": "Seller Portal",
            **call.headers,
        }
        answer = self._client.send(call.method, self._login.base_url + call.path, headers, call.body)
        return Answer(answer.status, answer.headers, without_secrets(answer.body))


class CartPartnerCenter(PartnerCenter):
    """A vendor that sells through the same contract and lets an order lie in the seller's cart (status Start)."""

    slug = "partner_center_cart"
    capabilities = Capabilities(
        allows_start=True,
        cancel_window=timedelta(days=7),
        resend_for=CART_LIFETIME,
        finds_orders=True,
        lookup_lag=LIST_LAG,
        registration_countries=REGISTRATION_COUNTRIES,
    )


_ORDER_OF_PHASES = [Phase.UNKNOWN, Phase.ACTION, Phase.ACCEPTED, Phase.APPROVED, Phase.DONE]


def _company(customer: CustomerRequest) -> dict[str, str]:
    number = {"organizationRegistrationNumber": customer.registration_number} if customer.registration_number else {}
    return {"Domain": customer.domain} | number


def _check_list(answer: Answer, step: str, journal: Journal) -> None:
    """A list that can't be read is not an empty one: it does not say that there is nothing."""
    if answer.status == 200 and isinstance(parsed(answer).get("items"), list):
        return
    words = f"{answer.status} to {step}, without a list"
    raise OutcomeUnknown(words) if _in_doubt(journal) else Busy(Refusal("", answer.status, words, answer.body))


def _in_doubt(journal: Journal) -> bool:
    """Whether a checkout may have bought, or an unanswered call may have created the customer and used up the domain."""
    unfinished = not journal.tenant() and journal.was_sent(CUSTOMER) and journal.answered(CUSTOMER) is None
    return unfinished or journal.was_sent(CHECKOUT) or bool(journal.adopted())


def _least(one: Phase, other: Phase) -> Phase:
    """The phase that is farther from done; an action is named before mere waiting."""
    return min(one, other, key=_ORDER_OF_PHASES.index)


def _orders(result: dict[str, Any]) -> list[str]:
    """Ids of the orders that a checkout made."""
    return [ref for row in items(result, "orders") if (ref := text(row, "id"))]


def _is_active(cart: Answer) -> bool:
    """Whether the cart is there and was not sold."""
    return cart.status == 200 and text(parsed(cart), "status").lower() == "active"


def _in_order(cart: dict[str, Any]) -> list[dict[str, Any]]:
    """The cart's lines as we numbered them."""
    return sorted(items(cart, "lineItems"), key=lambda item: _whole(item.get("id")))


def _status(placed: dict[str, Any]) -> str:
    """The status in one spelling: the documents write spaces, the wire has underscores."""
    return re.sub(r"[\s-]+", "_", text(placed, "status").lower())


def _lines_of(placed: dict[str, Any], open_lines: dict[int, LineRequest]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Our line for each line of a vendor order; each of ours is used once and is open no more."""
    for item in items(placed, "lineItems"):
        for number, line in list(open_lines.items()):
            if _fits(item, placed, line):
                del open_lines[number]
                yield number, item
                break


def _fits(item: dict[str, Any], placed: dict[str, Any], line: LineRequest) -> bool:
    """Same product and SKU (the availability changes daily), quantity, term, and billing cycle where the order names it."""
    offer = text(item, "offerId").split(":")
    cycle = text(placed, "billingCycle").lower()
    return (
        offer[:2] == [line.product_id, line.sku_id]
        and item.get("quantity") == line.quantity
        and text(item, "termDuration") == line.term
        and cycle in {"", "unknown", line.billing_cycle}
    )


def _number(item: dict[str, Any]) -> int:
    return _whole(item.get("lineItemNumber"))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdecimal() else -1


def _bought(number: int, ref: str, item: dict[str, Any], subscription: dict[str, Any]) -> Bought:
    price = (item.get("pricing") or {}).get("price")
    return Bought(
        line=number,
        subscription_ref=text(subscription, "id"),
        vendor_order_ref=ref,
        unit_cost=Decimal(str(price)) if isinstance(price, int | float) else None,
        starts_at=_instant(subscription.get("effectiveStartDate")),
        ends_at=_instant(subscription.get("commitmentEndDate")),
    )


def _reason_in(placed: dict[str, Any]) -> str:
    """Words that a failed vendor order may carry; often there are none."""
    return next((text(placed, key) for key in ("statusDescription", "description", "message") if placed.get(key)), "")


def _instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
