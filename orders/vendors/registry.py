"""Which connectors there are. A new vendor is a module here and a line below; README explains the steps."""

from orders.vendors import partner_center
from orders.vendors.contract import Connector
from orders.vendors.http import Login

CONNECTORS: dict[str, type[partner_center.PartnerCenter]] = {
    partner_center.PartnerCenter.slug: partner_center.PartnerCenter,
    partner_center.CartPartnerCenter.slug: partner_center.CartPartnerCenter,
}


def connect(slug: str, login: Login) -> Connector:
    """A connector that is logged in as `login`. Raises KeyError for an unknown slug."""
    return CONNECTORS[slug](login)
