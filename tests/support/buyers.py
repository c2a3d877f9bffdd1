"""A catalogue of three kinds of things, and users who want things of one kind each."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from db.events.store import NewEvent
from db.ranking.rankers import activate_ranker, register_ranker
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.job_payloads import StoredJson
from models.domain.recommendations.events import EventKind
from models.domain.searches.options import RankWeights
from models.domain.types import EncoderSpec
from tests.support.catalogue import add_listing, numbered_photos
from tests.support.events import event, listing_of, store

KINDS = 3
LISTINGS = 60
USERS = 24
DAYS = 8
SHOWN = 6
DIMENSION = 8

NEW_FIRST = RankWeights(similarity=0, text=0, freshness=1.0)
"""Weights by which nobody finds what they want."""

ENCODER = EncoderSpec("hog", DIMENSION, "a" * 64)


def add_catalogue(database: Database, now: datetime) -> None:
    """Listings with the numbers from 1 on, of one kind after the other, a day apart in age."""
    rng = np.random.default_rng(0)
    kinds = np.eye(DIMENSION, dtype=np.float32)[:KINDS]
    with database.write() as session:
        encoder_id = activate_initial_encoder(session, ENCODER, now).id
        for number in range(1, LISTINGS + 1):
            created = now - timedelta(days=20 + number)
            _, (photo,) = add_listing(
                session, numbered_photos(number), created, listing=listing_of(number)
            )
            vector = kinds[number % KINDS] + 0.2 * rng.standard_normal(DIMENSION)
            vector /= np.linalg.norm(vector)
            add_embeddings(session, encoder_id, {photo: vector.astype(np.float32)})


def add_choices(
    database: Database, now: datetime, days: int = DAYS, *, lists: bool = False
) -> None:
    """Each user saves one thing of their kind a day, which they had not touched before.

    With `lists` it is one of those that a list has shown them.
    """
    store(database, list(choices(now, days, lists=lists)), now)


def choices(now: datetime, days: int = DAYS, *, lists: bool = False) -> Iterator[NewEvent]:
    """The events of `add_choices`."""
    for user in range(USERS):
        rng = np.random.default_rng(user)
        wanted = rng.permutation([n for n in range(1, LISTINGS + 1) if n % KINDS == user % KINDS])
        for day, number in enumerate(wanted[:days].tolist()):
            at = now - timedelta(days=days - day, minutes=user)
            name = f"user {user}"
            saved = event(f"{user} {day}", name, number, at, EventKind.SAVED)
            if not lists:
                yield saved
                continue
            search = UUID(int=1 + user * days + day)
            others = rng.choice(
                [n for n in range(1, LISTINGS + 1) if n % KINDS != user % KINDS], SHOWN - 1
            )
            shown = rng.permutation([number, *dict.fromkeys(others.tolist())])
            for place, one in enumerate(shown.tolist(), start=1):
                yield replace(
                    event(
                        f"{user} {day} {place}",
                        name,
                        one,
                        at - timedelta(minutes=1),
                        EventKind.IMPRESSION,
                    ),
                    search_id=search,
                    position=place,
                )
            yield replace(saved, search_id=search)


def use_bad_weights(database: Database, now: datetime) -> int:
    """Make the newest things come first; gives the id of these weights."""
    with database.write() as session:
        measured: StoredJson = {
            "learned_from": 0,
            "tried_on": 0,
            "users": 0,
            "tried_from": now.isoformat(),
            "compared_with": None,
            "learned_parts": [],
            **{name: {"value": 0, "low": 0, "high": 0} for name in ("in_use", "learned", "gain")},
        }
        ranker = register_ranker(session, NEW_FIRST, measured, now)
        activate_ranker(session, ranker.id, now)
        return ranker.id
