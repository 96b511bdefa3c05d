"""Domains and customers: `HEAD /domains`, `/customers`, and the billing profile."""

import hashlib
import json
import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from . import customer_rules, rules
from .answers import Answer, RefusedError, Request, collection, error
from .clock import iso
from .contract import read_json, refuse
from .ledger import Document
from .state import Sandbox

MOST_CUSTOMERS = 75
"""Of a sandbox account, when its limits hold."""

_DOMAIN = re.compile(r"([a-z0-9][a-z0-9-]{0,26})\.onmicrosoft\.com", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_COUNTRY = re.compile(r"[A-Z]{2}")

_ADDRESS_LIMITS = {
    "FirstName": (True, 50),
    "LastName": (True, 50),
    "AddressLine1": (True, 200),
    "AddressLine2": (False, 200),
    "City": (True, 100),
    "State": (False, 100),
    "PostalCode": (False, 20),
    "Country": (True, 2),
    "PhoneNumber": (False, 40),
}
_BILLING_LIMITS = {"Email": (True, 254), "Culture": (True, 20), "Language": (True, 20), "CompanyName": (True, 200)}
_COMPANY_LIMITS = {"Domain": (True, 100), "organizationRegistrationNumber": (False, 50)}
_TOP_FIELDS = frozenset({"enableGDAPByDefault", "CompanyProfile", "BillingProfile", "associatedPartnerId"})


def head_domain(sandbox: Sandbox, request: Request, domain: str) -> Answer:
    """404 means free and 200 means taken: easy to invert, so the sandbox keeps it exactly."""
    if _DOMAIN.fullmatch(domain) is None:
        return Answer(400)
    return Answer(200 if _is_taken(sandbox, request.tenant, domain) else 404)


def create_customer(sandbox: Sandbox, request: Request) -> Answer:
    """`POST /customers`: the tenant, its billing profile and a first administrator whose password is shown once."""
    body = read_json(sandbox, request)
    _check_fields(sandbox, request, body)
    billing = body["BillingProfile"]
    domain = body["CompanyProfile"]["Domain"]
    _refuse_magic_email(request, billing["Email"])
    _refuse_magic_details(body)
    if (refused := customer_rules.refused_by_country(body["CompanyProfile"], billing["DefaultAddress"])) is not None:
        raise RefusedError(refused)
    if sandbox.settings.has_account_limits and len(sandbox.ledger.of_tenant("customer", request.tenant)) >= MOST_CUSTOMERS:
        raise RefusedError(error(400, 800018, "The limit of this sandbox account is met."))
    if _is_taken(sandbox, request.tenant, domain):
        raise RefusedError(error(400, 3000, f'The domain "{domain}" is already in use by another tenant.', ["CompanyProfile.Domain"]))
    if _burns_domain(billing["Email"].lower()):
        # The real vendor creates the tenant first and looks at the notification address afterwards.
        sandbox.ledger.take_domain(request.tenant, domain)
        raise RefusedError(error(400, 27002, f'NotificationEmailAddress: "{billing["Email"]}" is invalid', ["BillingProfile.Email"]))
    sandbox.ledger.take_domain(request.tenant, domain)
    identifier = str(uuid.uuid4())
    customer: Document = {
        "id": identifier,
        "tenant": request.tenant,
        "domain": domain,
        "country": billing["DefaultAddress"]["Country"],
        "registrationNumber": body["CompanyProfile"].get("organizationRegistrationNumber"),
        "billing": {"id": str(uuid.uuid4()), **_camel(billing)},
        "billingVersion": 1,
        "created": sandbox.clock.now(),
        "requestId": request.request_id,
    }
    sandbox.ledger.put("customer", identifier, request.tenant, request.tenant, customer)
    answer = customer_json(customer)
    answer["userCredentials"] = {"userName": "admin", "password": "Sbx!" + secrets.token_hex(6)}
    return Answer(201, answer, {"Location": f"/v1/customers/{identifier}"})


def _burns_domain(email: str) -> bool:
    return email.startswith(f"{rules.EMAIL_BURNS_DOMAIN}@") or email.endswith(rules.EMAIL_ENDINGS_THAT_BURN)


def get_customer(sandbox: Sandbox, request: Request, identifier: str) -> Answer:
    return Answer(200, customer_json(find_customer(sandbox, request, identifier)))


def list_customers(sandbox: Sandbox, request: Request) -> Answer:
    """All customers of the partner, or those a `starts_with` filter on Domain or CompanyName keeps."""
    keep = _filter(sandbox, request)
    items = []
    for customer in sandbox.ledger.of_tenant("customer", request.tenant):
        if keep(customer):
            whole = customer_json(customer)
            items.append({key: whole[key] for key in ("id", "companyProfile", "relationshipToPartner", "attributes")})
    return collection(items, "/customers")


def get_billing(sandbox: Sandbox, request: Request, identifier: str) -> Answer:
    return _billing_answer(find_customer(sandbox, request, identifier))


def put_billing(sandbox: Sandbox, request: Request, identifier: str) -> Answer:
    """Replace the billing profile; the If-Match value is the etag with its quotes."""
    customer = find_customer(sandbox, request, identifier)
    given = request.headers.get("if-match")
    if given is None:
        refuse(sandbox, request, "missing_if_match", 400, 2055, "If-Match is missing.")
    if given != _etag(customer):
        raise RefusedError(error(400, 2055, "The ETag is no longer valid."))
    body = {key[:1].upper() + key[1:]: value for key, value in read_json(sandbox, request).items()}
    body = {key: value for key, value in body.items() if key not in {"Id", "Attributes", "Links"}}
    address = body.get("DefaultAddress")
    if isinstance(address, dict):
        body["DefaultAddress"] = {key[:1].upper() + key[1:]: value for key, value in address.items()}
    _check_billing(sandbox, request, body)
    _refuse_magic_email(request, body["Email"])
    customer["billing"] = {"id": customer["billing"]["id"], **_camel(body)}
    customer["country"] = body["DefaultAddress"]["Country"]
    customer["billingVersion"] += 1
    sandbox.ledger.put("customer", identifier, request.tenant, request.tenant, customer)
    return _billing_answer(customer)


def find_customer(sandbox: Sandbox, request: Request, identifier: str) -> Document:
    """The partner's own customer, or the refusal the vendor gives."""
    customer = sandbox.ledger.get("customer", identifier.lower())
    if customer is None:
        raise RefusedError(error(404, 1000, f"Customer {identifier} was not found."))
    if customer["tenant"] != request.tenant:
        raise RefusedError(error(403, 20002, "The partner has no commerce relationship with this customer."))
    return customer


def find_client(sandbox: Sandbox, request: Request, identifier: str) -> Document:
    """The partner's own customer who is in a commerce relationship with him: only such a one can buy."""
    customer = find_customer(sandbox, request, identifier)
    if customer_rules.account_of(customer)["relationship"] == "none":
        raise RefusedError(error(403, 20002, "The partner has no commerce relationship with this customer."))
    return customer


def customer_json(customer: Document) -> Document:
    """The customer as the vendor shows it, never with credentials."""
    company: Document = {
        "tenantId": customer["id"],
        "domain": customer["domain"],
        "companyName": customer["billing"]["companyName"],
        "attributes": {"objectType": "CustomerCompanyProfile"},
    }
    if customer["registrationNumber"]:
        company["organizationRegistrationNumber"] = customer["registrationNumber"]
    return {
        "id": customer["id"],
        "commerceId": customer["id"],
        "companyProfile": company,
        "billingProfile": _billing_json(customer),
        "relationshipToPartner": customer_rules.account_of(customer)["relationship"],
        "allowDelegatedAccess": False,
        "creationDate": iso(customer["created"]),
        "attributes": {"objectType": "Customer"},
    }


def _is_taken(sandbox: Sandbox, tenant: str, domain: str) -> bool:
    return domain.lower().startswith(rules.DOMAIN_TAKEN) or sandbox.ledger.domain_taken(tenant, domain)


def _refuse_magic_email(request: Request, email: str) -> None:
    local = email.partition("@")[0].lower()
    if local.startswith(rules.EMAIL_REFUSED):
        description = (
            f'Invalid properties. The value "{email}" for property BillingProfile.Email is not a valid email address.'
            f" RequestId: {request.request_id}, CorrelationId: {request.correlation_id}"
        )
        raise RefusedError(error(400, 3000, description, ["BillingProfile.Email"]))
    if local.startswith(rules.EMAIL_HOSTILE):
        raise RefusedError(error(400, 3000, rules.HOSTILE_TEXT, ["BillingProfile.Email"]))


def _refuse_magic_details(body: Document) -> None:
    """Details that a form can't tell are wrong, and that the vendor refuses all the same."""
    parts = {"BillingProfile": body["BillingProfile"], "DefaultAddress": body["BillingProfile"]["DefaultAddress"]}
    for part, name, beginning, code, description in rules.CUSTOMER_REFUSALS:
        if str(parts[part].get(name, "")).lower().startswith(beginning):
            raise RefusedError(
                error(400, code, description, [f"BillingProfile.{'DefaultAddress.' if part == 'DefaultAddress' else ''}{name}"])
            )
    if re.sub(r"\D", "", str(parts["DefaultAddress"].get("PhoneNumber", ""))).endswith(rules.PHONE_REFUSED):
        raise RefusedError(error(400, 3000, "The phone number is not in use.", ["BillingProfile.DefaultAddress.PhoneNumber"]))
    if str(body["CompanyProfile"].get("organizationRegistrationNumber") or "").startswith(rules.REGISTRATION_REFUSED):
        raise RefusedError(error(400, 600050, "The registration number is malformed."))


def _check_fields(sandbox: Sandbox, request: Request, body: Document) -> None:
    wrong = [key for key in body if key not in _TOP_FIELDS]
    company = body.get("CompanyProfile")
    wrong += _wrong_fields("CompanyProfile", company, _COMPANY_LIMITS)
    if isinstance(company, dict) and isinstance(company.get("Domain"), str) and _DOMAIN.fullmatch(company["Domain"]) is None:
        wrong.append("CompanyProfile.Domain")
    if not isinstance(body.get("enableGDAPByDefault", False), bool):
        wrong.append("enableGDAPByDefault")
    if not isinstance(body.get("associatedPartnerId", ""), str | None):
        wrong.append("associatedPartnerId")
    _refuse_fields(sandbox, request, wrong + _wrong_billing(body.get("BillingProfile")))


def _check_billing(sandbox: Sandbox, request: Request, body: Document) -> None:
    _refuse_fields(sandbox, request, _wrong_billing(body))


def _wrong_billing(billing: Any) -> list[str]:
    address = billing.get("DefaultAddress") if isinstance(billing, dict) else None
    others = {key: value for key, value in billing.items() if key != "DefaultAddress"} if isinstance(billing, dict) else billing
    wrong = _wrong_fields("BillingProfile", others, _BILLING_LIMITS)
    wrong += _wrong_fields("BillingProfile.DefaultAddress", address, _ADDRESS_LIMITS)
    if isinstance(billing, dict) and isinstance(billing.get("Email"), str) and _EMAIL.fullmatch(billing["Email"]) is None:
        wrong.append("BillingProfile.Email")
    if isinstance(address, dict) and isinstance(address.get("Country"), str) and _COUNTRY.fullmatch(address["Country"]) is None:
        wrong.append("BillingProfile.DefaultAddress.Country")
    return wrong


def _wrong_fields(where: str, given: Any, limits: dict[str, tuple[bool, int]]) -> list[str]:
    """Names of fields that are unknown, missing, not text, or too long.  Casing counts, as in the documented bodies."""
    if not isinstance(given, dict):
        return [where]
    wrong = [f"{where}.{key}" for key in given if key not in limits]
    for key, (required, longest) in limits.items():
        value = given.get(key)
        if value is None or value == "":
            if required:
                wrong.append(f"{where}.{key}")
        elif not isinstance(value, str) or not value.strip() or len(value) > longest:
            wrong.append(f"{where}.{key}")
    return wrong


def _refuse_fields(sandbox: Sandbox, request: Request, wrong: list[str]) -> None:
    names = list(dict.fromkeys(wrong))
    if names:
        refuse(sandbox, request, "bad_customer_field", 400, 3000, f"Invalid properties: {', '.join(names)}.", names)


def _camel(value: Document) -> Document:
    """The request's PascalCase names as the answer's camelCase."""
    return {key[:1].lower() + key[1:]: _camel(item) if isinstance(item, dict) else item for key, item in value.items()}


def _etag(customer: Document) -> str:
    seed = f"{customer['id']}:{customer['billingVersion']}"
    return f'"{hashlib.sha256(seed.encode()).hexdigest()[:32]}"'


def _billing_json(customer: Document) -> Document:
    return {**customer["billing"], "attributes": {"etag": _etag(customer), "objectType": "CustomerBillingProfile"}}


def _billing_answer(customer: Document) -> Answer:
    return Answer(200, _billing_json(customer), {"ETag": _etag(customer)})


def _filter(sandbox: Sandbox, request: Request) -> Callable[[Document], bool]:
    if "filter" not in request.query:
        return lambda customer: True
    try:
        given = json.loads(request.query["filter"])
    except (ValueError, RecursionError):
        given = None
    if (
        not isinstance(given, dict)
        or given.get("Field") not in ("Domain", "CompanyName")
        or given.get("Operator") != "starts_with"
        or not isinstance(given.get("Value"), str)
    ):
        refuse(sandbox, request, "bad_filter", 400, 800002, "The filter is not a starts_with filter on Domain or CompanyName.")
    value = given["Value"].lower()
    if given["Field"] == "Domain":
        return lambda customer: customer["domain"].lower().startswith(value)
    return lambda customer: customer["billing"]["companyName"].lower().startswith(value)
