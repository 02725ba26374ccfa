"""What there is: the discovery document, the list of services, and the questions of each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from ..access import PUBLIC
from ..problems import ProblemError
from ..state import StateDep
from .described import LanguageDep, both, jurisdiction, open311_router
from .forms import MEDIA_TYPES, PREFIX, Document, write
from .services import Service, catalogue

router = open311_router()
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
_ANYBODY = [PUBLIC, Depends(jurisdiction)]
ServiceCode = Annotated[str, Path(pattern=r"^[^\x00/.]{1,64}$")]


class EndpointView(BaseModel):
    """Where GeoReport is spoken."""

    specification: str
    url: str
    changeset: str
    type: str
    formats: list[str]


class DiscoveryView(BaseModel):
    """The discovery document."""

    changeset: str
    contact: str
    key_service: str
    endpoints: list[EndpointView]


class ServiceView(BaseModel):
    """One service."""

    service_code: str
    service_name: str
    description: str
    metadata: bool
    type: str
    keywords: str
    group: str


class AttributeView(BaseModel):
    """One question of a service."""

    variable: bool
    code: str
    datatype: str
    required: bool
    datatype_description: str | None
    order: int
    description: str


class DefinitionView(BaseModel):
    """The questions of a service."""

    service_code: str
    attributes: list[AttributeView]


@both(
    router, "/discovery", "GET", summary="Where and how this endpoint is reached", answers=DiscoveryView, failures=(400, 404),
    dependencies=_ANYBODY,
)  # fmt: skip
def discover(request: Request, state: StateDep) -> Response:
    """The discovery document of Open311."""
    settings, changeset = state.settings, catalogue().changeset
    endpoint = {
        "specification": SPECIFICATION,
        "url": f"{settings.public_url}{PREFIX}",
        "changeset": changeset,
        "type": "test" if settings.development else "production",
        "formats": list(MEDIA_TYPES.values()),
    }
    named = {"changeset": changeset, "contact": settings.open311_contact, "key_service": settings.open311_key_service}
    return write(request, Document("discovery", {**named, "endpoints": [endpoint]}))


@both(
    router, "/services", "GET", summary="What can be reported", answers=list[ServiceView], failures=(400, 404),
    dependencies=_ANYBODY,
)  # fmt: skip
def list_services(request: Request, language: LanguageDep) -> Response:
    """In the language that `Accept-Language` asks for: kk, ru or en."""
    return write(request, Document("services", [_service(item, language) for item in catalogue().services.values()]))


@both(
    router, "/services/{service_code}", "GET", summary="The questions of a service", answers=DefinitionView, failures=(400, 404),
    dependencies=_ANYBODY,
)  # fmt: skip
def define_service(request: Request, service_code: ServiceCode, language: LanguageDep) -> Response:
    """Answers are sent as `attribute[code]=…`."""
    service = known_service(service_code)
    attributes: list[dict[str, Any]] = [
        {
            "variable": True,
            "code": item.code,
            "datatype": item.datatype,
            "required": item.required,
            "datatype_description": None,
            "order": order,
            "description": item.description[language],
            "values": [],
        }
        for order, item in enumerate(service.attributes, start=1)
    ]
    return write(request, Document("service_definition", {"service_code": service.code, "attributes": attributes}))


def known_service(code: str) -> Service:
    """The service with a code. ``ProblemError`` 404 for any other."""
    service = catalogue().services.get(code)
    if service is None:
        known = ", ".join(catalogue().services)
        raise ProblemError(404, f"service_code {code[:64]} was not found; there are: {known}.", "service-not-found")
    return service


def _service(item: Service, language: str) -> dict[str, Any]:
    texts = {"service_name": item.name[language], "description": item.description[language], "group": item.group[language]}
    named = {"service_code": item.code, "metadata": bool(item.attributes), "type": item.type, "keywords": item.keywords}
    return {name: {**named, **texts}[name] for name in ServiceView.model_fields}
