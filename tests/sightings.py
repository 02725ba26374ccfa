"""Worlds of sightings for tests: one contact or two on walls near and far, with and without a place. All are invented."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st

from tagtrace.contract import Char, Identifier, IdentifierKind, Reading
from tagtrace.linking.book import Book
from tagtrace.linking.clusters import Overpaint, Rule, Sighting, place
from tagtrace.linking.features import DESCRIPTOR_BYTES, AdvertFeatures
from tagtrace.linking.readings import confusion_network
from tagtrace.linking.sightings import Key
from tagtrace.linking.wording import Spelt, spelt
from tagtrace.models.alphabet import ALPHABET

ALMATY = (43.2, 76.9)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def east(metres: float, start: tuple[float, float] = ALMATY) -> tuple[float, float]:
    return start[0], start[1] + metres / (111_195 * math.cos(math.radians(start[0])))


def identifier(value: str, confidence: float = 0.9, alternatives: tuple[tuple[str, float], ...] = ()) -> Identifier:
    return Identifier(IdentifierKind.TELEGRAM, value, value, confidence, alternatives)


def sighting(photo: str, *values: str, at: tuple[float, float] | None = ALMATY, advert: int = 0, **more: object) -> Sighting:
    lat, lon = at or (None, None)
    more.setdefault("identifiers", tuple(identifier(value) for value in values))
    return Sighting(photo, advert, lat=lat, lon=lon, **more)


def reading(text: str, doubts: dict[int, dict[str, float]] | None = None) -> Reading:
    """A line read surely, but for characters (by place) that may be others with these probabilities."""
    chars = []
    for place_, char in enumerate(text):
        others = tuple((doubts or {}).get(place_, {}).items())
        chars.append(Char(char, 0.9999 - sum(share for _, share in others), others))
    return Reading(text, 0.9, (), tuple(chars), confusion_network(chars, ALPHABET), ALPHABET)


@lru_cache
def words(value: str, blurred: bool) -> tuple[Spelt, ...]:
    """A line ``@value``; where it is blurred, every digit may be another."""
    digits = {place_: {"1": 0.3, "2": 0.3} for place_, char in enumerate(f"@{value}") if char.isdigit()} if blurred else {}
    doubts = {place_: {c: share for c, share in found.items() if c != f"@{value}"[place_]} for place_, found in digits.items()}
    return spelt([reading(f"@{value}", doubts)])


@lru_cache
def pictured(wall: int) -> AdvertFeatures:
    """An inscription on the wall of this number: the same features wherever it is seen."""
    rng = np.random.default_rng(wall)
    points = rng.uniform(0, 400, (80, 2)).astype(np.float32)
    quad = ((0.0, 0.0), (200.0, 0.0), (200.0, 200.0), (0.0, 200.0))
    return AdvertFeatures(
        points, rng.integers(0, 256, (80, DESCRIPTOR_BYTES), np.uint8), 400, 400, (60.0, 60.0, 340.0, 340.0), quad
    )


SPOTS = [None, None, ALMATY, east(30), east(55), east(100), east(5000), east(5050)]
VALUES = ["umit1", "um1t1", "umit2", "berkut", "umit_snow1", "umit_snow2"]
BOXES = [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)]
HASHES = [None, None, None, 0b1, 0b111, 0b1111 << 40]


def random_sighting(rng: random.Random, photo: str, advert: int) -> Sighting:
    """A sighting whose photo has one hash and one time whichever advert is asked for."""
    own = random.Random(f"{photo}/{rng.random() if rng.random() < 0.1 else 0}")
    picture_hash, day = own.choice(HASHES), own.randrange(20)
    values = rng.sample(VALUES, rng.choice([0, 1, 1, 1, 2]))
    clear, seen = rng.random() < 0.6, rng.random() < 0.5
    return sighting(
        photo,
        at=rng.choice(SPOTS),
        advert=advert,
        picture_hash=picture_hash,
        box=BOXES[advert],
        taken_at=NOON + timedelta(days=day),
        overpaint=rng.choice([None, None, *Overpaint]),
        identifiers=tuple(identifier(value, 0.9 if clear else 0.4) for value in values),
        words=tuple(word for value in values for word in words(value, not clear)) if seen else (),
        features=pictured(rng.randrange(3)) if rng.random() < 0.5 else None,
    )


def random_world(rng: random.Random, most: int = 14) -> list[Sighting]:
    """Up to so many sightings with distinct keys."""
    photos = [f"{letter}{'0' * 11}" for letter in "abcdefghijklmnop"]
    keys = sorted({(rng.choice(photos), rng.choice([0, 0, 0, 1])) for _ in range(rng.randrange(most + 1))})
    hashes = {photo: random.Random(photo + str(rng.random())).choice(HASHES) for photo in photos}
    made = [random_sighting(rng, *key) for key in keys]
    return [replace(item, picture_hash=hashes[item.photo]) for item in made]


def partition_of(book: Book, world: list[Sighting]) -> set[frozenset[Key]]:
    """Which sightings of a world are together in a book."""
    found: dict[str | None, set[Key]] = {}
    for item in world:
        found.setdefault(book.cluster_of(item.key), set()).add(item.key)
    assert None not in found
    return {frozenset(keys) for keys in found.values()}


def placed(world: list[Sighting], rules: list[Rule]) -> set[frozenset[Key]]:
    """Which sightings of a world are together when they are placed all at once."""
    found: dict[str, set[Key]] = {}
    for item, made in zip(world, place(world, rules=rules), strict=True):
        found.setdefault(made.cluster, set()).add(item.key)
    return {frozenset(keys) for keys in found.values()}


RANDOMS = st.randoms(use_true_random=False)
