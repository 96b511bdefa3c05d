"""The demo: two sellers, their customers, a small catalogue, and orders that reach every status by the portal's own verbs.

Names and prices are invented; magic values (see the sandbox vendor's rules) make some orders fail on purpose.
"""

import json
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from orders import clock, lifecycle, pricing, quoting
from orders.lifecycle import LineInput, QuoteTexts
from orders.models import Customer, Membership, Offer, Order, Price, PriceList, Role, Seller, User, Vendor, VendorAccount
from orders.money import Discount
from portal.settings import local_key

PASSWORD = "try-the-portal-2026"  # noqa: S105  (loopback only, printed by `up`)
LOGINS = (
    ("admin@harbour.example", "seller admin of Harbour Cloud Ltd"),
    ("manager@harbour.example", "account manager of Harbour Cloud Ltd"),
    ("viewer@harbour.example", "viewer of Harbour Cloud Ltd"),
    ("admin@fellside.example", "seller admin of Fellside IT, another seller"),
    ("staff@portal.example", "staff: Django admin"),
)
SANDBOX_CLIENT = "seller-portal-demo"
TENANTS = {
    "microsoft": "11111111-1111-4111-8111-111111111111",
    "northgate": "22222222-2222-4222-8222-222222222222",
    "adobe": "5556667778",
}
DATA = Path(__file__).with_name("demo.json")
PRICES = Path(__file__).with_name("demo_prices.csv")  # in the form of Microsoft's list, with invented prices


def sandbox_environment() -> dict[str, str]:
    """What the sandbox vendor needs to know us by."""
    return {
        "SANDBOX_CLIENT_ID": SANDBOX_CLIENT,
        "SANDBOX_CLIENT_SECRET": local_key("sandbox"),
        "SANDBOX_TENANTS": ",".join(TENANTS.values()),
    }


def load(sandbox_url: str) -> bool:
    """Load the demo into an empty database; True when it did. Always points the accounts at the sandbox that runs now."""
    is_new = not Seller.objects.exists()
    if is_new:
        with transaction.atomic():
            _load()
    for account in VendorAccount.objects.filter(client_id=SANDBOX_CLIENT):
        account.base_url = account.login_url = sandbox_url
        account.client_secret = local_key("sandbox")
        account.save()
    return is_new


def _load() -> None:
    data = json.loads(DATA.read_text())
    for row in data["vendors"]:
        vendor = Vendor.objects.create(**row)
        login = {"tenant": TENANTS[vendor.code], "client_id": SANDBOX_CLIENT} if vendor.capabilities.has_api else {}
        VendorAccount.objects.create(vendor=vendor, name="Platform account", **login)
    for row in data["offers"]:
        _offer(row)
    outcome = pricing.import_prices(PRICES, Vendor.objects.get(code="microsoft"))
    assert outcome.price_list.state == PriceList.State.CURRENT, outcome.price_list.problems
    _addons(data["addons"])
    prices = {
        f"{price.offer.code} {price.term} {price.billing_cycle}": price
        for price in Price.objects.listed().filter(market="NL").select_related("offer__vendor")
    }
    for row in data["sellers"]:
        _seller(row, prices)
    User.objects.create_superuser("staff@portal.example", PASSWORD, name="Sam Staff")


def _offer(row: dict[str, Any]) -> None:
    """An offer of a vendor who sends no price list, with its prices."""
    plans = row.pop("plans")
    offer = Offer.objects.create(**row | {"vendor": Vendor.objects.get(code=row["vendor"])}, code=f"{row['product_id']}-{row['sku_id']}")
    for term, cycle, cost, price in plans:
        Price.objects.create(
            offer=offer, market="NL", currency="EUR", term=term, billing_cycle=cycle, term_cost=Decimal(cost), term_price=Decimal(price)
        )


def _addons(rows: dict[str, list[str]]) -> None:
    """What a price list does not say: which offers need one of which others."""
    for code, bases in rows.items():
        Offer.objects.get(code=code).bases.set(Offer.objects.filter(code__in=bases))


def _seller(row: dict[str, Any], prices: dict[str, Price]) -> None:
    people, customers, orders = row.pop("people"), row.pop("customers"), row.pop("orders")
    seller = Seller.objects.create(**row)
    users = {}
    for email, name, role in people:
        users[role] = User.objects.create_user(email, PASSWORD, name=name)
        Membership.objects.create(user=users[role], seller=seller, role=role)
    actor = users.get(Role.ACCOUNT_MANAGER) or users[Role.ADMIN]
    by_name = {customer["name"]: _customer(seller, customer) for customer in customers}
    for order in orders:
        _order(order, by_name, prices, actor)


def _customer(seller: Seller, row: dict[str, Any]) -> Customer:
    customer = Customer(seller=seller, **row)
    customer.full_clean()
    customer.save()
    return customer


def _order(row: dict[str, Any], customers: dict[str, Customer], prices: dict[str, Price], actor: User) -> None:
    # After plan and quantity an item may have a discount in percent, and then whether it is optional.
    lines = [
        LineInput(prices[plan], quantity, discount=Discount(Decimal(more[0] if more else 0)), is_optional=bool(more[1:] and more[1]))
        for plan, quantity, *more in row["lines"]
    ]
    texts = QuoteTexts(recipients=tuple(row.get("recipients", ())), customer_note=row.get("note", ""))
    order = lifecycle.create(
        customers[row["customer"]], lines, by=actor, reference=row.get("reference", ""), kind=row.get("kind", Order.Kind.NEW), texts=texts
    )
    match row.get("then"):
        case "place":
            lifecycle.place(order, by=actor)
        case "delete":
            lifecycle.delete(order, by=actor)
        case "send":
            quoting.send(order, by=actor)
        case "schedule":
            zone = ZoneInfo(order.seller.time_zone)
            on = (clock.now().astimezone(zone) + timedelta(days=8)).date()
            lifecycle.schedule(order, by=actor, at=datetime.combine(on, time.min, zone), on=on, zone=order.seller.time_zone)
