"""One stencil on several walls: known as one, and never one advert. All contacts are invented."""

from __future__ import annotations

import random
from dataclasses import replace

import cv2
import numpy as np

from tagtrace.contract import Identifier, IdentifierKind
from tagtrace.linking.clusters import Sighting, place
from tagtrace.linking.features import extract_features
from tagtrace.linking.stencils import stencils


def sprayed(photo: str, text: str, wall: int, lat: float) -> Sighting:
    """An advert in two rows, on a wall of its own."""
    rng = np.random.default_rng(wall)
    picture = cv2.resize(rng.integers(130, 170, (60, 90, 3), dtype=np.uint8), (900, 600), interpolation=cv2.INTER_CUBIC)
    for row, part in enumerate((text[:6], text[6:])):
        cv2.putText(picture, part, (130, 270 + 130 * row), cv2.FONT_HERSHEY_SIMPLEX, 4.0, (15, 15, 15), 14, cv2.LINE_AA)
    quad = ((110.0, 150.0), (790.0, 150.0), (790.0, 440.0), (110.0, 440.0))
    contact = Identifier(IdentifierKind.TELEGRAM, text, text, 0.9)
    return Sighting(photo, 0, (contact,), lat=lat, lon=76.9, features=extract_features(picture, quad))


def test_one_stencil_on_two_walls_is_two_adverts() -> None:
    world = [
        sprayed("a", "umit_kz24bot", 1, 43.20),
        sprayed("b", "umit_kz24bot", 2, 43.25),
        replace(sprayed("c", "umit_kz24bot", 3, 43.30), features=None),
        sprayed("d", "berkut_almat", 4, 43.35),
    ]
    clusters = [placement.cluster for placement in place(world)]
    assert len(set(clusters)) == 4
    found = stencils(world, clusters)
    assert found[0] == found[1] != "" and found[2] == found[3] == ""
    order = random.Random(1).sample(range(4), 4)
    assert stencils([world[i] for i in order], [clusters[i] for i in order]) == [found[i] for i in order]
