"""Cursors of ranked searches: opaque, exact, and nothing else is taken for one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.cursors import MAX_CURSOR, MAX_PHOTO_ID, Cursor
from models.domain.errors import InvalidInput
from models.domain.searches.block_cursors import (
    HASH_BYTES,
    Block,
    BlockCursor,
    Span,
    TextMatch,
    read_cursor,
    short_hash,
)
from models.domain.types import ListingMatch

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ANY = settings(deadline=None, derandomize=True, database=None)
LOOKS = st.builds(ListingMatch, st.uuids(), st.integers(0, MAX_PHOTO_ID), st.floats(-1, 1))
TEXTS = st.builds(TextMatch, st.integers(0, MAX_PHOTO_ID), st.floats(0, 1))
LOOK_SPANS: st.SearchStrategy[Span[ListingMatch]] = st.builds(
    Span, st.none() | LOOKS, st.none() | LOOKS, st.booleans()
)
TEXT_SPANS: st.SearchStrategy[Span[TextMatch]] = st.builds(
    Span, st.none() | TEXTS, st.none() | TEXTS, st.booleans()
)
CURSORS = st.builds(
    BlockCursor,
    st.uuids(),
    st.none() | st.just("f" * 64),
    st.integers(0, 10**16).map(lambda number: EPOCH + timedelta(microseconds=number)),
    st.builds(Block, LOOK_SPANS, LOOK_SPANS, TEXT_SPANS, st.booleans()),
    st.frozensets(st.uuids().map(short_hash), max_size=20),
)


@ANY
@given(CURSORS)
def test_what_was_written_is_read(cursor: BlockCursor) -> None:
    text = cursor.encode()
    assert BlockCursor.decode(text) == cursor
    assert read_cursor(text) == cursor


def full(shown: int) -> BlockCursor:
    look = ListingMatch(UUID(int=2**128 - 1), MAX_PHOTO_ID, 0.123456789012345678)
    text = TextMatch(MAX_PHOTO_ID, 0.123456789012345678)
    block = Block(Span(look, look), Span(look, look), Span(text, text), begun=True)
    hashes = frozenset(short_hash(UUID(int=number)) for number in range(shown))
    return BlockCursor(UUID(int=1), "f" * 64, datetime(2030, 1, 1, tzinfo=UTC), block, hashes)


def test_all_that_a_block_can_show_is_within_the_limit() -> None:
    assert len(full(3 * 400).encode()) <= MAX_CURSOR


def test_one_of_a_plain_search_is_told_from_it() -> None:
    plain = Cursor(UUID(int=1), "f" * 64, ListingMatch(UUID(int=2), 3, 0.5))
    assert read_cursor(plain.encode()) == plain
    with pytest.raises(InvalidInput):
        BlockCursor.decode(plain.encode())
    with pytest.raises(InvalidInput):
        Cursor.decode(full(1).encode())


def changed(old: bytes, new: bytes) -> str:
    raw = urlsafe_b64decode(full(1).encode())
    assert old in raw
    return urlsafe_b64encode(raw.replace(old, new, 1)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e",
        "eyJ9",
        "nonsense",
        "£",
        full(1).encode() + "!",
        changed(b'"search":"', b'"search":"x'),
        changed(b'"v":0.', b'"v":7.'),
        changed(b'"v":0.12', b'"v":1e999'),
        changed(b'"n":', b'"n":-'),
        changed(b'"begun":true', b'"begun":1'),
        changed(b'"begun":true', b'"begun":true,"more":1'),
        changed(b'"now":1', b'"now":99999999999999999991'),
        changed(b'"l":"ffffffff-ffff-ffff-ffff-ffffffffffff"', b'"l":null'),
        urlsafe_b64encode(urlsafe_b64decode(full(1).encode())[:-1]).decode(),
        urlsafe_b64encode(b'{"search":' + b"[" * 5_000).decode(),
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(InvalidInput, match="malformed"):
        read_cursor(text)


def test_a_span_begins_after_its_start_and_has_its_end() -> None:
    first, last = TextMatch(9, 0.8), TextMatch(1, 0.4)
    span = Span(first, last)
    assert [span.has(key) for key in (first, TextMatch(8, 0.8), last, TextMatch(0, 0.4))] == [
        False,
        True,
        True,
        False,
    ]
    assert span.is_before(TextMatch(10, 0.8))
    assert not span.is_before(TextMatch(0, 0.4))
    assert span.rest == Span(last)
    assert Span(first).rest.done
    assert Span(first).rest.is_before(last)


def test_a_block_is_the_last_when_nothing_has_an_end() -> None:
    assert Block().is_last
    assert not Block(text=Span(None, TextMatch(1, 0.4))).is_last
    assert len(short_hash(UUID(int=1))) == HASH_BYTES
