"""`marketlens encoder`: which encoders there are, and which one searches are made with."""

import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import (
    EncoderSummary,
    activate_encoder,
    encoder_named,
    previous_encoder,
    register_encoder,
    retire_encoder,
    summarise_encoders,
)
from models.domain.errors import Conflict
from models.domain.optional_dependencies import requires_extra
from models.domain.types import EncoderSpec, EncoderStatus, Precision
from models.encoders.library import EncoderLibrary
from settings import Settings
from workers.encoders.install import install_encoder

app = typer.Typer(help="The encoders, and which one searches are made with.", no_args_is_help=True)

Reference = Annotated[
    str,
    typer.Argument(help="A label or fingerprint, or how one begins; or a file of weights."),
]
Registered = Annotated[
    str, typer.Argument(help="A label or fingerprint, or how one begins: see `encoder list`.")
]
Force = Annotated[bool, typer.Option("--force", help="Even if photos or an index are lacking.")]
JsonReport = Annotated[
    bool, typer.Option("--json", help="End with the report as one line of JSON.")
]


@app.command()
def register(reference: Reference) -> None:
    """Make an encoder known, and keep its files among the models. Nothing is embedded yet."""
    settings = Settings()
    spec = install_encoder(_library(settings), reference, settings.models_dir)
    with _database(settings) as database, database.write() as session:
        register_encoder(session, spec, _now())
    typer.echo(f"{spec.label} is registered.")


@app.command(name="list")
def list_encoders(*, json_report: JsonReport = False) -> None:
    """Every encoder that is known or can be opened here, and how much it has embedded."""
    settings = Settings()
    with _database(settings) as database, database.read() as session:
        summaries = summarise_encoders(session)
    here = _library(settings).specs()
    rows = [_row(summary, is_here=summary.encoder.spec in here) for summary in summaries]
    known = {summary.encoder.spec for summary in summaries}
    rows += [_unregistered(spec) for spec in here if spec not in known]
    if json_report:
        typer.echo(json.dumps({"encoders": rows}))
    else:
        Console().print(_table(rows))


@app.command()
def activate(reference: Registered, *, force: Force = False) -> None:
    """Search with an encoder that is up to date, from the next search on."""
    with _database(Settings()) as database, database.write() as session:
        encoder = encoder_named(session, reference)
        activate_encoder(session, encoder.id, _now(), force=force)
    typer.echo(f"Searches are made with {encoder.spec.label}.")


@app.command()
def rollback(*, force: Force = False) -> None:
    """Search with the encoder that was active before: it has been kept up to date since."""
    with _database(Settings()) as database, database.write() as session:
        encoder = previous_encoder(session)
        if encoder is None:
            raise Conflict("No encoder that was active before is kept up to date.")
        activate_encoder(session, encoder.id, _now(), force=force)
    typer.echo(f"Searches are made with {encoder.spec.label}.")


@app.command()
def retire(reference: Registered) -> None:
    """Keep an encoder up to date no more, and remove its indexes. Its vectors stay."""
    # Imported here, as in `migrate`: what needs faiss or torch, other commands need not wait for.
    from workers.generations.prune import prune  # noqa: PLC0415

    settings = Settings()
    with _database(settings) as database:
        with database.write() as session:
            encoder = encoder_named(session, reference)
            retire_encoder(session, encoder.id)
        pruned = prune(
            database,
            settings.generations_dir,
            PhotoStore(settings.photo_store_url),
            keep=0,
            encoder_ids=[encoder.id],
        )
    typer.echo(f"{encoder.spec.label} is retired.")
    if pruned.swept.held:
        typer.echo(
            "Its index is still open in another process: `marketlens index prune` removes it later."
        )


@app.command()
def migrate(
    reference: Reference,
    *,
    activated: Annotated[
        bool, typer.Option("--activate/--no-activate", help="Search with it in the end.")
    ] = True,
    force: Annotated[
        bool,
        typer.Option("--force", help="Activate it even if it finds less, or photos are lacking."),
    ] = False,
    inline: Annotated[
        bool, typer.Option("--inline", help="Embed and index in this process, without a queue.")
    ] = False,
    json_report: JsonReport = False,
) -> None:
    """Change to another encoder while searches go on: embed, index, compare, then activate.

    Run again after an interruption, it goes on. The encoder before stays up to date: `rollback`
    returns to it, `retire` lets go of it.
    """
    from workers.commands.encoder_migrate import MigrationOptions, run_migration  # noqa: PLC0415

    options = MigrationOptions(activate=activated, force=force, inline=inline)
    run_migration(reference, Settings(), options, json_report=json_report)


@app.command()
def export(
    reference: Annotated[
        str | None,
        typer.Argument(
            help="A label or fingerprint, or how one begins; or a file of weights. "
            "What the settings ask for by default."
        ),
    ] = None,
    *,
    precision: Annotated[
        Precision, typer.Option(help="int8 is the fastest, and an encoder of its own.")
    ] = Precision.INT8,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="A folder of photos, or one that `clean` wrote; the catalogue by default.",
        ),
    ] = None,
    photos: Annotated[int, typer.Option(min=16, help="Photos to calibrate with.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Draws the photos.")] = 0,
    json_report: JsonReport = False,
) -> None:
    """Make a faster network of an encoder's, and compare the two; a worse one is refused."""
    with requires_extra("train"):
        from workers.commands.encoder_export import run_export  # noqa: PLC0415

    run_export(
        reference,
        Settings(),
        precision,
        calibrate,
        calibration_photos=photos,
        seed=seed,
        json_report=json_report,
    )


def _row(summary: EncoderSummary, *, is_here: bool) -> dict[str, Any]:
    encoder = summary.encoder
    since = encoder.activated_at if encoder.status is EncoderStatus.ACTIVE else None
    return {
        "encoder": encoder.spec.label,
        "fingerprint": encoder.fingerprint,
        "status": encoder.status.value,
        "precision": encoder.precision.value,
        "embedded": summary.embedded,
        "missing": summary.missing,
        "generation": summary.generation_id,
        "active_since": since and since.isoformat(timespec="seconds"),
        "files_here": is_here,
        "comparison": encoder.comparison,
    }


def _unregistered(spec: EncoderSpec) -> dict[str, Any]:
    nothing = dict.fromkeys(("embedded", "missing", "generation", "active_since", "comparison"))
    return {
        "encoder": spec.label,
        "fingerprint": spec.fingerprint,
        "status": "unregistered",
        "precision": spec.precision.value,
        "files_here": True,
        **nothing,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    # Without lines it fits a narrow window, where a label must still be there to be copied.
    table = Table(title="Encoders", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("Encoder", "Status"):
        table.add_column(name, no_wrap=True)
    for name in ("Photos", "Missing", "Index"):
        table.add_column(name, justify="right")
    for name in ("Precision", "Since", "Here"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row["encoder"],
            row["status"],
            _shown(row["embedded"]),
            _shown(row["missing"]),
            _shown(row["generation"]),
            row["precision"],
            _day(row["active_since"]),
            "yes" if row["files_here"] else "no",
        )
    return table


def _day(moment: str | None) -> str:
    return "-" if moment is None else f"{moment:.10}"


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


@contextmanager
def _database(settings: Settings) -> Generator[Database]:
    with closing(Database(settings.sqlalchemy_url)) as database:
        yield database


def _library(settings: Settings) -> EncoderLibrary:
    return EncoderLibrary(settings.encoder, settings.weights, settings.models_dir)


def _now() -> datetime:
    return datetime.now(UTC)
