"""Quotes: what is frozen, who may still answer it and how each answer counts, on both databases."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from orders import clock as portal_clock
from orders import lifecycle, quote_document, quoting, timeline
from orders.lifecycle import Refusal
from orders.models import Notice, Order, Price, QuoteAcceptance, QuoteLink, QuoteMessage, QuoteRevision, Seller
from orders.models.quotes import content_hash, end_of_day
from orders.quoting import NotTaken, Signature, Why
from orders.statuses import OrderStatus
from tests.harness.clock import Clock
from tests.harness.world import World, again, order_in

pytestmark = pytest.mark.django_db
ANNA = Signature("Anna Visser", "Director", "203.0.113.7", "Firefox")


@pytest.fixture
def quote(world: World) -> Order:
    order = order_in(OrderStatus.DRAFT, world)
    Order.objects.filter(pk=order.pk).update(quote_recipients=["anna@alder.example", "bob@alder.example"], customer_note="As we said.")
    return quoting.send(again(order), by=world.harbour.manager)


def link_of(order: Order) -> QuoteLink:
    found = again(order).quote_link
    assert found
    return found


def accept(order: Order, *, chosen: tuple[int, ...] = ()) -> Order:
    link = link_of(order)
    return quoting.accept(link, ANNA, content_sha256=link.revision.content_sha256, chosen=chosen)


def names(order: Order) -> list[str]:
    return list(order.events.order_by("id").values_list("name", flat=True))


def mails(kind: str) -> list[str]:
    return sorted(Notice.objects.filter(kind=kind).values_list("recipient", flat=True))


# --- sending


def test_sending_freezes_what_is_sold_and_nothing_of_what_it_costs(quote: Order) -> None:
    revision = quote.revisions.get()
    assert (quote.status, revision.number, revision.content_sha256) == ("quote_sent", 1, content_hash(revision.document))
    text = str(revision.document)
    assert "As we said." in text
    for secret in ("cost", "margin", "internal"):
        assert secret not in text
    line = quote.lines.get()
    assert str(line.term_cost) not in text


def test_an_add_on_is_frozen_after_its_base(world: World) -> None:
    order = order_in(
        OrderStatus.DRAFT, world, world.line(world.premium_monthly), world.line(world.premium_monthly), world.line(world.premium_monthly)
    )
    order.lines.filter(position=3).update(base_position=1)
    document = quote_document.freeze(again(order), 1)
    assert [(line["position"], line["base"]) for line in document["lines"]] == [(1, None), (3, 1), (2, None)]


def test_a_revision_and_an_acceptance_and_a_message_are_never_changed(quote: Order) -> None:
    accept(quote)
    link = link_of(quote)
    QuoteMessage.objects.create(revision=link.revision, name="Anna", text="Thanks", at=portal_clock.now())
    for rows, change in (
        (QuoteRevision.objects.all(), {"document": {}}), (QuoteRevision.objects.all(), {"content_sha256": "0" * 64}),
        (QuoteAcceptance.objects.all(), {"name": "Other"}), (QuoteMessage.objects.all(), {"text": "No"}),
    ):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.update(**change)
        with pytest.raises(DatabaseError), transaction.atomic():
            rows._raw_delete(rows.db)


def test_of_the_links_token_only_the_hash_is_stored_and_it_finds_its_quote(quote: Order) -> None:
    link = link_of(quote)
    token = quoting.address_of(link).split("/")[2]
    assert len(token) >= 32
    assert token not in str(list(QuoteLink.objects.values()))
    found = quoting.link_of(token)
    assert found == link
    assert quoting.link_of(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert quoting.link_of("") is None


def test_the_mail_goes_to_each_recipient_once(quote: Order) -> None:
    assert mails("quote") == ["anna@alder.example", "bob@alder.example"]


def test_a_last_day_that_is_over_is_no_last_day(world: World) -> None:
    order = order_in(OrderStatus.DRAFT, world)
    Order.objects.filter(pk=order.pk).update(valid_until=quoting.today(order) - timedelta(days=1))
    with pytest.raises(Refusal, match="last day is over"):
        quoting.send(again(order), by=world.harbour.manager)
    assert again(order).status == OrderStatus.DRAFT
    assert not QuoteLink.objects.exists()


def test_without_a_last_day_the_sellers_own_number_of_days_counts(world: World, quote: Order) -> None:
    assert again(quote).valid_until == quoting.today(quote) + timedelta(days=world.harbour.seller.quote_days)


# --- the customer's answers


def test_accepting_places_the_order_and_keeps_the_evidence(quote: Order) -> None:
    order = accept(quote)
    assert again(order).status == OrderStatus.PROVISIONING_STARTED
    assert order.attempts.count() == 1
    acceptance = QuoteAcceptance.objects.get()
    revision = quote.revisions.get()
    assert (acceptance.name, acceptance.role, acceptance.address, acceptance.browser) == (
        "Anna Visser",
        "Director",
        "203.0.113.7",
        "Firefox",
    )
    assert (acceptance.revision, acceptance.content_sha256) == (revision, revision.content_sha256)
    assert names(order)[-2:] == ["quote_accepted", "placed"]
    assert order.events.get(name="quote_accepted").actor_name == "Anna Visser"


def test_a_seller_who_looks_first_places_what_was_accepted_himself(world: World, quote: Order) -> None:
    Seller.objects.filter(pk=quote.seller_id).update(looks_first=True)
    order = again(accept(quote))
    assert (order.status, order.status_note, order.needs_attention) == ("quote_sent", quoting.ACCEPTED_WAITS, True)
    assert quoting.is_accepted(order)
    lifecycle.place(order, by=world.harbour.manager)
    placed = again(order)
    assert (placed.status, placed.needs_attention) == ("provisioning_started", False)


def test_what_blocks_placing_does_not_undo_the_customers_yes(world: World, quote: Order) -> None:
    Price.objects.filter(offer=world.backup).update(market="BE")
    world.backup.is_active = False
    world.backup.save()
    order = again(accept(quote))
    assert (order.status, order.status_note, order.needs_attention) == ("quote_sent", quoting.ACCEPTED_WAITS, True)
    assert QuoteAcceptance.objects.count() == 1
    assert not order.attempts.exists()
    assert names(order)[-2:] == ["quote_accepted", "placing_blocked"]


def replaced(order: Order, world: World) -> None:
    quoting.revise(order, by=world.harbour.manager)
    quoting.send(again(order), by=world.harbour.manager)


ENDINGS: dict[Why, Callable[[Order, World], object]] = {
    Why.REPLACED: replaced,
    Why.WITHDRAWN: lambda order, world: quoting.withdraw(order, by=world.harbour.manager),
    Why.DECLINED: lambda order, world: quoting.decline_by_link(link_of(order), ANNA, reason="Too dear"),
    Why.ACCEPTED: lambda order, world: accept(order),
    Why.DELETED: lambda order, world: lifecycle.delete(order, by=world.harbour.manager, reason="Not wanted."),
}


@pytest.mark.parametrize("why", list(ENDINGS))
def test_what_has_ended_takes_no_answer_and_says_why(world: World, quote: Order, why: Why) -> None:
    link = link_of(quote)
    ENDINGS[why](again(quote), world)
    before = again(quote)
    accepted, events = QuoteAcceptance.objects.count(), before.events.count()
    for answer in (
        lambda: quoting.accept(link, ANNA, content_sha256=link.revision.content_sha256, chosen=()),
        lambda: quoting.decline_by_link(link, ANNA, reason="No"),
        lambda: quoting.ask(link, ANNA, [(None, "Cheaper?")]),
    ):
        with pytest.raises(NotTaken) as refused:
            answer()
        assert refused.value.why == why
    after = again(quote)
    assert (after.status, after.version, after.events.count()) == (before.status, before.version, events)
    assert QuoteAcceptance.objects.count() == accepted
    assert not QuoteMessage.objects.exists()


def test_what_was_displayed_is_what_is_accepted(quote: Order) -> None:
    with pytest.raises(NotTaken) as refused:
        quoting.accept(link_of(quote), ANNA, content_sha256="0" * 64, chosen=())
    assert refused.value.why == Why.CHANGED
    assert again(quote).status == OrderStatus.QUOTE_SENT
    assert not QuoteAcceptance.objects.exists()


def test_a_revoked_link_finds_nothing_and_the_new_one_finds_the_same_revision(world: World, quote: Order) -> None:
    old = link_of(quote)
    token = quoting.address_of(old).split("/")[2]
    quoting.new_link(again(quote), by=world.harbour.manager)
    new = link_of(quote)
    assert quoting.link_of(token) is None
    assert (new.revision, new == old) == (old.revision, False)
    with pytest.raises(NotTaken):
        quoting.accept(old, ANNA, content_sha256=old.revision.content_sha256, chosen=())
    assert again(accept(quote)).status == OrderStatus.PROVISIONING_STARTED


def test_declining_makes_a_draft_that_says_why_and_tells_the_seller(world: World, quote: Order) -> None:
    quoting.decline_by_link(link_of(quote), ANNA, reason="Too dear")
    order = again(quote)
    assert (order.status, order.status_note, order.needs_attention) == ("draft", "Declined: Too dear", True)
    assert world.harbour.manager.email in mails("answer")


def test_a_change_that_is_asked_for_leaves_the_quote_acceptable_and_is_answered_in_the_same_thread(world: World, quote: Order) -> None:
    quoting.ask(link_of(quote), ANNA, [(1, "Seven seats?"), (None, "And cheaper.")])
    order = again(quote)
    assert (order.status, order.status_note, order.needs_attention) == ("quote_sent", quoting.CHANGE_ASKED, True)
    quoting.answer(order, "Seven is fine.", by=world.harbour.manager)
    order = again(quote)
    assert (order.status_note, order.needs_attention) == ("", False)
    thread = [(message.name, message.position, message.text, message.is_of_customer) for message in QuoteMessage.objects.order_by("id")]
    assert thread == [
        ("Anna Visser", 1, "Seven seats?", True),
        ("Anna Visser", None, "And cheaper.", True),
        (world.harbour.manager.name, None, "Seven is fine.", False),
    ]
    assert again(accept(quote)).status == OrderStatus.PROVISIONING_STARTED


def test_the_same_words_sent_twice_are_one_message(quote: Order, clock: Clock) -> None:
    for _ in range(2):
        quoting.ask(link_of(quote), ANNA, [(1, "Two less"), (None, "Thanks")])
    assert (QuoteMessage.objects.count(), names(quote).count("change_asked")) == (2, 1)
    clock.advance(minutes=2)
    quoting.ask(link_of(quote), ANNA, [(1, "Two less")])
    assert QuoteMessage.objects.count() == 3


def test_one_quote_is_no_place_to_fill_a_disk_from(quote: Order) -> None:
    link = link_of(quote)
    QuoteMessage.objects.bulk_create(
        QuoteMessage(revision=link.revision, name="A", text="a", at=portal_clock.now()) for _ in range(quoting.MOST_MESSAGES)
    )
    with pytest.raises(Refusal, match="too many messages"):
        quoting.ask(link, ANNA, [(None, "One more")])


# --- validity


def pass_until(clock: Clock, instant: datetime) -> None:
    clock.advance(seconds=(instant - portal_clock.now()).total_seconds() + 1)


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"])
def test_the_last_day_ends_at_its_last_second_in_the_sellers_zone(world: World, clock: Clock, zone: str) -> None:
    Seller.objects.filter(pk=world.harbour.seller.pk).update(time_zone=zone)
    order = again(order_in(OrderStatus.DRAFT, world))
    until = quoting.today(order) + timedelta(days=2)
    Order.objects.filter(pk=order.pk).update(valid_until=until)
    quoting.send(again(order), by=world.harbour.manager)
    link = link_of(order)
    end = end_of_day(until, zone)
    assert quoting.state_of(link, end - timedelta(seconds=1)) is None
    assert quoting.state_of(link, end) == Why.EXPIRED
    pass_until(clock, end)
    with pytest.raises(NotTaken) as refused:
        accept(order)
    assert refused.value.why == Why.EXPIRED
    assert again(order).status == OrderStatus.QUOTE_SENT


@pytest.mark.parametrize(
    ("on", "zone", "end"),
    [
        (date(2026, 6, 30), "Europe/Amsterdam", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        (date(2026, 12, 31), "Europe/Amsterdam", datetime(2026, 12, 31, 23, tzinfo=UTC)),
        # The clocks go forward at midnight in Beirut, and back in the night in New York: the day is as long as it is.
        (date(2026, 3, 28), "Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC)),
        (date(2026, 11, 1), "America/New_York", datetime(2026, 11, 2, 5, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_the_end_of_a_day_is_the_next_midnight_there_also_when_clocks_change(on: date, zone: str, end: datetime) -> None:
    assert end_of_day(on, zone) == end


def test_extending_changes_the_last_day_and_nothing_of_the_revision(world: World, quote: Order, clock: Clock) -> None:
    link, revision = link_of(quote), quote.revisions.get()
    pass_until(clock, link.expires_at + timedelta(hours=1))
    until = quoting.today(quote) + timedelta(days=5)
    with pytest.raises(Refusal, match="from today"):
        quoting.extend(again(quote), quoting.today(quote) - timedelta(days=1), by=world.harbour.manager)
    quoting.extend(again(quote), until, by=world.harbour.manager)
    extended = link_of(quote)
    assert (extended.pk, extended.valid_until, extended.expires_at) == (link.pk, until, end_of_day(until, extended.zone))
    assert QuoteRevision.objects.get() == revision
    assert again(accept(quote)).status == OrderStatus.PROVISIONING_STARTED


def test_a_customer_is_reminded_at_most_once_a_day_and_never_of_what_is_over(world: World, quote: Order, clock: Clock) -> None:
    by = world.harbour.manager
    quoting.remind(again(quote), by=by)
    assert len(mails("quote")) == 4
    with pytest.raises(Refusal, match="less than a day"):
        quoting.remind(again(quote), by=by)
    clock.advance(seconds=86_400)
    quoting.remind(again(quote), by=by)
    assert len(mails("quote")) == 6
    pass_until(clock, link_of(quote).expires_at)
    with pytest.raises(Refusal, match="expired"):
        quoting.remind(again(quote), by=by)


# --- the seller takes it back


def test_revising_makes_the_next_revision_and_the_old_link_says_that_it_was_replaced(world: World, quote: Order) -> None:
    old = link_of(quote)
    replaced(again(quote), world)
    new = link_of(quote)
    assert [revision.number for revision in quote.revisions.all()] == [2, 1]
    assert quoting.state_of(QuoteLink.objects.get(pk=old.pk), portal_clock.now()) == Why.REPLACED
    assert quoting.state_of(new, portal_clock.now()) is None


def test_an_accepted_quote_is_taken_back_only_with_a_reason_and_the_customer_is_told(world: World, quote: Order) -> None:
    Seller.objects.filter(pk=quote.seller_id).update(looks_first=True)
    accept(quote)
    before = len(mails("quote"))
    with pytest.raises(Refusal, match="Say why"):
        quoting.withdraw(again(quote), by=world.harbour.manager)
    quoting.withdraw(again(quote), by=world.harbour.manager, reason="The vendor stopped selling it.")
    assert again(quote).status == OrderStatus.DRAFT
    assert len(mails("quote")) == before + 2


def test_an_agreement_on_the_phone_is_written_down_and_waits_to_be_placed(world: World, quote: Order) -> None:
    quoting.record_agreement(again(quote), name="Anna Visser", how="By phone, 27 November", by=world.harbour.manager)
    order = again(quote)
    acceptance = QuoteAcceptance.objects.get()
    assert (acceptance.name, acceptance.how, acceptance.recorded_by) == ("Anna Visser", "By phone, 27 November", world.harbour.manager)
    assert (order.status, order.status_note) == ("quote_sent", quoting.ACCEPTED_WAITS)
    lifecycle.place(order, by=world.harbour.manager)
    assert again(order).status == OrderStatus.PROVISIONING_STARTED


def test_placing_a_quote_oneself_ends_its_link(world: World, quote: Order) -> None:
    link = link_of(quote)
    lifecycle.place(again(quote), by=world.harbour.manager)
    with pytest.raises(NotTaken):
        quoting.accept(link, ANNA, content_sha256=link.revision.content_sha256, chosen=())
    assert quote.attempts.count() == 1


# --- what is seen


def test_only_an_opening_counts_and_first_and_last_are_kept(quote: Order, clock: Clock) -> None:
    version = again(quote).version
    quoting.opened(link_of(quote))
    first = portal_clock.now()
    clock.advance(seconds=60)
    quoting.opened(link_of(quote))
    link = link_of(quote)
    assert link.first_opened_at is not None
    assert link.last_opened_at is not None
    assert (link.openings, link.first_opened_at <= first, link.last_opened_at - link.first_opened_at >= timedelta(seconds=60)) == (
        2,
        True,
        True,
    )
    assert again(quote).version == version


def test_every_event_of_a_quote_has_words_of_its_own(world: World, quote: Order, clock: Clock) -> None:
    by = world.harbour.manager
    quoting.extend(again(quote), quoting.today(quote) + timedelta(days=9), by=by)
    quoting.remind(again(quote), by=by)
    quoting.new_link(again(quote), by=by)
    quoting.ask(link_of(quote), ANNA, [(None, "Cheaper?")])
    quoting.answer(again(quote), "No.", by=by)
    quoting.record_agreement(again(quote), name="Anna", how="By phone", by=by)
    events = list(quote.events.all())
    assert {event.name for event in events} <= set(timeline.WORDINGS)
    for entry in timeline.entries(quote, events, []):
        assert entry.title
        assert "None" not in entry.text
