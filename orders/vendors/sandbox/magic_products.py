"""Products whose orders end in a known way, as card sandboxes have magic numbers.

`SBX…` are this vendor's own; `DG7GMGF0D7FV` and `DG7GMGF0D7FT` are the two that Partner Center's own sandbox reacts to.
Each of those that decide an order's fate gets a vendor order of its own, so that the other lines of a cart are not touched.
"""

from dataclasses import dataclass

COMPLETES, SLOW, REVIEWED, REFUSED_GROUP = "SBXOK000", "SBXSLOW0", "SBXREV00", "SBXPART0"
FAILS, PARTIAL, STRANGE_STATUS = "SBXERR00", "SBXPSUC0", "SBXUNK00"
STALE_ONCE, ATTESTATION, ADD_ON, WITHDRAWN_WITH_200 = "SBXNOAV0", "SBXATT00", "SBXADD00", "SBXLATE0"
DOCUMENT = ("DG7GMGF0D7FV", "DG7GMGF0D7FT")

MINUTE, DAY = 60.0, 86_400.0


@dataclass(frozen=True)
class Fate:
    """How an order of this product goes: how long, what it is called meanwhile, and how it ends."""

    seconds: float | None = None
    """None: as long as any other order."""
    meanwhile: str = "pending"
    ends: str = "completed"
    waits_for_document: bool = False


def fate_of(product: str, quantity: int) -> Fate | None:
    """The fate of a product's order, or None for a product like any other."""
    if product == REVIEWED:
        return Fate(MINUTE, "pending_review", "completed" if quantity % 2 == 0 else "po_review_rejected")
    if product in DOCUMENT:
        return Fate(waits_for_document=True)
    fates = {
        COMPLETES: Fate(MINUTE),
        SLOW: Fate(DAY),
        FAILS: Fate(ends="error"),
        PARTIAL: Fate(ends="partial_success"),
        STRANGE_STATUS: Fate(ends="quantum_flux"),
    }
    return fates.get(product)


def product_of(catalog_item_id: str) -> str:
    return catalog_item_id.partition(":")[0]


def has_own_order(product: str) -> bool:
    """A partial success needs other lines beside it; every other fate is its own order's alone."""
    return product == REFUSED_GROUP or (product != PARTIAL and fate_of(product, 1) is not None)
