"""Access: API keys for systems, sessions for people, and who may call what."""

from __future__ import annotations

from .allow import PUBLIC, Allow, Public, allow
from .roles import Caller, Principal, Role, Scope

__all__ = ["PUBLIC", "Allow", "Caller", "Principal", "Public", "Role", "Scope", "allow"]
