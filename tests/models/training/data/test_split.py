import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from models.domain.errors import Conflict, InvalidInput
from models.labels import LabelledPhotos
from models.training.data.split import MIN_GROUPS, Part, Split, examples, load_split, split_photos
from tests.support.training import catalogue

Row = tuple[str, str, str, str | None]
Change = Callable[[list[Row]], list[Row]]


def nothing(_digest: str) -> bytes:
    raise AssertionError("a split reads no photo")


def labelled(rows: Sequence[Row]) -> LabelledPhotos:
    hashes, listings, categories, sellers = zip(*rows, strict=True)
    return LabelledPhotos(hashes, listings, categories, nothing, sellers)


def many(listings: int, category: str = "a", seller: str | None = None) -> list[Row]:
    return [(f"{category} {n}", f"{category} {n}", category, seller) for n in range(listings)]


def part_of(split: Split, listing: str) -> Part:
    (part,) = (part for part in Part if listing in split.listings[part])
    return part


def tangled(seed: int) -> LabelledPhotos:
    """Listings of two to four categories that share photos and sellers now and then."""
    random = Random(seed)
    paths = ["a", "b", "c / d", "c / e"][: random.randint(2, 4)]
    rows: list[Row] = []
    for listing in range(random.randint(60, 120)):
        seller = random.choice([None, None, str(random.randrange(200))])
        path = random.choice(paths)
        photos = random.choices(range(2_000), k=random.randint(1, 3))
        rows += [(str(photo), str(listing), path, seller) for photo in photos]
    return labelled(rows)


@pytest.mark.parametrize("seed", range(20))
def test_what_belongs_together_is_never_on_two_sides(seed: int) -> None:
    photos = tangled(seed)
    split = split_photos(photos, seed)
    sides: dict[tuple[str, str], set[Part]] = {}
    sellers = photos.sellers or ()
    for part in Part:
        for row in split.rows(photos, part):
            for kind, key in (
                ("listing", photos.listings[row]),
                ("photo", photos.hashes[row]),
                ("seller", sellers[row]),
            ):
                if key is not None:
                    sides.setdefault((kind, key), set()).add(part)
    assert all(len(parts) == 1 for parts in sides.values())


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_photos_does_not_matter(seed: int) -> None:
    photos = tangled(seed)
    rows = list(range(len(photos)))
    Random(seed).shuffle(rows)
    shuffled = photos.take(rows)
    one, other = split_photos(photos, 0), split_photos(shuffled, 0)
    assert one == other
    for part in Part:
        assert photos.take(one.rows(photos, part)).hashes == (
            shuffled.take(other.rows(shuffled, part)).hashes
        )


def test_each_category_is_divided_70_15_15() -> None:
    split = split_photos(labelled(many(200, "a") + many(40, "b") + many(MIN_GROUPS, "c")), 0)
    counts = {
        category: [sum(name.startswith(category) for name in split.listings[p]) for p in Part]
        for category in "abc"
    }
    assert counts == {"a": [140, 30, 30], "b": [28, 6, 6], "c": [3, 1, 1]}


def test_another_seed_divides_otherwise() -> None:
    photos = labelled(many(50, "a") + many(50, "b"))
    assert split_photos(photos, 0).listings != split_photos(photos, 1).listings


def test_a_new_listing_moves_hardly_any_other() -> None:
    before = split_photos(labelled(many(100, "a") + many(100, "b")), 0)
    after = split_photos(labelled(many(101, "a") + many(100, "b")), 0)
    moved = [
        name for part in Part for name in before.listings[part] if part_of(after, name) is not part
    ]
    assert len(moved) <= 2


def test_a_sellers_listings_stay_together() -> None:
    rows = many(20, "a") + many(20, "b") + [(f"s{n}", f"s{n}", "a", "sam") for n in range(9)]
    split = split_photos(labelled(rows), 0)
    assert len({part_of(split, f"s{n}") for n in range(9)}) == 1


def test_a_category_of_too_few_listings_is_left_out() -> None:
    rows = many(20, "a") + many(20, "b") + many(MIN_GROUPS - 1, "few")
    split = split_photos(labelled(rows), 0)
    assert split.categories == ("a", "b")
    assert split.left_out == {"few": MIN_GROUPS - 1}
    assert not any(name.startswith("few") for ids in split.listings.values() for name in ids)


def test_listings_of_one_seller_do_not_make_a_category() -> None:
    rows = many(20, "a") + many(20, "b") + many(20, "c", seller="sam")
    assert split_photos(labelled(rows), 0).left_out == {"c": 20}


@pytest.mark.parametrize("rows", [many(30), many(30) + many(MIN_GROUPS - 1, "b")])
def test_one_category_is_nothing_to_learn(rows: list[Row]) -> None:
    with pytest.raises(InvalidInput, match="nothing to tell apart"):
        split_photos(labelled(rows), 0)


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    photos = catalogue()
    split = split_photos(photos, 7)
    split.save(tmp_path / "split.json")
    assert load_split(tmp_path / "split.json", photos) == split


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [*rows, ("new", "new", "a", None)],
        lambda rows: rows[1:],
        lambda rows: [(rows[0][0], rows[0][1], "b", None), *rows[1:]],
        lambda rows: [("other", *rows[0][1:]), *rows[1:]],
    ],
)
def test_a_split_of_other_photos_is_refused(change: Change, tmp_path: Path) -> None:
    rows = many(10, "a") + many(10, "b")
    split_photos(labelled(rows), 0).save(tmp_path / "split.json")
    with pytest.raises(Conflict, match="have changed"):
        load_split(tmp_path / "split.json", labelled(change(rows)))


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"seed": "x"})])
def test_a_damaged_split_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(InvalidInput, match="not a split"):
        load_split(tmp_path / "split.json", catalogue())


def test_examples_number_categories_in_order_of_their_paths() -> None:
    photos = catalogue()
    split = split_photos(photos, 0)
    parts = examples(photos, split)
    assert sum(len(one.photos) for one in parts.values()) == len(photos)
    for one in parts.values():
        numbers = [split.categories[number] for number in one.targets]
        assert tuple(numbers) == one.photos.categories
