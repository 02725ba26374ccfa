"""What is measured of analyses: how long their stages take, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterator

from ...contract import Analysis
from ...linking.store.measures import Observation

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
STAGE, READING, IDENTIFIER, OUTCOME = "stage_seconds", "reading_confidence", "identifier_confidence", "photo_outcome"


def of_analysis(analysis: Analysis) -> Iterator[Observation]:
    """The observations that one analysis gives."""
    outcome = "adverts" if analysis.adverts else "none"
    if analysis.failure is not None:
        outcome = str(analysis.failure.code)
    yield Observation(OUTCOME, outcome, 1.0, (1.0,))
    yield Observation(STAGE, "all", analysis.seconds, SECONDS)
    for name, seconds in analysis.stages:
        yield Observation(STAGE, name, seconds, SECONDS)
    for advert in analysis.adverts:
        for line in advert.lines:
            yield Observation(READING, "line", line.reading.confidence, SHARES)
        for item in advert.identifiers:
            yield Observation(IDENTIFIER, str(item.kind), item.confidence, SHARES)
