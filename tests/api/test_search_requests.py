"""What a search may ask for beside one photo: examples, filters, regions, further pages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.openapi import MATCH_EXAMPLE
from api.searches.schemas import SearchIn
from db import jobs
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.cursors import Cursor
from models.domain.types import EncoderSpec, JobType, ListingMatch
from models.photo_decoding import standardise
from tests.support.answering import Answerer
from tests.support.clock import Clock
from tests.support.http import KETTLE, assert_problem, listing_form, shape, submit_photo
from tests.support.payloads import some_payload
from tests.support.pictures import jpeg

SOMEBODY = str(uuid4())


@pytest.fixture
def answerer(database: Database, store: PhotoStore, tmp_path: Path) -> Answerer:
    """A worker on the application's own database and store."""
    return Answerer(database, store, tmp_path / "generations")


@pytest.fixture
def payload_of(database: Database) -> Callable[[Response], dict[str, Any]]:
    """What a worker is told of a search that was accepted."""

    def read(response: Response) -> dict[str, Any]:
        assert response.status_code == 202, response.text
        with database.read() as session:
            return jobs.get(session, UUID(response.json()["id"])).payload

    return read


PayloadOf = Callable[[Response], dict[str, Any]]


def offer(client: TestClient, seed: int, **changes: Any) -> str:
    """Create a listing with a drawn picture; gives its id."""
    response = client.post("/v1/listings", **listing_form({**KETTLE, **changes}, jpeg(seed)))
    return str(response.json()["listing_id"])


def name_of(seed: int) -> str:
    """The id of a drawn picture, once it is stored."""
    return standardise(jpeg(seed)).sha256


def ask(client: TestClient, **body: Any) -> Response:
    return client.post("/v1/searches", json=body)


def send(client: TestClient, *photos: tuple[str, int], **fields: str) -> Response:
    """A form of drawn pictures by the names of their parts."""
    files = [(part, (f"{seed}.jpg", jpeg(seed), "image/jpeg")) for part, seed in photos]
    return client.post("/v1/searches", files=files, data=fields)


def test_several_photos_at_once(client: TestClient, payload_of: PayloadOf) -> None:
    response = send(client, ("photo", 1), ("photo", 2), ("negative", 3), limit="7")
    assert payload_of(response) == {
        "positive": [name_of(1), name_of(2)],
        "negative": [name_of(3)],
        "limit": 7,
    }


def test_the_same_photo_twice_counts_once(client: TestClient, payload_of: PayloadOf) -> None:
    response = send(client, ("photo", 1), ("photo", 1))
    assert payload_of(response)["positive"] == [name_of(1)]


def test_examples_by_their_ids(client: TestClient, payload_of: PayloadOf) -> None:
    first, second = offer(client, 1), offer(client, 2)
    response = ask(client, positive=[first.upper(), name_of(1)], negative=[second], limit=3)
    stated = {"positive": [first, name_of(1)], "negative": [second], "limit": 3}
    assert payload_of(response) == stated
    named = payload_of(ask(client, listing_id=first))
    assert named == {"positive": [first], "negative": [], "limit": 10}


FILTER = {
    "category": "Appliances >Kettles",
    "price_min": "5",
    "price_max": 12.5,
    "currency": "GBP",
    "near": {"lat": 53.8, "lon": -1.55, "km": 30},
    "exclude_seller": "sam",
    "status": "sold",
}


def test_a_filter_either_way(client: TestClient, payload_of: PayloadOf) -> None:
    expected = {
        "category": "Appliances / Kettles",
        "price_min": "5",
        "price_max": "12.5",
        "currency": "GBP",
        "near": {"latitude": 53.8, "longitude": -1.55, "km": 30.0},
        "exclude_seller": "sam",
        "status": ["sold"],
    }
    by_form = send(client, ("photo", 1), filter=json.dumps(FILTER))
    by_json = ask(client, listing_id=offer(client, 1), filter=FILTER)
    assert payload_of(by_form)["filter"] == payload_of(by_json)["filter"] == expected


def test_a_filter_that_asks_for_nothing(client: TestClient, payload_of: PayloadOf) -> None:
    response = send(client, ("photo", 1), filter="{}")
    assert payload_of(response)["filter"] == {"status": ["active"]}


BAD_FILTERS = [
    '{"colour": "red"}',
    '{"category": 5}',
    '{"category": "a\\u0000b"}',
    '{"price_min": -1}',
    '{"price_min": "NaN"}',
    '{"price_max": Infinity}',
    '{"price_max": 1e99}',
    '{"price_max": 0.001}',
    '{"price_min": 5, "price_max": 4}',
    '{"currency": "pounds"}',
    '{"near": {"lat": 91, "lon": 0, "km": 1}}',
    '{"near": {"lat": 0, "lon": NaN, "km": 1}}',
    '{"near": {"lat": 0, "lon": 0, "km": 0}}',
    '{"near": {"lat": 0, "lon": 0, "km": Infinity}}',
    '{"near": {"lat": 0, "lon": 0}}',
    '{"status": "deleted"}',
    '{"status": []}',
    "[]",
]


def test_bad_filters(client: TestClient) -> None:
    for text in [*BAD_FILTERS, "red", "{"]:
        assert_problem(send(client, ("photo", 1), filter=text), 422, "invalid_input")
    headers = {"Content-Type": "application/json"}
    for text in BAD_FILTERS:
        body = f'{{"listing_id": "{SOMEBODY}", "filter": {text}}}'
        response = client.post("/v1/searches", content=body, headers=headers)
        assert_problem(response, 422, "invalid_input")


def test_fields_that_a_form_does_not_have(client: TestClient) -> None:
    for name in ("limt", "photo", "cursor"):
        assert_problem(send(client, ("photo", 1), **{name: "5"}), 422, "invalid_input")
    assert_problem(send(client, ("photo", 1), ("picture", 2)), 422, "invalid_input")


REGION = {"x": 0.5, "y": 0, "w": 0.5, "h": 1}


def test_a_region_either_way(client: TestClient, payload_of: PayloadOf) -> None:
    offer(client, 1)
    by_form = send(client, ("photo", 1), ("negative", 2), region=json.dumps(REGION))
    by_json = ask(client, positive=[name_of(1)], region=REGION)
    assert payload_of(by_form)["region"] == payload_of(by_json)["region"] == REGION


BAD_REGIONS = [
    {**REGION, "w": 0.6},
    {**REGION, "x": -0.1},
    {**REGION, "h": 0},
    {**REGION, "z": 0},
    {"x": 0, "y": 0, "w": 1},
    {**REGION, "x": "NaN"},
    {**REGION, "w": 0.05},
]


def test_bad_regions(client: TestClient) -> None:
    offer(client, 1)
    for region in BAD_REGIONS:
        for response in (
            send(client, ("photo", 1), region=json.dumps(region)),
            ask(client, positive=[name_of(1)], region=region),
        ):
            assert response.status_code == 422, region
            assert response.json()["code"] in {"invalid_input", "invalid_photo"}


def test_a_region_of_more_than_one_photo(client: TestClient) -> None:
    listing_id = offer(client, 1)
    response = send(client, ("photo", 1), ("photo", 2), region=json.dumps(REGION))
    assert_problem(response, 422, "invalid_input")
    for positive in ([name_of(1), listing_id], [listing_id]):
        assert_problem(ask(client, positive=positive, region=REGION), 422, "invalid_input")


BAD_QUESTIONS: list[dict[str, Any]] = [
    {"positive": []},
    {"positive": ["no id"]},
    {"positive": [5]},
    {"positive": [SOMEBODY], "listing_id": SOMEBODY},
    {"negative": [SOMEBODY]},
    {"listing_id": SOMEBODY, "negative": [str(uuid4())]},
    {"positive": [SOMEBODY], "negative": [SOMEBODY.upper()]},
    {"positive": [str(uuid4()) for _ in range(17)]},
    {"positive": [SOMEBODY], "limit": 0},
    {"cursor": "x", "listing_id": SOMEBODY},
    {"cursor": "x", "filter": {}},
    {"cursor": "malformed"},
    {"cursor": ""},
    {"cursor": "A" * 100_000},
    {"cursor": "\x00"},
]


def test_bad_questions(client: TestClient) -> None:
    for body in BAD_QUESTIONS:
        assert_problem(ask(client, **body), 422, "invalid_input")


def test_positive_and_negative_at_once(client: TestClient) -> None:
    assert_problem(send(client, ("photo", 1), ("negative", 1)), 422, "invalid_input")


def test_unknown_examples(client: TestClient) -> None:
    known = offer(client, 1)
    for unknown in (SOMEBODY, "0" * 64):
        assert_problem(ask(client, positive=[unknown]), 404, "not_found")
        assert_problem(ask(client, positive=[known], negative=[unknown]), 404, "not_found")


def test_what_others_searched_with_is_nobody_elses(client: TestClient) -> None:
    assert send(client, ("photo", 5)).status_code == 202
    assert_problem(ask(client, positive=[name_of(5)]), 404, "not_found")


def test_photos_of_a_deleted_listing_are_not_known(client: TestClient) -> None:
    listing_id = offer(client, 1)
    assert client.delete(f"/v1/listings/{listing_id}").status_code == 204
    assert_problem(ask(client, positive=[name_of(1)]), 404, "not_found")


def cursor_of(search_id: object, fingerprint: str = "f" * 64) -> str:
    return Cursor(UUID(str(search_id)), fingerprint, ListingMatch(uuid4(), 1, 0.5)).encode()


def test_a_cursor_repeats_its_search(client: TestClient, payload_of: PayloadOf) -> None:
    first = send(client, ("photo", 1), limit="3", filter=json.dumps(FILTER))
    cursor = cursor_of(first.json()["id"])
    second = ask(client, cursor=cursor)
    assert second.json()["id"] != first.json()["id"]
    assert payload_of(second) == {**payload_of(first), "cursor": cursor}
    assert payload_of(ask(client, cursor=cursor, limit=9))["limit"] == 9
    # The next page's cursor takes this one's place.
    following = cursor_of(second.json()["id"])
    assert payload_of(ask(client, cursor=following))["cursor"] == following


def test_cursors_of_no_search(client: TestClient, database: Database, clock: Clock) -> None:
    with database.write() as session:
        other = jobs.accept(session, some_payload(JobType.EMBEDDING), job_id=uuid4(), now=clock())
    for search_id in (uuid4(), other.id):
        assert_problem(ask(client, cursor=cursor_of(search_id)), 404, "not_found")


def test_a_cursor_of_another_encoder_is_gone(
    client: TestClient, database: Database, clock: Clock
) -> None:
    search_id = submit_photo(client, "search").json()["id"]
    with database.write() as session:
        encoder_id = register_encoder(session, EncoderSpec("now", 8, "a" * 64), clock())
        activate_encoder(session, encoder_id, clock(), force=True)
    response = ask(client, cursor=cursor_of(search_id))
    assert_problem(response, 410, "cursor_expired")
    assert ask(client, cursor=cursor_of(search_id, "a" * 64)).status_code == 202


def test_pages_through_a_filtered_search(client: TestClient, answerer: Answerer) -> None:
    cheap = [offer(client, seed, price=str(seed)) for seed in range(1, 8)]
    offer(client, 8, price="100")
    offer(client, 9, price="5", status="sold")
    answerer.embed_listings()
    asked: dict[str, Any] = {"listing_id": cheap[0], "limit": 4, "filter": {"price_max": 10}}
    found: list[str] = []
    while asked:
        place = ask(client, **asked).headers["location"]
        answerer.answer()
        result = client.get(place).json()["result"]
        assert result["exact"]
        found += [row["listing_id"] for row in result["results"]]
        asked = {"cursor": result["next_cursor"]} if result["next_cursor"] else {}
    assert sorted(found) == sorted(cheap[1:])


def test_the_reference_shows_true_examples(client: TestClient, answerer: Answerer) -> None:
    for seed in (1, 2):
        offer(client, seed, attributes=MATCH_EXAMPLE["attributes"])
    answerer.embed_listings()
    place = submit_photo(client, "search", data={"limit": "1"}).headers["location"]
    answerer.answer()
    real = client.get(place).json()
    search = client.get("/openapi.json").json()["paths"]["/v1/searches"]["post"]
    answer = search["responses"]["200"]["content"]["application/json"]["example"]
    answer = {**answer, "error": None, "expected_wait_s": None}  # OpenAPI leaves nulls out
    answer["result"]["generation"] = None  # as nothing was built here
    assert shape(answer) == shape(real)
    body = search["requestBody"]["content"]
    for example in body["application/json"]["examples"].values():
        assert SearchIn.model_validate(example["value"])
    assert "$ref" not in json.dumps(body)
    assert {"photo", "negative", "limit", "filter", "region"} == set(
        body["multipart/form-data"]["schema"]["properties"]
    )
