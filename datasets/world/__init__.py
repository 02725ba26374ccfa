"""The text side of the synthetic walls: fictional shops, what their adverts say, and the texts that are no adverts.

Everything is invented and seeded: the same seed gives the same texts on every machine.
"""

from .shops import STYLES, AdvertSettings, AdvertText, Shop, World
from .spelling import EVASIONS, WORD, LineText, disguise, paint
from .texts import DISTRACTORS, DistractorText

__all__ = [
    "DISTRACTORS",
    "EVASIONS",
    "STYLES",
    "WORD",
    "AdvertSettings",
    "AdvertText",
    "DistractorText",
    "LineText",
    "Shop",
    "World",
    "disguise",
    "paint",
]
