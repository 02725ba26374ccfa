"""The routers of the Open311 endpoint; ``app.py`` takes them all."""

from __future__ import annotations

from fastapi import APIRouter

from . import discovery, requests

ROUTERS: tuple[APIRouter, ...] = (discovery.router, requests.router)
