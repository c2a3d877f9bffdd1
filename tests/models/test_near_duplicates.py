"""Copies, other photos of one thing, and lookalikes."""

import io
import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from models.domain.types import Relation
from models.near_duplicates import (
    COPY_DISTANCE,
    COPY_SIMILARITY,
    HASH_BITS,
    ITEM_SIMILARITY,
    LOOKALIKES,
    close_pairs,
    hash_distance,
    item_similarity,
    perceptual_hash,
    relations,
)
from tests.support.pictures import picture

SIGNED = st.integers(-(2**63), 2**63 - 1)
SIZE = (300, 240)

Change = Callable[[Image.Image], Image.Image]


def compressed(photo: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return Image.open(file)


def marked(photo: Image.Image) -> Image.Image:
    copy = photo.copy()
    ImageDraw.Draw(copy).text((30, 100), "MY SHOP", fill="white", font_size=24)
    return copy


def cropped(photo: Image.Image, share: float) -> Image.Image:
    width, height = photo.size
    return photo.crop(
        (
            round(width * share),
            round(height * share),
            round(width * (1 - share)),
            round(height * (1 - share)),
        )
    )


COPIES: dict[str, Change] = {
    "compressed": lambda photo: compressed(photo, 30),
    "halved": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.8),
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "marked": marked,
    "mirrored": ImageOps.mirror,
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_copy_has_nearly_the_hash_of_its_photo(change: Change) -> None:
    for seed in range(8):
        photo = picture(seed, SIZE)
        copy = change(photo)
        distance = hash_distance(perceptual_hash(photo), perceptual_hash(copy))
        assert distance <= COPY_DISTANCE, seed


def test_other_photos_have_other_hashes() -> None:
    hashes = [perceptual_hash(picture(seed, SIZE)) for seed in range(30)]
    assert min(hash_distance(*two) for two in combinations(hashes, 2)) > COPY_DISTANCE


def test_a_photo_that_was_cut_is_no_copy() -> None:
    distances = [
        hash_distance(perceptual_hash(photo), perceptual_hash(cropped(photo, 0.06)))
        for photo in (picture(seed, SIZE) for seed in range(8))
    ]
    assert min(distances) > COPY_DISTANCE


def test_hashes_are_signed_and_of_64_bits() -> None:
    hashes = [perceptual_hash(picture(seed, SIZE)) for seed in range(30)]
    assert min(hashes) < 0 < max(hashes)
    assert all(-(2**63) <= one < 2**63 for one in hashes)


@given(SIGNED, SIGNED)
def test_the_distance_is_that_of_the_nearer_of_a_photo_and_its_mirror_image(
    one: int, other: int
) -> None:
    def bits(number: int) -> str:
        return f"{number % 2**HASH_BITS:0{HASH_BITS}b}"

    differing = [a != b for a, b in zip(bits(one), bits(other), strict=True)]
    mirrored = [flag != (place % 2 == 1) for place, flag in enumerate(differing)]
    assert hash_distance(one, other) == min(sum(differing), sum(mirrored))
    assert hash_distance(one, one) == 0


@given(st.lists(SIGNED, max_size=12), st.lists(st.integers(0, HASH_BITS - 1), max_size=12))
def test_close_pairs_are_all_that_are_close(numbers: list[int], flips: list[int]) -> None:
    # Numbers drawn by themselves are never close: some are made from others.
    for flip, number in zip(flips, list(numbers), strict=False):
        changed = number % 2**HASH_BITS
        for bit in range(flip % (COPY_DISTANCE + 3)):
            changed ^= 1 << (flip + 5 * bit) % HASH_BITS
        numbers.append(changed - 2**HASH_BITS if changed >= 2**63 else changed)
    compared = []
    pairs = [
        pair
        for lower, upper in close_pairs(
            np.array(numbers, np.int64), lambda done, total: compared.append((done, total))
        )
        for pair in zip(lower.tolist(), upper.tolist(), strict=True)
    ]
    expected = [
        (one, other)
        for one, other in combinations(range(len(numbers)), 2)
        if hash_distance(numbers[one], numbers[other]) <= COPY_DISTANCE
    ]
    assert pairs == expected
    assert not numbers or compared[-1] == (len(numbers), len(numbers))


def test_close_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.near_duplicates._BLOCK_ROWS", 7)
    monkeypatch.setattr("models.near_duplicates._BLOCK_COLUMNS", 5)
    hashes = np.random.default_rng(0).integers(-(2**63), 2**63, 60, np.int64)
    hashes[[41, 59]] = hashes[3] ^ 0b111
    found = [
        pair
        for lower, upper in close_pairs(hashes, lambda _done, _total: None)
        for pair in zip(lower.tolist(), upper.tolist(), strict=True)
    ]
    assert found == [(3, 41), (3, 59), (41, 59)]


FAR = [0.6] * LOOKALIKES


def test_what_is_near_in_hash_and_embedding_is_a_copy() -> None:
    near, far = COPY_DISTANCE, COPY_DISTANCE + 1
    least = COPY_SIMILARITY
    assert relations([1.0, least], [near, 0]) == [Relation.SAME_PHOTO, Relation.SAME_PHOTO]
    assert relations([least - 0.01, *FAR], [0, *[64] * 5]) == [None] * 6
    assert relations([0.85, *FAR], [far, *[64] * 5]) == [None] * 6


def test_what_stands_out_among_lookalikes_is_the_same_item() -> None:
    assert relations([0.95, *FAR], [30] * 6)[0] is Relation.SAME_ITEM
    # As near, but others are nearly as near: they all look alike.
    assert relations([0.95, 0.94, 0.93, 0.92, 0.92, 0.91], [30] * 6) == [None] * 6
    # It stands out, but is not near.
    assert relations([ITEM_SIMILARITY - 0.01, *[0.2] * LOOKALIKES], [30] * 6)[0] is None


def test_two_other_photos_of_an_item_are_both_told() -> None:
    told = relations([0.96, 0.95, *FAR], [30] * 7)
    assert told == [Relation.SAME_ITEM, Relation.SAME_ITEM, *[None] * LOOKALIKES]


def test_copies_are_no_lookalikes_of_the_item() -> None:
    similarities = [*[0.99] * LOOKALIKES, 0.95, *FAR]
    distances = [*[0] * LOOKALIKES, *[30] * (LOOKALIKES + 1)]
    told = relations(similarities, distances)
    assert told[:LOOKALIKES] == [Relation.SAME_PHOTO] * LOOKALIKES
    assert told[LOOKALIKES] is Relation.SAME_ITEM


def test_without_lookalikes_to_compare_with_nothing_is_the_same_item() -> None:
    assert item_similarity([0.99] * (LOOKALIKES - 1)) == math.inf
    assert relations([0.99], [30]) == [None]
    assert relations([], []) == []
