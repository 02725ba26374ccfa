"""The calibration of links: its file, its fit, and the labels it is fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import BrokenInstallationError, IdentifierKind, Link, Outcome, Reading, Resource
from tagtrace.linking.calibration import Calibration, Curve, bundled, read_calibration, toml_text
from tagtrace.linking.shops import Shops

CURVES = st.builds(Curve, st.floats(0, 3), st.floats(-5, 5), st.floats(0.5, 1))


def probability(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


@given(CURVES, st.floats(-20, 20), st.floats(0, 20))
def test_more_evidence_is_never_less_probable(curve: Curve, odds: float, more: float) -> None:
    assert curve.apply(odds + more) >= curve.apply(odds) - 1e-9
    inner = curve.slope * odds + curve.offset
    assert probability(curve.apply(odds)) == pytest.approx(curve.most * probability(inner), rel=1e-6)


def test_the_file_comes_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "links.toml"
    written = Calibration({Outcome.SAME: Curve(0.5, 0.25, 0.99), Outcome.NEW: Curve()}, "ab" * 32)
    path.write_text(toml_text(written, {"seed": 3, "ece": 0.0125, "model": 'a "b" \\ c'}), "utf-8")
    assert read_calibration(path) == written
    assert written.apply(Outcome.SIBLING, 1.5) == 1.5


@pytest.mark.parametrize(
    "text", ["", "[outcome.same]\nslope = 1.0", "[outcome.never]\nslope = 1.0\noffset = 0.0\nmost = 1.0", "\x00"]
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "links.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(BrokenInstallationError, match="links.toml: not a calibration of links"):
        read_calibration(path)
    path.write_text("[outcome.same]\nslope = -1.0\noffset = 0.0\nmost = 1.0\n", "utf-8")
    with pytest.raises(BrokenInstallationError, match="more evidence must never mean less"):
        read_calibration(path)


def test_the_calibration_of_the_package_covers_every_outcome() -> None:
    assert set(bundled().curves) == set(Outcome)


@pytest.mark.train
@pytest.mark.parametrize(("slope", "offset", "most"), [(0.5, 1.0, 1.0), (0.8, -1.0, 0.9)])
def test_the_fit_finds_the_curve_that_the_truth_was_drawn_from(slope: float, offset: float, most: float) -> None:
    from tagtrace.training.calibration import fit, fit_curve, reliability
    from tagtrace.training.calibration_data import Case

    rng = np.random.default_rng(7)
    odds = rng.uniform(-6, 10, 3000)
    right = rng.random(3000) < most / (1 + np.exp(-(slope * odds + offset)))
    found = fit_curve(odds, right, 1.0)
    assert (found.slope, found.offset, found.most) == pytest.approx((slope, offset, most), abs=0.2)
    cases = [Case(Outcome.NEW, float(o), bool(r)) for o, r in zip(odds, right, strict=True)]
    before, after = reliability("", cases, None), reliability("", cases, fit(cases, 1.0))
    assert after.ece < 0.02 < before.ece and after.log_loss < before.log_loss
    assert sum(count for _, _, count in after.bins) == 3000 and len(after.bins) == 10


@pytest.mark.train
def test_few_links_make_nobody_certain() -> None:
    from tagtrace.training.calibration import fit_curve

    found = fit_curve(np.full(18, 10.0), np.ones(18, bool), 1.0)
    assert probability(found.apply(100.0)) <= 19 / 20


@pytest.mark.train
def test_what_counts_as_right() -> None:
    from tagtrace.training.calibration_data import ReadLine, is_right

    kind = IdentifierKind.TELEGRAM
    listed, other = Resource(kind, "tulpar_kz1", "A"), Resource(kind, "tulpar_kz2", "A")
    shops = Shops([listed, other, Resource(kind, "berkut", "B")])
    seen, unseen = (ReadLine(Reading("", 0.0), kind, value, "A") for value in ("tulpar_kz1", "tulpar_kz9"))
    assert is_right(Link(Outcome.SAME, 0.9, "A", listed), seen, shops)
    assert not is_right(Link(Outcome.MISREAD, 0.9, "A", other), seen, shops)
    assert not is_right(Link(Outcome.SIBLING, 0.9, "A", other), seen, shops)
    assert not is_right(Link(Outcome.NEW, 0.9), seen, shops)
    assert is_right(Link(Outcome.SIBLING, 0.9, "A", other), unseen, shops)
    assert not is_right(Link(Outcome.SIBLING, 0.9, "B", shops.exact(kind, "berkut")[0]), unseen, shops)
    assert is_right(Link(Outcome.NEW, 0.9), unseen, shops)


@pytest.mark.train
def test_crops_registers_and_links_fit_together(tmp_path: Path) -> None:
    """A small run of the real parts: generator, shards, recogniser, register, links."""
    from tagtrace.inference.pipeline import PipelineSettings
    from tagtrace.linking.explain import LinkSettings
    from tagtrace.models.recogniser import OnnxRecogniser, ReadSettings
    from tagtrace.models.registry import Task, resolve
    from tagtrace.training.calibration_data import ContactWorld, DrawSettings, draw_register, link_lines, make_crops, read_crops

    shards = make_crops(tmp_path / "val", "val", 5, 12)
    again = make_crops(tmp_path / "val", "val", 5, 12)
    assert len(shards.rows) == 12 and shards.rows == again.rows
    recogniser = OnnxRecogniser(resolve(Task.RECOGNISER).path, ReadSettings(threads=1))
    lines = read_crops(shards, recogniser)
    world = ContactWorld(5, "val")
    assert {line.shop_id for line in lines} <= {shop.shop_id for shop in world.shops}
    everything = DrawSettings(shop_listed=1.0, contact_listed=1.0)
    register = draw_register(np.random.default_rng(1), world.shops, lines, everything)
    assert all(register.exact(line.kind, line.value) for line in lines)
    nothing = draw_register(np.random.default_rng(1), world.shops, lines, DrawSettings(shop_listed=0.0, clone=0.0))
    assert len(nothing) == 0
    cases = link_lines(lines, register, LinkSettings(), PipelineSettings().extract)
    assert cases and sum(case.right for case in cases) >= 0.6 * len(cases)
