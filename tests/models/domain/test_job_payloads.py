"""What jobs are asked to do: stored as JSON, read as it was meant, also by later releases."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from models.domain.errors import UnreadableRecord
from models.domain.filters import ListingFilter, Near
from models.domain.job_payloads import (
    PAYLOAD_TYPES,
    AdaptPayload,
    BatchPayload,
    CalibratePayload,
    DuplicatesPayload,
    EmbeddingPayload,
    EmbedPayload,
    Example,
    JobPayload,
    MatchPayload,
    PredictionPayload,
    RecommendationPayload,
    ReindexPayload,
    SearchPayload,
    example_of,
    parse_payload,
)
from models.domain.regions import Region
from models.domain.searches.attributes import AttributeCondition
from models.domain.searches.options import (
    Diversity,
    FusionMethod,
    Place,
    Ranking,
    RankWeights,
)
from models.domain.types import JobType, ListingStatus

LISTING = UUID(int=7)
PHOTO, OTHER = "a" * 64, "b" * 64
EVERYTHING = ListingFilter(
    category="Home / Lamps",
    price_min=Decimal("0.10"),
    price_max=Decimal("12.50"),
    currency="GBP",
    near=Near(51.5, -0.1, 5.5),
    exclude_seller="sam",
    status=(ListingStatus.ACTIVE, ListingStatus.SOLD),
    seller="ann",
    created_after=datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    attributes=(
        AttributeCondition("size", ("M", 40, 40.5, True, "40")),
        AttributeCondition("year", at_least=1999.5, at_most=2005),
        AttributeCondition("mass", at_most=3),
    ),
)
PAYLOADS = [
    SearchPayload(positive=(PHOTO,), limit=10),
    SearchPayload(
        positive=(LISTING, PHOTO),
        negative=(OTHER, UUID(int=8)),
        filter=EVERYTHING,
        limit=1,
        cursor="abc",
    ),
    SearchPayload(positive=(PHOTO,), region=Region(0.1, 0.2, 0.3, 0.4), limit=2),
    SearchPayload(positive=(PHOTO,), region="auto", limit=2),
    SearchPayload(positive=(PHOTO,), filter=ListingFilter(), limit=2),
    SearchPayload(positive=(PHOTO,), user="0123456789abcdef" * 2, limit=2),
    SearchPayload(text='red "oak table" -chair ', limit=2),
    SearchPayload(
        positive=(PHOTO,),
        text="red",
        rank=Ranking(RankWeights(price=0.5), Decimal("12.50"), "GBP", "views", 5, 7),
        fusion=FusionMethod.RRF,
        near=Place(53.8, -1.55),
        diversity=Diversity(0.3, 2),
        min_similarity=0.25,
        limit=2,
    ),
    EmbeddingPayload(photo=PHOTO),
    PredictionPayload(photo=PHOTO, top=5),
    PredictionPayload(listing_id=LISTING, top=5),
    RecommendationPayload(rank=Ranking(), limit=20),
    RecommendationPayload(
        user="0123456789abcdef" * 2,
        listing_id=LISTING,
        filter=EVERYTHING,
        near=Place(53.8, -1.55),
        rank=Ranking(RankWeights(interest=1, together=0.5, unseen=0.25), half_days=7),
        diversity=Diversity(0.3, 2),
        exclude=(UUID(int=8), UUID(int=9)),
        exclude_seen=True,
        limit=1,
        cursor="abc",
    ),
    EmbedPayload(photo_ids=(1, 2, 3)),
    EmbedPayload(photo_ids=(), encoder_id=4),
    BatchPayload(),
    ReindexPayload(),
    ReindexPayload(encoder_id=2, factory="IVF2,SQ8", recall_target=0.9),
    AdaptPayload(),
    CalibratePayload(),
    CalibratePayload(encoder_id=3),
    MatchPayload(),
    DuplicatesPayload(),
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_comes_back_from_json_as_it_was(payload: JobPayload) -> None:
    stored = json.loads(json.dumps(payload.to_json()))
    assert parse_payload(payload.job_type, stored) == payload


def test_every_type_of_job_has_a_payload_of_its_own() -> None:
    assert set(PAYLOAD_TYPES) == set(JobType)
    assert {type(payload).job_type for payload in PAYLOADS} == set(JobType)


def test_what_is_not_asked_for_is_not_stored() -> None:
    assert ReindexPayload().to_json() == {}
    payload = SearchPayload(positive=(PHOTO,), filter=ListingFilter(currency="GBP"), limit=3)
    assert payload.to_json() == {
        "positive": [PHOTO],
        "negative": [],
        "filter": {"currency": "GBP", "status": ["active"], "attributes": []},
        "limit": 3,
    }


@pytest.mark.parametrize(
    ("job_type", "stored", "payload"),
    [
        (
            JobType.SEARCH,
            {"photo": PHOTO, "limit": 3},
            SearchPayload(positive=(PHOTO,), limit=3),
        ),
        (
            JobType.SEARCH,
            {"listing_id": str(LISTING), "limit": 3},
            SearchPayload(positive=(LISTING,), limit=3),
        ),
        (
            JobType.SEARCH,
            {"positive": [str(LISTING), PHOTO], "limit": 3},
            SearchPayload(positive=(LISTING, PHOTO), limit=3),
        ),
        (
            JobType.SEARCH,
            {
                "positive": [PHOTO],
                "limit": 3,
                "region": {"x": 0, "y": 0, "w": 0.5, "h": 1},
                "filter": {
                    "price_max": "5.00",
                    "near": {"latitude": 1.0, "longitude": 2.0, "km": 3.0},
                    "status": ["sold"],
                },
            },
            SearchPayload(
                positive=(PHOTO,),
                region=Region(0, 0, 0.5, 1),
                filter=ListingFilter(
                    price_max=Decimal("5.00"),
                    near=Near(1.0, 2.0, 3.0),
                    status=(ListingStatus.SOLD,),
                ),
                limit=3,
            ),
        ),
        (JobType.EMBED, {"photo_ids": [3, 1]}, EmbedPayload(photo_ids=(3, 1))),
        (JobType.REINDEX, {}, ReindexPayload()),
        (JobType.BATCH, {}, BatchPayload()),
    ],
)
def test_what_earlier_releases_stored_is_read(
    job_type: JobType, stored: dict[str, Any], payload: JobPayload
) -> None:
    assert parse_payload(job_type, stored) == payload


@pytest.mark.parametrize(
    ("job_type", "stored"),
    [
        (JobType.SEARCH, {"limit": 3}),
        (JobType.SEARCH, {"positive": ["no name"], "limit": 3}),
        (JobType.SEARCH, {"positive": [PHOTO], "limit": 3, "rank": "later"}),
        (JobType.EMBEDDING, {}),
        (JobType.PREDICTION, {"top": 3}),
        (JobType.PREDICTION, {"photo": PHOTO, "listing_id": str(LISTING), "top": 3}),
        (JobType.DUPLICATES, {"who": "knows"}),
    ],
)
def test_what_no_release_has_stored_is_refused(job_type: JobType, stored: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRecord, match=f"the {job_type} job"):
        parse_payload(job_type, stored)


def test_a_payload_never_changes() -> None:
    with pytest.raises(ValidationError):
        EmbeddingPayload(photo=PHOTO).photo = OTHER  # type: ignore[misc]


@pytest.mark.parametrize("example", [LISTING, PHOTO])
def test_a_prediction_is_of_a_photo_or_of_a_listing(example: Example) -> None:
    assert PredictionPayload.of(example, 3).example == example


def test_a_name_is_a_listings_or_a_photos() -> None:
    assert example_of(str(LISTING).upper()) == LISTING
    assert example_of(PHOTO) == PHOTO
    with pytest.raises(ValueError, match="badly formed"):
        example_of("A" * 63)
