"""Ids as feeds write them: UUIDs, or the caller's own, which are mapped to UUIDs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final
from uuid import UUID, uuid5

from etl.clean.not_stated import is_stated
from models.domain.limits import MAX_EXTERNAL_ID
from models.domain.text import clean_line

# UUID() itself also takes braces, URNs and hyphens anywhere, and the name of a photo's file is its
# id: this is what keeps that name inside the photo folder.
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID in its canonical spelling."""

# Drawn once. Another one would give every listing of every shop's table another id.
NAMESPACE: Final = UUID("7d1d8a52-64a6-4a3e-9d0c-5c3c2f0a6b11")

SAMPLE: Final = 1_000
"""Rows by which it is decided what a table's ids are."""


def canonical_id(text: str) -> str:
    """The id without the spaces around it, in lower case: canonical if it is a UUID at all."""
    return text.strip().lower()


def is_id(text: str) -> bool:
    """Whether this is a UUID, in any case and with spaces around it or without."""
    return UUID_TEXT.fullmatch(canonical_id(text)) is not None


@dataclass(frozen=True, slots=True)
class Ids:
    """How a table's ids become UUIDs.

    Without a `feed` they are UUIDs themselves. With one, they are the caller's: each becomes the
    UUID (version 5) of the feed's name and the id, so that the same export gives the same ids.
    """

    feed: str | None = None

    def __call__(self, text: str) -> str:
        """The UUID as text. Raises ValueError for an id of the caller's that is none."""
        if self.feed is None:
            return canonical_id(text)
        external = self.external(text)
        if external is None:
            raise ValueError("is empty")
        if len(external) > MAX_EXTERNAL_ID:
            raise ValueError(f"has more than {MAX_EXTERNAL_ID} characters")
        return str(uuid5(NAMESPACE, f"{self.feed}\0{external}"))

    def external(self, text: str) -> str | None:
        """The caller's id in one line; None if there is none, or it is the UUID itself."""
        if self.feed is None:
            return None
        line = clean_line(text)
        return line if is_stated(line) else None

    def listed(self, text: str) -> str | None:
        """The UUID of a row that can't be used, if its id can be read."""
        try:
            made = self(text)
        except ValueError:
            return None
        return made if UUID_TEXT.fullmatch(made) else None


AS_THEY_ARE: Final = Ids()


def ids_of(feed: str, texts: Iterable[str]) -> Ids:
    """How to read the ids of a table that begins with these: as UUIDs where most of them are."""
    sample = [text for text in islice(texts, SAMPLE) if is_stated(text)]
    are_uuids = 2 * sum(map(is_id, sample)) >= len(sample)
    return AS_THEY_ARE if are_uuids else Ids(feed)
