"""The routers of this package; ``app.py`` takes them all."""

from __future__ import annotations

from fastapi import APIRouter

from . import decisions, evidence, exports, people, pictures, register, reporters, statistics, suggestions

ROUTERS: tuple[APIRouter, ...] = (
    people.router,
    register.router,
    decisions.router,
    reporters.router,
    exports.router,
    pictures.router,
    evidence.router,
    statistics.router,
    suggestions.router,
)
