"""Receiving what vendors tell us: the address of an account, and the inbox. Nothing is believed, fetched or asked here."""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from orders import clock
from orders.models import VendorAccount, VendorEvent
from orders.vendors.webhooks import SIGNED_HEADERS, identity_of
from orders.wake import wake

HANDLE_EVENTS = "orders.tasks.handle_vendor_events"
LONGEST_BODY = 256 * 1024
LONGEST_HEADER = 2_000


class NoEvent(Exception):
    """What came is not an event of a vendor."""


def token_of(account: VendorAccount) -> str:
    """Names the account in an address without telling its key; another SECRET_KEY makes other addresses."""
    return salted_hmac("orders.hooks", str(account.pk), algorithm="sha256").hexdigest()


def address_of(account: VendorAccount) -> str:
    """What staff register at the vendor."""
    return f"{settings.PORTAL_URL}{reverse('orders:hook', args=[token_of(account)])}"


def account_of(token: str) -> VendorAccount | None:
    """The active account with this token. One query; accounts are few."""
    accounts = VendorAccount.objects.filter(is_active=True, vendor__is_active=True)
    return next((account for account in accounts if constant_time_compare(token_of(account), token)), None)


@transaction.atomic
def receive(account: VendorAccount, headers: Mapping[str, str], body: bytes) -> VendorEvent:
    """Keep the event and have the worker look at it. A second delivery is the same event. Raises NoEvent.

    What was refused before is looked at again when it comes with other proof: whoever forges an event first must not keep the
    genuine one out.
    """
    identity = identity_of(body)
    if not identity:
        raise NoEvent
    kept = {name: headers[name][:LONGEST_HEADER] for name in SIGNED_HEADERS if headers.get(name)}
    given = {"headers": kept, "body": body, "received_at": clock.now()}
    event, is_new = VendorEvent.objects.get_or_create(account=account, identity=identity, defaults=given)
    if not is_new and event.state == VendorEvent.State.REFUSED and (event.headers, bytes(event.body)) != (kept, body):
        again = given | {"state": VendorEvent.State.WAITING, "detail": "", "handled_at": None}
        is_new = bool(VendorEvent.objects.filter(pk=event.pk, state=VendorEvent.State.REFUSED).update(**again))
    if is_new:
        wake(HANDLE_EVENTS)
    return event
