"""Writes of listings of any kind, for tests of what follows them."""

from decimal import Decimal
from itertools import count
from random import Random
from uuid import UUID

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.session import Database
from models.domain.searches.attributes import AttributeValue
from models.domain.types import ListingStatus
from tests.support.clock import Clock

COLOURS: list[AttributeValue] = ["red", "blue", ["red", "green"]]


def drawn(number: int, rng: Random) -> ListingData:
    return ListingData(
        id=UUID(int=number),
        title="Thing",
        category=rng.choice([None, "Home", "Home / Lamps", f"Toys {rng.randrange(5)}"]),
        price=rng.choice([None, Decimal(rng.randrange(500)) / 100]),
        currency=rng.choice([None, "GBP"]),
        seller=rng.choice([None, "ann", "bob"]),
        status=rng.choice([ListingStatus.ACTIVE, ListingStatus.ACTIVE, ListingStatus.SOLD]),
        attributes={
            "colour": rng.choice(COLOURS),
            "size": rng.choice([1, 2, 3.5, True]),
        },
    )


def write(database: Database, clock: Clock, rng: Random) -> None:
    """Some writes of listings in one transaction, of any kind."""
    numbers = rng.sample(range(1, 30), rng.randint(1, 4))
    with database.write() as session:
        match rng.randrange(4):
            case 0:
                delete_listings(session, [UUID(int=number) for number in numbers], clock())
            case _:
                upsert_listings(session, [drawn(number, rng) for number in numbers], clock())
                photos = [PhotoData(f"{number:064x}", 3, 4) for number in range(1, 10)]
                ids = list(ensure_photos(session, photos, clock()).values())
                shown = {UUID(int=number): rng.sample(ids, rng.randint(0, 3)) for number in numbers}
                set_photos(session, shown)


def write_for_ever(url: str) -> None:
    """Write until the process is killed."""
    database = Database(url)
    for seed in count():
        write(database, Clock(), Random(seed))
