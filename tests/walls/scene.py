"""Two sellers who know nothing of each other, with orders of every kind, and the people who come to the doors."""

from dataclasses import dataclass, field

from django.test import Client

from orders import clock, lifecycle, people, quote_templates, secrets
from orders.models import Customer, Incident, Invitation, Order, QuoteTemplate, User
from orders.statuses import OrderStatus
from tests.harness.world import SellerWorld, World, again, few_reasons, order_in

MISSING = "SO-99999"
WRITERS = ("manager", "admin", "other_admin")
ACTORS = ("anonymous", "viewer", *WRITERS, "staff", "former")
# Strings of the second seller that nobody else may ever read.
CANARY = "KANARIENVOGEL"
# The token of Harbour's open invitation.
LINK = "link-of-the-wall"


@dataclass
class Scene:
    world: World
    own: dict[str, Order]  # of Harbour Cloud, by status
    foreign: dict[str, Order]  # of Northwind IT, by status
    former: User  # worked for Harbour until his membership was switched off
    canaries: tuple[str, ...] = field(default=())

    def client(self, actor: str) -> Client:
        made = Client(raise_request_exception=True)
        if actor != "anonymous":
            made.force_login(self.user(actor))
        return made

    def user(self, actor: str) -> User:
        harbour, northwind = self.world.harbour, self.world.northwind
        people = {"viewer": harbour.viewer, "manager": harbour.manager, "admin": harbour.admin, "other_admin": northwind.admin}
        return {**people, "staff": self.world.staff, "former": self.former}[actor]

    def side(self, actor: str) -> SellerWorld:
        return self.world.northwind if actor == "other_admin" else self.world.harbour

    def other_side(self, actor: str) -> SellerWorld:
        return self.world.harbour if actor == "other_admin" else self.world.northwind

    def invitation_of(self, side: SellerWorld) -> Invitation:
        return side.seller.invitations.get()

    def template_of(self, side: SellerWorld) -> QuoteTemplate:
        # Who may write makes others.
        return side.seller.quote_templates.earliest("pk")

    def mine(self, actor: str) -> dict[str, Order]:
        return self.foreign if actor == "other_admin" else self.own

    def theirs(self, actor: str) -> dict[str, Order]:
        return self.own if actor == "other_admin" else self.foreign


def build(world: World, statuses: tuple[str, ...] = tuple(OrderStatus)) -> Scene:
    """Orders of both sellers in each status; those of Northwind carry the canary wherever a seller can write."""
    northwind = world.northwind
    few_reasons()
    canaries = dress(northwind)
    own = {status: order_in(status, world) for status in statuses}
    foreign = {}
    for status in statuses:
        order = order_in(status, world, at=northwind)
        lifecycle.add_note(order, f"{CANARY} note", by=northwind.manager)
        foreign[status] = again(order)
    Incident.objects.create(kind="test", order=foreign[statuses[0]], detail=f"{CANARY} incident", at=clock.now())
    former = User.objects.create_user("former@harbour.example", None, name="Fred Former")
    world.harbour.seller.memberships.create(user=former, role="admin", is_active=False)
    for side, order, name in ((world.harbour, own[statuses[0]], "Usual"), (northwind, foreign[statuses[0]], f"{CANARY} template")):
        quote_templates.save_as_template(order, name, by=side.manager)
    for side, link in ((world.harbour, LINK), (northwind, "link-of-the-other")):
        invitation, _ = people.invite(
            side.seller, f"new@{CANARY.lower() if side is northwind else 'harbour'}.example", "viewer", by=side.admin
        )
        Invitation.objects.filter(pk=invitation.pk).update(token_sha256=secrets.digest(link))
    return Scene(world, own, foreign, former, (*canaries, *(order.number for order in foreign.values())))


def dress(seller: SellerWorld) -> tuple[str, ...]:
    """Give everything that the seller wrote a string that nothing else has; returns all such strings."""
    customer = seller.customer
    Customer.objects.filter(pk=customer.pk).update(
        name=f"{CANARY} Ltd", contact_first_name=f"{CANARY} first", contact_last_name=f"{CANARY} last", contact_email="hidden@kanarie.example",
        address_line1=f"{CANARY} street", city=f"{CANARY} city",
    )  # fmt: skip
    customer.refresh_from_db()
    type(seller.seller).objects.filter(pk=seller.seller.pk).update(name=f"{CANARY} reseller")
    people = [person.email for person in (seller.admin, seller.manager, seller.viewer)]
    names = [person.name for person in (seller.admin, seller.manager, seller.viewer)]
    codes = [customer.code, seller.other_customer.code, customer.domain, seller.other_customer.domain, seller.seller.code]
    return (CANARY, "kanarie", *people, *names, *codes)
