"""Cursors: opaque, exact, and nothing else is taken for one."""

from base64 import urlsafe_b64encode
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.cursors import MAX_CURSOR, MAX_PHOTO_ID, Cursor
from models.domain.errors import InvalidInput
from models.domain.types import ListingMatch


@settings(deadline=None, derandomize=True, database=None)
@given(st.uuids(), st.uuids(), st.integers(0, MAX_PHOTO_ID), st.floats(-1, 1))
def test_what_was_written_is_read(
    search_id: UUID, listing_id: UUID, photo_id: int, similarity: float
) -> None:
    cursor = Cursor(search_id, "f" * 64, ListingMatch(listing_id, photo_id, similarity))
    text = cursor.encode()
    assert Cursor.decode(text) == cursor
    assert len(text) <= MAX_CURSOR
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=")


def coded(**changed: object) -> str:
    parts: dict[str, object] = {
        "search": uuid4(),
        "fingerprint": "f" * 64,
        "similarity": 0.5,
        "photo": 7,
        "listing": uuid4(),
    }
    return urlsafe_b64encode("|".join(map(str, (parts | changed).values())).encode()).decode()


def test_coded_by_hand_is_a_cursor_as_well() -> None:
    assert Cursor.decode(coded()).last.photo_id == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "\x00",
        "£",
        coded() + "!",
        coded(search="no"),
        coded(listing="no"),
        coded(similarity="nan"),
        coded(similarity="inf"),
        coded(similarity="1.5"),
        coded(photo="-1"),
        coded(photo=2**63),
        coded(photo="9" * 5_000),
        coded(photo="7|7"),
        coded(fingerprint="é"),
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(InvalidInput, match="cursor is malformed"):
        Cursor.decode(text)
