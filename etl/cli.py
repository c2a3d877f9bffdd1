"""`marketlens sample` and `marketlens seed`."""

import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from db.migrate import upgrade
from db.photos import PhotoStore
from db.session import Database
from etl.progress import Bars
from etl.rejects import write_rejects
from etl.report import as_json, reasons, summary
from models.domain import EncoderSpec
from models.encoders.specs import locate_encoder
from settings import Settings
from workers.client import JobPublisher

app = typer.Typer()

# Photos wait for the disk about as long as they compute.
THREADS_PER_CORE = 2


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new folder.")],
    listings: Annotated[int, typer.Option(min=1, help="How many listings to draw.")] = 200,
    seed: Annotated[int, typer.Option(help="The same number draws the same catalogue.")] = 0,
) -> None:
    """Draw a catalogue of made-up products with photos, as a feed to try things with."""
    # Imported here: drawing is for this command, not for every start.
    from etl.sample.catalogue import draw_catalogue  # noqa: PLC0415

    with Bars(Console(stderr=True)) as bars:
        drawn = draw_catalogue(
            folder, listings, seed, lambda done: bars.show("drawing", done, listings)
        )
    typer.echo(
        f"{drawn.listings:,} listings, {drawn.photos:,} photos and {drawn.held_out:,} held-out "
        f"views are in {folder}."
    )


@app.command()
def seed(
    folder: Annotated[
        Path, typer.Argument(help="A feed: Products.csv, Images.csv and images/<id>.jpg.")
    ],
    *,
    wait: Annotated[bool, typer.Option(help="Wait until the photos are embedded.")] = True,
    reindex: Annotated[bool, typer.Option(help="Then build an index of them.")] = True,
    json_report: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
) -> None:
    """Take in a marketplace's feed: clean it, store it, and queue its photos for embedding."""
    # Imported here: pandas takes half a second, which other commands need not wait for.
    from etl.run import SeedRun  # noqa: PLC0415

    started = monotonic()
    settings = Settings()
    console = Console()
    with (
        Bars(Console(stderr=True)) as bars,
        closing(Database(settings.sqlalchemy_url)) as database,
        closing(JobPublisher(settings.broker_url)) as publisher,
    ):
        encoder = _encoder(settings, bars)
        upgrade(settings.sqlalchemy_url)
        outcome = SeedRun(
            database=database,
            store=PhotoStore(settings.photo_store_url),
            publisher=publisher,
            encoder=encoder,
            bars=bars,
            clock=lambda: datetime.now(UTC),
            new_id=uuid4,
        ).run(
            folder,
            max_photo_bytes=settings.max_upload_bytes,
            threads=THREADS_PER_CORE * len(os.sched_getaffinity(0)),
            wait=wait,
            reindex=reindex,
        )
    seconds = monotonic() - started
    report = outcome.report
    rejects_file = settings.data_dir / "reports" / f"{folder.resolve().name}-rejects.csv"
    write_rejects(rejects_file, report.rejects)
    if json_report:
        typer.echo(json.dumps(as_json(report, embedded=outcome.embedded, seconds=seconds)))
    else:
        console.print(summary(report, embedded=outcome.embedded, seconds=seconds))
        if report.rejects:
            console.print(reasons(report.rejects))
            typer.echo(f"Each rejected row is in {rejects_file}.")
    for problem in outcome.problems:
        typer.echo(problem, err=True)
    if outcome.problems:
        raise typer.Exit(1)


def _encoder(settings: Settings, bars: Bars) -> EncoderSpec:
    """The encoder that workers will embed with; raises WeightsError before anything is written."""
    spec, _ = locate_encoder(
        settings.encoder,
        settings.weights,
        settings.models_dir,
        on_progress=lambda done, total: bars.show("weights", done, total),
    )
    return spec
