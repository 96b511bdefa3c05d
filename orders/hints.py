"""Using what vendors tell us: verify it, and ask earlier about the orders that it may be about.

A hint never moves a state. The worst that a lost one does is that the portal asks at its own time; the worst that a repeated one
does is one question more. Runs in the worker.
"""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from orders import clock, lifecycle
from orders.hooks import HANDLE_EVENTS
from orders.models import AttemptState, CustomerTenant, Incident, PurchaseAttempt, VendorEvent
from orders.vendors import webhooks
from orders.vendors.webhooks import CannotTell, NotGenuine, Trust
from orders.wake import wake

log = logging.getLogger(__name__)

AT_ONCE = 50
LATER = timedelta(minutes=1)
# As long as a vendor may be late with an event himself, a certificate that can't be fetched may come.
GIVE_UP = timedelta(days=2)
# `sending` is being asked by the worker that holds it; what is parked waits for staff.
ASKED = (AttemptState.ACCEPTED, AttemptState.APPROVED, AttemptState.UNKNOWN)
State = VendorEvent.State


def handle_waiting() -> None:
    """Look at every event that waits, the newest first; also at those whose own task was lost."""
    unreachable: dict[str, str] = {}
    events = list(VendorEvent.objects.filter(state=State.WAITING).select_related("account__vendor").order_by("-id")[:AT_ONCE])
    for event in events:
        # Outside the try: when our own settings can't be read, events wait, and are not refused.
        url, trust = event.headers.get("x-ms-certificate-url", ""), _trust(event)
        try:
            if url in unreachable:
                raise CannotTell(unreachable[url])
            webhooks.verify(event.headers, bytes(event.body), trust, clock.now())
        except NotGenuine as error:
            _refuse(event, str(error))
        except CannotTell as error:
            unreachable[url] = str(error)
            if event.received_at < clock.now() - GIVE_UP:
                _refuse(event, str(error))
        except Exception:
            # One that our program can't take must not keep the others waiting.
            log.exception("An event of %s could not be verified", event.account)
            _refuse(event, "Our own program could not verify it; see the log of this time.")
        else:
            _use(event)
    if unreachable:
        wake(HANDLE_EVENTS, at=clock.now() + LATER)
    elif len(events) == AT_ONCE:
        wake(HANDLE_EVENTS)


def _trust(event: VendorEvent) -> Trust:
    authorities = settings.WEBHOOK_AUTHORITIES
    return Trust(
        hosts=settings.WEBHOOK_CERTIFICATE_HOSTS,
        organisation=settings.WEBHOOK_ORGANISATION,
        own=event.account.base_url if settings.VENDOR_ALLOW_LOOPBACK else "",
        authorities=Path(authorities).read_bytes() if authorities else b"",
    )


@transaction.atomic
def _refuse(event: VendorEvent, why: str) -> None:
    now = clock.now()
    if not _close(event, State.REFUSED, why, now):
        return
    log.warning("%s: an event was refused: %s", event.account, why)
    refused = VendorEvent.objects.filter(account=event.account, state=State.REFUSED, handled_at__gt=now - timedelta(hours=1)).count()
    open_ones = Incident.objects.filter(kind="events-refused", closed_at=None, detail__startswith=f"{event.account}:")
    if refused >= settings.WEBHOOK_REFUSALS_TOLD and not open_ones.exists():
        detail = f"{event.account}: {refused} events in an hour were not genuine. The last: {why}"
        Incident.objects.create(kind="events-refused", detail=detail, at=now)


@transaction.atomic
def _use(event: VendorEvent) -> None:
    """Make what is open for the customer due now."""
    now = clock.now()
    due = _ask_now(event, now)
    words = f"Asked now about {len(due)} open order{'' if len(due) == 1 else 's'}." if due else "No open order waits for it."
    if _close(event, State.USED, words, now):
        for attempt_id in due:
            wake(lifecycle.RUN_ATTEMPT, attempt_id)


def _ask_now(event: VendorEvent, now: datetime) -> list[int]:
    """The attempts of this account for the customer that nobody holds, due from now on; what is due already stays as it is."""
    tenant = webhooks.customer_of(bytes(event.body))
    known = CustomerTenant.objects.filter(account=event.account, vendor_ref__iexact=tenant) if tenant else CustomerTenant.objects.none()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    waiting = PurchaseAttempt.objects.filter(
        free, account=event.account, order__customer__in=known.values_list("customer", flat=True), state__in=ASKED, next_action_at__gt=now
    )
    found = list(waiting.values_list("pk", flat=True))
    # Guarded again: a worker may have taken one of them since.
    return [
        pk
        for pk in found
        if PurchaseAttempt.objects.filter(free, pk=pk, state__in=ASKED, next_action_at__gt=now).update(next_action_at=now, woken_at=now)
    ]


def _close(event: VendorEvent, state: str, detail: str, now: datetime) -> bool:
    """False when another worker was faster."""
    changed = VendorEvent.objects.filter(pk=event.pk, state=State.WAITING).update(state=state, detail=detail[:300], handled_at=now)
    return bool(changed)
