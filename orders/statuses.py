"""The ten statuses of an order, in two sections: the one table that badge, filters, admin and help page read.

Source: the article in product.md section 1; the words are official, letter for letter. "Quote Sent" is ours.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.db.models import TextChoices


class OrderStatus(TextChoices):
    START = "start", "Start"
    DRAFT = "draft", "Draft"
    QUOTE_SENT = "quote_sent", "Quote Sent"
    SCHEDULED = "scheduled", "Scheduled"
    PROVISIONING_STARTED = "provisioning_started", "Provisioning Started"
    PROVISIONING_FINISHED = "provisioning_finished", "Provisioning Finished"
    PROVISIONING_FAILED = "provisioning_failed", "Provisioning Failed"
    COMPLETED = "completed", "Completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors", "Completed with Errors"
    DELETED = "deleted", "Deleted"


class Section(StrEnum):
    RECENT = "Recent"
    HISTORICAL = "Historical"


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """How one status looks and reads.

    tone and glyph choose colour and icon shape; line is the plain second line when nothing more exact is known;
    meaning, what_next and who are sentences of the help page and of "What happens next".
    """

    status: OrderStatus
    section: Section
    tone: str
    glyph: str
    line: str
    meaning: str
    what_next: str
    who: str


_ROWS = (
    StatusInfo(
        OrderStatus.START,
        Section.RECENT,
        "neutral",
        "st-start",
        "Started, not purchased",
        "The order was started and is not finished. Nothing has been purchased yet. Not available for Microsoft offers.",
        "Finish the items and place the order, or delete it. Adding a Microsoft offer turns it into a Draft.",
        "You",
    ),
    StatusInfo(
        OrderStatus.DRAFT,
        Section.RECENT,
        "neutral",
        "st-draft",
        "Not sent to customer",
        "A quote that has not been sent to the customer. Only your team sees it.",
        "Finish the items and place the order, or delete it.",
        "You",
    ),
    StatusInfo(
        OrderStatus.QUOTE_SENT,
        Section.RECENT,
        "info",
        "send",
        "With the customer",
        "A revision of the quote is with the customer.",
        "The customer reads the quote. Revise it, withdraw it, place the order or delete it.",
        "Your customer",
    ),
    StatusInfo(
        OrderStatus.SCHEDULED,
        Section.RECENT,
        "plan",
        "st-scheduled",
        "Starts on its date",
        "A subscription change with a Custom Date. The date stands on the subscription’s Scheduled Changes tab.",
        "On its date the change goes to the vendor. Until then it can be deleted.",
        "The portal, on the date",
    ),
    StatusInfo(
        OrderStatus.PROVISIONING_STARTED,
        Section.RECENT,
        "info",
        "st-started",
        "Waiting for vendor",
        "The order was sent to the vendor and waits for the vendor’s confirmation. Its content is frozen.",
        "The vendor answers. This page follows by itself; nothing is bought twice, however long it takes.",
        "The vendor",
    ),
    StatusInfo(
        OrderStatus.PROVISIONING_FINISHED,
        Section.RECENT,
        "ready",
        "st-finished",
        "Vendor approved, activating",
        "The vendor has approved the order. Its subscriptions are being recorded.",
        "The portal records the subscriptions and completes the order.",
        "The portal",
    ),
    StatusInfo(
        OrderStatus.PROVISIONING_FAILED,
        Section.RECENT,
        "bad",
        "st-failed",
        "Provisioning failed",
        "The vendor refused the order and bought nothing. The reason stands beside the status, with how to fix it.",
        "Nothing was bought. Correct what the reason names and retry. If the order is no longer wanted, close it: "
        "it moves to Historical as Completed with Errors, with the reason.",
        "You",
    ),
    StatusInfo(
        OrderStatus.COMPLETED,
        Section.HISTORICAL,
        "good",
        "st-completed",
        "",
        "Every item was purchased and its subscription recorded.",
        "Nothing. The order is final and can’t be changed.",
        "Nobody",
    ),
    StatusInfo(
        OrderStatus.COMPLETED_WITH_ERRORS,
        Section.HISTORICAL,
        "warn",
        "st-errors",
        "Provisioning failed",
        "The order was sent to the vendor and the vendor returned an error for at least one item.",
        "Nothing. The order is final and can’t be changed; what was bought stands under Subscriptions.",
        "Nobody",
    ),
    StatusInfo(
        OrderStatus.DELETED,
        Section.HISTORICAL,
        "neutral",
        "st-deleted",
        "Removed from cart",
        "The order was deleted before anything went to a vendor.",
        "Nothing. The order is final and can’t be changed.",
        "Nobody",
    ),
)

TABLE: dict[OrderStatus, StatusInfo] = {row.status: row for row in _ROWS}
RECENT = frozenset(row.status for row in _ROWS if row.section is Section.RECENT)
HISTORICAL = frozenset(row.status for row in _ROWS if row.section is Section.HISTORICAL)
# Rule 4: what a person may edit. The content of everything else is frozen.
EDITABLE = frozenset({OrderStatus.START, OrderStatus.DRAFT, OrderStatus.SCHEDULED, OrderStatus.PROVISIONING_FAILED})
# Rows of the status filter, per section.
STATUS_FILTERS = {section: [row for row in _ROWS if row.section is section] for section in Section}
