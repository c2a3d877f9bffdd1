"""What comes of jobs: stored as JSON, read as it was meant, also by later releases."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from models.domain.errors import UnreadableRecord
from models.domain.job_results.base import JobResult
from models.domain.job_results.duplicates import (
    ClusteredListing,
    DuplicateCluster,
    DuplicatesResult,
)
from models.domain.job_results.embeddings import (
    BatchResult,
    EmbeddingResult,
    EmbedResult,
    MatchResult,
    PhotoError,
    RowError,
)
from models.domain.job_results.encoders import AdaptResult, CalibrateResult
from models.domain.job_results.indexes import BuiltIndex, RepairedIndex
from models.domain.job_results.parse import parse_result
from models.domain.job_results.predictions import (
    CategoryProbability,
    FoundSubject,
    LikelyDuplicate,
    PhotoReport,
    PredictionResult,
    PriceQuantiles,
    PriceRange,
    SuggestedAttribute,
)
from models.domain.job_results.recommendations import (
    Because,
    RecommendationResult,
    RecommendedListing,
)
from models.domain.job_results.searches import FoundListing, SearchResult
from models.domain.recommendations.events import EventKind
from models.domain.regions import Region
from models.domain.searches.options import RankPart
from models.domain.types import JobType, ListingStatus, MatchLabel, PhotoFlaw, Relation

PHOTO = "a" * 64
FOUND: dict[str, Any] = {
    "listing_id": UUID(int=7),
    "title": "Lamp",
    "price": Decimal("12.50"),
    "currency": "GBP",
    "category": "Home / Lamps",
    "location": None,
    "photo": PHOTO,
    "similarity": 0.981204,
}
TOOK = {"queue": 1.5, "total": 20.0}
RESULTS = [
    SearchResult(
        generation=3,
        encoder="hog-1",
        exact=True,
        took_ms=TOOK,
        results=(FoundListing(**FOUND),),
        next_cursor="abc",
        region=Region(0.1, 0.2, 0.3, 0.4),
    ),
    SearchResult(
        generation=None,
        encoder=None,
        took_ms=TOOK,
        results=(
            FoundListing(
                **{**FOUND, "photo": None, "similarity": None},
                score=0.75,
                reasons={RankPart.TEXT: 0.75},
            ),
        ),
    ),
    RecommendationResult(
        generation=3,
        encoder="hog-1",
        took_ms=TOOK,
        results=(
            RecommendedListing(
                **FOUND,
                score=0.75,
                reasons={RankPart.INTEREST: 0.75},
                because=Because(listing_id=UUID(int=8), kind=EventKind.SAVED, title="A lamp"),
            ),
            RecommendedListing(
                **{**FOUND, "photo": None, "similarity": None},
                score=0.5,
                reasons={RankPart.FRESHNESS: 0.5},
                because=None,
            ),
        ),
        next_cursor="abc",
    ),
    EmbeddingResult(
        encoder="hog-1", fingerprint="f", dimension=2, embedding=(0.6, -0.8), took_ms=TOOK
    ),
    PredictionResult(
        encoder="hog-1",
        generation=None,
        method="neighbours",
        calibrated=False,
        categories=(CategoryProbability(category="Home / Lamps", probability=0.75),),
        roots=(),
        price_band=PriceRange(
            currency="GBP",
            low=Decimal(1),
            median=Decimal("2.50"),
            high=Decimal(3),
            listings=4,
            quantiles=PriceQuantiles(
                p10=Decimal("0.50"),
                p25=Decimal(1),
                p50=Decimal("2.50"),
                p75=Decimal(3),
                p90=Decimal(9),
            ),
        ),
        attributes=(
            SuggestedAttribute(name="brand", value="Acme", share=0.75, listings=3, of=4),
            SuggestedAttribute(name="new", value=True, share=0.75, listings=3, of=4),
            SuggestedAttribute(name="size", value=42, share=0.75, listings=3, of=4),
        ),
        photos=(
            PhotoReport(
                photo=PHOTO,
                flaws=(PhotoFlaw.BLURRED, PhotoFlaw.NO_CLEAR_SUBJECT),
                blur=0.5,
                brightness=0.9,
                short_side=384,
                contrast=0.5,
                subjects=(FoundSubject(region=Region(0, 0, 0.5, 1), share=0.9),),
            ),
        ),
        duplicates=(LikelyDuplicate(**FOUND, relation=Relation.SAME_PHOTO),),
        took_ms=TOOK,
    ),
    EmbedResult(embedded=1, errors=(PhotoError(photo=PHOTO, code="invalid_photo", detail="No."),)),
    BatchResult(
        rows=2,
        accepted=1,
        listing_ids=(UUID(int=7),),
        errors=(RowError(row=2, code="duplicate_id", detail="Again."),),
    ),
    BuiltIndex(
        generation=1,
        factory="SQfp16",
        why="few",
        rows=3,
        last_change=9,
        effort=0,
        candidates=0,
        recall_at_10=1.0,
        queries=3,
        p50_ms=0.1,
        p95_ms=0.2,
        bytes=100,
    ),
    RepairedIndex(rows=3, added=1, removed=0),
    MatchResult(embedded=2, listings=30),
    AdaptResult(photos=300, encoder="hog-adapted-1", gain=0.1),
    AdaptResult(photos=300, refusal="it does not find more.", gain=0.0),
    CalibrateResult(encoder="hog-1", photos=300, listings=200, withheld=(MatchLabel.SAME_ITEM,)),
    CalibrateResult(encoder="hog-1", photos=30, refusal="it is too small."),
    DuplicatesResult(
        encoder="hog-1",
        generation=1,
        exact=True,
        photos=2,
        unreadable=0,
        clusters_total={Relation.SAME_PHOTO: 1, Relation.SAME_ITEM: 0},
        clusters=(
            DuplicateCluster(
                relation=Relation.SAME_PHOTO,
                sellers=1,
                listings_total=2,
                listings=(
                    ClusteredListing(
                        listing_id=UUID(int=7),
                        title="Lamp",
                        seller=None,
                        status=ListingStatus.SOLD,
                        photo=PHOTO,
                        similarity=1.0,
                    ),
                ),
            ),
        ),
    ),
]


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_comes_back_from_json_as_it_was(result: JobResult) -> None:
    stored = json.loads(json.dumps(result.to_json()))
    assert parse_result(result.job_type, stored) == result


def test_every_type_of_job_has_a_result_of_its_own() -> None:
    assert {result.job_type for result in RESULTS} == set(JobType)


@pytest.mark.parametrize("result", RESULTS)
def test_workers_do_not_speak_http(result: JobResult) -> None:
    assert "/v1/" not in json.dumps(result.to_json())


def test_photos_that_earlier_releases_stored_with_their_url_are_read() -> None:
    with_url = {"id": PHOTO, "url": f"/v1/photos/{PHOTO}"}
    row = {**FoundListing(**FOUND).model_dump(mode="json"), "photo": with_url}
    stored = {
        "generation": 3,
        "encoder": "hog-1",
        "exact": False,
        "took_ms": TOOK,
        "results": [row],
    }
    result = parse_result(JobType.SEARCH, stored)
    assert isinstance(result, SearchResult)
    assert result.results == (FoundListing(**FOUND),)
    assert result.next_cursor is None


def test_a_reindex_of_an_earlier_release_measured_less() -> None:
    stored = {
        "generation": 1,
        "factory": "Flat",
        "rows": 2,
        "last_change": 3,
        "recall_at_10": 1.0,
        "p50_ms": 0.5,
        "bytes": 10,
    }
    result = parse_result(JobType.REINDEX, stored)
    assert isinstance(result, BuiltIndex)
    assert (result.generation, result.p95_ms) == (1, None)


def test_fields_that_other_releases_store_are_left_out() -> None:
    stored = {"embedded": 1, "errors": [], "later": True}
    assert parse_result(JobType.EMBED, stored) == EmbedResult(embedded=1, errors=())


def test_what_no_release_has_stored_is_refused() -> None:
    with pytest.raises(UnreadableRecord, match="the search job"):
        parse_result(JobType.SEARCH, {"results": "none"})
