"""How attempts end: what was raised becomes an outcome, and outcomes are recorded."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy.orm import Session

from db.jobs import attempts
from db.jobs.attempts import ClaimLost
from db.jobs.claiming import Claim
from models.domain.clock import utc_now
from models.domain.errors import MarketlensError, Unavailable, UnreadableRecord
from models.domain.job_results.base import JobResult
from observability import context, stages
from workers.observed_jobs import attempt_ended
from workers.runtime import Runtime

log = logging.getLogger(__name__)

Outcome = Callable[[Session], None]
"""Records how an attempt ended."""


class NotOnThisMachine(Exception):
    """This process can't do the job now: another may, or this one later.

    Either the active encoder's files are not on this machine, or it has too much to do.
    """


class GoesOn(Exception):
    """The job is done by other threads of this process, which record its end."""


def outcome_of(
    runtime: Runtime, claim: Claim, run: Callable[[], JobResult | None]
) -> Outcome | None:
    """How to record the end of this attempt; None where it has been recorded, or is no longer ours.

    `run` gives the result of the job, or None if it has recorded that itself.
    """
    with (
        context.of_job(claim.job_id, claim.request_id, claim.trace),
        stages.recording() as recorded,
    ):
        ended = _ended(runtime, claim, run)
        if ended.how is not None:
            attempt_ended(
                claim, ended.how, ended.result, recorded, utc_now(), runtime.config.slow_job_s
            )
    return ended.outcome


class _Ended(NamedTuple):
    """How to record the end of an attempt, its name in the metrics, and the job's result."""

    outcome: Outcome | None
    how: str | None
    result: JobResult | None = None


def _ended(runtime: Runtime, claim: Claim, run: Callable[[], JobResult | None]) -> _Ended:
    max_attempts, job_id = runtime.config.max_attempts, claim.job_id
    outcome: Outcome | None = None
    how: str | None = None
    result: JobResult | None = None
    again = "retried" if claim.tries < max_attempts else "failed"
    try:
        result = run()
    except ClaimLost:
        how = "lost"
        log.warning("job %s: attempt %s lost its claim", job_id, claim.attempt)
    except GoesOn:
        log.info("job %s: its photos are being fetched", job_id)
    except (NotOnThisMachine, UnreadableRecord) as error:
        log.warning("job %s is left to another worker: %s", job_id, error)
        outcome, how = _hand_back(claim), "handed_back"
    except Unavailable as error:
        log.warning("job %s: %s, trying again later", job_id, error)
        outcome, how = _retry_later(claim, max_attempts, str(error)), again
    except MarketlensError as error:
        log.warning("job %s: %s", job_id, error)
        outcome, how = _fail(claim, error), "failed"
    except Exception as error:
        log.exception("job %s: attempt %s broke", job_id, claim.attempt)
        reason = f"{type(error).__name__}, see the worker's log."
        outcome, how = _retry_later(claim, max_attempts, reason), again
    else:
        how = "succeeded"
        log.info("job %s: %s done", job_id, claim.type)
        if result is not None:
            outcome = _finish(claim, result)
    return _Ended(outcome, how, result)


def record(runtime: Runtime, outcomes: Sequence[tuple[Claim, Outcome]]) -> None:
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
