"""Check before sending: asks every vendor of an order, without buying, what it would refuse.

Runs in the worker. Reads only, so that a stopped vendor is asked too; an account that is paused, or at its limits, is not. What
was found is advice: whether the order may go is the vendor's to say when it is placed.
"""

import logging
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography.fernet import InvalidToken
from django.db import transaction

from orders import clock, failures, throttling
from orders.asking import ASK_VENDORS, vendors_of
from orders.journal import QuestionJournal
from orders.models import CustomerTenant, Incident, Order, OrderLine, Preflight, Vendor, VendorAccount
from orders.models.purchases import request_of, storable
from orders.purchasing import login_to
from orders.vendors import registry
from orders.vendors.contract import AuthBroken, Busy, NothingSent, OutcomeUnknown, Refusal
from orders.vendors.http import ForbiddenAddress
from orders.wake import wake

log = logging.getLogger(__name__)

# Somebody looks at the page: a vendor that is slower than this, or busy for longer, can't be asked now.
ASK_SECONDS = 30.0
PATIENCE = timedelta(seconds=30)
TEXT_LIMIT = 2_000


class CouldNotAsk(Exception):
    """Why a vendor did not answer: a sentence for the seller."""


def perform(preflight_id: int) -> None:
    """Ask the vendors that have not answered yet. One that has no room right now is asked a moment later."""
    preflight = Preflight.objects.select_related("order__customer", "order__seller").get(pk=preflight_id)
    if preflight.finished_at:
        return
    order = preflight.order
    if not preflight.answered:
        _note_versions(preflight)
    # After the versions: an edit in between makes this answer look older than it is, never newer.
    lines = list(order.lines.select_related("offer__vendor"))
    troubles, later = [], []
    for vendor in vendors_of(lines).values():
        if vendor.code in preflight.answered:
            continue
        try:
            account = _account(vendor, order)
            if (at := _not_before(account)) and at <= preflight.asked_at + PATIENCE:
                later.append(at)
                continue
            if at:
                raise CouldNotAsk(f"{vendor} takes no questions right now.")
            _keep(preflight, vendor, _ask(account, order, [line for line in lines if line.offer.vendor_id == vendor.pk]))
        except CouldNotAsk as trouble:
            troubles.append(str(trouble))
    if later:
        wake(ASK_VENDORS, preflight.pk, at=max(later))
        return
    Preflight.objects.filter(pk=preflight.pk, finished_at=None).update(finished_at=clock.now(), trouble=" ".join(troubles)[:300])


def _note_versions(preflight: Preflight) -> None:
    """What is asked about is the order as it is now, not as it was when the button was pressed."""
    preflight.version, preflight.customer_version = preflight.order.version, preflight.order.customer.version
    preflight.save(update_fields=["version", "customer_version"])


def _account(vendor: Vendor, order: Order) -> VendorAccount:
    """The account that the order would be sent with."""
    account = VendorAccount.objects.usable_by(order.seller).filter(vendor=vendor).select_related("vendor").first()
    if account is None:
        raise CouldNotAsk(f"There is no account at {vendor} to ask with. Our staff must connect one first.")
    if account.is_paused:
        raise CouldNotAsk(f"{vendor} was not asked: our login there is paused, and our staff are at it.")
    return account


@transaction.atomic
def _not_before(account: VendorAccount) -> datetime | None:
    return throttling.wait_until(account, clock.now())


def _ask(account: VendorAccount, order: Order, lines: list[OrderLine]) -> list[Refusal]:
    """What the vendor would refuse. Raises CouldNotAsk. No transaction is open meanwhile."""
    calls: list[None] = []
    known = CustomerTenant.objects.filter(customer=order.customer_id, account=account).first()
    journal = QuestionJournal(known.vendor_ref if known else "")
    try:
        login = replace(login_to(account, mark_sent=lambda: calls.append(None)), deadline_seconds=ASK_SECONDS)
        connector = registry.connect(account.vendor.connector, login, failures.meanings(account.vendor.dialect))
        with closing(connector):
            return connector.check(request_of(order, lines, reference="check"), journal)
    except (AuthBroken, ForbiddenAddress, InvalidToken) as error:
        _tell_staff(account, order, f"{type(error).__name__}: {error}".strip(": "))
        raise CouldNotAsk(f"{account.vendor} refuses our login. Our staff were told.") from error
    except (Busy, OutcomeUnknown, NothingSent) as error:
        raise CouldNotAsk(f"{account.vendor} did not answer.") from error
    except Exception as error:
        log.exception("%s could not be checked with %s", order, account)
        raise CouldNotAsk(f"{account.vendor} could not be asked: our own program failed.") from error
    finally:
        if calls:
            with transaction.atomic():
                throttling.record(
                    account, calls=len(calls), answered=not journal.vendor_failed, wait=journal.asked_to_wait, now=clock.now()
                )


def _tell_staff(account: VendorAccount, order: Order, why: str) -> None:
    """Once while it is open. The account is not paused for a question: the next order to be sent does that."""
    log.error("%s: %s", account, why)
    Incident.objects.tell_once("login-refused", f"{account} refused a check before sending: {why}", order=order, at=clock.now())


@transaction.atomic
def _keep(preflight: Preflight, vendor: Vendor, refusals: list[Refusal]) -> None:
    """Once a vendor, also when the queue brought the task twice."""
    kept = Preflight.objects.select_for_update().get(pk=preflight.pk)
    if vendor.code in kept.answered or kept.finished_at:
        return
    kept.answered.append(vendor.code)
    kept.problems += [_as_row(vendor, refusal) for refusal in refusals]
    kept.save(update_fields=["answered", "problems"])
    preflight.answered = kept.answered


def _as_row(vendor: Vendor, refusal: Refusal) -> dict[str, str | int | None]:
    return {
        "vendor": vendor.code,
        "code": storable(refusal.code)[:60],
        "http_status": refusal.http_status,
        "text": storable(refusal.text)[:TEXT_LIMIT],
        "line": refusal.line,
        "field": storable(refusal.field)[:100],
    }
