"""`marketlens sample`, `fetch`, `clean`, `seed`, `categories` and `reconcile`.

They end with 0 when all is well, with 1 when they did their work but left something to look at (a
rejected row, a problem, a difference), and with 2 when they could not do it.
"""

import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.errors import MarketlensError
from progress import Bars
from settings import Settings

app = typer.Typer()
categories = typer.Typer(help="The integers of categories.", no_args_is_help=True)
app.add_typer(categories, name="categories")

LOOK_AT_IT = 1
NOT_DONE = 2

Source = Annotated[
    str,
    typer.Argument(
        help="A feed: a folder, a zip or tar, or a URL of one (s3://, sftp://, http://, https://)."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
JsonReport = Annotated[
    bool, typer.Option("--json", help="End with the report as one line of JSON.")
]


@contextmanager
def ending(*, json_report: bool = False) -> Generator[Bars]:
    """Bars for a command, which ends with exit code 2 and a sentence when it can't be done."""
    try:
        with Bars(Console(stderr=True)) as bars:
            yield bars
    except (MarketlensError, OSError, sqlite3.Error) as error:
        typer.echo(f"marketlens: {error}", err=True)
        if json_report:
            typer.echo(json.dumps({"error": str(error)}))
        raise typer.Exit(NOT_DONE) from error


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new folder.")],
    listings: Annotated[int, typer.Option(min=1, help="How many listings to draw.")] = 200,
    seed: Annotated[int, typer.Option(help="The same number draws the same catalogue.")] = 0,
) -> None:
    """Draw a catalogue of made-up products with photos, as a feed to try things with."""
    # Imported here, as in the commands below: what one command needs, others need not wait for.
    from etl.sample.catalogue import draw_catalogue  # noqa: PLC0415

    with ending() as bars:
        drawn = draw_catalogue(
            folder, listings, seed, lambda done: bars.show("drawing", done, listings)
        )
    typer.echo(
        f"{drawn.listings:,} listings, {drawn.photos:,} photos and {drawn.held_out:,} held-out "
        f"views are in {folder}."
    )


@app.command()
def fetch(
    source: Source,
    folder: Annotated[Path, typer.Argument(help="Where to put it.")],
    *,
    dry_run: DryRun = False,
    json_report: JsonReport = False,
) -> None:
    """Copy a feed from wherever it is. Run again, it goes on, and fetches only what is new."""
    from etl.commands.upkeep import run_fetch  # noqa: PLC0415

    with ending(json_report=json_report) as bars:
        run_fetch(source, folder, bars, dry_run=dry_run, json_report=json_report)


@app.command()
def clean(
    source: Source,
    folder: Annotated[Path, typer.Argument(help="Where to write Parquet files and photos.")],
    *,
    dry_run: DryRun = False,
    json_report: JsonReport = False,
) -> None:
    """Clean a feed into a folder that `seed` takes in, here or on another machine."""
    from etl.commands.clean import run_clean  # noqa: PLC0415

    with ending(json_report=json_report) as bars:
        left = run_clean(source, folder, Settings(), bars, dry_run=dry_run, json_report=json_report)
    raise typer.Exit(LOOK_AT_IT if left else 0)


@app.command()
def seed(
    source: Source,
    *,
    feed: Annotated[
        str | None, typer.Option(help="The feed's name, for --prune; that of its folder if none.")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take out the feed's listings that it lists no more.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Let go of most of the feed's listings or photos, if need be."
        ),
    ] = False,
    inline: Annotated[
        bool, typer.Option("--inline", help="Embed and index in this process, without a queue.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the photos are embedded.")] = True,
    reindex: Annotated[bool, typer.Option(help="Then build an index of them.")] = True,
    dry_run: DryRun = False,
    json_report: JsonReport = False,
) -> None:
    """Take in a marketplace's feed: clean it, store it, and queue its photos for embedding."""
    from etl.commands.seed import SeedOptions, run_seed  # noqa: PLC0415

    if inline and not wait:
        raise typer.BadParameter("--inline does the work here: it can't go with --no-wait.")

    options = SeedOptions(
        feed=feed,
        prune=prune,
        force=force,
        inline=inline,
        wait=wait,
        reindex=reindex,
        dry_run=dry_run,
        json_report=json_report,
    )
    with ending(json_report=json_report) as bars:
        left = run_seed(source, Settings(), bars, options)
    raise typer.Exit(LOOK_AT_IT if left else 0)


@app.command()
def reconcile(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every stored photo, to find damaged ones.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Repair even if that deletes most of the store.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing, even with --repair.")
    ] = False,
    json_report: JsonReport = False,
) -> None:
    """Compare database, photo store and index: what is missing, orphaned or stale."""
    from etl.commands.upkeep import run_reconcile  # noqa: PLC0415

    with ending(json_report=json_report) as bars:
        left = run_reconcile(
            Settings(),
            bars,
            repair=repair and not dry_run,
            force=force,
            verify=verify,
            json_report=json_report,
        )
    raise typer.Exit(LOOK_AT_IT if left else 0)


@categories.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it; standard output if none.")
    ] = None,
    *,
    dry_run: DryRun = False,
    json_report: JsonReport = False,
) -> None:
    """Write the categories' integers as JSON: a dictionary both ways."""
    from etl.commands.upkeep import run_export  # noqa: PLC0415

    with ending(json_report=json_report):
        run_export(file, Settings(), dry_run=dry_run, json_report=json_report)
