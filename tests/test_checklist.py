"""The checklist of an order: what it stops, what it warns of, where each point leads, and how many questions it asks."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import checklist, lifecycle
from orders.checklist import Check
from orders.models import Customer, Offer, Order, OrderLine, Subscription, VendorAccount
from tests.harness.world import World, again, customer_of, order_in
from tests.walls.pages import HtmlPage

pytestmark = pytest.mark.django_db


def order_of(world: World, customer: Customer, quantity: int = 2) -> Order:
    return lifecycle.create(customer, [world.line(quantity=quantity)], by=world.harbour.manager)


def blocking(order: Order) -> list[tuple[str, str]]:
    return [(check.text, check.link) for check in checklist.of(order) if check.blocks]


def warnings(order: Order) -> list[Check]:
    return [check for check in checklist.of(order) if not check.blocks and not check.is_good]


@pytest.mark.parametrize(
    ("details", "field", "words"),
    [
        ({"contact_email": "a@b.invalidtld"}, "contact_email", "No e-mail address ends in .invalidtld"),
        ({"contact_phone": "12"}, "contact_phone", "A phone number of Netherlands"),
        ({"postal_code": "XX"}, "postal_code", "This isn’t a postal code of Netherlands"),
        ({"city": ""}, "city", "Write the city"),
        ({"country": "US", "state": "Nowhere", "postal_code": "98101"}, "state", "United States has no state"),
        ({"country": "PL", "postal_code": "00-001"}, "registration_number", "needs the registration number of customers in Poland"),
        ({"country": "PL", "postal_code": "00-001", "contact_phone": ""}, "contact_phone", "needs a phone number of customers in Poland"),
        ({"registration_number": "12345"}, "registration_number", "takes no registration number in Netherlands"),
        ({"contact_last_name": ""}, "contact_last_name", "The contact has no last name"),
    ],
)
def test_what_the_vendor_will_refuse_of_a_stored_customer_stops_it(world: World, details: dict[str, str], field: str, words: str) -> None:
    customer = customer_of(world.harbour.seller, "Old Row", "oldrow", **details)
    found = {link: text for text, link in blocking(order_of(world, customer))}
    assert words in found[f"/customers/{customer.code}/edit/#id_{field}"]


def test_a_quantity_outside_the_range_an_archived_customer_and_no_account_stop_it(client: Client, world: World) -> None:
    order = order_of(world, world.harbour.customer, quantity=500)
    assert blocking(order) == []
    Offer.objects.filter(pk=world.backup.pk).update(max_quantity=25)
    Customer.objects.filter(pk=world.harbour.customer.pk).update(is_archived=True)
    VendorAccount.objects.filter(vendor=world.northgate).update(is_active=False)
    edit, page = f"/orders/{order.number}/edit/#id_lines-0-quantity", f"/customers/{world.harbour.customer.code}/"
    assert dict(blocking(again(order))) == {
        "Northgate Backup for Mailboxes: sold from 1 to 25, and these are 500.": edit,
        "Alder Dental is archived. Restore it first.": page,
        "There is no account at Northgate Backup to order with. Our staff must connect one, or take the item out.": edit,
    }
    client.force_login(world.harbour.manager)
    sent = HtmlPage(client.get(f"/orders/{order.number}/edit/")).sent()
    assert client.post(f"/orders/{order.number}/place/", {"token": sent["token"]}).status_code == 409
    assert again(order).status == "start"


def test_a_domain_that_another_customer_has_is_warned_of_here_and_beside_its_field(client: Client, world: World) -> None:
    twin = customer_of(world.harbour.seller, "Twin", "alderdentalharbour")
    [warned] = warnings(order_of(world, twin))
    assert (warned.text, warned.link) == (
        "Alder Dental has the domain alderdentalharbour.onmicrosoft.com, too. A tenant belongs to one customer.",
        f"/customers/{twin.code}/edit/#id_domain",
    )
    client.force_login(world.harbour.manager)
    page = HtmlPage(client.get(f"/customers/{twin.code}/edit/"))
    assert page.says("Alder Dental has this domain, too.")
    saved = client.post(f"/customers/{twin.code}/edit/", page.sent(), follow=True)
    assert HtmlPage(saved).says("Alder Dental has the domain alderdentalharbour.onmicrosoft.com, too.")
    # Another seller's customer is nobody that one hears of.
    stranger = customer_of(world.northwind.seller, "Stranger", "alderdentalharbour2")
    Customer.objects.filter(pk=stranger.pk).update(domain=world.harbour.other_customer.domain)
    assert warnings(order_of(world, world.harbour.other_customer)) == []


def test_an_add_on_is_content_with_a_base_that_the_customer_holds(world: World) -> None:
    world.backup.bases.set([world.premium])
    order = order_of(world, world.harbour.customer)
    [lacking] = [check for check in warnings(order) if "needs Microsoft" in check.text]
    assert lacking.link == f"/orders/{order.number}/edit/#id_lines-0-quantity"
    bought = order_in("completed", world, world.line(world.premium_yearly_monthly))
    assert not [check for check in warnings(order) if "needs" in check.text]
    ended = Subscription.objects.get(line__order=bought)
    Subscription.objects.filter(pk=ended.pk).update(status="suspended")
    assert [check for check in warnings(order) if "needs" in check.text]


def test_it_asks_as_much_for_twenty_items_as_for_two(world: World) -> None:
    world.backup.bases.set([world.premium])

    def questions(lines: int) -> int:
        order = lifecycle.create(world.harbour.customer, [world.line()] * lines, by=world.harbour.manager)
        with CaptureQueriesContext(connection) as asked:
            checklist.of(Order.objects.select_related("customer__seller", "seller").get(pk=order.pk))
        assert OrderLine.objects.filter(order=order).count() == lines
        return len(asked)

    assert questions(20) == questions(2) <= 12
