"""The tasks: shells that claim a job, call the one function that does it, and end it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery import Celery

from db import jobs
from db.consumption import record_consumption
from db.jobs import Claim, ClaimLost
from models.domain import JobType
from models.errors import MarketlensError, SetupError, Unavailable
from workers.contracts import PROBE, RUN_JOB
from workers.embed import run_embed
from workers.reindex import run_reindex
from workers.runtime import Runtime
from workers.search import run_search

log = logging.getLogger(__name__)


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
        held = runtime()
        with held.database.write() as session:
            record_consumption(session, queue, now(), held.encoder_id)


def run_job(runtime: Runtime, job_id: UUID) -> None:
    """Do a job if it is still to be done; every outcome but a lost database is recorded."""
    config = runtime.config
    with runtime.database.write() as session:
        record_consumption(session, config.queue, now(), runtime.encoder_id)
        claim = jobs.claim(session, job_id, now(), config.lease)
    if claim is None:
        log.info("job %s: nothing to do", job_id)
        return
    try:
        _do(runtime, claim)
    except ClaimLost:
        log.warning("job %s: attempt %s lost its claim", job_id, claim.attempt)
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


def _do(runtime: Runtime, claim: Claim) -> None:
    config = runtime.config
    match claim.type:
        case JobType.SEARCH if runtime.encoder and runtime.index:
            result = run_search(
                claim,
                database=runtime.database,
                store=runtime.store,
                encoder=runtime.encoder,
                encoder_id=runtime.encoder_id,
                index=runtime.index,
                clock=now,
            )
            with runtime.database.write() as session:
                jobs.finish(session, claim, now(), result=result, done=1)
        case JobType.EMBED if runtime.encoder:
            run_embed(
                claim,
                database=runtime.database,
                store=runtime.store,
                encoder=runtime.encoder,
                encoder_id=runtime.encoder_id,
                clock=now,
            )
        case JobType.REINDEX:
            run_reindex(
                claim,
                database=runtime.database,
                spec=config.spec,
                encoder_id=runtime.encoder_id,
                generations_dir=config.generations_dir,
                recall_target=config.recall_target,
                keep=config.keep_generations,
                lease=config.lease,
                clock=now,
            )
        case other:
            raise SetupError(f"A worker of queue {config.queue} can't do a {other} job.")


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
