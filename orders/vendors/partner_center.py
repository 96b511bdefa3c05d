"""Microsoft Partner Center: customer, cart, checkout, order, subscriptions.

Sources: learn.microsoft.com, Partner Center REST ("Create a customer", "Checkout a cart", "Error codes"). What decides
the shape: checkout is idempotent per cart id and is the only call that buys, so the cart id is stored before it and the
same cart is checked out again after any doubt; a cart splits into several vendor orders, and checkout answers orders[] and
orderErrors[] together; MS-RequestId is the idempotency key and is kept for a repeat, MS-CorrelationId is new on each call.

Definite, from the first byte of the checkout on: an answer that names its orders, an answer (or every error in it) that the failure
catalogue calls a refusal, or an error of Microsoft's own that the catalogue does not know, when the cart is still unsold. All else
is a doubt. Before it nothing is bought, whatever the answer: no is no, and a busy vendor is asked again by a new attempt with a
new cart. Which line an order is of, and what was not bought, partner_center_orders.py tells.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from orders.vendors import microsoft_login
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
from orders.vendors.partner_center_carts import cart_errors, checked_cart, errors_in, group_refusals, left_over, made_orders, sold_item
from orders.vendors.partner_center_checks import Checks
from orders.vendors.partner_center_customers import is_customer, may_be_customer, only_match, only_matches
from orders.vendors.partner_center_orders import REVERSED, WAITING, Placed, Row, is_clear, match, may_be
from orders.vendors.partner_center_values import folded, inner
from orders.vendors.values import cost, ident, instant, printable, whole

CUSTOMER, CHECKOUT = "create customer", "checkout"
# Stale catalogue ids are refreshed and the cart is made once more.
CARTS = ("create cart", "create cart again")
# So is a subscription that somebody else has changed since it was read.
CHANGES = ("change subscription", "change subscription again")
CART_LIFETIME = timedelta(days=7)
# A cart is not checked out again in its last hour: the answer might come after its end.
RESEND_MARGIN = timedelta(hours=1)
# "List orders" may miss an order for 15 minutes (Partner Center, error 20000).
LIST_LAG = timedelta(minutes=15)
# "Order not found" (20000) is no error for so long after the submission.
INVISIBLE_FOR = timedelta(minutes=20)
# Pages of one list that are read at most.
MOST_PAGES = 20
# A subscription in one of these states was bought, whatever became of it since; that is told on its own page. "none" and "pending"
# are not there yet, and a word that is not documented is no proof.
THERE = frozenset({"active", "suspended", "expired", "disabled", "deleted"})

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
        data = parsed(answer)
        if answer.status < 300 and (data.get("orders") or not (answer.status == 200 and refusal.code)):
            # A cut-off or empty success says nothing that we could go on with.
            return answer.status >= 200 and self._has_result(step, data)
        meaning = self._meanings(answer.status, refusal.code) if refusal.code else None
        if meaning:
            return meaning.kind is MeaningKind.REFUSED or (step != CHECKOUT and meaning.kind is MeaningKind.REFRESH)
        return step != CHECKOUT and answer.status >= 400 and can_decide(answer.status)

    def _has_result(self, step: str, data: dict[str, Any]) -> bool:
        """Whether a success has what the step is for. Errors alone end a checkout only when each of them is a definite no."""
        if step == CHECKOUT:
            errors = errors_in(data.get("orderErrors"))
            return bool(refs := made_orders(data)) or (
                refs == [] and bool(errors) and all(self._is_definite(error["code"]) for error in errors)
            )
        if step == CUSTOMER or step in CARTS:
            return bool(ident(data.get("id")))
        return bool(data)

    def _is_definite(self, code: str) -> bool:
        """Whether an error inside a checkout says for certain that its group was not bought."""
        meaning = self._meanings(None, code)
        return meaning is not None and meaning.kind is MeaningKind.REFUSED

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
        found, open_lines = [], list(order.lines)
        for placed in self._new_orders(order, tenant, journal, since):
            matched = match(placed.rows, open_lines)
            if len(matched) < len(placed.rows):
                raise MustPark(f"Order {placed.ref} at the vendor fits items that another order there fits too.")
            open_lines = [line for line in open_lines if line.number not in matched]
            found.append(placed.ref)
        if found and open_lines and journal.was_sent(CHECKOUT) and journal.age(CHECKOUT) < self._settles_after:
            # One checkout becomes several orders, and the list may show the first of them alone.
            raise OutcomeUnknown("Some items are in no order at the vendor yet.")
        if found:
            journal.remember_tenant(tenant)
        return tuple(found)

    def _new_orders(self, order: OrderRequest, tenant: str, journal: Journal, since: datetime) -> list[Placed]:
        """The customer's orders that may be this one, oldest first. Raises OutcomeUnknown when that can't be told of one."""
        taken, found = journal.known_orders(), []
        for row in self._listed("list orders", f"/v1/customers/{quote(tenant, safe='')}/orders", journal, refuse=False):
            placed, created = Placed(ident(row.get("id")), row), instant(row.get("creationDate"))
            if placed.ref in taken or placed.status in REVERSED or (created and created < since):
                continue
            if placed.rows and not any(may_be(item, line) for item in placed.rows for line in order.lines):
                continue
            if not (placed.ref and created and any(is_clear(item, order.lines) for item in placed.rows)):
                raise OutcomeUnknown(f"The vendor lists an order that may be this one and does not say enough of it: {placed.ref}")
            found.append((created, placed))
        return [placed for _created, placed in sorted(found, key=lambda pair: pair[0])]

    @property
    def _settles_after(self) -> timedelta:
        """How long after a checkout the list of orders may lack one of it: its effect may be late, and the list is."""
        return self.capabilities.in_flight + LIST_LAG

    def is_unsold(self, order: OrderRequest, journal: Journal) -> bool:
        """See contract.Connector.is_unsold. A cart is active until it is sold."""
        cart = ident(_cart(journal).get("id"))
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
        tenant = ident(parsed(answer).get("id")) if answer.status < 300 else ""
        if not tenant:
            raise Rejected([refusal_of(answer)])
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
        """The customer that an earlier call of ours made: same domain, name and contact. Empty when there is none.

        Another seller's customer may have the same domain. Of him nothing is kept, not even his id in a path.
        """
        wanted = json.dumps({"Field": "Domain", "Value": order.customer.domain, "Operator": "starts_with"})
        path, step = f"/v1/customers?{urlencode({'filter': wanted})}", "find customer"
        for item in self._listed(step, path, journal, keep=lambda answer: only_matches(answer, order.customer)):
            if not may_be_customer(item, order.customer):
                continue
            if not (found := ident(item.get("id"))):
                raise _unlisted("The vendor lists a customer without an id.", journal)
            # The list has no contact; two resellers' customers may well share a name.
            answer = self._read(
                "find customer’s contact",
                Call("GET", f"/v1/customers/{quote(found, safe='')}"),
                journal,
                refuse=False,
                shown=Call("GET", "/v1/customers/{found}"),
                keep=lambda answer: only_match(answer, order.customer),
            )
            is_ours = is_customer(parsed(answer), order.customer) if answer.status == 200 else False if answer.status == 404 else None
            if is_ours:
                return found
            if is_ours is None:
                raise _unlisted(f"{answer.status} to find customer’s contact", journal)
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
                    answer = journal.write(step, Call("POST", f"/v1/customers/{quote(tenant, safe='')}/carts", body), self._send)
                except (NothingSent, OutcomeUnknown) as error:
                    raise Busy(Refusal("", None, str(error))) from error
            if answer.status >= 300 or not self.decides(step, answer):
                no, is_stale = self._no(answer), self._is_stale(answer)
            elif wrong := cart_errors(order, answer):
                no, is_stale = self._no_to_lines(wrong)
            else:
                return checked_cart(order, answer)
            if not is_stale:
                break
        raise no

    def _no_to_lines(self, wrong: list[Refusal]) -> tuple[Rejected | Busy, bool]:
        """What errors at a cart's lines mean, and whether a new cart may have none of them."""
        found = [self._meanings(None, refusal.code) if refusal.code else None for refusal in wrong]
        known = [meaning for meaning in found if meaning and meaning.kind is not MeaningKind.REFUSED]
        if len(known) < len(wrong):
            return Rejected(wrong), False
        if all(meaning.kind is MeaningKind.REFRESH for meaning in known):
            return Rejected(wrong), True
        return Busy(wrong[0], max((meaning.wait for meaning in known if meaning.wait), default=None)), False

    def _is_stale(self, answer: Answer) -> bool:
        """Whether what we sent was out of date; 412 is HTTP's own word for an etag that is."""
        code = refusal_of(answer).code
        meaning = self._meanings(answer.status, code) if code else None
        return answer.status == 412 or (meaning is not None and meaning.kind is MeaningKind.REFRESH)

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
        if found := sold_item(parsed(answer), line):
            return found
        words = f"No availability of {line.product_id}:{line.sku_id} for {line.term} in {order.customer.country}."
        raise Rejected([Refusal("not_available", answer.status, words, line=line.number)])

    # --- the call that buys

    def _checkout(self, order: OrderRequest, tenant: str, cart: str, journal: Journal) -> None:
        """From its first byte on, only Microsoft's own word decides."""
        if journal.age(CHECKOUT) > CART_LIFETIME - RESEND_MARGIN:
            self._adopt_or_park(order, journal)
            return
        call = Call("POST", f"/v1/customers/{quote(tenant, safe='')}/carts/{quote(cart, safe='')}/checkout")
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
        result = parsed(answer) if answer.status < 300 else {}
        if result.get("orders") or result.get("orderErrors"):
            self._clear_errors(order, tenant, cart, answer, journal)
            return
        refusal = refusal_of(answer)
        meaning = self._meanings(answer.status, refusal.code) if refusal.code else None
        is_unknown_no = meaning is None and answer.status >= 400 and can_decide(answer.status) and is_own_error(answer)
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

    def _clear_errors(self, order: OrderRequest, tenant: str, cart: str, answer: Answer, journal: Journal) -> None:
        """A checkout that went through, with orders that it does not name or with errors that may pass: the same cart is asked again."""
        if found := self._find_bought(order, journal):
            journal.adopt(found)
            return
        result = parsed(answer)
        errors = errors_in(result.get("orderErrors"))
        are_nos = all(
            error["code"] not in {"", "0"} and (self._is_definite(error["code"]) or not self._meanings(None, error["code"]))
            for error in errors
        )
        if made_orders(result) == [] and are_nos and _is_active(self._cart_now(tenant, cart, journal)):
            raise Rejected(group_refusals(order, _cart(journal), errors, answer))
        raise OutcomeUnknown(f"{answer.status} to {CHECKOUT}: {', '.join(error['code'] for error in errors)}")

    def _cart_now(self, tenant: str, cart: str, journal: Journal) -> Answer:
        return self._read("look at cart", Call("GET", f"/v1/customers/{quote(tenant, safe='')}/carts/{quote(cart, safe='')}"), journal)

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
        result = parsed(checkout) if checkout.status < 300 else {}
        made, errors = made_orders(result), errors_in(result.get("orderErrors"))
        if not made and not errors:
            raise Rejected([refusal_of(checkout)])
        refusals = group_refusals(order, _cart(journal), errors, checkout)
        if not made:
            raise Rejected(refusals)
        is_open = not all(self._is_definite(error["code"]) for error in errors)
        if is_open and journal.age(CHECKOUT) > self._settles_after:
            # What such a group has become would be in the list of orders by now.
            if late := [ref for ref in self._find_bought(order, journal) if ref not in made]:
                journal.adopt((*made, *late))
                return self._look(order, journal)
            is_open = False
        return self._tell(order, made, refusals, journal, is_open=is_open)

    def _tell(self, order: OrderRequest, refs: list[str], refusals: list[Refusal], journal: Journal, *, is_open: bool = False) -> Snapshot:
        """What became of these orders. `is_open`: there may be more of them than are known."""
        placed_orders = [self._placed(ref, journal) for ref in refs]
        rows = self._rows_of(order, placed_orders, refusals, journal)
        refused = [no for no in refusals if no.line and no.line not in rows and (self._is_definite(no.code) or not is_open)]
        bought: list[Bought] = []
        words, action, phase = [], "", Phase.ACCEPTED if is_open else Phase.DONE
        for placed in placed_orders:
            mine = {number: row for number, row in rows.items() if row.placed is placed}
            status = placed.status
            words.append(status if placed.data else "not visible yet")
            if not placed.data or status in WAITING:
                # An order may be invisible for minutes after its submission: not an error (code 20000).
                phase = _least(phase, Phase.ACCEPTED)
            elif status == "pending_po_upload":
                action = "Upload the purchase order document in Partner Center."
                phase = _least(phase, Phase.ACTION)
            elif status in REVERSED:
                refused += [Refusal("", None, placed.reason, placed.raw, number) for number in mine]
            elif status in {"completed", "partial_success"}:
                sold, failed = self._sold(placed, mine, journal)
                bought += sold
                refused += failed
                if len(sold) + len(failed) < len(mine):
                    phase = _least(phase, Phase.APPROVED)
                if not placed.rows or len(mine) < len(placed.rows):
                    # Something was bought, and for which of our items can't be told: that is never a no to any of them.
                    words.append("items not recognised")
                    phase = Phase.UNKNOWN
            else:
                phase = Phase.UNKNOWN
        if phase is Phase.DONE:
            refused += left_over(order, placed_orders, rows, refused, refusals)
            if not bought:
                raise Rejected(refused)
        return Snapshot(
            phase=phase,
            order_refs=tuple(refs),
            bought=tuple(bought),
            refusals=tuple(refused),
            raw_status=printable(", ".join(words)),
            action=action,
        )

    def _placed(self, ref: str, journal: Journal) -> Placed:
        """The order as the vendor shows it now."""
        path = f"/v1/customers/{quote(journal.tenant(), safe='')}/orders/{quote(ref, safe='')}"
        answer = self._read(f"order {ref}", Call("GET", path), journal)
        if answer.status == 404 and (journal.adopted() or journal.age(CHECKOUT) > INVISIBLE_FOR):
            # Never read as "not bought". In the demo it means that the sandbox was reset under a database that was kept.
            raise MustPark(f"The vendor knows no order {ref}; a vendor’s sandbox may have been reset.")
        return Placed(ref, parsed(answer) if answer.status == 200 else {}, answer.body)

    def _rows_of(self, order: OrderRequest, placed_orders: list[Placed], refusals: list[Refusal], journal: Journal) -> dict[int, Row]:
        """The vendor's row for each of our lines, as far as can be told. What he refused is looked for last: an order counts more."""
        all_rows = [row for placed in placed_orders for row in placed.rows]
        # What our own checkout made is ours; an order that was found may have more in it.
        are_ours = not journal.adopted() and all(placed.rows for placed in placed_orders)
        refused = {refusal.line for refusal in refusals}
        found = match(all_rows, [line for line in order.lines if line.number not in refused], are_ours=are_ours)
        left = [row for row in all_rows if row not in found.values()]
        return found | match(left, [line for line in order.lines if line.number in refused], are_ours=are_ours)

    def _sold(self, placed: Placed, mine: dict[int, Row], journal: Journal) -> tuple[list[Bought], list[Refusal]]:
        """What came of the lines of an order that is done: bought, not delivered, or in neither list while there is no subscription."""
        tenant, bought, failed = journal.tenant(), [], []
        unfulfilled = self._unfulfilled(tenant, placed.ref, journal) if placed.status == "partial_success" else set()
        for number, row in mine.items():
            if row.number in unfulfilled:
                failed.append(Refusal("", None, placed.reason, placed.raw, number))
            elif subscription := self._subscription(tenant, ident(row.data.get("subscriptionId")), journal):
                bought.append(_bought(number, row, subscription))
        return bought, failed

    def _unfulfilled(self, tenant: str, ref: str, journal: Journal) -> set[int | None]:
        """Numbers of the lines that the vendor could not deliver."""
        path = f"/v1/customers/{quote(tenant, safe='')}/orders/{quote(ref, safe='')}/provisioningstatus"
        answer = self._read(f"provisioning of {ref}", Call("GET", path), journal)
        try:
            found = json.loads(answer.body.decode("utf-8-sig") or "[]")
        except (ValueError, RecursionError):
            raise OutcomeUnknown("The provisioning status could not be read.") from None
        rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else items(parsed(answer), "items")
        return {whole(row.get("lineItemNumber")) for row in rows if folded(row.get("status")) == "unfulfilled"} - {None}

    def _subscription(self, tenant: str, ref: str, journal: Journal) -> dict[str, Any] | None:
        """The subscription when it was made, None while it was not."""
        if not ref:
            return None
        path = f"/v1/customers/{quote(tenant, safe='')}/subscriptions/{quote(ref, safe='')}"
        answer = self._read(f"subscription {ref}", Call("GET", path), journal)
        found = parsed(answer) if answer.status == 200 else {}
        return found if ident(found.get("id")) and folded(found.get("status")) in THERE else None

    # --- subscriptions

    def change_subscription(self, tenant: str, ref: str, changes: dict[str, Any], journal: Journal) -> Answer:
        """Change a subscription: the full resource goes back, with its etag, because what is left out would be reset.

        Source: Partner Center, "Change the quantity of a subscription"; a body without autoRenewEnabled turns renewal off. Raises
        Rejected, Busy or OutcomeUnknown; after the latter the subscription is read before anything is sent again.
        """
        path = f"/v1/customers/{quote(tenant, safe='')}/subscriptions/{quote(ref, safe='')}"
        for name in CHANGES:
            answer = self._change_once(f"{name} {ref}", path, changes, journal)
            if not self._is_stale(answer):
                break
        if answer.status >= 300 or refusal_of(answer).code:
            raise self._no(answer)
        return answer

    def _change_once(self, step: str, path: str, changes: dict[str, Any], journal: Journal) -> Answer:
        answer = journal.answered(step)
        if answer is None:
            shown, now = self._whole_subscription(step, path, journal)
            if journal.was_sent(step) and all(now.get(key) == value for key, value in changes.items()):
                # The unanswered call took effect.
                return shown
            answer = self._patch(step, path, now, changes, journal)
        if not self.decides(step, answer):
            raise OutcomeUnknown(f"{answer.status} to {step}")
        return answer

    def _whole_subscription(self, step: str, path: str, journal: Journal) -> tuple[Answer, dict[str, Any]]:
        """The resource as it is now, with an etag to send it back with; without both nothing may be sent."""
        was_sent = journal.was_sent(step)
        try:
            answer = self._read(f"look before {step}", Call("GET", path), journal)
        except (Busy, Rejected) as error:
            if was_sent:
                raise OutcomeUnknown(str(error)) from error
            raise
        now = parsed(answer)
        if answer.status == 200 and ident(now.get("id")) and _is_plain(text(inner(now, "attributes"), "etag")):
            return answer, now
        words = "The vendor does not show the whole subscription."
        raise OutcomeUnknown(words) if was_sent else Busy(Refusal("", answer.status, words, answer.body))

    def _patch(self, step: str, path: str, now: dict[str, Any], changes: dict[str, Any], journal: Journal) -> Answer:
        had_left = journal.was_sent(step)
        call = Call("PATCH", path, json_bytes(now | changes), {"If-Match": text(inner(now, "attributes"), "etag")})
        try:
            return journal.write(step, call, self._send)
        except NothingSent as error:
            if had_left:
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error

    # --- calls

    def _listed(
        self, step: str, path: str, journal: Journal, *, refuse: bool = True, keep: Callable[[Answer], bytes] | None = None
    ) -> list[dict[str, Any]]:
        """Every row of a list, page by page. One that can't be read to its end is not an empty one."""
        rows: list[dict[str, Any]] = []
        call = Call("GET", path)
        for _page in range(MOST_PAGES):
            answer = self._read(step, call, journal, refuse=refuse, keep=keep, shown=keep and Call("GET", path))
            page = parsed(answer)
            on_page = page.get("items")
            if answer.status != 200 or not isinstance(on_page, list) or not all(isinstance(row, dict) for row in on_page):
                raise _unlisted(f"{answer.status} to {step}, without a list", journal, answer)
            rows += on_page
            following = inner(page, "links").get("next")
            if not following:
                if (whole(page.get("totalCount")) or 0) > len(rows):
                    raise _unlisted(f"{step}: the list is not whole", journal)
                return rows
            if not (next_call := _next_page(following, path)):
                break
            call = next_call
        raise _unlisted(f"{step}: the list has a page that can't be read", journal)

    def _read(
        self,
        step: str,
        call: Call,
        journal: Journal,
        *,
        refuse: bool = True,
        keep: Callable[[Answer], bytes] | None = None,
        shown: Call | None = None,
    ) -> Answer:
        """A call that changes nothing. When the vendor is away, a new attempt may follow only if this one left no doubt.

        `refuse`: an error of the vendor's ends the attempt, as long as nothing was checked out. `keep`: what of the body the journal
        gets, and `shown` the call, when we may read more than may be kept.
        """
        unkept: list[Answer] = []

        def send(given: Call, key: str) -> Answer:
            answer = self._send(call if shown else given, key)
            unkept.append(answer)
            return replace(answer, body=keep(answer)) if keep else answer

        try:
            answer = journal.read(step, shown or call, send)
        except (NothingSent, OutcomeUnknown) as error:
            if _in_doubt(journal):
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error
        answer = unkept[-1] if keep else answer
        # A success that can't be read says nothing, least of all that something is not there.
        is_broken = answer.status == 200 and call.method != "HEAD" and not is_json(answer)
        if is_broken or not can_decide(answer.status):
            if _in_doubt(journal):
                raise OutcomeUnknown(f"{answer.status} to {step}")
            raise busy(replace(answer, body=keep(answer)) if keep else answer)
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
        return self._client.send(call.method, self._login.base_url + call.path, headers, call.body)


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


def _unlisted(why: str, journal: Journal, answer: Answer | None = None) -> OutcomeUnknown | Busy:
    """A list that can't be read is not an empty one: it does not say that there is nothing."""
    if _in_doubt(journal):
        return OutcomeUnknown(why)
    return Busy(Refusal("", answer.status if answer else None, why))


def _next_page(link: object, path: str) -> Call | None:
    """The call for a list's next page; None when the link leads elsewhere or can't be read."""
    uri = text(link, "uri") if isinstance(link, dict) else ""
    if not _is_plain(uri):
        return None
    uri = uri if uri.startswith("/v1/") else f"/v1/{uri.lstrip('/')}"
    parts, first = urlsplit(uri), urlsplit(path)
    if parts.path.casefold() != first.path.casefold():
        return None
    tokens = {text(one, "key"): text(one, "value") for one in items(link, "headers")} if isinstance(link, dict) else {}
    headers = {key: value for key, value in tokens.items() if key.casefold() == "ms-continuationtoken" and _is_plain(value)}
    return Call("GET", f"{first.path}?{parts.query}", headers=headers)


def _is_plain(words: str) -> bool:
    """Whether this can stand in a header or an address as it is."""
    return bool(words) and words.isascii() and words.isprintable() and " " not in words


def _in_doubt(journal: Journal) -> bool:
    """Whether a checkout may have bought, or an unanswered call may have created the customer and used up the domain."""
    unfinished = not journal.tenant() and journal.was_sent(CUSTOMER) and journal.answered(CUSTOMER) is None
    return unfinished or journal.was_sent(CHECKOUT) or bool(journal.adopted())


def _least(one: Phase, other: Phase) -> Phase:
    """The phase that is farther from done; an action is named before mere waiting."""
    return min(one, other, key=_ORDER_OF_PHASES.index)


def _cart(journal: Journal) -> dict[str, Any]:
    """The last cart that was made; empty when there is none."""
    made = (answer for step in reversed(CARTS) if (answer := journal.answered(step)) and answer.status < 300)
    return next((parsed(answer) for answer in made), {})


def _is_active(cart: Answer) -> bool:
    """Whether the cart is there and was not sold."""
    return cart.status == 200 and text(parsed(cart), "status").lower() == "active"


def _bought(number: int, row: Row, subscription: dict[str, Any]) -> Bought:
    return Bought(
        line=number,
        subscription_ref=ident(subscription.get("id")),
        vendor_order_ref=row.placed.ref,
        unit_cost=cost(inner(row.data, "pricing").get("price")),
        starts_at=instant(subscription.get("effectiveStartDate")),
        ends_at=instant(subscription.get("commitmentEndDate")),
    )
