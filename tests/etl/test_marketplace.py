"""The real feed, where there is a copy of it beside the repository."""

from pathlib import Path

import pytest

from db.listings import CATEGORY_SEPARATOR
from etl.extract import extract
from etl.seed import clean_feed

MARKETPLACE = Path(__file__).parents[3] / "shared" / "data" / "marketplace"

pytestmark = pytest.mark.skipif(
    not MARKETPLACE.is_dir(), reason=f"there is no copy of the real feed in {MARKETPLACE}"
)


def test_every_row_of_the_real_feed_is_usable() -> None:
    feed = clean_feed(extract(MARKETPLACE))
    assert feed.rejects == []
    assert len(feed.listings) == 1_835
    assert len(feed.photos) == 2_600
    assert all(photo.path.is_file() for photo in feed.photos)
    texts = [listing.title + listing.description for listing in feed.listings]
    assert not any("Gumtree" in listing.title for listing in feed.listings)
    assert not any("\r" in text or "\u2028" in text for text in texts)
    paths = {listing.category for listing in feed.listings if listing.category}
    assert len({path.split(CATEGORY_SEPARATOR)[0] for path in paths}) == 7
    assert sum(CATEGORY_SEPARATOR in path for path in paths) == 17
