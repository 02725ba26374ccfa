"""A list of known shops that is as large, and as full of like names, as one that people keep: more than the walls show."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ...contract import IdentifierKind, Resource
from .names import sibling, valid_handle
from .register import make_register
from .shops import World
from .slips import near_miss

_STREAM = 32
"""Tells the random numbers of a list from others of the same seed."""


CLONED = (
    IdentifierKind.TELEGRAM,
    IdentifierKind.TELEGRAM_INVITE,
    IdentifierKind.INSTAGRAM,
    IdentifierKind.PHONE,
    IdentifierKind.WHATSAPP,
)
"""Kinds of which another character makes another contact; others have a checksum or a grammar that it would break."""


@dataclass(frozen=True, slots=True)
class ListingSettings:
    """What stands in a list of known shops besides the contacts of the world's own; shares are probabilities."""

    further: float = 0.6
    """Another, like name of the same shop for a Telegram name that is listed."""
    clone: float = 0.15
    """A stranger's contact that is one slip of the eye away from one of the world's shops, listed or not."""


def make_listing(
    world: World,
    contacts: int,
    seed: int,
    painted: Collection[tuple[IdentifierKind, str]],
    settings: ListingSettings | None = None,
) -> list[Resource]:
    """The contacts of the world's known shops, like ones beside them, and those of other fictional shops up to ``contacts``.

    ``painted`` are the contacts on the walls: one that is not its shop's listed one is given to nobody, so that the truth of the
    walls stays what it is. Nothing is listed twice. The same world, seed and size give the same list.
    """
    settings = settings or ListingSettings()
    rng = np.random.default_rng([seed, _STREAM])
    listed = [r for shop in world.shops if shop.registered for r in shop.resources]
    taken = {(r.kind, r.value) for shop in world.shops for r in shop.resources} | set(painted)
    beside: list[Resource] = []
    for shop in world.shops:
        for r in shop.resources:
            if shop.registered and r.kind is IdentifierKind.TELEGRAM and rng.random() < settings.further:
                beside.append(Resource(r.kind, sibling(rng, r.value, shop.stem), r.shop_id, r.shop_name, r.status))
            if r.kind in CLONED and rng.random() < settings.clone:
                value = near_miss(rng, r.kind, r.value)
                if r.kind is not IdentifierKind.TELEGRAM or valid_handle(value):
                    beside.append(Resource(r.kind, value, f"C{len(beside):05d}", "", "known"))
    for r in (*beside, *make_register(max(0, contacts - len(listed)), seed).resources()):
        if len(listed) >= contacts:
            break
        if (r.kind, r.value) not in taken:
            taken.add((r.kind, r.value))
            listed.append(r)
    return listed
