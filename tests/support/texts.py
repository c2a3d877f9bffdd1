"""What the index of words must say, read from the listings themselves."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Category, Listing, ListingText, TextTrigram, TextWord
from db.text.resolve import resolve
from db.text.search import find_texts, text_match_numbers, text_scores
from models.domain.types import ListingStatus
from models.text.languages import TextLanguage
from models.text.listing_words import ListingWords, listing_words
from models.text.query import parse_query
from models.text.resolved import ResolvedQuery
from models.text.spelling import is_corrigible, trigrams


def words_of_all(session: Session) -> dict[int, ListingWords]:
    """The words of every listing that is not deleted, by number."""
    rows = session.execute(
        select(Listing, Category.path)
        .outerjoin(Category, Category.id == Listing.category_id)
        .where(Listing.status != ListingStatus.DELETED)
    )
    return {
        row.number: listing_words(row.title, row.attributes, path, row.description)  # type: ignore[arg-type]
        for row, path in rows
    }


def assert_in_step(session: Session) -> dict[int, ListingWords]:
    """The stored words are those of the listings; returns them."""
    wanted = words_of_all(session)
    stored = {
        row.number: ListingWords(row.title, row.attributes, row.category, row.description)
        for row in session.scalars(select(ListingText))
    }
    assert stored == wanted
    counts = Counter(word for words in wanted.values() for word in words.distinct())
    assert dict(session.execute(select(TextWord.word, TextWord.listings)).all()) == counts
    assert set(session.execute(select(TextTrigram.trigram, TextTrigram.word)).all()) == {
        (trigram, word) for word in counts if is_corrigible(word) for trigram in trigrams(word)
    }
    return wanted


def assert_found(
    session: Session,
    texts: Mapping[int, ListingWords],
    queries: Iterable[str],
    language: TextLanguage,
) -> None:
    """Each query finds what has its words, in order of their scores, and no other listing."""
    statuses = dict(session.execute(select(Listing.number, Listing.status)).all())
    active = {n: words for n, words in texts.items() if statuses[n] is ListingStatus.ACTIVE}
    allowed = np.isin(np.arange(max(statuses, default=0) + 1), list(texts))
    for text in queries:
        query = resolve(session, parse_query(text), language)
        numbers, exact = text_match_numbers(session, query)
        assert exact
        assert sorted(numbers) == sorted(number for number, _ in ranked(query, texts)), text
        limit = max(len(texts), 1)
        for of, found in (
            (active, find_texts(session, query, limit=limit)),
            (texts, find_texts(session, query, limit=limit, allowed=allowed)),
        ):
            if wanted := ranked(query, of):
                assert found.exact
                assert [(one.number, one.score) for one in found.matches] == wanted, text
            ids = [match.listing_id for match in found.matches]
            assert text_scores(session, query, ids) == {
                match.listing_id: match.score for match in found.matches
            }


def ranked(query: ResolvedQuery, texts: Mapping[int, ListingWords]) -> list[tuple[int, float]]:
    """The numbers of the listings that match, best first, with their scores."""
    scores = {
        number: query.score(words) for number, words in texts.items() if query.is_match(words)
    }
    return sorted(scores.items(), key=lambda item: (-item[1], -item[0]))
