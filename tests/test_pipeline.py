"""One photo -> analysis: the reader's regions turned and cut, unreadable lines dropped, adverts made, failures kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tagtrace.contract import (
    BrokenInstallationError,
    Code,
    FailureCode,
    IdentifierKind,
    Image,
    Line,
    LineReader,
    ModelInfo,
    Photo,
    Quad,
    Reading,
    Region,
    RegionKind,
)
from tagtrace.inference.pipeline import Pipeline, PipelineSettings
from tagtrace.inference.reader import ReaderSettings, TagtraceReader
from tagtrace.inference.stages import collect, stage

K = IdentifierKind


def quad(left: float, top: float, width: float = 200, height: float = 30) -> Quad:
    return ((left, top), (left + width, top), (left + width, top + height), (left, top + height))


def line(text: str, at: Quad, found: float = 0.9, read: float = 0.95) -> Line:
    return Line(at, found, Reading(text, read))


def photo(name: str = "a.jpg", value: int = 120) -> Photo:
    return Photo(name, "0" * 64, np.full((400, 600, 3), value, np.uint8), lat=43.0, lon=76.0, report_id="r1")


class Fixed:
    """Gives the same lines for every picture, and fails for black ones."""

    infos = (ModelInfo("reader", "fixed", "1" * 64),)

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)
        self.batches: list[int] = []

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        self.batches.append(len(images))
        if any(not image.any() for image in images):
            raise ValueError("black picture")
        return [(self.lines, []) for _ in images]


class FixedCodes:
    def decode(self, image: Image, regions: Sequence[Region] = ()) -> list[Code]:
        return [Code("https://t.me/umitsnow_bot", "QRCode", quad(20, 200, 100, 100))]


def test_lines_become_adverts_with_identifiers() -> None:
    reader = Fixed(line("РАБОТА", quad(20, 20)), line("@tulpar_kz1", quad(20, 60)), line("@umitsnow", quad(350, 330)))
    assert isinstance(reader, LineReader)
    found = Pipeline(reader, None).analyse([photo()])[0]
    assert found.failure is None and found.models == reader.infos
    assert (found.name, found.width, found.height, found.lat, found.report_id) == ("a.jpg", 600, 400, 43.0, "r1")
    first, second = found.adverts
    assert [item.reading.text for item in first.lines] == ["РАБОТА", "@tulpar_kz1"]
    assert [(item.kind, item.value) for item in first.identifiers] == [(K.TELEGRAM, "tulpar_kz1")]
    assert [item.value for item in second.identifiers] == ["umitsnow"]
    xs, ys = {round(x) for x, _ in first.quad}, {round(y) for _, y in first.quad}
    assert xs == {20, 220} and ys == {20, 90}


def test_codes_are_read_and_make_adverts() -> None:
    found = Pipeline(Fixed(), FixedCodes()).analyse([photo()])[0]
    assert [(item.kind, item.value) for item in found.adverts[0].identifiers] == [(K.TELEGRAM, "umitsnow_bot")]
    assert found.adverts[0].lines == () and found.adverts[0].codes[0].format == "QRCode"


def test_unreadable_lines_are_dropped() -> None:
    reader = Fixed(
        line("@tulpar_kz1", quad(20, 20)),
        line("@unsure_text", quad(20, 60), read=0.05),
        line("@badly_found", quad(20, 100), found=0.1),
        line("   ", quad(20, 140)),
    )
    found = Pipeline(reader, None).analyse([photo()])[0]
    assert [item.reading.text for advert in found.adverts for item in advert.lines] == ["@tulpar_kz1"]
    strict = PipelineSettings(min_line_confidence=0.95)
    assert Pipeline(reader, None, strict).analyse([photo()])[0].adverts == ()


def test_lawful_text_is_no_advert() -> None:
    assert Pipeline(Fixed(line("АПТЕКА", quad(20, 20), found=0.4)), None).analyse([photo()])[0].adverts == ()


@pytest.mark.parametrize("at_once", [1, 3])
def test_one_broken_photo_leaves_the_others_alone(at_once: int, caplog: pytest.LogCaptureFixture) -> None:
    reader = Fixed(line("@tulpar_kz1", quad(20, 20)))
    photos = [photo("a"), photo("black", 0), photo("c")]
    found = Pipeline(reader, None, PipelineSettings(photos_at_once=at_once)).analyse(photos)
    assert [analysis.name for analysis in found] == ["a", "black", "c"]
    assert [len(analysis.adverts) for analysis in found] == [1, 0, 1]
    failure = found[1].failure
    assert failure is not None and failure.code is FailureCode.INTERNAL and "black" in failure.message
    assert found[0].failure is None and found[2].failure is None
    assert "ValueError: black picture" in caplog.text and "Traceback" in caplog.text


def test_stages_add_up_to_the_seconds() -> None:
    found = Pipeline(Fixed(line("@tulpar_kz1", quad(20, 20))), FixedCodes()).analyse([photo()])[0]
    assert [name for name, _ in found.stages] == ["read", "codes", "extract"]
    assert 0 < sum(seconds for _, seconds in found.stages) <= found.seconds


def test_inner_stages_count_once() -> None:
    with collect() as seconds:
        with stage("outer"):
            with stage("inner"):
                sum(range(200_000))
            with stage("inner"):
                sum(range(200_000))
        with stage("outer"):
            pass
    assert seconds["inner"] > seconds["outer"]
    with stage("nobody listens"):
        pass
    assert set(seconds) == {"outer", "inner"}


def test_no_photos() -> None:
    assert Pipeline(Fixed(), None).analyse([]) == []


# --- detector and recogniser as one reader ---


class FixedDetector:
    info = ModelInfo("detector", "d", "2" * 64)

    def __init__(self, *regions: Region) -> None:
        self.regions = list(regions)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        return [self.regions for _ in images]


class BrightestSide:
    """Reads on which side the bright half of a crop is: it tells whether the right piece was cut out, the right way up."""

    info = ModelInfo("recogniser", "r", "3" * 64)

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        self.shapes += [crop.shape for crop in crops]
        out = []
        for crop in crops:
            half = crop.shape[1] // 2
            flipped = crop[:, :half].mean() < crop[:, half:].mean()
            out.append(Reading("dark" if crop.mean() < 60 else "bright", 0.9, flipped=bool(flipped)))
        return out

    def complete(self, reading: Reading) -> Reading:
        return reading


def test_reader_cuts_turns_and_sorts() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[50:80, 50:150] = 250
    image[150:180, 150:250] = 250
    left, right = quad(50, 50, 200), quad(50, 150, 200)
    code = Region(RegionKind.CODE, quad(300, 200, 50, 50), 0.8)
    detector = FixedDetector(Region(RegionKind.LINE, left, 0.9), code, Region(RegionKind.LINE, right, 0.7))
    recogniser = BrightestSide()
    reader = TagtraceReader(detector, recogniser, ReaderSettings(40, 250, margin_along=0, margin_across=0, second_below=0))
    assert isinstance(reader, LineReader) and reader.infos == (detector.info, recogniser.info)
    found = reader.read_lines([image, image])
    assert len(found) == 2 and recogniser.shapes == [(40, 250, 3)] * 4
    lines, regions = found[1]
    assert regions == [code]
    assert lines[0].quad == left and not lines[0].reading.flipped and lines[0].confidence == 0.9
    assert lines[1].reading.flipped
    assert lines[1].quad == (right[2], right[3], right[0], right[1])


def test_reader_passes_over_regions_without_an_area() -> None:
    flat = Region(RegionKind.LINE, ((5.0, 5.0), (90.0, 5.0), (90.0, 5.5), (5.0, 5.5)), 0.9)
    assert TagtraceReader(FixedDetector(flat), BrightestSide()).read_lines([photo().pixels]) == [([], [])]
    assert TagtraceReader(FixedDetector(), BrightestSide()).read_lines([photo().pixels]) == [([], [])]


def test_text_that_is_surely_no_adverts_is_not_read() -> None:
    plate, advert = (
        Region(RegionKind.LINE, quad(10, 10, 80, 20), 0.9, 0.005),
        Region(RegionKind.LINE, quad(10, 60, 80, 20), 0.9, 0.4),
    )
    ((lines, _),) = TagtraceReader(FixedDetector(plate, advert), BrightestSide()).read_lines([photo().pixels])
    assert [line.advert for line in lines] == [0.4]


def test_margin_widens_the_crop() -> None:
    recogniser = BrightestSide()
    detector = FixedDetector(Region(RegionKind.LINE, quad(50, 50, 200, 50), 0.9))
    for margin in (0.0, 0.2):
        settings = ReaderSettings(crop_height_px=40, margin_along=margin, margin_across=margin, second_below=0)
        TagtraceReader(detector, recogniser, settings).read_lines([photo().pixels])
    # 200 x 50 is 160 x 40; with 10 px on each side it is 220 x 70.
    assert [shape[1] for shape in recogniser.shapes] == [160, round(40 * 220 / 70)]


def test_only_lines_in_doubt_are_looked_at_again() -> None:
    detector = FixedDetector(Region(RegionKind.LINE, quad(50, 50, 200, 50), 0.9))
    for limit, looks in ((0.5, 1), (0.95, 2)):
        recogniser = BrightestSide()
        TagtraceReader(detector, recogniser, ReaderSettings(second_below=limit)).read_lines([photo().pixels])
        assert len(recogniser.shapes) == looks


@pytest.fixture(scope="module")
def own_pipeline() -> Pipeline:
    from tagtrace.scoring.build import build_engine
    from tagtrace.scoring.settings import ScoreSettings

    try:
        return build_engine(ScoreSettings(), threads=1).pipeline
    except BrokenInstallationError as error:
        pytest.skip(f"no weights: {error}")


def test_the_real_models_read_a_clear_inscription(own_pipeline: Pipeline) -> None:
    from PIL import Image as PilImage
    from PIL import ImageDraw

    from tagtrace.scoring.annotate import _font

    wall = PilImage.fromarray(np.random.default_rng(3).normal(190, 4, (600, 900, 3)).clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(wall).text((120, 240), "@tulpar_kz27", fill=(20, 20, 25), font=_font(90))
    found = own_pipeline.analyse([replace(photo(), pixels=np.asarray(wall))])[0]
    assert found.failure is None
    assert "tulpar_kz27" in {item.value for advert in found.adverts for item in advert.identifiers}
    bare = own_pipeline.analyse([photo()])[0]
    assert bare.failure is None and bare.adverts == ()


class GoesOn:
    """Reads one letter per 20 px of crop width up to ``length``, and sees a letter at the end of a crop that is too short."""

    info = ModelInfo("recogniser", "goes-on", "0" * 64)

    def __init__(self, length: int) -> None:
        self.length = length

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        out = []
        for crop in crops:
            letters = min(self.length, crop.shape[1] // 20)
            table = np.log(np.full((20, 2), (0.99, 0.01), np.float32))
            if letters < self.length:
                table[-1] = np.log((0.1, 0.9))
            out.append(Reading("a" * letters, 0.999, (), (), table, "a"))
        return out

    def complete(self, reading: Reading) -> Reading:
        return reading


def test_a_line_that_goes_on_beyond_its_box_is_read_to_its_end() -> None:
    region = Region(RegionKind.LINE, quad(50, 50, 100, 20), 0.9)
    settings = ReaderSettings(crop_height_px=20, margin_along=0, margin_across=0, stretch=2.0)
    for length, wanted, right in ((5, 5, 150.0), (7, 7, 190.0), (9, 9, 230.0), (30, 11, 270.0)):
        ((line,), _) = TagtraceReader(FixedDetector(region), GoesOn(length), settings).read_lines([photo().pixels])[0]
        assert len(line.reading.text) == wanted
        assert line.quad[1][0] == pytest.approx(right)
        assert line.quad[0] == (50.0, 50.0)


class EndsWithin(GoesOn):
    """Reads two letters more in a longer crop, and shows where they stand: 20 steps over the crop, the last letter at step 14."""

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        out = []
        for crop in crops:
            longer = crop.shape[1] > self.length * 20
            table = np.log(np.full((20, 2), (0.99, 0.01), np.float32))
            table[14 if longer else -1] = np.log((0.1, 0.9))
            out.append(Reading("a" * (self.length + 2 * longer), 0.999, (), (), table, "a"))
        return out


def test_a_longer_line_ends_at_its_last_letter() -> None:
    region = Region(RegionKind.LINE, quad(50, 50, 100, 20), 0.9)
    settings = ReaderSettings(crop_height_px=20, margin_along=0, margin_across=0, stretch=2.0)
    ((line,), _) = TagtraceReader(FixedDetector(region), EndsWithin(5), settings).read_lines([photo().pixels])[0]
    # 140 px were looked at; the last letter stands at 14.5 / 20 of them, and half a letter comes after it.
    assert len(line.reading.text) == 7
    assert line.quad[1][0] == pytest.approx(50 + 140 * 14.5 / 20 + 0.4 * 20)


def test_two_boxes_that_grew_to_one_line_are_one() -> None:
    regions = [Region(RegionKind.LINE, quad(50, 50, 180, 20), 0.9), Region(RegionKind.LINE, quad(100, 50, 60, 20), 0.8)]
    settings = ReaderSettings(crop_height_px=20, margin_along=0, margin_across=0, stretch=2.0)
    lines, _ = TagtraceReader(FixedDetector(*regions), GoesOn(9), settings).read_lines([photo().pixels])[0]
    assert [len(line.reading.text) for line in lines] == [9]


class Doubtful(BrightestSide):
    """Is in doubt about everything, and keeps the crops that it is told are upright."""

    def __init__(self) -> None:
        super().__init__()
        self.upright: list[Image] = []

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        if upright:
            self.upright += crops
            return [Reading("bright", 0.5) for _ in crops]
        return super().read(crops)


@pytest.mark.parametrize(("advert", "second_from", "looks"), [(0.2, 0.7, 0), (0.4, 0.7, 1), (0.4, 0.95, 0)])
def test_only_readings_in_doubt_that_may_be_an_advert_get_a_second_look(advert: float, second_from: float, looks: int) -> None:
    """It is read with a confidence of 0.9."""
    recogniser = Doubtful()
    region = Region(RegionKind.LINE, quad(50, 50, 100, 20), 0.9, advert)
    settings = ReaderSettings(second_from=second_from)
    ((line,), _) = TagtraceReader(FixedDetector(region), recogniser, settings).read_lines([photo().pixels])[0]
    assert line.reading.text
    assert len(recogniser.upright) == looks


def test_a_second_look_at_a_line_upside_down_is_turned_and_stays_so() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[150:180, 150:250] = 250
    right = quad(50, 150, 200)
    recogniser = Doubtful()
    reader = TagtraceReader(FixedDetector(Region(RegionKind.LINE, right, 0.7)), recogniser, ReaderSettings(40, 250))
    ((line,), _) = reader.read_lines([image])[0]
    (crop,) = recogniser.upright
    half = crop.shape[1] // 2
    assert crop[:, :half].mean() > crop[:, half:].mean(), "the bright half, where the text begins, comes first"
    assert line.reading.flipped and line.quad == (right[2], right[3], right[0], right[1])
