"""What an expert decides about without a picture: a contact that reports name, all of them together, as the tables say it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.orm import Session

from ...contract import Band, Flag, Outcome
from ..life import ResourceState
from .queue_walls import Chosen, parts, weight
from .report_tables import ReportContactRow
from .tables import AdvertRow, AnalysisRow, DecisionRow, IdentifierRow, ResourceRow
from .verdicts import DECIDING, NAMED_SUBJECT, Word, not_taken_back, review_of

_SAYING = (str(Word.CONFIRMED), str(Word.CORRECTED))


@dataclass(slots=True)
class Named:
    """A contact that reports name. ``content`` is the identifier with its link, as the newest report has it."""

    name: str
    kind: str
    value: str
    reports: int
    content: dict[str, Any]
    state: str = ""
    """Of its resource; "" without one."""
    resource: int = 0
    decided: bool = False
    """Whether somebody has decided about it, or about an advert that shows it."""

    @property
    def link(self) -> dict[str, Any]:
        """The columns of its link; empty without one."""
        return self.content.get("link") or {}

    @property
    def new(self) -> bool:
        """Whether no listed shop has it."""
        return bool(self.link.get("outcome") == Outcome.NEW)

    @property
    def doubt(self) -> float:
        """0 for said and linked surely, 1 for not at all."""
        return 1.0 if self.link.get("band") == Band.REVIEW else 1.0 - float(self.content["confidence"])

    def is_open(self) -> bool:
        """Whether somebody has to decide about it: what is protected, or has gone on from ``identified``, needs no decision."""
        protected = Flag.PROTECTED in self.content["flags"]
        return not protected and not self.decided and self.state in ("", ResourceState.IDENTIFIED)

    def is_left(self) -> bool:
        """As ``is_open``: it waits for no photo."""
        return self.is_open()

    def score(self) -> float:
        """How much it matters."""
        unknown = self.link.get("band") != Band.AUTOMATIC
        return weight(self.reports, new=self.new, doubt=self.doubt, silent=False, unknown=unknown)

    def parts(self) -> list[Chosen]:
        """The parts of the queue that it is in."""
        return [*parts(self.reports, new=self.new, doubt=self.doubt), Chosen.NAMED]

    def row(self) -> dict[str, Any]:
        """Its columns in the table of the queue."""
        seen = {"first": self.resource, "seen": self.reports, "new": self.new, "doubt": self.doubt, "silent": False}
        return {"wall": self.name, "photo": None, "score": self.score(), "again": False, "back": "", "asked": None, **seen}


def load_named(session: Session, names: Sequence[str]) -> list[Named]:
    """The contacts with some names (``named_as``), few enough for one query, that reports name."""
    newest = func.max(ReportContactRow.report_id)
    counts = select(ReportContactRow.named, newest, func.count(func.distinct(ReportContactRow.report_id)))
    counts = counts.where(ReportContactRow.named.in_(names)).group_by(ReportContactRow.named)
    told = {(report, name): count for name, report, count in session.execute(counts)}
    if not told:
        return []
    pair = tuple_(ReportContactRow.report_id, ReportContactRow.named)
    same = and_(ResourceRow.kind == ReportContactRow.kind, ResourceRow.value == ReportContactRow.value)
    rows = select(ReportContactRow, ResourceRow.id, ResourceRow.state).outerjoin(ResourceRow, same)
    found = {}
    for row, number, state in session.execute(rows.where(pair.in_(sorted(told)))):
        count = told[row.report_id, row.named]
        found[row.named] = Named(row.named, row.kind, row.value, count, row.content, state or "", number or 0)
    decided = _decided(session, {(item.kind, item.value) for item in found.values()})
    for item in found.values():
        item.decided = (item.kind, item.value) in decided
    return [found[name] for name in sorted(found)]


def _decided(session: Session, contacts: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those that somebody has decided about, themselves or on an advert."""
    wanted = sorted(contacts)
    own = tuple_(DecisionRow.identifier_kind, DecisionRow.identifier_value).in_(wanted)
    rows = select(DecisionRow).where(DecisionRow.subject == NAMED_SUBJECT, own).order_by(DecisionRow.id)
    said = not_taken_back(map(review_of, session.scalars(rows)))
    decided = {(str(item.contact[0]), item.contact[1]) for item in said if item.contact is not None and item.word in DECIDING}
    shown = select(IdentifierRow.kind, IdentifierRow.value).join(AdvertRow, AdvertRow.id == IdentifierRow.advert_id)
    shown = shown.join(AnalysisRow, and_(AnalysisRow.id == AdvertRow.analysis_id, AnalysisRow.latest))
    shown = shown.join(DecisionRow, and_(DecisionRow.id == AdvertRow.decision_id, DecisionRow.verdict.in_(_SAYING)))
    shown = shown.where(tuple_(IdentifierRow.kind, IdentifierRow.value).in_(wanted))
    return decided | {(kind, value) for kind, value in session.execute(shown.distinct())}
