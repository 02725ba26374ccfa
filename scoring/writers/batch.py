"""What every writer is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...contract import Flag, Identifier, IdentifierKind, Link, Outcome
from ...linking.shops import Shops, advert_shop
from ..records import AdvertResult, PhotoResult
from ..settings import RunSettings


class Results(Protocol):
    """Results that can be counted, and gone over as often as is wanted."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[PhotoResult]: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """All results of a run in the order of their files, and what is needed to tell about them.

    ``results`` are gone over several times, and may lie on the disk: a writer holds no more of them than it has to. ``settings``
    are those that decided the results (in every record of ``results.jsonl``); ``crops`` is the folder with the adverts' pictures
    (see ``worker.crop_path``).
    """

    results: Results
    shops: Shops
    settings: Mapping[str, object]
    run: RunSettings
    crops: Path

    def shop_name(self, shop_id: str | None) -> str:
        """The name of a listed shop, or nothing."""
        return self.shops.names.get(shop_id or "", "")


def advert_text(advert: AdvertResult) -> str:
    """The lines of an advert in reading order, one below the other."""
    return "\n".join(line.reading.text for line in advert.advert.lines)


def advert_confidence(advert: AdvertResult) -> float:
    """How sure an advert is: its best identifier, or without any its best line."""
    sure = [identifier.confidence for identifier in advert.advert.identifiers if Flag.UNSURE not in identifier.flags]
    return max(sure or [min(line.confidence, line.reading.confidence) for line in advert.advert.lines] or [0.0])


def shop_of(advert: AdvertResult) -> str | None:
    """The shop an advert is linked to, or None."""
    return advert_shop(advert.links)


def linked(advert: AdvertResult) -> list[tuple[Identifier, Link]]:
    """The identifiers of an advert with their links."""
    return list(zip(advert.advert.identifiers, advert.links, strict=True))


def meant(identifier: Identifier, link: Link) -> tuple[IdentifierKind, str, float]:
    """Kind and value that most probably stand on the wall, and how probable that is: the listed ones of a link ``misread``."""
    if link.outcome is Outcome.MISREAD and link.resource is not None:
        return link.resource.kind, link.resource.value, link.probability
    return identifier.kind, identifier.value, identifier.confidence
