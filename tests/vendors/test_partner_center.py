"""What only Partner Center does, against the sandbox vendor over real HTTP; the rest is in test_conformance.py. No database."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from orders.vendors.contract import Busy, Connector, OutcomeUnknown, Phase
from tests.harness.sandbox import Sandbox
from tests.vendors.kits import PARTNER_CENTER as KIT


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    KIT.tokens.clear()
    yield
    KIT.tokens.clear()


@pytest.fixture
def connector(vendor: Sandbox) -> Iterator[Connector]:
    with closing(KIT.connect(vendor)) as opened:
        yield opened


def test_an_order_that_waits_for_a_person_says_so(vendor: Sandbox, connector: Connector) -> None:
    snapshot = connector.advance(KIT.order(428), KIT.journal(vendor))
    assert snapshot.phase is Phase.ACTION
    assert "purchase order" in snapshot.action


@pytest.mark.parametrize(("quantity", "retry_after"), [(429, 3), (503, None), (599, None)])
def test_a_busy_vendor_says_when_to_come_back(vendor: Sandbox, connector: Connector, quantity: int, retry_after: int | None) -> None:
    with pytest.raises(Busy) as caught:
        connector.advance(KIT.order(quantity), KIT.journal(vendor))
    assert (caught.value.retry_after.total_seconds() if caught.value.retry_after else None) == retry_after


@pytest.mark.parametrize("fault", ["empty", "bad_json"])
def test_a_look_up_that_can_not_be_read_does_not_say_that_the_offer_is_gone(vendor: Sandbox, connector: Connector, fault: str) -> None:
    vendor.faults(fault, method="GET", path="/v1/products/*")
    with pytest.raises(Busy):
        connector.advance(KIT.order(5), KIT.journal(vendor))


@pytest.mark.parametrize("fault", ["empty", "bad_json"])
def test_a_list_of_orders_that_can_not_be_read_does_not_prove_that_nothing_was_bought(
    vendor: Sandbox, connector: Connector, fault: str
) -> None:
    """A no that the catalogue does not know counts only after a look; the look has to be one."""
    vendor.faults("code:400/777777", method="POST", path="*/checkout")
    vendor.faults(fault, method="GET", path="/v1/customers/*/orders")
    with pytest.raises(OutcomeUnknown):
        connector.advance(KIT.order(5), KIT.journal(vendor))


def test_a_stale_catalogue_id_is_refreshed_once_by_itself(vendor: Sandbox) -> None:
    vendor.faults("code:404/400019", method="POST", path="*/carts")
    assert KIT.buy(vendor, KIT.order(5)).phase is Phase.DONE
    assert len(vendor.ledger()["orders"]) == 1


def test_the_password_of_a_new_tenant_is_never_kept(vendor: Sandbox, connector: Connector) -> None:
    journal = KIT.journal(vendor)
    connector.advance(KIT.order(5), journal)
    bodies = b"".join(row.answer.body for row in journal.rows if row.answer)
    assert b"Sbx!" not in bodies
    assert b"[removed]" in bodies
