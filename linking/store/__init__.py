"""The store: photos, adverts, resources, shops, clusters and every change to them, in SQLite or PostgreSQL."""

from .database import Store

__all__ = ["Store"]
