"""The routers of this package; ``app.py`` takes them all."""

from __future__ import annotations

from fastapi import APIRouter

from . import people

ROUTERS: tuple[APIRouter, ...] = (people.router,)
