"""The Celery tasks: they claim a job, call what does it, and record how it ended."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import chain
from time import monotonic, sleep
from typing import Final
from uuid import UUID

from celery import Celery
from sqlalchemy.orm import Session

from db.consumption import record_consumption
from db.jobs import claiming
from db.jobs.claiming import Claim
from models.domain.job_results.base import JobResult
from observability.metrics import QUERIES_TOGETHER
from workers.indexes.following import tell_of_index
from workers.jobs.dispatch import do_job
from workers.jobs.queries import Answer, QueryTools, answer_queries
from workers.outcomes import Outcome, outcome_of, record
from workers.queue.messages import PROBE, QUERIES, RUN_JOB
from workers.runtime import Runtime
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


REST_S: Final = 1.0
"""Between jobs of photos, reindexes and others, while something that they need is away."""


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
            tell_of_index(engine.index)
        runtime.columns.begin()
        with runtime.database.read() as session:
            runtime.columns.sync(session)
    with runtime.database.write() as session:
        record_consumption(session, queue, runtime.database.now(), runtime.encoder_id)


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
        outcome = outcome_of(runtime, claim, lambda: do_job(runtime, claim, run_job))
        if outcome is not None:
            record(runtime, [(claim, outcome)])
        runtime.announcer.announce([claim.job_id])
        if outcome is not None and outcome.is_outage:
            # The next job needs the same: all that wait would be claimed and handed back in vain.
            sleep(REST_S)


def _claim(runtime: Runtime, job_id: UUID) -> tuple[list[Claim], SearchEngine | None]:
    lease, owner = runtime.config.lease, runtime.owner
    with runtime.database.write() as session:
        first = claiming.claim(session, job_id, runtime.database.now(), lease, owner=owner)
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
        session,
        QUERIES,
        runtime.database.now(),
        lease,
        limit=limit,
        among=_threads(runtime),
        owner=owner,
    )


def _threads(runtime: Runtime) -> int:
    """How many threads answer: where nothing is encoded, they would only wait for each other."""
    return THREADS if runtime.engine is not None and runtime.engine.encodes else 1


def _note_consumption(runtime: Runtime) -> None:
    if runtime.config.takes_messages and runtime.consumption.is_due():
        with runtime.database.write() as session:
            record_consumption(
                session, runtime.config.queue, runtime.database.now(), runtime.encoder_id
            )


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
    QUERIES_TOGETHER.observe(len(claims))
    tools = QueryTools(
        runtime.database,
        runtime.store,
        models_dir,
        runtime.database.now,
        runtime.columns,
        runtime.whitenings,
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
        outcome = outcome_of(runtime, claim, partial(_result_of, answer))
        if outcome is not None:
            outcomes.append((claim, outcome))
    record(runtime, outcomes)
    runtime.announcer.announce([claim.job_id for claim in claims])


def _result_of(answer: Answer) -> JobResult:
    if isinstance(answer, Exception):
        raise answer
    return answer
