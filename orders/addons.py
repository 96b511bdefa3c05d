"""Add-ons and their bases: which line of an order stands under which (product.md section 4, the ordering screen)."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet


def base_of(offers: Sequence[int], bases: Sequence[AbstractSet[int]]) -> list[int | None]:
    """For each line the index of the line that it belongs under: the first one of an offer that its offer needs."""
    return [next((index for index, offer in enumerate(offers) if offer in needed), None) for needed in bases]


def in_order(base: Sequence[int | None]) -> list[int]:
    """The lines' indexes so that each add-on follows its base, and all else stays as it was."""
    under: dict[int | None, list[int]] = {}
    for index, above in enumerate(base):
        under.setdefault(above, []).append(index)
    found: list[int] = []

    def add(above: int | None) -> None:
        for index in under.pop(above, []):
            found.append(index)
            add(index)

    add(None)
    # Offers that need each other stand under none; they are not lost.
    return found + sorted(set(range(len(base))) - set(found))
