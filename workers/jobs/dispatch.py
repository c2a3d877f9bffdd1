"""Which function does a job that is no query, with what of this process."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from db.jobs.claiming import Claim
from models.domain.errors import SetupError, WeightsError
from models.domain.job_payloads import (
    AdaptPayload,
    CalibratePayload,
    DuplicatesPayload,
    EmbedPayload,
    MatchPayload,
    ReindexPayload,
)
from models.encoders.encoder import Encoder
from workers.embedding.photos import EmbedTools
from workers.encoders.loaded import encoders_for
from workers.jobs.adapt import AdaptTools, run_adapt
from workers.jobs.calibrate import CalibrateTools, run_calibrate
from workers.jobs.duplicates import run_duplicates
from workers.jobs.embed import run_embed
from workers.jobs.heartbeat import Heartbeat, kept_alive
from workers.jobs.match import run_match
from workers.jobs.reindex import run_reindex
from workers.jobs.repair_index import run_repair
from workers.outcomes import GoesOn, NotOnThisMachine
from workers.runtime import Runtime
from workers.saved_searches.catch_up import catch_up

RunOther = Callable[[Runtime, UUID], None]
"""Does another job, as a worker whose message names it does."""


def do_job(runtime: Runtime, claim: Claim, run_other: RunOther) -> None:
    """Do a job that is no query, which records its end itself; or begin it, and raise GoesOn.

    Raises SetupError for a job that this worker's queue does not have, NotOnThisMachine.
    """
    heartbeat = Heartbeat(
        runtime.database,
        claim,
        runtime.config.lease,
        runtime.database.now,
        consumes=runtime.config.takes_messages,
    )
    match claim.payload:
        case EmbedPayload() as payload if payload.urls:
            _begin_to_fetch(runtime, claim, payload)
        case EmbedPayload() as payload:
            _embed(runtime, claim, payload, heartbeat)
        case MatchPayload():
            _match(runtime, claim, heartbeat)
        case ReindexPayload() as payload:
            _reindex(runtime, claim, payload, heartbeat)
        case DuplicatesPayload():
            _find_duplicates(runtime, claim, heartbeat)
        case AdaptPayload():
            _adapt(runtime, claim, heartbeat, run_other)
        case CalibratePayload() as payload:
            _calibrate(runtime, claim, payload, heartbeat)
        case _:
            queue = runtime.config.queue
            raise SetupError(f"A worker of queue {queue} can't do a {claim.type} job.")


def _begin_to_fetch(runtime: Runtime, claim: Claim, payload: EmbedPayload) -> None:
    # It goes on beside other jobs: who waits for a host must not hold the encoder.
    if runtime.fetcher is None or not runtime.fetcher.start(claim, payload):
        raise NotOnThisMachine("Too many photos are being fetched.")
    raise GoesOn


def _embed(runtime: Runtime, claim: Claim, payload: EmbedPayload, heartbeat: Heartbeat) -> None:
    # However long a batch takes, or an encoder to be opened, no other worker begins the same job.
    with kept_alive(heartbeat):
        encoders = _encoders(runtime, payload.encoder_id)
        catch_up(runtime.database, runtime.store, encoders, runtime.matcher)
        tools = EmbedTools(
            runtime.database,
            runtime.store,
            encoders,
            runtime.matcher,
            runtime.database.now,
            runtime.time_limit,
            runtime.config.max_attempts,
        )
        run_embed(claim, payload, tools, heartbeat)


def _match(runtime: Runtime, claim: Claim, heartbeat: Heartbeat) -> None:
    run_match(
        claim,
        database=runtime.database,
        store=runtime.store,
        encoders=_encoders(runtime, None),
        matcher=runtime.matcher,
        heartbeat=heartbeat,
        clock=runtime.database.now,
    )


def _reindex(runtime: Runtime, claim: Claim, payload: ReindexPayload, heartbeat: Heartbeat) -> None:
    if runtime.config.index_url is not None:
        run_repair(
            claim,
            payload,
            database=runtime.database,
            indexes=runtime.indexes,
            heartbeat=heartbeat,
            clock=runtime.database.now,
        )
        return
    run_reindex(
        claim,
        payload,
        database=runtime.database,
        store=runtime.store,
        settings=runtime.config.index,
        heartbeat=heartbeat,
        clock=runtime.database.now,
    )


def _find_duplicates(runtime: Runtime, claim: Claim, heartbeat: Heartbeat) -> None:
    run_duplicates(
        claim,
        database=runtime.database,
        store=runtime.store,
        open_index=runtime.indexes.open,
        heartbeat=heartbeat,
        clock=runtime.database.now,
    )


def _adapt(runtime: Runtime, claim: Claim, heartbeat: Heartbeat, run_other: RunOther) -> None:
    config = runtime.config
    tools = AdaptTools(
        database=runtime.database,
        store=runtime.store,
        library=config.library,
        generations_dir=config.index.generations_dir,
        threads=config.threads,
        run_job=partial(run_other, runtime),
        publisher=runtime.publisher,
        clock=runtime.database.now,
    )
    run_adapt(claim, tools, heartbeat)


def _calibrate(
    runtime: Runtime, claim: Claim, payload: CalibratePayload, heartbeat: Heartbeat
) -> None:
    tools = CalibrateTools(
        database=runtime.database,
        store=runtime.store,
        library=runtime.config.library,
        open_encoder=runtime.encoders.get,
        clock=runtime.database.now,
    )
    try:
        run_calibrate(claim, payload, tools, heartbeat)
    finally:
        # No other job of this queue embeds anything.
        runtime.encoders.keep(())


def _encoders(runtime: Runtime, encoder_id: int | None) -> dict[int, Encoder]:
    try:
        return encoders_for(encoder_id, runtime.database, runtime.encoders)
    except WeightsError as error:
        raise NotOnThisMachine(str(error)) from error
