"""`marketlens index list` and `marketlens index show`."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console

from command_line.options import JsonReport, command_of
from command_line.resources import database_of, store_of
from db.jobs import reading
from db.vectors import generations
from db.vectors.encoders import all_encoders, get_encoder
from settings import Settings
from workers.commands.arguments import GenerationId
from workers.commands.index.generation_rows import (
    generation_details,
    generation_row,
    generation_table,
    generations_table,
)
from workers.generations.publish import published_generations


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of `list`."""

    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """The options of `show`."""

    generation_id: GenerationId
    json_report: JsonReport = False


@command_of(ListOptions)
def list_generations(options: ListOptions) -> None:
    """List generations, newest first: their measurements, and where their files are."""
    settings = Settings()
    published = published_generations(store_of(settings))
    with database_of(settings) as database, database.read() as session:
        encoders = {row.id: row for row in all_encoders(session)}
        rows = [
            generation_row(row, encoders[row.encoder_id], settings.generations_dir, published)
            for row in generations.all_generations(session, options.limit)
        ]
    if options.json_report:
        typer.echo(json.dumps({"generations": [asdict(row) for row in rows]}))
    else:
        Console().print(generations_table(rows))


@command_of(ShowOptions)
def show(options: ShowOptions) -> None:
    """Show all that is known of one generation, and why its index was chosen."""
    settings = Settings()
    published = published_generations(store_of(settings))
    with database_of(settings) as database, database.read() as session:
        generation = generations.get(session, options.generation_id)
        encoder = get_encoder(session, generation.encoder_id)
        job = reading.get(session, generation.job_id) if generation.job_id else None
    row = generation_row(generation, encoder, settings.generations_dir, published)
    details = generation_details(job, settings.generations_dir / str(generation.id))
    if options.json_report:
        typer.echo(json.dumps(asdict(row) | asdict(details)))
    else:
        Console().print(generation_table(row, details))
