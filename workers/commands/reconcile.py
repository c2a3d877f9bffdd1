"""`marketlens reconcile`."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from command_line.options import DryRun, JsonReport, command_of, force_option
from command_line.resources import check_database_exists, database_of, store_of
from db.session import Database
from models.domain.clock import utc_now
from models.domain.errors import Conflict, ExitCode
from models.domain.urls import redact
from progress import Bars
from settings import Settings
from workers.commands.job_executor import job_executor
from workers.generations.request import accept_reindex
from workers.queue.embed_jobs import EmbedJobs
from workers.queue.executors import JobExecutor
from workers.reconcile.findings import EXPLANATIONS, Kind, Reconciliation
from workers.reconcile.reconciliation import Deployment, Repairs
from workers.reconcile.reconciliation import reconcile as compare

# If a greater share of the store is orphaned, the database is probably not the store's.
MAX_ORPHANED_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileOptions:
    """The options of the command."""

    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired.")] = False
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every stored photo, to find damaged ones.")
    ] = False
    force: Annotated[bool, force_option("Repair even if that deletes most of the store.")] = False
    dry_run: DryRun = False
    json_report: JsonReport = False


@command_of(ReconcileOptions)
def reconcile(options: ReconcileOptions) -> ExitCode:
    """Compare database, photo store and index: what is missing, orphaned or stale.

    Nothing is changed without --repair; if that would delete most of the store, --force too.
    """
    settings = Settings()
    check_database_exists(settings)
    repairing = options.repair and not options.dry_run
    with (
        Bars() as bars,
        database_of(settings) as database,
        job_executor(database, settings, bars.say, inline=False, has_jobs=repairing) as executor,
    ):
        deployment = Deployment(
            database=database,
            store=store_of(settings),
            generations_dir=settings.generations_dir,
        )
        compared = partial(
            compare, deployment, now=utc_now(), verify=options.verify, on_progress=bars.show
        )
        result = compared(repairs=None)
        if repairing:
            if not options.force:
                _refuse_mass_deletion(result, settings.photo_store_url)
            result = compared(repairs=_repairs(database, executor))
    if options.json_report:
        typer.echo(json.dumps(result.to_json()))
    else:
        Console().print(_table(result))
    return ExitCode.DONE if result.consistent else ExitCode.LOOK_AT_IT


def _repairs(database: Database, executor: JobExecutor) -> Repairs:
    def queue_missing() -> None:
        embed_jobs = EmbedJobs(database, executor, clock=database.now, new_id=uuid4)
        embed_jobs.start()
        embed_jobs.queue_missing()

    return Repairs(
        queue_missing=queue_missing,
        request_reindex=lambda: executor.submit(
            [accept_reindex(database, job_id=uuid4(), now=database.now())]
        ),
    )


def _refuse_mass_deletion(result: Reconciliation, store: str) -> None:
    orphans = sum(
        finding.count for finding in result.findings if finding.kind is Kind.ORPHANED_PHOTOS
    )
    if orphans > result.stored * MAX_ORPHANED_SHARE:
        raise Conflict(
            f"{orphans:,} of the {result.stored:,} photos in {redact(store)} belong to nothing in "
            "this database. Nothing was repaired: if it is the right one, repair with --force."
        )


def _table(result: Reconciliation) -> Table:
    title = f"{result.photos:,} photos in the database, {result.stored:,} in the store"
    table = Table("Found", "Repaired", "What", title=title, title_justify="left")
    for finding in result.findings:
        if finding.count:
            table.add_row(f"{finding.count:,}", f"{finding.repaired:,}", EXPLANATIONS[finding.kind])
    if not table.rows:
        table.add_row("0", "", "Database, photo store and index agree.")
    return table
