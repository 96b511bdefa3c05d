"""What a vendor's no means: looks a failure up in the catalogue and gives the card its words.

The catalogue is a table that staff edit; the files of failure_catalogue/ only fill it, and never over what is there.
"""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.urls import reverse

from orders.models import AttemptState, Failure, FailureClass, FailureReason, Order, OrderLine, PurchaseAttempt, RetryClass, Who
from orders.vendors.contract import Meaning, MeaningKind, Meanings

CATALOGUE = Path(__file__).with_name("failure_catalogue")
NOTHING_BOUGHT = "Nothing was bought and nothing will be billed."
NOT_BOUGHT = "These items were not bought and will not be billed."
NO_REASON = "The vendor gave no reason."

# What the portal itself writes when nothing was sent; no vendor says it, and staff do not choose it.
OWN_CODES = frozenset({"stopped", "stopped_by_staff", "seller_inactive", "not_found_by_staff"})

MAY_HAVE_BOUGHT = set(AttemptState) - {AttemptState.FAILED_DEFINITE}
# An answer that the catalogue doesn't know. Retry stays offered: the vendor's no was definite, nothing was bought.
UNKNOWN = FailureReason(
    slug="unknown",
    short="Refused by the vendor",
    summary="{vendor} refused the order",
    meaning="{vendor} answered with a reason that we have no words for yet. Nothing was bought and nothing will be billed.",
    fix="Read the vendor’s message below. If it does not say what to correct, contact support with the code and the time.",
    who=Who.STAFF,
    retry=RetryClass.RETRY,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One failure as the card shows it. `vendor_text` is the vendor's own, to be escaped and never altered."""

    failure: Failure
    reason: FailureReason
    vendor: str
    lines: tuple[OrderLine, ...]
    others_bought: bool = False

    @property
    def summary(self) -> str:
        return self._words(self.reason.summary)

    @property
    def short(self) -> str:
        return self._words(self.reason.short)

    @property
    def meaning(self) -> str:
        words = self._words(self.reason.meaning)
        # The catalogue speaks of an order that was refused whole; of the rest of this one something was, or will be, bought.
        return words.replace(NOTHING_BOUGHT, NOT_BOUGHT) if self.others_bought else words

    @property
    def fix(self) -> str:
        return self._words(self.reason.fix)

    @property
    def vendor_spoke(self) -> bool:
        """False when nothing was sent, so that there is no answer to show."""
        return self.failure.attempt.failure_class != FailureClass.NEVER_SENT

    @property
    def vendor_text(self) -> str:
        return self.failure.text or NO_REASON

    @property
    def code_line(self) -> str:
        """Code and HTTP status, as support asks for them: “3000 · HTTP 400”."""
        status = f"HTTP {self.failure.http_status}" if self.failure.http_status else ""
        return " · ".join(part for part in (self.failure.vendor_code, status) if part)

    @property
    def attempt_number(self) -> int:
        return self.failure.attempt.number

    @property
    def help_url(self) -> str:
        return f"{reverse('orders:help-failures')}#{self.reason.slug}"

    @property
    def fix_url(self) -> str:
        """Where the field is that must be corrected; empty when the order has none to correct."""
        if not self.reason.fix_field:
            return ""
        return f"{reverse('orders:order-edit', args=[self.failure.attempt.order.number])}?fix={self.failure.pk}"

    @property
    def may_retry(self) -> bool:
        """Whether the seller may, as far as the kind of the reason goes; why_not_retry() knows the order too."""
        return self.reason.retry not in {RetryClass.NEVER, RetryClass.STAFF}

    @property
    def is_left_to_staff(self) -> bool:
        return self.reason.retry == RetryClass.STAFF

    @property
    def used_up_domain(self) -> str:
        """The domain that the vendor burnt and that the customer still has; empty when another was chosen."""
        if not self.reason.needs_new_domain:
            return ""
        order = self.failure.attempt.order
        # As it was sent last: the attempt's frozen request has the same, but is too much to read for each row of a list.
        sent = str((order.customer_snapshot or {}).get("domain", ""))
        return sent if sent.casefold() == order.customer.domain.casefold() else ""

    def _words(self, text: str) -> str:
        return text.replace("{vendor}", self.vendor)


class Catalogue:
    """The catalogue, read once for a page, and only where something has failed."""

    @cached_property
    def _reasons(self) -> dict[tuple[str, int, str], FailureReason]:
        return {(row.dialect, row.http_status, row.code): row for row in FailureReason.objects.all()}

    @cached_property
    def _by_code(self) -> dict[tuple[str, str], list[FailureReason]]:
        found: dict[tuple[str, str], list[FailureReason]] = {}
        for row in self._reasons.values():
            if row.code:
                found.setdefault((row.dialect, row.code), []).append(row)
        return found

    def reason_for(self, dialect: str, failure: Failure) -> FailureReason:
        """The row for (dialect, HTTP status, code), then for any status; a silent vendor has a row of his own.

        A code that came without an error's status is found under whatever status the catalogue has it, if that is one alone.
        """
        status, code = failure.http_status or 0, failure.code
        keys = [(dialect, status, f"{code}:{failure.field}"), (dialect, status, code), (dialect, 0, code)]
        if failure.code or not failure.text:
            keys.append(("", 0, failure.code))
        if row := next((row for key in keys if (row := self._reasons.get(key))), None):
            return row
        rows = self._by_code.get((dialect, code), []) if _has_no_status(failure.http_status) else []
        return rows[0] if len(rows) == 1 else UNKNOWN

    def explain(self, order: Order) -> list[Explanation]:
        """Why the order failed, one explanation a reason; reads what for_list() loaded and makes no query."""
        found: dict[tuple[object, ...], list[Failure]] = {}
        for attempt in refused_attempts(order):
            for failure in attempt.failures.all():
                found.setdefault((attempt.pk, failure.code, failure.http_status, failure.text), []).append(failure)
        return [self._explain(order, failures) for failures in found.values()]

    def _explain(self, order: Order, failures: Sequence[Failure]) -> Explanation:
        first = failures[0]
        attempt = next(attempt for attempt in order.attempts.all() if attempt.pk == first.attempt_id)
        first.attempt = attempt
        attempt.order = order
        return Explanation(
            failure=first,
            reason=self.reason_for(attempt.vendor.dialect, first),
            vendor=attempt.vendor.name,
            lines=tuple(failure.line for failure in failures if failure.line),
            others_bought=any(other.state in MAY_HAVE_BOUGHT for other in order.attempts.all()),
        )


def latest_attempts(order: Order) -> list[PurchaseAttempt]:
    """The newest attempt at each vendor that the order still asks; reads what for_list() loaded.

    A refused item may be exchanged for another vendor's: the first vendor's no counts until the order is sent again.
    """
    newest: dict[int, PurchaseAttempt] = {}
    for attempt in sorted(order.attempts.all(), key=lambda attempt: attempt.number):
        newest[attempt.vendor_id] = attempt
    if len(newest) < 2:
        return list(newest.values())
    asked = {line.offer.vendor_id for line in order.lines.all()}
    still = [attempt for attempt in newest.values() if attempt.vendor_id in asked or attempt.state in MAY_HAVE_BOUGHT]
    return still or list(newest.values())


def refused_attempts(order: Order) -> list[PurchaseAttempt]:
    """The newest attempts that have something refused and are not merely waiting for the next try."""
    return [attempt for attempt in latest_attempts(order) if attempt.failures.all()]


def refused_line_numbers(order: Order) -> set[int]:
    """Positions of the lines that were not bought, of the newest attempts."""
    positions: set[int] = set()
    lines = list(order.lines.all())
    for attempt in latest_attempts(order):
        if attempt.state == AttemptState.FAILED_DEFINITE:
            positions |= {line.position for line in lines if line.offer.vendor_id == attempt.vendor_id}
        positions |= {failure.line.position for failure in attempt.failures.all() if failure.line}
    return positions


def catalogue_rows() -> Iterator[dict[str, Any]]:
    """The rows of the seed files. A family says once what its reasons have in common; a reason may say it differently."""
    for path in sorted(CATALOGUE.glob("*.toml")):
        seed = tomllib.loads(path.read_text())
        whose = {"dialect": seed["dialect"]}
        for reason in seed.get("reason", []):
            yield whose | reason
        for family in seed.get("family", []):
            reasons = family.pop("reasons")
            for reason in reasons:
                yield whose | family | reason


def add_missing(using: str = DEFAULT_DB_ALIAS, **_kwargs: object) -> None:
    """After every migrate: add the reasons of the files that the table has not. What staff changed stays."""
    known = set(FailureReason.objects.using(using).values_list("slug", flat=True))
    new = [FailureReason(**row) for row in catalogue_rows() if row["slug"] not in known]
    for reason in new:
        reason.full_clean(validate_unique=False, validate_constraints=False)
    FailureReason.objects.using(using).bulk_create(new, ignore_conflicts=True)


def why_not_retry(explanations: Iterable[Explanation], *, by_staff: bool = False, may_change_domain: bool = False) -> str:
    """The sentence that a missing Retry shows; empty when a retry is safe.

    `by_staff`: our staff ask, to whom some reasons leave the retry. `may_change_domain`: asked by the page where another domain can
    be typed in the same step, so that a domain that is used up is no reason yet.
    """
    for explanation in explanations:
        if not explanation.may_retry and not (by_staff and explanation.is_left_to_staff):
            return explanation.fix
        if not may_change_domain and (domain := explanation.used_up_domain):
            return f"Choose another domain first: {domain} can’t be used at {explanation.vendor} any more."
    return ""


def meanings(dialect: str) -> Meanings:
    """What the table says of this dialect's answers, read once."""
    return meanings_in(FailureReason.objects.filter(dialect=dialect))


def meanings_in(reasons: Iterable[FailureReason]) -> Meanings:
    """What (HTTP status, code) means to the engine; None when the catalogue has no entry.

    An answer without a code has no meaning, whatever the card says of it: silence is never a last word. A code that came without
    an error's status means what it means with any; where the catalogue has it twice, the reading that ends nothing counts.
    """
    rows = {(row.http_status, row.code): row for row in reasons if row.code}
    by_code: dict[str, list[Meaning]] = {}
    for row in rows.values():
        by_code.setdefault(row.code, []).append(_meaning(row))

    def meaning_of(http_status: int | None, code: str) -> Meaning | None:
        if row := rows.get((http_status or 0, code)) or rows.get((0, code)):
            return _meaning(row)
        found = by_code.get(code, []) if _has_no_status(http_status) else []
        return min(found, key=lambda meaning: meaning.kind is MeaningKind.REFUSED, default=None)

    return meaning_of


def _has_no_status(http_status: int | None) -> bool:
    """Whether an error has no status of its own: none came, or it stands inside a success, as those of a checkout do."""
    return http_status is None or 200 <= http_status < 300


def _meaning(row: FailureReason) -> Meaning:
    match row.retry:
        case RetryClass.WAIT:
            return Meaning(MeaningKind.WAIT, timedelta(minutes=row.wait_minutes))
        case RetryClass.REFRESH:
            return Meaning(MeaningKind.REFRESH)
        case RetryClass.LOOK:
            return Meaning(MeaningKind.LOOK)
        case _:
            return Meaning(MeaningKind.REFUSED)
