"""The durable memory of one attempt: every call is committed before it is sent, every answer before it is read."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import IntegrityError, models, transaction

from orders import clock, epoch
from orders.models import CustomerTenant, PurchaseAttempt, Subscription, Vendor, VendorAccount, VendorExchange
from orders.vendors.answers import retry_after
from orders.vendors.contract import (
    Answer,
    AuthBroken,
    Call,
    NothingSent,
    OutcomeUnknown,
    Refusal,
    Rejected,
    Verdict,
    can_decide,
    new_key,
)

# What support needs of an answer; credentials are not among them.
KEPT_HEADERS = (
    "content-type",
    "retry-after",
    "ms-cv",
    "ms-serverid",
    "ms-requestid",
    "ms-correlationid",
    "x-correlation-id",
    "x-request-id",
)
Kind = VendorExchange.Kind


class LostLease(Exception):
    """Another worker holds the attempt now; nothing was sent."""


class SendsHeld(Exception):
    """Only questions may go to this vendor now: his kill switch is on, his account paused, or a backup restored. Nothing was sent."""


class _Listener:
    """Sends, and tells how the vendor took the last call, for the account's breaker."""

    def __init__(self) -> None:
        self.vendor_failed = False
        self.asked_to_wait: timedelta | None = None

    def _send(self, send: Callable[[Call, str], Answer], call: Call, key: str) -> Answer:
        self.vendor_failed, self.asked_to_wait = True, None
        answer = send(call, key)
        self.vendor_failed = answer.status >= 500 or answer.status == 408
        self.asked_to_wait = retry_after(answer) if answer.status in {429, 503} else None
        return answer


class AttemptJournal(_Listener):
    """See vendors.contract.Journal. Must be used outside a transaction. `decides` is the connector's."""

    def __init__(self, attempt: PurchaseAttempt, decides: Callable[[str, Answer], bool] | None = None) -> None:
        super().__init__()
        self._attempt = attempt
        self._decides = decides or (lambda step, answer: can_decide(answer.status))

    def write(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        if (stored := self.answered(step)) is not None:
            return stored
        first = self._exchanges(step).filter(kind=Kind.REQUEST).first()
        # A repeat uses the stored bytes and key: only so can the vendor recognise it.
        request = call if first is None else Call(first.method, first.path, bytes(first.body), first.headers)
        key = first.key if first else new_key()
        self._begin(step, request, key)
        return self._finish(step, request, key, send)

    def read(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        key = new_key()
        try:
            answer = self._send(send, call, key)
        except NothingSent as error:
            self._keep(step, call, key, Kind.NOT_SENT, body=str(error).encode(), is_write=False)
            raise
        except OutcomeUnknown as error:
            self._keep(step, call, key, Kind.NO_ANSWER, body=str(error).encode(), is_write=False)
            raise
        last = self._exchanges(step).filter(kind=Kind.ANSWER).last()
        if last is None or (last.http_status, bytes(last.body)) != (answer.status, answer.body):
            # Looking again and again at an order that waits would fill the table with the same answer.
            self._keep(step, call, key, Kind.ANSWER, answer=answer, is_write=False)
        return answer

    def answered(self, step: str) -> Answer | None:
        rows = self._exchanges(step).filter(kind=Kind.ANSWER, is_write=True)
        answers = [Answer(row.http_status or 0, row.headers, bytes(row.body)) for row in rows]
        last_words = [answer for answer in answers if self._decides(step, answer)]
        # A worker that was long in coming may bring a yes after the no to a repeat: what was done is done.
        return next((answer for answer in last_words if answer.status < 300), next(iter(last_words), None))

    def was_sent(self, step: str) -> bool:
        kinds = list(self._exchanges(step).filter(is_write=True).values_list("kind", flat=True))
        return kinds.count(Kind.REQUEST) > kinds.count(Kind.NOT_SENT)

    def anything_sent(self) -> bool:
        """Whether a byte of any writing call of this attempt may have left."""
        steps = self._attempt.exchanges.filter(is_write=True).values_list("step", flat=True).distinct()
        return any(self.was_sent(step) for step in steps)

    def first_sent(self, step: str) -> datetime | None:
        if not self.was_sent(step):
            return None
        return self._exchanges(step).filter(kind=Kind.REQUEST).values_list("at", flat=True).first()

    def lost(self, step: str) -> datetime | None:
        """When the step was last sent, if a call of it has no answer that tells its effect: the vendor may be at it yet, or be done.

        The answer that came last is not among them: what it says is what the connector judges now.
        """
        calls = list(self._exchanges(step).filter(is_write=True))
        sent = [row.at for row in calls if row.kind == Kind.REQUEST]
        over = [row for row in calls if row.kind == Kind.NOT_SENT or self._tells_effect(step, row, is_last=row is calls[-1])]
        return sent[-1] if len(sent) > len(over) else None

    def _tells_effect(self, step: str, row: VendorExchange, *, is_last: bool) -> bool:
        """A last word. A success that can't be read tells nothing, nor does any status that the catalogue does not know."""
        if row.kind != Kind.ANSWER:
            return False
        answer = Answer(row.http_status or 0, row.headers, bytes(row.body))
        return self._decides(step, answer) or (is_last and can_decide(answer.status))

    def age(self, step: str) -> timedelta:
        sent = self.first_sent(step)
        return clock.now() - sent if sent else timedelta()

    def adopted(self) -> tuple[str, ...]:
        return tuple(self._attempt.adopted)

    def adopt(self, refs: tuple[str, ...]) -> None:
        """Committed at once, and only by whoever holds the attempt."""
        written = PurchaseAttempt.objects.filter(
            pk=self._attempt.pk, fence=self._attempt.fence, lease_owner=self._attempt.lease_owner
        ).update(adopted=list(refs), must_look=False)
        if not written:
            raise LostLease
        self._attempt.adopted = list(refs)

    def known_orders(self) -> frozenset[str]:
        others = PurchaseAttempt.objects.filter(order__customer=self._attempt.order.customer_id, account=self._attempt.account_id)
        found: set[str] = set()
        for refs, adopted in others.exclude(pk=self._attempt.pk).values_list("vendor_order_refs", "adopted"):
            found |= {*refs, *adopted}
        found |= set(
            Subscription.objects.filter(customer=self._attempt.order.customer_id, account=self._attempt.account_id)
            .exclude(attempt=self._attempt)
            .values_list("vendor_order_ref", flat=True)
        )
        return frozenset(found)

    def tenant(self) -> str:
        known = CustomerTenant.objects.filter(customer_id=self._attempt.order.customer_id, account_id=self._attempt.account_id).first()
        return known.vendor_ref if known else ""

    def remember_tenant(self, tenant_ref: str) -> None:
        """Raises Rejected when another customer of the portal is this one at the vendor: the domain is his."""
        try:
            with transaction.atomic():
                CustomerTenant.objects.get_or_create(
                    customer_id=self._attempt.order.customer_id,
                    account_id=self._attempt.account_id,
                    defaults={"vendor_ref": tenant_ref, "domain": self._attempt.order_request().customer.domain},
                )
        except IntegrityError as error:
            raise Rejected([Refusal("domain_taken", None, "Another customer has this identity at the vendor.")]) from error

    def verdicts(self) -> tuple[Verdict, ...]:
        zone = ZoneInfo(self._attempt.order.seller.time_zone)
        return tuple(
            Verdict(
                line=row.line.position,
                is_approved=row.is_approved,
                vendor_ref=row.vendor_ref,
                starts_at=_begin_of(row.starts_on, zone),
                ends_at=_begin_of(row.ends_on, zone),
                code=row.code,
                text=row.text,
            )
            for row in self._attempt.verdicts.select_related("line")
        )

    def _begin(self, step: str, call: Call, key: str) -> None:
        """Commit the request before it is sent, unless the lease is somebody else's by now or sending was stopped meanwhile.

        Each is counted, here and in the file outside, so that a backup that was made before it is known by it.
        """
        with transaction.atomic(durable=True):
            held = PurchaseAttempt.objects.filter(
                pk=self._attempt.pk, fence=self._attempt.fence, lease_owner=self._attempt.lease_owner, lease_until__gt=clock.now()
            ).exists()
            if not held:
                raise LostLease
            if self._is_stopped():
                raise SendsHeld(step)
            number = epoch.count_sent()
            self._keep(step, call, key, Kind.REQUEST, body=call.body, is_write=True)
        if not epoch.note(number):
            # The database is not the one that the file outside knows; the next look says why.
            self._keep(step, call, key, Kind.NOT_SENT, body=b"A backup was restored.", is_write=True)
            raise SendsHeld(step)

    def _is_stopped(self) -> bool:
        """Staff may stop sending at any time; the very next call obeys."""
        stopped = Vendor.objects.filter(pk=self._attempt.vendor_id, is_stopped=True)
        paused = VendorAccount.objects.filter(pk=self._attempt.account_id, is_paused=True)
        return stopped.exists() or paused.exists() or epoch.is_reconciling()

    def _finish(self, step: str, call: Call, key: str, send: Callable[[Call, str], Answer]) -> Answer:
        try:
            answer = self._send(send, call, key)
        except (NothingSent, AuthBroken) as error:
            # A refused login is refused at the door: the call itself was not taken.
            self._keep(step, call, key, Kind.NOT_SENT, body=str(error).encode(), is_write=True)
            raise
        except OutcomeUnknown as error:
            self._keep(step, call, key, Kind.NO_ANSWER, body=str(error).encode(), is_write=True)
            raise
        self._keep(step, call, key, Kind.ANSWER, answer=answer, is_write=True)
        return answer

    def _keep(self, step: str, call: Call, key: str, kind: str, *, answer: Answer | None = None, body: bytes = b"", is_write: bool) -> None:
        VendorExchange.objects.create(
            attempt=self._attempt,
            step=step[:60],
            kind=kind,
            is_write=is_write,
            method=call.method,
            path=call.path[:500],
            key=key,
            http_status=answer.status if answer else None,
            # Of a request they are part of what a repeat must send again; of an answer what support needs.
            headers=_kept(answer.headers) if answer else dict(call.headers) if kind == Kind.REQUEST else {},
            body=answer.body if answer else body,
            at=clock.now(),
        )

    def _exchanges(self, step: str) -> models.QuerySet[VendorExchange]:
        return self._attempt.exchanges.filter(step=step[:60]).order_by("id")


class QuestionJournal(_Listener):
    """For a conversation without a purchase (contract.Journal): reads are sent and not kept, whatever they say; nothing is written."""

    def __init__(self, tenant: str) -> None:
        super().__init__()
        self._tenant = tenant

    def write(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        raise SendsHeld(step)

    def read(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        return self._send(send, call, new_key())

    def answered(self, step: str) -> Answer | None:
        return None

    def was_sent(self, step: str) -> bool:
        return False

    def first_sent(self, step: str) -> datetime | None:
        return None

    def age(self, step: str) -> timedelta:
        return timedelta()

    def adopted(self) -> tuple[str, ...]:
        return ()

    def adopt(self, refs: tuple[str, ...]) -> None:
        raise SendsHeld("adopt")

    def known_orders(self) -> frozenset[str]:
        return frozenset()

    def tenant(self) -> str:
        return self._tenant

    def remember_tenant(self, tenant_ref: str) -> None:
        self._tenant = tenant_ref

    def verdicts(self) -> tuple[Verdict, ...]:
        return ()


def _begin_of(day: date | None, zone: ZoneInfo) -> datetime | None:
    return datetime.combine(day, time.min, zone) if day else None


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    lower = {key.lower(): value for key, value in headers.items()}
    return {key: lower[key][:300] for key in KEPT_HEADERS if key in lower}
