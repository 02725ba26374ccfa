"""The review desk: pages for experts and analysts, rendered here, with no script or style from anywhere else."""

from __future__ import annotations
