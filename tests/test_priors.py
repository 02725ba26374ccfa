"""Earlier sightings as evidence: bounded, explained, from real stores, never above a clear reading. Names are invented."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from tagtrace.contract import (
    Advert,
    Analysis,
    Code,
    Flag,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    LogProbs,
    ModelInfo,
    Outcome,
    Reading,
    Resource,
)
from tagtrace.inference.identifiers import ExtractSettings, extract_advert
from tagtrace.linking.clusters import ClusterSettings
from tagtrace.linking.priors import (
    LIMIT,
    STEPS,
    EarlierSighting,
    Memory,
    PriorSettings,
    Seen,
    View,
    count,
    prior_share,
    prior_steps,
)
from tagtrace.linking.shops import LinkSettings, Shops, link, link_advert
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.linking.store.priors import load_memory
from tagtrace.models.alphabet import ALPHABET
from tagtrace.models.ctc import beam_search, best_path
from tagtrace.scoring.past import StorePast
from tagtrace.scoring.placing import place_all, sighting_of
from tagtrace.scoring.records import PhotoResult
from tagtrace.scoring.storing import keep, link_again, register_of

K = IdentifierKind
QUAD = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))
BELOW = ((0.0, 30.0), (100.0, 30.0), (100.0, 50.0), (0.0, 50.0))
ALMATY, ASTANA = (43.2400, 76.9000), (51.1300, 71.4300)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRIORS, RAW = PriorSettings(), LinkSettings(calibrated=False)
MODELS = (ModelInfo("recognise", "r1", "1" * 64),)


class Everywhere:
    """The strongest earlier sightings that there can be, for everything that is listed or for one value."""

    def __init__(self, value: str = "") -> None:
        self.value = value

    def seen(self, resource: Resource) -> Seen:
        """As if it stood on every wall."""
        return Seen(10**9, 10**9, 10**9, True, True) if self.value in ("", resource.value) else Seen()


def log_probs(text: str, doubts: dict[int, dict[str, float]] | None = None) -> LogProbs:
    """Log-probabilities of a picture that shows ``text``; ``doubts`` are other characters at a place."""
    table = np.full((2 * len(text) + 1, len(ALPHABET) + 1), 1e-6)
    table[0::2, 0] = 1.0
    for place, char in enumerate(text):
        others = (doubts or {}).get(place, {})
        table[2 * place + 1, ALPHABET.index(char) + 1] = 0.98 - sum(others.values())
        for other, probability in others.items():
            table[2 * place + 1, ALPHABET.index(other) + 1] = probability
    return np.log(np.maximum(table, 1e-9) / table.sum(1, keepdims=True)).astype(np.float32)


def line(text: str, doubts: dict[int, dict[str, float]] | None = None, quad: object = QUAD) -> Line:
    table = log_probs(text, doubts)
    hypotheses, chars = beam_search(table, ALPHABET), best_path(table, ALPHABET)
    sure = math.exp(sum(math.log(char.confidence) for char in chars) / len(chars))
    return Line(quad, 0.9, Reading(hypotheses[0].text, sure, hypotheses, chars, table, ALPHABET))  # type: ignore[arg-type]


def advert(*lines: Line, codes: tuple[Code, ...] = ()) -> Advert:
    return Advert(QUAD, lines, codes, extract_advert(lines, codes, ExtractSettings(unsure_from=0.2)))


def shops(*rows: tuple[str, str]) -> Shops:
    strangers = [Resource(K.TELEGRAM, f"{word}_kz", f"Z{word}") for word in ("berkut", "samruk", "zhuldyz", "altyn", "dombra")]
    return Shops([*strangers, *(Resource(K.TELEGRAM, value, shop) for shop, value in rows)])


def said(links: tuple[Link, ...]) -> list[tuple[Outcome, str | None]]:
    return [(found.outcome, None if found.resource is None else found.resource.value) for found in links]


# --- the numbers ---

COUNTS = st.integers(0, 10**6)


@settings(max_examples=100, deadline=None)
@given(COUNTS, COUNTS, COUNTS, st.booleans(), st.booleans(), st.floats(0, 1))
def test_they_weigh_no_more_than_the_limit_and_say_why(a: int, b: int, c: int, same: bool, code: bool, share: float) -> None:
    total, near, lately = max(a, b, c), b, c
    steps = prior_steps(Seen(total, near, lately, same, code), share, PRIORS)
    weight = math.fsum(step.nats for step in steps)
    assert -1e-9 <= weight <= PRIORS.most_nats * share + 1e-9
    assert all(step.text and step.name in (*STEPS, LIMIT) for step in steps)
    more = math.fsum(step.nats for step in prior_steps(Seen(total + 1, near + 1, lately + 1, True, True), share, PRIORS))
    assert more >= weight - 1e-9


def test_each_step_tells_its_reason() -> None:
    steps = prior_steps(Seen(3, 1, 0, same_code=True), 1.0, PRIORS)
    assert [(step.name, step.text) for step in steps] == [
        ("seen", "seen on 3 other walls"),
        ("nearby", "1 of them nearby"),
        ("same code", "seen with the same code before"),
    ]
    assert prior_steps(Seen(), 1.0, PRIORS) == () == prior_steps(Seen(9, 9, 9), 0.0, PRIORS)


def test_they_fade_with_the_doubt() -> None:
    shares = [prior_share(doubt, True, PRIORS) for doubt in (2.0, 0.0, -1.0, -2.0, -3.0, -30.0)]
    assert shares[0] == shares[1] == 1.0 and shares == sorted(shares, reverse=True) and shares[4] == shares[5] == 0.0
    assert prior_share(0.0, False, PRIORS) == 0.0


def test_walls_are_counted_and_not_photos() -> None:
    day = timedelta(days=1)
    earlier = [
        EarlierSighting("a1", "wall a", *ALMATY, NOON),
        EarlierSighting("a2", "wall a", *ALMATY, NOON),
        EarlierSighting("b1", "wall b", ALMATY[0] + 0.003, ALMATY[1], NOON - 400 * day),
        EarlierSighting("c1", "wall c", *ASTANA, NOON + 20 * day),
        EarlierSighting("d1"),
        EarlierSighting("e1", "own", *ALMATY, NOON),
    ]
    view = View("me", "own", *ALMATY, NOON + 10 * day)
    assert count(earlier, view, PRIORS) == Seen(4, 2, 2, same_cluster=True)
    # The photo itself says nothing, nor does a place or a time that nobody knows.
    assert not count(earlier, replace(view, photo="e1"), PRIORS).same_cluster
    assert count(earlier, replace(view, lat=None, lon=None, at=None), PRIORS) == Seen(4, 0, 0, same_cluster=True)
    for seed in range(5):
        assert count(random.Random(seed).sample(earlier, len(earlier)), view, PRIORS) == count(earlier, view, PRIORS)


# --- what a clear reading says stands ---


@settings(max_examples=80, deadline=None)
@given(st.floats(0.0, 0.45), st.sampled_from("0123456789"), st.sampled_from("0123456789"), st.booleans())
def test_a_rotated_number_is_never_outvoted(doubt: float, shown: str, listed: str, also_listed: bool) -> None:
    """Whichever number the wall shows, surely or not: that its sibling is on every wall changes nothing."""
    assume(shown != listed)
    rows = [("A", f"tulpar_kz{listed}"), *([("A", f"tulpar_kz{shown}")] if also_listed else [])]
    wall = advert(line(f"@tulpar_kz{shown}", {10: {listed: doubt}}))
    known = shops(*rows)
    assert said(link_advert(wall, known, RAW, Everywhere(f"tulpar_kz{listed}"))) == said(link_advert(wall, known, RAW))


@settings(max_examples=80, deadline=None)
@given(st.floats(0.0, 0.04), st.sampled_from("aeiouxyz"), st.sampled_from("aeiouxyz"), st.booleans())
def test_a_rotated_letter_that_was_read_clearly_is_never_outvoted(doubt: float, shown: str, listed: str, generic: bool) -> None:
    assume(shown != listed)
    stem = "kz_shop_" if generic else "tulparq"
    wall = advert(line(f"@{stem}{shown}", {len(stem) + 1: {listed: doubt}}))
    known = shops(("A", f"{stem}{listed}"))
    found = link_advert(wall, known, RAW, Everywhere())
    assert said(found) == said(link_advert(wall, known, RAW))


def test_where_numbers_are_in_doubt_even_what_was_read_gains_nothing() -> None:
    """The wall may show tulpar_kz2; that everybody knows tulpar_kz1 must not settle it."""
    wall = advert(line("@tulpar_kz1", {10: {"2": 0.4}}))
    plain = link_advert(wall, shops(("A", "tulpar_kz1")), RAW)
    assert link_advert(wall, shops(("A", "tulpar_kz1")), RAW, Everywhere()) == plain


def test_a_doubtful_letter_and_a_faint_known_name_gain() -> None:
    known = shops(("A", "qarashanyraq"))
    shown = line("@qarashanvraq", {9: {"y": 0.2}})
    wall = Advert(QUAD, (shown,), identifiers=(Identifier(K.TELEGRAM, "qarashanvraq", "@qarashanvraq", 0.75, lines=(0,)),))
    (plain,), (often,) = link_advert(wall, known, RAW), link_advert(wall, known, RAW, Everywhere())
    assert often.outcome is Outcome.MISREAD and often.probability > plain.probability
    faint = Identifier(K.TELEGRAM, "qarashanyraq", "@qarashanyraq", 0.3)
    assert link(faint, known, RAW, Everywhere()).probability > link(faint, known, RAW).probability
    words = [step.text for step in link(faint, known, RAW, Everywhere()).evidence]
    assert "another photo of this advert shows it" in words and "earlier sightings weigh 5 nats at most" in words


# --- what a store remembers ---


def photo(number: int, shown: Advert, at: tuple[float, float] | None = ALMATY, **more: object) -> Analysis:
    lat, lon = at or (None, None)
    return Analysis(f"{number}.jpg", f"{number:064x}", 200, 100, (shown,), None, MODELS, NOON, lat, lon, **more)  # type: ignore[arg-type]


def written(value: str, confidence: float = 0.9, codes: tuple[Code, ...] = (), flags: tuple[Flag, ...] = ()) -> Advert:
    return Advert(QUAD, (), codes, (Identifier(K.TELEGRAM, value, f"@{value}", confidence, flags=flags),))


def test_a_store_remembers_what_was_read(store: Store) -> None:
    code = Code("https://example.org/q", "QRCode", QUAD)
    analyses = [
        photo(1, written("umitsnow", codes=(code,))),
        photo(2, written("umitsnow"), ASTANA),
        photo(3, written("umitsnow", 0.4)),
        photo(4, written("umitsnow", flags=(Flag.UNSURE,))),
        photo(5, written("berkut_zone")),
    ]
    with store.begin() as session:
        for analysis in analyses:
            put_analysis(session, analysis)
        # An older look at a photo is forgotten when it was looked at again.
        again = replace(photo(5, written("umitsnow")), models=(ModelInfo("recognise", "r2", "2" * 64),))
        put_analysis(session, again)
    contact = (K.TELEGRAM, "umitsnow")
    resource = Resource(*contact, "B")
    with store.read() as session:
        memory = load_memory(session, [contact, (K.TELEGRAM, "berkut_zone")], [code.payload, "other"], PRIORS)
        without = load_memory(session, [contact], [code.payload], PRIORS, without=[f"{1:064x}"])
    view = View("me", "", *ALMATY, NOON, (code.payload,))
    assert memory.at(view).seen(resource) == Seen(3, 2, 3, same_code=True)
    assert memory.at(replace(view, codes=("other",))).seen(resource) == Seen(3, 2, 3)
    assert memory.at(view).seen(Resource(K.TELEGRAM, "berkut_zone", "E")) == Seen()
    assert without.at(view).seen(resource) == Seen(2, 1, 2)


def test_a_code_that_everybody_shows_tells_nothing() -> None:
    contacts = [(K.TELEGRAM, f"name{number}") for number in range(PRIORS.most_beside_code + 1)]
    beside = {"q": {contact: frozenset(("p",)) for contact in contacts}}
    view = View("me", codes=("q",))
    assert not Memory({}, beside).at(view).seen(Resource(*contacts[0], "A")).same_code
    few = {"q": dict(list(beside["q"].items())[:3])}
    assert Memory({}, few).at(view).seen(Resource(*contacts[0], "A")).same_code
    assert not Memory({}, few).at(replace(view, photo="p")).seen(Resource(*contacts[0], "A")).same_code


def test_the_store_is_asked_a_few_times_whatever_the_number_of_candidates(store: Store) -> None:
    asked: list[str] = []
    event.listen(store.engine, "after_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
    counts = []
    for number in (2, 2000):
        with store.read() as session:
            asked.clear()
            load_memory(session, [(K.TELEGRAM, f"name{n}") for n in range(number)], ["q"], PRIORS)
        counts.append(len([statement for statement in asked if statement.startswith("SELECT")]))
    assert counts[0] == counts[1] <= 2


# --- runs, one after the other ---


def run(store: Store, *analyses: Analysis) -> list[PhotoResult]:
    """What ``score --store`` does with analyses, from the register to what is kept."""
    past = StorePast(store, frozenset(analysis.sha256 for analysis in analyses), ClusterSettings())
    pairs = [(analysis, None) for analysis in analyses]
    results = place_all(pairs, register_of(store), LinkSettings(), ClusterSettings(), past=past)
    return keep(store, results, {}, ClusterSettings(), lambda _photo, _advert: None, NOON)


def listed(store: Store, tmp_path: Path, *rows: str) -> None:
    path = tmp_path / "shops.csv"
    path.write_text("\n".join(["shop_id,kind,value", *rows]) + "\n", "utf-8")
    import_shop_list(store, path)


def steps_of(result: PhotoResult) -> dict[str, str]:
    return {step.name: step.text for found in result.adverts for made in found.links for step in made.evidence}


def test_runs_learn_from_earlier_ones_and_not_from_themselves(store: Store, tmp_path: Path) -> None:
    listed(store, tmp_path, "B,telegram,umitsnow", "A,telegram,tulpar_kz1")
    walls = [photo(n, advert(line("@umitsnow")), (ALMATY[0] + 0.002 * n, ALMATY[1])) for n in range(1, 4)]
    assert all(not set(STEPS) & set(steps_of(result)) for result in run(store, *walls))
    after = photo(9, advert(line("@umitsnow")), (ALMATY[0], ALMATY[1] + 0.004))
    (first,) = run(store, after)
    assert steps_of(first)["seen"] == "seen on 3 other walls" and "3 of them nearby" in steps_of(first)["nearby"]
    # The same photo again counts for itself no more than before, and linking all again says the same of it.
    (again,) = run(store, after)
    assert [found.links for found in again.adverts] == [found.links for found in first.adverts]
    assert link_again(store).photos == 4 and link_again(store).changed == 0


def test_the_order_of_photos_in_a_run_does_not_matter(tmp_path: Path) -> None:
    said_by: list[dict[str, object]] = []
    for seed in range(3):
        with Store.open(str(tmp_path / f"{seed}.db")) as store:
            listed(store, tmp_path, "B,telegram,umitsnow", "A,telegram,tulpar_kz1")
            run(store, *(photo(n, advert(line("@umitsnow")), (ALMATY[0] + 0.002 * n, ALMATY[1])) for n in range(1, 4)))
            more = [photo(n, advert(line("@umitsmow", {6: {"n": 0.3}}))) for n in range(10, 13)]
            more += [photo(n, advert(line("@tulpar_kz2"))) for n in range(13, 16)]
            results = run(store, *random.Random(seed).sample(more, len(more)))
            said_by.append({r.analysis.sha256: [(f.links, f.advert.identifiers) for f in r.adverts] for r in results})
    assert said_by[0] == said_by[1] == said_by[2]


NAME, PHONE = "@zhanarqala", "8 749 555 00 01"


def blurred(number: int, place: int, wrong: str) -> Analysis:
    """A photo of one advert: its phone is clear, one letter of its name is read wrongly."""
    shown = NAME[:place] + wrong + NAME[place + 1 :]
    wall = advert(line(shown, {place: {NAME[place]: 0.08}}), line(PHONE, quad=BELOW))
    return photo(number, wall)


def test_the_fifth_report_gains_from_the_first_four(store: Store) -> None:
    """No photo shows the name, each is scored in a run of its own, and the last one is read with those before it."""
    blurs = [(3, "o"), (5, "m"), (7, "o"), (9, "o"), (10, "o")]
    names = []
    for number, (place, wrong) in enumerate(blurs):
        (result,) = run(store, blurred(number, place, wrong))
        names.append([i.value for found in result.adverts for i in found.advert.identifiers if i.kind is K.TELEGRAM])
    alone = place_all([(blurred(9, *blurs[-1]), None)], Shops(), LinkSettings(), ClusterSettings())
    assert NAME[1:] not in [i.value for found in alone[0].adverts for i in found.advert.identifiers]
    assert names[-1] == [NAME[1:]]
    (found,) = result.adverts[0].advert.identifiers[:1]
    assert Flag.TOGETHER in found.flags


def test_only_the_clearest_stored_readings_are_brought_in(store: Store) -> None:
    walls = [blurred(number, 3, "o") for number in range(6)] + [photo(7, advert(line(NAME), line(PHONE, quad=BELOW)))]
    run(store, *walls)
    new = blurred(20, 5, "m")
    past = StorePast(store, frozenset((new.sha256, f"{0:064x}")), ClusterSettings())
    joined = past.join([sighting_of(new, None, 0, (), None)], 3)
    (cluster,) = set(joined.clusters.values())
    kept = joined.earlier[cluster]
    # Its clearest first, and none of the photos that the run itself scores.
    assert len(kept) == 3 and kept[0].key == (f"{7:064x}", 0) and (f"{0:064x}", 0) not in [item.key for item in kept]
    assert all(item.advert.lines[0].reading.log_probs is not None for item in kept)
