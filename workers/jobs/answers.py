"""The jobs that tell of a photo: its embedding, and what it likely shows and costs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import floor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue.categories import CATEGORY_SEPARATOR
from db.catalogue.listings import ListingView, views_of
from db.jobs import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import NothingIndexed
from models.domain.types import ListingMatch
from models.head import CategoryHead
from models.near_duplicates import COPY_SIMILARITY, HASH_BITS, hash_distance, relations
from models.prediction import Neighbour, PriceBand, grouped, price_band, vote
from workers.indexes.live import FollowingIndex
from workers.near_duplicates.hashing import perceptual_hashes
from workers.search.query_encoder import QueryEncoder, Stopwatch, asked_about, described
from workers.search.retrieval import nearest_listings

NEIGHBOURS: Final = 20
"""How many listings vote, and are looked at for prices and duplicates."""
# Finer than half precision, in which the catalogue keeps its vectors.
EMBEDDING_DECIMALS: Final = 6


def run_embedding(
    claim: Claim,
    *,
    encoder: QueryEncoder,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Do an embedding job and give its result, as the HTTP contract shows it.

    Raises InvalidPhoto where the encoder finds nothing to compare in the photo.
    """
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    (vector,) = encoder.vectors_of([claim.payload["photo"]], watch)
    return {
        "encoder": encoder.spec.label,
        "fingerprint": encoder.spec.fingerprint,
        "dimension": encoder.spec.dimension,
        "embedding": [round(value, EMBEDDING_DECIMALS) for value in vector.tolist()],
        "took_ms": watch.stop(),
    }


def run_prediction(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    encoder: QueryEncoder,
    index: FollowingIndex,
    head: CategoryHead | None,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Do a prediction job and give its result, as the HTTP contract shows it.

    `head` must be one for this encoder; without one the nearest listings vote. Raises InvalidPhoto
    as `run_embedding` does, and NothingIndexed where there is neither a head nor a listing to vote.
    """
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    excluded, hashes = asked_about(claim.payload, database)
    vectors = encoder.vectors_of(hashes, watch)
    with database.read() as session:
        index.sync(session)
        watch.lap("sync")
        found = nearest_listings(session, index, vectors, NEIGHBOURS, excluded)
        views = views_of(session, [match.listing_id for match in found])
        watch.lap("search")
    if head is None and not found:
        raise NothingIndexed(
            f"No listing has been embedded by {encoder.spec.label} yet that could vote."
        )
    neighbours = [
        _neighbour(match, views[match.listing_id]) for match in found if match.listing_id in views
    ]
    shares = vote(neighbours) if head is None else _classified(head, vectors)
    result = {
        "encoder": encoder.spec.label,
        "generation": index.generation_id,
        "method": "neighbours" if head is None else "head",
        "calibrated": head is not None,
        "categories": _likeliest(shares, claim.payload["top"]),
        "roots": _likeliest(grouped(shares, _root_of), claim.payload["top"]),
        "price_band": _shown(price_band(neighbours)),
        "duplicates": _duplicates(hashes, described(found, database), database, store),
    }
    watch.lap("predict")
    return {**result, "took_ms": watch.stop()}


def _duplicates(
    asked: Sequence[str],
    neighbours: Sequence[dict[str, Any]],
    database: Database,
    store: PhotoStore,
) -> list[dict[str, Any]]:
    """Those of the neighbours, nearest first, that show the same photo or thing, and which of both.

    `asked` are the photos that were asked about, by SHA-256.
    """
    near = [row["photo"]["id"] for row in neighbours if row["similarity"] >= COPY_SIMILARITY]
    phashes = perceptual_hashes(database, store, {*asked, *near} if near else ())
    questions = [phashes[sha256] for sha256 in asked if sha256 in phashes]
    distances = [
        min((hash_distance(phashes[sha256], one) for one in questions), default=HASH_BITS)
        if (sha256 := row["photo"]["id"]) in phashes
        else HASH_BITS
        for row in neighbours
    ]
    related = relations([row["similarity"] for row in neighbours], distances)
    return [
        {**row, "relation": relation.value}
        for row, relation in zip(neighbours, related, strict=True)
        if relation is not None
    ]


def _neighbour(match: ListingMatch, view: ListingView) -> Neighbour:
    listing = view.listing
    price = None if listing.price_suspect else listing.price
    return Neighbour(match.similarity, view.category, price, listing.currency)


def _classified(head: CategoryHead, vectors: list[NDArray[np.float32]]) -> dict[str, float]:
    """The probability of each category: the mean over a listing's photos."""
    means = head.probabilities(np.stack(vectors)).mean(axis=0)
    return dict(zip(head.categories, means.tolist(), strict=True))


def _root_of(category: str) -> str:
    return category.partition(CATEGORY_SEPARATOR)[0]


def _likeliest(shares: Mapping[str, float], top: int) -> list[dict[str, Any]]:
    best = sorted(shares.items(), key=lambda share: (-share[1], share[0]))[:top]
    # Rounded down, so that they never add up to more than 1.
    return [{"category": name, "probability": floor(share * 1e6) / 1e6} for name, share in best]


def _shown(band: PriceBand | None) -> dict[str, Any] | None:
    if band is None:
        return None
    return {
        "currency": band.currency,
        "low": str(band.low),
        "median": str(band.median),
        "high": str(band.high),
        "listings": band.listings,
    }
