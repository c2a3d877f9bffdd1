"""`marketlens rank list` and `marketlens rank show`."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console

from command_line.options import JsonReport, command_of
from command_line.resources import check_database_exists, database_of
from db.ranking.rankers import active_ranker, all_rankers, get_ranker
from settings import Settings
from workers.commands.rank.arguments import ranker_id_of
from workers.commands.rank.ranker_rows import (
    default_row,
    ranker_row,
    rankers_table,
    sentences_of,
    weights_table,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of `list`."""

    json_report: JsonReport = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """The options of `show`."""

    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="See `rank list`; or `default`. Those in use by default."
        ),
    ] = None
    json_report: JsonReport = False


@command_of(ListOptions)
def list_rankers(options: ListOptions) -> None:
    """List the default weights and all learned ones, and which recommendations are made with."""
    settings = Settings()
    check_database_exists(settings)
    with database_of(settings) as database, database.read() as session:
        rankers = all_rankers(session)
        rows = [default_row(is_active=active_ranker(session) is None), *map(ranker_row, rankers)]
    if options.json_report:
        typer.echo(json.dumps({"rankers": [asdict(row) for row in rows]}))
    else:
        Console().print(rankers_table(rows))


@command_of(ShowOptions)
def show(options: ShowOptions) -> None:
    """Show weights beside the default ones, and what they were measured to be better by."""
    settings = Settings()
    check_database_exists(settings)
    with database_of(settings) as database, database.read() as session:
        active = active_ranker(session)
        if options.reference is None:
            ranker = active
        else:
            ranker_id = ranker_id_of(options.reference)
            ranker = None if ranker_id is None else get_ranker(session, ranker_id)
        row = default_row(is_active=active is None) if ranker is None else ranker_row(ranker)
    if options.json_report:
        typer.echo(json.dumps(asdict(row)))
        return
    console = Console()
    console.print(weights_table(row))
    for sentence in sentences_of(row):
        console.print(sentence, highlight=False)
