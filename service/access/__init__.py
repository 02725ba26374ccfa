"""Access: API keys for systems, sessions for people, and who may call what."""

from __future__ import annotations

from .allow import MUST_CHANGE, PRINCIPAL, PUBLIC, SIGN_IN, Allow, Public, SignIn, allow
from .roles import Caller, Principal, Role, Scope

__all__ = [
    "MUST_CHANGE",
    "PRINCIPAL",
    "PUBLIC",
    "SIGN_IN",
    "Allow",
    "Caller",
    "Principal",
    "Public",
    "Role",
    "Scope",
    "SignIn",
    "allow",
]
