"""Microsoft Partner Center: customer, cart, checkout, order, subscriptions.

Sources: learn.microsoft.com, Partner Center REST ("Create a customer", "Checkout a cart", "Error codes"). What decides
the shape: checkout is idempotent per cart id and is the only call that buys, so the cart id is stored before it and the
same cart is checked out again after any doubt; a cart splits into several vendor orders, and checkout answers orders[] and
orderErrors[] together; MS-RequestId is the idempotency key and is kept for a repeat, MS-CorrelationId is new on each call.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from orders.vendors.contract import (
    Answer,
    AuthBroken,
    Bought,
    Busy,
    Call,
    Capabilities,
    CustomerRequest,
    Journal,
    LineRequest,
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

CUSTOMER, CHECKOUT = "create customer", "checkout"
# Stale catalogue ids are refreshed and the cart is made once more (code 400019).
CARTS = ("create cart", "create cart again")
STALE_ITEM = "400019"
# Refusals of a checkout that say nothing about whether it was bought: look again, with the same cart.
LOOK_AGAIN = frozenset({"800008", "800060", "800064", "800065", "800082", "900278"})
WAITING = frozenset({"pending", "pending_review", "po_upload_complete", "unknown"})
SECRET_FIELDS = frozenset({"usercredentials", "passwordprofile", "access_token", "refresh_token", "client_secret"})

# Partner Center, "Create a customer": the registration number is mandatory here and refused elsewhere.
REGISTRATION_COUNTRIES = frozenset({
    "AE", "AM", "AZ", "BR", "BY", "HU", "IN", "IQ",
    "KG", "KZ", "MD", "MM", "PL", "RU", "SA", "SS", "TH", "TJ", "TR", "UA", "UZ", "VE", "VN", "ZA",
})  # fmt: skip

_tokens: dict[str, tuple[str, float]] = {}


class PartnerCenter:
    """Orders of Microsoft offers. Microsoft keeps no cart for the seller: such an order is never in Start."""

    slug = "partner_center"
    dialect = "partner_center"
    capabilities = Capabilities(
        needs_agreement=True,
        allows_start=False,
        cancel_window=timedelta(days=7),
        cart_lifetime=timedelta(days=7),
        registration_countries=REGISTRATION_COUNTRIES,
    )

    def __init__(self, login: Login) -> None:
        self._login = login
        self._client = Client(login)

    def close(self) -> None:
        """See contract.Connector.close."""
        self._client.close()

    def decides(self, step: str, answer: Answer) -> bool:
        """See contract.Connector.decides. Of the checkout only Microsoft's own error with a code, or orders, are believed."""
        if not can_decide(answer.status):
            return False
        data = _parsed(answer)
        if answer.status < 300:
            # A cut-off or empty success says nothing that we could go on with.
            return bool(data) and (step != CHECKOUT or bool(_list(data, "orders") or _list(data, "orderErrors")))
        code = refusals_of(answer)[0].code
        return code not in LOOK_AGAIN and (step != CHECKOUT or bool(code))

    # --- the order of things

    def advance(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """See contract.Connector.advance."""
        if journal.answered(CHECKOUT) is None:
            tenant = journal.tenant() or self._ensure_customer(order, journal)
            cart = self._ensure_cart(order, tenant, journal)
            self._checkout(tenant, cart, journal)
        return self._look(order, journal)

    def _ensure_customer(self, order: OrderRequest, journal: Journal) -> str:
        """The customer's id at Microsoft; creates him, or finds the one that an unanswered call created."""
        answer = journal.answered(CUSTOMER)
        if answer is None:
            if journal.was_sent(CUSTOMER):
                if found := self._find_customer(order, journal):
                    journal.remember_tenant(found)
                    return found
            else:
                self._refuse_taken_domain(order, journal)
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
            raise Rejected(refusals_of(answer))
        tenant = _text(_parsed(answer), "id")
        if not tenant:
            raise OutcomeUnknown("The customer was created without an id.")
        journal.remember_tenant(tenant)
        return tenant

    def _refuse_taken_domain(self, order: OrderRequest, journal: Journal) -> None:
        """HEAD says 404 for a free domain and 200 for a taken one."""
        answer = self._read("check domain", Call("HEAD", f"/v1/domains/{quote(order.customer.domain)}"), journal)
        if answer.status == 200:
            raise Rejected([Refusal("domain_taken", 200, f"HEAD /domains/{order.customer.domain} answered 200: the domain is taken.")])

    def _find_customer(self, order: OrderRequest, journal: Journal) -> str:
        """The customer that an unanswered create call made: same domain, name and contact. Empty when there is none."""
        wanted = json.dumps({"Field": "Domain", "Value": order.customer.domain, "Operator": "starts_with"})
        answer = self._read("find customer", Call("GET", f"/v1/customers?{urlencode({'filter': wanted})}"), journal)
        for item in _list(_parsed(answer), "items"):
            found = _text(item, "id")
            # The list has no contact; two resellers' customers may well share a name.
            whole = _parsed(self._read("find customer’s contact", Call("GET", f"/v1/customers/{found}"), journal))
            company, billing = whole.get("companyProfile", {}), whole.get("billingProfile", {})
            same = (company.get("domain"), billing.get("companyName"), billing.get("email"))
            if same == (order.customer.domain, order.customer.name, order.customer.email):
                return found
        return ""

    def _customer_body(self, order: OrderRequest) -> bytes:
        customer = order.customer
        return _json(
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
            if not self.decides(step, answer):
                raise busy(answer)
            if answer.status == 201:
                return self._checked_cart(order, answer)
            found = refusals_of(answer)
            if [refusal.code for refusal in found] != [STALE_ITEM]:
                raise Rejected(found)
        raise Rejected(found)

    def _cart_body(self, order: OrderRequest, journal: Journal) -> bytes:
        return _json(
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
        for item in _list(_parsed(answer), "items"):
            if any(term.get("duration") == line.term for term in item.get("terms", [])):
                return _text(item, "catalogItemId")
        text = f"No availability of {line.product_id}:{line.sku_id} for {line.term} in {order.customer.country}."
        raise Rejected([Refusal("not_available", answer.status, text, line=line.number)])

    def _checked_cart(self, order: OrderRequest, answer: Answer) -> str:
        """The cart's id, if no line of it has an error: a 201 may carry some."""
        cart = _parsed(answer)
        wrong = [
            Refusal(_text(error, "errorCode"), answer.status, _text(error, "errorDescription"), answer.body, line.number)
            for line, item in zip(order.lines, self._in_order(cart), strict=False)
            if (error := item.get("error")) and str(error.get("errorCode", "0")) != "0"
        ]
        if wrong:
            raise Rejected(wrong)
        if not (cart_id := _text(cart, "id")):
            raise Busy(Refusal("", answer.status, "The cart came without an id.", answer.body))
        return cart_id

    def _in_order(self, cart: dict[str, Any]) -> list[dict[str, Any]]:
        return sorted(_list(cart, "lineItems"), key=lambda item: int(item.get("id", 0)))

    def _checkout(self, tenant: str, cart: str, journal: Journal) -> None:
        """The call that buys. From its first byte on, only Microsoft's own word decides."""
        call = Call("POST", f"/v1/customers/{tenant}/carts/{cart}/checkout")
        had_left = journal.was_sent(CHECKOUT)
        try:
            answer = journal.write(CHECKOUT, call, self._send)
        except NothingSent as error:
            if had_left:
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error
        if not self.decides(CHECKOUT, answer):
            raise OutcomeUnknown(f"{answer.status} to {CHECKOUT}")

    def _look(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """What became of the checkout: of each vendor order, and of each line in it."""
        checkout = journal.answered(CHECKOUT)
        cart_answer = next(answer for step in reversed(CARTS) if (answer := journal.answered(step)) and answer.status == 201)
        if checkout is None:
            raise OutcomeUnknown("The checkout has no answer yet.")
        if checkout.status != 201:
            raise Rejected(refusals_of(checkout))
        cart, result = _parsed(cart_answer), _parsed(checkout)
        return self._tell(order, cart, result, journal.tenant(), checkout, journal)

    def _tell(
        self, order: OrderRequest, cart: dict[str, Any], result: dict[str, Any], tenant: str, checkout: Answer, journal: Journal
    ) -> Snapshot:
        by_item = dict(zip((line.number for line in order.lines), self._in_order(cart), strict=False))
        refusals = list(self._group_refusals(by_item, result, checkout))
        if not _list(result, "orders"):
            raise Rejected(refusals)
        open_lines = {number: item for number, item in by_item.items() if number not in {refusal.line for refusal in refusals}}
        bought: list[Bought] = []
        refs, words, action, phase = [], [], "", Phase.DONE
        for placed in _list(result, "orders"):
            ref = _text(placed, "id")
            refs.append(ref)
            answer = self._read(f"order {ref}", Call("GET", f"/v1/customers/{tenant}/orders/{ref}"), journal)
            if answer.status != 200:
                # An order may be invisible for minutes after its submission: not an error (code 20000).
                words.append("not visible yet")
                phase = _least(phase, Phase.ACCEPTED)
                continue
            now = _parsed(answer)
            status = re.sub(r"[\s-]+", "_", _text(now, "status").lower())
            words.append(status)
            lines = dict(self._lines_of(now, open_lines))
            if status == "pending_po_upload":
                action = "Upload the purchase order document in Partner Center."
                phase = _least(phase, Phase.ACTION)
            elif status in WAITING:
                phase = _least(phase, Phase.ACCEPTED)
            elif status in {"error", "cancelled", "po_review_rejected"}:
                refusals += [Refusal("", None, _reason_in(now), answer.body, number) for number in lines]
            elif status in {"completed", "partial_success"}:
                unfulfilled = self._unfulfilled(tenant, ref, journal) if status == "partial_success" else set()
                for number, item in lines.items():
                    if int(item.get("lineItemNumber", -1)) in unfulfilled:
                        refusals.append(Refusal("", None, _reason_in(now), answer.body, number))
                    elif subscription := self._subscription(tenant, _text(item, "subscriptionId"), journal):
                        bought.append(_bought(number, ref, item, subscription))
                    else:
                        phase = _least(phase, Phase.APPROVED)
            else:
                phase = Phase.UNKNOWN
        if phase is Phase.DONE and not bought:
            raise Rejected(refusals)
        return Snapshot(
            phase=phase,
            order_refs=tuple(refs),
            bought=tuple(bought),
            refusals=tuple(refusals),
            raw_status=", ".join(words),
            action=action,
        )

    def _group_refusals(self, by_item: dict[int, dict[str, Any]], result: dict[str, Any], checkout: Answer) -> Iterator[Refusal]:
        """One refusal for each line of each group that checkout refused."""
        for error in _list(result, "orderErrors"):
            for number, item in by_item.items():
                if str(item.get("orderGroup")) == str(error.get("orderGroupId")):
                    yield Refusal(_text(error, "code"), checkout.status, _text(error, "description"), checkout.body, number)

    def _lines_of(self, placed: dict[str, Any], open_lines: dict[int, dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Our line for each line of a vendor order: same offer, quantity and term; each of ours is used once."""
        for item in _list(placed, "lineItems"):
            for number, ours in list(open_lines.items()):
                same = all(item.get(theirs) == ours.get(mine) for theirs, mine in _SAME)
                if same:
                    del open_lines[number]
                    yield number, item
                    break

    def _unfulfilled(self, tenant: str, ref: str, journal: Journal) -> set[int]:
        answer = self._read(f"provisioning of {ref}", Call("GET", f"/v1/customers/{tenant}/orders/{ref}/provisioningstatus"), journal)
        items = json.loads(answer.body or b"[]")
        items = items if isinstance(items, list) else _list(items, "items")
        return {int(item.get("lineItemNumber", -1)) for item in items if item.get("status") == "unfulfilled"}

    def _subscription(self, tenant: str, ref: str, journal: Journal) -> dict[str, Any] | None:
        """The subscription when it runs, None while it does not."""
        if not ref:
            return None
        answer = self._read(f"subscription {ref}", Call("GET", f"/v1/customers/{tenant}/subscriptions/{ref}"), journal)
        if answer.status != 200:
            return None
        found = _parsed(answer)
        return found if found.get("status") == "active" else None

    # --- calls

    def _read(self, step: str, call: Call, journal: Journal) -> Answer:
        """A call that changes nothing. When the vendor is away, a new attempt may follow only if this one left no doubt."""
        try:
            answer = journal.read(step, call, self._send)
        except (NothingSent, OutcomeUnknown) as error:
            if _in_doubt(journal):
                raise OutcomeUnknown(str(error)) from error
            raise Busy(Refusal("", None, str(error))) from error
        if not can_decide(answer.status):
            if _in_doubt(journal):
                raise OutcomeUnknown(f"{answer.status} to {step}")
            raise busy(answer)
        if answer.status >= 400 and call.method != "HEAD" and not journal.was_sent(CHECKOUT):
            raise Rejected(refusals_of(answer))
        return answer

    def _send(self, call: Call, key: str) -> Answer:
        """Send with a bearer; a refused one is renewed once."""
        answer = self._send_with(self._token(), call, key)
        if answer.status == 401:
            _tokens.pop(self._login.account, None)
            answer = self._send_with(self._token(), call, key)
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

    def _token(self) -> str:
        """A bearer, kept in memory until shortly before its end. Raises AuthBroken, NothingSent or OutcomeUnknown."""
        token, until = _tokens.get(self._login.account, ("", 0.0))
        if time.monotonic() < until:
            return token
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self._login.client_id,
                "client_secret": self._login.client_secret,
                "resource": "https://api.partnercenter.microsoft.com",
            }
        ).encode()
        url = f"{self._login.login_url}/{quote(self._login.tenant)}/oauth2/token"
        try:
            answer = self._client.send("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, form)
        except OutcomeUnknown as error:
            # Whatever became of it, the call that needed the token was not sent.
            raise NothingSent(f"No token: {error}") from error
        if answer.status >= 500 or answer.status == 429:
            raise NothingSent(f"No token: the login service answered {answer.status}.")
        data = _parsed(answer)
        token = _text(data, "access_token")
        if answer.status != 200 or not token:
            raise AuthBroken(f"The login service answered {answer.status} {_text(data, 'error')}".strip())
        # Numbers come as text. A minute early, and never more than an hour.
        _tokens[self._login.account] = (token, time.monotonic() + min(3600, int(data.get("expires_in", 0))) - 60)
        return token


class CartPartnerCenter(PartnerCenter):
    """A vendor that sells through the same contract and lets an order lie in the seller's cart (status Start)."""

    slug = "partner_center_cart"
    capabilities = Capabilities(
        allows_start=True, cancel_window=timedelta(days=7), cart_lifetime=timedelta(days=7), registration_countries=REGISTRATION_COUNTRIES
    )


_SAME = (("offerId", "catalogItemId"), ("quantity", "quantity"), ("termDuration", "termDuration"))
_ORDER_OF_PHASES = [Phase.UNKNOWN, Phase.ACTION, Phase.ACCEPTED, Phase.APPROVED, Phase.DONE]


def _company(customer: CustomerRequest) -> dict[str, str]:
    number = {"organizationRegistrationNumber": customer.registration_number} if customer.registration_number else {}
    return {"Domain": customer.domain} | number


def _in_doubt(journal: Journal) -> bool:
    """Whether a checkout may have bought, or an unanswered call may have created the customer and used up the domain."""
    unfinished = not journal.tenant() and journal.was_sent(CUSTOMER) and journal.answered(CUSTOMER) is None
    return unfinished or journal.was_sent(CHECKOUT)


def _least(one: Phase, other: Phase) -> Phase:
    """The phase that is farther from done; an action is named before mere waiting."""
    return min(one, other, key=_ORDER_OF_PHASES.index)


def refusals_of(answer: Answer) -> list[Refusal]:
    """The refusal in an error answer, in any of Partner Center's body shapes; the text stays as it was sent."""
    data = _parsed(answer)
    code = next((str(data[key]) for key in ("code", "errorCode", "statusCode") if data.get(key) not in (None, "")), "")
    text = next((str(data[key]) for key in ("description", "message", "error_description") if data.get(key)), "")
    named = data.get("data")
    field = str(named[0]) if isinstance(named, list) and named else ""
    return [Refusal(code, answer.status, text, answer.body, field=field)]


def busy(answer: Answer) -> Busy:
    """A busy or absent vendor, with the time he asked for: Retry-After in seconds, at most an hour."""
    wait = answer.headers.get("retry-after", "")
    seconds = min(3600, int(wait)) if wait.isdigit() else 0
    return Busy(refusals_of(answer)[0], timedelta(seconds=seconds) if seconds else None)


def without_secrets(body: bytes) -> bytes:
    """The body with passwords and tokens blanked; a body that is not JSON has none of ours and stays as it is."""
    if not any(name in body.lower() for name in (field.encode() for field in SECRET_FIELDS)):
        return body
    try:
        data = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return b"[not shown: may hold a secret]"
    return _json(_blank(data))


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "[removed]" if key.lower() in SECRET_FIELDS else _blank(inner) for key, inner in value.items()}
    return [_blank(inner) for inner in value] if isinstance(value, list) else value


def _bought(number: int, ref: str, item: dict[str, Any], subscription: dict[str, Any]) -> Bought:
    price = (item.get("pricing") or {}).get("price")
    return Bought(
        line=number,
        subscription_ref=_text(subscription, "id"),
        vendor_order_ref=ref,
        unit_cost=Decimal(str(price)) if isinstance(price, int | float | str) else None,
        starts_at=_instant(subscription.get("effectiveStartDate")),
        ends_at=_instant(subscription.get("commitmentEndDate")),
    )


def _reason_in(placed: dict[str, Any]) -> str:
    """Words that a failed vendor order may carry; often there are none."""
    return next((str(placed[key]) for key in ("statusDescription", "description", "message") if placed.get(key)), "")


def _instant(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def _parsed(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer; bodies may begin with a byte-order mark. Anything else is an empty object."""
    try:
        data = json.loads(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _list(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [item for item in data.get(key) or [] if isinstance(item, dict)]


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def _json(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
