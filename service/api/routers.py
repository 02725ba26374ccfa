"""The routers of this package; ``app.py`` takes them all."""

from __future__ import annotations

from fastapi import APIRouter

from . import decisions, exports, people, register, reporters

ROUTERS: tuple[APIRouter, ...] = (people.router, register.router, decisions.router, reporters.router, exports.router)
