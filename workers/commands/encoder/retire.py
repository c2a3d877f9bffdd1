"""`marketlens encoder retire`."""

from dataclasses import dataclass

import typer

from command_line.options import command_of
from command_line.resources import database_of, store_of
from db.vectors.encoders import encoder_named, retire_encoder
from settings import Settings
from workers.commands.arguments import RegisteredEncoder
from workers.generations.prune import prune


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireOptions:
    """The options of the command."""

    reference: RegisteredEncoder


@command_of(RetireOptions)
def retire(options: RetireOptions) -> None:
    """Stop keeping an encoder up to date, and remove its indexes. Its vectors stay for a time."""
    settings = Settings()
    with database_of(settings) as database:
        with database.write() as session:
            encoder = encoder_named(session, options.reference)
            retire_encoder(session, encoder.id)
        pruned = prune(
            database,
            settings.generations_dir,
            store_of(settings),
            keep=0,
            encoder_ids=[encoder.id],
        )
    typer.echo(f"{encoder.spec.label} is retired.")
    if pruned.files.held:
        typer.echo(
            "Its index is still open in another process: `marketlens index prune` removes it later."
        )
