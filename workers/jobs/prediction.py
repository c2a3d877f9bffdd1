"""The prediction job: what a photo or a listing likely shows and costs, and its near duplicates."""

from collections.abc import Mapping, Sequence
from math import floor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listings import ListingView
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.errors import NothingIndexed
from models.domain.job_payloads import PredictionPayload
from models.domain.job_results.listings import SimilarListing
from models.domain.job_results.predictions import (
    CategoryProbability,
    LikelyDuplicate,
    PredictionResult,
    PriceQuantiles,
    PriceRange,
    SuggestedAttribute,
)
from models.domain.text import CATEGORY_SEPARATOR
from models.domain.types import ListingMatch
from models.head import CategoryHead
from models.near_duplicates import COPY_SIMILARITY, HASH_BITS, hash_distance, relations
from models.prediction import (
    Neighbour,
    PriceBand,
    grouped,
    price_band,
    suggested_attributes,
    vote,
)
from workers.indexes.following import FollowingIndex
from workers.near_duplicates.hashing import perceptual_hashes
from workers.search.query import Query
from workers.search.query_encoder import QueryEncoder
from workers.search.results import Details
from workers.search.retrieval import Page, retrieve
from workers.search.stopwatch import Stopwatch

NEIGHBOURS: Final = 20
"""How many of the nearest listings vote, and are examined for prices and duplicates."""


class Predicted(NamedTuple):
    """A prediction without its duplicates and how long it took, and the nearest listings."""

    result: PredictionResult
    neighbours: tuple[SimilarListing, ...]


def predict(
    payload: PredictionPayload,
    query: Query,
    *,
    session: Session,
    encoder: QueryEncoder,
    index: FollowingIndex,
    head: CategoryHead | None,
    watch: Stopwatch,
) -> Predicted:
    """Do a prediction; `index` is in step with `session`.

    `head` must be one for this encoder; without one the nearest listings vote. Raises InvalidPhoto
    where the encoder finds nothing to compare, NothingIndexed where there is neither a head nor a
    listing to vote, and whatever kept a photo from being embedded.
    """
    vectors = encoder.vectors_of(query.photos)
    page = Page(NEIGHBOURS, excluded=query.listings)
    found = retrieve(session, index.index, vectors, page).listings
    details = Details.of(session, found)
    watch.lap("search")
    if head is None and not found:
        raise NothingIndexed(
            f"No listing has been embedded by {encoder.spec.label} yet that could vote."
        )
    neighbours = [
        _neighbour(match, details.views[match.listing_id])
        for match in found
        if match.listing_id in details.views
    ]
    shares = vote(neighbours) if head is None else _classified(head, vectors)
    result = PredictionResult(
        encoder=encoder.spec.label,
        generation=index.generation_id,
        method="neighbours" if head is None else "head",
        calibrated=head is not None,
        categories=_likeliest(shares, payload.top),
        roots=_likeliest(grouped(shares, _root_of), payload.top),
        price_band=_price_range(price_band(neighbours)),
        attributes=_suggested(neighbours),
        duplicates=(),
        took_ms={},
    )
    return Predicted(result, details.similar(found))


def likely_duplicates(
    database: Database,
    store: PhotoStore,
    hashes: Sequence[str],
    neighbours: Sequence[SimilarListing],
) -> tuple[LikelyDuplicate, ...]:
    """Those of the neighbours, nearest first, that show the same photo or item.

    `hashes` are the SHA-256 of the photos that the prediction is made from. Photos without a
    perceptual hash are read and decoded: not to be called within a transaction.
    """
    near = [found.photo for found in neighbours if found.similarity >= COPY_SIMILARITY]
    phashes = perceptual_hashes(database, store, {*hashes, *near} if near else ())
    queried = [phashes[sha256] for sha256 in hashes if sha256 in phashes]
    distances = [
        min((hash_distance(phashes[found.photo], one) for one in queried), default=HASH_BITS)
        if found.photo in phashes
        else HASH_BITS
        for found in neighbours
    ]
    related = relations([found.similarity for found in neighbours], distances)
    return tuple(
        LikelyDuplicate(**found.model_dump(), relation=relation)
        for found, relation in zip(neighbours, related, strict=True)
        if relation is not None
    )


def _neighbour(match: ListingMatch, view: ListingView) -> Neighbour:
    listing = view.listing
    price = None if listing.price_suspect else listing.price
    return Neighbour(match.similarity, view.category, price, listing.currency, view.attributes)


def _classified(head: CategoryHead, vectors: list[NDArray[np.float32]]) -> dict[str, float]:
    """The probability of each category: the mean over a listing's photos."""
    means = head.probabilities(np.stack(vectors)).mean(axis=0)
    shares: dict[str, float] = {}
    for category, share in zip(head.categories, means.tolist(), strict=True):
        shares[category] = shares.get(category, 0.0) + share
    return shares


def _root_of(category: str) -> str:
    return category.partition(CATEGORY_SEPARATOR)[0]


def _likeliest(shares: Mapping[str, float], top: int) -> tuple[CategoryProbability, ...]:
    best = sorted(shares.items(), key=lambda share: (-share[1], share[0]))[:top]
    # Rounded down, so that they never add up to more than 1.
    return tuple(
        CategoryProbability(category=name, probability=_rounded_down(share)) for name, share in best
    )


def _price_range(band: PriceBand | None) -> PriceRange | None:
    if band is None:
        return None
    return PriceRange(
        currency=band.currency,
        low=band.p25,
        median=band.p50,
        high=band.p75,
        listings=band.listings,
        quantiles=PriceQuantiles(
            p10=band.p10, p25=band.p25, p50=band.p50, p75=band.p75, p90=band.p90
        ),
    )


def _suggested(neighbours: Sequence[Neighbour]) -> tuple[SuggestedAttribute, ...]:
    return tuple(
        SuggestedAttribute(
            name=one.name,
            value=one.value,
            share=_rounded_down(one.share),
            listings=one.listings,
            of=one.of,
        )
        for one in suggested_attributes(neighbours)
    )


def _rounded_down(share: float) -> float:
    return floor(share * 1e6) / 1e6
