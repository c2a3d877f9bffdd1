"""Pagination cursors of ranked searches, as opaque text.

A ranking has no sort key that a next page could start after: what comes next depends on what came
before. So the candidates of a search are taken in blocks, by keys of their sources, which have an
order; a cursor says which block, and which listings of it were shown.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.domain.cursors import MAX_PHOTO_ID, Cursor
from models.domain.errors import InvalidInput
from models.domain.types import ListingMatch

HASH_BYTES: Final = 6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
MAX_MICROSECONDS: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_SEPARATOR: Final = b"\n"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A listing found by words; `score` in [0, 1], `number` is the listing's."""

    number: int
    score: float

    @property
    def place(self) -> tuple[float, int]:
        """What listings are ordered by: the best score first, of equal ones the newest."""
        return -self.score, -self.number


Key = TypeVar("Key", ListingMatch, TextMatch)


@dataclass(frozen=True, slots=True)
class Span(Generic[Key]):
    """The part of a source that a block is made from: after `start`, up to `end`.

    Without a start it begins with the first, without an end it goes to the last. Of a source that
    is `done`, earlier blocks had all.
    """

    start: Key | None = None
    end: Key | None = None
    done: bool = False

    def is_before(self, key: Key) -> bool:
        """Whether earlier blocks had what is here."""
        return self.done or (self.start is not None and key.place <= self.start.place)

    def has(self, key: Key) -> bool:
        """Whether it is in this part."""
        return not self.is_before(key) and (self.end is None or key.place <= self.end.place)

    @property
    def rest(self) -> "Span[Key]":
        """What comes after this part."""
        return Span(self.end, None, self.done or self.end is None)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of each source of candidates.

    `look` is all listings by similarity, `among` those that have the words, by similarity, and
    `text` these by their score. Until it is `begun`, it has no ends.
    """

    look: Span[ListingMatch] = field(default_factory=Span)
    among: Span[ListingMatch] = field(default_factory=Span)
    text: Span[TextMatch] = field(default_factory=Span)
    begun: bool = False

    @property
    def next(self) -> "Block":
        """The block after this one."""
        return Block(self.look.rest, self.among.rest, self.text.rest)

    @property
    def is_last(self) -> bool:
        """Whether nothing can come after it."""
        after = self.next
        return after.look.done and after.among.done and after.text.done


def short_hash(listing_id: UUID) -> bytes:
    """By what a cursor remembers a listing."""
    return sha256(listing_id.bytes).digest()[:HASH_BYTES]


@dataclass(frozen=True, slots=True)
class BlockCursor:
    """Where the next page of a ranked search starts.

    `fingerprint` is that of the encoder that made the similarities, None where there are none.
    `now` is when the search began, which ages are counted from; `shown` are the short hashes of the
    listings of the block that were shown.
    """

    search_id: UUID
    fingerprint: str | None
    now: datetime
    block: Block
    shown: frozenset[bytes] = frozenset()

    def encode(self) -> str:
        """The cursor as text; floats are written so that they are read back exactly."""
        stored = _Stored(
            search=self.search_id,
            fingerprint=self.fingerprint,
            now=(self.now - _EPOCH) // _MICROSECOND,
            look=_StoredSpan.of(self.block.look),
            among=_StoredSpan.of(self.block.among),
            text=_StoredSpan.of(self.block.text),
            begun=self.block.begun,
        )
        text = stored.model_dump_json(exclude_defaults=True).encode()
        return urlsafe_b64encode(text + _SEPARATOR + b"".join(sorted(self.shown))).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """The cursor that `encode` gave. Raises InvalidInput for any other text."""
        try:
            header, _, hashes = b64decode(text, b"-_", validate=True).partition(_SEPARATOR)
            stored = _Stored.model_validate_json(header, strict=True)
        except (ValueError, ValidationError, binascii.Error):
            raise InvalidInput("The cursor is malformed.") from None
        if len(hashes) % HASH_BYTES:
            raise InvalidInput("The cursor is malformed.")
        starts = range(0, len(hashes), HASH_BYTES)
        return cls(
            stored.search,
            stored.fingerprint,
            _EPOCH + stored.now * _MICROSECOND,
            Block(
                stored.look.span(ListingMatch),
                stored.among.span(ListingMatch),
                stored.text.span(TextMatch),
                stored.begun,
            ),
            frozenset(hashes[start : start + HASH_BYTES] for start in starts),
        )


def read_cursor(text: str) -> Cursor | BlockCursor:
    """A cursor of any search. Raises InvalidInput for what is none."""
    # What is ranked has a JSON object in it, "{" at first.
    is_ranked = urlsafe_b64encode(b"{")[:1].decode() == text[:1]
    return BlockCursor.decode(text) if is_ranked else Cursor.decode(text)


class _StoredKey(BaseModel):
    """A listing by its look or by its words."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    v: float = Field(ge=-1, le=1)
    n: int = Field(ge=0, le=MAX_PHOTO_ID)
    l: UUID | None = None  # noqa: E741 - short, as a cursor has six of them


class _StoredSpan(BaseModel):
    model_config = ConfigDict(extra="forbid")

    s: _StoredKey | None = None
    e: _StoredKey | None = None
    d: bool = False

    @classmethod
    def of(cls, span: Span[Key]) -> Self:
        return cls(s=_stored(span.start), e=_stored(span.end), d=span.done)

    def span(self, kind: type[Key]) -> Span[Key]:
        return Span(_key(kind, self.s), _key(kind, self.e), self.d)


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    search: UUID
    fingerprint: str | None = None
    now: int = Field(ge=0, le=MAX_MICROSECONDS)
    look: _StoredSpan = _StoredSpan()
    among: _StoredSpan = _StoredSpan()
    text: _StoredSpan = _StoredSpan()
    begun: bool = False


def _stored(key: ListingMatch | TextMatch | None) -> _StoredKey | None:
    match key:
        case None:
            return None
        case ListingMatch():
            return _StoredKey(v=key.similarity, n=key.photo_id, l=key.listing_id)
        case TextMatch():
            return _StoredKey(v=key.score, n=key.number)


def _key(kind: type[Key], stored: _StoredKey | None) -> Key | None:
    if stored is None:
        return None
    if kind is ListingMatch:
        if stored.l is None:
            raise InvalidInput("The cursor is malformed.")
        return kind(stored.l, stored.n, stored.v)
    return kind(stored.n, stored.v)  # type: ignore[call-arg]
