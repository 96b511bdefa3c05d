"""Planted secrets are looked for wherever anything is kept or shown: database, dump, log, page, error, repr."""

import base64
import io
import logging
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from orders import purchasing
from orders.models import AttemptState, VendorExchange
from orders.vendors import microsoft_login
from tests.harness.clock import Clock
from tests.harness.databases import Database, contents
from tests.harness.sandbox import CLIENT_SECRET, Sandbox
from tests.harness.world import World
from tests.test_purchasing import placed, work

REFRESH = "refresh-canary-5f2c9a7d"
# What the sandbox gives out: bearers begin with sbx., passwords of new tenants with Sbx!.
GIVEN_OUT = ("sbx.", "Sbx!")


def forms(secret: str) -> list[str]:
    """The secret as it might hide: plain, for URLs, as hex, as base64 (its middle, whatever stands before it)."""
    raw = secret.encode()
    packed = [base64.b64encode(b"x" * shift + raw).decode()[4:-4] for shift in range(3)]
    return [secret, quote(secret, safe=""), raw.hex(), *(part for part in packed if len(part) > 7)]


@pytest.fixture
def log() -> io.StringIO:
    """Every logger at its most talkative."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in ("httpx", "httpcore", "orders"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    for name, before in (("httpx", logging.WARNING), ("httpcore", logging.NOTSET), ("orders", logging.NOTSET)):
        logging.getLogger(name).setLevel(before)


def test_secrets_are_nowhere(committed_db: Database, world: World, vendor: Sandbox, clock: Clock, client: Client, log: io.StringIO) -> None:
    microsoft_login.TOKENS.clear()
    orders = [
        work(placed(world, world.line(world.premium_monthly, 5)), clock),
        work(placed(world, world.line(world.premium_monthly, 402)), clock),
    ]
    vendor.faults("drop_after_commit", method="POST", path="*/checkout")
    orders.append(work(placed(world, world.line(world.premium_monthly, 3)), clock))
    # A vendor who repeats what he was sent.
    vendor.faults(f"text:Bad header Authorization: Bearer sbx.abc123 of {CLIENT_SECRET}", method="POST", path="*/carts")
    orders.append(work(placed(world, world.line(world.premium_monthly, 6)), clock))
    # And a login that is refused, of an account with a person's token.
    account = world.microsoft_account
    account.refresh_token = REFRESH
    account.save()
    microsoft_login.TOKENS.clear()
    refused = placed(world, world.line(world.premium_monthly, 4))
    purchasing.run(refused.attempts.get().pk)
    assert refused.attempts.get().state == AttemptState.PREPARED
    assert VendorExchange.objects.exists()

    dump = io.StringIO()
    call_command("dumpdata", "orders", stdout=dump)
    client.force_login(world.harbour.manager)
    pages = [client.get(reverse("orders:order-detail", args=[order.number])).content.decode() for order in [*orders, refused]]
    client.force_login(world.staff)
    staff = [reverse("admin:orders_vendoraccount_change", args=[account.pk]), reverse("admin:orders_vendoraccount_changelist")]
    staff += [reverse("admin:orders_purchaseattempt_change", args=[attempt.pk]) for order in orders for attempt in order.attempts.all()]
    pages += [client.get(address).content.decode() for address in staff]
    places = {
        "database": repr(contents()),
        "dump": dump.getvalue(),
        "log": log.getvalue(),
        "pages": "\n".join(pages),
        "repr": f"{account!r} {account} {purchasing.login_to(account)!r} {purchasing.login_to(account)}",
    }
    assert all(places.values())
    for secret in (CLIENT_SECRET, REFRESH):
        for form in forms(secret):
            assert [place for place, text in places.items() if form in text] == [], form
    for beginning in GIVEN_OUT:
        assert [place for place, text in places.items() if beginning in text] == [], beginning


def test_the_search_finds_a_secret_that_is_there() -> None:
    hidden = base64.b64encode(b"{'secret': '" + REFRESH.encode() + b"'}").decode()
    assert any(form in hidden for form in forms(REFRESH))
