"""`marketlens migrate`, `marketlens keys` and `marketlens health`."""

from contextlib import closing
from dataclasses import dataclass
from typing import Annotated

import typer

from command_line.options import command_of
from db.consumption import consumed_lately
from db.keys import create_key, revoke_keys
from db.schema_migration import upgrade
from db.session import Database
from models.domain.clock import utc_now
from models.domain.errors import Unavailable
from models.domain.types import Scope
from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthOptions:
    """The options of `health`."""

    queue: Annotated[
        str | None, typer.Option(help="Also ask that somebody consumes this queue.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOptions:
    """The options of `keys create`."""

    name: Annotated[str, typer.Argument(help="Who the key is for.")]
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat for more.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeOptions:
    """The options of `keys revoke`."""

    name: Annotated[str, typer.Argument(help="Whose keys.")]


def migrate() -> None:
    """Bring the database to this release's schema, creating it if need be."""
    upgrade(Settings().sqlalchemy_url)
    typer.echo("The database is up to date.")


@command_of(HealthOptions)
def health(options: HealthOptions) -> None:
    """Exit with 0 if the database answers and the queue is being consumed: for health checks."""
    with closing(Database(Settings().sqlalchemy_url)) as database, database.read() as session:
        consumed = consumed_lately(session, database.now())
    if options.queue is not None and options.queue not in consumed:
        raise Unavailable(f"Nobody consumes the queue {options.queue}.")
    typer.echo("healthy")


@command_of(CreateOptions)
def create(options: CreateOptions) -> None:
    """Make a key and print it. It is shown this once."""
    with closing(Database(Settings().sqlalchemy_url)) as database, database.write() as session:
        key = create_key(session, options.name, options.scope, utc_now())
    typer.echo(key)


@command_of(RevokeOptions)
def revoke(options: RevokeOptions) -> None:
    """Revoke every key of this name, at once."""
    with closing(Database(Settings().sqlalchemy_url)) as database, database.write() as session:
        count = revoke_keys(session, options.name, utc_now())
    typer.echo(f"Revoked {count} key{'s' if count > 1 else ''} of {options.name!r}.")
