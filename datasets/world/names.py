"""Invented names: stems of shops and handles, from an open space, in the spelling habits of Kazakh, Russian and English.

Nothing here is a real shop. A stem is one or two ordinary words, or a pronounceable word that does not exist. Each word belongs
to exactly one split (by SHA-256, so on every machine the same), and so do the stems made of it: a recogniser tested on
the names of ``test`` has never been trained on one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Final

import numpy as np

from ...contract import TagtraceError
from .draw import between, chance, choice, string, weighted

SPLITS: Final = ("train", "val", "test")
TRAIN_SHARE: Final = 0.75
"""Share of words that training sees; the rest is halved between validation and test."""

_ENGLISH: Final = """
amber anchor apple arctic arrow ash atlas aurora autumn badger bamboo basil bay bear birch blaze blue bolt breeze brook bronze
canyon castle cedar cherry circle cliff cloud cobalt comet copper coral cosmos cotton crane crown crystal dawn deep delta desert
diamond dolphin dragon dream drift dune dusk eagle east echo eclipse ember emerald falcon feather fern fire fjord flame flint
forest fox frost galaxy garden ghost giant ginger glacier glass globe gold granite green grey grove hammer harbor hawk hazel
hidden hill honey horizon hunter ice indigo iron island ivory jade jasmine jet jungle king lagoon lake laser lava leaf lemon
light lily lime lion lotus lucky lunar magic magnet mango maple marble meadow mellow mesa metro midnight mint mirage mist
monk moon moss mountain mystic native nebula neon night noble north nova oak ocean olive onyx opal orbit orchid orion otter owl
palm panda panther pearl pepper phantom pine pixel planet plum polar pony prime prism pulse purple quartz queen quick quiet rain
rainbow raven red reef ridge river robin rocket rose royal ruby saffron sage salt sand sapphire saturn scarlet shadow shark
shell silent silk silver sky smoke solar sonic spark spice spring star steel stone storm sugar summer sunny swan swift tango
thunder tiger titan topaz tower tropic tulip turbo twin ultra urban valley vega velvet violet viper vortex walnut wave white
wild willow wind winter wolf yellow young zebra zen zenith zero zigzag
""".split()

_KAZAKH: Final = """
adal aiqyn aisha aqbota aqqu aqsai aqtas aqtau alau alma almas alatau altai altyn aman anar arai arman arlan arna asan
aspan asyl ata atyrau ayaz aynur azat bagdar bai baiterek balapan balqash bars baqyt batyr bayan bereke berik biik bolat boran
bulak bulbul burkit dala dana darhan dariya dastan daryn dauys dombra dostyk duman edil ekpin eldos eles elik ertis esil gauhar
gul guldala jaidar jainar jaiyq jalyn janar jasyl jauhar jayau jel jelken jeti jetisu jibek juldyz jusan kerben kerege keremet
kiik kok kokpar kokshe koktem kumis kun kunsulu kyran lashyn marjan maral mereke merey mergen meruert muz nar naryn nauryz nur
nurly oiran onai orda orman ot otau otan qairat qalqan qanat qara qarlygash qarsha qaskyr qazyna qobyz qonyr qorgan qulan qum
quralai qus qyran qyzgaldak qyzyl raushan sabyr saiyn samal samruk sanat sapar sarka sary sayat senim shalqar shanyraq sharua
shattyk shekara shuaq shygys shyn shyrak sulu sunkar syrdaria syrly taimas talap tan tanba taraz tas tau tauelsiz tekes temir
tengri teniz terek tobyl togai tolqyn toqym tugan tulip tumar tunik turan tynysh ulan ulys umit usta uya uzyn zaman zere
zhan zhanar zhasyl zhiger zhol
""".split()

_RUSSIAN: Final = """
agat akula albatros almaz altair antey artel aster azimut azov bagulnik baikal balagan barkas barrakuda barsuk belka bereg
bereza beton biryuza bober briz bruslet buket buran burya chaika chashka cheburek chernika cherep cvetok dacha delfin dozor
drakon dvor dym elka enot eskimo fakel fantik fazan fenix filin flagman fonar fregat fundament garmonia gavan globus gnom golub
gora gorod grad granat grifon grom groza gvozd iceberg igla indigo iris irtysh iskra izumrud kaktus kalina kamen kamysh kapitan
karamel karavan kashtan kedr kit klen klever klyuch kolibri kolos konfeta kontur korabl korall koster kot kovboi kovcheg krab
krasny kristall krokus kruiz kubik kupol kvadrat kvartal ladoga ladya lampa landysh laska lastochka lavina led leopard lev
lesnik liman limon lipa lis lotos luch lug luna magnit maiak malina mamont mango maska mayak medved melnica metel milan
mishka molot monolit more moroz most motor mramor mukha nebo neptun nora oblako ocean ogonek okean olen olimp omut oreh orel
orion osen ostrov ozero paket palma panda para parus pegas pelikan perec pesok pirs piton plamya planeta platina pobeda podkova
polet polus polyana poplavok prichal priboi prizma proton  puma put raduga raketa rassvet reka riba rodnik romashka rosa
rubin ruchei rys sad sadko salut samolet sapsan sever shmel shtil shtorm sigma skala skazka slon snegir sobol sokol solnce sova
spektr sputnik start strela strizh sugrob svet taiga tail tantal teplo tigr topol tornado trava tropa tucha tuman turist ugol
vektor vershina vesna veter vitiaz volna volk vorona vostok vulkan yagoda yaguar yakor yashma zabava zakat zamok zarya zebra
zefir zima zmei zodiak zont zubr zvezda
""".split()

_SYLLABLES: Final[dict[str, tuple[Sequence[str], Sequence[str], Sequence[str]]]] = {
    "kazakh": (
        "b d g j k m n q s t zh sh r l y z h".split(),
        "a a a e y u o i ai au ay uy ei".split(),
        "r l n q s t m z k p sh ng  ".split(" "),
    ),
    "russian": (
        "b v g d zh z k l m n p r s t f h ts ch sh st sk pr tr gr kr dr sl vl zv br".split(),
        "a a o o e e i u y ya yu".split(),
        "n k r l v s t m d g sk nt rk ch zh  ".split(" "),
    ),
    "english": (
        "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl sm sn sp st sw t th tr v w wh x z".split(),
        "a e i o u ee oo ai ou ea y".split(),
        "b ck d ff g k ll lt m mp n nd ng nk nt p r rd rk s sh ss st t th v x zz  ".split(" "),
    ),
}
"""Onsets, vowels and codas per spelling habit; the empty coda stands for an open syllable."""

_BAD_PARTS: Final = ("fuk", "fuck", "shit", "hui", "huy", "sex", "admin", "telegram", "support", "police", "polis")


def check_split(split: str) -> str:
    """The split itself; raises ``TagtraceError`` for anything but train, val or test."""
    if split not in SPLITS:
        raise TagtraceError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    return split


@cache
def split_of(word: str) -> str:
    """The one split that a word belongs to: fixed, the same on every machine and in every process."""
    place = int.from_bytes(sha256(word.encode()).digest()[:4], "big") / 2**32
    if place < TRAIN_SHARE:
        return "train"
    return "val" if place < (1 + TRAIN_SHARE) / 2 else "test"


@cache
def words_of(split: str) -> tuple[tuple[str, ...], ...]:
    """The ordinary words of a split, one tuple per spelling habit (Kazakh, Russian, English)."""
    return tuple(
        tuple(sorted({word for word in words if split_of(word) == check_split(split)})) for words in (_KAZAKH, _RUSSIAN, _ENGLISH)
    )


def invented_word(rng: np.random.Generator, split: str) -> str:
    """A pronounceable lower-case Latin word that is in no dictionary, of the given split: 4 to 11 letters."""
    while True:
        onsets, vowels, codas = _SYLLABLES[weighted(rng, {"kazakh": 0.35, "russian": 0.35, "english": 0.3})]
        count = weighted(rng, {1: 0.12, 2: 0.6, 3: 0.28})
        word = "".join(
            ("" if i == 0 and chance(rng, 0.15) else choice(rng, onsets))
            + choice(rng, vowels)
            + (choice(rng, codas) if chance(rng, 0.5) else "")
            for i in range(count)
        )
        if 4 <= len(word) <= 11 and split_of(word) == split and not any(bad in word for bad in _BAD_PARTS):
            return word


def stem(rng: np.random.Generator, split: str) -> str:
    """The stem of a shop's names: lower-case Latin letters, words joined by ``_`` or by nothing, 4 to 20 characters."""
    while True:
        lists = words_of(split)
        form = weighted(rng, {"invented": 0.45, "word": 0.2, "two": 0.25, "word_invented": 0.1})
        if form == "invented":
            text = invented_word(rng, split)
        elif form == "word":
            text = choice(rng, choice(rng, lists))
        else:
            words = choice(rng, lists)
            second = choice(rng, words) if form == "two" else invented_word(rng, split)
            text = choice(rng, words) + ("_" if chance(rng, 0.45) else "") + second
        if 4 <= len(text) <= 20 and split_of(text) == split:
            return text


_SUFFIXES: Final = """
kz kaz rus asia bot shop store hub bazar bazaar market mall ast astana nur alm almaty shym kar krg aqt atr pav kst oral city town
zone vip official top best pro plus one club team crew group info news chat channel help work job rabota jumys zhumys dostavka
express fast online live room house lab tech street line point center mix gold premium lux original real new old reserve rez
admin24 manager operator sklad baza opt roznica kurer courier magaz lavka ru uz kg eu net app
""".split()
_PREFIXES: Final = "the my mr real new kz vip top best official go shop rabota work job team x i".split()
_NUMBERS: Final = (
    "24",
    "777",
    "007",
    "365",
    "247",
    "77",
    "99",
    "100",
    "001",
    "01",
    "02",
    "05",
    "08",
    "13",
    "17",
    "228",
    "555",
    "666",
    "888",
    "999",
)
_LEET: Final = str.maketrans({"o": "0", "i": "1", "a": "4", "e": "3", "s": "5", "t": "7", "b": "8", "g": "9"})
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_RESERVED_BEGINNINGS: Final = ("admin", "telegram", "support", "security", "settings", "contacts", "service", "telegraph")
MAX_HANDLE: Final = 32


def valid_handle(text: str) -> bool:
    """Whether Telegram lets anybody register the name (rules of tdlib ``misc.cpp``); lower case only."""
    allowed = set(_LOWER + "0123456789_")
    return (
        5 <= len(text) <= MAX_HANDLE
        and text[0] in _LOWER
        and not text.endswith("_")
        and "__" not in text
        and set(text) <= allowed
        and not text.startswith(_RESERVED_BEGINNINGS)
    )


def _number(rng: np.random.Generator) -> str:
    form = weighted(rng, {"small": 0.5, "known": 0.3, "any": 0.2})
    if form == "small":
        return str(between(rng, 1, 99))
    return choice(rng, _NUMBERS) if form == "known" else string(rng, "0123456789", between(rng, 2, 5))


def _joined(rng: np.random.Generator, base: str, tail: str) -> str:
    return base + ("_" if chance(rng, 0.55) else "") + tail


def handle(rng: np.random.Generator, base: str) -> str:
    """A Telegram name made of a stem: bare, or with prefixes, suffixes, numbers, digits for letters; lower case, valid."""
    for _ in range(50):
        text = base
        if chance(rng, 0.05):
            cut = between(rng, 1, len(text) - 1)
            text = text[:cut] + text[cut:].translate(_LEET) if chance(rng, 0.5) else text.replace("o", "0")
        if chance(rng, 0.1):
            text = choice(rng, _PREFIXES) + ("_" if chance(rng, 0.6) else "") + text
        form = weighted(rng, {"bare": 0.14, "suffix": 0.4, "number": 0.2, "suffix_number": 0.16, "two": 0.1})
        if form in ("suffix", "suffix_number", "two"):
            text = _joined(rng, text, choice(rng, _SUFFIXES))
        if form == "two":
            text = _joined(rng, text, "bot" if chance(rng, 0.4) else choice(rng, _SUFFIXES))
        if form in ("number", "suffix_number"):
            text = _joined(rng, text, _number(rng)) if chance(rng, 0.5) else text + _number(rng)
        if valid_handle(text):
            return text
    return base.replace("_", "")[:20] + "_kz"


def random_handle(rng: np.random.Generator) -> str:
    """A Telegram name without a meaning: random letters, digits and low lines, 5 to 20 characters."""
    while True:
        alphabet = weighted(rng, {_LOWER + "0123456789": 0.5, _LOWER + "0123456789_": 0.3, _LOWER: 0.2})
        text = choice(rng, list(_LOWER)) + string(rng, alphabet, between(rng, 4, 19))
        if valid_handle(text):
            return text


def sibling(rng: np.random.Generator, known: str, base: str) -> str:
    """Another handle of the same shop: a digit turned on, the suffix changed, ``_bot`` or a number added; never ``known``."""
    digits = [i for i, char in enumerate(known) if char.isdigit()]
    for _ in range(50):
        if digits and chance(rng, 0.5):
            at = digits[-1]
            text = known[:at] + str((int(known[at]) + between(rng, 1, 3)) % 10) + known[at + 1 :]
        elif chance(rng, 0.4):
            text = _joined(rng, known, choice(rng, ("bot", "2", "3", "new", "rez", "1", "kz", str(between(rng, 2, 20)))))
        else:
            text = handle(rng, base)
        if text != known and valid_handle(text):
            return text
    return random_handle(rng)


def shop_name(rng: np.random.Generator, base: str) -> str:
    """How people call the shop: its stem as a title, sometimes with a word of trade."""
    title = base.replace("_", " ").title()
    return (
        f"{title} {choice(rng, ('Shop', 'Store', 'Market', 'Bazar', 'KZ', '24', 'Club', 'Team'))}" if chance(rng, 0.4) else title
    )
