"""Words that a misspelt word may be meant for: alike by trigrams, then by edit distance."""

from collections.abc import Mapping
from typing import Final

from rapidfuzz.distance import OSA

from models.text.normalise import is_unspaced

SHORTEST, LONGEST = 4, 32
"""Characters of words that are corrected, and that words are corrected to."""
LONG: Final = 8
"""Characters from which on a word may have two mistakes, not one."""


def is_corrigible(word: str) -> bool:
    """Whether a word may be misspelt: what has digits is a model or a size."""
    return SHORTEST <= len(word) <= LONGEST and word.isalpha() and not is_unspaced(word)


def mistakes_in(word: str) -> int:
    """How many characters may be wrong, missing, too many, or changed over with the next."""
    return 2 if len(word) >= LONG else 1


def trigrams(word: str) -> list[str]:
    """The word's distinct runs of three characters, with two spaces before and one behind it.

    As PostgreSQL's pg_trgm has them.
    """
    padded = f"  {word} "
    return list(dict.fromkeys(padded[n : n + 3] for n in range(len(padded) - 2)))


def least_in_common(word: str) -> int:
    """Trigrams that a word has in common with one that it may be meant for: a mistake changes at
    most four."""
    return max(1, len(trigrams(word)) - 4 * mistakes_in(word))


def nearest(word: str, listings: Mapping[str, int]) -> str | None:
    """The word that is meant, of those that listings have: the one with the fewest mistakes, then
    the one that most listings have. None if none is near enough."""
    allowed = mistakes_in(word)
    ranked = [
        (distance, -count, one)
        for one, count in listings.items()
        if (distance := OSA.distance(word, one, score_cutoff=allowed)) <= allowed
    ]
    return min(ranked)[2] if ranked else None
