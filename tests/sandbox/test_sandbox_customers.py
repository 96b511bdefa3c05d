"""What the vendor says about a customer, his address and his country, and customers who may not buy."""

from typing import Any

import httpx
import pytest

from .client import Box, customer_body


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]


def address(**changes: Any) -> dict[str, Any]:
    return {"AddressLine1": "Oudegracht 12", "City": "Utrecht", "PostalCode": "3511 AB", "Country": "NL"} | changes


# --- addresses and countries


@pytest.mark.parametrize(
    ("changes", "status", "proposals"),
    [
        ({}, "VerifiedShippable", 0),
        ({"PostalCode": "00000"}, "None", 0),
        ({"PostalCode": "12"}, "None", 0),
        ({"AddressLine1": "Oudegracht"}, "StreetPartial", 3),
        ({"Country": "FJ", "PostalCode": None}, "VerifiedShippable", 0),
    ],
)
def test_address(box: Box, changes: dict[str, Any], status: str, proposals: int) -> None:
    answer = box.call("POST", "/validations/address", address(**changes))
    body = answer.json()
    assert (answer.status_code, body["status"], len(body["suggestedAddresses"])) == (200, status, proposals)
    assert all(one["addressLine1"].startswith("Oudegracht ") and one["city"] == "Utrecht" for one in body["suggestedAddresses"])
    assert bool(body["validationMessage"]) is (status != "VerifiedShippable")


@pytest.mark.parametrize("changes", [{"Country": "nl"}, {"City": ""}, {"Region": "x"}, {"AddressLine1": "x" * 201}])
def test_address_fields(box: Box, changes: dict[str, Any]) -> None:
    answer = box.call("POST", "/validations/address", address(**changes))
    assert code(answer) == (400, 3000)
    assert answer.json()["data"] == list(changes)
    box.expected = ["bad_address_field"]


def test_country_rules(box: Box) -> None:
    german = box.call("GET", "/countryvalidationrules/DE").json()
    assert (german["iso2Code"], german["isStateRequired"], german["postalCodeRegex"]) == ("DE", False, r"^\d{5}$")
    assert german["countryCallingCodesList"] == ["49"]
    american = box.call("GET", "/countryvalidationrules/us").json()
    assert american["isStateRequired"] is True
    assert "NY" in american["supportedStatesList"]
    assert box.call("GET", "/countryvalidationrules/IN").json()["isOrganizationRegistrationNumberRequired"] is True
    assert code(box.call("GET", "/countryvalidationrules/Atlantis")) == (404, 1000)


def in_country(country: str, number: str | None, phone: str | None) -> dict[str, Any]:
    body = customer_body()
    body["BillingProfile"]["DefaultAddress"] |= {"Country": country, "PhoneNumber": phone}
    if number is not None:
        body["CompanyProfile"]["organizationRegistrationNumber"] = number
    return body


@pytest.mark.parametrize(
    ("country", "number", "phone", "expected"),
    [
        ("IN", None, "+91 22 1234 5678", 600049),
        ("IN", "U72200MH", None, 600051),
        ("IN", "U72200MH", "000", 600051),
        ("DE", "HRB 1", "+49 30 123456", 600002),
        ("DE", None, "000", 600051),
        ("DE", None, None, 0),
        ("IN", "U72200MH", "+91 22 1234 5678", 0),
    ],
)
def test_what_a_country_asks_of_a_customer(box: Box, country: str, number: str | None, phone: str | None, expected: int) -> None:
    answer = box.call("POST", "/customers", in_country(country, number, phone))
    if expected:
        assert code(answer) == (400, expected)
        assert box.call("HEAD", "/domains/contoso.onmicrosoft.com").status_code == 404
    else:
        assert answer.status_code == 201


# --- standing and agreements


@pytest.mark.parametrize(
    ("domain", "status"), [("contoso", "Allowed"), ("review1", "UnderReview"), ("denied1", "NotAllowed"), ("norel1", "Allowed")]
)
def test_standing(box: Box, domain: str, status: str) -> None:
    customer = box.customer(f"{domain}.onmicrosoft.com")
    answer = box.call("GET", f"/customers/{customer}/validationStatus?type=account").json()
    assert (answer["type"], answer["status"]) == ("account", status)


def test_no_standing_comes_in_the_second_body_shape(box: Box) -> None:
    customer = box.customer("nostatus.onmicrosoft.com")
    answer = box.call("GET", f"/customers/{customer}/validationStatus?type=account")
    assert code(answer) == (404, 600074)
    assert set(answer.json()) == {"code", "message", "description", "errorName", "isRetryable", "parameters", "errorMessageExtended"}
    assert answer.json()["isRetryable"] is False
    assert box.checkout(customer, box.cart(customer, 5)).status_code == 201


def test_standing_has_a_type(box: Box) -> None:
    customer = box.customer()
    assert code(box.call("GET", f"/customers/{customer}/validationStatus")) == (400, 800002)
    box.expected = ["bad_query"]


@pytest.mark.parametrize(("domain", "attested", "direct"), [("contoso", 1, False), ("direct1", 0, True), ("nomca1", 0, False)])
def test_agreements(box: Box, domain: str, attested: int, direct: bool) -> None:
    customer = box.customer(f"{domain}.onmicrosoft.com")
    path = f"/customers/{customer}"
    found = box.call("GET", f"{path}/agreements?agreementType=MicrosoftCustomerAgreement").json()
    assert [item["type"] for item in found["items"]] == ["MicrosoftCustomerAgreement"] * attested
    assert box.call("GET", f"{path}/directSignedMicrosoftCustomerAgreementStatus").json()["isSigned"] is direct
    # Without the type it is another agreement that is listed.
    assert box.call("GET", f"{path}/agreements").json()["items"] == []


# --- customers who may not buy


@pytest.mark.parametrize(
    ("domain", "expected"),
    [("nomca1", 13605), ("review1", 800073), ("denied1", 800075), ("credit1", 800023), ("locked1", 900416)],
)
def test_checkout_is_refused_by_the_domain(box: Box, domain: str, expected: int) -> None:
    customer = box.customer(f"{domain}.onmicrosoft.com")
    assert code(box.checkout(customer, box.cart(customer, 5))) == (403, expected)
    assert box.control("GET", "ledger")["orders"] == []
    changed = {"agreement": "direct", "standing": "Allowed", "credit": True, "locked": False}
    box.control("PATCH", f"customers/{customer}", changed)
    assert box.checkout(customer, box.cart(customer, 5)).status_code == 201


def test_without_a_relationship_nothing_can_be_bought(box: Box) -> None:
    customer = box.customer("norel1.onmicrosoft.com")
    assert box.call("GET", f"/customers/{customer}").json()["relationshipToPartner"] == "none"
    assert code(box.post_cart(customer, 5)) == (403, 20002)
    assert code(box.call("GET", f"/customers/{customer}/subscriptions")) == (403, 20002)
    box.control("PATCH", f"customers/{customer}", {"relationship": "reseller"})
    assert box.post_cart(customer, 5).status_code == 201


# --- products


def test_product_and_sku(box: Box) -> None:
    assert box.call("GET", "/products/CFQ7TTC0LH18").json()["productType"]["id"] == "OnlineServicesNCE"
    sku = box.call("GET", "/products/CFQ7TTC0LH18/skus/0001").json()
    assert (sku["minimumQuantity"], sku["maximumQuantity"], sku["isTrial"]) == (1, 10_000_000, False)
    assert sku["supportedBillingCycles"] == ["monthly", "annual", "triennial"]
    assert sku["dynamicAttributes"]["isAddon"] is False
    assert box.call("GET", "/products/SBXADD00/skus/0001").json()["dynamicAttributes"]["isAddon"] is True
    assert box.call("GET", "/products/SBXATT00/skus/0001").json()["AttestationProperties"]["enforceAttestation"] is True
    assert code(box.call("GET", "/products/GONE1")) == (404, 400013)
    assert code(box.call("GET", "/products/P/skus/%20")) == (404, 400018)
