"""How a process treats memory that it has done with: give it back at once, or keep it for the next photo.

Both set glibc's ``mallopt`` for the whole process, and do nothing where the C library is another.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
"""As glibc's ``malloc.h`` numbers them."""
_LARGE_BYTES = 1_000_000
"""Blocks of this size get memory of their own; glibc would raise the bound to 32 MB by itself and keep what is freed."""
_HEAPS = 2
"""Each thread would have its own otherwise, up to eight for each core."""
_KEPT_BYTES, _STEP_BYTES, _OWN_BYTES = 128_000_000, 16_000_000, 32_000_000
"""Free memory that is kept at the end of the heap; by how much it grows; blocks that do not come from it (glibc's most)."""


def bound_heap() -> None:
    """For a long-lived process that rests between photos: large blocks go back to the machine, few heaps for many threads."""
    _set({_M_MMAP_THRESHOLD: _LARGE_BYTES, _M_TRIM_THRESHOLD: _LARGE_BYTES, _M_ARENA_MAX: _HEAPS})


def keep_heap() -> None:
    """For a process that takes photo after photo: to give back and fetch again costs a page fault for every 4 KB."""
    _set({_M_MMAP_THRESHOLD: _OWN_BYTES, _M_TRIM_THRESHOLD: _KEPT_BYTES, _M_TOP_PAD: _STEP_BYTES})


def _set(values: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for number, value in values.items():
        mallopt(number, value)
