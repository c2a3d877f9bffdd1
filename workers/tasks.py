"""The tasks: shells that claim a job, call the one function that does it, and end it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from celery import Celery

from db import jobs
from db.consumption import record_consumption
from db.jobs import Claim, ClaimLost
from models.domain.errors import MarketlensError, SetupError, Unavailable, WeightsError
from models.domain.optional_dependencies import requires_extra
from models.domain.types import JobType
from models.encoders.encoder import Encoder
from models.head import find_head
from workers.encoders.loaded import encoders_for
from workers.jobs.answers import run_embedding, run_prediction
from workers.jobs.duplicates import run_duplicates
from workers.jobs.embed import run_embed
from workers.jobs.reindex import run_reindex
from workers.jobs.search import run_search
from workers.queue.messages import PROBE, RUN_JOB
from workers.runtime import Runtime
from workers.search.active_engine import Side
from workers.search.query_encoder import QueryEncoder

log = logging.getLogger(__name__)

QUESTIONS: Final = frozenset({JobType.SEARCH, JobType.EMBEDDING, JobType.PREDICTION})
"""Jobs about a photo or a listing that somebody waits for; a search worker answers them."""


class NotHere(Exception):
    """The active encoder's files are not on this machine; on another they may be."""


class Asked(NamedTuple):
    """What questions are answered with: all that are claimed together, with one and the same."""

    side: Side
    encoder: QueryEncoder


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def register_tasks(celery: Celery, runtime: Callable[[], Runtime]) -> None:
    """Add the tasks; `runtime` gives this process' runtime when a task runs."""

    @celery.task(name=RUN_JOB)
    def _run_job(job_id: str) -> None:
        run_job(runtime(), UUID(job_id))

    @celery.task(name=PROBE)
    def _probe(queue: str) -> None:
        show_up(runtime(), queue)


def show_up(runtime: Runtime, queue: str) -> None:
    """Note that this process takes what is in the queue."""
    if runtime.searcher:
        # Also while nobody searches: the next search finds all open, and what is old is let go of.
        side = runtime.searcher.side()
        with runtime.database.read() as session:
            side.index.sync(session)
    with runtime.database.write() as session:
        record_consumption(session, queue, now(), runtime.encoder_id)


def run_job(runtime: Runtime, job_id: UUID) -> None:
    """Do a job if it is still to be done; every outcome but a lost database is recorded.

    Questions that wait, too, are done with it where that is faster.
    """
    side = runtime.searcher.side() if runtime.searcher else None
    claims = _claim(runtime, job_id, side)
    if not claims:
        log.info("job %s: nothing to do", job_id)
        return
    asked = None
    if side is not None:
        encoder = QueryEncoder(runtime.database, runtime.store, side.encoder, side.encoder_id)
        asked = Asked(side, encoder)
        if len(claims) > 1:
            encoder.prepare([claim.payload for claim in claims])
    for claim in claims:
        _attempt(runtime, claim, asked)


def _claim(runtime: Runtime, job_id: UUID, side: Side | None) -> list[Claim]:
    config = runtime.config
    with runtime.database.write() as session:
        record_consumption(session, config.queue, now(), runtime.encoder_id)
        first = jobs.claim(session, job_id, now(), config.lease)
        if first is None:
            return []
        # One that was tried before may have ended its worker: it is tried alone.
        if side is None or first.type not in QUESTIONS or first.attempt > 1:
            return [first]
        others = side.batch - 1
        return [first, *jobs.claim_waiting(session, QUESTIONS, now(), config.lease, limit=others)]


def _attempt(runtime: Runtime, claim: Claim, asked: Asked | None) -> None:
    config, job_id = runtime.config, claim.job_id
    try:
        _do(runtime, claim, asked)
    except ClaimLost:
        log.warning("job %s: attempt %s lost its claim", job_id, claim.attempt)
    except NotHere as error:
        log.warning("job %s is left to another worker: %s", job_id, error)
        _record(runtime, claim, _hand_back)
    except Unavailable as error:
        log.warning("job %s: %s, trying again later", job_id, error)
        _record(runtime, claim, _retry_later(config.max_attempts, str(error)))
    except MarketlensError as error:
        log.warning("job %s: %s", job_id, error)
        _record(runtime, claim, _fail(error.code, str(error)))
    except Exception as error:
        log.exception("job %s: attempt %s broke", job_id, claim.attempt)
        reason = f"{type(error).__name__}, see the worker's log."
        _record(runtime, claim, _retry_later(config.max_attempts, reason))
    else:
        log.info("job %s: %s done", job_id, claim.type)


def _do(runtime: Runtime, claim: Claim, asked: Asked | None) -> None:
    config = runtime.config
    match claim.type:
        case JobType.SEARCH | JobType.EMBEDDING | JobType.PREDICTION if asked:
            result = _answer(runtime, claim, asked)
            with runtime.database.write() as session:
                jobs.finish(session, claim, now(), result=result, done=1)
        case JobType.EMBED:
            run_embed(
                claim,
                database=runtime.database,
                store=runtime.store,
                encoders=_encoders(runtime, claim),
                clock=now,
            )
        case JobType.REINDEX if config.index_url is not None:
            with requires_extra("milvus"):
                from workers.jobs.repair_index import run_mend  # noqa: PLC0415 - an extra
            run_mend(
                claim,
                database=runtime.database,
                url=config.index_url,
                lease=config.lease,
                clock=now,
            )
        case JobType.REINDEX:
            run_reindex(
                claim,
                database=runtime.database,
                store=runtime.store,
                generations_dir=config.generations_dir,
                recall_target=config.recall_target,
                memory_bytes=config.index_memory_bytes,
                keep=config.keep_generations,
                lease=config.lease,
                clock=now,
            )
        case JobType.DUPLICATES:
            run_duplicates(
                claim,
                database=runtime.database,
                store=runtime.store,
                open_index=runtime.indexes.open,
                lease=config.lease,
                clock=now,
            )
        case other:
            raise SetupError(f"A worker of queue {config.queue} can't do a {other} job.")


def _encoders(runtime: Runtime, claim: Claim) -> dict[int, Encoder]:
    try:
        return encoders_for(claim.payload, runtime.database, runtime.encoders)
    except WeightsError as error:
        raise NotHere(str(error)) from error


def _answer(runtime: Runtime, claim: Claim, asked: Asked) -> dict[str, Any]:
    """The result of a question: all of it comes from one side."""
    database, encoder, index = runtime.database, asked.encoder, asked.side.index
    match claim.type:
        case JobType.EMBEDDING:
            return run_embedding(claim, encoder=encoder, clock=now)
        case JobType.PREDICTION:
            head = find_head(runtime.config.models_dir, encoder.spec)
            return run_prediction(
                claim,
                database=database,
                store=runtime.store,
                encoder=encoder,
                index=index,
                head=head,
                clock=now,
            )
        case _:
            return run_search(claim, database=database, encoder=encoder, index=index, clock=now)


def _hand_back(session: Any, claim: Claim) -> None:
    jobs.hand_back(session, claim, now())


def _fail(code: str, detail: str) -> Callable[..., None]:
    def record(session: Any, claim: Claim) -> None:
        jobs.fail(session, claim, now(), code=code, detail=detail)

    return record


def _retry_later(max_attempts: int, reason: str) -> Callable[..., None]:
    def record(session: Any, claim: Claim) -> None:
        jobs.retry_later(session, claim, now(), max_attempts=max_attempts, reason=reason)

    return record


def _record(runtime: Runtime, claim: Claim, outcome: Callable[..., None]) -> None:
    """Write how an attempt ended; if even that fails, its lease runs out and the relay sees it."""
    try:
        with runtime.database.write() as session:
            outcome(session, claim)
    except (ClaimLost, Unavailable) as error:
        log.warning("job %s: outcome not recorded: %r", claim.job_id, error)
