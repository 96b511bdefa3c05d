"""What an order's state reads like: the second line, the steps, what happens next and who acts. No query, no HTML."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from orders import clock, formats
from orders.failures import Catalogue, Explanation, latest_attempts, refused_line_numbers, why_not_retry
from orders.models import AttemptState, Membership, Order, PurchaseAttempt, QuoteLink
from orders.models.purchases import MAX_TRIES
from orders.permissions import Answer, can_close, can_delete, can_edit, can_place, can_retry, can_send, can_stop_waiting, can_undo
from orders.statuses import OrderStatus


@dataclass(frozen=True, slots=True)
class SecondLine:
    """The plain words under a badge; `since` is an instant whose age the page keeps counting after them."""

    text: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One of the steps on the order page; state is done, now, failed or empty."""

    label: str
    state: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An order as rows and pages show it to one member of its seller."""

    order: Order
    line: SecondLine
    explanations: tuple[Explanation, ...]
    retry: Answer
    edit: Answer
    send: Answer
    place: Answer
    close: Answer
    delete: Answer
    undo: Answer
    stop: Answer

    @property
    def has_card(self) -> bool:
        """Whether the badge is a button that opens the reasons."""
        return bool(self.explanations)

    @property
    def has_several(self) -> bool:
        """Whether each reason needs a Fix of its own beside it."""
        return len(self.explanations) > 1

    @property
    def first(self) -> Explanation | None:
        return self.explanations[0] if self.explanations else None


def show(order: Order, membership: Membership, catalogue: Catalogue) -> Shown:
    """Everything about the order that a row needs; `order` comes from for_list()."""
    explanations = tuple(catalogue.explain(order)) if order.status not in {OrderStatus.COMPLETED, OrderStatus.DELETED} else ()
    if order.status == OrderStatus.PROVISIONING_STARTED and not refused_line_numbers(order):
        explanations = ()
    return Shown(
        order=order,
        line=second_line(order, explanations),
        explanations=explanations,
        retry=can_retry(order, membership, why_not_retry(explanations)),
        edit=can_edit(order, membership),
        send=can_send(order, membership),
        place=can_place(order, membership),
        close=can_close(order, membership),
        delete=can_delete(order, membership),
        undo=can_undo(order, membership),
        stop=can_stop_waiting(order, membership),
    )


# --- second line


def second_line(order: Order, explanations: tuple[Explanation, ...]) -> SecondLine:
    match order.status:
        case OrderStatus.PROVISIONING_STARTED:
            return _waiting(order)
        case OrderStatus.PROVISIONING_FAILED:
            return SecondLine(explanations[0].short if explanations else order.info.line)
        case OrderStatus.COMPLETED_WITH_ERRORS:
            items = len(order.lines.all())
            return SecondLine(
                f"Provisioning failed: {len(refused_line_numbers(order)) or items} of {items} item{'s' if items != 1 else ''}"
            )
        case OrderStatus.SCHEDULED if order.scheduled_on:
            return SecondLine(order.status_note or f"Starts {formats.day(order.scheduled_on, with_year=True)}")
        case OrderStatus.QUOTE_SENT if order.quote_link:
            return _with_customer(order, order.quote_link)
        case _:
            return SecondLine(order.status_note or order.info.line)


def _with_customer(order: Order, link: QuoteLink) -> SecondLine:
    """product.md section 2, Quotes: what the customer did with it, the most telling first."""
    if order.status_note:
        return SecondLine(order.status_note)
    if link.is_expired(clock.here()):
        return SecondLine(f"Expired {formats.day(link.valid_until, with_year=True)}")
    if link.last_opened_at:
        return SecondLine("Opened", link.last_opened_at)
    return SecondLine(f"Not opened, valid until {formats.day(link.valid_until, with_year=True)}")


def _waiting(order: Order) -> SecondLine:
    """What a placed order waits for, the most telling first."""
    latest = latest_attempts(order)
    waiting = [attempt for attempt in latest if not attempt.is_final]
    if refused := [attempt for attempt in latest if attempt.state == AttemptState.FAILED_DEFINITE]:
        return SecondLine(_refused_elsewhere(order, refused[0], waiting))
    for attempt in waiting:
        if not _has_api(attempt):
            # Nothing is sent there, so that nothing can be in doubt, and no login be refused.
            continue
        if attempt.unknown_since:
            return SecondLine(f"Confirming with {attempt.vendor} since {_clock_time(attempt.unknown_since)}")
        if attempt.action:
            return SecondLine(f"Action needed at {attempt.vendor}")
        if attempt.state == AttemptState.PREPARED and attempt.try_number > 1 and attempt.next_action_at:
            return SecondLine(f"Vendor busy, try {attempt.try_number} of {MAX_TRIES} at {_clock_time(attempt.next_action_at)}")
        if attempt.state == AttemptState.PREPARED and attempt.vendor.is_stopped:
            return SecondLine(f"Waiting: ordering from {attempt.vendor} is stopped by our staff")
        if attempt.state == AttemptState.PREPARED and attempt.must_look:
            return SecondLine(f"Comparing with {attempt.vendor} before anything is sent")
        if attempt.state == AttemptState.PREPARED and (down := _down(attempt)):
            return SecondLine(f"{attempt.vendor} does not answer, next try at {_clock_time(down)}")
        if attempt.state == AttemptState.PREPARED and attempt.account.is_paused:
            return SecondLine(f"Waiting: our login at {attempt.vendor} is being renewed")
    if paused := [attempt for attempt in waiting if not _has_api(attempt) and attempt.account.is_paused and not attempt.sent_at]:
        return SecondLine(f"Waiting: our ordering from {paused[0].vendor} is paused")
    if waiting and not all(_has_api(attempt) for attempt in waiting):
        return SecondLine(f"Waiting for {_names(waiting)},", order.placed_at)
    return SecondLine("Waiting for vendor,", order.placed_at)


def _down(attempt: PurchaseAttempt) -> datetime | None:
    """When the vendor, who does not answer, is asked again; None when he answers."""
    health = getattr(attempt.account, "health", None)
    return health.not_before if health and health.down_since else None


def _has_api(attempt: PurchaseAttempt) -> bool:
    return attempt.vendor.capabilities.has_api


def _staff_alone(waiting: list[PurchaseAttempt]) -> bool:
    """Whether only our staff are left to answer: every vendor that is out has no API."""
    return bool(waiting) and not any(_has_api(attempt) for attempt in waiting)


def _refused_elsewhere(order: Order, refused: PurchaseAttempt, waiting: list[PurchaseAttempt]) -> str:
    items = sum(1 for line in order.lines.all() if line.offer.vendor_id == refused.vendor_id)
    return f"{refused.vendor} refused {items} item{'s' if items != 1 else ''}, waiting for {_names(waiting)}"


def _names(waiting: list[PurchaseAttempt]) -> str:
    """ "our staff and Microsoft": whoever has not answered; for a vendor without an API that is our staff, who come first."""
    by_hand = ["our staff"] if any(not _has_api(attempt) for attempt in waiting) else []
    names = list(dict.fromkeys([*by_hand, *(str(attempt.vendor) for attempt in waiting if _has_api(attempt))]))
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _clock_time(instant: datetime) -> str:
    return formats.clock_time(timezone.localtime(instant))


# --- the order page


def steps(order: Order) -> list[Step]:
    """Ordered, sent, the vendor's word, completed: where the order stands on its way."""
    sent = min((attempt.sent_at for attempt in order.attempts.all() if attempt.sent_at), default=None)
    handed, decided = _step_words(order)
    ordered = Step("Ordered", "done" if order.placed_at else "now", order.placed_at or order.created_at)
    match order.status:
        case OrderStatus.PROVISIONING_STARTED:
            rest = [
                Step(handed, "done" if sent else "now", sent),
                Step(decided, "now" if sent else ""),
                Step("Completed"),
            ]
        case OrderStatus.PROVISIONING_FAILED:
            label = "Refused" if sent else "Stopped"
            rest = [Step(handed, "done" if sent else "", sent), Step(label, "failed", order.changed_at), Step("Completed")]
        case OrderStatus.PROVISIONING_FINISHED:
            rest = [Step(handed, "done", sent), Step(decided, "done", order.changed_at), Step("Completed", "now")]
        case OrderStatus.COMPLETED:
            rest = [Step(handed, "done", sent), Step(decided, "done"), Step("Completed", "done", order.closed_at)]
        case OrderStatus.COMPLETED_WITH_ERRORS:
            rest = [
                Step(handed, "done" if sent else "", sent),
                Step("Partly refused" if _bought_something(order) else "Refused", "failed"),
                Step("Completed with Errors", "done", order.closed_at),
            ]
        case OrderStatus.DELETED:
            rest = [Step("Deleted", "done", order.closed_at)]
            ordered = Step("Started", "done", order.created_at)
        case _:
            ordered = Step("Started", "now", order.created_at)
            rest = [Step("Ordered"), Step(handed), Step(decided), Step("Completed")]
    return [ordered, *rest]


def _step_words(order: Order) -> tuple[str, str]:
    """What handing over and deciding are called: where every item is ordered by hand, no vendor hears of it from us directly."""
    vendors = [line.offer.vendor for line in order.lines.all()]
    if vendors and not any(vendor.capabilities.has_api for vendor in vendors):
        return "With our staff", "Staff approval"
    return "Sent to vendor", "Vendor approval"


def _bought_something(order: Order) -> bool:
    return any(attempt.state == AttemptState.SUCCEEDED for attempt in order.attempts.all())


def what_next(shown: Shown) -> str:
    """One or two sentences: what happens now without or with the reader."""
    order = shown.order
    waiting = [attempt for attempt in latest_attempts(order) if not attempt.is_final]
    for attempt in waiting:
        if not _has_api(attempt):
            continue
        if attempt.state == AttemptState.PARKED:
            return (
                f"{attempt.vendor} can’t be asked any more what became of the order, so our staff find out there. "
                "Nothing is sent meanwhile, and nothing is bought twice. You need to do nothing."
            )
        if attempt.unknown_since:
            return (
                f"We sent the order and read no clear answer from {attempt.vendor}. We ask again with the same reference until we know; "
                "nothing is bought twice and nothing is lost. You need to do nothing."
            )
        if attempt.action:
            return f"{attempt.vendor} waits: {attempt.action} We look every few minutes and go on by ourselves."
        if attempt.try_number > 1 and attempt.state == AttemptState.PREPARED:
            return (
                f"{attempt.vendor} is busy or out of service. We try again by ourselves; "
                "nothing was bought so far, so you can also stop waiting."
            )
    if by_hand := [attempt for attempt in waiting if not _has_api(attempt)]:
        return _by_staff(by_hand, waiting)
    if order.status == OrderStatus.PROVISIONING_FAILED and shown.explanations:
        closing = " If it is no longer wanted, close it: it moves to Historical as Completed with Errors, with the reason."
        return " ".join(dict.fromkeys(explanation.fix for explanation in shown.explanations)) + closing
    return _answered(order)[0] or order.info.what_next


def _answered(order: Order) -> tuple[str, str]:
    """Of a quote that is with the customer what to do now and who; empty while the customer is the next to act."""
    link = order.quote_link
    if order.status != OrderStatus.QUOTE_SENT or link is None:
        return "", ""
    if link.ended_as == QuoteLink.Ended.ACCEPTED:
        return "The customer has accepted. Review and place the order: exactly what was accepted, also after the last day.", "You"
    if link.asked_at:
        return "The customer asks for a change. Answer, or revise the quote; meanwhile it can still be accepted as it is.", "You"
    if link.is_expired(clock.here()):
        return "The last day is over, and the link takes no answer. Extend it, revise it or delete it.", "You"
    return "", ""


def _by_staff(by_hand: list[PurchaseAttempt], waiting: list[PurchaseAttempt]) -> str:
    """What happens while our staff order by hand, alone or beside vendors that answer by themselves."""
    vendors = " and ".join(str(attempt.vendor) for attempt in by_hand)
    if paused := [attempt for attempt in by_hand if attempt.account.is_paused and not attempt.sent_at]:
        return (
            f"Our ordering from {paused[0].vendor} is paused; our staff go on as soon as it is not. Nothing was ordered there so far. "
            "You need to do nothing."
        )
    ours = f"Our staff order this from {vendors} and enter the answer item by item."
    if _staff_alone(waiting):
        return f"{ours} This page follows by itself. You need to do nothing."
    others = " and ".join(dict.fromkeys(str(attempt.vendor) for attempt in waiting if _has_api(attempt)))
    return f"{ours} {others} answers by itself. The order goes on when all have answered; you need to do nothing."


def who_acts(shown: Shown) -> str:
    if shown.order.status == OrderStatus.PROVISIONING_FAILED and shown.first:
        return shown.first.reason.get_who_display()
    if any(attempt.action and not attempt.is_final for attempt in shown.order.attempts.all()):
        return "You, at the vendor"
    waiting = [attempt for attempt in latest_attempts(shown.order) if not attempt.is_final]
    if any(attempt.state == AttemptState.PARKED for attempt in waiting):
        return "Our staff"
    if _staff_alone(waiting):
        return "Our staff"
    if any(not _has_api(attempt) for attempt in waiting):
        return "Our staff and the vendor"
    return _answered(shown.order)[1] or shown.order.info.who
