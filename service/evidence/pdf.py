"""The part of an evidence pack that people read: PDF in Kazakh, Russian or English, made without any network."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from fpdf import FPDF
from fpdf.enums import Align, WrapMode

from ... import scoring

_FONT = "labels"
_MOST_PICTURES = 24
_GREY = 110
_BY_PEOPLE = frozenset({"merged", "split", "must_link", "cannot_link"})


class Lang(StrEnum):
    """Languages of the report."""

    KK = "kk"
    RU = "ru"
    EN = "en"


class _Report(FPDF):
    """A4 with the page's number below."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__(format="A4")
        self._words = words
        font = resources.files(scoring) / "assets" / "DejaVuSans-labels.ttf"
        with resources.as_file(font) as path:
            self.add_font(_FONT, "", str(path))
        self.set_font(_FONT, size=10)
        self.set_auto_page_break(True, margin=18)

    def footer(self) -> None:
        """The number of the page."""
        self.set_y(-14)
        self.set_font(_FONT, size=8)
        self.set_text_color(_GREY)
        self.cell(0, 6, f"{self._words['machine_notice']}   {self.page_no()}/{{nb}}", align="C")
        self.set_text_color(0)

    def title_line(self, text: str, size: int) -> None:
        """A heading."""
        self.ln(2)
        self.set_font(_FONT, size=size)
        self.multi_cell(0, size * 0.5, text, new_x="LMARGIN", new_y="NEXT")
        self.set_font(_FONT, size=10)

    def pair(self, name: str, value: object) -> None:
        """A name in grey and its value."""
        self.set_text_color(_GREY)
        self.cell(80, 5, name)
        self.set_text_color(0)
        self.multi_cell(
            0, 5, "-" if value in (None, "") else str(value), new_x="LMARGIN", new_y="NEXT", wrapmode=WrapMode.WORD, align=Align.L
        )


def render(case: Mapping[str, Any], pictures: Mapping[str, bytes], lang: Lang, zone: str) -> bytes:
    """The report as PDF. ``pictures`` are derivatives by their names in the pack; ``zone`` is for times shown beside UTC."""
    words, local = _words()[lang], ZoneInfo(zone)
    report = _Report(words)
    report.set_title(words["title"])
    report.set_lang(lang)
    report.add_page()
    report.title_line(words["title"], 18)
    for name, value in case["subject"].items():
        report.pair(words[name], value)
    report.pair(words["made_at"], _time(case["made_at"], local))
    report.pair(words["made_by"], case["made_by"])
    report.pair("tagtrace", case["tagtrace"])
    report.pair(words["audit_head"], f"{case['audit_head']['number']}  {case['audit_head']['hash']}")
    report.pair(words["chain"], words["whole"] if case["audit_head"]["intact"] else words["broken"])
    _resources(report, case, words, local)
    _decisions(report, case, words, local)
    _adverts(report, case, pictures, words, local)
    _clusters(report, case, words, local)
    _audit(report, case, words)
    return bytes(report.output())


def _resources(report: _Report, case: Mapping[str, Any], words: Mapping[str, str], local: ZoneInfo) -> None:
    report.title_line(words["resources"], 14)
    for item in case["resources"]:
        report.pair(item["kind"], f"{item['value']}  ({words.get(item['state'], item['state'])})")
        for step in item["life"]:
            basis = " ".join(filter(None, (step["basis"], step["order_number"])))
            report.pair(_time(step["at"], local), f"{words.get(step['new'], step['new'])}, {step['actor']}. {basis}")
        report.ln(1)


def _decisions(report: _Report, case: Mapping[str, Any], words: Mapping[str, str], local: ZoneInfo) -> None:
    report.title_line(words["decisions"], 14)
    for item in case["decisions"]:
        about = item["identifier_value"] or (item["photo_sha256"] or "")[:12]
        report.pair(_time(item["at"], local), f"{item['actor']}: {item['subject']} {item['verdict']} {about}. {item['why']}")
    for item in case["proposals"]:
        decided = f"; {item['decided_by']} {_time(item['decided_at'], local)}" if item["decided_at"] else ""
        said = f"{item['actor']}: {item['action']} {item['value']}, {item['state']}{decided}. {item['basis']}"
        report.pair(_time(item["at"], local), said)
    if not case["decisions"] and not case["proposals"]:
        report.pair("", words["none"])


def _adverts(
    report: _Report, case: Mapping[str, Any], pictures: Mapping[str, bytes], words: Mapping[str, str], local: ZoneInfo
) -> None:
    shown = 0
    report.title_line(f"{words['adverts']}: {case['adverts_in_all']}", 14)
    for advert in case["adverts"]:
        photo = advert["photo"]
        if report.will_page_break(70):
            report.add_page()
        picture = pictures.get(f"pictures/{photo['sha256']}-{advert['number']}.jpg")
        if picture is not None and shown < _MOST_PICTURES:
            report.image(io.BytesIO(picture), w=80, h=45, keep_aspect_ratio=True)
            shown += 1
        report.pair("SHA-256", photo["sha256"])
        report.pair(words["received"], _time(photo["received_at"], local))
        report.pair(words["taken"], _time(photo["taken_at"], local))
        report.pair(words["place"], None if photo["lat"] is None else f"{photo['lat']:.6f}, {photo['lon']:.6f}")
        report.pair(words["cluster"], advert["cluster"])
        for reading in advert["readings"]:
            report.pair(words["reading"], f"{reading['text']}   {reading['confidence']:.2f}")
        for contact in advert["contacts"]:
            report.pair(contact["kind"], f"{contact['value']}   {contact['confidence']:.2f}")
        for contact in advert["contacts_read"]:
            report.pair(words["was_read"], f"{contact['kind']} {contact['value']}   {contact['confidence']:.2f}")
        for model in advert["read"]["models"]:
            report.pair(words["model"], f"{model['name']}  {model['sha256'][:16]}…")
        report.ln(3)


def _clusters(report: _Report, case: Mapping[str, Any], words: Mapping[str, str], local: ZoneInfo) -> None:
    """What people did to the clusters: what was joined by itself is in the JSON."""
    for item in case["clusters"]:
        said = [event for event in item["events"] if event["kind"] in _BY_PEOPLE]
        if not said and not item["former_ids"]:
            continue
        report.title_line(f"{words['cluster']} {item['id']}", 12)
        for name in item["former_ids"]:
            report.pair(words["former_id"], name)
        for event in said:
            ids = " ".join(filter(None, (event["kind"], event["cluster"], event["other"])))
            report.pair(_time(event["at"], local), f"{event['actor']}: {ids}. {'; '.join(event['why'])}")


def _audit(report: _Report, case: Mapping[str, Any], words: Mapping[str, str]) -> None:
    report.title_line(words["audit"], 14)
    report.set_font(_FONT, size=7)
    for entry in case["audit"]:
        said = f"{entry['number']}  {entry['at'][:19]}Z  {entry['actor']}  {entry['action']}  {entry['object'][:60]}"
        said += f"\n{entry['hash']}"
        report.multi_cell(0, 3.4, said, new_x="LMARGIN", new_y="NEXT", wrapmode=WrapMode.CHAR, align=Align.L)


def _time(at: datetime | None, local: ZoneInfo) -> str:
    if at is None:
        return "-"
    return f"{at:%Y-%m-%d %H:%M:%S}Z  ({at.astimezone(local):%d.%m.%Y %H:%M})"


@lru_cache(maxsize=1)
def _words() -> dict[str, dict[str, str]]:
    text = (resources.files(__package__) / "words.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
