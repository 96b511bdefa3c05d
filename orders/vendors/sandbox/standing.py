"""What the vendor says about a customer before he buys: standing and agreements."""

from . import customer_rules as rules
from .answers import Answer, RefusedError, Request, collection, detailed_error
from .clock import iso
from .contract import refuse, refuse_application
from .customers import find_customer
from .state import Sandbox

AGREEMENT = "MicrosoftCustomerAgreement"
_TEMPLATE = "117a77b0-9360-443b-8795-c6dedc750cf9"


def validation_status(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """`GET /customers/{id}/validationStatus?type=account`.  404 with code 600074 means "no status", which blocks nothing."""
    refuse_application(sandbox, request)
    customer = find_customer(sandbox, request, customer_id)
    if request.query.get("type", "").lower() != "account":
        refuse(sandbox, request, "bad_query", 400, 800002, "type must be account.", ["type"])
    status = rules.account_of(customer)["standing"]
    if not status:
        raise RefusedError(detailed_error(404, 600074, "AccountStatusNotFound", "There is no account status of this customer."))
    body = {
        "type": "account",
        "status": status,
        "lastUpdateDateTime": iso(customer["created"]),
        "attributes": {"objectType": "ValidationStatus"},
    }
    return Answer(200, body)


def agreements(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """What the partner attested.  Without `agreementType` the vendor lists the old Cloud Agreement, so nothing of use."""
    refuse_application(sandbox, request)
    customer = find_customer(sandbox, request, customer_id)
    items = []
    if request.query.get("agreementType") == AGREEMENT and rules.account_of(customer)["agreement"] == rules.ATTESTED:
        address = customer["billing"]["defaultAddress"]
        items.append(
            {
                "primaryContact": {
                    "firstName": address["firstName"],
                    "lastName": address["lastName"],
                    "email": customer["billing"]["email"],
                    "phoneNumber": address.get("phoneNumber"),
                },
                "templateId": _TEMPLATE,
                "dateAgreed": iso(customer["created"]),
                "type": AGREEMENT,
                "agreementLink": "https://aka.ms/customeragreement",
            }
        )
    return collection(items, f"/customers/{customer['id']}/agreements")


def direct_signed_status(sandbox: Sandbox, request: Request, customer_id: str) -> Answer:
    """Whether the customer himself accepted the agreement; says nothing about what the partner attested."""
    customer = find_customer(sandbox, request, customer_id)
    is_signed = rules.account_of(customer)["agreement"] == rules.DIRECT
    return Answer(200, {"isSigned": is_signed, "attributes": {"objectType": "DirectSignedCustomerAgreementStatus"}})
