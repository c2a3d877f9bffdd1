"""`marketlens index build`."""

import json
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from db import jobs
from db.session import Database
from db.tables import Job
from db.vectors.encoders import encoder_named
from models.domain.errors import Conflict, RecallTooLow
from models.domain.job_payloads import ReindexPayload
from models.domain.types import JobStatus
from progress import Bars
from settings import Settings
from workers.commands.index_tables import facts
from workers.commands.job_executor import job_executor
from workers.generations.request import accept_reindex
from workers.queue.executors import JobExecutor
from workers.queue.messages import Queue

INTERRUPTED = 130
"""What a shell calls a command that Ctrl-C ended."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of the command; see its help."""

    factory: str | None
    recall_target: float | None
    encoder: str | None
    here: bool


def run_build(settings: Settings, options: BuildOptions, *, json_report: bool) -> None:
    """Have a generation built, and tell how it came out.

    Raises ReindexRunning while another build is open, RecallTooLow if it was refused, and Conflict
    if it failed.
    """
    started = monotonic()
    with ExitStack() as stack:
        bars = stack.enter_context(Bars(Console(stderr=True)))
        database = stack.enter_context(closing(Database(settings.sqlalchemy_url)))
        executor = stack.enter_context(
            job_executor(database, settings, bars.say, inline=options.here)
        )
        job = _accept(database, options)
        executor.submit([job])
        try:
            job = _until_ended(database, executor, job, bars)
        except KeyboardInterrupt:
            bars.say(_interrupted(database, job, here=options.here))
            raise typer.Exit(INTERRUPTED) from None
    seconds = monotonic() - started
    if json_report:
        typer.echo(json.dumps(_as_json(job, seconds)))
    elif job.result is not None:
        Console().print(_table(job.result, seconds))
    _refuse_failed(job)


def _accept(database: Database, options: BuildOptions) -> Job:
    """The job that `POST /v1/admin/reindex` accepts, with what was asked for beside it."""
    encoder_id = None
    if options.encoder is not None:
        with database.read() as session:
            encoder_id = encoder_named(session, options.encoder).id
    payload = ReindexPayload(
        encoder_id=encoder_id, factory=options.factory, recall_target=options.recall_target
    )
    return accept_reindex(database, job_id=uuid4(), now=_now(), payload=payload)


def _until_ended(database: Database, executor: JobExecutor, job: Job, bars: Bars) -> Job:
    while not job.status.terminal:
        executor.step(Queue.INDEX, [job.id])
        with database.read() as session:
            job = jobs.get(session, job.id)
        bars.show("index", job.done, max(job.total, job.done, 1))
    return job


def _interrupted(database: Database, job: Job, *, here: bool) -> str:
    if not here:
        return "The build goes on in its worker: `marketlens index list` tells how it ends."
    with database.write() as session:
        jobs.cancel(session, job.id, _now())
    return "The build was stopped; searches go on as before."


def _refuse_failed(job: Job) -> None:
    if job.status is JobStatus.SUCCEEDED:
        return
    detail = job.error_detail or f"It was {job.status}."
    if job.error_code == RecallTooLow.code:
        raise RecallTooLow(detail)
    raise Conflict(f"The build has not succeeded: {detail}")


def _as_json(job: Job, seconds: float) -> dict[str, Any]:
    return {
        "job": str(job.id),
        "status": job.status.value,
        "error": job.error_detail,
        **(job.result or {}),
        "seconds": round(seconds, 2),
    }


def _table(result: dict[str, Any], seconds: float) -> Table:
    lines = {
        "Rows": f"{result['rows']:,}",
        "Factory": result["factory"],
        "Why": result["why"],
        "Recall@10": f"{result['recall_at_10']:.4f} of {result['queries']:,} searches",
        "A search": f"p50 {result['p50_ms']:.2f} ms, p95 {result['p95_ms']:.2f} ms",
        "Size": decimal(result["bytes"]),
        "Time": f"{seconds:.1f} s",
    }
    return facts(f"Generation {result['generation']} is live", lines)


def _now() -> datetime:
    return datetime.now(UTC)
