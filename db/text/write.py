"""Keeps the words of listings in step with the listings, in the transaction that writes them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from db.catalogue.touched import touched_listings
from db.statements import chunks, insert_or_update, insert_rows, is_postgresql, table_of
from db.tables import Category, Listing, ListingText, TextTrigram, TextWord
from db.text.word_index import insert_words, remove_words
from models.domain.types import ListingStatus
from models.text.listing_words import ListingWords, listing_words
from models.text.spelling import is_corrigible, trigrams

AT_ONCE = 2_000
"""Listings whose texts are in memory together."""

# Key in `session.info`: by word, how many listings more have it since the transaction began.
_COUNTED = "counted_words"
# And of listings that are erased, before the others are written.
_FORGOTTEN = "forgotten_words"


def write_texts(session: Session) -> None:
    """Write the words of all listings that this transaction has touched, as they are now."""
    counted: Counter[str] = session.info.pop(_FORGOTTEN, None) or Counter()
    for ids in chunks(sorted(touched_listings(session)), AT_ONCE):
        _write(session, ids, counted)
    session.info[_COUNTED] = counted


def forget_texts(session: Session, listing_numbers: Collection[int]) -> None:
    """Delete the words of listings that this transaction erases."""
    forgotten: Counter[str] = session.info.setdefault(_FORGOTTEN, Counter())
    for chunk in chunks(listing_numbers):
        rows = session.execute(_STORED, {"numbers": chunk})
        stored = {number: ListingWords(*fields) for number, *fields in rows}
        remove_words(session, stored)
        session.execute(delete(ListingText).where(ListingText.number.in_(chunk)))
        for words in stored.values():
            forgotten.subtract(words.distinct())


def _write(session: Session, ids: list[UUID], counted: Counter[str]) -> None:
    current: dict[int, ListingWords] = {}
    stored: dict[int, ListingWords] = {}
    for number, title, description, attributes, status, path, *fields in session.execute(
        _WRITTEN, {"ids": ids}
    ):
        if status is not ListingStatus.DELETED:
            current[number] = listing_words(title, attributes, path, description)
        if fields[0] is not None:
            stored[number] = ListingWords(*fields)
    changed = {number: new for number, new in current.items() if stored.get(number) != new}
    outdated = {number: old for number, old in stored.items() if current.get(number) != old}
    remove_words(session, outdated)
    gone = outdated.keys() - changed.keys()
    if gone:
        session.execute(delete(ListingText).where(ListingText.number.in_(gone)))
    insert_or_update(
        session,
        ListingText,
        [{"number": number, **words._asdict()} for number, words in changed.items()],
        key=["number"],
        updating=ListingWords._fields,
    )
    insert_words(session, changed)
    for words in changed.values():
        counted.update(words.distinct())
    for words in outdated.values():
        counted.subtract(words.distinct())


def count_words(session: Session) -> None:
    """Write how many listings have each word.

    Called while no other transaction numbers changes, as all would write the counts of the words
    that most listings have: after `db.vectors.changes.number_changes`.
    """
    counted: Mapping[str, int] = session.info.pop(_COUNTED, {})
    changed = {word: more for word, more in counted.items() if more}
    for words in chunks(sorted(changed)):
        stored = dict(session.execute(_COUNTS, {"words": words}).all())
        counts = {word: stored.get(word, 0) + changed[word] for word in words}
        kept = {word: count for word, count in counts.items() if count > 0}
        insert_or_update(
            session,
            TextWord,
            [{"word": word, "listings": count} for word, count in kept.items()],
            key=["word"],
            updating=["listings"],
        )
        _insert_trigrams(session, kept.keys() - stored.keys())
        _forget(session, stored.keys() - kept.keys())


def _forget(session: Session, words: Collection[str]) -> None:
    if words:
        session.execute(delete(TextWord).where(TextWord.word.in_(sorted(words))))
        if pairs := _trigrams(words):
            # Of the table, not the mapped class, which takes no list of rows.
            table = table_of(TextTrigram)
            one = [column == bindparam(f"its_{column.name}") for column in table.primary_key]
            named = [{"its_trigram": trigram, "its_word": word} for trigram, word in pairs]
            session.execute(delete(table).where(*one), named)


def _insert_trigrams(session: Session, words: Iterable[str]) -> None:
    pairs = _trigrams(words)
    if is_postgresql(session):
        rows = [{"trigram": trigram, "word": word} for trigram, word in pairs]
        insert_rows(session, TextTrigram, rows)
    elif pairs:
        # By the driver: these are most of the rows of a first seed.
        statement = "INSERT INTO text_trigrams (trigram, word) VALUES (?, ?)"
        session.connection().exec_driver_sql(statement, pairs)


def _trigrams(words: Iterable[str]) -> list[tuple[str, str]]:
    return [(trigram, word) for word in words if is_corrigible(word) for trigram in trigrams(word)]


# Built once: every write of a listing needs them.
# One statement: between two, another transaction may write a listing whose photos this one has
# written.
_WRITTEN = (
    select(
        Listing.number,
        Listing.title,
        Listing.description,
        Listing.attributes,
        Listing.status,
        Category.path,
        *(getattr(ListingText, name) for name in ListingWords._fields),
    )
    .outerjoin(Category, Category.id == Listing.category_id)
    .outerjoin(ListingText, ListingText.number == Listing.number)
    .where(Listing.id.in_(bindparam("ids", expanding=True)))
)
_STORED = select(
    ListingText.number, *(getattr(ListingText, name) for name in ListingWords._fields)
).where(ListingText.number.in_(bindparam("numbers", expanding=True)))
_COUNTS = select(TextWord.word, TextWord.listings).where(
    TextWord.word.in_(bindparam("words", expanding=True))
)
