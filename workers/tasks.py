"""The Celery tasks: they claim a job, call the function that runs it, and record how it ended."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import chain
from time import monotonic
from typing import Final
from uuid import UUID

from celery import Celery
from sqlalchemy.orm import Session

from db.consumption import record_consumption
from db.jobs import attempts, claiming
from db.jobs.attempts import ClaimLost
from db.jobs.claiming import Claim
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
    CalibratePayload,
    DuplicatesPayload,
    EmbedPayload,
    MatchPayload,
    ReindexPayload,
)
from models.domain.job_results import JobResult
from models.encoders.encoder import Encoder
from workers.encoders.loaded import encoders_for
from workers.jobs.adapt import AdaptTools, run_adapt
from workers.jobs.calibrate import CalibrateTools, run_calibrate
from workers.jobs.duplicates import run_duplicates
from workers.jobs.embed import run_embed
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.match import run_match
from workers.jobs.queries import Answer, QueryTools, answer_queries
from workers.jobs.reindex import run_reindex
from workers.jobs.repair_index import run_repair
from workers.queue.messages import PROBE, QUERIES, RUN_JOB
from workers.runtime import Runtime
from workers.saved_searches.catch_up import catch_up
from workers.search.active_engine import SearchEngine

log = logging.getLogger(__name__)

TOGETHER: Final = 8
"""Queries that are claimed, answered and ended together, at most: they share what they cost beside
the network."""

THREADS: Final = 2
"""Threads of a process that answer queries: while one waits for the disk or has the network to
itself, the other does the rest."""

ANSWER_FOR_S: Final = 1.0
"""For how long a message leads to more queries than its own: then another message does, so that a
worker that is stopped has little left to do."""

Outcome = Callable[[Session], None]
"""Records how an attempt ended."""


class NotOnThisMachine(Exception):
    """This process can't do the job now: another may, or this one later.

    Either the active encoder's files are not on this machine, or it has too much to do.
    """


class GoesOn(Exception):
    """The job is done by other threads of this process, which record its end."""


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
        with runtime.database.read() as session, engine.indexing:
            engine.index.sync(session)
        runtime.columns.begin()
        with runtime.database.read() as session:
            runtime.columns.sync(session)
    with runtime.database.write() as session:
        record_consumption(session, queue, utc_now(), runtime.encoder_id)


def run_job(runtime: Runtime, job_id: UUID) -> None:
    """Run a job if it is still due; every outcome is recorded, unless the database is lost.

    If it is a query, all other queries that wait are answered as well: one message may stand for
    several that were accepted at the same moment.
    """
    _note_consumption(runtime)
    claims, engine = _claim(runtime, job_id)
    if not claims:
        log.info("job %s: nothing to do", job_id)
        # It may have been cancelled, and its message stand for others.
        _answer_waiting(runtime)
    elif engine is not None and claims[0].type in QUERIES:
        _answer_and_more(runtime, claims, engine)
    else:
        (claim,) = claims
        outcome = _outcome_of(runtime, claim, lambda: _do(runtime, claim))
        if outcome is not None:
            _record(runtime, [(claim, outcome)])
        runtime.announcer.announce([claim.job_id])


def _claim(runtime: Runtime, job_id: UUID) -> tuple[list[Claim], SearchEngine | None]:
    lease, owner = runtime.config.lease, runtime.owner
    with runtime.database.write() as session:
        first = claiming.claim(session, job_id, utc_now(), lease, owner=owner)
        if first is None:
            return [], None
        if runtime.engine is None or first.type not in QUERIES:
            return [first], None
        engine = runtime.engine.current_in(session)
        # A job that was attempted before may have killed its worker: it is run alone.
        if first.attempt > 1:
            return [first], engine
        return [first, *_claim_waiting(runtime, session, TOGETHER - 1)], engine


def _claim_waiting(runtime: Runtime, session: Session, limit: int) -> list[Claim]:
    lease, owner = runtime.config.lease, runtime.owner
    return claiming.claim_waiting(
        session, QUERIES, utc_now(), lease, limit=limit, among=_threads(runtime), owner=owner
    )


def _threads(runtime: Runtime) -> int:
    """How many threads answer: where nothing is encoded, they would only wait for each other."""
    return THREADS if runtime.engine is not None and runtime.engine.encodes else 1


def _note_consumption(runtime: Runtime) -> None:
    if runtime.consumption.is_due():
        with runtime.database.write() as session:
            record_consumption(session, runtime.config.queue, utc_now(), runtime.encoder_id)


def _answer_and_more(runtime: Runtime, claims: list[Claim], engine: SearchEngine) -> None:
    """Answer claimed queries and then others until none waits, with more threads if many do."""
    helpers: list[Future[None]] = []
    for together, current in chain([(claims, engine)], _waiting_queries(runtime)):
        helpers = [helper for helper in helpers if not helper.done()]
        if len(together) > 1 and len(helpers) < _threads(runtime) - 1:
            helpers.append(runtime.helpers.submit(_answer_waiting, runtime))
        _answer_all(runtime, together, current)
    for helper in helpers:
        helper.result()


def _answer_waiting(runtime: Runtime) -> None:
    for claims, engine in _waiting_queries(runtime):
        _answer_all(runtime, claims, engine)


def _waiting_queries(runtime: Runtime) -> Iterator[tuple[list[Claim], SearchEngine]]:
    """Claims of queries until none waits; after a while, the rest is left to another message."""
    end = monotonic() + ANSWER_FOR_S
    while runtime.engine is not None:
        _note_consumption(runtime)
        with runtime.database.read() as session:
            oldest = claiming.oldest_waiting(session, QUERIES)
        if oldest is None:
            return
        if monotonic() >= end:
            runtime.publisher.publish([oldest])
            return
        with runtime.database.write() as session:
            engine = runtime.engine.current_in(session)
            claims = _claim_waiting(runtime, session, TOGETHER)
        if claims:
            yield claims, engine


def _answer_all(runtime: Runtime, claims: list[Claim], engine: SearchEngine) -> None:
    """Answer queries that were claimed together, and end them in one transaction."""
    models_dir = runtime.config.models_dir
    tools = QueryTools(
        runtime.database,
        runtime.store,
        models_dir,
        utc_now,
        runtime.columns,
        runtime.config.text_language,
    )
    answers: list[tuple[Claim, Answer]]
    try:
        answers, embedded = answer_queries(claims, engine, tools)
        if runtime.engine is not None:
            runtime.engine.encodes = embedded > 0
    except Exception as error:  # noqa: BLE001 - logged where the outcomes are made
        answers = [(claim, error) for claim in claims]
    outcomes: list[tuple[Claim, Outcome]] = []
    for claim, answer in answers:
        outcome = _outcome_of(runtime, claim, partial(_result_of, answer))
        if outcome is not None:
            outcomes.append((claim, outcome))
    _record(runtime, outcomes)
    runtime.announcer.announce([claim.job_id for claim in claims])


def _result_of(answer: Answer) -> JobResult:
    if isinstance(answer, Exception):
        raise answer
    return answer


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
    except GoesOn:
        log.info("job %s: its photos are being fetched", job_id)
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
    """Do a job that is no query, which records its end itself; or begin it, and raise GoesOn."""
    config, database = runtime.config, runtime.database
    heartbeat = Heartbeat(database, claim, config.lease, utc_now)
    match claim.payload:
        case EmbedPayload() as payload if payload.urls:
            # It goes on beside other jobs: who waits for a host must not hold the encoder.
            if runtime.fetcher is None or not runtime.fetcher.start(claim, payload):
                raise NotOnThisMachine("Too many photos are being fetched.")
            raise GoesOn
        case EmbedPayload() as payload:
            encoders = _encoders(runtime, payload.encoder_id)
            catch_up(database, runtime.store, encoders, runtime.matcher)
            run_embed(
                claim,
                payload,
                database=database,
                store=runtime.store,
                encoders=encoders,
                matcher=runtime.matcher,
                heartbeat=heartbeat,
                clock=utc_now,
            )
        case MatchPayload():
            run_match(
                claim,
                database=database,
                store=runtime.store,
                encoders=_encoders(runtime, None),
                matcher=runtime.matcher,
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
            adapt_tools = AdaptTools(
                database=database,
                store=runtime.store,
                library=config.library,
                generations_dir=config.index.generations_dir,
                threads=config.threads,
                run_job=partial(run_job, runtime),
                publisher=runtime.publisher,
                clock=utc_now,
            )
            run_adapt(claim, adapt_tools, heartbeat)
        case CalibratePayload() as payload:
            calibrate_tools = CalibrateTools(
                database=database,
                store=runtime.store,
                library=config.library,
                open_encoder=runtime.encoders.get,
                clock=utc_now,
            )
            try:
                run_calibrate(claim, payload, calibrate_tools, heartbeat)
            finally:
                # No other job of this queue embeds anything.
                runtime.encoders.keep(())
        case _:
            raise SetupError(f"A worker of queue {config.queue} can't do a {claim.type} job.")


def _encoders(runtime: Runtime, encoder_id: int | None) -> dict[int, Encoder]:
    try:
        return encoders_for(encoder_id, runtime.database, runtime.encoders)
    except WeightsError as error:
        raise NotOnThisMachine(str(error)) from error


def _finish(claim: Claim, result: JobResult) -> Outcome:
    return lambda session: attempts.finish(session, claim, utc_now(), result=result, done=1)


def _hand_back(claim: Claim) -> Outcome:
    return lambda session: attempts.hand_back(session, claim, utc_now())


def _fail(claim: Claim, error: MarketlensError) -> Outcome:
    return lambda session: attempts.fail(
        session, claim, utc_now(), code=error.code, detail=str(error)
    )


def _retry_later(claim: Claim, max_attempts: int, reason: str) -> Outcome:
    return lambda session: attempts.retry_later(
        session, claim, utc_now(), max_attempts=max_attempts, reason=reason
    )


def _record(runtime: Runtime, outcomes: Sequence[tuple[Claim, Outcome]]) -> None:
    """Store how attempts ended, in one transaction; what is no longer ours is left out.

    If that can't be stored, each is stored alone, and what can't be is tried again. If even that
    fails, leases expire and the relay sees it.
    """
    if not outcomes:
        return
    try:
        _store(runtime, outcomes)
    except Exception as error:  # noqa: BLE001 - whose it is, is found by storing each alone
        log.warning("%s outcomes are stored one by one: %r", len(outcomes), error)
        for claim, outcome in outcomes:
            _record_alone(runtime, claim, outcome)


def _record_alone(runtime: Runtime, claim: Claim, outcome: Outcome) -> None:
    try:
        _store(runtime, [(claim, outcome)])
    except Unavailable as error:
        log.warning("job %s: its outcome is not recorded: %r", claim.job_id, error)
    except Exception as error:
        log.exception("job %s: its outcome can't be stored", claim.job_id)
        reason = f"{type(error).__name__}, see the worker's log."
        with suppress(Unavailable):
            _store(runtime, [(claim, _retry_later(claim, runtime.config.max_attempts, reason))])


def _store(runtime: Runtime, outcomes: Sequence[tuple[Claim, Outcome]]) -> None:
    with runtime.database.write() as session:
        for claim, outcome in outcomes:
            try:
                outcome(session)
            except ClaimLost:
                # Then nothing of it was written.
                log.warning("job %s: its claim was lost, no outcome is recorded", claim.job_id)
