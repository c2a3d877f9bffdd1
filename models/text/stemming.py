"""Which words are inflections of each other, by the Snowball stemmer of a language."""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final

from Stemmer import Stemmer

from models.text.languages import TextLanguage

MIN_STEMMED: Final = 3
"""Characters from which on a word is inflected."""
MAX_SUFFIX: Final = 5
"""Characters that an inflected word has more than the word that was typed."""


class Inflections:
    """The inflections of words in one language. For one thread, as the stemmer is."""

    def __init__(self, language: TextLanguage) -> None:
        self._stemmer = None if language == "none" else Stemmer(language)

    def beginning_of(self, word: str) -> str | None:
        """What all inflections of a word begin with; None if it has none."""
        if self._stemmer is None or len(word) < MIN_STEMMED or not word.isalpha():
            return None
        # The stem of `happy` is `happi`.
        stem = self._stemmer.stemWord(word)
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(word, stem, strict=False))
        return "".join(letter for letter, _ in alike).removesuffix("i") or None

    def may_be(self, word: str, other: str) -> bool:
        """Whether a word that has the same stem as `word` is looked up for it."""
        beginning = self.beginning_of(word)
        return (
            beginning is not None
            and other.startswith(beginning)
            and len(other) <= len(word) + MAX_SUFFIX
        )

    def stems(self, words: Sequence[str]) -> list[str]:
        """The stem of each word; the words themselves where no language is set."""
        return list(words) if self._stemmer is None else list(self._stemmer.stemWords(words))

    def of(self, word: str, among: Iterable[str]) -> list[str]:
        """Those of the words that have the same stem as `word`."""
        if self._stemmer is None:
            return []
        words = list(among)
        stem = self._stemmer.stemWord(word)
        stems = self._stemmer.stemWords(words)
        return [one for one, its_stem in zip(words, stems, strict=True) if its_stem == stem]
