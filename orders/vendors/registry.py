"""Which connectors there are. A new vendor is a module here and a line below; README explains the steps."""

from orders.vendors.adobe import AdobeMarketplace
from orders.vendors.contract import Connector, Meanings
from orders.vendors.http import Login
from orders.vendors.manual import Manual
from orders.vendors.partner_center import CartPartnerCenter, PartnerCenter

_ALL: tuple[type[Connector], ...] = (PartnerCenter, CartPartnerCenter, AdobeMarketplace, Manual)
CONNECTORS: dict[str, type[Connector]] = {connector.slug: connector for connector in _ALL}
# Whose codes the failure catalogue may have words for: a vendor's entries may be written before its connector is.
DIALECTS = frozenset({connector.dialect for connector in _ALL} | {"adobe"})
# Of vendors whose orders staff place by hand.
WITHOUT_API = frozenset(slug for slug, connector in CONNECTORS.items() if not connector.capabilities.has_api)


def connect(slug: str, login: Login, meanings: Meanings) -> Connector:
    """A connector that speaks as `login`, which one without an API does not read. Raises KeyError for an unknown slug."""
    return CONNECTORS[slug](login, meanings)
