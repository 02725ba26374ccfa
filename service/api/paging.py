"""Pages: a cursor stands for the last item of a page, so that nothing is shown twice or left out while others write."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from ..problems import InvalidField, ProblemError

T = TypeVar("T")
_LONGEST = 400

Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=_LONGEST, description="`next` of the page before.")]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


def encode(key: int | str) -> str:
    """The cursor that stands for an item."""
    return base64.urlsafe_b64encode(json.dumps(key, ensure_ascii=False).encode("utf-8")).decode("ascii").rstrip("=")


def number(cursor: str | None) -> int | None:
    """The number that a cursor stands for. ``ProblemError`` 422 for a text that is no cursor."""
    found = _decode(cursor)
    if found is not None and (not isinstance(found, int) or isinstance(found, bool) or abs(found) >= 1 << 62):
        raise _wrong()
    return found


def word(cursor: str | None) -> str | None:
    """The text that a cursor stands for. ``ProblemError`` 422 for a text that is no cursor."""
    found = _decode(cursor)
    if found is not None and (not isinstance(found, str) or "\x00" in found):
        raise _wrong()
    return found


def _decode(cursor: str | None) -> object:
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found: object = json.loads(text.decode("utf-8"))
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        raise _wrong() from None
    if found is None:
        raise _wrong()
    return found


def _wrong() -> ProblemError:
    wrong = InvalidField(field="query.cursor", message="is no cursor of this list")
    return ProblemError(422, "These values are wrong: query.cursor.", "invalid-values", errors=[wrong])
