"""Memory that a long-lived process has done with goes back to the machine: large blocks at once, few heaps for many threads."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _M_ARENA_MAX = -3, -1, -8
"""As glibc's ``malloc.h`` numbers them."""
_LARGE_BYTES = 1_000_000
"""Blocks of this size get memory of their own; glibc would raise the bound to 32 MB by itself and keep what is freed."""
_HEAPS = 2
"""Each thread would have its own otherwise, up to eight for each core."""


def bound_heap() -> None:
    """Set it for this process; does nothing where the C library is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for number, value in ((_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _LARGE_BYTES), (_M_ARENA_MAX, _HEAPS)):
        mallopt(number, value)
