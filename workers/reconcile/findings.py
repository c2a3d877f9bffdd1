"""The findings of a reconciliation, with their explanations."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

EXAMPLES = 5


class Kind(StrEnum):
    """What can be found; photos are shown when an active listing has them."""

    MISSING_PHOTOS = "missing_photos"
    DAMAGED_PHOTOS = "damaged_photos"
    ORPHANED_PHOTOS = "orphaned_photos"
    LEFTOVERS = "leftovers"
    UNEMBEDDED_PHOTOS = "unembedded_photos"
    UNSHOWN_EMBEDDINGS = "unshown_embeddings"
    MISSING_GENERATION = "missing_generation"
    DAMAGED_GENERATION = "damaged_generation"
    ORPHANED_GENERATIONS = "orphaned_generations"
    CHANGES_SINCE_GENERATION = "changes_since_generation"


EXPLANATIONS = {
    Kind.MISSING_PHOTOS: (
        "Photos of active listings that are not in the store: seed their feed again, or upload "
        "them again."
    ),
    Kind.DAMAGED_PHOTOS: (
        "Stored photos whose bytes are not those that were put there: a repair deletes them, and "
        "the next seed of their feed writes them anew."
    ),
    Kind.ORPHANED_PHOTOS: "Stored photos that belong to nothing: a repair deletes them.",
    Kind.LEFTOVERS: "Unfinished files of killed writers: a repair deletes them.",
    Kind.UNEMBEDDED_PHOTOS: (
        "Photos of active listings that are not embedded and that no job will embed: a repair "
        "queues them."
    ),
    Kind.UNSHOWN_EMBEDDINGS: (
        "Embeddings of photos that no active listing shows: they are kept, should it come back."
    ),
    Kind.MISSING_GENERATION: (
        "There are embeddings, but no index of them: a repair asks for a reindex."
    ),
    Kind.DAMAGED_GENERATION: (
        "The live index is not the one that was built: a repair asks for a reindex."
    ),
    Kind.ORPHANED_GENERATIONS: (
        "Folders of indexes that were removed or never finished: a repair deletes them."
    ),
    Kind.CHANGES_SINCE_GENERATION: (
        "Changes since the live index was built: searches see them, and the next reindex takes "
        "them in."
    ),
}

INFORMATIONAL = frozenset({Kind.UNSHOWN_EMBEDDINGS, Kind.CHANGES_SINCE_GENERATION})
"""Kinds that are no inconsistency."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How often a difference was found, how often it was repaired, and a few examples."""

    kind: Kind
    count: int
    repaired: int
    examples: tuple[str, ...]

    @property
    def remaining(self) -> int:
        """How many differences are left."""
        return 0 if self.kind in INFORMATIONAL else self.count - self.repaired


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One finding of each kind; `photos` counts the database's and `stored` the store's."""

    photos: int
    stored: int
    findings: tuple[Finding, ...]

    @property
    def consistent(self) -> bool:
        """Whether no difference is left."""
        return not any(finding.remaining for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """The result as JSON values."""
        return {
            "consistent": self.consistent,
            "photos": self.photos,
            "stored": self.stored,
            "findings": {
                finding.kind.value: {
                    "count": finding.count,
                    "repaired": finding.repaired,
                    "remaining": finding.remaining,
                    "examples": list(finding.examples),
                }
                for finding in self.findings
            },
        }


class FindingsCollector:
    """Counts findings during a comparison, and keeps a few examples of each kind."""

    def __init__(self) -> None:
        self.photos = 0
        self.stored = 0
        self._counts: Counter[Kind] = Counter()
        self._repaired: Counter[Kind] = Counter()
        self._examples: dict[Kind, list[str]] = {kind: [] for kind in Kind}

    def add(self, kind: Kind, items: Iterable[object], *, repaired: bool = False) -> None:
        """Count each item as found, and as repaired if it was."""
        for item in items:
            self.count(kind, 1, repaired=repaired)
            if len(self._examples[kind]) < EXAMPLES:
                self._examples[kind].append(str(item))

    def count(self, kind: Kind, count: int, *, repaired: bool = False) -> None:
        """Count findings of a kind without examples."""
        self._counts[kind] += count
        self._repaired[kind] += count * repaired

    def result(self) -> Reconciliation:
        """The findings of each kind."""
        findings = (
            Finding(kind, self._counts[kind], self._repaired[kind], tuple(self._examples[kind]))
            for kind in Kind
        )
        return Reconciliation(self.photos, self.stored, tuple(findings))
