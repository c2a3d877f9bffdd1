"""After any history, saved searches have found what comparing everything with everything finds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import cos, pi, sin
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import delete, select, update

from db.catalogue.listing_photos import ensure_photos, set_photos
from db.catalogue.listings import ListingData, delete_listings, upsert_listings
from db.saved_searches.progress import advance
from db.saved_searches.searches import delete_saved_search
from db.saved_searches.tables import (
    MatchingProgress,
    SavedSearch,
    SavedSearchChange,
    SavedSearchMatch,
    SavedSearchVectors,
)
from db.saved_searches.vectors import store_saved_vectors
from db.session import Database
from db.tables import Embedding, Listing, ListingChange, ListingPhoto
from db.text.resolve import resolve
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.filters import ListingFilter
from models.domain.types import EncoderSpec
from models.text.languages import TextLanguage
from models.text.listing_words import listing_words
from models.text.query import parse_query
from tests.support.catalogue import numbered_photos, sha256
from tests.support.clock import Clock
from tests.support.saved_searches import found_by, save
from workers.saved_searches.matching import SavedSearchMatcher

ENCODER = EncoderSpec("plane", 2, "f" * 64)
DIRECTIONS = 24
"""Of photos, evenly around a circle: their cosines are far from any limit below."""
LIMITS = (0.98, 0.9, 0.75)
LANGUAGE: TextLanguage = "english"
WORDS = (
    *("red", "Red", "kettle", "Kettles", "die", "dying", "enamel", "enamelled", "boiling"),
    *("X200", "X20", "Café", "猫", "木", "猫木", "lamps", "kettle, red:"),
)
TEXTS = (
    *("kettle", "kettl", "RED kettles", '"red kettle"', "kettle -red", "die", "dying enamel"),
    *("猫", "木", "x200", "x20", "boil red", 'cafe -"kettle red"', "red lamp", "ketle"),
)
"""With inflections, phrases, exclusions, unspaced scripts, unfinished and misspelt words."""


def direction(photo: int) -> NDArray[np.float32]:
    angle = 2 * pi * photo / DIRECTIONS
    return np.array([cos(angle), sin(angle)], np.float32)


def directions(photos: tuple[int, ...]) -> NDArray[np.float32]:
    """Of several (n, 2)."""
    return np.array([direction(photo) for photo in photos], np.float32).reshape(-1, 2)


@dataclass
class Saved:
    """What a search asks for, and what it should have found."""

    photos: tuple[int, ...]
    least: float
    price_max: Decimal
    text: str | None
    is_embedded: bool = False
    to_look_at: set[UUID] = field(default_factory=set)
    expected: set[UUID] = field(default_factory=set)

    @property
    def vectors(self) -> NDArray[np.float32]:
        return directions(self.photos)


@dataclass
class Offer:
    title: str
    price: Decimal
    photos: tuple[int, ...]
    is_there: bool = True


@dataclass
class World:
    """A database, and what a brute force knows of it."""

    database: Database
    matcher: SavedSearchMatcher
    encoder_id: int
    offers: dict[UUID, Offer] = field(default_factory=dict)
    searches: dict[UUID, Saved] = field(default_factory=dict)
    embedded: set[int] = field(default_factory=set)

    def put(self, number: int, title: str, price: int, photos: tuple[int, ...]) -> None:
        """Write a listing, and embed those of its photos that are new, as an embed job does."""
        listing_id, amount = UUID(int=number), Decimal(price)
        now = Clock()()
        with self.database.write() as session:
            data = ListingData(listing_id, title, price=amount, currency="GBP")
            upsert_listings(session, [data], now)
            ids = ensure_photos(session, numbered_photos(*photos), now)
            set_photos(session, {listing_id: [ids[sha256(photo)] for photo in photos]})
        changed = self.offers.get(listing_id) != (offer := Offer(title, amount, photos))
        self.offers[listing_id] = offer
        new = set(photos) - self.embedded
        if new:
            with self.database.write() as session:
                vectors = {ids[sha256(photo)]: direction(photo) for photo in new}
                add_embeddings(session, self.encoder_id, vectors)
                self.matcher.match_embedded(session, {self.encoder_id: vectors})
        self.embedded |= new
        seen = {id_ for id_, offer in self.offers.items() if new & set(offer.photos)}
        self.catch_up(seen | ({listing_id} if changed else set()))

    def remove(self, number: int) -> None:
        listing_id = UUID(int=number)
        with self.database.write() as session:
            delete_listings(session, [listing_id], Clock()())
        if listing_id in self.offers:
            self.offers[listing_id].is_there = False
        self.catch_up({listing_id})

    def save(self, photos: tuple[int, ...], least: float, price_max: int, text: str | None) -> None:
        """A search by photos, words, or both; at least one is stated."""
        limit = Decimal(price_max)
        stated = ListingFilter(price_max=limit)
        hashes = [sha256(photo) for photo in photos[:1]]
        search_id = save(self.database, *hashes, min_similarity=least, filter=stated, text=text)
        self.searches[search_id] = Saved(photos, least, limit, text)

    def embed(self, nth: int) -> None:
        waiting = [id_ for id_, saved in self.searches.items() if not saved.is_embedded]
        if not waiting:
            return
        search_id = waiting[nth % len(waiting)]
        with self.database.write() as session:
            its_number = select(SavedSearch.number).where(SavedSearch.id == search_id)
            number = session.scalars(its_number).one()
            vectors = self.searches[search_id].vectors
            store_saved_vectors(session, self.encoder_id, {number: vectors})
        self.searches[search_id].is_embedded = True
        self.catch_up(set())

    def forget(self, nth: int) -> None:
        if self.searches:
            search_id = list(self.searches)[nth % len(self.searches)]
            with self.database.write() as session:
                delete_saved_search(session, search_id)
            del self.searches[search_id]

    def restart(self) -> None:
        """Another process goes on, which has nothing in memory."""
        self.matcher = SavedSearchMatcher(Clock(), LANGUAGE)

    def catch_up(self, changed: set[UUID]) -> None:
        """Match what has changed, here and by brute force."""
        for _ in range(100):
            with self.database.write() as session:
                if not self.matcher.match_changed(session, 2):
                    break
        for saved in self.searches.values():
            saved.to_look_at |= changed
            if not saved.is_embedded:
                continue
            for listing_id in saved.to_look_at:
                offer = self.offers.get(listing_id)
                if offer and offer.is_there and self._passes(saved, offer):
                    saved.expected.add(listing_id)
            saved.to_look_at.clear()

    def _passes(self, saved: Saved, offer: Offer) -> bool:
        cosines = directions(offer.photos) @ saved.vectors.T
        is_alike = not saved.photos or bool((cosines >= saved.least).any())
        return offer.price <= saved.price_max and is_alike and self._has_words(saved, offer)

    def _has_words(self, saved: Saved, offer: Offer) -> bool:
        """As a search finds it whose last word is finished, and of which nothing is corrected."""
        if saved.text is None:
            return True
        with self.database.read() as session:
            resolved = resolve(session, parse_query(f"{saved.text} "), LANGUAGE)
        words = listing_words(offer.title, {}, None, "")
        return resolved.corrected is None and resolved.is_match(words)


PHOTOS = st.lists(st.integers(0, DIRECTIONS - 1), max_size=3, unique=True).map(tuple)
SOUGHT = st.one_of(
    st.tuples(PHOTOS.filter(bool), st.none()),
    st.tuples(PHOTOS, st.sampled_from(TEXTS)),
)
LISTINGS = st.integers(1, 4)
PRICES = st.sampled_from([5, 10, 20])
TITLES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
ONE_OR_NONE = st.sampled_from([(), (0,)])
STEPS = st.one_of(
    st.tuples(st.just(World.put), LISTINGS, TITLES, PRICES, PHOTOS),
    st.tuples(st.just(World.put), LISTINGS, TITLES, PRICES, PHOTOS),
    st.builds(
        lambda sought, least, price: (World.save, sought[0], least, price, sought[1]),
        *(SOUGHT, st.sampled_from(LIMITS), PRICES),
    ),
    st.tuples(st.just(World.embed), st.integers(0, 5)),
    st.tuples(st.just(World.embed), st.integers(0, 5)),
    st.tuples(st.just(World.remove), LISTINGS),
    st.tuples(st.just(World.forget), st.integers(0, 5)),
    st.tuples(st.just(World.restart)),
)


def emptied(database: Database) -> None:
    """Remove what an example before has left."""
    with database.write() as session:
        for table in (
            *(SavedSearchMatch, SavedSearchVectors, SavedSearchChange, SavedSearch),
            *(ListingChange, ListingPhoto, Listing, Embedding),
        ):
            session.execute(delete(table))
        advance(session, 0)
        session.execute(update(MatchingProgress).values(switched_at=0))


@pytest.fixture
def new_world(any_database: Database) -> Callable[[], World]:
    def make() -> World:
        emptied(any_database)
        with any_database.write() as session:
            encoder = activate_initial_encoder(session, ENCODER, Clock()())
        return World(any_database, SavedSearchMatcher(Clock(), LANGUAGE), encoder.id)

    return make


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=5, max_size=20))
def test_matches_are_those_of_brute_force(
    new_world: Callable[[], World], steps: list[tuple[Callable[..., None], object]]
) -> None:
    world = new_world()
    for do, *given_values in steps:
        do(world, *given_values)
    while any(not saved.is_embedded for saved in world.searches.values()):
        world.embed(0)
    for search_id, saved in world.searches.items():
        assert found_by(world.database, search_id) == saved.expected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    texts=st.lists(st.tuples(ONE_OR_NONE, st.sampled_from(TEXTS)), min_size=4, max_size=12),
    listings=st.lists(st.tuples(TITLES, ONE_OR_NONE), min_size=2, max_size=4),
)
def test_words_are_found_as_a_search_finds_them(
    new_world: Callable[[], World],
    texts: list[tuple[tuple[int, ...], str]],
    listings: list[tuple[str, tuple[int, ...]]],
) -> None:
    world = new_world()
    for photos, text in texts:
        world.save(photos, LIMITS[0], 20, text)
        world.embed(0)
    for number, (title, photos) in enumerate(listings, 1):
        world.put(number, title, 10, photos)
    for search_id, saved in world.searches.items():
        assert found_by(world.database, search_id) == saved.expected, saved
