"""The known resources of shops, looked up by value, by look, by the name behind it, and by what is near it. In memory."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
from rapidfuzz.distance import Levenshtein

from ..contract import IdentifierKind, Resource
from ..inference.identifiers.fold import skeleton
from .candidates import CandidateIndex
from .stems import Rarity, has_stem, shortened, stem


class _Keyed:
    """Rows found by a key, of which only the hash is kept: 16 bytes per row, however long the keys are.

    Rows of other keys with the same hash may come along: ask each whether it is the right one.
    """

    def __init__(self, hashes: Sequence[int], rows: Sequence[int]) -> None:
        """One row per hash; rows of one key stay in their order."""
        every = np.fromiter(hashes, np.int64, len(hashes))
        order = np.argsort(every, kind="stable")
        self._hashes = every[order]
        self._rows = np.fromiter(rows, np.int64, len(rows))[order].astype(np.int32)

    def rows(self, key: Hashable) -> list[int]:
        """The rows of a key."""
        wanted = np.int64(hash(key))
        first, last = np.searchsorted(self._hashes, wanted, "left"), np.searchsorted(self._hashes, wanted, "right")
        found: list[int] = self._rows[first:last].tolist()
        return found


class Shops:
    """The known resources of shops, ready to be looked up. Immutable; the order of the resources does not matter."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.resources: tuple[Resource, ...] = tuple(sorted(dict.fromkeys(resources), key=_resource_order))
        self.names: dict[str, str] = {}
        exact, alike, stems, stem_rows, short, short_rows = (array("q") for _ in range(6))
        for row, resource in enumerate(self.resources):
            self.names[resource.shop_id] = self.names.get(resource.shop_id) or resource.shop_name
            exact.append(hash((resource.kind, resource.value)))
            alike.append(hash((resource.kind, skeleton(resource.value))))
            if has_stem(resource.kind):
                text = stem(resource.kind, resource.value)
                stems.append(hash(text))
                stem_rows.append(row)
                if shortened(text):
                    short.append(hash(shortened(text)))
                    short_rows.append(row)
        every = range(len(self.resources))
        self._exact, self._alike = _Keyed(exact, every), _Keyed(alike, every)
        self._stems, self._short_stems = _Keyed(stems, stem_rows), _Keyed(short, short_rows)
        self._rarity = Rarity((r.shop_id, r.kind, r.value) for r in self.resources)

    def __len__(self) -> int:
        return len(self.names)

    def exact(self, kind: IdentifierKind, value: str) -> Sequence[Resource]:
        """The listed resources with this canonical value (several when shops share it), best first."""
        found = (self.resources[row] for row in self._exact.rows((kind, value)))
        return [r for r in found if r.kind == kind and r.value == value]

    def alike(self, kind: IdentifierKind, value: str) -> Sequence[Resource]:
        """The listed resources that look like the value: equal but for look-alike characters and separators.

        Two different digits are never look-alikes: numbers are what shops rotate.
        """
        look = skeleton(value)
        found = (self.resources[row] for row in self._alike.rows((kind, look)))
        alike = (r for r in found if r.kind == kind and r.value != value and skeleton(r.value) == look)
        return [r for r in alike if not differ_in_digits(r.value, value)]

    def candidates(self, kind: IdentifierKind, values: Sequence[str], limit: int = 100) -> Sequence[Resource]:
        """The listed resources near the values read (canonical, the best first): at most ``limit``, best first.

        The index is built when it is first asked for.
        """
        return [self.resources[row] for row in self._index.find(kind, values, limit)] if self.resources else ()

    @cached_property
    def _index(self) -> CandidateIndex:
        return CandidateIndex.build([r.kind for r in self.resources], [r.value for r in self.resources])

    def of_stem(self, text: str) -> Sequence[Resource]:
        """The listed resources whose names have this stem, if all of them are of one shop; else none."""
        return self._of_one_shop(r for r in self._rows_of(self._stems, text) if stem(r.kind, r.value) == text)

    def of_longer_stem(self, text: str) -> Sequence[Resource]:
        """The listed resources whose names have this stem and one generic word more, if all of them are of one shop."""
        rows = self._rows_of(self._short_stems, text)
        return self._of_one_shop(r for r in rows if shortened(stem(r.kind, r.value)) == text)

    def _rows_of(self, keyed: _Keyed, text: str) -> Iterator[Resource]:
        return (self.resources[row] for row in keyed.rows(text))

    @staticmethod
    def _of_one_shop(resources: Iterable[Resource]) -> Sequence[Resource]:
        found: list[Resource] = []
        for resource in resources:
            # A name that everybody uses is given up at the second shop.
            if found and resource.shop_id != found[0].shop_id:
                return ()
            found.append(resource)
        return found

    def stem_weight(self, text: str) -> float:
        """See ``Rarity.weight``."""
        return self._rarity.weight(text)


def differ_in_digits(a: str, b: str) -> bool:
    """Whether somewhere a digit of one stands against another digit of the other, or a digit was added or lost."""
    a, b = (text.replace("_", "").replace("-", "").replace(".", "") for text in (a, b))
    for op in Levenshtein.opcodes(a, b):
        left, right = a[op.src_start : op.src_end], b[op.dest_start : op.dest_end]
        if op.tag == "replace" and any(x.isdigit() and y.isdigit() for x, y in zip(left, right, strict=True)):
            return True
        if op.tag in ("insert", "delete") and any(char.isdigit() for char in left + right):
            return True
    return False


def _resource_order(resource: Resource) -> tuple[bool, str, str, str, str]:
    # A living resource before a dead one; the rest only makes the order definite.
    dead = resource.status.lower() in ("dead", "blocked")
    return (dead, resource.shop_id, resource.kind, resource.value, resource.shop_name)
