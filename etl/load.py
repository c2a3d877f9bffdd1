"""Put clean listings and their photos into the database, with the jobs that will embed them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db import jobs
from db.embeddings import embedded, photos_to_embed, promised_photos, register_encoder
from db.listings import (
    ListingData,
    PhotoData,
    Written,
    ensure_photos,
    set_photos,
    upsert_listings,
)
from db.session import Database
from db.statements import chunks
from db.tables import Job
from models.domain import EncoderSpec, JobType
from workers.client import JobPublisher
from workers.contracts import PHOTOS_PER_JOB

JOBS_PER_TRANSACTION = 100


class Loader:
    """Loads one feed, a transaction at a time. What is already as the feed says is not written.

    `written` counts listings and `queued` photos; `jobs` are the open jobs that will embed the
    photos met so far, those of earlier runs included.
    """

    def __init__(
        self,
        database: Database,
        publisher: JobPublisher,
        encoder: EncoderSpec,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self.written = Written()
        self.queued = 0
        self.jobs: dict[UUID, None] = {}
        self._database = database
        self._publisher = publisher
        self._encoder = encoder
        self._clock = clock
        self._new_id = new_id
        self._encoder_id = 0
        self._promised: dict[int, UUID] = {}
        self._broker_answers = True

    def start(self) -> None:
        """Look up what earlier runs have left to be embedded."""
        with self._database.write() as session:
            self._encoder_id = register_encoder(session, self._encoder, self._clock())
            self._promised = promised_photos(session)

    def load(
        self, listings: Sequence[ListingData], photos: Mapping[UUID, Sequence[PhotoData]]
    ) -> None:
        """Write listings with exactly these photos, in this order, and queue their embedding.

        Listings, photos and jobs are one transaction: accepted means that all of it is stored.
        """
        now = self._clock()
        with self._database.write() as session:
            written = upsert_listings(session, listings, now)
            distinct = {photo.sha256: photo for shown in photos.values() for photo in shown}
            ids = ensure_photos(session, list(distinct.values()), now)
            unpromised = [item for item in ids.values() if item not in self._promised]
            have_vector = embedded(session, self._encoder_id, unpromised)
            accepted = self._accept(session, set(unpromised) - have_vector)
            # Last, because it holds the numbering of changes until the commit.
            set_photos(
                session,
                {
                    listing.id: [ids[photo.sha256] for photo in photos.get(listing.id, ())]
                    for listing in listings
                },
            )
        self.written += written
        self.jobs |= {self._promised[item]: None for item in ids.values() if item in self._promised}
        self._publish(accepted)

    def load_remaining(self) -> None:
        """Queue every other photo in the database that this encoder has yet to embed.

        There are some when the encoder was changed, or when a job has failed.
        """
        with self._database.read() as session:
            remaining = photos_to_embed(session, self._encoder_id)
        for batch in chunks(remaining, JOBS_PER_TRANSACTION * PHOTOS_PER_JOB):
            with self._database.write() as session:
                accepted = self._accept(session, batch)
            self._publish(accepted)

    def _accept(self, session: Session, photo_ids: Iterable[int]) -> list[Job]:
        return [
            jobs.accept(
                session,
                JobType.EMBED,
                {"photo_ids": chunk},
                job_id=self._new_id(),
                now=self._clock(),
                total=len(chunk),
            )
            for chunk in chunks(sorted(photo_ids), PHOTOS_PER_JOB)
        ]

    def _publish(self, accepted: Sequence[Job]) -> None:
        """Tell the workers of jobs that are committed, and remember them as promises."""
        # A broker that does not answer is asked no more: each time costs a timeout, and the relay
        # publishes what is left.
        if self._broker_answers:
            self._broker_answers = len(self._publisher.publish(accepted)) == len(accepted)
        for job in accepted:
            self.jobs[job.id] = None
            self.queued += job.total
            self._promised |= dict.fromkeys(job.payload["photo_ids"], job.id)
