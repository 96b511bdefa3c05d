"""A restored backup must not buy again what was bought after it was made.

The database counts every call that may buy and every attempt that it hands to staff, and a file outside of it knows the number
too. A database that knows less than the file, or that has the file of another life, or none although it has sent something, was
restored: it then asks what became of every open purchase before it sends anything (reconcile-only). Where the database is
restored by hand and the file with it, `manage.py restored` says so. Source: product.md section 6; reliability, restore.
"""

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Greatest

from orders import clock
from orders.models import AttemptState, Incident, OrderEvent, PortalEpoch, PurchaseAttempt
from orders.models.purchases import FINAL_STATES

log = logging.getLogger(__name__)
# How long after a restored backup a new order is compared with what the vendor has already.
WATCHED = timedelta(days=30)
# Clocks differ, and the last thing before a backup may have taken a while.
MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Mark:
    """What the file outside the database says."""

    epoch: str
    sent: int
    at: datetime | None


def count_sent() -> int:
    """The number of this call; made in the transaction that writes the call down, and `note`d before it is sent."""
    _row()
    PortalEpoch.objects.update(sent=F("sent") + 1)
    return PortalEpoch.objects.values_list("sent", flat=True).get()


def note(number: int) -> bool:
    """Write the number outside the database, durably; only then may anything leave for the vendor.

    False: the file is of another life of the database. Nothing may be sent; the next look finds out what happened.
    """
    epoch = _row().epoch
    with _locked():
        mark = _read()
        if mark is None or mark.epoch != epoch:
            return False
        _write(Mark(epoch, max(mark.sent, number), clock.now()))
    return True


def is_reconciling() -> bool:
    """Whether only questions go to vendors now, and nothing that could buy."""
    return PortalEpoch.objects.filter(reconciling_since__isnull=False).exists()


def look_after() -> bool:
    """Compare database and file; begin to reconcile when a backup was restored. True when only questions may be asked now."""
    with _locked():
        # The file first: what it counts was committed before, so that a database that is read later and knows less was restored.
        mark = _read()
        row = _row()
        if mark is None and not row.sent:
            _write(Mark(row.epoch, 0, None))
        elif mark is None or mark.epoch != row.epoch or mark.sent > row.sent:
            _begin(row, mark)
    return is_reconciling()


def declare_restored() -> None:
    """Somebody says that the database was restored, the file with it."""
    with _locked():
        _begin(_row(), _read())


def finish_when_looked() -> None:
    """End reconcile-only once every open purchase was looked at.

    One at a paused account waits for its login, and nobody else with it: it still looks before it sends anything.
    """
    unseen = PurchaseAttempt.objects.filter(must_look=True, account__is_paused=False).exclude(state__in=FINAL_STATES)
    if is_reconciling() and not unseen.exists():
        with transaction.atomic():
            done = PortalEpoch.objects.filter(reconciling_since__isnull=False).update(reconciling_since=None)
            if done:
                Incident.objects.filter(kind="backup-restored", closed_at=None).update(
                    closed_at=clock.now(), resolution="Every open purchase was looked at; orders are sent again."
                )
        log.warning("Every open purchase was looked at; orders are sent again")


def must_look(created_at: datetime) -> bool:
    """Whether a new attempt has to be compared with what the vendor has: a backup was restored not long before."""
    return PortalEpoch.objects.filter(restored_at__gt=created_at - WATCHED).exists()


def look_since(attempt: PurchaseAttempt) -> datetime:
    """From when on an order at the vendor may be this one's, bought by a life of the database that was lost."""
    known_until = PortalEpoch.objects.values_list("known_until", flat=True).first()
    return min(attempt.created_at, known_until or attempt.created_at) - MARGIN


def sent_until() -> datetime | None:
    """The last instant at which something that the database does not know may have been sent."""
    return PortalEpoch.objects.values_list("sent_until", flat=True).first()


def was_there_before_restore(attempt: PurchaseAttempt) -> bool:
    """Whether the restored backup knew the order as placed, so that a purchase found for it is its own.

    What was a draft there may have been placed and lost, or another order of the same items was.
    """
    restored_at = PortalEpoch.objects.values_list("restored_at", flat=True).first()
    placed_at = attempt.order.placed_at
    return restored_at is not None and placed_at is not None and placed_at <= restored_at


def _begin(row: PortalEpoch, mark: Mark | None) -> None:
    """Only questions from now on. The database first: a crash before the file is written begins again."""
    now, fresh = clock.now(), _new_epoch()
    with transaction.atomic():
        known_until = OrderEvent.objects.aggregate(last=Max("at"))["last"]
        PortalEpoch.objects.filter(pk=row.pk).update(
            epoch=fresh,
            sent=Greatest(F("sent"), mark.sent if mark else 0),
            reconciling_since=now,
            restored_at=now,
            known_until=known_until or now,
            sent_until=(mark and mark.at) or now,
        )
        sent = PortalEpoch.objects.values_list("sent", flat=True).get(pk=row.pk)
        doubtful = [AttemptState.PREPARED, AttemptState.SENDING, AttemptState.UNKNOWN]
        PurchaseAttempt.objects.filter(state__in=doubtful).update(must_look=True, next_action_at=now, woken_at=None)
        detail = "A backup of the database was restored. Vendors are asked first; nothing is sent until then."
        Incident.objects.tell_once("backup-restored", detail, at=now)
    _write(Mark(fresh, sent, mark.at if mark else None))
    log.error("A backup of the database was restored: only questions go to vendors until every open purchase was looked at")


def _row() -> PortalEpoch:
    row, _is_new = PortalEpoch.objects.get_or_create(pk=1, defaults={"epoch": _new_epoch()})
    return row


def _new_epoch() -> str:
    return uuid.uuid4().hex


# --- the file


@contextmanager
def _locked() -> Iterator[None]:
    """One process at a time reads and writes the file."""
    settings.EPOCH_FILE.parent.mkdir(parents=True, exist_ok=True)
    with settings.EPOCH_FILE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read() -> Mark | None:
    """None when there is no file, or none that can be read: both mean that nothing is known."""
    try:
        data = json.loads(settings.EPOCH_FILE.read_text())
        return Mark(str(data["epoch"]), int(data["sent"]), datetime.fromisoformat(data["at"]) if data["at"] else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(mark: Mark) -> None:
    path: Path = settings.EPOCH_FILE
    new = path.with_suffix(".new")
    with new.open("w") as file:
        json.dump({"epoch": mark.epoch, "sent": mark.sent, "at": mark.at.isoformat() if mark.at else None}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
