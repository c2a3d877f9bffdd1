"""`marketlens rank train`."""

import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from command_line.exit_codes import AlreadyReported
from command_line.options import JsonReport, command_of
from command_line.resources import check_database_exists, database_of
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from models.domain.recommendations.options import RecommendOptions
from progress import Bars
from settings import Settings
from workers.commands.rank.ranker_rows import learned_row, sentences_of, weights_table
from workers.rankers.training import LearnedRanker, Source, learn_ranker, read_chosen, store_ranker


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of the command."""

    events: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="A CSV or NDJSON of events, with the fields of POST /v1/events; "
            "those of the database by default, with the lists that were shown.",
        ),
    ] = None
    activate: Annotated[
        bool,
        typer.Option(
            "--activate/--no-activate",
            help="Recommend with the weights if they are better; or only learn and keep them.",
        ),
    ] = True
    all_listed: Annotated[
        bool,
        typer.Option(
            "--all-listed",
            help="Every listing could be chosen at any time: the database was filled later than "
            "the events, and does not know when they were listed.",
        ),
    ] = False
    feed: Annotated[
        str | None,
        typer.Option(help="Events name listings as this feed does; by their ids by default."),
    ] = None
    json_report: JsonReport = False


@command_of(TrainOptions)
def train(options: TrainOptions) -> None:
    """Learn the weights of recommendations from what users chose, and use them if they are better.

    Learned from earlier choices and tried on later ones, against the weights in use: refused unless
    they are surely better. Positions of impressions are accounted for. `rank rollback` returns to
    the weights before.
    """
    started = monotonic()
    settings = Settings()
    check_database_exists(settings)
    ranker_id = None
    with Bars() as bars, database_of(settings) as database:
        source = Source(file=options.events, feed=options.feed, all_listed=options.all_listed)
        recommended = RecommendOptions()
        with database.read() as session:
            chosen = read_chosen(session, source, recommended.weights, bars.show)
        ranker = learn_ranker(chosen, recommended, on_progress=bars.show)
        if ranker.refusal is None:
            with database.write() as session:
                ranker_id = store_ranker(session, ranker, utc_now(), activate=options.activate)
    _report(options, ranker, ranker_id, monotonic() - started)
    if ranker.refusal is not None:
        raise AlreadyReported from Conflict(f"The weights are refused: {ranker.refusal}")


def _report(
    options: TrainOptions, ranker: LearnedRanker, ranker_id: int | None, seconds: float
) -> None:
    row = learned_row(ranker_id, ranker.weights, ranker.measured)
    is_active = ranker_id is not None and options.activate
    if options.json_report:
        report = {
            "id": ranker_id,
            "active": is_active,
            "refusal": ranker.refusal,
            "weights": row.weights,
            "measured": row.measured,
            "seconds": round(seconds, 2),
        }
        typer.echo(json.dumps(report))
        return
    console = Console()
    table: Table = weights_table(row, ranker.in_use)
    console.print(table)
    for sentence in sentences_of(row):
        console.print(sentence, highlight=False)
    if is_active:
        typer.echo(f"Recommendations are made with weights {ranker_id}.")
    elif ranker_id is not None:
        typer.echo(f"Weights {ranker_id} are kept: `marketlens rank activate {ranker_id}`.")
