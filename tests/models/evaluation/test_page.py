import io
from base64 import b64decode
from dataclasses import replace

import pytest
from PIL import Image

from models.evaluation.compare import METRICS, Comparison, compare
from models.evaluation.examples import choose_examples
from models.evaluation.page import as_page
from models.labels import LabelledPhotos
from tests.support.evaluation import BAD, GOOD, HOSTILE, Vectors
from tests.support.evaluation_page import Page


@pytest.fixture(scope="module")
def text(comparison: Comparison, photos: LabelledPhotos) -> str:
    return as_page(comparison, photos)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_needs_nothing_else(page: Page, text: str) -> None:
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert not page.tags.keys() & {"script", "link", "iframe", "object"}
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_every_query_is_there_with_its_neighbours(
    page: Page, comparison: Comparison, photos: LabelledPhotos
) -> None:
    rows = [row for examples in choose_examples(comparison) for row in examples.rows]
    queries = [int(comparison.searches[0].queries[row]) for row in rows]
    shown = [image["alt"] for image in page.images if (image["alt"] or "").startswith("Query: ")]
    assert shown == [f"Query: {photos.categories[query]}" for query in queries]
    found = [
        photos.categories[photo] == photos.categories[query]
        for row, query in zip(rows, queries, strict=True)
        for search in comparison.searches
        for photo in search.neighbours[row]
    ]
    assert page.texts.count("✓") == sum(found)
    assert page.texts.count("✗") == page.classes["miss"] == len(found) - sum(found)


def test_pictures_are_small_jpegs(page: Page) -> None:
    source = page.images[0]["src"]
    assert source
    data = b64decode(source.removeprefix("data:image/jpeg;base64,"), validate=True)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        assert max(picture.size) <= 120
    assert len(data) < 10_000


def test_names_of_categories_are_text(page: Page, text: str) -> None:
    assert HOSTILE in page.texts
    assert f"Query: {HOSTILE}" in [image["alt"] for image in page.images]
    assert "<script" not in text


def test_encoders_stand_side_by_side_with_intervals(page: Page, comparison: Comparison) -> None:
    figures = comparison.metrics["map"]
    for estimate in figures.micro:
        assert f"{estimate.value:.3f}" in page.texts
        assert f"{estimate.low:.3f} … {estimate.high:.3f}" in page.texts
    difference = figures.to_first[0]
    assert f"{difference.low:+.3f} … {difference.high:+.3f}" in page.texts
    assert page.texts.count(GOOD.label) >= 2
    assert page.texts.count(BAD.label) >= 2


def test_those_who_do_not_see_it_are_told_the_same(page: Page, text: str) -> None:
    assert '<html lang="en">' in text
    assert page.tags["h1"] == page.tags["main"] == page.tags["title"] == 1
    assert all(image["alt"] for image in page.images)
    assert text.count('<svg aria-hidden="true"') == page.tags["svg"] == len(METRICS)
    assert text.count('scope="row"') == page.tags["tr"] - page.tags["table"]


def test_one_encoder_has_a_page(photos: LabelledPhotos, vectors: Vectors) -> None:
    few = photos.take(range(4))  # of three listings, the second of which has two
    alone = replace(few, categories=("Home",) * 4)
    page = Page(as_page(compare({GOOD: vectors(0.1)[:4]}, alone), alone))
    assert sum(image["alt"] == "Query: Home" for image in page.images) == 4
    assert page.texts.count("✓") == 3 + 2 + 2 + 3
    assert page.classes["miss"] == 0
