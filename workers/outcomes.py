"""How attempts end: what was raised becomes an outcome, and outcomes are recorded."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic, sleep
from typing import Final

from sqlalchemy.orm import Session

from db.jobs import attempts
from db.jobs.attempts import ClaimLost
from db.jobs.claiming import Claim
from models.domain.errors import MarketlensError, NotReady, Unavailable, UnreadableRecord
from models.domain.job_results.base import JobResult
from observability import context, stages
from workers.observed_jobs import attempt_ended
from workers.runtime import Runtime

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(seconds=1)
PAUSE_DOUBLINGS: Final = 4
"""Of the pause of a job that an outage has interrupted: each time, so often at most. So it is done
within a quarter of a minute after the outage has ended."""
RECORD_AGAIN_AFTER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Records how an attempt ended. `is_outage`: something that all jobs need is away."""

    write: Callable[[Session], None]
    is_outage: bool = False


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
        outcome, result = _outcome_of(runtime, claim, run)
        if recorded.outcome is not None:
            now, slow_s = runtime.database.now(), runtime.config.slow_job_s
            attempt_ended(claim, result, recorded, now, slow_s)
    return outcome


def _outcome_of(
    runtime: Runtime, claim: Claim, run: Callable[[], JobResult | None]
) -> tuple[Outcome | None, JobResult | None]:
    """The same, with the result; how the attempt has ended is told to `stages`."""
    job_id = claim.job_id
    outcome: Outcome | None = None
    result: JobResult | None = None
    try:
        result = run()
    except ClaimLost:
        stages.end_as("lost")
        log.warning("job %s: attempt %s lost its claim", job_id, claim.attempt)
    except GoesOn:
        log.info("job %s: its photos are being fetched", job_id)
    except (NotOnThisMachine, UnreadableRecord) as error:
        log.warning("job %s is left to another worker: %s", job_id, error)
        stages.end_as("handed_back")
        outcome = _hand_back(runtime, claim, attempts.HANDED_BACK_FOR)
    except NotReady as error:
        log.warning("job %s: %s, trying again later", job_id, error)
        stages.end_as("retried")
        outcome = _retry_later(runtime, claim, str(error))
    except Unavailable as error:
        # No attempt: however long it lasts, the job has not failed by itself.
        log.warning("job %s: %s, trying again later", job_id, error)
        stages.end_as("handed_back")
        outcome = _hand_back(runtime, claim, _pause_of(claim), is_outage=True)
    except MarketlensError as error:
        log.warning("job %s: %s", job_id, error)
        stages.end_as("failed")
        outcome = _fail(runtime, claim, error)
    except Exception as error:
        log.exception("job %s: attempt %s broke", job_id, claim.attempt)
        stages.end_as("retried" if claim.tries < runtime.config.max_attempts else "failed")
        outcome = _retry_later(runtime, claim, _reason(error))
    else:
        stages.end_as("succeeded")
        log.info("job %s: %s done", job_id, claim.type)
        if result is not None:
            outcome = _finish(runtime, claim, result)
    return outcome, result


def record(runtime: Runtime, outcomes: Sequence[tuple[Claim, Outcome]]) -> None:
    """Store how attempts ended, in one transaction; what is no longer ours is left out.

    While the database is away, that is tried again: as long as the leases last, nobody else may do
    the jobs, and then the relay counts an attempt. If they can't be stored together, each is stored
    alone, and what can't be is tried again.
    """
    if not outcomes:
        return
    give_up_at = monotonic() + runtime.config.lease.total_seconds()
    while True:
        try:
            _store(runtime, outcomes)
        except Unavailable as error:
            if monotonic() >= give_up_at:
                log.warning("%s outcomes are not recorded: %r", len(outcomes), error)
                return
            sleep(RECORD_AGAIN_AFTER_S)
        except Exception as error:  # noqa: BLE001 - whose it is, is found by storing each alone
            log.warning("%s outcomes are stored one by one: %r", len(outcomes), error)
            for claim, outcome in outcomes:
                _record_alone(runtime, claim, outcome)
            return
        else:
            return


def _record_alone(runtime: Runtime, claim: Claim, outcome: Outcome) -> None:
    try:
        _store(runtime, [(claim, outcome)])
    except Unavailable as error:
        log.warning("job %s: its outcome is not recorded: %r", claim.job_id, error)
    except Exception as error:
        log.exception("job %s: its outcome can't be stored", claim.job_id)
        with suppress(Unavailable):
            _store(runtime, [(claim, _retry_later(runtime, claim, _reason(error)))])


def _store(runtime: Runtime, outcomes: Sequence[tuple[Claim, Outcome]]) -> None:
    with runtime.database.write() as session:
        for claim, outcome in outcomes:
            try:
                outcome.write(session)
            except ClaimLost:
                # Then nothing of it was written.
                log.warning("job %s: its claim was lost, no outcome is recorded", claim.job_id)


def _reason(error: Exception) -> str:
    """What a caller is told of something unexpected; a full disk says what it is."""
    kind = error.strerror if isinstance(error, OSError) else None
    return f"{kind or type(error).__name__}, see the worker's log."


def _pause_of(claim: Claim) -> timedelta:
    """Twice as long each time the job was handed back, up to a limit."""
    handed_back = claim.attempt - claim.tries
    doublings = min(handed_back, PAUSE_DOUBLINGS)
    return FIRST_PAUSE * 2.0**doublings


def _finish(runtime: Runtime, claim: Claim, result: JobResult) -> Outcome:
    now = runtime.database.now
    return Outcome(lambda session: attempts.finish(session, claim, now(), result=result, done=1))


def _hand_back(
    runtime: Runtime, claim: Claim, pause: timedelta, *, is_outage: bool = False
) -> Outcome:
    now = runtime.database.now
    return Outcome(
        lambda session: attempts.hand_back(session, claim, now(), pause=pause), is_outage=is_outage
    )


def _fail(runtime: Runtime, claim: Claim, error: MarketlensError) -> Outcome:
    now = runtime.database.now
    return Outcome(
        lambda session: attempts.fail(session, claim, now(), code=error.code, detail=str(error))
    )


def _retry_later(runtime: Runtime, claim: Claim, reason: str) -> Outcome:
    now, limit = runtime.database.now, runtime.config.max_attempts
    return Outcome(
        lambda session: attempts.retry_later(
            session, claim, now(), max_attempts=limit, reason=reason
        )
    )
