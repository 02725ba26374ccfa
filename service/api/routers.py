"""The routers of this package; ``app.py`` takes them all."""

from __future__ import annotations

from fastapi import APIRouter

from . import decisions, people, register, reporters

ROUTERS: tuple[APIRouter, ...] = (people.router, register.router, decisions.router, reporters.router)
