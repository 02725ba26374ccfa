"""The routers of the desk; ``app.py`` takes them all."""

from __future__ import annotations

from fastapi import APIRouter

from . import adverts, frame, keys, maps, people, queue, register, search, shops, statistics

ROUTERS: tuple[APIRouter, ...] = (
    frame.router,
    queue.router,
    adverts.router,
    maps.router,
    shops.router,
    register.router,
    search.router,
    statistics.router,
    people.router,
    keys.router,
)
