"""What the answers of the register look like."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from ...linking.life import ResourceState


class ContactView(BaseModel):
    """A contact in an advert, as read, and how it is linked."""

    kind: str
    value: str
    confidence: float
    flags: list[str]
    outcome: str | None
    probability: float | None
    shop_id: str | None
    resource_id: int | None


class ReviewView(BaseModel):
    """What a person said of an advert."""

    id: int
    at: datetime
    actor: str
    verdict: str
    why: str


class AdvertLine(BaseModel):
    """An advert in a list. What it says was read by a machine; `review` is what a person said of it."""

    key: str
    photo: str
    number: int
    received_at: datetime
    taken_at: datetime | None
    lat: float | None
    lon: float | None
    quad: list[list[float]] = Field(description="Corners in pixels of the photo.")
    cluster: str | None
    texts: list[str]
    confidences: list[float]
    codes: list[str]
    contacts: list[ContactView]
    review: ReviewView | None


class AdvertView(AdvertLine):
    """An advert with all that people said of it."""

    reviews: list[ReviewView]


class ClusterLine(BaseModel):
    """All sightings of one physical advert."""

    id: str
    size: int
    state: str
    first_seen: datetime | None
    last_seen: datetime | None


class ClusterEventView(BaseModel):
    """A line of the log of clusters."""

    number: int
    at: datetime
    actor: str
    kind: str
    why: list[str]


class ClusterView(ClusterLine):
    """A cluster with its sightings and its history."""

    redirected_from: str | None
    adverts: list[str]
    events: list[ClusterEventView]


class ShopLine(BaseModel):
    """A seller."""

    id: str
    name: str
    resources: int


class ResourceLine(BaseModel):
    """A contact as something that can be verified, sent for blocking, blocked, restored."""

    id: int
    kind: str
    value: str
    state: str
    shop_id: str | None
    shop_name: str
    adverts: int


class ShopView(ShopLine):
    """A seller with the contacts."""

    former_ids: list[str]
    links: int
    contacts: list[ResourceLine]


class StepView(BaseModel):
    """A step in the life of a resource."""

    from_state: str | None
    to_state: str
    at: datetime
    actor: str
    basis: str
    order_number: str


class ResourceView(ResourceLine):
    """A resource with its life."""

    steps: list[StepView]


class Step(BaseModel):
    """The next step of a resource; sending it for blocking takes two people (`/v1/proposals`)."""

    state: ResourceState
    basis: str = Field(default="", max_length=2000)
    order_number: str = Field(default="", max_length=200)
