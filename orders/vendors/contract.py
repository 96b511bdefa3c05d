"""The contract between the purchasing engine and a vendor's connector. No Django here.

A connector takes dataclasses and a Journal and speaks HTTP; it decides nothing about orders. Whatever it can't be sure of
is OutcomeUnknown: a time-out, a 5xx or a broken answer of a buying call is never a refusal.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orders.vendors.http import Login


# Two clocks: a vendor's may be a little behind ours.
CLOCK_DRIFT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a vendor can do; rules ask here instead of asking for the vendor's name."""

    allows_start: bool  # orders of this vendor may lie in a cart (status Start)
    has_api: bool = True  # False: our staff order by hand and answer line by line; an account there has no login
    creates_customers: bool = True
    needs_agreement: bool = False  # sells only to customers who accepted the vendor's own agreement
    cancel_window: timedelta | None = None
    registration_countries: frozenset[str] = frozenset()  # where a customer's registration number is asked for, and only there
    resend_for: timedelta | None = (
        None  # how long the vendor knows an unanswered purchase by its cart or key; then it must not be sent again
    )
    finds_orders: bool = False  # whether Connector.find can look for a purchase that nobody answered
    lookup_lag: timedelta = timedelta()  # how long a new order may be missing from what find reads
    in_flight: timedelta = timedelta(minutes=15)  # how long a call without an answer may still take effect; no vendor names a time


@dataclass(frozen=True, slots=True)
class CustomerRequest:
    """The customer as a vendor must create him. Whether the vendor knows him already says Journal.tenant()."""

    name: str
    domain: str
    email: str
    first_name: str
    last_name: str
    phone: str
    address_line1: str
    address_line2: str
    city: str
    state: str
    postal_code: str
    country: str
    language: str = "en"
    culture: str = "en-US"
    registration_number: str = ""


@dataclass(frozen=True, slots=True)
class LineRequest:
    number: int
    product_id: str
    sku_id: str
    title: str
    quantity: int
    term: str  # P1M, P1Y, P3Y
    billing_cycle: str  # monthly, annual, triennial, one_time, none
    segment: str


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What we want bought, in our own words. Frozen with the attempt, byte for byte."""

    reference: str  # random; what the vendor sees of our order
    currency: str
    customer: CustomerRequest
    lines: tuple[LineRequest, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One definite no, as the vendor said it. `line` is our line number, None for the whole order; `field` the property
    that the vendor named."""

    code: str
    http_status: int | None
    text: str
    raw: bytes = b""
    line: int | None = None
    field: str = ""


class MeaningKind(StrEnum):
    REFUSED = "refused"  # a definite no: nothing was bought
    WAIT = "wait"  # not now: the same may work later
    REFRESH = "refresh"  # something that we sent is out of date: read it again and redo
    LOOK = "look"  # it may have happened: look before anything else


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the failure catalogue knows of one (HTTP status, code); `wait` is when trying again makes sense."""

    kind: MeaningKind
    wait: timedelta | None = None


# (HTTP status, code) -> what the failure catalogue knows of it, None when it has no row.
type Meanings = Callable[[int | None, str], Meaning | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What staff answered for one line of a vendor without an API. Instants are the beginnings of the days that they typed,
    in the seller's zone. `code` is a reason of the failure catalogue."""

    line: int
    is_approved: bool
    vendor_ref: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    code: str = ""
    text: str = ""


class Phase(StrEnum):
    ACCEPTED = "accepted"  # received, not decided
    ACTION = "action"  # the vendor waits for a person
    APPROVED = "approved"  # bought; subscriptions are not all known yet
    DONE = "done"  # bought, every subscription known
    UNKNOWN = "unknown"  # a word that we don't know: never guess


@dataclass(frozen=True, slots=True)
class Bought:
    """One line that the vendor sold, with the subscription that came of it."""

    line: int
    subscription_ref: str
    vendor_order_ref: str
    unit_cost: Decimal | None
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the vendor says of one attempt right now."""

    phase: Phase
    order_refs: tuple[str, ...] = ()
    bought: tuple[Bought, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    raw_status: str = ""
    action: str = ""  # what a person must do, when phase is ACTION


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. Secrets are added by the client when it is sent and are not part of it."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class VendorError(Exception):
    """Base of everything a connector raises on purpose."""


class Rejected(VendorError):
    """The vendor said no, for certain, and bought nothing."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(refusal.code or refusal.text for refusal in refusals))
        self.refusals = tuple(refusals)


class Busy(VendorError):
    """The vendor is busy or away and provably did nothing: try again later, as a new attempt."""

    def __init__(self, refusal: Refusal, retry_after: timedelta | None = None) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal
        self.retry_after = retry_after


class OutcomeUnknown(VendorError):
    """Something was sent and no clear answer was read. Only the same attempt may ask again."""


class MustPark(VendorError):
    """Something was sent, and nothing that the vendor offers can tell any more what became of it: staff decide, with the evidence."""


class AuthBroken(VendorError):
    """Our own credentials are refused: the account stops, orders wait."""


class NothingSent(Exception):
    """Proof that no byte of a call left: the name did not resolve or the connection was refused."""


class Journal(Protocol):
    """Durable memory of one attempt, written before each side effect and after each answer."""

    def write(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        """Do a call that changes something at the vendor, at most once per step.

        An answered step returns its stored answer without a call. An unanswered one is sent again with the stored bytes
        and the stored key. `send` gets the call and the key. An answer that decides nothing (Connector.decides) is kept as
        evidence and leaves the step unanswered. Raises what `send` raises.
        """
        ...

    def read(self, step: str, call: Call, send: Callable[[Call, str], Answer]) -> Answer:
        """Do a call that changes nothing, and keep its answer as evidence."""
        ...

    def answered(self, step: str) -> Answer | None:
        """The stored answer of a writing step, None while there is none that decides."""
        ...

    def was_sent(self, step: str) -> bool:
        """Whether a byte of this writing step may have left."""
        ...

    def first_sent(self, step: str) -> datetime | None:
        """When the first byte of a writing step may have left; None while none has."""
        ...

    def age(self, step: str) -> timedelta:
        """How long ago that was; nothing while none has left."""
        ...

    def adopted(self) -> tuple[str, ...]:
        """Orders at the vendor that were found to be this attempt's, though no answer named them."""
        ...

    def adopt(self, refs: tuple[str, ...]) -> None:
        """These orders at the vendor are this attempt's: from now on it asks what became of them, and sends nothing."""
        ...

    def known_orders(self) -> frozenset[str]:
        """Orders at the vendor that belong to other attempts for the same customer."""
        ...

    def tenant(self) -> str:
        """The vendor's id of the customer, empty while the vendor does not know him."""
        ...

    def remember_tenant(self, tenant_ref: str) -> None:
        """The vendor knows the customer by this id from now on, whatever becomes of the order."""
        ...

    def verdicts(self) -> tuple[Verdict, ...]:
        """What staff answered for lines of this attempt so far, one verdict a line; only a vendor without an API has any."""
        ...


class Connector(Protocol):
    slug: str
    dialect: str  # whose error codes it speaks: the failure catalogue is keyed by it
    capabilities: Capabilities
    buying_step: str  # the journal's name of the call that buys; before it nothing is bought, whatever the answer

    def __init__(self, login: Login, meanings: Meanings) -> None:
        """Ready to speak as `login`. Raises http.ForbiddenAddress when the account's address may not be called."""
        ...

    def close(self) -> None:
        """The conversation is over."""
        ...

    def decides(self, step: str, answer: Answer) -> bool:
        """Whether this is the vendor's last word on a writing step. When in doubt it is not, and the step is asked again."""
        ...

    def advance(self, order: OrderRequest, journal: Journal) -> Snapshot:
        """Buy, or go on buying, or look what became of it: continues where this journal stopped.

        Raises Rejected, Busy, OutcomeUnknown, MustPark or AuthBroken.
        """
        ...

    def find(self, order: OrderRequest, journal: Journal, since: datetime) -> tuple[str, ...]:
        """The vendor's orders since an instant that are this request and nobody else's; changes nothing. Empty: none.

        Only where capabilities.finds_orders. An order younger than capabilities.lookup_lag may be missing. Raises MustPark when
        more than one fits the same item, and Busy, OutcomeUnknown or AuthBroken when the vendor could not be asked.
        """
        ...

    def is_unsold(self, order: OrderRequest, journal: Journal) -> bool:
        """Whether the vendor shows at once, and not after a lag, that nothing was bought so far. False also where he shows nothing.

        Raises Busy, OutcomeUnknown or AuthBroken when the vendor could not be asked.
        """
        ...

    def check(self, order: OrderRequest, journal: Journal) -> list[Refusal]:
        """Every rule of the vendor that can be asked without a purchase: all problems at once, empty when there is none.

        Changes nothing. Raises Busy, OutcomeUnknown or AuthBroken when the vendor could not be asked.
        """
        ...


def can_decide(status: int) -> bool:
    """Whether an HTTP status can be a last word on a writing call; a redirect, a time-out, a conflict, "too many" or a 5xx can't."""
    return (200 <= status < 300 or 400 <= status < 500) and status not in {408, 409, 425, 429}


def new_key() -> str:
    """A key that a vendor recognises a repeated call by."""
    return str(uuid.uuid4())
