"""Naive variants of the engine, each a mistake that somebody has shipped. A proof that does not catch them proves nothing.

Each replaces one thing while its `with` lasts. `flows` says where it does harm; `dies_after` which marks a worker must die after
to show it (empty: the harm comes without any kill, from an answer that was lost).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connection, models, transaction
from django.db.models import Max

from orders import journal as journals
from orders import purchasing
from orders.journal import AttemptJournal
from orders.models import AttemptState, PurchaseAttempt
from orders.vendors.contract import Answer, Busy, Call, Journal, OrderRequest, OutcomeUnknown, Refusal, Snapshot, new_key
from orders.vendors.http import Client
from orders.vendors.partner_center import CHECKOUT, PartnerCenter
from tests.proof.history import Kind

INDEX = "one_open_attempt_per_order_and_vendor"


@dataclass(frozen=True)
class Mutant:
    name: str
    patch: Callable[[], AbstractContextManager[Any]]
    flows: tuple[str, ...]
    caught_as: frozenset[Kind]
    dies_after: str = ""


@contextmanager
def call_before_commit() -> Iterator[None]:
    """One transaction around claim, call and record: what was sent is not written down when the worker dies.

    The file outside the database would notice the lost commit, and the vendor be asked first: it is silenced here.
    """
    run = purchasing.run

    @wraps(run)
    def all_in_one(attempt_id: int) -> None:
        with transaction.atomic():
            run(attempt_id)

    # The journal asks for a commit of its own; here it gets none.
    lenient = SimpleNamespace(atomic=lambda durable=False: transaction.atomic())
    silent = patch.object(purchasing.epoch, "note", lambda number: True)
    with patch.object(purchasing, "run", all_in_one), patch.object(journals, "transaction", lenient), silent:
        yield


@contextmanager
def new_key_on_retry() -> Iterator[None]:
    """What is in doubt is done anew, with new keys: at this vendor, with a new cart."""
    init, exchanges = AttemptJournal.__init__, AttemptJournal._exchanges

    def forgetful(self: AttemptJournal, attempt: PurchaseAttempt, *args: Any, **kwargs: Any) -> None:
        init(self, attempt, *args, **kwargs)
        self._since = attempt.exchanges.aggregate(last=Max("id"))["last"] if attempt.state == AttemptState.UNKNOWN else 0

    def since(self: AttemptJournal, step: str) -> models.QuerySet[Any]:
        return exchanges(self, step).filter(id__gt=self._since)

    with patch.object(AttemptJournal, "__init__", forgetful), patch.object(AttemptJournal, "_exchanges", since):
        yield


@contextmanager
def timeout_is_failed() -> Iterator[None]:
    """No answer counts as a no."""

    def failed(attempt: PurchaseAttempt, why: str) -> None:
        purchasing.record_refused(attempt, (Refusal("", None, why),))

    with patch.object(purchasing, "record_unknown", failed):
        yield


@contextmanager
def lookup_without_waiting() -> Iterator[None]:
    """After a lost answer: not in the vendor's list of orders, so it was not bought, so try again. The list lags behind."""
    advance = PartnerCenter.advance

    def look_and_try_again(self: PartnerCenter, order: OrderRequest, journal: Journal) -> Snapshot:
        if journal.was_sent(CHECKOUT) and journal.answered(CHECKOUT) is None:
            answer = self._send(Call("GET", f"/v1/customers/{journal.tenant()}/orders"), new_key())
            if b'"totalCount": 0' in answer.body:
                raise Busy(Refusal("", None, "There is no such order."))
        return advance(self, order, journal)

    # The engine does not take the connector's no after a lost answer; here it does.
    believes = patch.object(purchasing, "_made_by_lost_call", lambda *_known: ())
    with patch.object(PartnerCenter, "advance", look_and_try_again), believes:
        yield


@contextmanager
def client_retries() -> Iterator[None]:
    """The HTTP client sends again by itself when a connection breaks."""
    send = Client.send

    def send_again(self: Client, *call: Any) -> Answer:
        try:
            return send(self, *call)
        except OutcomeUnknown:
            return send(self, *call)

    with patch.object(Client, "send", send_again):
        yield


@contextmanager
def index_dropped() -> Iterator[None]:
    """The database no longer refuses a second open attempt. Afterwards it does again, for attempts that come later."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {INDEX}")
    try:
        yield
    finally:
        last = PurchaseAttempt.objects.aggregate(last=Max("id"))["last"] or 0
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE UNIQUE INDEX {INDEX} ON orders_purchaseattempt (order_id, vendor_id) WHERE state <> 'failed_definite' AND id > {last}"
            )


@contextmanager
def queue_is_the_truth() -> Iterator[None]:
    """No sweep: what a lost task would have done is never done."""
    with patch.object(purchasing, "sweep", lambda: 0):
        yield


MUTANTS = {
    mutant.name: mutant
    for mutant in (
        Mutant("call-before-commit", call_before_commit, ("retry",), frozenset({Kind.DOUBLE_BUY}), dies_after="call POST"),
        Mutant("new-key-on-retry", new_key_on_retry, ("recover",), frozenset({Kind.DOUBLE_BUY})),
        Mutant("timeout-is-failed", timeout_is_failed, ("recover",), frozenset({Kind.FALSE_FAIL})),
        Mutant("lookup-without-waiting", lookup_without_waiting, ("recover",), frozenset({Kind.DOUBLE_BUY})),
        Mutant("client-retries", client_retries, ("recover",), frozenset({Kind.FALSE_FAIL})),
        Mutant("index-dropped", index_dropped, ("ask-twice",), frozenset({Kind.DOUBLE_BUY})),
        Mutant("queue-is-the-truth", queue_is_the_truth, ("sweep",), frozenset({Kind.STUCK})),
    )
}
