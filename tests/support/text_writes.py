"""Writes of listings whose words change, until the process that does them is killed."""

from itertools import count
from random import Random
from uuid import UUID

from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.session import Database
from models.domain.searches.attributes import AttributeValue
from models.domain.types import ListingStatus
from tests.support.clock import Clock

LISTINGS = 40
WORDS = ("oak", "oaks", "table", "lamp", "Café", "red", "retro", "東京塔", "men's", "x1", "brass")
BRANDS: tuple[AttributeValue, ...] = ("Oak & Co", ["Red", "Retro"], True)


def line(rng: Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def listing(number: int, rng: Random) -> ListingData:
    return ListingData(
        id=UUID(int=number),
        title=line(rng, rng.randint(1, 4)),
        description=line(rng, rng.choice([0, 5, 50])),
        category=rng.choice([None, "Home / Tables", "Home / Lamps"]),
        status=rng.choice([ListingStatus.ACTIVE, ListingStatus.ACTIVE, ListingStatus.SOLD]),
        attributes={"brand": rng.choice(BRANDS)},
    )


def write_words(database: Database, rng: Random) -> None:
    """Add, change and delete some listings in one transaction."""
    clock = Clock()
    numbers = rng.sample(range(1, LISTINGS + 1), rng.randint(1, LISTINGS // 2))
    deleted = numbers[: rng.randint(0, len(numbers) // 3)]
    with database.write() as session:
        upsert_listings(session, [listing(number, rng) for number in numbers], clock())
        delete_listings(session, [UUID(int=number) for number in deleted], clock())


def write_words_for_ever(url: str, seed: int) -> None:
    """Write until the process is killed; a line is printed after the first transaction."""
    database, rng = Database(url), Random(seed)
    for done in count():
        write_words(database, rng)
        if not done:
            print("begun", flush=True)  # noqa: T201 - its parent waits for it
