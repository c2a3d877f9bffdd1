"""The index of words: the one part that SQLite (FTS5) and PostgreSQL (GIN) do differently.

Each listing is indexed by the words it has, and by those of its title once more behind `=`. FTS5
keeps no positions (`detail=none`), nor PostgreSQL: phrases are compared in `listing_texts`, whose
rows both have. PostgreSQL can't stop early in an order of its own: there each listing is also
indexed by the block of numbers it is in, so that a common word is looked up in a few blocks only.

Words are letters, digits and marks (`models.text.normalise`): nothing in a query needs escaping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.statements import is_postgresql
from models.text.listing_words import ListingWords
from models.text.resolved import ResolvedQuery

TITLE: Final = "="
BLOCK: Final = "#"
BLOCK_BITS: Final = 14
"""A block is 16,384 numbers."""

VECTOR: Final = (
    f"CAST('{BLOCK}' || CAST(number >> {BLOCK_BITS} AS text)"
    f" || ' {TITLE}' || replace(title, ' ', ' {TITLE}')"
    " || ' ' || title || ' ' || attributes || ' ' || category || ' ' || description AS tsvector)"
)
"""What PostgreSQL indexes; spelt as in the migration, or the index is not used."""

_ALL_FIELDS: Final = (
    "' ' || title || ' | ' || attributes || ' | ' || category || ' | ' || description || ' '"
)
"""In which phrases are looked for; no word has the sign between the fields."""


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `low` to `high`, both included: whole blocks, or what there is of the newest."""

    low: int
    high: int


def insert_words(session: Session, rows: Mapping[int, ListingWords]) -> None:
    """Index the words of these listings, by number. PostgreSQL does it by itself."""
    if rows and not is_postgresql(session):
        statement = "INSERT INTO listing_words (rowid, words) VALUES (?, ?)"
        session.connection().exec_driver_sql(statement, _indexed(rows))


def remove_words(session: Session, rows: Mapping[int, ListingWords]) -> None:
    """Take listings out of the index, given the words that they were indexed by."""
    if rows and not is_postgresql(session):
        statement = (
            "INSERT INTO listing_words (listing_words, rowid, words) VALUES ('delete', ?, ?)"
        )
        session.connection().exec_driver_sql(statement, _indexed(rows))


def _indexed(rows: Mapping[int, ListingWords]) -> list[tuple[int, str]]:
    return [
        (number, " ".join(words.distinct() | {TITLE + word for word in words.title.split()}))
        for number, words in rows.items()
    ]


def newest_matches(
    session: Session,
    query: ResolvedQuery,
    limit: int,
    span: Span | None = None,
    *,
    in_title: bool = False,
) -> list[int]:
    """The numbers of the newest `limit` listings that match, newest first.

    Only of those in `span`, if one is given; with `in_title` all terms must be in the title.
    """
    on_postgresql = is_postgresql(session)
    values: dict[str, object] = {"limit": limit}
    conditions = _compared(query, values, in_title=in_title, on_postgresql=on_postgresql)
    if on_postgresql:
        values["words"] = _tsquery(query, span, in_title=in_title)
        conditions = [f"{VECTOR} @@ CAST(:words AS tsquery)", *conditions]
        # A sum, or the planner reads the numbers downwards and splits each text again.
        columns, source, order = "number", "listing_texts", "number + 0"
    else:
        values["words"] = _match(query, in_title=in_title)
        source = "listing_words"
        if conditions:
            source += " JOIN listing_texts ON listing_texts.number = listing_words.rowid"
        conditions = ["listing_words MATCH :words", *conditions]
        if span is not None:
            values |= {"low": span.low, "high": span.high}
            conditions.append("listing_words.rowid BETWEEN :low AND :high")
        columns, order = "listing_words.rowid", "listing_words.rowid"
    # Only names and texts of this module; what a person typed is a bound value.
    statement = (
        f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY {order} DESC LIMIT :limit"
    )
    if not on_postgresql:
        return list(session.scalars(text(statement), values))
    # The planner takes a common word for a reason to read the table, and split each text again.
    session.execute(text("SET LOCAL enable_seqscan = off"))
    found = list(session.scalars(text(statement), values))
    session.execute(text("SET LOCAL enable_seqscan = on"))
    return found


def _compared(
    query: ResolvedQuery, values: dict[str, object], *, in_title: bool, on_postgresql: bool
) -> list[str]:
    """Conditions on the texts themselves: wanted and excluded phrases."""
    contains = "strpos" if on_postgresql else "instr"
    wanted = "' ' || title || ' '" if in_title else _ALL_FIELDS
    conditions: list[str] = []
    for term in query.terms:
        if term.phrase:
            values[f"p{len(values)}"] = f" {' '.join(term.phrase)} "
            conditions.append(f"{contains}({wanted}, :p{len(values) - 1}) > 0")
    for phrase in query.excluded:
        if len(phrase) > 1:
            values[f"p{len(values)}"] = f" {' '.join(phrase)} "
            conditions.append(f"{contains}({_ALL_FIELDS}, :p{len(values) - 1}) = 0")
    return conditions


def _alternatives(query: ResolvedQuery, mark: str) -> list[list[str]]:
    """Of each list, an indexed listing must have one."""
    found: list[list[str]] = []
    for term in query.terms:
        found += [[mark + word] for word in term.phrase]
        if term.forms:
            found.append([mark + word for word in term.forms])
    return found


def _excluded_words(query: ResolvedQuery) -> list[str]:
    return [phrase[0] for phrase in query.excluded if len(phrase) == 1]


def _match(query: ResolvedQuery, *, in_title: bool) -> str:
    """As FTS5 reads it."""
    mark = TITLE if in_title else ""
    wanted = " AND ".join(_or(words, " OR ", '"') for words in _alternatives(query, mark))
    excluded = _excluded_words(query)
    return f"({wanted}) NOT {_or(excluded, ' OR ', chr(34))}" if excluded else wanted


def _tsquery(query: ResolvedQuery, span: Span | None, *, in_title: bool) -> str:
    """As PostgreSQL reads it."""
    wanted = _alternatives(query, TITLE if in_title else "")
    if span is not None:
        blocks = range(span.low >> BLOCK_BITS, (span.high >> BLOCK_BITS) + 1)
        wanted.append([f"{BLOCK}{block}" for block in blocks])
    parts = [_or(words, " | ", "'") for words in wanted]
    return " & ".join([*parts, *(f"!'{word}'" for word in _excluded_words(query))])


def _or(words: Sequence[str], between: str, quote: str) -> str:
    return f"({between.join(f'{quote}{word}{quote}' for word in words)})"
