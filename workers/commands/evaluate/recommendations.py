"""`marketlens evaluate recommendations`: what recommendations would have found."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from command_line.options import JsonReport, command_of
from command_line.resources import check_database_exists, database_of
from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.page import as_page
from models.evaluation.recommendations.results import as_json, as_tables
from models.evaluation.recommendations.targets import MIN_HISTORY, STRONGEST
from progress import Bars
from settings import Settings
from workers.commands.report_page import write_page
from workers.evaluation.catalogue import stored_catalogue
from workers.evaluation.events import events_of_file, stored_events
from workers.evaluation.recommendations import EvaluationOptions, evaluate, options_in_use


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationsOptions:
    """The options of the command."""

    events: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="A CSV or NDJSON of events, with the fields of POST /v1/events; "
            "those of the database by default.",
        ),
    ] = None
    test_from: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="The first day, in UTC, of what is to be found; "
            "by default the later half of the time of all events.",
        ),
    ] = None
    test_days: Annotated[
        int | None,
        typer.Option(min=1, help="The same, as days until the last event."),
    ] = None
    targets: Annotated[
        str | None,
        typer.Option(
            help="What is to be found: purchased, contacted, saved or viewed, separated by commas; "
            "by default the first of these that there is.",
        ),
    ] = None
    min_history: Annotated[
        int, typer.Option(min=1, help="Of users who have touched so many listings before.")
    ] = MIN_HISTORY
    all_listed: Annotated[
        bool,
        typer.Option(
            "--all-listed",
            help="Every listing is a candidate at any time: the database was filled later than the "
            "events, and does not know when they were listed.",
        ),
    ] = False
    feed: Annotated[
        str | None,
        typer.Option(help="Events name listings as this feed does; by their ids by default."),
    ] = None
    users: Annotated[
        int | None, typer.Option(min=1, help="At most so many users, drawn; all by default.")
    ] = None
    ablations: Annotated[
        bool, typer.Option("--ablations", help="Also without each of its parts: takes longer.")
    ] = False
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write a page of figures to this file.")
    ] = None
    seed: Annotated[
        int, typer.Option(min=0, help="Draws users, and the order of what is equally good.")
    ] = 0
    json_report: JsonReport = False


@command_of(RecommendationsOptions)
def recommendations(options: RecommendationsOptions) -> None:
    """Measure what recommendations would have found of what users touched, beside baselines."""
    settings, html = Settings(), options.html
    asked = _asked(options)
    check_database_exists(settings)
    with Bars() as bars:
        with database_of(settings) as database, database.read() as session:
            catalogue = stored_catalogue(session, options.feed, partial(bars.show, "vectors"))
            read = (
                stored_events(session, catalogue)
                if options.events is None
                else events_of_file(options.events, catalogue)
            )
            in_use = options_in_use(session)
        evaluation = evaluate(catalogue, read, in_use, asked, partial(bars.show, "targets"))
        if html is not None:
            write_page(html, as_page(evaluation))
    if options.json_report:
        typer.echo(json.dumps(as_json(evaluation)))
    else:
        Console().print(as_tables(evaluation))
    if html is not None:
        typer.echo(f"{html} shows the figures.", err=True)


def _asked(options: RecommendationsOptions) -> EvaluationOptions:
    """Raises InvalidInput."""
    if options.test_from is not None and options.test_days is not None:
        raise InvalidInput("--test-from and --test-days say the same: state one of them.")
    first_day = None
    if options.test_from is not None:
        first_day = (options.test_from.date() - date(1970, 1, 1)).days
    return EvaluationOptions(
        first_day=first_day,
        days=options.test_days,
        kinds=None if options.targets is None else _kinds(options.targets),
        min_history=options.min_history,
        all_listed=options.all_listed,
        users=options.users,
        ablations=options.ablations,
        seed=options.seed,
    )


def _kinds(stated: str) -> list[EventKind]:
    names = [name for part in stated.split(",") if (name := part.strip())]
    allowed = {kind.value for kind in STRONGEST}
    wrong = [name for name in names if name not in allowed]
    if wrong or not names:
        raise InvalidInput(
            f"--targets {stated} is none of {', '.join(kind.value for kind in STRONGEST)}."
        )
    return [kind for kind in STRONGEST if kind.value in names]
