"""`marketlens reconcile`."""

import json
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import Conflict, SetupError
from models.domain.urls import redact
from progress import Bars
from settings import Settings
from workers.commands.job_executor import job_executor
from workers.generations.request import accept_reindex
from workers.queue.embed_jobs import EmbedJobs
from workers.reconcile.compare import Machine, Repairs, reconcile
from workers.reconcile.findings import EXPLANATIONS, Kind, Reconciliation, as_json

# A database that knows less of its store than this is more likely to be the wrong one.
USUAL_SHARE = 0.5


def run_reconcile(
    settings: Settings, bars: Bars, *, repair: bool, force: bool, verify: bool, json_report: bool
) -> bool:
    """Compare, perhaps repair, and tell; returns whether differences are left.

    Raises Conflict, and repairs nothing, if that would delete most of the store, unless forced.
    """
    _check_there_is_one(settings)
    with (
        closing(Database(settings.sqlalchemy_url)) as database,
        job_executor(database, settings, bars.say, inline=False) as executor,
    ):

        def queue_missing() -> None:
            embed_jobs = EmbedJobs(database, executor, clock=_now, new_id=uuid4)
            embed_jobs.start()
            embed_jobs.queue_missing()

        repairs = Repairs(
            queue_missing=queue_missing,
            request_reindex=lambda: executor.submit(
                [accept_reindex(database, job_id=uuid4(), now=_now())]
            ),
        )
        machine = Machine(
            database=database,
            store=PhotoStore(settings.photo_store_url),
            generations_dir=settings.generations_dir,
        )
        compare = partial(reconcile, machine, now=_now(), verify=verify, on_progress=bars.show)
        result = compare(repairs=None)
        if repair:
            if not force:
                _refuse_to_empty(result, settings.photo_store_url)
            result = compare(repairs=repairs)
    if json_report:
        typer.echo(json.dumps(as_json(result)))
    else:
        Console().print(_table(result))
    return not result.consistent


def _refuse_to_empty(result: Reconciliation, store: str) -> None:
    orphans = sum(
        finding.count for finding in result.findings if finding.kind is Kind.ORPHANED_PHOTOS
    )
    if orphans > result.stored * USUAL_SHARE:
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


def _check_there_is_one(settings: Settings) -> None:
    """Raise SetupError where SQLite would make an empty database to look into."""
    url = make_url(settings.sqlalchemy_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise SetupError("There is no database yet: run `marketlens migrate`, or seed a feed.")


def _now() -> datetime:
    return datetime.now(UTC)
