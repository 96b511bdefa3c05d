"""The connector of vendors without an API: what staff answered is what the vendor said. No Django, no database."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orders.vendors import registry
from orders.vendors.contract import Phase, Rejected, Verdict
from orders.vendors.http import Login
from tests.vendors.kits import PARTNER_CENTER

NO_LOGIN = Login(account="1", base_url="", login_url="", tenant="", client_id="", client_secret="")
START = datetime(2026, 12, 1, tzinfo=UTC)


class Answers:
    """A journal that holds staff's verdicts and nothing else: any call would be an AttributeError."""

    def __init__(self, *verdicts: Verdict) -> None:
        self._verdicts = verdicts

    def verdicts(self) -> tuple[Verdict, ...]:
        return self._verdicts


def approved(line: int) -> Verdict:
    return Verdict(line, True, vendor_ref=f"C-{line}", starts_at=START)


def refused(line: int, text: str = "") -> Verdict:
    return Verdict(line, False, code="out_of_stock", text=text)


def advance(*verdicts: Verdict, quantities: tuple[int, ...] = (2, 5)) -> object:
    return registry.connect("manual", NO_LOGIN, lambda *_: None).advance(PARTNER_CENTER.order(*quantities), Answers(*verdicts))


@pytest.mark.parametrize("verdicts", [(), (approved(1),), (refused(2),), (approved(7), refused(8))])
def test_it_waits_until_every_line_has_a_verdict(verdicts: tuple[Verdict, ...]) -> None:
    snapshot = advance(*verdicts)
    assert (snapshot.phase, snapshot.raw_status, snapshot.bought, snapshot.refusals) == (Phase.ACCEPTED, "Waiting for our staff", (), ())


def test_what_was_approved_is_bought_with_reference_and_dates() -> None:
    snapshot = advance(approved(1), replace(approved(2), ends_at=START))
    assert snapshot.phase == Phase.DONE
    assert [(item.line, item.subscription_ref, item.starts_at, item.ends_at) for item in snapshot.bought] == [
        (1, "C-1", START, None),
        (2, "C-2", START, START),
    ]
    assert snapshot.order_refs == ("C-1", "C-2")


def test_a_part_refused_is_told_beside_what_was_bought() -> None:
    snapshot = advance(approved(1), refused(2, "None left."))
    assert [item.line for item in snapshot.bought] == [1]
    assert [(no.line, no.code, no.text, no.http_status) for no in snapshot.refusals] == [(2, "out_of_stock", "None left.", None)]


def test_all_refused_is_a_no() -> None:
    with pytest.raises(Rejected) as no:
        advance(refused(1), refused(2))
    assert [refusal.line for refusal in no.value.refusals] == [1, 2]


def test_it_needs_no_login_and_says_so_by_its_capabilities() -> None:
    assert (
        {slug for slug, connector in registry.CONNECTORS.items() if not connector.capabilities.has_api}
        == {"manual"}
        == registry.WITHOUT_API
    )
    assert registry.CONNECTORS["manual"].capabilities.allows_start
