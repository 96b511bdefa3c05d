"""The order's log in plain words: one entry per event or note, newest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from orders import formats
from orders.models import Order, OrderEvent, OrderNote
from orders.models.purchases import MAX_TRIES


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. `is_note` entries hold somebody's own text."""

    title: str
    text: str
    actor: str
    at: datetime
    tone: str = ""
    glyph: str = "clock"
    is_note: bool = False
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    title: str
    text: Callable[[dict[str, Any]], str] = lambda data: ""
    tone: str = ""
    glyph: str = "clock"


def _next_try(data: dict[str, Any]) -> str:
    at = timezone.localtime(datetime.fromisoformat(data["next_at"]))
    time = formats.clock_time(at, seconds=True)
    return f"Attempt {data['attempt']} was not taken. Try {data['next_try']} of {MAX_TRIES} at {time}."


def _reason(*before: str) -> Callable[[dict[str, Any]], str]:
    """The fixed words, and why somebody did it where he said so."""
    return lambda data: " ".join(part for part in (*before, str(data.get("reason", ""))) if part)


def _approved(data: dict[str, Any]) -> str:
    return f"{data.get('line', '')}: ordered, reference {data.get('vendor_ref', '')}."


def _below_floor(data: dict[str, Any]) -> str:
    by = "Approved by whoever made it, the only seller admin" if data.get("own") else "Approved by a seller admin"
    return f"Margin {data.get('margin', '')} %, floor {data.get('floor', '')} %. {by}: {data.get('reason', '')}"


def _attempt(data: dict[str, Any]) -> str:
    return f"Attempt {data['attempt']}." if "attempt" in data else ""


def _rates(data: dict[str, Any]) -> str:
    rates = [formats.number(Decimal(rate)) for rate in (*data.get("before", []), data.get("after", "0"))]
    return f"From {' and '.join(rates[:-1])} % to {rates[-1]} %, which is the customer’s rate now."


def _extended(data: dict[str, Any]) -> str:
    before, after = (formats.day(date.fromisoformat(data[name]), with_year=True) for name in ("before", "after"))
    return f"From {before} to {after}."


def _accepted(data: dict[str, Any]) -> str:
    role = f" as {data['role']}" if data.get("role") else ""
    chosen = len(data.get("chosen", []))
    options = f", with {chosen} optional item{'s' if chosen > 1 else ''}" if chosen else ""
    return f"Revision {data.get('revision', '')}{role}{options}."


def _agreed(data: dict[str, Any]) -> str:
    return f"{data.get('agreed_by', '')}: {data.get('how', '')}"


def _left_out(data: dict[str, Any]) -> str:
    return f"{', '.join(map(str, data.get('lines', [])))}."


def _other_than_accepted(data: dict[str, Any]) -> str:
    """Of an order that the customer had accepted: what is otherwise now, and why."""
    other = data.get("other_than_accepted", [])
    return f"Otherwise than accepted: {'; '.join(map(str, other))}. Why: {data.get('reason', '')}" if other else ""


def _why_no_cart(data: dict[str, Any]) -> str:
    return "To be sent as a quote." if data.get("by_hand") else "A Microsoft offer was added, which can’t be in Start."


WORDINGS = {
    "created": Wording("Order created", lambda data: f"From {data['follow_up_of']}." if "follow_up_of" in data else "", glyph="plus"),
    "edited": Wording("Edited", _other_than_accepted, glyph="edit"),
    "repriced": Wording("Given today’s prices", lambda data: f"{len(data.get('lines', []))} of the items.", glyph="edit"),
    "retaxed": Wording("Tax changed", _rates, glyph="edit"),
    "kept_as_quote": Wording("Turned into a Draft", _why_no_cart, glyph="st-draft"),
    "sent": Wording("Quote sent", lambda data: f"Revision {data.get('revision', '')}.", "info", "send"),
    "revised": Wording("Quote taken back to revise it", _reason(), glyph="edit"),
    "withdrawn": Wording("Quote withdrawn", _reason(), glyph="undo"),
    "extended": Wording("Quote’s last day changed", _extended, glyph="clock"),
    "reminded": Wording("Customer reminded", lambda data: "The link went to the recipients again.", "info", "send"),
    "link_replaced": Wording("New link made", lambda data: "The link before it leads to nothing any more.", glyph="copy"),
    "answered": Wording("Answered the customer", lambda data: "The customer reads it at the quote’s link.", "info", "note"),
    "change_asked": Wording("Customer asks for a change", lambda data: "What is asked for stands under the quote.", "warn", "note"),
    "declined": Wording("Quote declined", _reason(), "bad", "x"),
    "quote_accepted": Wording("Quote accepted", _accepted, "good", "check"),
    "agreement_recorded": Wording("Agreement written down", _agreed, "good", "check"),
    "placing_blocked": Wording("Could not be placed at once", lambda data: " ".join(map(str, data.get("why", []))), "warn", "st-errors"),
    "options_left": Wording("Optional items left out", _left_out, glyph="edit"),
    "scheduled": Wording("Change scheduled", lambda data: f"For {data.get('on', '')}, {data.get('zone', '')}.", glyph="st-scheduled"),
    "fired": Wording("Date reached", lambda data: "The change was handed to the vendor.", "info", "st-scheduled"),
    "placed": Wording("Order placed", tone="info", glyph="send"),
    "below_floor": Wording("Placed below the margin floor", _below_floor, "warn", "st-errors"),
    "retried": Wording("Retried", _reason("Goes to the vendor as a new attempt."), "info", "retry"),
    "accepted": Wording("With the vendor", lambda data: f"{_attempt(data)} The vendor took the order and decides.", "info", "st-started"),
    "with_staff": Wording(
        "With our staff", lambda data: f"{_attempt(data)} Our staff order from {data.get('vendor', 'the vendor')}.", "info", "st-started"
    ),
    "approved_by_staff": Wording("Item approved", _approved, "good", "check"),
    "refused_by_staff": Wording("Item refused", lambda data: f"{data.get('line', '')}: {data.get('reason', '')}", "bad", "x"),
    "incident_closed": Wording("Looked into by our staff", glyph="check"),
    "action_needed": Wording("Action needed", lambda data: str(data.get("action", "")), "info", "st-errors"),
    "outcome_unknown": Wording(
        "Confirming", lambda data: f"{_attempt(data)} No clear answer yet. We ask again with the same reference.", "info", "help"
    ),
    "parked": Wording(
        "Our staff ask the vendor",
        lambda data: f"{_attempt(data)} {data.get('vendor', 'The vendor')} can’t be asked any more what became of it. Nothing is sent.",
        "warn",
        "help",
    ),
    "found_bought": Wording("Found at the vendor", _reason("It was bought; the portal reads it from there."), "info", "check"),
    "found_not_bought": Wording("Not found at the vendor", _reason("Nothing was bought by this attempt."), glyph="x"),
    "vendor_answered": Wording("The vendor’s answer arrived", _attempt, "info", "check"),
    "vendor_busy": Wording("Vendor busy", _next_try, glyph="clock"),
    "account_paused": Wording(
        "Waiting for our login", lambda data: f"Our login at {data.get('vendor', 'the vendor')} is being renewed by staff."
    ),
    "refused": Wording("Refused by the vendor", _attempt, "bad", "st-failed"),
    "taken_back": Wording(
        "Taken back by the vendor", lambda data: f"Subscription {data.get('subscription', '')} does not run any more.", "warn", "x"
    ),
    "stopped": Wording("Waiting stopped", _reason("Nothing was sent."), glyph="x"),
    "failed": Wording("Provisioning failed", lambda data: "Nothing was bought.", "bad", "st-failed"),
    "confirmed": Wording("Approved by the vendor", lambda data: "Every item was bought.", "good", "st-finished"),
    "completed": Wording("Completed", lambda data: "Every subscription is recorded.", "good", "st-completed"),
    "finished_with_errors": Wording("Completed with Errors", lambda data: "Some items were not bought.", "warn", "st-errors"),
    "closed": Wording("Closed", _reason(), glyph="lock"),
    "deleted": Wording("Deleted", _reason(), glyph="st-deleted"),
}


def entries(order: Order, events: Sequence[OrderEvent], notes: Sequence[OrderNote]) -> list[Entry]:
    """Events and notes as one log, newest first; a refusal carries its attempt, whose reasons the page shows under it."""
    log = [(event.at, event.pk, _of_event(event)) for event in events]
    log += [(note.at, note.pk, Entry("Note", note.text, note.author.name, note.at, glyph="note", is_note=True)) for note in notes]
    return [entry for *_, entry in sorted(log, key=lambda row: row[:2], reverse=True)]


def _of_event(event: OrderEvent) -> Entry:
    wording = WORDINGS.get(event.name) or Wording(event.name.replace("_", " ").capitalize())
    attempt = event.data.get("attempt") if event.name in {"refused", "vendor_busy"} else None
    return Entry(wording.title, wording.text(event.data).strip(), event.actor_name, event.at, wording.tone, wording.glyph, attempt=attempt)
