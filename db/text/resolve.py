"""Looks up the words of a query among the words that listings have."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from db.tables import TextTrigram, TextWord
from models.text.languages import TextLanguage
from models.text.query import Term, TextQuery
from models.text.resolved import CORRECTED, EXACT, INFLECTED, LONGER, ResolvedQuery, ResolvedTerm
from models.text.spelling import is_corrigible, least_in_common, mistakes_in, nearest, trigrams
from models.text.stemming import MAX_SUFFIX, Inflections

MAX_LONGER: Final = 32
"""Words that an unfinished word is taken for: those that most listings have."""
MAX_INFLECTED: Final = 16
"""The same of inflections."""
MAX_CORRECTED: Final = 4
"""Misspelt words of a query that are looked up."""
MAX_READ: Final = 2_000
"""Words that are read to find the inflections of one."""
MAX_ALIKE: Final = 100
"""Words that are compared with a misspelt one, letter by letter."""

LAST: Final = "\U0010ffff"
"""Sorts behind all that a word may have."""


def resolve(session: Session, query: TextQuery, language: TextLanguage) -> ResolvedQuery:
    """Look up inflections, what unfinished words begin, and what misspelt ones are meant for."""
    inflections = Inflections(language)
    counts = _counts(session, query)
    terms: list[ResolvedTerm] = []
    corrections: dict[str, str] = {}
    left = MAX_CORRECTED
    for term in query.terms:
        resolved = _resolved(session, term, counts, inflections)
        word = term.words[0]
        if not resolved.listings and not term.is_exact and left and is_corrigible(word):
            left -= 1
            if meant := _meant(session, word):
                corrections[word] = meant
                resolved = _corrected(session, word, meant, inflections)
        terms.append(resolved)
    return ResolvedQuery(
        tuple(terms),
        tuple(term.words for term in query.excluded),
        _rewritten(query, corrections) if corrections else None,
    )


def _counts(session: Session, query: TextQuery) -> dict[str, int]:
    words = sorted({word for term in query.terms for word in term.words})
    return dict(session.execute(_LISTINGS_OF, {"words": words}).all())


def _resolved(
    session: Session, term: Term, counts: Mapping[str, int], inflections: Inflections
) -> ResolvedTerm:
    text = " ".join(term.words)
    if len(term.words) > 1:
        least = min(counts.get(word, 0) for word in term.words)
        return ResolvedTerm(text, phrase=term.words, listings=least)
    forms = {word: EXACT for word in term.words if word in counts}
    found = dict(counts)
    if not term.is_exact:
        inflected = _inflected(session, text, inflections)
        found |= inflected
        forms = dict.fromkeys(inflected, INFLECTED) | forms
    if term.is_beginning:
        longer = _longer(session, text)
        found |= longer
        forms = dict.fromkeys(longer, LONGER) | forms
    return ResolvedTerm(text, forms, listings=sum(found[word] for word in forms))


def _corrected(session: Session, word: str, meant: str, inflections: Inflections) -> ResolvedTerm:
    found = _inflected(session, meant, inflections) | dict(
        session.execute(_LISTINGS_OF, {"words": [meant]}).all()
    )
    forms = dict.fromkeys(found, CORRECTED * INFLECTED) | {meant: CORRECTED}
    return ResolvedTerm(word, forms, listings=sum(found.values()))


def _inflected(session: Session, word: str, inflections: Inflections) -> dict[str, int]:
    beginning = inflections.beginning_of(word)
    if beginning is None:
        return {}
    values = {
        "first": beginning,
        "last": beginning + LAST,
        "longest": len(word) + MAX_SUFFIX,
        "limit": MAX_READ,
    }
    among = dict(session.execute(_INFLECTED, values).all())
    same = inflections.of(word, among)
    most = sorted(same, key=lambda one: (-among[one], one))[:MAX_INFLECTED]
    return {one: among[one] for one in most}


def _longer(session: Session, word: str) -> dict[str, int]:
    values = {"first": word, "last": word + LAST, "limit": MAX_LONGER}
    return dict(session.execute(_LONGER, values).all())


def _meant(session: Session, word: str) -> str | None:
    """The word that a misspelt one is meant for, if there is one."""
    values = {
        "trigrams": trigrams(word),
        "shortest": len(word) - mistakes_in(word),
        "longest": len(word) + mistakes_in(word),
        "least": least_in_common(word),
        "limit": MAX_ALIKE,
    }
    alike = session.scalars(_ALIKE, values).all()
    return nearest(word, dict(session.execute(_LISTINGS_OF, {"words": alike}).all()))


def _rewritten(query: TextQuery, corrections: Mapping[str, str]) -> str:
    """The query as it could have been typed, with its words corrected."""
    wanted = [_typed(term, corrections) for term in query.terms]
    return " ".join([*wanted, *(f"-{_typed(term, {})}" for term in query.excluded)])


def _typed(term: Term, corrections: Mapping[str, str]) -> str:
    text = " ".join(corrections.get(word, word) for word in term.words)
    return f'"{text}"' if term.is_exact and len(term.words) > 1 else text


# Built once: every search for a text needs them.
_LISTINGS_OF = select(TextWord.word, TextWord.listings).where(
    TextWord.word.in_(bindparam("words", expanding=True))
)
_FROM = select(TextWord.word, TextWord.listings).where(
    TextWord.word >= bindparam("first"), TextWord.word < bindparam("last")
)
_INFLECTED = (
    _FROM.where(func.length(TextWord.word) <= bindparam("longest"))
    .order_by(TextWord.word)
    .limit(bindparam("limit"))
)
_LONGER = _FROM.order_by(TextWord.listings.desc(), TextWord.word).limit(bindparam("limit"))
_ALIKE = (
    select(TextTrigram.word)
    .where(
        TextTrigram.trigram.in_(bindparam("trigrams", expanding=True)),
        func.length(TextTrigram.word).between(bindparam("shortest"), bindparam("longest")),
    )
    .group_by(TextTrigram.word)
    .having(func.count() >= bindparam("least"))
    .order_by(func.count().desc(), TextTrigram.word)
    .limit(bindparam("limit"))
)
