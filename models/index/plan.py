"""The choice of an index by the catalogue's size, with its reason. Standard library only.

The figures behind the choices are measured by `benchmarks.index`; docs/decisions/0015 has them.
"""

import os
import re
from dataclasses import dataclass
from math import log2, sqrt
from typing import Final, NamedTuple

EXACT: Final = "SQfp16"
"""FAISS' factory string of an exhaustive index of vectors in half precision."""
# 20,000 vectors of 2,048 numbers, 82 MB, are scanned in 6.5 ms by one core, less than embedding the
# query photo takes.
SCAN_BYTES: Final = 2**27
MAX_LISTS: Final = 16_384
MIN_LISTS: Final = 16
# FAISS asks for 39 rows a list at least.
TRAINING_ROWS_PER_LIST: Final = 40
PCA_TRAINING_ROWS: Final = 32_768
LIST_ENTRY_BYTES: Final = 8
MEMORY_SHARE: Final = 4
"""By default an index may take one part in so many of a machine's memory."""


class Code(NamedTuple):
    """The compressed vector that candidates are found by: its dimensions, and bits of each."""

    dimensions: int
    bits: int

    @property
    def bytes(self) -> float:
        """Bytes a row, with its place in a list."""
        return self.dimensions * self.bits / 8 + LIST_ENTRY_BYTES


CODES: Final = (Code(128, 8), Code(128, 4), Code(64, 4), Code(32, 4))
"""The default first, then what fits into less memory."""
HIGH_RECALL: Final = 0.97
HIGH_RECALL_CODE: Final = Code(256, 8)

_GRAPH: Final = "HNSW"
LINKS_PER_NODE: Final = 32
_LISTS = re.compile(r"IVF(\d+)")
_REDUCED = re.compile(r"(?:PCA|OPQ\d+_)(\d+)")


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """The index that finds candidates, which are then scored again by the full vectors.

    `factory` is FAISS' factory string. `hot_bytes` of each row are read by most searches and should
    fit in memory, `disk_bytes` are kept in all; both are mapped, and shared by the processes of a
    machine. `why` explains the choice.
    """

    factory: str
    hot_bytes: float
    disk_bytes: float
    why: str

    @property
    def exact(self) -> bool:
        """Whether the search is exhaustive."""
        return self.factory == EXACT

    @property
    def lists(self) -> int:
        """The number of inverted lists, 0 if there are none."""
        found = _LISTS.search(self.factory)
        return int(found[1]) if found else 0

    def most_effort(self, rows: int) -> int:
        """The effort at which a search is exhaustive: all lists, or all nodes of a graph."""
        if self.exact:
            return 0
        return max(1, rows) if _GRAPH in self.factory else max(1, self.lists)

    def bytes_of_effort(self, rows: int) -> float:
        """How many bytes are read for one more list, or one more node and its neighbours."""
        if _GRAPH in self.factory:
            return self.hot_bytes * LINKS_PER_NODE
        return self.hot_bytes * rows / max(1, self.lists)

    @property
    def training_rows(self) -> int:
        """The number of training rows, if there are so many."""
        return max(PCA_TRAINING_ROWS, TRAINING_ROWS_PER_LIST * self.lists)


def default_memory_bytes() -> int:
    """What the parts of an index that most searches read may take: a quarter of the memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEMORY_SHARE


def plan_index(rows: int, dimension: int, *, recall_target: float, memory_bytes: int) -> IndexPlan:
    """The index for `rows` vectors of `dimension` numbers.

    `recall_target` is the recall@10 that is wanted, `memory_bytes` what the parts of the index that
    most searches read may take.
    """
    vector_bytes = 2 * dimension
    everything = rows * vector_bytes
    if everything <= min(SCAN_BYTES, memory_bytes):
        return IndexPlan(
            EXACT,
            hot_bytes=vector_bytes,
            disk_bytes=vector_bytes + LIST_ENTRY_BYTES,
            why=f"{rows:,} vectors of {dimension:,} numbers are {_size(everything)} in half "
            "precision: every search looks at all of them and misses nothing.",
        )
    code = _code(rows, dimension, recall_target, memory_bytes)
    lists = _lists(rows)
    hot = rows * code.bytes
    reduction = f"PCA{code.dimensions}," if code.dimensions < dimension else ""
    return IndexPlan(
        f"{reduction}IVF{lists},SQ{code.bits}",
        hot_bytes=code.bytes,
        disk_bytes=code.bytes + vector_bytes + LIST_ENTRY_BYTES,
        why=f"{rows:,} vectors of {dimension:,} numbers are {_size(everything)} in half precision, "
        "too much to look at in every search. So each is reduced to the "
        f"{code.dimensions} directions in which they differ most, {code.bits} bits each, and "
        f"sorted into {lists:,} lists of neighbours, of which a search reads a few. The best "
        f"candidates are scored again from the vectors themselves. {_size(hot)} should stay in "
        f"memory; the vectors are mapped, and read where needed.{_warning(hot, memory_bytes)}",
    )


def plan_of(factory: str, dimension: int) -> IndexPlan:
    """The plan of a given factory string. Its bytes are only estimated."""
    reduced = _REDUCED.search(factory)
    hot = float(reduced[1]) if reduced else 2.0 * dimension
    return IndexPlan(factory, hot, hot + 2 * dimension, f"{factory} was asked for.")


def _code(rows: int, dimension: int, recall_target: float, memory_bytes: int) -> Code:
    """The richest code, up to what the target needs, with which everything fits."""
    wanted = (HIGH_RECALL_CODE, *CODES) if recall_target > HIGH_RECALL else CODES
    fitting = (code for code in wanted if rows * code.bytes <= memory_bytes)
    code = next(fitting, wanted[-1])
    return code._replace(dimensions=min(dimension, code.dimensions))


def _warning(hot: float, memory_bytes: int) -> str:
    if hot <= memory_bytes:
        return ""
    return f" That is more than the {_size(memory_bytes)} allowed: searches may wait for the disk."


def _lists(rows: int) -> int:
    """About eight times the square root: choosing among more costs less than reading longer."""
    return min(MAX_LISTS, max(MIN_LISTS, 1 << round(log2(8 * sqrt(rows)))))


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - the step between units
            return f"{count:,.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
