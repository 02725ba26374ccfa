"""Adverts of the trade are told from lawful and official texts by what was read, and by how sure the detector is."""

from __future__ import annotations

import pytest

from tagtrace.contract import Code, Hypothesis, Line, Quad, Reading
from tagtrace.inference.identifiers import extract_advert
from tagtrace.inference.relevance import is_advert, lexicon, points

BOX: Quad = ((0.0, 0.0), (200.0, 0.0), (200.0, 20.0), (0.0, 20.0))


def inscription(*texts: str, confidence: float = 0.7) -> tuple[tuple[Line, ...], tuple[Code, ...]]:
    lines = []
    for number, text in enumerate(texts):
        quad: Quad = tuple((x, y + 30 * number) for x, y in BOX)  # type: ignore[assignment]
        lines.append(Line(quad, confidence, Reading(text, 0.95, (Hypothesis(text, -0.05),))))
    return tuple(lines), ()


def judged(*texts: str, confidence: float = 0.7) -> bool:
    lines, codes = inscription(*texts, confidence=confidence)
    return is_advert(lines, codes, extract_advert(lines, codes))


@pytest.mark.parametrize(
    "texts",
    [
        ("РАБОТА", "@zhuldyz_kz7"),
        ("@zhuldyz_kz7",),
        ("ЖҰМЫС БАР", "87495551146"),
        ("t.me/+AbCdEfGhIjKlMnOp",),
        ("ЗАКЛАДКИ", "zhuldyz-kz.club"),
        ("@zhuldуz_k", "НАБОР"),
        ("t.me/zh?l?",),  # the contact cannot be read, its beginning can
        ("ts_t.me/+g-t?t",),  # nor here, and something was read before it
        ("t.e/zh?l",),
        ("telagram.me/joinshat/q?P",),
        ("26pp5m7x5tyxy3o2ppsidmdrte7kj", "5uxnue5fxc6mpmneai52xwraqad"),  # a hidden service's name with letters missing
    ],
)
def test_adverts_are_kept(texts: tuple[str, ...]) -> None:
    assert judged(*texts)


@pytest.mark.parametrize(
    "texts",
    [
        ("СДАМ КВАРТИРУ", "ЗВОНИТЕ", "87495551697"),
        ("ГРУЗОПЕРЕВОЗКИ", "8 749 555 11 22"),
        ("РЕМОНТ ХОЛОДИЛЬНИКОВ", "+7 749 555 11 22"),
        ("ЕСІРТКІГЕ ЖОЛ ЖОҚ", "102"),
        ("МЫ ЗА ЗОЖ",),
        ("ПРОДУКТЫ",),
        ("49/1",),
        ("KASKA",),  # a tag
        ("© Google",),  # the watermark of a street picture
    ],
)
def test_other_texts_are_left_alone(texts: tuple[str, ...]) -> None:
    assert not judged(*texts)


def test_an_official_bot_alone_is_no_advert() -> None:
    assert not judged("ЕСІРТКІ ТУРАЛЫ ХАБАРЛА", "@sko_narkohelp_bot")


def test_a_messenger_contact_outweighs_a_lawful_word() -> None:
    assert judged("РЕМОНТ", "@zhuldyz_kz7")


def test_small_misreadings_of_a_word_count() -> None:
    right, _ = inscription("ТРЕБУЮТСЯ КУРЬЕРЫ")
    misread, _ = inscription("ТРЕБУЮТСА КУРБЕРЫ")
    other, _ = inscription("ТОПОЛИНАЯ АЛЛЕЯ")
    assert points(right, (), ()) == points(misread, (), ()) > points(other, (), ())


def test_surer_detections_never_count_less() -> None:
    values = [points(*inscription("ABC", confidence=c), ()) for c in (0.2, 0.5, 0.9)]
    assert values == sorted(values)


def test_no_word_stands_in_two_lists() -> None:
    lists = lexicon()
    assert not set(lists["advert"]) & set(lists["lawful"])
    assert not set(lists["advert"]) & set(lists["official"])
    assert not set(lists["lawful"]) & set(lists["official"])
    assert all(word == word.lower() for words in lists.values() for word in words)


def test_a_slogan_written_beside_an_advert_does_not_hide_it() -> None:
    """People write a slogan next to the address they cross out."""
    assert judged("МЫ ЗА ЗОЖ", "@zhuldyz_kz7")
    assert judged("СДАМ КВАРТИРУ", "РЕМОНТ", "@zhuldyz_kz7", confidence=0.5)
