"""The vectors of saved searches, by encoder. Needs numpy: the API never imports this module."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.retention.removed import Numbered, require_all_after
from db.saved_searches.progress import lock_for_changing, record_saved_changes, rewind_for
from db.saved_searches.searches import any_unembedded, is_unembedded
from db.saved_searches.tables import SavedSearch, SavedSearchChange, SavedSearchVectors
from db.statements import chunks, insert_missing
from db.vectors.encoders import get_encoder
from models.domain.errors import MarketlensError
from models.domain.job_payloads import SearchPayload
from models.vectors import STORED_DTYPE, from_stored, to_stored

Embedded = NDArray[np.float32] | MarketlensError
"""The unit vectors (n, dimension) of a saved search, or why it has none."""


class Unembedded(NamedTuple):
    """A saved search that an encoder has yet to embed."""

    number: int
    payload: SearchPayload
    listing_photos: dict[UUID, list[str]]


@dataclass(frozen=True, slots=True)
class SavedVectors:
    """A saved search as an encoder sees it; `vectors` (n, dimension) are None until it has.

    `text` is the words that it is for, `by_words_alone` whether these are all.
    """

    min_similarity: float | None
    vectors: NDArray[np.float32] | None
    text: str | None = None
    by_words_alone: bool = False


class SavedChanges(NamedTuple):
    """The last change that was read, and what is there now of what changed, by number.

    None of what was deleted.
    """

    last: int
    searches: dict[int, SavedVectors | None]


def unembedded_searches(session: Session, encoder_id: int, limit: int) -> list[Unembedded]:
    """The next saved searches that this encoder has yet to embed, the oldest first."""
    if not any_unembedded(session, encoder_id):
        return []
    rows = session.execute(
        select(SavedSearch.number, SavedSearch.payload, SavedSearch.listing_photos)
        .where(is_unembedded(encoder_id))
        .order_by(SavedSearch.number)
        .limit(limit)
    )
    return [
        Unembedded(
            row.number,
            SearchPayload.parse(row.payload),
            {UUID(id_): photos for id_, photos in row.listing_photos.items()},
        )
        for row in rows
    ]


def store_saved_vectors(
    session: Session, encoder_id: int, embedded: Mapping[int, Embedded]
) -> None:
    """Store what an encoder has made of saved searches, by number.

    Listings that changed meanwhile will be matched with them.
    """
    lock_for_changing(session)
    there = session.scalars(select(SavedSearch.number).where(SavedSearch.number.in_(embedded)))
    numbers = sorted(there)
    rows = [
        {"encoder_id": encoder_id, "saved_search": number, **_columns(embedded[number])}
        for number in numbers
    ]
    insert_missing(session, SavedSearchVectors, rows, key=["encoder_id", "saved_search"])
    record_saved_changes(session, numbers)
    rewind_for(session, encoder_id, numbers)


def saved_changes_after(session: Session, encoder_id: int, number: int) -> SavedChanges:
    """All that changed after this number, and the vectors that it has of this encoder.

    Raises ChangesMissed.
    """
    rows = session.execute(
        select(SavedSearchChange.number, SavedSearchChange.saved_search)
        .where(SavedSearchChange.number > number)
        .order_by(SavedSearchChange.number)
    ).all()
    if not rows:
        return SavedChanges(number, {})
    require_all_after(session, Numbered.SAVED_SEARCH_CHANGES, number, rows[0].number)
    found: dict[int, SavedVectors | None] = {row.saved_search: None for row in rows}
    for chunk in chunks(found):
        found |= _read(session, encoder_id, SavedSearch.number.in_(chunk))
    return SavedChanges(rows[-1].number, found)


def all_saved(session: Session, encoder_id: int) -> SavedChanges:
    """All saved searches."""
    last = session.scalar(select(func.max(SavedSearchChange.number))) or 0
    everything = _read(session, encoder_id, SavedSearch.number > 0)
    return SavedChanges(last, {**everything})


def _read(
    session: Session, encoder_id: int, condition: ColumnElement[bool]
) -> dict[int, SavedVectors]:
    is_its = (SavedSearchVectors.saved_search == SavedSearch.number) & (
        SavedSearchVectors.encoder_id == encoder_id
    )
    rows = session.execute(
        select(
            SavedSearch.number,
            SavedSearch.min_similarity,
            SavedSearchVectors.vectors,
            SavedSearch.payload["text"].as_string().label("text"),
            SavedSearch.payload["positive"].label("positive"),
        )
        .outerjoin(SavedSearchVectors, is_its)
        .where(condition)
    ).all()
    dimension = get_encoder(session, encoder_id).dimension
    return {
        row.number: SavedVectors(
            row.min_similarity,
            None if row.vectors is None else _unpacked(row.vectors, dimension),
            row.text,
            by_words_alone=not row.positive,
        )
        for row in rows
    }


def _columns(embedded: Embedded) -> dict[str, object]:
    if isinstance(embedded, MarketlensError):
        error = {"error_code": embedded.code, "error_detail": str(embedded)}
        return {"vectors": b"", **error}
    return {"vectors": to_stored(embedded).tobytes(), "error_code": None, "error_detail": None}


def _unpacked(stored: bytes, dimension: int) -> NDArray[np.float32]:
    """The unit vectors (n, dimension), also of none."""
    return from_stored(np.frombuffer(stored, STORED_DTYPE).reshape(-1, dimension))
