"""`marketlens encoder activate` and `marketlens encoder rollback`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from command_line.options import command_of, force_option
from command_line.resources import database_of
from db.vectors.encoders import activate_encoder, encoder_named, previous_encoder
from models.domain.clock import utc_now
from models.domain.errors import Conflict
from settings import Settings
from workers.commands.arguments import RegisteredEncoder

Force = Annotated[bool, force_option("Even if photos or an index are lacking.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateOptions:
    """The options of `activate`."""

    reference: RegisteredEncoder
    force: Force = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOptions:
    """The options of `rollback`."""

    force: Force = False


@command_of(ActivateOptions)
def activate(options: ActivateOptions) -> None:
    """Search with an encoder that is up to date, from the next search on."""
    with database_of(Settings()) as database, database.write() as session:
        encoder = encoder_named(session, options.reference)
        activate_encoder(session, encoder.id, utc_now(), force=options.force)
    typer.echo(f"Searches are made with {encoder.spec.label}.")


@command_of(RollbackOptions)
def rollback(options: RollbackOptions) -> None:
    """Search with the encoder that was active before: it has been kept up to date since."""
    with database_of(Settings()) as database, database.write() as session:
        encoder = previous_encoder(session)
        if encoder is None:
            raise Conflict("No encoder that was active before is kept up to date.")
        activate_encoder(session, encoder.id, utc_now(), force=options.force)
    typer.echo(f"Searches are made with {encoder.spec.label}.")
