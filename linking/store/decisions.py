"""What people decided about links, in the store: who, when, why; it stays when the photo is analysed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from . import shops
from .audit import actor_of, note
from .resources import find, register
from .tables import DecisionRow, ResourceRow

Contact = tuple[IdentifierKind, str]
_UNDONE = "undone"


class Verdict(StrEnum):
    """What a person says of an identifier on a wall and a resource."""

    SAME = "same"
    MISREAD = "misread"
    """The wall says the resource; the identifier was misread."""
    SIBLING = "sibling"
    """Another resource of the same shop."""
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True)
class LinkDecision:
    """A verdict on one identifier in one advert (None: reports name it). ``resource`` is what it was compared with."""

    photo_sha256: str | None
    advert: int | None
    identifier: Contact
    verdict: Verdict
    resource: Contact
    why: str = ""


def decide_link(session: Session, decision: LinkDecision) -> None:
    """Record a verdict. A confirmed sibling that has no shop yet goes to the shop of the resource.

    Raises ``TagtraceError`` when the resource is unknown, or the verdict ``same`` is given to two different values.
    """
    kind, value = decision.identifier
    numbers = find(session, [decision.resource])
    if decision.resource not in numbers:
        raise TagtraceError(f"{_words(decision.resource)}: no such resource; register it first")
    if (decision.verdict is Verdict.SAME) and decision.identifier != decision.resource:
        raise TagtraceError(f"{kind} {value} is not {_words(decision.resource)}; a value read wrongly is a misread")
    number = numbers[decision.resource]
    shop = session.scalar(select(ResourceRow.shop_id).where(ResourceRow.id == number))
    session.add(
        DecisionRow(
            at=datetime.now(UTC),
            actor=actor_of(session),
            subject="link",
            verdict=decision.verdict,
            why=decision.why,
            photo_sha256=decision.photo_sha256,
            advert=decision.advert,
            identifier_kind=kind,
            identifier_value=value,
            resource_id=number,
            shop_id=shop,
            details={},
        )
    )
    photo = f"photo {decision.photo_sha256} advert {decision.advert}"
    what = photo if decision.photo_sha256 is not None else f"contact {kind} {value}"
    said = {"identifier": f"{kind} {value}", "resource": _words(decision.resource), "why": decision.why}
    note(session, f"link.{decision.verdict}", what, said)
    if decision.verdict is Verdict.SIBLING and decision.identifier != decision.resource:
        own = register(session, [decision.identifier], "confirmed sibling")[decision.identifier]
        theirs = session.scalar(select(ResourceRow.shop_id).where(ResourceRow.id == own))
        if shop is not None and theirs is None:
            shops.assign(session, decision.identifier, shop, f"confirmed sibling of {_words(decision.resource)}")


def confirmed_siblings(session: Session) -> Iterator[tuple[Contact, Contact]]:
    """Pairs of contacts that people called siblings, and did not call unrelated later."""
    rows = select(DecisionRow, ResourceRow).join(ResourceRow, ResourceRow.id == DecisionRow.resource_id)
    words = session.execute(rows.where(DecisionRow.subject == "link").order_by(DecisionRow.id)).all()
    undone = {int(row.details.get("undoes", 0)) for row, _ in words if row.verdict == _UNDONE}
    last: dict[tuple[Contact, Contact], str] = {}
    for row, resource in words:
        if row.id in undone or "undoes" in row.details:
            continue
        own, known = (
            (IdentifierKind(str(row.identifier_kind)), str(row.identifier_value)),
            (IdentifierKind(resource.kind), resource.value),
        )
        a, b = sorted([own, known])
        last[a, b] = row.verdict
    yield from (pair for pair, verdict in last.items() if verdict == Verdict.SIBLING and pair[0] != pair[1])


def _words(contact: Contact) -> str:
    return f"{contact[0]} {contact[1]}"
