"""Texts by small integers, which columns hold in their place."""

from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FrozenTexts:
    """Texts in arrays, which can be mapped from a file: text n is `utf8[ends[n - 1]:ends[n]]`.

    `order` (n,) are the texts in order of the hash of their key, `hashes` (n,) these hashes.
    """

    utf8: NDArray[np.uint8]
    ends: NDArray[np.int64]
    hashes: NDArray[np.uint32]
    order: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, number: int) -> str:
        """One of the texts."""
        start = self.ends[number - 1] if number else 0
        return self.utf8[start : self.ends[number]].tobytes().decode()


NO_TEXTS: Final = FrozenTexts(
    np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int32)
)


class TextDictionary:
    """Codes from 0 on for texts; it only grows. With `folds`, texts that differ in case are one.

    A text is shown as it was first added.
    """

    def __init__(self, frozen: FrozenTexts = NO_TEXTS, *, folds: bool) -> None:
        self.codes: dict[str, int] = {}
        """Codes by texts as they were written, of those that were added or found."""
        self._frozen = frozen
        self._added: list[str] = []
        self._folds = folds

    def __len__(self) -> int:
        return len(self._frozen) + len(self._added)

    def find(self, text: str) -> int | None:
        """The code of a text, None if it has none."""
        code = self.codes.get(text)
        if code is None:
            code = self._find(self._key(text))
            if code is not None:
                self.codes[text] = code
        return code

    def add(self, text: str) -> int:
        """The code of a text, which gets one if it has none."""
        code = self.find(text)
        if code is None:
            code = len(self)
            self._added.append(text)
            self.codes[text] = self.codes[self._key(text)] = code
        return code

    def text(self, code: int) -> str:
        """The text of a code."""
        frozen = len(self._frozen)
        return self._frozen.text(code) if code < frozen else self._added[code - frozen]

    def frozen(self) -> FrozenTexts:
        """All of its texts in arrays."""
        if not self._added:
            return self._frozen
        texts = [self.text(code) for code in range(len(self))]
        encoded = [text.encode() for text in texts]
        hashes = np.fromiter((_hash(self._key(text)) for text in texts), np.uint32, len(texts))
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        return FrozenTexts(
            np.frombuffer(b"".join(encoded), np.uint8),
            np.cumsum([len(text) for text in encoded], dtype=np.int64),
            hashes[order],
            order,
        )

    def _key(self, text: str) -> str:
        return text.casefold() if self._folds else text

    def _find(self, key: str) -> int | None:
        code = self.codes.get(key)
        if code is not None or not len(self._frozen):
            return code
        # Texts of the same hash are few, and told apart by themselves.
        low, high = np.searchsorted(self._frozen.hashes, [_hash(key), _hash(key) + 1])
        for number in self._frozen.order[low:high].tolist():
            if self._key(self._frozen.text(number)) == key:
                return int(number)
        return None


def _hash(key: str) -> int:
    return crc32(key.encode())
