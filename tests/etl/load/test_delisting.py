from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

import etl.load.delisting
from db.catalogue.listing_photos import photo_hashes
from db.catalogue.listings import (
    ListingData,
    get_listing,
    upsert_listings,
)
from db.session import Database
from db.tables import Listing
from db.vectors.changes import changes_after, last_change
from etl.clean.feed_tables import PRODUCTS
from models.domain.types import ListingStatus
from tests.support.feeds import PRODUCT_HEADER, listing_id, product_row, simple_feed, to_csv
from tests.support.seeding import RunSeed


def keep(folder: Path, *products: list[str]) -> Path:
    """Let the feed list these products only."""
    (folder / PRODUCTS.name).write_bytes(to_csv([PRODUCT_HEADER, *products]))
    return folder


def active(database: Database) -> set[UUID]:
    with database.read() as session:
        return set(
            session.scalars(select(Listing.id).where(Listing.status == ListingStatus.ACTIVE))
        )


def test_listings_that_the_feed_lists_no_more_are_taken_out(
    tmp_path: Path,
    any_database: Database,
    run_seed: RunSeed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(etl.load.delisting, "LISTINGS_AT_ONCE", 2)
    folder = simple_feed(tmp_path / "feed", 5, photos_each=0)
    run_seed(folder, any_database)
    keep(folder, product_row(1), product_row(3), product_row(5))

    assert run_seed(folder, any_database).loaded.pruned == 0
    assert len(active(any_database)) == 5
    assert run_seed(folder, any_database, pruning=True).loaded.pruned == 2
    assert active(any_database) == {listing_id(1), listing_id(3), listing_id(5)}
    assert run_seed(folder, any_database, pruning=True).loaded.pruned == 0


def test_a_listing_comes_back_with_its_feed(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 3, photos_each=0)
    run_seed(folder, database)
    run_seed(keep(folder, product_row(1), product_row(2)), database, pruning=True)
    assert len(active(database)) == 2
    keep(folder, product_row(1), product_row(2), product_row(3))
    assert run_seed(folder, database, pruning=True).loaded.listings.updated == 1
    assert len(active(database)) == 3


def test_listings_of_other_feeds_and_of_sellers_stay(
    tmp_path: Path, database: Database, run_seed: RunSeed, clock: Callable[[], Any]
) -> None:
    with database.write() as session:
        upsert_listings(session, [ListingData(listing_id(9), "Posted by a seller")], clock())
    run_seed(simple_feed(tmp_path / "south", 2, photos_each=0), database, feed="south")
    other = keep(simple_feed(tmp_path / "north", 1, photos_each=0), product_row(4))
    assert run_seed(other, database, feed="north", pruning=True).loaded.pruned == 0
    assert active(database) == {listing_id(number) for number in (1, 2, 4, 9)}


def test_a_listing_whose_row_can_not_be_used_is_listed_all_the_same(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 4, photos_each=0)
    run_seed(folder, database)
    keep(folder, product_row(1), product_row(2)[:-1], product_row(3, location="x" * 501))
    assert run_seed(folder, database, pruning=True).loaded.pruned == 1
    assert active(database) == {listing_id(1), listing_id(2), listing_id(3)}


def test_most_of_a_feed_is_taken_out_only_by_force(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 4, photos_each=0)
    run_seed(folder, database)
    keep(folder, product_row(1))
    loaded = run_seed(folder, database, pruning=True).loaded
    (problem,) = loaded.problems
    assert "3 of 4 listings are not in the feed any more" in problem
    assert (loaded.pruned, len(active(database))) == (0, 4)
    assert run_seed(folder, database, pruning=True, force=True).loaded.pruned == 3
    assert active(database) == {listing_id(1)}


def test_what_a_wrong_feed_brings_does_not_make_up_for_what_it_lacks(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    run_seed(simple_feed(tmp_path / "right", 4, photos_each=0), database)
    wrong = simple_feed(tmp_path / "wrong", 0, photos_each=0)
    keep(wrong, *(product_row(number) for number in range(11, 17)))
    loaded = run_seed(wrong, database, pruning=True).loaded
    assert "4 of 4 listings" in loaded.problems[0]
    assert len(active(database)) == 10


def test_the_index_is_told_of_the_photos_of_pruned_listings(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 2, photos_each=1)
    run_seed(folder, database)
    with database.read() as session:
        seen = last_change(session)
        (shown,) = get_listing(session, listing_id(1)).photos
    run_seed(keep(folder, product_row(2)), database, pruning=True)
    with database.read() as session:
        _, changed = changes_after(session, seen, 10)
        assert list(photo_hashes(session, changed).values()) == [shown]


def test_it_is_said_whose_listings_are_taken_out_before_they_are(
    tmp_path: Path, database: Database, run_seed: RunSeed
) -> None:
    folder = simple_feed(tmp_path / "feed", 3, photos_each=0)
    run_seed(folder, database, feed="商品")
    keep(folder, product_row(1), product_row(2))
    said: list[tuple[str, int]] = []

    def say(sentence: str) -> None:
        said.append((sentence, len(active(database))))

    run_seed(folder, database, feed="商品", say=say)
    assert not said
    run_seed(folder, database, feed="商品", pruning=True, last_source="/exports/商品", say=say)
    line = (
        "--prune: 1 listings of feed '商品' (last seeded from /exports/商品) are to be taken out."
    )
    assert said == [(line, 3)]
    assert len(active(database)) == 2


def test_what_an_earlier_release_called_otherwise_is_moved_and_nothing_is_lost_or_doubled(
    tmp_path: Path, any_database: Database, run_seed: RunSeed
) -> None:
    one, other = (simple_feed(tmp_path / name, 0, photos_each=0) for name in ("каталог", "商品"))
    keep(one, product_row(1), product_row(2))
    keep(other, product_row(3), product_row(4), product_row(5))
    # Both were called so.
    for folder in (one, other):
        run_seed(folder, any_database, feed="feed")

    keep(other, product_row(3), product_row(4))
    loaded = run_seed(other, any_database, feed="商品", former_feed="feed", pruning=True).loaded
    assert loaded.pruned == 0
    assert len(active(any_database)) == 5
    (note,) = loaded.notes
    assert note.startswith("3 listings of feed 'feed' are not in this feed.")
    assert "--feed feed" in note

    loaded = run_seed(one, any_database, feed="каталог", former_feed="feed", pruning=True).loaded
    assert loaded.listings.created == 0
    assert "1 listings of feed 'feed'" in loaded.notes[0]
    keep(other, product_row(3))
    assert run_seed(
        other, any_database, feed="商品", former_feed="feed", pruning=True
    ).loaded.pruned
    assert active(any_database) == {listing_id(number) for number in (1, 2, 3, 5)}
