"""The Celery tasks: they claim a job, call the function that runs it, and record how it ended."""

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final, NamedTuple
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


class NotOnThisMachine(Exception):
    """The active encoder's files are not on this machine; they may be on another."""


class QueryTools(NamedTuple):
    """The engine and encoder of queries: those claimed together share them."""

    engine: SearchEngine
    encoder: QueryEncoder


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

    Other waiting queries are run with it where that is faster.
    """
    engine = runtime.engine.current() if runtime.engine else None
    claims = _claim(runtime, job_id, engine)
    if not claims:
        log.info("job %s: nothing to do", job_id)
        return
    tools = None
    if engine is not None:
        encoder = QueryEncoder(runtime.database, runtime.store, engine.encoder, engine.encoder_id)
        tools = QueryTools(engine, encoder)
        if len(claims) > 1:
            encoder.prepare(claims)
    for claim in claims:
        _attempt(runtime, claim, tools)


def _claim(runtime: Runtime, job_id: UUID, engine: SearchEngine | None) -> list[Claim]:
    config = runtime.config
    with runtime.database.write() as session:
        record_consumption(session, config.queue, utc_now(), runtime.encoder_id)
        first = jobs.claim(session, job_id, utc_now(), config.lease)
        if first is None:
            return []
        # A job that was attempted before may have killed its worker: it is run alone.
        if engine is None or first.type not in QUERIES or first.attempt > 1:
            return [first]
        others = engine.batch - 1
        return [first, *jobs.claim_waiting(session, QUERIES, utc_now(), config.lease, limit=others)]


def _attempt(runtime: Runtime, claim: Claim, tools: QueryTools | None) -> None:
    max_attempts, job_id = runtime.config.max_attempts, claim.job_id
    try:
        _do(runtime, claim, tools)
    except ClaimLost:
        log.warning("job %s: attempt %s lost its claim", job_id, claim.attempt)
    except (NotOnThisMachine, UnreadableRecord) as error:
        log.warning("job %s is left to another worker: %s", job_id, error)
        _record(runtime, claim, lambda session: jobs.hand_back(session, claim, utc_now()))
    except Unavailable as error:
        log.warning("job %s: %s, trying again later", job_id, error)
        _record(runtime, claim, _retry_later(claim, max_attempts, str(error)))
    except MarketlensError as error:
        log.warning("job %s: %s", job_id, error)
        _record(runtime, claim, _fail(claim, error))
    except Exception as error:
        log.exception("job %s: attempt %s broke", job_id, claim.attempt)
        reason = f"{type(error).__name__}, see the worker's log."
        _record(runtime, claim, _retry_later(claim, max_attempts, reason))
    else:
        log.info("job %s: %s done", job_id, claim.type)
    # Also where it is to be tried again: who waits looks for themselves.
    runtime.announcer.announce([job_id])


def _do(runtime: Runtime, claim: Claim, tools: QueryTools | None) -> None:
    config, database = runtime.config, runtime.database
    heartbeat = Heartbeat(database, claim, config.lease, utc_now)
    match claim.payload:
        case SearchPayload() | EmbeddingPayload() | PredictionPayload() as query if tools:
            result = _answer(runtime, claim, query, tools)
            with database.write() as session:
                jobs.finish(session, claim, utc_now(), result=result, done=1)
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
    runtime: Runtime,
    claim: Claim,
    payload: SearchPayload | EmbeddingPayload | PredictionPayload,
    tools: QueryTools,
) -> JobResult:
    """The result of a query: all of it comes from one engine."""
    database, encoder, index = runtime.database, tools.encoder, tools.engine.index
    match payload:
        case EmbeddingPayload():
            return run_embedding(claim, payload, encoder=encoder, clock=utc_now)
        case PredictionPayload():
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
        case SearchPayload():
            return run_search(
                claim, payload, database=database, encoder=encoder, index=index, clock=utc_now
            )


Outcome = Callable[[Session], None]


def _fail(claim: Claim, error: MarketlensError) -> Outcome:
    return lambda session: jobs.fail(session, claim, utc_now(), code=error.code, detail=str(error))


def _retry_later(claim: Claim, max_attempts: int, reason: str) -> Outcome:
    return lambda session: jobs.retry_later(
        session, claim, utc_now(), max_attempts=max_attempts, reason=reason
    )


def _record(runtime: Runtime, claim: Claim, outcome: Outcome) -> None:
    """Store how an attempt ended; if even that fails, its lease expires and the relay sees it."""
    try:
        with runtime.database.write() as session:
            outcome(session)
    except (ClaimLost, Unavailable) as error:
        log.warning("job %s: outcome not recorded: %r", claim.job_id, error)
