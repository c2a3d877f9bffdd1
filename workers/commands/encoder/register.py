"""`marketlens encoder register`."""

from dataclasses import dataclass

import typer

from command_line.opened import database_of, library_of
from command_line.options import command_of
from db.vectors.encoders import register_encoder
from models.domain.clock import utc_now
from settings import Settings
from workers.commands.arguments import EncoderReference
from workers.encoders.install import install_encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOptions:
    """The options of the command."""

    reference: EncoderReference


@command_of(RegisterOptions)
def register(options: RegisterOptions) -> None:
    """Register an encoder, and keep its files in the models folder. Nothing is embedded yet."""
    settings = Settings()
    spec = install_encoder(library_of(settings), options.reference, settings.models_dir)
    with database_of(settings) as database, database.write() as session:
        register_encoder(session, spec, utc_now())
    typer.echo(f"{spec.label} is registered.")
