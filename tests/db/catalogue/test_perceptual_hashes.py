"""Perceptual hashes of photos, and the listings that show them."""

from uuid import UUID, uuid4

from db.catalogue.listing_photos import ensure_photos
from db.catalogue.listings import ListingData, delete_listing
from db.catalogue.perceptual_hashes import (
    count_without_phash,
    hashed_photos,
    offers_showing,
    phashes_of,
    photos_by_listing,
    photos_without_phash,
    set_phashes,
)
from db.session import Database
from models.domain.types import ListingStatus
from tests.support.catalogue import add_listing, numbered_photos, sha256
from tests.support.clock import Clock

EXTREMES = [-(2**63), -1, 0, 2**63 - 1]


def offer(database: Database, clock: Clock, *numbers: int, seller: str | None = None) -> UUID:
    """A listing of these photos; they are made when first named."""
    listing = ListingData(uuid4(), "A thing", seller=seller)
    with database.write() as session:
        add_listing(session, numbered_photos(*numbers), clock(), listing=listing)
    return listing.id


def ids_of(database: Database, *numbers: int) -> list[int]:
    with database.write() as session:
        known = ensure_photos(session, numbered_photos(*numbers), Clock()())
    return [known[sha256(number)] for number in numbers]


def test_all_64_bits_come_back(any_database: Database, clock: Clock) -> None:
    offer(any_database, clock, *range(4))
    ids = ids_of(any_database, *range(4))
    with any_database.write() as session:
        set_phashes(session, dict(zip(ids, EXTREMES, strict=True)))
    with any_database.read() as session:
        stored = phashes_of(session, [sha256(number) for number in range(4)])
        photos = hashed_photos(session)
    assert [stored[sha256(number)] for number in range(4)] == EXTREMES
    by_id = dict(zip(photos.ids.tolist(), photos.hashes.tolist(), strict=True))
    assert [by_id[photo_id] for photo_id in ids] == EXTREMES
    assert photos.known.all()


def test_a_hash_is_made_once(any_database: Database, clock: Clock) -> None:
    offer(any_database, clock, 1, 2)
    first, second = ids_of(any_database, 1, 2)
    with any_database.write() as session:
        set_phashes(session, {})
        set_phashes(session, {first: 5})
        set_phashes(session, {second: 6, first: 7})
    with any_database.read() as session:
        assert phashes_of(session, [sha256(1), sha256(2), sha256(3)]) == {
            sha256(1): 5,
            sha256(2): 6,
        }


def test_photos_that_lack_one_come_in_order_and_in_pieces(
    any_database: Database, clock: Clock
) -> None:
    offer(any_database, clock, *range(5))
    gone = offer(any_database, clock, 9)
    ids = sorted(ids_of(any_database, *range(5)))
    with any_database.write() as session:
        delete_listing(session, gone, clock())
        set_phashes(session, {ids[1]: 5})
    lacking = [ids[0], *ids[2:]]
    with any_database.read() as session:
        assert count_without_phash(session) == len(lacking)
        some = photos_without_phash(session, 0, 3)
        assert list(some) == lacking[:3]
        assert list(photos_without_phash(session, max(some), 3)) == lacking[3:]
        photos = hashed_photos(session)
    assert photos.ids.tolist() == ids
    assert photos.known.tolist() == [photo_id == ids[1] for photo_id in ids]


def test_an_empty_catalogue_has_no_photos(any_database: Database) -> None:
    with any_database.read() as session:
        photos = hashed_photos(session)
        assert list(photos_by_listing(session)) == []
    assert (len(photos.ids), len(photos.hashes), len(photos.known)) == (0, 0, 0)


def test_photos_come_by_listing(any_database: Database, clock: Clock) -> None:
    offer(any_database, clock, 1, 2)
    offer(any_database, clock, 2, 3)
    gone = offer(any_database, clock, 4)
    with any_database.write() as session:
        delete_listing(session, gone, clock())
    with any_database.read() as session:
        found = {frozenset(photo_ids) for photo_ids in photos_by_listing(session)}
    assert found == {
        frozenset(ids_of(any_database, 1, 2)),
        frozenset(ids_of(any_database, 2, 3)),
    }


def test_a_photo_names_its_listings_and_sellers(any_database: Database, clock: Clock) -> None:
    mine = offer(any_database, clock, 1, seller="ann")
    other = offer(any_database, clock, 1, 2)
    gone = offer(any_database, clock, 1, seller="bob")
    with any_database.write() as session:
        delete_listing(session, gone, clock())
    first, second = ids_of(any_database, 1, 2)
    with any_database.read() as session:
        found = offers_showing(session, [first, second])
    assert {(one.listing_id, one.seller) for one in found[first]} == {(mine, "ann"), (other, None)}
    (alone,) = found[second]
    assert (alone.title, alone.status) == ("A thing", ListingStatus.ACTIVE)
    assert (alone.photo_id, alone.sha256) == (second, sha256(2))
