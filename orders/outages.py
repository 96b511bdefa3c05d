"""What sellers read when a vendor does not answer, is stopped, or is asked first: sentences for the top of a page."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from orders import epoch
from orders.models import Seller, VendorAccount


@dataclass(frozen=True, slots=True)
class Outage:
    """One sentence; `since` is when it began, `next_at` when the portal asks again by itself."""

    title: str
    text: str
    since: datetime | None = None
    next_at: datetime | None = None


def of(seller: Seller) -> list[Outage]:
    """What holds orders up now, for the accounts that the seller orders with. Two queries."""
    held = Q(health__down_since__isnull=False) | Q(vendor__is_stopped=True) | Q(is_paused=True)
    accounts = VendorAccount.objects.usable_by(seller).filter(held, vendor__is_active=True).select_related("vendor", "health")
    found = {account.vendor_id: _of_account(account) for account in accounts}
    restored = [_RESTORED] if epoch.is_reconciling() else []
    return [*restored, *found.values()]


_RESTORED = Outage(
    "Orders are compared with the vendors first",
    "The portal came back from a backup. Nothing is sent until every open order was compared with its vendor’s. It goes on by itself.",
)


def _of_account(account: VendorAccount) -> Outage:
    vendor = account.vendor.name
    if account.vendor.is_stopped:
        return Outage(f"Ordering from {vendor} is stopped", "Our staff stopped it. New orders wait; sent ones are still asked for.")
    if account.is_paused:
        return Outage(f"Ordering from {vendor} is paused", "Our staff are at it. Orders wait and go by themselves; nothing is lost.")
    return Outage(
        f"{vendor} does not answer",
        "Orders wait and go by themselves as soon as it does; nothing is lost and nothing is sent twice.",
        account.health.down_since,
        account.health.not_before,
    )
