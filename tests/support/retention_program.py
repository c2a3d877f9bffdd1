"""A program that tests kill: `python -m tests.support.retention_program URL FOLDER` erases listings
and removes all that has had its time, until it is killed or done."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event as Stop
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy import select, text, update

from db.catalogue.listing_photos import PhotoData, set_photos
from db.catalogue.listings import ListingData, delete_listings
from db.events.store import NewEvent, store_events
from db.jobs import accepting
from db.retention.erasures import ErasureKind, erase_listing
from db.session import Database
from db.store.photo_store import PREFIXES, PhotoStore
from db.tables import Embedding, Job, Listing, ListingPhoto, Photo
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.clock import utc_now
from models.domain.errors import NotFound
from models.domain.job_payloads import SearchPayload
from models.domain.recommendations.events import EventKind
from models.domain.types import EncoderSpec, JobStatus
from tests.support.catalogue import add_listing
from workers.retention.erasing import Places
from workers.retention.policy import RetentionPolicy
from workers.retention.run import EVERY_S, Retention
from workers.retention.steps import Pace

LISTINGS: Final = 60
ERASED: Final = range(0, LISTINGS, 3)
DELETED: Final = range(1, LISTINGS, 6)
JOBS: Final = 400
NOW: Final = utc_now() + timedelta(days=40)
WORDS: Final = ["lamp", "table", "chair", "brass", "oak", "green", "old", "small", "heavy", "round"]


def listing_id(number: int) -> UUID:
    return UUID(int=Random(number).getrandbits(128))


def fill(database: Database, folder: Path, began: datetime) -> None:
    """A catalogue in which two listings share each photo, with old and new jobs and events."""
    store = PhotoStore(folder / "photos")
    kinds = list(EventKind)
    with database.write() as session:
        encoder = activate_initial_encoder(session, EncoderSpec("hog", 2, "f" * 64), began)
        for number in range(LISTINGS):
            photos = [PhotoData(store.put(f"{(number + n) // 2}".encode()), 1, 1) for n in range(3)]
            title = " ".join(Random(number).sample(WORDS, 4))
            data = ListingData(listing_id(number), f"{title} {number}", location=f"Place {number}")
            _, ids = add_listing(session, list(dict.fromkeys(photos)), began, listing=data)
            if number % 5 == 0:
                set_photos(session, {data.id: ids[:1]})
            add_embeddings(session, encoder.id, dict.fromkeys(ids, np.array([1, 0], np.float32)))
    with database.write() as session:
        delete_listings(session, [listing_id(number) for number in DELETED], began)
        events = [
            NewEvent(
                f"{number} {user}",
                f"user {user}",
                kinds[(number + user) % len(kinds)],
                listing_id(number),
                began - timedelta(days=(number * 7 + user) % 200),
            )
            for number in range(LISTINGS)
            for user in range(6)
        ]
        store_events(session, events, began)
        for number in range(JOBS):
            positive = (store.put(f"asked {number // 2}".encode()),)
            if number % 4 == 0:
                positive = (listing_id(number % LISTINGS),)  # type: ignore[assignment]
            payload = SearchPayload(positive=positive, limit=1)
            job_id = UUID(int=number + 1)
            accepting.accept(session, payload, job_id=job_id, now=began + timedelta(hours=number))
    with database.write() as session:
        session.execute(
            update(Job)
            .where(Job.id.in_([UUID(int=number + 1) for number in range(JOBS) if number % 7]))
            .values(status=JobStatus.SUCCEEDED, finished_at=Job.created_at)
        )


def run_all(database: Database, folder: Path, now: datetime) -> None:
    """Erase what is to be erased, and remove all that has had its time, without rests."""
    for number in ERASED:
        try:
            with database.write() as session:
                erase_listing(session, listing_id(number), now)
        except NotFound:
            continue
    places = Places(PhotoStore(folder / "photos"), folder / "generations", folder / "columns")
    pace = Pace(database, lambda: now, Stop(), rest_s=0.0)
    retention = Retention.of(pace, places, RetentionPolicy())
    for kind in EVERY_S:
        retention.remove(kind)
    retention.finish(tuple(ErasureKind), clean=True)


def state(database: Database, folder: Path) -> dict[str, object]:
    """All that there is, but for numbers that say nothing."""
    store = PhotoStore(folder / "photos")
    with database.read() as session:
        rows = {
            "jobs": set(session.scalars(select(Job.id))),
            "listings": set(session.scalars(select(Listing.id))),
            "shown": {
                tuple(row)
                for row in session.execute(
                    select(ListingPhoto.listing_id, Photo.sha256).join(
                        Photo, Photo.id == ListingPhoto.photo_id
                    )
                )
            },
            "vectors": set(
                session.scalars(
                    select(Photo.sha256).join(Embedding, Embedding.photo_id == Photo.id)
                )
            ),
            "photos": set(session.scalars(select(Photo.sha256))),
            **{
                name: sorted(map(tuple, session.execute(text(statement))))
                for name, statement in (
                    ("events", "SELECT listing_number, kind, at FROM events"),
                    ("popularity", "SELECT listing_number, users FROM listing_popularity"),
                    ("words", "SELECT word, listings FROM text_words"),
                    ("texts", "SELECT number, title FROM listing_texts"),
                    (
                        "erasures",
                        "SELECT kind, listings, photos, CAST(pending AS text) FROM erasures",
                    ),
                )
            },
        }
    return rows | {"files": set().union(*map(store.digests_with, PREFIXES))}


if __name__ == "__main__":
    url, where, moment = sys.argv[1:]
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    run_all(Database(url), Path(where), datetime.fromisoformat(moment))
