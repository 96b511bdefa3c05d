"""What a vendor will refuse of a customer as he is stored: contact, address, phone and registration number, by his country.

The customer's form asks the same of what is typed; rows that are older, or came in another way, are asked here. No query.
"""

from collections.abc import Iterable, Iterator

from django.conf import settings

from orders import contacts
from orders.models import Customer, Vendor

NEEDED = {
    "name": "The customer has no name.",
    "domain": "The customer has no domain.",
    "contact_first_name": "The contact has no first name.",
    "contact_last_name": "The contact has no last name.",
    "contact_email": "The contact has no e-mail address.",
    "address_line1": "The customer has no address.",
}


def problems(customer: Customer, vendors: Iterable[Vendor]) -> Iterator[tuple[str, str]]:
    """Each problem as the name of the customer's field and a sentence; `vendors` are those that the order goes to."""
    yield from ((name, text) for name, text in NEEDED.items() if not str(getattr(customer, name)).strip())
    address = contacts.check_address(customer.country, state=customer.state, city=customer.city, postal_code=customer.postal_code)
    yield from address.problems.items()
    yield from _contact(customer)
    yield from _asked_by(customer, vendors)


def _contact(customer: Customer) -> Iterator[tuple[str, str]]:
    if customer.contact_email:
        try:
            contacts.email(customer.contact_email, reserved=settings.RESERVED_TOP_LEVEL_DOMAINS)
        except contacts.NotUsable as objection:
            yield "contact_email", f"{customer.contact_email}: {objection}"
    if customer.contact_phone:
        try:
            contacts.phone(customer.contact_phone, customer.country)
        except contacts.NotUsable as objection:
            yield "contact_phone", f"{customer.contact_phone}: {objection}"


def _asked_by(customer: Customer, vendors: Iterable[Vendor]) -> Iterator[tuple[str, str]]:
    """Some vendors ask for registration number and phone in some countries, and refuse the number in all others."""
    country = contacts.country_name(customer.country)
    asking = [vendor for vendor in vendors if vendor.capabilities.registration_countries]
    demanding = [vendor for vendor in asking if customer.country in vendor.capabilities.registration_countries]
    if demanding and not customer.registration_number:
        yield "registration_number", f"{demanding[0]} needs the registration number of customers in {country}."
    if demanding and not customer.contact_phone:
        yield "contact_phone", f"{demanding[0]} needs a phone number of customers in {country}."
    if asking and not demanding and customer.registration_number:
        yield "registration_number", f"{asking[0]} takes no registration number in {country}; empty the field."
