"""The known resources of shops, looked up by value, by look, by the name behind it, and by what is near it. In memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property

from rapidfuzz.distance import Levenshtein

from ..contract import IdentifierKind, Resource
from ..inference.identifiers.fold import skeleton
from .candidates import CandidateIndex
from .stems import Rarity, has_stem, shortened, stem


class Shops:
    """The known resources of shops, ready to be looked up. Immutable; the order of the resources does not matter."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.resources: tuple[Resource, ...] = tuple(sorted(set(resources), key=_resource_order))
        self.names: dict[str, str] = {}
        self._exact: dict[tuple[IdentifierKind, str], list[Resource]] = defaultdict(list)
        self._alike: dict[tuple[IdentifierKind, str], list[Resource]] = defaultdict(list)
        self._stems: dict[str, list[Resource]] = defaultdict(list)
        self._short_stems: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.resources:
            self.names[resource.shop_id] = self.names.get(resource.shop_id) or resource.shop_name
            self._exact[resource.kind, resource.value].append(resource)
            self._alike[resource.kind, skeleton(resource.value)].append(resource)
            if has_stem(resource.kind):
                text = stem(resource.kind, resource.value)
                self._stems[text].append(resource)
                if shortened(text):
                    self._short_stems[shortened(text)].append(resource)
        self._rarity = Rarity((r.shop_id, r.kind, r.value) for r in self.resources)

    def __len__(self) -> int:
        return len(self.names)

    def exact(self, kind: IdentifierKind, value: str) -> Sequence[Resource]:
        """The listed resources with this canonical value (several when shops share it), best first."""
        return self._exact.get((kind, value), ())

    def alike(self, kind: IdentifierKind, value: str) -> Sequence[Resource]:
        """The listed resources that look like the value: equal but for look-alike characters and separators.

        Two different digits are never look-alikes: numbers are what shops rotate.
        """
        found = self._alike.get((kind, skeleton(value)), ())
        return [r for r in found if r.value != value and not differ_in_digits(r.value, value)]

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
        return _of_one_shop(self._stems.get(text, ()))

    def of_longer_stem(self, text: str) -> Sequence[Resource]:
        """The listed resources whose names have this stem and one generic word more, if all of them are of one shop."""
        return _of_one_shop(self._short_stems.get(text, ()))

    def stem_weight(self, text: str) -> float:
        """See ``Rarity.weight``."""
        return self._rarity.weight(text)


def _of_one_shop(resources: Sequence[Resource]) -> Sequence[Resource]:
    return resources if len({resource.shop_id for resource in resources}) == 1 else ()


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
