"""Texts as words. One rule for what is stored and what is searched, and so for every database.

A word is a run of letters, digits and the vowel signs of scripts that write vowels as marks, after
Unicode's compatibility composition (NFKC), case folding and the removal of diacritics:
`Café-Tables` is `cafe`, `tables`. Scripts that put no spaces between words (Chinese, Japanese,
Thai, ..., and Korean, whose particles are attached) are read as overlapping pairs of characters, as
is usual (Apache Lucene's CJKBigramFilter).

Stored rows are of this rule. Whoever changes it writes a migration, or stored listings are not
found by the words they have.
"""

import re
import unicodedata
from typing import Final

MAX_WORD: Final = 64
"""Characters of a word; the rest is left out."""

# Diacritics of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic, which are left out as
# often as not, Arabic's tatweel, joiners and variation selectors. Not the marks of Indic scripts,
# which are vowels. й is a letter of its own, which decomposes into и and a breve.
_DIACRITICS = re.compile(
    "(?<!\u0438)[\u0300-\u036f]|(?<=\u0438)[\u0300-\u0305\u0307-\u036f]"
    "|[\u00ad\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d"
    "\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
# What has no decomposition, and is typed without its stroke where keyboards lack it.
_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "\u0131": "i",
        "þ": "th",
    }
)
# What the rule makes of ASCII, many times as fast.
_ASCII_WORDS = "".join(chr(n).lower() if chr(n).isalnum() else " " for n in range(128))
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['\u2019\u02bc](?=[^\W\d_])")
_VOWEL_SIGNS = "".join(
    chr(code)
    for first, last in ((0x900, 0x1CFF), (0xA800, 0xABFF), (0x10A00, 0x11FFF))
    for code in range(first, last + 1)
    if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
_WORD = re.compile(rf"[\w\u3099\u309a{_VOWEL_SIGNS}]+")
# Han, kana, bopomofo, Hangul; Thai, Lao, Burmese, Khmer.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+)"
)


def fold(text: str) -> str:
    """The text without what spellings of the same words differ in: case, width, diacritics."""
    if text.isascii():
        return text.lower()
    # Marks are removed first: `normalize` takes quadratic time for long runs of them.
    text = unicodedata.normalize("NFKC", _DIACRITICS.sub("", text)).casefold()
    decomposed = unicodedata.normalize("NFKD", text).translate(_LETTERS)
    return unicodedata.normalize("NFC", _DIACRITICS.sub("", decomposed))


def words_of(text: str, limit: int) -> list[str]:
    """The first `limit` words of a stored text, in its order."""
    if text.isascii():
        folded = _APOSTROPHE.sub("", text) if "'" in text else text
        return [word[:MAX_WORD] for word in folded.translate(_ASCII_WORDS).split()[:limit]]
    words = _runs(fold(text))
    return [part[:MAX_WORD] for word in words[:limit] for part in _parts(word)][:limit]


def query_words(text: str) -> list[list[str]]:
    """The words of what a person has typed; a run of an unspaced script is a list of its pairs."""
    found: list[list[str]] = []
    for word in _runs(fold(text)):
        for part in _UNSPACED.split(word):
            if _UNSPACED.fullmatch(part):
                found.append(_pairs(part) or [part])
            elif part:
                found.append([part[:MAX_WORD]])
    return found


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that puts no spaces between words."""
    return _UNSPACED.fullmatch(word) is not None


def _runs(folded: str) -> list[str]:
    if "_" in folded:
        folded = folded.replace("_", " ")
    if "'" in folded or not folded.isascii():
        folded = _APOSTROPHE.sub("", folded)
    return _WORD.findall(folded)


def _parts(word: str) -> list[str]:
    """The word, or its pairs of characters; behind a run of pairs its last character alone, so that
    each character of the run begins a word."""
    if word.isascii():
        return [word]
    parts: list[str] = []
    for part in _UNSPACED.split(word):
        if _UNSPACED.fullmatch(part):
            parts += [*_pairs(part), part[-1]]
        elif part:
            parts.append(part)
    return parts


def _pairs(run: str) -> list[str]:
    return [run[n : n + 2] for n in range(len(run) - 1)]
