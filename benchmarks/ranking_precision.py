"""What ranking does to precision: the share of the first ten that have the query's category.

    MARKETLENS_DATA_DIR=FOLDER marketlens seed FEED --inline
    python -m benchmarks.ranking_precision FOLDER [--queries N]

Searches with listings of a seeded SQLite database, by look alone and with more that counts, as a
worker does. Right is what has the category that the listing searched with has. 95% intervals over
queries, differences paired.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.filters import listings_showing
from db.catalogue.listing_photos import photo_ids_shown
from db.catalogue.ranking_facts import facts_of
from db.session import Database
from db.vectors.embeddings import live_vectors, live_vectors_of
from db.vectors.encoders import active_encoder
from models.domain.clock import utc_now
from models.domain.searches.facts import ListingFacts
from models.domain.searches.options import Diversity, Ranking, RankWeights
from models.evaluation.intervals import cluster_means
from models.index.vector_index import VectorIndex
from workers.search.blocks import Asked, Look
from workers.search.ranked import Position, RankOptions, ranked_page

DEPTH: Final = 10
SEED: Final = 0
LOOK_ALONE: Final = "look alone"
WAYS: Final = {
    LOOK_ALONE: RankWeights(),
    "price 0.05": RankWeights(price=0.05),
    "category 0.05": RankWeights(category=0.05),
    "category 0.1": RankWeights(category=0.1),
    "price and category 0.05": RankWeights(price=0.05, category=0.05),
    "price 0.05, category 0.1": RankWeights(price=0.05, category=0.1),
    "price and category 0.1": RankWeights(price=0.1, category=0.1),
}
DIVERSE: Final = "diversity 0.2"


def main(
    folder: Annotated[Path, typer.Argument(help="The data folder.")],
    *,
    queries: Annotated[int, typer.Option(help="Listings that are searched with.")] = 500,
) -> None:
    """Search, and print the table."""
    rng = np.random.default_rng(SEED)
    database = Database(f"sqlite:///{folder.resolve()}/marketlens.db")
    with database.read() as session:
        encoder = active_encoder(session)
    if encoder is None:
        raise SystemExit("Nothing is seeded there.")
    index = VectorIndex(encoder.spec.dimension)
    known: list[int] = []
    for ids, vectors in live_vectors(database.read, encoder.id):
        index.upsert(ids, vectors)
        known += ids.tolist()
    with database.read() as session:
        asked = chosen(session, known, queries, rng)
        print(f"{index.rows} photos, {len(asked)} queries, {encoder.spec.label}", flush=True)
        values = np.array([hits(session, index, encoder.id, one) for one in asked])
    means = cluster_means(values, np.arange(len(values)), rng)
    for column, name in enumerate([*WAYS, DIVERSE]):
        one, gain = means.of(column), means.difference(column, 0)
        print(
            f"{name:32} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
            f"  {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        )


def chosen(
    session: Session, photo_ids: Sequence[int], count: int, rng: np.random.Generator
) -> list[ListingFacts]:
    """Listings with a category that show these photos."""
    shown = listings_showing(session, photo_ids)
    listing_ids = sorted({one for found in shown.values() for one in found})
    facts = [one for one in facts_of(session, listing_ids).values() if one.category]
    return [facts[row] for row in rng.permutation(len(facts))[:count]]


def hits(session: Session, index: VectorIndex, encoder_id: int, query: ListingFacts) -> list[float]:
    """The precision at 10 of each way."""
    photos = photo_ids_shown(session, [query.listing_id])[query.listing_id]
    _, vectors = live_vectors_of(session, encoder_id, photos)
    asked = Asked(session, Look(index, list(vectors)), excluded=[query.listing_id])

    def vectors_of(photo_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        ids, found = live_vectors_of(session, encoder_id, photo_ids)
        return dict(zip(ids.tolist(), found, strict=True))

    # As if it was a photo: its category, which is what is asked for, is not told.
    price = None if query.price is None else Decimal(str(query.price))
    options = [
        RankOptions(utc_now(), Ranking(weights, price, query.currency)) for weights in WAYS.values()
    ]
    options.append(RankOptions(utc_now(), diversity=Diversity(0.2)))
    shares = []
    for option in options:
        page = ranked_page(asked, option, DEPTH, Position(), vectors_of)
        facts = facts_of(session, [one.listing_id for one in page.listings])
        shares.append(sum(one.category == query.category for one in facts.values()) / DEPTH)
    return shares


if __name__ == "__main__":
    typer.run(main)
