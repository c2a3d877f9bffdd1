"""`marketlens sample`."""

from pathlib import Path
from typing import Annotated

import typer

from command_line import ending
from sample.catalogue import draw_catalogue

app = typer.Typer()


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new folder.")],
    listings: Annotated[int, typer.Option(min=1, help="How many listings to draw.")] = 200,
    seed: Annotated[int, typer.Option(help="The same number draws the same catalogue.")] = 0,
) -> None:
    """Draw a catalogue of made-up products with photos, as a feed to try things with."""
    with ending() as bars:
        drawn = draw_catalogue(
            folder, listings, seed, lambda done: bars.show("drawing", done, listings)
        )
    typer.echo(
        f"{drawn.listings:,} listings, {drawn.photos:,} photos and {drawn.held_out:,} held-out "
        f"views are in {folder}."
    )
