"""`marketlens sample`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from command_line.options import command_of
from progress import Bars
from sample.catalogue import draw_catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """The options of the command."""

    folder: Annotated[Path, typer.Argument(help="Where to write it: a new folder.")]
    listings: Annotated[int, typer.Option(min=1, help="How many listings to draw.")] = 200
    seed: Annotated[int, typer.Option(help="The same number draws the same catalogue.")] = 0


@command_of(SampleOptions)
def sample(options: SampleOptions) -> None:
    """Draw a catalogue of made-up products with photos, as a feed to try things with."""
    folder, listings = options.folder, options.listings
    with Bars() as bars:
        drawn = draw_catalogue(
            folder, listings, options.seed, lambda done: bars.show("drawing", done, listings)
        )
    typer.echo(
        f"{drawn.listings:,} listings, {drawn.photos:,} photos and {drawn.held_out:,} held-out "
        f"views are in {folder}."
    )
