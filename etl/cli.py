"""`marketlens fetch`, `clean`, `seed` and `categories`.

They end with 0 when all is well, with 1 when they did their work but left something to look at (a
rejected row, a problem, a difference), and with 2 when they could not do it.
"""

from pathlib import Path
from typing import Annotated

import typer

from command_line import LOOK_AT_IT, DryRun, JsonReport, ending
from settings import Settings

app = typer.Typer()
categories = typer.Typer(help="The integers of categories.", no_args_is_help=True)
app.add_typer(categories, name="categories")

Source = Annotated[
    str,
    typer.Argument(
        help="A feed: a folder, a zip or tar, or a URL of one (s3://, sftp://, http://, https://)."
    ),
]


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
