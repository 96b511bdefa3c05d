"""What the conformance suite must know of a vendor. A new connector joins the suite with a kit here."""

import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from orders.vendors import adobe_login, microsoft_login, registry
from orders.vendors.contract import (
    Busy,
    Connector,
    CustomerRequest,
    LineRequest,
    Meanings,
    OrderRequest,
    OutcomeUnknown,
    Phase,
    Snapshot,
)
from orders.vendors.http import Login
from tests.harness.meanings import meanings
from tests.harness.sandbox import ADOBE_RESELLER, CLIENT_ID, CLIENT_SECRET, MICROSOFT_TENANT, Sandbox
from tests.vendors.memory_journal import MemoryJournal

type Ledger = Mapping[str, Any]
# Line, code, HTTP status and field of a refusal.
type Told = tuple[int | None, str, int | None, str]


@dataclass(frozen=True)
class Refused:
    """An order that the vendor refuses for certain, and what he says then."""

    quantities: tuple[int, ...]
    told: tuple[Told, ...]
    customer: Mapping[str, str]
    offer: str = ""


@dataclass(frozen=True, kw_only=True)
class Kit:
    """One vendor: how to speak to him, what he sells, refuses and remembers."""

    slug: str
    tenant: str
    meanings: Meanings
    tokens: dict[str, tuple[str, float]]
    token_path: str
    writing_paths: tuple[str, ...]  # every call that changes something, the one that buys last
    listing_paths: tuple[str, ...]  # where find looks for the customer and for his orders
    key_header: str  # what the vendor recognises a repeat by
    try_header: str  # what must be new on every try
    key_life: timedelta  # longer than the vendor knows an unanswered purchase
    offer: tuple[str, str]
    refused: Mapping[str, Refused]
    partly: Mapping[tuple[int, ...], tuple[int, str]]  # quantities, of which one line is bought: the other and its code
    busy: tuple[int, ...]  # quantities that are turned away a few times and then work
    two_problems: Callable[["Kit"], OrderRequest]  # which check must find
    purchases: Callable[[Ledger], list[Any]]
    customers: Callable[[Ledger], list[Any]]

    @property
    def buying_path(self) -> str:
        return self.writing_paths[-1]

    @property
    def buying_step(self) -> str:
        return registry.CONNECTORS[self.slug].buying_step

    def login(self, vendor: Sandbox, **changes: object) -> Login:
        fields: dict[str, object] = {
            "account": "test",
            "base_url": vendor.url,
            "login_url": vendor.url,
            "tenant": self.tenant,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "deadline_seconds": 20.0,
            "allow_loopback": True,
        }
        return Login(**(fields | changes))  # type: ignore[arg-type]

    def connect(self, vendor: Sandbox, **changes: object) -> Connector:
        return registry.connect(self.slug, self.login(vendor, **changes), self.meanings)

    def journal(self, vendor: Sandbox, tenant: str = "") -> MemoryJournal:
        with closing(self.connect(vendor)) as connector:
            return MemoryJournal(connector.decides, tenant)

    def order(self, *quantities: int, offer: str = "", **customer: str) -> OrderRequest:
        product, sku = self.offer
        lines = tuple(
            LineRequest(number, offer or product, offer or sku, f"Offer {number}", quantity, "P1Y", "monthly", "Commercial")
            for number, quantity in enumerate(quantities, start=1)
        )
        return OrderRequest(reference=uuid.uuid4().hex, currency="EUR", customer=a_customer(**customer), lines=lines)

    def advance(self, vendor: Sandbox, order: OrderRequest, journal: MemoryJournal, **login: object) -> Snapshot:
        """One conversation, as the engine holds it."""
        with closing(self.connect(vendor, **login)) as connector:
            return connector.advance(order, journal)

    def follow(self, vendor: Sandbox, order: OrderRequest, journal: MemoryJournal, **login: object) -> Snapshot:
        """Ask again and again until the vendor's word is final. Time is the sandbox's own."""
        for _ in range(15):
            try:
                snapshot = self.advance(vendor, order, journal, **login)
            except OutcomeUnknown:
                snapshot = None
            if snapshot and snapshot.phase is Phase.DONE:
                return snapshot
            vendor.release()
            vendor.clock("PT3S")
        pytest.fail("The order never came to an end.")

    def buy(self, vendor: Sandbox, order: OrderRequest, **login: object) -> Snapshot:
        """Follow the order through attempts that found the vendor busy, as rule 5 has it. A busy one has bought nothing."""
        journal = self.journal(vendor)
        for _ in range(5):
            try:
                return self.follow(vendor, order, journal, **login)
            except Busy:
                assert not self.purchases(vendor.ledger())
                # Each attempt has a reference of its own.
                order, journal = replace(order, reference=uuid.uuid4().hex), self.journal(vendor, journal.tenant_ref)
        pytest.fail("The vendor stayed busy.")


def a_customer(**changes: str) -> CustomerRequest:
    """Somebody new, whom both dialects of the sandbox accept."""
    name = uuid.uuid4().hex[:12]
    fields = {
        "name": f"Alder Dental {name}",
        "domain": f"a{name}.onmicrosoft.com",
        "email": "ines@alder.example",
        "first_name": "Ines",
        "last_name": "Alder",
        "phone": "+31 30 123 4567",
        "address_line1": "Oudegracht 12",
        "address_line2": "",
        "city": "Utrecht",
        "state": "",
        "postal_code": "3511 AB",
        "country": "NL",
    }
    return CustomerRequest(**(fields | changes))


# --- Microsoft Partner Center


def _gone_twice(kit: Kit) -> OrderRequest:
    return kit.order(2, 3, offer="GONE0001")


PARTNER_CENTER = Kit(
    slug="partner_center",
    tenant=MICROSOFT_TENANT,
    meanings=meanings("partner_center"),
    tokens=microsoft_login.TOKENS,
    token_path="*/oauth2/token",
    writing_paths=("/v1/customers", "*/carts", "*/checkout"),
    listing_paths=("/v1/customers", "*/orders"),
    key_header="ms-requestid",
    try_header="ms-correlationid",
    key_life=timedelta(days=8),
    offer=("CFQ7TTC0LCHC", "0002"),
    refused={
        "contact": Refused((2,), ((None, "3000", 400, "BillingProfile.Email"),), {"email": "refused.me@alder.example"}),
        "contact burns the domain": Refused((2,), ((None, "27002", 400, "BillingProfile.Email"),), {"email": "ines@alder.invalid"}),
        "domain taken": Refused((2,), ((None, "domain_taken", 200, ""),), {"domain": "takenalder.onmicrosoft.com"}),
        "credit": Refused((402,), ((None, "800023", 403, ""),), {}),
        "seats left": Refused((800088,), ((None, "800088", 403, ""),), {}),
        "too many seats": Refused((26,), ((1, "10015", 201, ""),), {}),
        "risk check": Refused((207,), ((1, "800069", 201, ""),), {}),
        "fails later": Refused((204,), ((1, "", None, ""),), {}),
    },
    partly={(5, 207): (2, "800069"), (5, 204): (2, "")},
    busy=(429, 503),
    two_problems=_gone_twice,
    purchases=lambda ledger: [order for order in ledger["orders"] if order["status"] != "error"],
    customers=lambda ledger: ledger["customers"],
)

# --- Adobe VIP Marketplace


def _too_many_and_not_eligible(kit: Kit) -> OrderRequest:
    return kit.order(10_001, 2129)


ADOBE = Kit(
    slug="adobe",
    tenant=ADOBE_RESELLER,
    meanings=meanings("adobe"),
    tokens=adobe_login.TOKENS,
    token_path="/ims/token/v3",
    writing_paths=("/v3/customers", "/v3/customers/*/orders"),
    listing_paths=("/v3/resellers/*/customers", "/v3/customers/*/orders"),
    key_header="x-correlation-id",
    try_header="x-request-id",
    key_life=timedelta(days=11),
    offer=("ADOBECC", "65304479CA01A12"),
    refused={
        "contact": Refused((2,), ((None, "1117", 400, "companyProfile.contacts[0].email"),), {"email": "refused.me@alder.example"}),
        "address": Refused((2,), ((None, "1118", 400, ""),), {"city": "Nowhere"}),
        "account blocked": Refused((1125,), ((None, "1125", 400, ""),), {}),
        "not eligible": Refused((5, 2129), ((2, "2129", 400, ""),), {}),
        "too many seats": Refused((10_001,), ((1, "2120", 400, ""),), {}),
        "no such offer": Refused((2,), ((1, "2122", 400, ""),), {}, offer="GONE0001"),
        "fails later": Refused((204,), ((1, "1004", None, ""),), {}),
        "customer inactive": Refused((3, 1024), ((1, "1024", None, ""), (2, "1024", None, "")), {}),
    },
    partly={(5, 204): (2, "1004")},
    busy=(5122,),
    two_problems=_too_many_and_not_eligible,
    purchases=lambda ledger: [order for order in ledger["adobe"]["orders"] if order["status"] in {"1000", "1002"}],
    customers=lambda ledger: ledger["adobe"]["customers"],
)

KITS = (PARTNER_CENTER, ADOBE)
