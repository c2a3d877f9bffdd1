"""Photos that callers name instead of sending them: stored ones, and such at URLs."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from db.store.photo_urls import check_url
from db.store.public_connections import MAX_URL
from models.domain.errors import InvalidInput
from models.domain.job_payloads import is_sha256

MAX_PHOTOS: Final = 12
"""Of a listing."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.*", re.DOTALL)


def is_photo_url(reference: str) -> bool:
    """Whether this is meant as a URL."""
    return _URL.fullmatch(reference) is not None


def _checked(reference: str) -> str:
    if is_sha256(reference):
        return reference
    if not is_photo_url(reference):
        raise ValueError("is neither the SHA-256 of a stored photo nor an http or https URL")
    try:
        check_url(reference)
    except InvalidInput as error:
        # Pydantic takes other errors for faults of the program.
        raise ValueError(str(error)) from error
    return reference


PhotoReference = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([0-9a-f]{64}|[Hh][Tt][Tt][Pp][Ss]?://.+)$",
            "maxLength": MAX_URL,
            "description": "SHA-256 of a stored photo, in lower case, or an http or https URL "
            "where MARKETLENS_PHOTO_URLS is `all`.",
            "examples": [f"{7:064x}"],
        }
    ),
]
