"""Arguments that several commands of `marketlens rank` have."""

from typing import Annotated, Final

import typer

from models.domain.errors import InvalidInput

DEFAULT: Final = "default"
"""What the weights are called that nothing was learned of."""

RankerReference = Annotated[
    str, typer.Argument(metavar="ID", help="See `rank list`; or `default`.")
]


def ranker_id_of(reference: str) -> int | None:
    """The id that is named, None for the defaults. Raises InvalidInput."""
    if reference == DEFAULT:
        return None
    if not (reference.isascii() and reference.isdigit() and 0 < int(reference) < 2**31):
        raise InvalidInput(f"{reference!r} is neither the number of weights nor `{DEFAULT}`.")
    return int(reference)
