"""How long searches by look and words take at a million listings, beside their index and encoder.

    python -m benchmarks.hybrid_at_scale --database-url URL [--queries N]

The database is one that `benchmarks.catalogue_at_scale` has filled. The index gives photos in a
random order at no cost: what a real one takes is in docs/decisions/0015. Milliseconds by the clock,
for ten listings ranked by look and words: finding the words, ranking, and both.
"""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.catalogue_at_scale import Drawing
from benchmarks.columns import RandomIndex
from benchmarks.text_search import queries
from db.catalogue.columns import columns_of
from db.session import Database
from models.columns.columns import Columns
from models.domain.filters import ListingFilter
from models.domain.searches.options import Ranking, RankWeights
from workers.search.blocks import Asked, Look
from workers.search.ranked import Position, RankOptions, ranked_page
from workers.search.words import words_of

LIMIT: Final = 10
WEIGHTS: Final = RankWeights(similarity=1, text=0.5)
KINDS: Final = (
    "words of a title",
    "drawn words",
    "one of the 50 commonest words",
    "two of the 50 commonest words",
)


def searched(database: Database, columns: Columns, index: RandomIndex, text: str) -> list[float]:
    """Milliseconds that finding the words took, and ranking."""
    began = perf_counter()
    with database.read() as session:
        words = words_of(session, text, ListingFilter(), (), language="english")
        found = perf_counter()
        look = Look(index, [np.ones(1, np.float32)])
        options = RankOptions(datetime.now(UTC), Ranking(weights=WEIGHTS))
        asked = Asked(session, look, words, columns=columns)
        ranked_page(asked, options, LIMIT, Position(), _no_vectors)
    return [(found - began) * 1e3, (perf_counter() - found) * 1e3]


def _no_vectors(photo_ids: Sequence[int]) -> Mapping[int, NDArray[np.float32]]:
    # Only diversity reads them.
    del photo_ids
    return {}


def main() -> None:
    """Measure each kind of query and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--queries", type=int, default=40)
    options = parser.parse_args()
    database = Database(options.database_url)
    with database.read() as session:
        columns = columns_of(session)
        texts = queries(session, Drawing(0), options.queries)
    index = RandomIndex(columns.listings)
    for kind in KINDS:
        took = np.array([searched(database, columns, index, text) for text in texts[kind]])
        words, ranking = np.median(took, axis=0)
        median, late = np.percentile(took.sum(axis=1), [50, 95])
        print(
            f"{kind:32} words {words:5.1f}, ranking {ranking:5.1f}, both {median:5.1f} "
            f"(95%: {late:.1f})"
        )
    database.close()


if __name__ == "__main__":
    main()
