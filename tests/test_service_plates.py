"""Number plates in photos: how many are found, and which texts are taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plates
import pytest
from PIL import Image

from tagtrace.service import pictures


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("KZ 123 ABC 02", True),
        ("K8110Y 101", True),
        ("O1KG I23 ABC", False),
        ("123 ABC 22", False),
        ("t.me/abc123", False),
        ("ЗАРПЛАТА 500 000", False),
    ],
)
def test_a_strip_with_the_country_and_letters_for_digits_are_allowed(text: str, plate: bool) -> None:
    assert pictures.is_plate(text) is plate


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_most_number_plates_in_photos_are_found(root: Path) -> None:
    """96 invented plates drawn into the sample photos, 14 to 40 px high and a little turned. README.md tells the figure."""
    found = total = others = 0
    for seed, path in enumerate(sorted((root / "datasets/sample/photos").glob("*.jpg"))):
        photo, quads = plates.with_plates(np.asarray(Image.open(path).convert("RGB")), np.random.default_rng(seed))
        covered = pictures.find(photo)[1]
        met = plates.covered(quads, [np.asarray(quad, np.float32) for quad in covered])
        found, total, others = found + met, total + len(quads), others + len(covered) - met
    print(f"{found} of {total} plates found, {others} other things taken for one")
    assert total == 96 and found >= 80 and others <= 3
