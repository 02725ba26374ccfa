"""Links whose truth is known: contacts of fictional shops painted on walls, read, and linked to registers that list them or not.

Line crops come from the generator (``datasets.synth.lines``), with the contacts of a world's shops instead of free lines, and are
kept as shards: when the recogniser changes they are only read again. Each round draws a register that knows some of the shops,
with some of their contacts and further ones beside them. So a contact is listed itself, or only others of its shop are, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..contract import Advert, Identifier, IdentifierKind, Image, Line, Link, Outcome, Reading, Recogniser, Resource
from ..datasets.lineshards import LineShards, LineShardWriter
from ..datasets.synth.lines import LineCrop, LineSettings, line_crops
from ..datasets.synth.run import stage
from ..datasets.world import LineText, Shop, World
from ..datasets.world.names import sibling
from ..datasets.world.slips import near_miss
from ..inference.identifiers import ExtractSettings, extract_advert
from ..linking.explain import LinkSettings, links_exactly
from ..linking.shops import Shops, link

_TRIES = 1000


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """How crops and registers are drawn; shares are probabilities."""

    crops: int = 600
    """Line crops per split."""
    rounds: int = 4
    """Registers that every crop is linked to."""
    shop_listed: float = 0.7
    """A register knows a shop at all …"""
    contact_listed: float = 0.6
    """… and one contact of a shop that it knows."""
    further: float = 0.6
    """It knows another, like name of the same shop for a Telegram contact that it knows …"""
    clone: float = 0.15
    """… and a contact of a stranger that is one slip away from one that the crops show, listed itself or not."""


@dataclass(frozen=True, slots=True)
class Case:
    """One link: what it said, its log-odds before calibration in nats, and whether it was right (see ``is_right``)."""

    outcome: Outcome
    log_odds: float
    right: bool


@dataclass(frozen=True, slots=True, eq=False)
class ReadLine:
    """A crop as it was read, and what it shows: the contact and its shop."""

    reading: Reading
    kind: IdentifierKind
    value: str
    shop_id: str


class ContactWorld(World):
    """A world whose free lines are contacts of its shops, each on one line; ``owners`` says whose the contacts drawn are."""

    def __init__(self, seed: int, split: str) -> None:
        super().__init__(seed, split)
        self.owners: dict[tuple[str, str], str] = {}

    def free_line(self, rng: np.random.Generator) -> LineText:
        """A contact of a shop that fits on one line and whose value no checksum confirms."""
        for _ in range(_TRIES):
            shop = self.shops[int(rng.integers(len(self.shops)))]
            resource = self._resource(rng, shop)
            if links_exactly(Identifier(resource.kind, resource.value, "", 1.0)):
                continue
            painted = self._painted(rng, resource)
            if len(painted) == 1:
                self.owners[painted[0].kind, painted[0].canonical] = shop.shop_id
                return painted[0]
        raise AssertionError("some contact of a world fits on one line")


def make_crops(folder: Path, split: str, seed: int, count: int, on_progress: Callable[[int], None] | None = None) -> LineShards:
    """Line crops of a split with their contacts in ``folder``; those that lie there from an earlier run are taken as they are."""
    made = folder.is_dir() and any(folder.glob("shard-*.jsonl"))
    if not made:
        world = ContactWorld(seed, split)
        _, fonts, _ = stage(seed, split, (), ())
        rng = np.random.default_rng([seed, 31])
        crops: Iterator[LineCrop] = line_crops(rng, world, fonts, LineSettings())
        with LineShardWriter(folder, shard_crops=count) as writer:
            for done, crop in enumerate(islice(crops, count), 1):
                text = crop.text
                writer.add(
                    crop.picture,
                    text.text,
                    height_px=round(crop.height_px, 1),
                    style=crop.style,
                    kind=text.kind,
                    value=text.canonical,
                    shop=world.owners[text.kind, text.canonical],
                )
                if on_progress is not None:
                    on_progress(done)
    return LineShards(folder)


def read_crops(shards: LineShards, recogniser: Recogniser, batch: int = 32) -> list[ReadLine]:
    """Every crop with its reading."""
    out = []
    for start in range(0, len(shards.rows), batch):
        numbers = range(start, min(start + batch, len(shards.rows)))
        pictures: list[Image] = [shards[number][0] for number in numbers]
        for number, reading in zip(numbers, recogniser.read(pictures), strict=True):
            row = shards.rows[number]
            out.append(ReadLine(reading, IdentifierKind(row["kind"]), row["value"], row["shop"]))
    return out


def draw_register(rng: np.random.Generator, shops: Sequence[Shop], lines: Sequence[ReadLine], settings: DrawSettings) -> Shops:
    """A register that knows a part of the shops and of their contacts, those on the crops among them."""
    contacts: dict[str, set[tuple[IdentifierKind, str]]] = {shop.shop_id: set() for shop in shops}
    for shop in shops:
        contacts[shop.shop_id].update((resource.kind, resource.value) for resource in shop.resources)
    for line in lines:
        contacts[line.shop_id].add((line.kind, line.value))
    listed: list[Resource] = []
    for number, line in enumerate(lines):
        if rng.random() < settings.clone:
            listed.append(Resource(line.kind, near_miss(rng, line.kind, line.value), f"STRANGER{number:04d}"))
    for shop in shops:
        if rng.random() >= settings.shop_listed:
            continue
        for kind, value in sorted(contacts[shop.shop_id]):
            if rng.random() < settings.contact_listed:
                listed.append(Resource(kind, value, shop.shop_id, shop.name))
                if kind is IdentifierKind.TELEGRAM and rng.random() < settings.further:
                    further = sibling(rng, value, shop.stem)
                    if (kind, further) not in contacts[shop.shop_id]:
                        listed.append(Resource(kind, further, shop.shop_id, shop.name))
    taken = {key for known in contacts.values() for key in known}
    return Shops(resource for resource in listed if resource.shop_id in contacts or (resource.kind, resource.value) not in taken)


def link_lines(lines: Sequence[ReadLine], shops: Shops, settings: LinkSettings, extract: ExtractSettings) -> list[Case]:
    """One case per line in which a contact of the right kind was found and linked."""
    quad = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))
    cases = []
    for line in lines:
        read = (Line(quad, 1.0, line.reading),)
        advert = Advert(quad, read, identifiers=extract_advert(read, settings=extract))
        for identifier in advert.identifiers:
            if identifier.kind is line.kind:
                found = link(identifier, shops, settings, advert=advert)
                if found.evidence:
                    log_odds = sum(step.nats for step in found.evidence[:-1])
                    cases.append(Case(found.outcome, log_odds, is_right(found, line, shops)))
    return cases


def is_right(found: Link, line: ReadLine, shops: Shops) -> bool:
    """Whether a link is true of what the wall shows.

    ``same`` and ``misread``: it is that resource. ``sibling``: the contact is not listed and its shop is that one. ``new``: the
    contact is not listed (whether its shop has other contacts in the list, a name alone need not tell).
    """
    listed = bool(shops.exact(line.kind, line.value))
    if found.outcome is Outcome.NEW:
        return not listed
    if found.outcome is Outcome.SIBLING:
        return not listed and found.shop_id == line.shop_id
    return found.resource is not None and (found.resource.kind, found.resource.value) == (line.kind, line.value)
