"""A query whose words have been looked up among the words of the listings; how listings score.

Pure: the same listing has the same score, whatever database has found it.

A term's score in a listing is the weight of the best field it is in, times the weight of the form
it is in there. A listing's score is the mean over the terms, rarer ones counting for more, and up
to a tenth less the smaller the part of its title is that was searched for. It is in (0, 1]: 1 where
the title is what was searched for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from models.text.listing_words import ListingWords

_WEIGHTS: Final = (1.0, 0.8, 0.7, 0.4)
"""Of the fields of `ListingWords`: title, attributes, category, description."""

EXACT, INFLECTED, LONGER, CORRECTED = 1.0, 0.95, 0.8, 0.6
"""Weights of forms: the word as typed, another of its stem, one that it begins, one like it."""

COVERAGE: Final = 0.1
"""What a title that has nothing but what was searched for has more than a very long one."""


@dataclass(frozen=True, slots=True)
class ResolvedTerm:
    """A wanted term: a listing has it if it has the phrase, or one of the forms, which are words
    that some listing has. `listings` is how many listings have it at most, `text` it as typed.
    """

    text: str
    forms: Mapping[str, float] = field(default_factory=dict)
    phrase: tuple[str, ...] = ()
    listings: int = 0

    @property
    def rarity(self) -> float:
        """6 if fewer than ten listings have it, one less for each power of ten, at least 1."""
        # In steps, so that scores stay the same while listings come and go.
        return float(max(1, 7 - len(str(self.listings))))


@dataclass(frozen=True)
class ResolvedQuery:
    """A query as it is searched. `corrected` is its words with those that were taken instead of
    words that no listing has; None where none were.
    """

    terms: tuple[ResolvedTerm, ...]
    excluded: tuple[tuple[str, ...], ...] = ()
    corrected: str | None = None

    @property
    def upper_bound(self) -> int:
        """Not more listings than this have all terms."""
        return min(term.listings for term in self.terms)

    @cached_property
    def _forms(self) -> dict[str, list[tuple[int, float]]]:
        found: dict[str, list[tuple[int, float]]] = {}
        for number, term in enumerate(self.terms):
            for word, weight in term.forms.items():
                found.setdefault(word, []).append((number, weight))
        return found

    @cached_property
    def _phrases(self) -> list[tuple[int, str]]:
        return [
            (number, f" {' '.join(term.phrase)} ")
            for number, term in enumerate(self.terms)
            if term.phrase
        ]

    @cached_property
    def _total(self) -> float:
        return sum(term.rarity for term in self.terms)

    def score(self, words: ListingWords) -> float:
        """The listing's score, of a listing that lacks terms too; 0.0 if it has none of them."""
        best, covered = self._look(words)
        total = sum(term.rarity * weight for term, weight in zip(self.terms, best, strict=True))
        if not total:
            return 0.0
        coverage = covered / (words.title.count(" ") + 1)
        return total / self._total * (1 + COVERAGE * min(coverage, 1.0)) / (1 + COVERAGE)

    def is_match(self, words: ListingWords) -> bool:
        """Whether a listing has all terms, and none of the excluded phrases."""
        best, _ = self._look(words)
        return all(best) and not self.is_excluded(words)

    def is_excluded(self, words: ListingWords) -> bool:
        """Whether a listing has one of the excluded phrases."""
        return any(_has_phrase(words, f" {' '.join(phrase)} ") for phrase in self.excluded)

    def _look(self, words: ListingWords) -> tuple[list[float], int]:
        """The best weight of each term; how many words of the title are of some."""
        best = [0.0] * len(self.terms)
        covered = 0
        for place, (text, of_field) in enumerate(zip(words, _WEIGHTS, strict=True)):
            if min(best) >= of_field:
                break
            found = self._forms.keys() & text.split()
            for word in found:
                for number, weight in self._forms[word]:
                    best[number] = max(best[number], of_field * weight)
            covered += len(found) if place == 0 else 0
            for number, phrase in self._phrases:
                if phrase in f" {text} ":
                    best[number] = max(best[number], of_field)
                    covered += len(self.terms[number].phrase) if place == 0 else 0
        return best, covered


def _has_phrase(words: ListingWords, phrase: str) -> bool:
    return any(phrase in f" {text} " for text in words)
