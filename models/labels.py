"""Photos labelled with their listings' categories, for training and evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from models.domain.errors import NotFound


class Level(StrEnum):
    """The depth in the category tree at which categories are distinguished."""

    ROOT = "root"
    SUB = "sub"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhotos:
    """Photos of listings, one row for each photo of each listing; bytes are read on demand.

    `hashes` are the photos' SHA-256 (hex), `listings` the ids of the listings, `categories` the
    category paths. `sellers` names each listing's seller, None where it is unknown. `fetch`
    returns the bytes of a SHA-256.
    """

    hashes: tuple[str, ...]
    listings: tuple[str, ...]
    categories: tuple[str, ...]
    fetch: Callable[[str], bytes]
    sellers: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.hashes)

    def read(self, row: int) -> bytes:
        """The bytes of one row's photo. Raises as `bytes_of` does."""
        return self.bytes_of(self.hashes[row])

    def bytes_of(self, digest: str) -> bytes:
        """The bytes of a photo. Raises `NotFound`, and what else the store does."""
        try:
            return self.fetch(digest)
        except NotFound as error:
            raise NotFound(f"The photo {digest} is not in the store.") from error

    def take(self, rows: Sequence[int]) -> "LabelledPhotos":
        """These rows, in this order."""
        return replace(
            self,
            hashes=tuple(self.hashes[row] for row in rows),
            listings=tuple(self.listings[row] for row in rows),
            categories=tuple(self.categories[row] for row in rows),
            sellers=self.sellers and tuple(self.sellers[row] for row in rows),
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all rows, independent of their order."""
        sellers = self.sellers or (None,) * len(self)
        rows = sorted(
            repr(row)
            for row in zip(self.hashes, self.listings, self.categories, sellers, strict=True)
        )
        return sha256("\n".join(rows).encode()).hexdigest()


def categories_at(level: Level, paths: Sequence[str | None], separator: str) -> list[str | None]:
    """The category of each listing at a level, given the path it is filed under, if any.

    At `root` that is the path's first part, at `sub` its first two. A listing that is filed right
    under a root, which other listings divide further, could belong to any of its parts: at `sub`
    it has no category. Where no listing divides the root, the root itself is the category.
    """
    parts = [path.split(separator) if path else [] for path in paths]
    if level is Level.ROOT:
        return [names[0] if names else None for names in parts]
    divided = {names[0] for names in parts if len(names) > 1}
    return [
        separator.join(names[:2]) if len(names) > 1 or set(names) - divided else None
        for names in parts
    ]
