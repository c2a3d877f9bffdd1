"""Pagination cursors of recommendations, as opaque text.

All pages of a recommendation are cut from one order, that of its first page, which the cursor has:
counts of what others do change with each event, and an order that is made anew would repeat some
listings and lose others. What a user has hidden or bought since is left out where it comes.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from models.domain.cursors import MAX_PHOTO_ID
from models.domain.errors import InvalidInput

MAX_DEPTH: Final = 200
"""Listings that the pages of a recommendation have together, at most."""
_MOST: Final = 2**64 - 1
_SEPARATOR: Final = b"\n"
_LOW_BITS: Final = 0x7F
_MORE: Final = 0x80
_BITS: Final = 7


class Listed(NamedTuple):
    """A listing of an order, by its number; `led` says whether something touched led to it."""

    number: int
    led: bool


@dataclass(frozen=True, slots=True)
class RecommendationCursor:
    """Where the next page of a recommendation starts.

    `fingerprint` is that of the encoder whose vectors it was made with, None where there are none.
    `now` is when the first page was asked for, which ages are counted from, `last_event` the number
    of the newest event then, 0 where there was none. `order` are its listings, best first, of which
    the first `passed` were shown or left out.
    """

    recommendation_id: UUID
    fingerprint: str | None
    now: AwareDatetime
    last_event: int
    passed: int
    order: tuple[Listed, ...]

    def encode(self) -> str:
        """The cursor as text."""
        stored = _Stored(
            recommendation=self.recommendation_id,
            fingerprint=self.fingerprint,
            now=self.now,
            event=self.last_event,
            passed=self.passed,
        )
        header = stored.model_dump_json(exclude_defaults=True).encode()
        numbers = b"".join(_packed(one.number << 1 | one.led) for one in self.order)
        return urlsafe_b64encode(header + _SEPARATOR + numbers).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """The cursor that `encode` gave. Raises InvalidInput for any other text."""
        try:
            header, _, numbers = b64decode(text, b"-_", validate=True).partition(_SEPARATOR)
            stored = _Stored.model_validate_json(header, strict=True)
            order = tuple(Listed(one >> 1, bool(one & 1)) for one in _unpacked(numbers))
        except (ValueError, ValidationError, binascii.Error):
            raise InvalidInput("The cursor is malformed.") from None
        if (
            len({one.number for one in order}) != len(order)
            or not stored.passed <= len(order) <= MAX_DEPTH
        ):
            raise InvalidInput("The cursor is malformed.")
        return cls(
            stored.recommendation,
            stored.fingerprint,
            stored.now,
            stored.event,
            stored.passed,
            order,
        )


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recommendation: UUID
    fingerprint: str | None = None
    now: AwareDatetime
    event: int = Field(ge=0, le=MAX_PHOTO_ID)
    passed: int = Field(ge=0, le=MAX_DEPTH)


def _packed(number: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first; all bytes but the last have the highest bit."""
    packed = bytearray()
    while number > _LOW_BITS:
        packed.append(number & _LOW_BITS | _MORE)
        number >>= _BITS
    packed.append(number)
    return bytes(packed)


def _unpacked(packed: Iterable[int]) -> Iterator[int]:
    """The numbers. Raises ValueError for what `_packed` has not made of numbers of 64 bits."""
    number = shift = 0
    for byte in packed:
        number |= (byte & _LOW_BITS) << shift
        if number > _MOST or (byte == 0 and shift):
            raise ValueError("no number of a listing")
        if byte & _MORE:
            shift += _BITS
        else:
            yield number
            number = shift = 0
    if shift:
        raise ValueError("the last number is cut off")
