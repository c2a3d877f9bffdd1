"""`marketlens index build`."""

import json
from dataclasses import dataclass
from time import monotonic
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from command_line.exit_codes import AlreadyReported
from command_line.options import Inline, JsonReport, command_of
from command_line.resources import database_of
from db.jobs import cancelling, reading
from db.session import Database
from db.tables import Job
from db.vectors.encoders import encoder_named
from models.domain.errors import Conflict, ExitCode, MarketlensError, RecallTooLow
from models.domain.job_payloads import ReindexPayload
from models.domain.job_results.base import JobResult
from models.domain.job_results.indexes import BuiltIndex, RepairedIndex
from models.domain.types import JobStatus
from progress import Bars
from settings import Settings
from workers.commands.arguments import OfEncoder, RecallTarget
from workers.commands.index.generation_rows import facts
from workers.commands.job_executor import job_executor
from workers.generations.request import accept_reindex
from workers.queue.executors import JobExecutor
from workers.queue.messages import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """The options of the command."""

    factory: Annotated[
        str | None, typer.Option(help="A FAISS factory string, instead of what `plan` says.")
    ] = None
    recall_target: RecallTarget = None
    encoder: OfEncoder = None
    inline: Inline = False
    here: Annotated[
        bool, typer.Option("--here", hidden=True, help="The former name of --inline.")
    ] = False
    json_report: JsonReport = False


@command_of(BuildOptions)
def build(options: BuildOptions) -> ExitCode:
    """Build the next generation and make it live, unless its recall is too low.

    Searches go on meanwhile. One build at a time; Ctrl-C leaves it to its worker.
    """
    if options.here:
        typer.echo("--here is now called --inline.", err=True)
    settings, inline = Settings(), options.inline or options.here
    started = monotonic()
    with (
        Bars() as bars,
        database_of(settings) as database,
        job_executor(database, settings, bars.say, inline=inline) as executor,
    ):
        job = _accept(database, options)
        executor.submit([job])
        try:
            job = _until_ended(database, executor, job, bars)
        except KeyboardInterrupt:
            bars.say(_interrupted(database, job, inline=inline))
            return ExitCode.INTERRUPTED
    seconds = monotonic() - started
    if options.json_report:
        typer.echo(json.dumps(_as_json(job, seconds)))
    elif (result := reading.result_of(job)) is not None:
        Console().print(_table(result, seconds))
    if job.status is not JobStatus.SUCCEEDED:
        raise AlreadyReported from _refusal(job)
    return ExitCode.DONE


def _accept(database: Database, options: BuildOptions) -> Job:
    """Accept a reindex job, as `POST /v1/admin/reindex` does, with the command's options."""
    encoder_id = None
    if options.encoder is not None:
        with database.read() as session:
            encoder_id = encoder_named(session, options.encoder).id
    payload = ReindexPayload(
        encoder_id=encoder_id, factory=options.factory, recall_target=options.recall_target
    )
    return accept_reindex(database, job_id=uuid4(), now=database.now(), payload=payload)


def _until_ended(database: Database, executor: JobExecutor, job: Job, bars: Bars) -> Job:
    while not job.status.terminal:
        executor.step(Queue.INDEX, [job.id])
        with database.read() as session:
            job = reading.get(session, job.id)
        bars.show("index", job.done, max(job.total, job.done, 1))
    return job


def _interrupted(database: Database, job: Job, *, inline: bool) -> str:
    if not inline:
        return "The build goes on in its worker: `marketlens index list` tells how it ends."
    with database.write() as session:
        cancelling.cancel(session, job.id, database.now())
    return "The build was stopped; searches go on as before."


def _refusal(job: Job) -> MarketlensError:
    detail = job.error_detail or f"It was {job.status}."
    if job.error_code == RecallTooLow.code:
        return RecallTooLow(detail)
    return Conflict(f"The build has not succeeded: {detail}")


def _as_json(job: Job, seconds: float) -> dict[str, object]:
    return {
        "job": str(job.id),
        "status": job.status.value,
        "error": job.error_detail,
        **(job.result or {}),
        "seconds": round(seconds, 2),
    }


def _table(result: JobResult, seconds: float) -> Table:
    """Raises TypeError for a result that is no reindex job's."""
    time = f"{seconds:.1f} s"
    match result:
        case BuiltIndex():
            lines = {
                "Rows": f"{result.rows:,}",
                "Factory": result.factory,
                "Why": result.why,
                "Recall@10": f"{result.recall_at_10:.4f} of {result.queries:,} searches",
                "A search": f"p50 {result.p50_ms:.2f} ms, p95 {result.p95_ms:.2f} ms",
                "Size": decimal(result.bytes),
                "Time": time,
            }
            return facts(f"Generation {result.generation} is live", lines)
        case RepairedIndex():
            lines = {
                "Rows": f"{result.rows:,}",
                "Added": f"{result.added:,}",
                "Removed": f"{result.removed:,}",
                "Time": time,
            }
            return facts("The index is repaired", lines)
        case _:
            raise TypeError(f"{type(result).__name__} is not the result of a reindex.")
