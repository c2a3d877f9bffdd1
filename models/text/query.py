"""What a person searches for in words.

    oak table            both words, anywhere in a listing
    "oak table"          the words in this order, as they are written
    -chair -"for parts"  none of these
    oak tab              the last word may be unfinished, unless a space or a quote follows

Everything else is text: no character of it has another meaning, to whatever database is asked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from models.domain.errors import InvalidInput
from models.domain.text import clean_line
from models.text.normalise import is_unspaced, query_words

MAX_QUERY_CHARACTERS: Final = 500
"""As many as a title may have: people search for a listing's title."""
MAX_QUERY_WORDS: Final = 64

MIN_BEGINNING: Final = 2
"""Characters from which on the last word is taken for the beginning of one, too."""

_QUOTES: Final = str.maketrans(dict.fromkeys("“”„‟«»＂″", '"'))  # noqa: RUF001 - as people write them
# An excluded or a wanted phrase, whose closing quote may be missing; or what has no space.
_PART = re.compile(
    r'(?P<minus>(?<!\S)-(?=["\w]))?(?:"(?P<phrase>[^"]*)(?P<end>"?)|(?P<plain>[^\s"]+))'
)


@dataclass(frozen=True, slots=True)
class Term:
    """Words that a listing must have in this order, or one word.

    `is_exact` takes it as written, `is_beginning` also for the beginning of a longer word.
    """

    words: tuple[str, ...]
    is_exact: bool = False
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A parsed query: all `terms` are wanted, none of `excluded`. `text` is it as a line."""

    text: str
    terms: tuple[Term, ...]
    excluded: tuple[Term, ...] = ()


def parse_query(text: str) -> TextQuery:
    """Read a query. Raises InvalidInput if it is too long, or has no word to search for."""
    if len(text) > MAX_QUERY_CHARACTERS:
        raise InvalidInput(f"A text to search for has at most {MAX_QUERY_CHARACTERS} characters.")
    # A space at the end says that the last word is finished.
    line = clean_line(text).translate(_QUOTES)
    is_finished = text[-1:].isspace()
    terms: dict[Term, None] = {}
    excluded: dict[Term, None] = {}
    for part in _PART.finditer(line):
        is_last = part.end() == len(line) and not is_finished
        if part["minus"]:
            excluded.update(dict.fromkeys(_excluded(part["phrase"] or part["plain"] or "")))
        elif part["phrase"] is not None:
            terms.update(dict.fromkeys(_phrase(part["phrase"])))
        else:
            terms.update(dict.fromkeys(_wanted(part["plain"], is_last=is_last)))
    if not terms:
        raise InvalidInput(
            "The text has only words to leave out: say what to search for, too."
            if excluded
            else "The text has no word to search for."
        )
    if sum(len(term.words) for term in (*terms, *excluded)) > MAX_QUERY_WORDS:
        raise InvalidInput(f"A text to search for has at most {MAX_QUERY_WORDS} words.")
    return TextQuery(line, tuple(terms), tuple(excluded))


def _wanted(text: str, *, is_last: bool) -> Iterator[Term]:
    words = [word for run in query_words(text) for word in run]
    for position, word in enumerate(words):
        is_unfinished = is_last and position == len(words) - 1 and text[-1].isalnum()
        yield Term((word,), is_beginning=_begins(word, is_unfinished=is_unfinished))


def _begins(word: str, *, is_unfinished: bool) -> bool:
    # Of unspaced scripts pairs are stored: a single character begins some.
    if is_unspaced(word):
        return len(word) == 1
    return is_unfinished and len(word) >= MIN_BEGINNING


def _phrase(text: str) -> Iterator[Term]:
    *before, last = query_words(text) or [[]]
    words = tuple(word for run in before for word in (*run, *_end_of(run))) + tuple(last)
    if words:
        alone = len(words) == 1 and _begins(words[0], is_unfinished=False)
        yield Term(words, is_exact=True, is_beginning=alone)


def _end_of(run: list[str]) -> list[str]:
    # Behind a run of pairs its last character is stored.
    return [run[-1][-1]] if is_unspaced(run[-1]) and len(run[-1]) > 1 else []


_excluded = _phrase
