"""Pagination cursors of searches, as opaque text."""

import binascii
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from models.domain.errors import InvalidInput
from models.domain.types import ListingMatch

MAX_PHOTO_ID: Final = 2**63 - 1
MAX_CURSOR: Final = 16_384
"""In characters; longer text is refused. That of a ranked search names what its block has shown."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort key of a page's last listing: the next page starts after it.

    A key and not an offset, so that insertions and deletions shift no listing between pages.
    `fingerprint` is that of the encoder that made the similarities.
    """

    search_id: UUID
    fingerprint: str
    last: ListingMatch

    def encode(self) -> str:
        """The cursor as text; floats are written so that they are read back exactly."""
        last = self.last
        parts = (
            self.search_id,
            self.fingerprint,
            repr(last.similarity),
            last.photo_id,
            last.listing_id,
        )
        return urlsafe_b64encode("|".join(map(str, parts)).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """The cursor that `encode` gave. Raises InvalidInput for any other text."""
        try:
            parts = b64decode(text, b"-_", validate=True).decode("ascii").split("|")
            search_id, fingerprint, similarity, photo_id, listing_id = parts
            last = ListingMatch(UUID(listing_id), int(photo_id), float(similarity))
            cursor = cls(UUID(search_id), fingerprint, last)
        except (ValueError, binascii.Error):
            raise InvalidInput("The cursor is malformed.") from None
        if not (-1 <= last.similarity <= 1 and 0 <= last.photo_id <= MAX_PHOTO_ID):
            raise InvalidInput("The cursor is malformed.")
        return cursor
