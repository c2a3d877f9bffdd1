"""What workers do: for tests of what comes before and after them."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.jobs import attempts, claiming
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Job
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder, register_encoder
from models.domain.job_payloads import EmbedPayload
from models.domain.types import EncoderSpec, JobStatus, JobType
from models.encoders.encoder import Encoder
from tests.support.payloads import NOTHING_EMBEDDED
from workers.embedding.photos import EmbedTools
from workers.embedding.time_limit import TimeLimit
from workers.jobs.embed import run_embed
from workers.saved_searches.matching import SavedSearchMatcher

LEASE = timedelta(minutes=1)


def claim_queued(session: Session, job_type: JobType, now: datetime) -> list[Claim]:
    """Claim every queued job of a type."""
    queued = select(Job.id).where(Job.type == job_type, Job.status == JobStatus.QUEUED)
    claims = [
        claiming.claim(session, job_id, now, LEASE) for job_id in session.scalars(queued).all()
    ]
    return [claim for claim in claims if claim is not None]


def known(session: Session, encoder: EncoderSpec, now: datetime) -> int:
    """The id of an encoder; the first one that has embedded something is the active one."""
    activate_initial_encoder(session, encoder, now)
    return register_encoder(session, encoder, now)


def embed_payload(claim: Claim) -> EmbedPayload:
    """What an embed job asks for."""
    assert isinstance(claim.payload, EmbedPayload)
    return claim.payload


def embed_all(database: Database, encoder: EncoderSpec, now: datetime) -> None:
    """Do every queued embed job without a model; all photos get the same vector."""
    vector = np.full(encoder.dimension, encoder.dimension**-0.5, np.float32)
    with database.write() as session:
        encoder_id = known(session, encoder, now)
        for claim in claim_queued(session, JobType.EMBED, now):
            photo_ids = embed_payload(claim).photo_ids
            attempts.finish(session, claim, now, result=NOTHING_EMBEDDED, done=len(photo_ids))
            add_embeddings(session, encoder_id, dict.fromkeys(photo_ids, vector))


def embed_claimed(
    claim: Claim,
    database: Database,
    store: PhotoStore,
    encoders: dict[int, Encoder],
    clock: Callable[[], datetime],
) -> None:
    """Do a claimed embed job as a worker does."""
    matcher = SavedSearchMatcher(clock, "english")
    tools = EmbedTools(database, store, encoders, matcher, clock, TimeLimit(None), max_attempts=1)
    run_embed(claim, embed_payload(claim), tools, lambda *_: None)


def embed_for_real(database: Database, store: PhotoStore, encoder: Encoder, now: datetime) -> None:
    """Do every queued embed job as a worker does."""
    with database.write() as session:
        encoder_id = known(session, encoder.spec, now)
        claims = claim_queued(session, JobType.EMBED, now)
    for claim in claims:
        embed_claimed(claim, database, store, {encoder_id: encoder}, lambda: now)
