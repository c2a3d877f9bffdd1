"""`marketlens index`: the generations of the index, and which one searches are made with."""

import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from sqlalchemy.orm import Session

from db import jobs
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Encoder, Generation
from db.vectors import generations
from db.vectors.encoders import active_encoder, all_encoders, encoder_named, get_encoder
from models.domain.errors import Conflict
from models.index.plan import default_memory_bytes, plan_index
from progress import Bars
from settings import Settings
from workers.commands.index_tables import (
    facts,
    generation_details,
    generation_row,
    generation_table,
    generations_table,
)
from workers.generations.publish import fetch_generation, published_generations

app = typer.Typer(
    help="The generations of the index, and which one searches are made with.",
    no_args_is_help=True,
)

GenerationId = Annotated[int, typer.Argument(min=1, metavar="ID", help="See `index list`.")]
OfEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Of this one: a label or fingerprint, or how one begins. The active one by default.",
    ),
]
RecallTarget = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=1, help="The recall@10 that is wanted; as in the settings by default."
    ),
]
JsonReport = Annotated[
    bool, typer.Option("--json", help="End with the report as one line of JSON.")
]


class Reference(StrEnum):
    """What an index is compared with."""

    EXACT = "exact"


@app.command()
def build(
    *,
    factory: Annotated[
        str | None, typer.Option(help="A FAISS factory string, instead of what `plan` says.")
    ] = None,
    recall_target: RecallTarget = None,
    encoder: OfEncoder = None,
    here: Annotated[
        bool, typer.Option("--here", help="In this process, without a queue or a worker.")
    ] = False,
    json_report: JsonReport = False,
) -> None:
    """Build the next generation and search with it, unless it finds too little.

    Searches go on meanwhile. One build at a time; Ctrl-C leaves it to its worker.
    """
    # Imported here: faiss is for what computes, not for every command.
    from workers.commands.index_build import BuildOptions, run_build  # noqa: PLC0415

    options = BuildOptions(factory, recall_target, encoder, here)
    run_build(Settings(), options, json_report=json_report)


@app.command(name="list")
def list_generations(
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    json_report: JsonReport = False,
) -> None:
    """Generations, newest first: how they were measured, and where their files are."""
    settings = Settings()
    published = published_generations(PhotoStore(settings.photo_store_url))
    with _database(settings) as database, database.read() as session:
        encoders = {row.id: row for row in all_encoders(session)}
        rows = [
            generation_row(row, encoders[row.encoder_id], settings.generations_dir, published)
            for row in generations.all_generations(session, limit)
        ]
    if json_report:
        typer.echo(json.dumps({"generations": rows}))
    else:
        Console().print(generations_table(rows))


@app.command()
def show(generation_id: GenerationId, *, json_report: JsonReport = False) -> None:
    """All that is known of one generation, and why it is built as it is."""
    settings = Settings()
    published = published_generations(PhotoStore(settings.photo_store_url))
    with _database(settings) as database, database.read() as session:
        row = generations.get(session, generation_id)
        encoder = get_encoder(session, row.encoder_id)
        job = jobs.get(session, row.job_id) if row.job_id else None
    told = generation_row(row, encoder, settings.generations_dir, published)
    told |= generation_details(job, settings.generations_dir / str(row.id))
    if json_report:
        typer.echo(json.dumps(told))
    else:
        Console().print(generation_table(told))


@app.command()
def evaluate(
    generation_id: Annotated[
        int | None,
        typer.Argument(min=1, metavar="[ID]", help="See `index list`; the live one by default."),
    ] = None,
    *,
    against: Annotated[
        Reference, typer.Option(help="Exact search over every live photo in the database.")
    ] = Reference.EXACT,
    queries: Annotated[int, typer.Option(min=1, help="Live photos to search by.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Draws the queries.")] = 0,
    json_report: JsonReport = False,
) -> None:
    """Measure what searches find now, with every change since the generation was built."""
    from models.index.faiss_index import set_threads  # noqa: PLC0415
    from models.index.generation import open_generation  # noqa: PLC0415
    from workers.indexes.check import check_index  # noqa: PLC0415

    settings = Settings()
    with _database(settings) as database, Bars(Console(stderr=True)) as bars:
        with database.read() as session:
            row = _generation(session, generation_id)
            encoder = get_encoder(session, row.encoder_id)
        store, folder = PhotoStore(settings.photo_store_url), settings.generations_dir
        fetch_generation(store, folder, row.id, row.manifest_sha256)
        opened = open_generation(
            folder / str(row.id), row.manifest_sha256, fingerprint=encoder.fingerprint
        )
        set_threads(1)  # as a search worker
        check = check_index(
            database, opened, encoder.id, queries=queries, seed=seed, on_progress=bars.show
        )
    if json_report:
        report = {"generation": row.id, "against": against.value, "seed": seed}
        typer.echo(json.dumps(report | check.as_json() | {"built_with": row.recall_at_10}))
        return
    recall = check.recall_at_10
    lines = {
        "Live photos": f"{check.rows:,}, {check.fresh:,} of them newer; {check.gone:,} are gone",
        "Recall@10": f"{recall.value:.4f} ({recall.low:.4f} … {recall.high:.4f})",
        "When it was built": f"{row.recall_at_10:.4f}",
        "A search": f"p50 {check.p50_ms:.2f} ms, p95 {check.p95_ms:.2f} ms",
        "Measured by": f"{check.queries:,} searches, seed {seed}",
    }
    Console().print(facts(f"Generation {row.id} against exact search", lines))


@app.command()
def activate(generation_id: GenerationId, *, json_report: JsonReport = False) -> None:
    """Search with a generation that is kept, from the next search on."""
    with _database(Settings()) as database, database.write() as session:
        row = generations.switch_to(session, generation_id, _now())
    _tell_live(row, json_report=json_report)


@app.command()
def rollback(*, encoder: OfEncoder = None, json_report: JsonReport = False) -> None:
    """Search with the generation that was live before."""
    with _database(Settings()) as database, database.write() as session:
        row = generations.previous(session, _encoder(session, encoder).id)
        if row is None:
            raise Conflict("No generation that was live before is kept.")
        generations.switch_to(session, row.id, _now())
    _tell_live(row, json_report=json_report)


@app.command()
def prune(
    *,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="So many of each encoder's, the live one included."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    json_report: JsonReport = False,
) -> None:
    """Remove old generations, and what killed builds left. What is in use goes the next time."""
    from workers.generations import prune  # noqa: PLC0415

    settings = Settings()
    keep = keep or settings.keep_generations
    store, folder = PhotoStore(settings.photo_store_url), settings.generations_dir
    with _database(settings) as database:
        work = prune.would_prune if dry_run else prune.prune
        pruned = work(database, folder, store, keep=keep)
    if json_report:
        report = {"dry_run": dry_run, "keep": keep, "forgotten": pruned.forgotten}
        typer.echo(json.dumps(report | asdict(pruned.swept)))
        return
    lines = {
        "Kept no more": _listed(pruned.forgotten),
        "Removed here": _listed(pruned.swept.removed),
        "Removed from the store": _listed(pruned.swept.unpublished),
        "Still open here": _listed(pruned.swept.held),
    }
    Console().print(facts("Would be pruned" if dry_run else "Pruned", lines))


@app.command()
def plan(
    *,
    rows: Annotated[int, typer.Option(min=0, help="How many photos.")],
    dimension: Annotated[int, typer.Option(min=1, help="Numbers of a vector.")] = 2048,
    recall_target: RecallTarget = None,
    memory: Annotated[
        int | None,
        typer.Option(min=1, help="Bytes that it may take; as in the settings by default."),
    ] = None,
    json_report: JsonReport = False,
) -> None:
    """Tell which index a catalogue of some size would get, and why. Needs no database."""
    settings = Settings()
    wanted: dict[str, Any] = {
        "rows": rows,
        "dimension": dimension,
        "recall_target": recall_target or settings.recall_target,
        "memory_bytes": memory or settings.index_memory_bytes or default_memory_bytes(),
    }
    chosen = plan_index(**wanted)
    read, kept = round(rows * chosen.hot_bytes), round(rows * chosen.disk_bytes)
    if json_report:
        typer.echo(json.dumps(wanted | asdict(chosen) | {"read_bytes": read, "bytes": kept}))
        return
    lines = {
        "Factory": chosen.factory,
        "Read by most searches": decimal(read),
        "On disk": decimal(kept),
        "Why": chosen.why,
    }
    Console().print(facts(f"{rows:,} photos", lines))


def _generation(session: Session, generation_id: int | None) -> Generation:
    if generation_id is None:
        row = generations.live(session, _encoder(session, None).id)
        if row is None:
            raise Conflict("There is no live generation: `marketlens index build` makes one.")
        return row
    row = generations.get(session, generation_id)
    if row.status not in generations.USABLE:
        raise Conflict(f"A generation that is {row.status} can't be searched.")
    return row


def _encoder(session: Session, reference: str | None) -> Encoder:
    if reference is not None:
        return encoder_named(session, reference)
    active = active_encoder(session)
    if active is None:
        raise Conflict("There is no active encoder yet, and so no index.")
    return active


def _listed(generation_ids: list[int]) -> str:
    return ", ".join(map(str, generation_ids)) or "-"


def _tell_live(row: Generation, *, json_report: bool) -> None:
    if json_report:
        typer.echo(json.dumps({"generation": row.id, "status": row.status.value}))
        return
    typer.echo(f"Searches go on with generation {row.id}; `marketlens index rollback` undoes it.")


@contextmanager
def _database(settings: Settings) -> Generator[Database]:
    with closing(Database(settings.sqlalchemy_url)) as database:
        yield database


def _now() -> datetime:
    return datetime.now(UTC)
