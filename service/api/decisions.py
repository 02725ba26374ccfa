"""What people decide: about adverts, and, two of them, about sending resources for blocking and about protection."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ...contract import IdentifierKind, Link
from ...linking.canonical import canonical_value
from ...linking.store import lists, named_reviews, proposals, reviews
from ...linking.store.reviews import Word
from ...linking.store.tracks import follow_resource
from ..access import Principal, Role, Scope, allow
from ..deciding import follow_contacts, links_of, take_back, tell_reports
from ..joining import join_adverts
from ..problems import InvalidField, ProblemError, problems
from ..state import StateDep
from . import paging
from .register import AdvertKey, Expert, Number, missing, one_advert, review_view
from .views import ReviewView

router = APIRouter(prefix="/v1", tags=["decisions"])
Reader = Annotated[Principal, allow(Role.ANALYST, Role.EXPERT, Role.ADMINISTRATOR, Scope.REGISTER_READ)]


class Verdict(StrEnum):
    """What an expert can say of an advert."""

    CONFIRM = "confirm"
    CORRECT = "correct"
    REJECT = "reject"
    NOT_ADVERT = "not_advert"
    SAME_AS = "same_as"
    ANOTHER_PHOTO = "another_photo"


class Contact(BaseModel):
    """A contact as a person types it."""

    kind: IdentifierKind
    value: str = Field(min_length=1, max_length=2000)


class AdvertDecision(BaseModel):
    """A decision about an advert."""

    verdict: Verdict
    verify: bool = Field(default=False, description="Also: its resources were looked at, and they sell. For confirm and correct.")
    texts: list[str] | None = Field(
        default=None, max_length=50, description="For correct: what each line says; as read where left out."
    )
    contacts: list[Contact] = Field(default=[], max_length=20, description="For correct: the contacts that it really shows.")
    same_as: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}-[0-9]{1,4}$", description="For same_as: another advert, which is the same one."
    )
    why: str = Field(default="", max_length=2000)


class DecisionView(BaseModel):
    """A decision about an advert, a link, a resource, a shop or a cluster."""

    id: int
    at: datetime
    actor: str
    subject: str
    verdict: str
    why: str
    advert: str | None
    kind: str | None
    value: str | None
    resource_id: int | None
    shop_id: str | None
    details: dict[str, Any]


class Reason(BaseModel):
    """Why something is done."""

    why: str = Field(min_length=1, max_length=2000)


class Proposal(BaseModel):
    """What takes a second person."""

    action: proposals.Action
    contact: Contact
    basis: str = Field(min_length=1, max_length=2000, description="On what grounds.")


class ProposalView(BaseModel):
    """A proposal and what became of it."""

    id: int
    action: str
    kind: str
    value: str
    basis: str
    state: str
    at: datetime
    actor: str
    decided_at: datetime | None
    decided_by: str | None
    why: str


@router.post(
    "/adverts/{key}/decisions",
    status_code=201,
    summary="Decide about an advert",
    responses=problems(401, 403, 404, 409, 413, 422, 429),
)
def decide(state: StateDep, expert: Expert, key: AdvertKey, given: AdvertDecision) -> ReviewView:
    """Contacts and links are what the decision says from now on; what was read is kept beside it and comes back when the decision
    is taken back."""
    contacts = [canonical(contact, f"body.contacts.{i}.value") for i, contact in enumerate(given.contacts)]
    if given.verdict is Verdict.CORRECT and not contacts:
        raise _wrong("body.contacts", "say which contacts it really shows")
    if given.verdict is Verdict.SAME_AS and given.same_as in (None, key):
        raise _wrong("body.same_as", "say which other advert it is the same as")
    if given.verdict is Verdict.REJECT and not given.why.strip():
        raise _wrong("body.why", "say why it is rejected")

    links = links_of(state.register, contacts) if given.verdict is Verdict.CORRECT else {}

    def change(session: Any) -> ReviewView:
        advert, now = one_advert(session, key), datetime.now(UTC)
        review = _record(session, given, advert, contacts, links, now)
        follow_contacts(session, review, now)
        return review_view(review)

    return state.store.write(change, expert.actor)


def _record(
    session: Any,
    given: AdvertDecision,
    advert: lists.ListedAdvert,
    contacts: list[tuple[IdentifierKind, str]],
    links: dict[tuple[IdentifierKind, str], Link],
    now: datetime,
) -> reviews.Review:
    key = advert.key
    if given.verdict is Verdict.CONFIRM:
        return reviews.confirm(session, key, verify=given.verify, why=given.why)
    if given.verdict is Verdict.CORRECT:
        texts = given.texts if given.texts is not None else [text for text, _ in advert.texts]
        return reviews.correct(session, key, texts, contacts, verify=given.verify, why=given.why, links=links)
    if given.verdict is Verdict.SAME_AS:
        other = one_advert(session, str(given.same_as)).key
        details = join_adverts(session, other, key, given.why, now)
        return reviews.record(session, key, Word.SAME_AS, given.why, details)
    if given.verdict is Verdict.ANOTHER_PHOTO:
        review = reviews.record(session, key, Word.ANOTHER_PHOTO, given.why)
        tell_reports(session, key, "another_photo", now)
        return review
    return reviews.record(session, key, Word.REJECTED if given.verdict is Verdict.REJECT else Word.NOT_ADVERT, given.why)


@router.post(
    "/decisions/{decision}/undo",
    status_code=201,
    summary="Take a decision about an advert or a named contact back",
    responses=problems(401, 403, 404, 409, 422, 429),
)
def undo(state: StateDep, expert: Expert, decision: Number) -> ReviewView:
    """The last one on an advert, by who took it; the one before it stands again. Nothing is deleted, and what came of it is taken
    back too."""

    def change(session: Any) -> ReviewView:
        found = lists.decisions(session, subject=None, verdict=None, actor=None, photo=None, before=decision + 1, limit=1)
        if not found or found[0].id != decision:
            raise missing("decision", str(decision))
        taken = take_back(session, decision, datetime.now(UTC))
        named = taken.contact
        said = reviews.reviews_of(session, [taken.key]) if named is None else named_reviews.reviews_of_contact(session, named)
        return review_view(said[-1])

    return state.store.write(change, expert.actor)


@router.get("/decisions", summary="List decisions", responses=problems(401, 403, 422, 429))
def list_decisions(
    state: StateDep,
    _: Reader,
    subject: Annotated[str | None, Query(max_length=32, pattern=r"^[a-z_]+$")] = None,
    verdict: Annotated[str | None, Query(max_length=32, pattern=r"^[a-z_]+$")] = None,
    actor: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
    photo: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> paging.Page[DecisionView]:
    """The newest first."""
    before = paging.number(cursor)
    with state.store.read() as session:
        found = lists.decisions(
            session, subject=subject, verdict=verdict, actor=actor, photo=photo, before=before, limit=limit + 1
        )
    following = paging.encode(found[limit - 1].id) if len(found) > limit else None
    return paging.Page[DecisionView](items=[_decision(row) for row in found[:limit]], next=following)


@router.post("/proposals", status_code=201, summary="Propose", responses=problems(401, 403, 409, 413, 422, 429))
def propose(state: StateDep, expert: Expert, given: Proposal) -> ProposalView:
    """To send a verified resource for blocking, or to override a protection: another expert approves."""
    kind, value = canonical(given.contact, "body.contact.value")
    now = datetime.now(UTC)
    row = state.store.write(lambda session: proposals.propose(session, given.action, kind, value, given.basis, now), expert.actor)
    return _proposal(row)


@router.get("/proposals", summary="List proposals", responses=problems(401, 403, 422, 429))
def list_proposals(
    state: StateDep,
    _: Reader,
    where: Annotated[proposals.ProposalState | None, Query(alias="state")] = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> paging.Page[ProposalView]:
    """The newest first."""
    with state.store.read() as session:
        found = proposals.list_proposals(session, where, paging.number(cursor), limit + 1)
    following = paging.encode(found[limit - 1].id) if len(found) > limit else None
    return paging.Page[ProposalView](items=[_proposal(row) for row in found[:limit]], next=following)


@router.post("/proposals/{proposal}/approve", summary="Approve a proposal", responses=problems(401, 403, 404, 409, 422, 429))
def approve(state: StateDep, expert: Expert, proposal: Number) -> ProposalView:
    """Does what it says. Never one's own (409)."""

    def change(session: Any) -> ProposalView:
        _known(session, proposal)
        now = datetime.now(UTC)
        row = proposals.approve(session, proposal, now)
        follow_resource(session, IdentifierKind(row.kind), row.value, now)
        return _proposal(row)

    return state.store.write(change, expert.actor)


@router.post("/proposals/{proposal}/decline", summary="Decline a proposal", responses=problems(401, 403, 404, 409, 413, 422, 429))
def decline(state: StateDep, expert: Expert, proposal: Number, given: Reason) -> ProposalView:
    """Also to take one's own back."""

    def change(session: Any) -> ProposalView:
        _known(session, proposal)
        return _proposal(proposals.decline(session, proposal, given.why, datetime.now(UTC)))

    return state.store.write(change, expert.actor)


def canonical(contact: Contact, field: str) -> tuple[IdentifierKind, str]:
    """The canonical value of a contact as typed. ``ProblemError`` 422 where it is none of its kind."""
    value = canonical_value(contact.kind, contact.value)
    if value is None:
        raise _wrong(field, f"is no {contact.kind}")
    return contact.kind, value


def _known(session: Any, number: int) -> None:
    found = proposals.list_proposals(session, None, number + 1, 1)
    if not found or found[0].id != number:
        raise missing("proposal", str(number))


def _wrong(field: str, message: str) -> ProblemError:
    return ProblemError(
        422, f"These values are wrong: {field}.", "invalid-values", errors=[InvalidField(field=field, message=message)]
    )


def _proposal(row: proposals.ProposalRow) -> ProposalView:
    return ProposalView(**{name: getattr(row, name) for name in ProposalView.model_fields})


def _decision(row: Any) -> DecisionView:
    names = ("id", "at", "actor", "subject", "verdict", "why", "resource_id", "shop_id", "details")
    advert = None if row.photo_sha256 is None or row.advert is None else f"{row.photo_sha256}-{row.advert}"
    contact = {"kind": row.identifier_kind, "value": row.identifier_value}
    return DecisionView(**{name: getattr(row, name) for name in names}, advert=advert, **contact)
