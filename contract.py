"""The shared words of tagtrace as types, and the protocols between its rooms.

Ground floor of the package: it imports nothing from the rooms above it.

Coordinates are pixels of the photo after its EXIF orientation is applied, x right, y down, as floats; the centre
of the top-left pixel is (0.5, 0.5). Pictures are ``uint8`` arrays of shape (height, width, 3) in **RGB** order.
Log-probabilities are natural logarithms. Times are timezone-aware and in UTC. Confidences and probabilities lie in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION = "1.0"
"""Version of the objects in ``results.jsonl``: the major part changes when a reader written for the old form would break."""

Image: TypeAlias = NDArray[np.uint8]
"""A picture: ``uint8``, shape (height, width, 3), RGB."""

LogProbs: TypeAlias = NDArray[np.float32]
"""CTC log-probabilities: ``float32``, shape (steps, 1 + len(alphabet)); column 0 is the blank, column i ``alphabet[i - 1]``."""

Point: TypeAlias = tuple[float, float]
Quad: TypeAlias = tuple[Point, Point, Point, Point]
"""Four corners in pixels, clockwise (y down) from the start of the text: top-left, top-right, bottom-right, bottom-left of the
inscription when it is read the right way up."""


class RegionKind(StrEnum):
    """What a detector can find: one text line of an advert, or one machine-readable code (QR, Data Matrix, bar code)."""

    LINE = "line"
    CODE = "code"


OTHER_TEXT = "other"
"""The class that a detector gives to text which does not look like an advert: signs, plates, lawful posters, tags. Such lines are
regions of the kind ``line`` with a low ``Region.advert``; the reading decides."""


class IdentifierKind(StrEnum):
    """The kinds of contact that tagtrace extracts; the values are used in every file and API."""

    TELEGRAM = "telegram"
    TELEGRAM_INVITE = "telegram_invite"
    URL = "url"
    ONION = "onion"
    I2P = "i2p"
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"
    VK = "vk"
    SIGNAL = "signal"
    SESSION = "session"
    THREEMA = "threema"
    MATRIX = "matrix"
    JABBER = "jabber"
    TOX = "tox"
    EMAIL = "email"
    BTC = "btc"
    TRON = "tron"
    TON = "ton"
    QR = "qr"
    """A code whose payload is none of the other kinds; its value is the payload, verbatim."""


class Flag(StrEnum):
    """Remarks on an identifier that a person or a later step needs to know."""

    MIXED_SCRIPT = "mixed_script"
    """Painted with letters of another alphabet that look alike; the value is folded."""
    REPAIRED = "repaired"
    """The value differs from the text as read: restored by a checksum or by the rules of its kind."""
    PROTECTED = "protected"
    """Official or shared: must never be proposed for blocking."""
    UNASSIGNED = "unassigned"
    """A phone number of the right shape whose code the numbering plan does not assign."""
    NOT_REGISTRABLE = "not_registrable"
    """A valid Telegram name that cannot be registered in the normal way (too short or a reserved beginning)."""
    JOINED = "joined"
    """Put together from several lines or from spaced or dotted pieces."""
    TOGETHER = "together"
    """Read from several photos together, or confirmed by another wall: this photo alone does not show it surely."""
    UNSURE = "unsure"
    """Below the confidence from which on its kind is reported: kept for a register or other photos to confirm, as the
    proposal of a link ``misread``, or dropped."""
    OBSOLETE = "obsolete"
    """Of a retired kind (onion v2): evidence only."""
    CORRECTED = "corrected"
    """A person read it so. Only in a store; what the machine had read is kept beside it."""


class FailureCode(StrEnum):
    """Why a photo could not be analysed. A failed photo is never reported as an empty one."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    NOT_A_PICTURE = "not_a_picture"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    INTERNAL = "internal"


class ExitCode(IntEnum):
    """Exit codes of the command ``tagtrace``."""

    OK = 0
    SOME_FAILED = 1
    """The run finished, and at least one photo has a failure code."""
    USAGE = 2
    """Wrong arguments or unusable input: nothing was done."""
    NOTHING_SCORED = 3
    """No photo gave a result: none was found, every one failed, or the results could not be written."""
    BROKEN_INSTALLATION = 4
    """A model file or library that the command needs is missing or damaged."""
    REFUSED = 5
    """A model was not promoted: it fails a limit of the gate, which is named."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C: what was finished is kept."""


class TagtraceError(Exception):
    """Wrong use or a broken installation: the message says what is wrong and what to do. Base of all errors tagtrace raises."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    """What the command line ends with when nothing catches the error."""


class BrokenInstallationError(TagtraceError):
    """A model file or a library that the command needs is missing or damaged."""

    exit_code: ClassVar[ExitCode] = ExitCode.BROKEN_INSTALLATION


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one photo gave no analysis: a stable code, and a sentence for people that names the file and what to do."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Photo:
    """One decoded picture as received. ``sha256`` is the lower-case hex digest of the file's bytes and its identity."""

    name: str
    sha256: str
    pixels: Image
    taken_at: datetime | None = None
    lat: float | None = None
    lon: float | None = None
    report_id: str | None = None

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True)
class Region:
    """A quadrilateral that a detector found. A detector does not know which way up the text is: it gives the corners
    clockwise with the first side along the text, and the reader turns them where the text is upside down.

    ``confidence`` says how sure the detector is that there is a line of text, or a code. ``advert`` (0..1) is the share of it
    that speaks for an advert rather than for other text, by looks alone; 1 for detectors that do not tell."""

    kind: RegionKind
    quad: Quad
    confidence: float
    advert: float = 1.0


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way to read a line: its text and the natural logarithm of its probability under the recogniser."""

    text: str
    log_prob: float


@dataclass(frozen=True, slots=True)
class Char:
    """One character of the best text, its confidence, and what else it could be (character, probability), best first."""

    text: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a recogniser saw in one line crop.

    ``hypotheses`` are distinct texts, best first, the first being ``text``. ``chars`` has one entry per character of
    ``text`` where the recogniser tells, else it is empty. ``log_probs`` and ``alphabet`` are given by CTC recognisers and
    are None and "" for others. ``flipped`` says that the crop was read turned by 180 degrees.
    """

    text: str
    confidence: float
    hypotheses: tuple[Hypothesis, ...] = ()
    chars: tuple[Char, ...] = ()
    log_probs: LogProbs | None = None
    alphabet: str = ""
    flipped: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """A decoded code: the payload verbatim, its symbology (``QRCode``, ``DataMatrix``, …) and where it is."""

    payload: str
    format: str
    quad: Quad


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One read text line: where it is (quad the right way up), how sure the detector is, and its reading.

    ``advert`` is that of its ``Region``: how much the line looks like an advert."""

    quad: Quad
    confidence: float
    reading: Reading
    advert: float = 1.0


@dataclass(frozen=True, slots=True)
class Identifier:
    """One contact found in an advert.

    ``value`` is canonical (see ``inference.identifiers``), ``raw`` is the text it came from, as read. ``confidence`` is the
    probability that the value is right. ``alternatives`` are other canonical values with their probabilities, best first.
    ``lines`` and ``codes`` are indices into the advert's lines and codes.
    """

    kind: IdentifierKind
    value: str
    raw: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...] = ()
    flags: tuple[Flag, ...] = ()
    lines: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Advert:
    """One physical inscription in one photo: its lines in reading order, its codes, and the identifiers they hold.

    ``quad`` is the smallest rotated rectangle around all of its regions.
    """

    quad: Quad
    lines: tuple[Line, ...] = ()
    codes: tuple[Code, ...] = ()
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Provenance of a model: its name in ``models/weights.toml`` (or the vendor's) and the SHA-256 of its file."""

    task: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What is known about one photo: its adverts, or the failure that prevented the analysis (then ``adverts`` is empty)."""

    name: str
    sha256: str
    width: int
    height: int
    adverts: tuple[Advert, ...] = ()
    failure: Failure | None = None
    models: tuple[ModelInfo, ...] = ()
    taken_at: datetime | None = None
    lat: float | None = None
    lon: float | None = None
    report_id: str | None = None
    seconds: float = 0.0
    stages: tuple[tuple[str, float], ...] = ()
    """Seconds spent per stage (decode, detect, read, extract)."""


class Outcome(StrEnum):
    """How an identifier stands to the known resources."""

    SAME = "same"
    MISREAD = "misread"
    SIBLING = "sibling"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Resource:
    """One known contact of a shop, canonical value as in ``Identifier.value``."""

    kind: IdentifierKind
    value: str
    shop_id: str
    shop_name: str = ""
    status: str = ""


class Band(StrEnum):
    """What may be done with a link without a person: see ``LinkSettings`` for the limits."""

    AUTOMATIC = "automatic"
    REVIEW = "review"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One step of the waterfall behind a probability: its name, the nats that it adds to the log-odds, and why in words."""

    name: str
    nats: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """How one identifier links to a known shop; ``shop_id`` and ``resource`` are None for the outcome ``new``.

    The log-odds of ``probability`` are the sum of ``evidence`` (before calibration, whose step is the last one).
    """

    outcome: Outcome
    probability: float
    shop_id: str | None = None
    resource: Resource | None = None
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    band: Band = Band.NONE


@dataclass(frozen=True, slots=True)
class Placement:
    """The cluster of one advert: ``cluster`` groups sightings of one physical advert, ``shop_cluster`` adverts of one shop."""

    cluster: str
    shop_cluster: str
    reasons: tuple[str, ...] = field(default=())


@runtime_checkable
class Detector(Protocol):
    """Finds the text lines of adverts and the codes in photos."""

    @property
    def info(self) -> ModelInfo: ...

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """One list of regions per picture, most confident first."""
        ...


@runtime_checkable
class Recogniser(Protocol):
    """Reads line crops. A crop is an ``Image`` with the text running along its width (either way up)."""

    @property
    def info(self) -> ModelInfo: ...

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        """One reading per crop, in order; a crop that holds nothing readable gives an empty text with confidence 0.

        ``upright``: the text is known to be the right way up, so that no crop is tried the other way. ``quick``: the likeliest
        characters will do, ``complete`` may be asked for the rest.
        """
        ...

    def complete(self, reading: Reading) -> Reading:
        """What ``read`` gives where it does not have to be quick, from what it gave quickly."""
        ...


@runtime_checkable
class CodeReader(Protocol):
    """Decodes machine-readable codes."""

    def decode(self, image: Image, regions: Sequence[Region] = ()) -> list[Code]:
        """Every distinct code in the picture; ``regions`` are places to look closely."""
        ...


@runtime_checkable
class LineReader(Protocol):
    """Finds and reads text lines in one go: tagtrace's own detector and recogniser, or a vendor's whole engine."""

    @property
    def infos(self) -> tuple[ModelInfo, ...]: ...

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        """Per picture: the text lines read, and the code regions found (empty when the engine knows none)."""
        ...
