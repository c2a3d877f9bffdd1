"""The words of saved searches in memory: a new listing's words are looked up among them.

A listing has the words of a saved search if it has all terms and no excluded phrase, as in any
search for words; but nothing is asked of a database. So a word is taken as written or in any
inflection, never corrected, and the last one is finished.

Each search is listed under one of the keys that a listing needs for it: one that few other searches
are listed under. So a listing is compared with few of the searches that it has not all words of.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from models.text.languages import TextLanguage
from models.text.listing_words import ListingWords
from models.text.normalise import is_unspaced
from models.text.query import Term, TextQuery, parse_query
from models.text.resolved import EXACT, INFLECTED, LONGER, ResolvedQuery, ResolvedTerm
from models.text.stemming import Inflections

# Keys that are no words begin with what no word has.
_STEM, _CHARACTER = "~", "^"


class _Saved(NamedTuple):
    """A search, what a listing needs to be found by it, and which of that it is listed under."""

    query: TextQuery
    keys: frozenset[str]
    listed_under: str | None


@dataclass
class SavedWords:
    """The words of saved searches by number, in one language. For one thread.

    They take about 1.3 KB each.
    """

    language: TextLanguage
    _saved: dict[int, _Saved] = field(default_factory=dict)
    _listed: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inflections = Inflections(self.language)

    def __contains__(self, number: int) -> bool:
        return number in self._saved

    @property
    def any_alone(self) -> bool:
        """Whether there are searches for words alone."""
        return bool(self._listed)

    def put(self, number: int, text: str, *, alone: bool) -> None:
        """Add a search, or replace it; `alone` says that it is for words and nothing else.

        Raises InvalidInput for a text with no word to search for.
        """
        self.remove(number)
        query = parse_query(text)
        keys = frozenset(key for term in query.terms for key in self._keys(term))
        listed_under = min(keys, key=self._crowding) if alone else None
        self._saved[number] = _Saved(query, keys, listed_under)
        if listed_under is not None:
            self._listed.setdefault(listed_under, set()).add(number)

    def remove(self, number: int) -> None:
        """Remove a search; one that is not there is ignored."""
        saved = self._saved.pop(number, None)
        if saved is None or saved.listed_under is None:
            return
        numbers = self._listed[saved.listed_under]
        numbers.remove(number)
        if not numbers:
            del self._listed[saved.listed_under]

    def read(self, words: ListingWords) -> "ReadListing":
        """A listing, to be compared."""
        return ReadListing(words, self._inflections)

    def is_match(self, number: int, listing: "ReadListing") -> bool:
        """Whether the listing has the words of a search that is there."""
        saved = self._saved[number]
        return saved.keys <= listing.keys and listing.answers(saved.query)

    def found_alone(self, listing: "ReadListing") -> Iterator[int]:
        """The searches for words alone whose words the listing has."""
        for key in self._listed.keys() & listing.keys:
            yield from (number for number in self._listed[key] if self.is_match(number, listing))

    def _keys(self, term: Term) -> list[str]:
        """What a listing that has the term has, all of it."""
        word = term.words[0]
        if len(term.words) > 1:
            return list(term.words)
        if _begins(term):
            return [_CHARACTER + word]
        if term.is_exact or self._inflections.beginning_of(word) is None:
            return [word]
        return [_STEM + self._inflections.stems([word])[0]]

    def _crowding(self, key: str) -> tuple[int, int, str]:
        """Less of a key that fewer searches are listed under, then of a longer one."""
        return len(self._listed.get(key, ())), -len(key), key


class ReadListing:
    """A listing's words, and what they are looked up by."""

    def __init__(self, words: ListingWords, inflections: Inflections) -> None:
        self._words = words
        self._inflections = inflections
        self._distinct = sorted(words.distinct())
        self._by_stem: dict[str, list[str]] = {}
        for stem, word in zip(inflections.stems(self._distinct), self._distinct, strict=True):
            self._by_stem.setdefault(stem, []).append(word)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Its words, their stems, and the characters that they begin with in unspaced scripts."""
        stems = (_STEM + stem for stem in self._by_stem)
        characters = (_CHARACTER + word[0] for word in self._distinct if is_unspaced(word[0]))
        return frozenset((*self._distinct, *stems, *characters))

    def answers(self, query: TextQuery) -> bool:
        """Whether it has all terms of a query, and nothing that it excludes."""
        terms = tuple(map(self._resolved, query.terms))
        excluded = tuple(term.words for term in query.excluded)
        return ResolvedQuery(terms, excluded).is_match(self._words)

    def _resolved(self, term: Term) -> ResolvedTerm:
        """The term, as if this were the only listing."""
        text = " ".join(term.words)
        if len(term.words) > 1:
            return ResolvedTerm(text, phrase=term.words)
        forms: dict[str, float] = {}
        if _begins(term):
            forms = {word: LONGER for word in self._distinct if word.startswith(text)}
        if not term.is_exact:
            forms |= dict.fromkeys(self._inflected(text), INFLECTED)
        # What is not there is not found.
        return ResolvedTerm(text, forms | {text: EXACT})

    def _inflected(self, word: str) -> list[str]:
        same = self._by_stem.get(self._inflections.stems([word])[0], ())
        return [one for one in same if self._inflections.may_be(word, one)]


def _begins(term: Term) -> bool:
    """Whether longer words are meant too: single characters of scripts whose pairs are stored."""
    return term.is_beginning and is_unspaced(term.words[0])
