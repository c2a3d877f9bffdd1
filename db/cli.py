"""`marketlens migrate`, `marketlens keys` and `marketlens health`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from db.consumption import consumed_lately
from db.keys import create_key, revoke_keys
from db.migrate import upgrade
from db.session import Database
from models.domain.errors import Unavailable
from models.domain.types import Scope
from settings import Settings

app = typer.Typer()
keys = typer.Typer(help="Make and revoke API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@app.command()
def migrate() -> None:
    """Bring the database to this release's schema, creating it if need be."""
    upgrade(Settings().sqlalchemy_url)
    typer.echo("The database is up to date.")


@app.command()
def health(
    queue: Annotated[
        str | None, typer.Option(help="Also ask that somebody consumes this queue.")
    ] = None,
) -> None:
    """Exit with 0 if the database answers and the queue is being consumed: for health checks."""
    database = Database(Settings().sqlalchemy_url)
    with database.read() as session:
        consumed = consumed_lately(session, datetime.now(UTC))
    if queue is not None and queue not in consumed:
        raise Unavailable(f"Nobody consumes the queue {queue}.")
    typer.echo("healthy")


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who the key is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeat for more.")],
) -> None:
    """Make a key and print it. It is shown this once."""
    database = Database(Settings().sqlalchemy_url)
    with database.write() as session:
        key = create_key(session, name, scope, datetime.now(UTC))
    typer.echo(key)


@keys.command()
def revoke(name: Annotated[str, typer.Argument(help="Whose keys.")]) -> None:
    """Revoke every key of this name, at once."""
    database = Database(Settings().sqlalchemy_url)
    with database.write() as session:
        count = revoke_keys(session, name, datetime.now(UTC))
    typer.echo(f"Revoked {count} key{'s' if count > 1 else ''} of {name!r}.")
