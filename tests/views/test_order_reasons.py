"""An order that failed for two reasons: each has its own Fix, Retry and Close stand together once."""

import pytest
from django.test import Client

from orders import purchasing
from orders.failures import Catalogue
from orders.models import Order
from orders.vendors.contract import Refusal
from tests.harness.world import World, claimed, order_in
from tests.walls.markup import complaints
from tests.walls.pages import HtmlPage, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(world: World) -> Order:
    """Its contact and a quantity were refused."""
    order = order_in("provisioning_started", world)
    refusals = (Refusal("3000", 400, "The contact e-mail is not valid."), Refusal("2002", 400, "The quantity is too small."))
    purchasing.record_refused(claimed(order.attempts.get()), refusals)
    found = Order.objects.for_list().get(pk=order.pk)
    assert len([explanation for explanation in Catalogue().explain(found) if explanation.fix_url]) == 2
    return found


def fixes(page: HtmlPage) -> list[str]:
    return [link for link in page.links() if "?fix=" in link]


def test_the_card_in_the_list_has_a_fix_beside_each(client: Client, world: World, two: Order) -> None:
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get("/orders/"))
    assert complaints(page) == []
    wanted = [explanation.fix_url for explanation in Catalogue().explain(two)]
    assert [link for link in fixes(page) if link in wanted] == wanted
    [card] = [element for element in page.all("div") if element.get("id") == f"reason-{two.number}"]
    assert text_of(card).count("Retry") == 1


def test_the_orders_page_has_a_fix_beside_each_and_retry_and_close_together_once(client: Client, world: World, two: Order) -> None:
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get(f"/orders/{two.number}/"))
    assert complaints(page) == []
    assert fixes(page) == [explanation.fix_url for explanation in Catalogue().explain(two)]
    bars = [text_of(bar) for bar in page.all("div") if bar.get("class") == "actions"]
    assert sum("Retry" in bar for bar in bars) == 1
    assert [bar for bar in bars if "Retry" in bar] == [bar for bar in bars if "Close order" in bar]


def test_one_reason_has_one_fix_in_the_foot_of_the_card(client: Client, world: World) -> None:
    order = order_in("provisioning_failed", world)
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get("/orders/"))
    assert len(fixes(page)) == 1
    [card] = [element for element in page.all("div") if element.get("id") == f"reason-{order.number}"]
    assert not [element for element in card.iter() if element.get("class") == "reason-fix"]
