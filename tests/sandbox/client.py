"""A small client that keeps the contract, so that each test can break exactly one rule."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx

TENANT = "11111111-1111-4111-8111-111111111111"
OTHER_TENANT = "22222222-2222-4222-8222-222222222222"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "a-secret-for-tests"
RESOURCE = "https://api.partnercenter.microsoft.com"


def guid() -> str:
    return str(uuid.uuid4())


def customer_body(domain: str = "contoso.onmicrosoft.com", email: str = "ann@contoso.example") -> dict[str, Any]:
    """A customer the vendor accepts."""
    return {
        "enableGDAPByDefault": True,
        "CompanyProfile": {"Domain": domain},
        "BillingProfile": {
            "Email": email,
            "Culture": "en-US",
            "Language": "en",
            "CompanyName": "Contoso",
            "DefaultAddress": {
                "FirstName": "Ann",
                "LastName": "Smith",
                "AddressLine1": "1 Main Street",
                "City": "Riga",
                "PostalCode": "LV-1010",
                "Country": "LV",
                "PhoneNumber": "+37120000000",
            },
        },
    }


@dataclass
class Box:
    """One running vendor and one caller of it.  `expected` lists the violation kinds a test provokes on purpose."""

    url: str
    expected: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.http.close()

    # Control

    def control(self, method: str, name: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/__sandbox__/{name}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def kinds(self) -> list[str]:
        return [violation["kind"] for violation in self.control("GET", "violations")["violations"]]

    def advance(self, duration: str) -> None:
        self.control("POST", "clock", {"advance": duration})

    def fault(self, action: str, path: str = "/v1/*", method: str = "*", **more: Any) -> None:
        self.control("POST", "faults", {"match": {"method": method, "path": path}, "action": action, **more})

    # Vendor

    def ask_token(self, tenant: str = TENANT, **changes: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "resource": RESOURCE}
        return self.http.post(f"/{tenant}/oauth2/token", data=form | changes)

    def token(self, tenant: str = TENANT) -> str:
        if tenant not in self.tokens:
            self.tokens[tenant] = self.ask_token(tenant).json()["access_token"]
        return self.tokens[tenant]

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tenant: str = TENANT,
        headers: dict[str, str | None] | None = None,
        http: httpx.Client | None = None,
    ) -> httpx.Response:
        """One call with all the headers the contract asks for; `headers` replaces some, None leaves one out."""
        sent: dict[str, str | None] = {
            "Authorization": f"Bearer {self.token(tenant)}",
            "MS-RequestId": guid(),
            "MS-CorrelationId": guid(),
            **(headers or {}),
        }
        kept = {name: value for name, value in sent.items() if value is not None}
        return (http or self.http).request(method, f"/v1{path}", json=body, headers=kept)

    def customer(self, domain: str = "contoso.onmicrosoft.com", **more: Any) -> str:
        answer = self.call("POST", "/customers", customer_body(domain), **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def item(self, product: str = "CFQ7TTC0LH18", sku: str = "0001", country: str = "LV") -> str:
        answer = self.call("GET", f"/products/{product}/skus/{sku}/availabilities?country={country}&targetSegment=commercial")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["items"][0]["catalogItemId"])

    def line(self, number: int, seats: Any, **changes: Any) -> dict[str, Any]:
        return {
            "id": number,
            "catalogItemId": self.item(),
            "friendlyName": f"Line {number}",
            "quantity": seats,
            "currencyCode": "EUR",
            "billingCycle": "monthly",
            "termDuration": "P1Y",
            "participants": [],
            **changes,
        }

    def post_cart(self, customer: str, *quantities: Any, **more: Any) -> httpx.Response:
        lines = [self.line(number, quantity) for number, quantity in enumerate(quantities)]
        return self.call("POST", f"/customers/{customer}/carts", {"lineItems": lines}, **more)

    def cart(self, customer: str, *quantities: Any) -> str:
        answer = self.post_cart(customer, *quantities)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def checkout(self, customer: str, cart: str, **more: Any) -> httpx.Response:
        return self.call("POST", f"/customers/{customer}/carts/{cart}/checkout", **more)

    def order(self, customer: str, quantity: int) -> str:
        answer = self.checkout(customer, self.cart(customer, quantity))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["orders"][0]["id"])

    def status(self, customer: str, order: str) -> str:
        return str(self.call("GET", f"/customers/{customer}/orders/{order}").json()["status"])

    def find(self, field_name: str, value: str) -> list[str]:
        wanted = json.dumps({"Field": field_name, "Value": value, "Operator": "starts_with"})
        return [item["id"] for item in self.call("GET", f"/customers?filter={quote(wanted)}").json()["items"]]
