"""Help for tests of the review desk: a running application with invented adverts, photos and people."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import service_desk
from PIL import Image, ImageDraw

from tagtrace.contract import (
    Advert,
    Analysis,
    Band,
    Char,
    Evidence,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    ModelInfo,
    Outcome,
    Reading,
    Resource,
)
from tagtrace.linking.explain import words_of
from tagtrace.linking.features import extract_features
from tagtrace.linking.sentences import say
from tagtrace.linking.sightings import Sighting
from tagtrace.linking.store import Store, resources, shops
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.clusters import put_sightings
from tagtrace.linking.store.photos import PhotoFiles

TELEGRAM = IdentifierKind.TELEGRAM
LISTED = Resource(TELEGRAM, "tulpar_kz1", "S1", "Тұлпар")
BOX = ((60.0, 60.0), (440.0, 70.0), (438.0, 130.0), (58.0, 120.0))
HOSTILE = "<script>alert(1)</script>\"'><img src=x>"


class Put(NamedTuple):
    """One advert of the sample."""

    text: str
    value: str
    outcome: Outcome
    place: float
    """Degrees east of 71.4: the same for photos of one wall."""
    days: int = 0
    name: str = "wall.jpg"


SAMPLE = (
    Put("@sunkar_shop7", "sunkar_shop7", Outcome.NEW, 0.0),
    Put("@sunkar_shop7", "sunkar_shop7", Outcome.NEW, 0.0, days=9),
    Put("@tulpar_kz2", "tulpar_kz2", Outcome.SIBLING, 0.1, days=20),
    Put("@tulpar_kz1", "tulpar_kz1", Outcome.SAME, 0.2, days=40, name=HOSTILE),
    Put("@tulpar_kz1", "tulpar_kz1", Outcome.SAME, 0.3, days=41),
)


def picture(text: str, seed: int) -> Image.Image:
    """A plain wall with a text, different for each seed."""
    made = Image.new("RGB", (500, 260), (150 + 7 * seed, 140, 120 + 5 * seed))
    draw = ImageDraw.Draw(made)
    for x in range(0, 500, 50):
        draw.line((x, 0, x + 3 * seed, 260), fill=(120, 110, 100))
    draw.text((80, 80), text, fill=(20, 20, 30), font_size=40)
    return made


def analysis(put: Put, sha256: str) -> tuple[Analysis, Link]:
    """What the machine would say of it; the last character is in doubt."""
    last = put.text[-1]
    chars = [Char(c, 0.99) for c in put.text[:-1]] + [Char(last, 0.6, (("l" if last == "1" else "Z", 0.3), ("I", 0.05)))]
    line = Line(BOX, 0.9, Reading(put.text, 0.93, chars=tuple(chars)))
    item = Identifier(TELEGRAM, put.value, put.text, 0.93, lines=(0,))
    found = Analysis(
        put.name,
        sha256,
        500,
        260,
        (Advert(BOX, (line,), (), (item,)),),
        models=(ModelInfo("recogniser", "invented", "0" * 64),),
        taken_at=datetime(2026, 7, 1, 8, tzinfo=UTC) + timedelta(days=put.days),
        lat=51.1,
        lon=71.4 + put.place,
    )
    if put.outcome is Outcome.NEW:
        return found, Link(Outcome.NEW, 0.9)
    band = Band.AUTOMATIC if put.outcome is Outcome.SAME else Band.REVIEW
    steps = (
        Evidence("listed", 3.0, say("listed")),
        Evidence("reading", -0.5, say("fits_worse", resource=words_of(LISTED), nats="0.5")),
        Evidence("limit", -0.1, "; ".join((say("limit", nats="5"), say("limit_share", share="40%")))),
    )
    return found, Link(put.outcome, 0.92, "S1", LISTED, evidence=steps, band=band)


def fill(store: Store, photos: PhotoFiles, sample: tuple[Put, ...] = SAMPLE) -> list[str]:
    """Put the sample into a store; gives the names of its adverts, in order."""

    def listed(session: Any) -> None:
        shops.create(session, "S1", "Тұлпар")
        resources.register(session, [(TELEGRAM, "tulpar_kz1")], "list")
        shops.assign(session, (TELEGRAM, "tulpar_kz1"), "S1", "list")

    store.write(listed, "tests")
    names = []
    for seed, put in enumerate(sample):
        buffer = io.BytesIO()
        made = picture(put.text, seed)
        made.save(buffer, "PNG")
        sha256 = photos.put(buffer.getvalue())
        assert sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()
        found, link = analysis(put, sha256)
        store.write(lambda session, f=found, n=link: put_analysis(session, f, [[n]]), "tests")
        features = extract_features(np.asarray(made, np.uint8), BOX)
        seen = Sighting(
            sha256, 0, found.adverts[0].identifiers, shop_id=link.shop_id, lat=found.lat, lon=found.lon,
            taken_at=found.taken_at, features=features,
        )  # fmt: skip
        put_sightings(store, [seen], at=datetime.now(UTC), actor="tests")
        names.append(f"{sha256}-0")
    return names


@contextmanager
def filled_desk(store_url: str, photos: Path, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """The application with the sample in it: the desk of ``service_desk``, and the names of the adverts."""
    with service_desk.desk(store_url, photos, **settings) as desk:
        yield desk, fill(desk.store, PhotoFiles(photos))
