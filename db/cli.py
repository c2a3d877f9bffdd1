"""`marketlens migrate` and `marketlens health`."""

from contextlib import closing
from dataclasses import dataclass
from typing import Annotated

import typer

from command_line.options import command_of
from command_line.private_data import keep_private
from db.consumption import consumed_lately
from db.schema_migration import upgrade
from db.session import Database
from models.domain.errors import Unavailable
from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthOptions:
    """The options of `health`."""

    queue: Annotated[
        str | None, typer.Option(help="Also ask that somebody consumes this queue.")
    ] = None


def migrate() -> None:
    """Bring the database to this release's schema, creating it if need be."""
    settings = Settings()
    upgrade(settings.sqlalchemy_url)
    keep_private(settings.data_dir)
    typer.echo("The database is up to date.")


@command_of(HealthOptions)
def health(options: HealthOptions) -> None:
    """Exit with 0 if the database answers and the queue is being consumed: for health checks."""
    with closing(Database(Settings().sqlalchemy_url)) as database, database.read() as session:
        consumed = consumed_lately(session, database.now())
    if options.queue is not None and options.queue not in consumed:
        raise Unavailable(f"Nobody consumes the queue {options.queue}.")
    typer.echo("healthy")
