"""A journal that forgets when the process ends; the rules are those of orders.journal."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orders.vendors.contract import Answer, AuthBroken, Call, NothingSent, new_key

type Send = Callable[[Call, str], Answer]


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange: `kind` is request, answer, not sent or read."""

    step: str
    kind: str
    call: Call
    key: str
    answer: Answer | None = None


class MemoryJournal:
    """`passed` is the time that a test let pass since; `known` are the orders of other attempts for the customer."""

    def __init__(self, decides: Callable[[str, Answer], bool], tenant: str = "") -> None:
        self.decides = decides
        self.rows: list[Row] = []
        self.tenant_ref = tenant
        self.adopted_refs: tuple[str, ...] = ()
        self.known: frozenset[str] = frozenset()
        self.passed = timedelta()
        self._sent_at: dict[str, datetime] = {}

    def write(self, step: str, call: Call, send: Send) -> Answer:
        if stored := self.answered(step):
            return stored
        first = next((row for row in self.rows if (row.step, row.kind) == (step, "request")), None)
        request, key = (first.call, first.key) if first else (call, new_key())
        self.rows.append(Row(step, "request", request, key))
        self._sent_at.setdefault(step, datetime.now(UTC))
        try:
            answer = send(request, key)
        except (NothingSent, AuthBroken):
            self.rows.append(Row(step, "not sent", request, key))
            raise
        self.rows.append(Row(step, "answer", request, key, answer))
        return answer

    def read(self, step: str, call: Call, send: Send) -> Answer:
        key = new_key()
        answer = send(call, key)
        self.rows.append(Row(step, "read", call, key, answer))
        return answer

    def answered(self, step: str) -> Answer | None:
        answers = (row.answer for row in self.rows if (row.step, row.kind) == (step, "answer"))
        return next((answer for answer in answers if answer and self.decides(step, answer)), None)

    def was_sent(self, step: str) -> bool:
        kinds = [row.kind for row in self.rows if row.step == step]
        return kinds.count("request") > kinds.count("not sent")

    def first_sent(self, step: str) -> datetime | None:
        return self._sent_at[step] if self.was_sent(step) else None

    def age(self, step: str) -> timedelta:
        sent = self.first_sent(step)
        return datetime.now(UTC) + self.passed - sent if sent else timedelta()

    def adopted(self) -> tuple[str, ...]:
        return self.adopted_refs

    def adopt(self, refs: tuple[str, ...]) -> None:
        self.adopted_refs = refs

    def known_orders(self) -> frozenset[str]:
        return self.known

    def tenant(self) -> str:
        return self.tenant_ref

    def remember_tenant(self, tenant_ref: str) -> None:
        self.tenant_ref = tenant_ref

    @property
    def writes(self) -> list[Row]:
        """The calls that may have changed something at the vendor."""
        return [row for row in self.rows if row.kind == "request"]
