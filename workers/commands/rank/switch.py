"""`marketlens rank activate` and `marketlens rank rollback`."""

from dataclasses import dataclass

import typer

from command_line.options import command_of
from command_line.resources import check_database_exists, database_of
from db.ranking.rankers import activate_ranker, roll_back
from db.tables import Ranker
from models.domain.clock import utc_now
from settings import Settings
from workers.commands.rank.arguments import RankerReference, ranker_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateOptions:
    """The options of `activate`."""

    reference: RankerReference


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOptions:
    """`rollback` has no options."""


@command_of(ActivateOptions)
def activate(options: ActivateOptions) -> None:
    """Recommend with these learned weights, or with the default ones, from the next request on."""
    ranker_id = ranker_id_of(options.reference)
    settings = Settings()
    check_database_exists(settings)
    with database_of(settings) as database, database.write() as session:
        ranker = activate_ranker(session, ranker_id, utc_now())
        sentence = in_use(ranker)
    typer.echo(sentence)


@command_of(RollbackOptions)
def rollback(options: RollbackOptions) -> None:
    """Recommend with the weights that were in use before."""
    del options
    settings = Settings()
    check_database_exists(settings)
    with database_of(settings) as database, database.write() as session:
        ranker = roll_back(session, utc_now())
        sentence = in_use(ranker)
    typer.echo(sentence)


def in_use(ranker: Ranker | None) -> str:
    """What recommendations are made with."""
    which = "the default weights" if ranker is None else f"weights {ranker.id}"
    return f"Recommendations are made with {which}."
