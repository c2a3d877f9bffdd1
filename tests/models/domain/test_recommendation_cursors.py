"""Cursors of recommendations: opaque, exact, and nothing else is taken for one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.cursors import MAX_CURSOR, MAX_PHOTO_ID, Cursor
from models.domain.errors import InvalidInput
from models.domain.recommendations.cursors import MAX_DEPTH, Listed, RecommendationCursor
from models.domain.types import ListingMatch

ANY = settings(deadline=None, derandomize=True, database=None)
ORDERS = st.lists(
    st.tuples(st.integers(0, MAX_PHOTO_ID), st.booleans()),
    max_size=30,
    unique_by=lambda one: one[0],
)


@st.composite
def cursors(draw: st.DrawFn) -> RecommendationCursor:
    order = tuple(Listed(number, led=led) for number, led in draw(ORDERS))
    return RecommendationCursor(
        draw(st.uuids()),
        draw(st.none() | st.just("f" * 64)),
        draw(st.datetimes(timezones=st.just(UTC))),
        draw(st.integers(0, MAX_PHOTO_ID)),
        draw(st.integers(0, len(order))),
        order,
    )


def full(depth: int = MAX_DEPTH) -> RecommendationCursor:
    order = tuple(Listed(MAX_PHOTO_ID - place, led=True) for place in range(depth))
    now = datetime(2030, 1, 2, 3, 4, 5, 678_901, UTC)
    return RecommendationCursor(UUID(int=1), "f" * 64, now, MAX_PHOTO_ID, 2, order)


@ANY
@given(cursors())
def test_what_was_written_is_read(cursor: RecommendationCursor) -> None:
    assert RecommendationCursor.decode(cursor.encode()) == cursor


def test_the_longest_is_within_the_limit() -> None:
    assert len(full().encode()) <= MAX_CURSOR


@ANY
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_nothing_else_is_taken_for_one(text: bytes) -> None:
    for stated in (text.decode("latin1"), urlsafe_b64encode(text).decode()):
        with pytest.raises(InvalidInput):
            RecommendationCursor.decode(stated)


def changed(old: bytes, new: bytes) -> str:
    raw = urlsafe_b64decode(full(2).encode())
    assert old in raw
    return urlsafe_b64encode(raw.replace(old, new, 1)).decode()


@pytest.mark.parametrize(
    "text",
    [
        full(MAX_DEPTH + 1).encode(),
        changed(b'"passed":2', b'"passed":3'),
        changed(b'"passed":2', b'"passed":-1'),
        changed(b'"event"', b'"events"'),
        changed(b'Z"', b'"'),
        # The last number is cut off, one is written longer than need be, and one twice.
        urlsafe_b64encode(urlsafe_b64decode(full(2).encode())[:-1]).decode(),
        urlsafe_b64encode(urlsafe_b64decode(full(2).encode()) + b"\x80\x00").decode(),
        urlsafe_b64encode(urlsafe_b64decode(full(2).encode()) + b"\x07\x06").decode(),
        Cursor(UUID(int=1), "f" * 64, ListingMatch(UUID(int=2), 3, 0.5)).encode(),
    ],
)
def test_what_is_wrong_is_malformed(text: str) -> None:
    with pytest.raises(InvalidInput):
        RecommendationCursor.decode(text)
