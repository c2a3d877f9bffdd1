"""Asking for recommendations, their pages, and what is stored of who asks: no name of theirs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.recommendations.schemas import RecommendationIn
from db.catalogue.listings import ListingData, upsert_listings
from db.jobs.reading import get, recent
from db.ranking.rankers import activate_ranker, register_ranker
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Base
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.job_payloads import RecommendationPayload, SearchPayload
from models.domain.recommendations.cursors import Listed, RecommendationCursor
from models.domain.recommendations.options import DEFAULT_WEIGHTS
from models.domain.searches.options import RankWeights
from models.domain.types import EncoderSpec
from tests.support.answering import Answerer
from tests.support.http import (
    KETTLE,
    UNKNOWN_ID,
    MakeClient,
    assert_problem,
    listing_form,
    shape,
    submit_photo,
)
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg

USER = "somebody@example.org"


@pytest.fixture
def answerer(database: Database, store: PhotoStore, tmp_path: Path) -> Answerer:
    """A worker on the application's own database and store."""
    return Answerer(database, store, tmp_path / "generations")


@pytest.fixture
def offered(client: TestClient, answerer: Answerer) -> list[str]:
    """The ids of some listings that can be found."""
    ids = [
        str(client.post("/v1/listings", **listing_form(KETTLE, jpeg(seed))).json()["listing_id"])
        for seed in range(6)
    ]
    answerer.embed_listings()
    return ids


def did(client: TestClient, user: str, kind: str, listing_id: str) -> None:
    event = {
        "event_id": str(uuid4()),
        "user": user,
        "type": kind,
        "listing_id": listing_id,
        "at": datetime.now(UTC).isoformat(),
    }
    response = client.post("/v1/events", json={"events": [event]})
    assert response.status_code == 200, response.text


def ask(client: TestClient, **asked: Any) -> dict[str, Any]:
    response = client.post("/v1/recommendations", json=asked)
    assert response.status_code == 202, response.text
    return dict(response.json())


def answered(client: TestClient, answerer: Answerer, **asked: Any) -> dict[str, Any]:
    job = ask(client, **asked)
    answerer.answer()
    result = client.get(f"/v1/recommendations/{job['id']}").json()["result"]
    assert result
    return dict(result)


def test_what_was_saved_leads_to_others(
    client: TestClient, answerer: Answerer, offered: list[str]
) -> None:
    did(client, USER, "saved", offered[0])
    result = answered(client, answerer, user=USER)
    led = [one["because"] for one in result["results"] if one["because"]]
    assert led[0] == {"listing_id": offered[0], "kind": "saved", "title": "Red kettle ☕"}
    assert result["results"][0]["photo"]["url"].startswith("/v1/photos/")
    did(client, USER, "hidden", offered[1])
    shown = answered(client, answerer, user=USER)["results"]
    assert {one["listing_id"] for one in shown} == set(offered) - {offered[1]}


def test_accepted_means_stored_though_no_broker_answers(
    client: TestClient, database: Database
) -> None:
    response = client.post("/v1/recommendations", json={})
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/recommendations/{job['id']}"
    assert (job["type"], job["status"]) == ("recommendation", "queued")
    assert client.get(response.headers["location"]).json() == job
    with database.read() as session:
        (stored,) = recent(session, 10, None)
    payload = payload_as(stored, RecommendationPayload)
    assert (payload.user, payload.listing_id, payload.limit) == (None, None, 20)
    assert payload.rank.weights == DEFAULT_WEIGHTS


def test_one_that_is_waited_for(client: TestClient, answerer: Answerer, offered: list[str]) -> None:
    with answerer.at_work():
        response = client.post("/v1/recommendations", json={}, headers={"Prefer": "wait=30"})
    assert response.status_code == 200
    assert len(response.json()["result"]["results"]) == len(offered)


def test_what_is_stated_is_asked_for(
    client: TestClient, database: Database, offered: list[str]
) -> None:
    ask(
        client,
        user=USER,
        listing_id=offered[0],
        exclude=[offered[1], offered[1]],
        exclude_seen=True,
        near={"lat": 53.8, "lon": -1.55},
        filter={"price_max": "20.00", "currency": "GBP"},
        rank={"weights": {"together": 3, "freshness": 0}, "half_days": 3},
        diversity={"per_seller": 2},
        limit=7,
    )
    with database.read() as session:
        (stored,) = (job for job in recent(session, 10, None) if job.type == "recommendation")
    payload = payload_as(stored, RecommendationPayload)
    assert payload.listing_id == UUID(offered[0])
    assert payload.exclude == (UUID(offered[1]),)
    assert payload.exclude_seen
    assert payload.near
    assert payload.near.latitude == 53.8
    assert payload.filter
    assert payload.filter.currency == "GBP"
    weights = payload.rank.weights
    assert (weights.together, weights.freshness) == (3, 0)
    assert weights.interest == DEFAULT_WEIGHTS.interest
    assert payload.rank.half_days == 3
    assert payload.diversity
    assert payload.diversity.per_seller == 2
    assert payload.limit == 7


def test_weights_are_those_that_were_learned(client: TestClient, database: Database) -> None:
    learned = RankWeights(interest=0.5, freshness=0.25, similarity=0, text=0)
    with database.write() as session:
        now = datetime.now(UTC)
        activate_ranker(session, register_ranker(session, learned, {}, now).id, now)
    job = ask(client, rank={"weights": {"freshness": 2}})
    with database.read() as session:
        payload = payload_as(get(session, UUID(job["id"])), RecommendationPayload)
    assert payload.rank.weights == replace(learned, freshness=2)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_setting_says_what_happens_to_what_was_seen(
    make_client: MakeClient, database: Database, *, exclude_seen: bool
) -> None:
    client = make_client(exclude_seen=exclude_seen)
    ask(client)
    ask(client, exclude_seen=not exclude_seen)
    with database.read() as session:
        newest, first = recent(session, 10, None)
    assert payload_as(first, RecommendationPayload).exclude_seen == exclude_seen
    assert payload_as(newest, RecommendationPayload).exclude_seen != exclude_seen


def test_pages(client: TestClient, answerer: Answerer, offered: list[str]) -> None:
    did(client, USER, "saved", offered[0])
    whole = [one["listing_id"] for one in answered(client, answerer, user=USER)["results"]]
    found: list[str] = []
    asked: dict[str, Any] = {"user": USER, "limit": 2}
    while asked:
        page = answered(client, answerer, **asked)
        assert len(page["results"]) <= 2
        found += [one["listing_id"] for one in page["results"]]
        asked = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert found == whole


def cursor(recommendation_id: str, fingerprint: str | None = None) -> str:
    now = datetime(2030, 1, 2, tzinfo=UTC)
    listed = (Listed(1, led=False), Listed(2, led=True))
    return RecommendationCursor(UUID(recommendation_id), fingerprint, now, 0, 1, listed).encode()


def test_a_cursor_of_another_encoder_has_expired(client: TestClient, database: Database) -> None:
    job = ask(client, user=USER)
    with database.write() as session:
        spec = EncoderSpec("now", 8, "a" * 64)
        now = datetime.now(UTC)
        activate_encoder(session, register_encoder(session, spec, now), now, force=True)
    stale = client.post("/v1/recommendations", json={"cursor": cursor(job["id"], "f" * 64)})
    assert_problem(stale, 410, "cursor_expired")
    for one in (cursor(job["id"], "a" * 64), cursor(job["id"])):
        assert client.post("/v1/recommendations", json={"cursor": one}).status_code == 202


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"user": ""}, 422, "invalid_input"),
        ({"user": "u" * 201}, 422, "invalid_input"),
        ({"user": "\0"}, 422, "invalid_input"),
        ({"user": 7}, 422, "invalid_input"),
        ({"listing_id": "none"}, 422, "invalid_input"),
        ({"listing_id": UNKNOWN_ID}, 404, "not_found"),
        ({"limit": 0}, 422, "invalid_input"),
        ({"limit": 101}, 422, "invalid_input"),
        ({"filter": {"status": "sold"}}, 422, "invalid_input"),
        ({"rank": {"weights": {"text": 1}}}, 422, "invalid_input"),
        ({"rank": {"weights": {"interest": -1}}}, 422, "invalid_input"),
        ({"exclude": [UNKNOWN_ID] * 1_001}, 422, "invalid_input"),
        ({"cursor": "none"}, 422, "invalid_input"),
        ({"cursor": cursor(UNKNOWN_ID)}, 404, "not_found"),
        ({"cursor": cursor(UNKNOWN_ID), "user": "u"}, 422, "invalid_input"),
        ({"users": "u"}, 422, "invalid_input"),
    ],
)
def test_bad_requests(client: TestClient, body: dict[str, Any], status: int, code: str) -> None:
    response = client.post("/v1/recommendations", json=body)
    assert_problem(response, status, code)
    assert "u" * 201 not in response.text


def test_what_is_no_json(client: TestClient) -> None:
    sent = client.post(
        "/v1/recommendations", content="{", headers={"Content-Type": "application/json"}
    )
    assert_problem(sent, 400, "malformed_body")
    assert_problem(client.post("/v1/recommendations", data={"user": "u"}), 415, "unsupported_body")


def test_a_job_of_another_type_is_no_recommendation(client: TestClient) -> None:
    search_id = submit_photo(client, "search").json()["id"]
    assert_problem(client.get(f"/v1/recommendations/{search_id}"), 404, "not_found")
    response = client.post("/v1/recommendations", json={"cursor": cursor(search_id)})
    assert_problem(response, 404, "not_found")


def test_one_can_be_cancelled(client: TestClient) -> None:
    job = ask(client)
    assert client.delete(f"/v1/recommendations/{job['id']}").json()["status"] == "cancelled"


def test_a_repeated_request_with_a_key_is_one(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/recommendations", json={"user": USER}, headers=headers)
    again = client.post("/v1/recommendations", json={"user": USER}, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]


def stored(database: Database) -> Iterator[str]:
    """All that all tables hold, as text."""
    with database.read() as session:
        for table in Base.metadata.tables:
            for row in session.execute(text(f'SELECT * FROM "{table}"')):  # noqa: S608
                yield str(tuple(row))


def test_no_table_and_no_log_names_the_user(
    client: TestClient,
    database: Database,
    answerer: Answerer,
    offered: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    did(client, USER, "saved", offered[0])
    answered(client, answerer, user=USER)
    search = {"listing_id": offered[1], "user": USER}
    assert client.post("/v1/searches", json=search).status_code == 202
    form = submit_photo(client, "search", data={"user": USER})
    assert form.status_code == 202
    keyed = {"Idempotency-Key": "k"}
    client.post("/v1/recommendations", json={"user": USER}, headers=keyed)
    assert not [row for row in stored(database) if USER in row]
    assert USER not in caplog.text


def test_searches_are_of_a_user(client: TestClient, database: Database, offered: list[str]) -> None:
    ask(client, user=USER)
    client.post("/v1/searches", json={"listing_id": offered[1], "user": USER})
    submit_photo(client, "search", data={"user": USER})
    client.post(
        "/v1/searches",
        content=jpeg(3),
        params={"user": USER},
        headers={"Content-Type": "image/jpeg"},
    )
    with database.read() as session:
        jobs = recent(session, 4, None)
    searches = [payload_as(job, SearchPayload).user for job in jobs if job.type == "search"]
    (its,) = [payload_as(job, RecommendationPayload).user for job in jobs if job.type != "search"]
    assert searches == [its] * 3


def test_what_a_user_has_hidden_is_in_no_search(
    client: TestClient, answerer: Answerer, offered: list[str]
) -> None:
    did(client, USER, "hidden", offered[2])

    def found(**asked: Any) -> set[str]:
        place = client.post("/v1/searches", json={"listing_id": offered[0], **asked})
        answerer.answer()
        results = client.get(place.headers["location"]).json()["result"]["results"]
        return {one["listing_id"] for one in results}

    assert found() == set(offered[1:])
    assert found(user=USER) == set(offered[1:]) - {offered[2]}


def test_a_saved_search_is_nobodys(client: TestClient, offered: list[str]) -> None:
    body = {"name": "n", "listing_id": offered[0], "user": USER}
    assert_problem(client.post("/v1/saved-searches", json=body), 422, "invalid_input")


def test_words_find_what_has_no_photo(
    client: TestClient, answerer: Answerer, database: Database
) -> None:
    # As one whose photos are at URLs is, until they have been fetched.
    chair = ListingData(UUID(UNKNOWN_ID), "A plain chair")
    with database.write() as session:
        upsert_listings(session, [chair], datetime.now(UTC))
    place = client.post("/v1/searches", json={"text": "chair"}).headers["location"]
    answerer.answer()
    (found,) = client.get(place).json()["result"]["results"]
    assert (found["listing_id"], found["photo"]) == (UNKNOWN_ID, None)


def test_the_reference_shows_true_examples(
    client: TestClient, answerer: Answerer, offered: list[str]
) -> None:
    did(client, USER, "saved", offered[0])
    place = client.post("/v1/recommendations", json={"user": USER, "limit": 1}).headers["location"]
    answerer.answer()
    real = client.get(place).json()
    described = client.get("/openapi.json").json()["paths"]["/v1/recommendations"]["post"]
    answer = described["responses"]["200"]["content"]["application/json"]["example"]
    answer = {**answer, "error": None, "expected_wait_s": None}  # OpenAPI leaves nulls out
    answer["result"]["generation"] = None  # as nothing was built here
    for told in (answer["result"], real["result"]):
        # Which parts there are depends on the catalogue.
        told["results"][0]["reasons"] = {}
        told["results"][0]["attributes"] = {}
    assert shape(answer) == shape(real)
    body = described["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        assert RecommendationIn.model_validate(example["value"])
    assert "$ref" not in json.dumps(body)
