"""Options and checks that several commands of encoders and of the index have."""

from typing import Annotated

import typer
from sqlalchemy.orm import Session

from db.tables import Encoder
from db.vectors.encoders import active_encoder, encoder_named
from models.domain.errors import Conflict

EncoderReference = Annotated[
    str,
    typer.Argument(help="A label or fingerprint, or how one begins; or a file of weights."),
]
RegisteredEncoder = Annotated[
    str, typer.Argument(help="A label or fingerprint, or how one begins: see `encoder list`.")
]
OfEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Of this one: a label or fingerprint, or how one begins. The active one by default.",
    ),
]
GenerationId = Annotated[int, typer.Argument(min=1, metavar="ID", help="See `index list`.")]
RecallTarget = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=1, help="The recall@10 that is wanted; as in the settings by default."
    ),
]


def encoder_of_index(session: Session, reference: str | None) -> Encoder:
    """The encoder named, or the active one. Raises NotFound and Conflict."""
    if reference is not None:
        return encoder_named(session, reference)
    active = active_encoder(session)
    if active is None:
        raise Conflict("There is no active encoder yet, and so no index.")
    return active
