"""Exports for the blocking system: the same rows as CSV, JSON, STIX 2.1, a MISP event or GeoJSON."""

from __future__ import annotations

from .formats import FORMATS, Format, write

__all__ = ["FORMATS", "Format", "write"]
