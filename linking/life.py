"""The life of a resource: identified on a wall, verified by an expert, sent for blocking, blocked, restored; or rejected.

People take every step after the first; tagtrace only records who, when, on what basis and by which order.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ..contract import TagtraceError


class ResourceState(StrEnum):
    """Where a resource stands."""

    IDENTIFIED = "identified"
    """Read off a wall, or named by a shop list; nobody has checked it."""
    VERIFIED = "verified"
    """An expert has looked at it and it sells drugs."""
    SENT = "sent"
    """Proposed for blocking to the body that orders it."""
    BLOCKED = "blocked"
    RESTORED = "restored"
    """Access was given back."""
    REJECTED = "rejected"
    """No target: misread, harmless, or gone."""


_S = ResourceState
STEPS: Final = MappingProxyType(
    {
        _S.IDENTIFIED: frozenset({_S.VERIFIED, _S.REJECTED}),
        _S.VERIFIED: frozenset({_S.SENT, _S.REJECTED, _S.IDENTIFIED}),
        _S.SENT: frozenset({_S.BLOCKED, _S.VERIFIED, _S.REJECTED}),
        _S.BLOCKED: frozenset({_S.RESTORED}),
        _S.RESTORED: frozenset({_S.VERIFIED, _S.REJECTED}),
        _S.REJECTED: frozenset({_S.IDENTIFIED}),
    }
)
"""The states that may follow each state. A request can be withdrawn (sent, verified), a verification taken back (verified,
identified) and a rejection reopened. Only a proposal that a second person approved leads to ``sent``: the store sees to that."""
BLOCKING: Final = frozenset({_S.SENT, _S.BLOCKED})
"""States that a protected value can never reach."""
_NEED_BASIS: Final = frozenset({_S.SENT, _S.BLOCKED, _S.RESTORED, _S.REJECTED})
_NEED_ORDER: Final = frozenset({_S.BLOCKED})


def check_step(what: str, old: ResourceState, new: ResourceState, *, basis: str, order_number: str, protected: bool) -> None:
    """Raise ``TagtraceError`` when a resource (``what`` names it) may not go from one state to another, or something is missing.

    ``basis`` is the legal or factual reason, ``order_number`` that of the order to block.
    """
    if protected and new in BLOCKING:
        raise TagtraceError(f"{what}: is protected (official or shared) and can never be {new}; reject it instead")
    if new not in STEPS[old]:
        allowed = ", ".join(sorted(STEPS[old]))
        raise TagtraceError(f"{what}: is {old} and cannot become {new}; from there it can become {allowed}")
    if new in _NEED_BASIS and not basis.strip():
        raise TagtraceError(f"{what}: cannot become {new} without a basis; say on what grounds (--basis)")
    if new in _NEED_ORDER and not order_number.strip():
        raise TagtraceError(f"{what}: cannot become {new} without the number of the order (--order)")
