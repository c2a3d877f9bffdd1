"""The real feed, where there is a copy of it beside the repository."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from db.catalogue.listings import Written
from db.session import Database
from etl.clean.feed_tables import IMAGES, PRODUCTS
from etl.clean.rejects import Tally
from models.domain.text import CATEGORY_SEPARATOR
from tests.support.cleaning import clean_table
from tests.support.paths import REPOSITORY

MARKETPLACE = REPOSITORY.parent / "shared" / "data" / "marketplace"

pytestmark = pytest.mark.skipif(
    not MARKETPLACE.is_dir(), reason=f"there is no copy of the real feed in {MARKETPLACE}"
)


def test_every_product_of_the_real_feed_is_usable() -> None:
    table = clean_table(MARKETPLACE / PRODUCTS.name, PRODUCTS)
    products = table.frame
    assert (table.rows, len(products), table.rejects) == (1_835, 1_835, [])
    raw_price = pd.read_csv(MARKETPLACE / PRODUCTS.name, lineterminator="\n", na_filter=False)
    stated = (raw_price["price"] != "N/A").to_numpy()
    assert products["price"].notna().to_numpy().tolist() == stated.tolist()
    assert set(products.loc[stated, "currency"]) == {"GBP"}
    assert not products["title"].str.contains("Gumtree").any()
    assert not (products["title"] + products["description"]).str.contains("[\r\v\u2028]").any()
    assert products["description"].str.contains("\n").all()
    paths = set(products["category"].dropna())
    assert len({path.split(CATEGORY_SEPARATOR)[0] for path in paths}) == 7
    assert sum(CATEGORY_SEPARATOR in path for path in paths) == 17
    assert (products["place"] + ", " + products["county"]).equals(products["location"])


def test_every_image_of_the_real_feed_is_usable() -> None:
    table = clean_table(MARKETPLACE / IMAGES.name, IMAGES)
    products = clean_table(MARKETPLACE / PRODUCTS.name, PRODUCTS)
    assert (table.rows, len(table.frame), table.rejects) == (2_600, 2_600, [])
    assert set(table.frame["product_id"]) <= set(products.frame["id"])
    assert all((MARKETPLACE / "images" / name).is_file() for name in table.frame["file"])


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        ([b"\r"], [b"\r\n"]),
        ([b"\r"], [b"\n"]),
        ([b"\n"], [b"\r\n"]),
        ([b"\r", b"\n"], [b"\n", b"\r\n"]),
    ],
    ids=[
        "breaks as Windows lines",
        "all as Unix lines",
        "lines as Windows lines",
        "all as Windows",
    ],
)
def test_rewritten_line_ends_change_nothing(
    tmp_path: Path, written: list[bytes], rewritten: list[bytes]
) -> None:
    content = (MARKETPLACE / PRODUCTS.name).read_bytes()
    for old, new in zip(written, rewritten, strict=True):
        content = content.replace(old, new)
    (tmp_path / PRODUCTS.name).write_bytes(content)
    table = clean_table(tmp_path / PRODUCTS.name)
    original = clean_table(MARKETPLACE / PRODUCTS.name)
    assert (table.rows, table.rejects) == (original.rows, [])
    pd.testing.assert_frame_equal(table.frame, original.frame)


def test_the_real_feed_is_taken_in_whole_and_only_once(
    database: Database, run_seed: Callable[..., Any]
) -> None:
    first = run_seed(MARKETPLACE, database)
    assert first.report.products == Tally(read=1_835, accepted=1_835, rejected=0)
    assert first.report.photos == Tally(read=2_600, accepted=2_600, rejected=0)
    assert (first.report.categories.root, first.report.categories.sub) == (7, 17)
    assert first.loaded.listings == Written(created=1_835)
    assert (first.loaded.photos, first.loaded.categories) == (2_600, 24)
    assert first.rejects == []
    second = run_seed(MARKETPLACE, database)
    assert second.loaded.listings == Written(unchanged=1_835)
    assert (second.loaded.photos, second.loaded.categories, second.loaded.queued) == (0, 0, 0)
