from models.labels import LabelledPhotos, Level, categories_at

PHOTOS = LabelledPhotos(
    ("p", "q", "r"), ("one", "one", "two"), ("a", "a", "b"), lambda digest: digest.encode()
)


def test_a_root_is_the_first_part_of_a_path() -> None:
    paths = ["Tops / Shirts", "Tops", None, "Bottoms / Jeans / Blue"]
    assert categories_at(Level.ROOT, paths, " / ") == ["Tops", "Tops", None, "Bottoms"]


def test_a_sub_category_has_two_parts() -> None:
    paths = ["Tops / Shirts", "Bottoms / Jeans / Blue", "Bottoms / Jeans", None]
    expected = ["Tops / Shirts", "Bottoms / Jeans", "Bottoms / Jeans", None]
    assert categories_at(Level.SUB, paths, " / ") == expected


def test_a_root_that_others_divide_says_too_little() -> None:
    assert categories_at(Level.SUB, ["Tops", "Tops / Shirts", "Hats"], " / ") == [
        None,
        "Tops / Shirts",
        "Hats",
    ]


def test_rows_are_taken_in_the_order_asked_for() -> None:
    taken = PHOTOS.take([2, 0])
    assert (taken.hashes, taken.listings, taken.categories) == (
        ("r", "p"),
        ("two", "one"),
        ("b", "a"),
    )
    assert taken.read(1) == b"p"
    assert len(taken) == 2


def test_the_digest_is_of_the_rows_and_not_of_their_order() -> None:
    assert PHOTOS.take([2, 0, 1]).digest == PHOTOS.digest
    assert PHOTOS.take([0, 1]).digest != PHOTOS.digest
    relabelled = LabelledPhotos(PHOTOS.hashes, PHOTOS.listings, ("a", "a", "c"), PHOTOS.fetch)
    assert relabelled.digest != PHOTOS.digest
