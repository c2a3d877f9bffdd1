"""The Celery tasks: they claim a job, call the function that runs it, and record how it ended."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Final
from uuid import UUID

from celery import Celery
from sqlalchemy.orm import Session

from db import jobs
from db.consumption import record_consumption
from db.jobs import Claim, ClaimLost
from models.domain.clock import utc_now
from models.domain.errors import (
    MarketlensError,
    SetupError,
    Unavailable,
    UnreadableRecord,
    WeightsError,
)
from models.domain.job_payloads import (
    AdaptPayload,
    DuplicatesPayload,
    EmbeddingPayload,
    EmbedPayload,
    PredictionPayload,
    ReindexPayload,
    SearchPayload,
)
from models.domain.job_results import JobResult
from models.domain.types import JobType
from models.encoders.encoder import Encoder
from models.head import find_head
from workers.encoders.loaded import encoders_for
from workers.jobs.adapt import AdaptTools, run_adapt
from workers.jobs.duplicates import run_duplicates
from workers.jobs.embed import run_embed
from workers.jobs.embedding import run_embedding
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.prediction import run_prediction
from workers.jobs.reindex import run_reindex
from workers.jobs.repair_index import run_repair
from workers.jobs.search import run_search
from workers.queue.messages import PROBE, RUN_JOB
from workers.queue.publisher import JobPublisher
from workers.runtime import Runtime
from workers.search.active_engine import SearchEngine
from workers.search.query_encoder import QueryEncoder

log = logging.getLogger(__name__)

QUERIES: Final = frozenset({JobType.SEARCH, JobType.EMBEDDING, JobType.PREDICTION})
"""Jobs about a photo or a listing that a caller waits for; search workers do them."""

TOGETHER: Final = 8
"""Queries that are claimed, and end, in one transaction at most, however few are embedded at once:
each transaction waits for the disk."""


Outcome = Callable[[Session], None]
"""Records how an attempt ended."""


class NotOnThisMachine(Exception):
    """The active encoder's files are not on this machine; they may be on another."""


def register_tasks(celery: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add the tasks; `runtime` gives this process' runtime when a task runs."""

    @celery.task(name=RUN_JOB)
    def _run_job(job_id: str) -> None:
        run_job(runtime(), UUID(job_id))

    @celery.task(name=PROBE)
    def _probe(queue: str) -> None:
        answer_probe(runtime(), queue)


def answer_probe(runtime: Runtime, queue: str) -> None:
    """Record that this process consumes the queue."""
    if runtime.engine:
        # Also while nobody searches: new generations are opened, and old ones released.
        engine = runtime.engine.current()
        with runtime.database.read() as session:
            engine.index.sync(session)
    with runtime.database.write() as session:
        record_consumption(session, queue, utc_now(), runtime.encoder_id)


def run_job(runtime: Runtime, job_id: UUID) -> None:
    """Run a job if it is still due; every outcome is recorded, unless the database is lost.

    Other waiting queries are run with it.
    """
    engine = runtime.engine.current() if runtime.engine else None
    claims = _claim(runtime, job_id, engine)
    if not claims:
        log.info("job %s: nothing to do", job_id)
    elif engine is not None and claims[0].type in QUERIES:
        _answer_all(runtime, claims, engine)
    else:
        (claim,) = claims
        outcome = _outcome_of(runtime, claim, lambda: _do(runtime, claim))
        if outcome is not None:
            _record(runtime, [(claim, outcome)])
        runtime.announcer.announce([claim.job_id])


def _claim(runtime: Runtime, job_id: UUID, engine: SearchEngine | None) -> list[Claim]:
    config, database = runtime.config, runtime.database
    if runtime.consumption.is_due():
        with database.write() as session:
            record_consumption(session, config.queue, utc_now(), runtime.encoder_id)
    with database.read() as session:
        # Most often it was run with another one: then nothing is written.
        if not jobs.is_claimable(session, job_id, utc_now()):
            return []
    with database.write() as session:
        owner = runtime.owner
        first = jobs.claim(session, job_id, utc_now(), config.lease, owner=owner)
        if first is None:
            return []
        # A job that was attempted before may have killed its worker: it is run alone.
        if engine is None or first.type not in QUERIES or first.attempt > 1:
            return [first]
        others = max(engine.batch, TOGETHER) - 1
        waiting = jobs.claim_waiting(
            session, QUERIES, utc_now(), config.lease, limit=others, owner=owner
        )
        return [first, *waiting]


def _answer_all(runtime: Runtime, claims: list[Claim], engine: SearchEngine) -> None:
    """Answer queries that were claimed together, and end them in one transaction."""
    encoder = QueryEncoder(runtime.database, runtime.store, engine.encoder, engine.encoder_id)
    if len(claims) > 1:
        encoder.prepare(claims, engine.batch)
    outcomes: list[tuple[Claim, Outcome]] = []
    for claim in claims:
        outcome = _outcome_of(runtime, claim, partial(_answer, runtime, claim, encoder, engine))
        if outcome is not None:
            outcomes.append((claim, outcome))
    _record(runtime, outcomes)
    runtime.announcer.announce([claim.job_id for claim in claims])


def _outcome_of(
    runtime: Runtime, claim: Claim, run: Callable[[], JobResult | None]
) -> Outcome | None:
    """How to record the end of this attempt; None where it has been recorded, or is no longer ours.

    `run` gives the result of the job, or None if it has recorded that itself.
    """
    max_attempts, job_id = runtime.config.max_attempts, claim.job_id
    outcome: Outcome | None = None
    try:
        result = run()
    except ClaimLost:
        log.warning("job %s: attempt %s lost its claim", job_id, claim.attempt)
    except (NotOnThisMachine, UnreadableRecord) as error:
        log.warning("job %s is left to another worker: %s", job_id, error)
        outcome = _hand_back(claim)
    except Unavailable as error:
        log.warning("job %s: %s, trying again later", job_id, error)
        outcome = _retry_later(claim, max_attempts, str(error))
    except MarketlensError as error:
        log.warning("job %s: %s", job_id, error)
        outcome = _fail(claim, error)
    except Exception as error:
        log.exception("job %s: attempt %s broke", job_id, claim.attempt)
        reason = f"{type(error).__name__}, see the worker's log."
        outcome = _retry_later(claim, max_attempts, reason)
    else:
        log.info("job %s: %s done", job_id, claim.type)
        if result is not None:
            outcome = _finish(claim, result)
    return outcome


def _do(runtime: Runtime, claim: Claim) -> None:
    """Do a job that is no query, which records its end itself."""
    config, database = runtime.config, runtime.database
    heartbeat = Heartbeat(database, claim, config.lease, utc_now)
    match claim.payload:
        case EmbedPayload() as payload:
            encoders = _encoders(runtime, payload.encoder_id)
            run_embed(
                claim,
                payload,
                database=database,
                store=runtime.store,
                encoders=encoders,
                heartbeat=heartbeat,
                clock=utc_now,
            )
        case ReindexPayload() as payload if config.index_url is not None:
            run_repair(
                claim,
                payload,
                database=database,
                indexes=runtime.indexes,
                heartbeat=heartbeat,
                clock=utc_now,
            )
        case ReindexPayload() as payload:
            run_reindex(
                claim,
                payload,
                database=database,
                store=runtime.store,
                settings=config.index,
                heartbeat=heartbeat,
                clock=utc_now,
            )
        case DuplicatesPayload():
            run_duplicates(
                claim,
                database=database,
                store=runtime.store,
                open_index=runtime.indexes.open,
                heartbeat=heartbeat,
                clock=utc_now,
            )
        case AdaptPayload():
            with closing(JobPublisher(config.broker_url)) as publisher:
                adapt_tools = AdaptTools(
                    database=database,
                    store=runtime.store,
                    library=config.library,
                    generations_dir=config.index.generations_dir,
                    threads=config.threads,
                    run_job=partial(run_job, runtime),
                    publisher=publisher,
                    clock=utc_now,
                )
                run_adapt(claim, adapt_tools, heartbeat)
        case _:
            raise SetupError(f"A worker of queue {config.queue} can't do a {claim.type} job.")


def _encoders(runtime: Runtime, encoder_id: int | None) -> dict[int, Encoder]:
    try:
        return encoders_for(encoder_id, runtime.database, runtime.encoders)
    except WeightsError as error:
        raise NotOnThisMachine(str(error)) from error


def _answer(
    runtime: Runtime, claim: Claim, encoder: QueryEncoder, engine: SearchEngine
) -> JobResult:
    """The result of a query: all of it comes from one engine."""
    database, index = runtime.database, engine.index
    match claim.payload:
        case EmbeddingPayload() as payload:
            return run_embedding(claim, payload, encoder=encoder, clock=utc_now)
        case PredictionPayload() as payload:
            head = find_head(runtime.config.models_dir, encoder.spec)
            return run_prediction(
                claim,
                payload,
                database=database,
                store=runtime.store,
                encoder=encoder,
                index=index,
                head=head,
                clock=utc_now,
            )
        case SearchPayload() as payload:
            return run_search(
                claim, payload, database=database, encoder=encoder, index=index, clock=utc_now
            )
        case _:
            raise SetupError(f"A {claim.type} job is no query.")


def _finish(claim: Claim, result: JobResult) -> Outcome:
    return lambda session: jobs.finish(session, claim, utc_now(), result=result, done=1)


def _hand_back(claim: Claim) -> Outcome:
    return lambda session: jobs.hand_back(session, claim, utc_now())


def _fail(claim: Claim, error: MarketlensError) -> Outcome:
    return lambda session: jobs.fail(session, claim, utc_now(), code=error.code, detail=str(error))


def _retry_later(claim: Claim, max_attempts: int, reason: str) -> Outcome:
    return lambda session: jobs.retry_later(
        session, claim, utc_now(), max_attempts=max_attempts, reason=reason
    )


def _record(runtime: Runtime, outcomes: Sequence[tuple[Claim, Outcome]]) -> None:
    """Store how attempts ended, in one transaction; what is no longer ours is left out.

    What can't be stored is tried again, alone. If even that fails, leases expire and the relay sees
    it.
    """
    if not outcomes:
        return
    try:
        with runtime.database.write() as session:
            for claim, outcome in outcomes:
                _record_one(session, claim, outcome, runtime.config.max_attempts)
    except Unavailable as error:
        ids = [str(claim.job_id) for claim, _ in outcomes]
        log.warning("jobs %s: outcomes not recorded: %r", ids, error)


def _record_one(session: Session, claim: Claim, outcome: Outcome, max_attempts: int) -> None:
    """Store how an attempt ended, apart from what else the transaction stores."""
    try:
        with session.begin_nested():
            outcome(session)
    except ClaimLost:
        log.warning("job %s: its claim was lost, no outcome is recorded", claim.job_id)
    except Exception as error:
        log.exception("job %s: its outcome can't be stored", claim.job_id)
        reason = f"{type(error).__name__}, see the worker's log."
        # With a lost connection this fails as well, and all outcomes with it.
        with suppress(ClaimLost), session.begin_nested():
            _retry_later(claim, max_attempts, reason)(session)
