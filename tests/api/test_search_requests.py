"""What a search may ask for beside one photo: examples, filters, regions, further pages."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from PIL import Image

from api.openapi import MATCH_EXAMPLE
from api.searches.ranking import IMPLIED_CATEGORY_WEIGHT, IMPLIED_WEIGHT
from api.searches.schemas import MAX_EXAMPLES, SearchIn
from db.jobs import accepting, reading
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.cursors import Cursor
from models.domain.job_payloads import SearchPayload
from models.domain.searches.block_cursors import BlockCursor
from models.domain.searches.options import OF_USERS, RankWeights
from models.domain.types import EncoderSpec, JobType, ListingMatch
from models.photo_decoding import standardise
from tests.support.answering import Answerer
from tests.support.clock import Clock
from tests.support.http import KETTLE, MakeClient, assert_problem, listing_form, shape, submit_photo
from tests.support.payloads import payload_as, some_payload
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
            return reading.get(session, UUID(response.json()["id"])).payload

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
    "seller": "ann ",
    "exclude_seller": "sam",
    "created_after": "2029-12-31T23:00:00-01:00",
    "attributes": {
        "Colour": "Red",
        "size ": ["M", 40, True],
        "year": {"min": 1999.5, "max": 2005},
        "new": False,
    },
    "status": "sold",
}


def test_a_filter_either_way(client: TestClient, payload_of: PayloadOf) -> None:
    expected = {
        "category": "Appliances / Kettles",
        "price_min": "5",
        "price_max": "12.5",
        "currency": "GBP",
        "near": {"latitude": 53.8, "longitude": -1.55, "km": 30.0},
        "seller": "ann",
        "exclude_seller": "sam",
        "created_after": "2030-01-01T00:00:00Z",
        "attributes": [
            {"name": "colour", "any_of": ["Red"]},
            {"name": "size", "any_of": ["M", 40, True]},
            {"name": "year", "any_of": [], "at_least": 1999.5, "at_most": 2005},
            {"name": "new", "any_of": [False]},
        ],
        "status": ["sold"],
    }
    by_form = send(client, ("photo", 1), filter=json.dumps(FILTER))
    by_json = ask(client, listing_id=offer(client, 1), filter=FILTER)
    assert payload_of(by_form)["filter"] == payload_of(by_json)["filter"] == expected


def test_a_filter_that_asks_for_nothing(client: TestClient, payload_of: PayloadOf) -> None:
    response = send(client, ("photo", 1), filter="{}")
    assert payload_of(response)["filter"] == {"status": ["active"], "attributes": []}


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
    '{"seller": 5}',
    '{"created_after": "2030-01-01T00:00:00"}',
    '{"created_after": "yesterday"}',
    '{"attributes": []}',
    '{"attributes": {"colour": null}}',
    '{"attributes": {"colour": []}}',
    '{"attributes": {"colour": ["a\\u0000b"]}}',
    '{"attributes": {"a\\u0000b": "red"}}',
    '{"attributes": {"year": {"min": 2, "max": 1}}}',
    '{"attributes": {"year": {"from": 2}}}',
    '{"attributes": {"year": 1e16}}',
    '{"attributes": {"year": NaN}}',
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


def test_the_subject_of_the_only_photo_either_way(
    client: TestClient, payload_of: PayloadOf
) -> None:
    offer(client, 1)
    for asked in (
        send(client, ("photo", 1), region="auto"),
        send(client, ("photo", 1), region='"auto"'),
        ask(client, positive=[name_of(1)], region="auto"),
    ):
        assert payload_of(asked)["region"] == "auto"


def test_the_subject_of_more_than_one_photo_and_other_words(client: TestClient) -> None:
    listing_id = offer(client, 1)
    for refused in (
        send(client, ("photo", 1), ("photo", 2), region="auto"),
        send(client, ("photo", 1), region="subject"),
        send(client, ("photo", 1), region='"Auto"'),
        ask(client, positive=[name_of(1), listing_id], region="auto"),
        ask(client, positive=[listing_id], region="auto"),
        ask(client, positive=[name_of(1)], region="subject"),
        ask(client, listing_id=listing_id, region="auto"),
    ):
        assert_problem(refused, 422, "invalid_input")


def test_further_pages_are_of_the_part_that_was_found(
    client: TestClient, answerer: Answerer, payload_of: PayloadOf
) -> None:
    for seed in range(1, 6):
        offer(client, seed)
    answerer.embed_listings()
    photo = Image.new("RGB", (320, 320), "white")
    photo.paste("red", (40, 40, 120, 120))
    data = io.BytesIO()
    photo.save(data, "PNG")
    fields = {"region": "auto", "limit": "2"}
    sent = client.post("/v1/searches", files={"photo": data.getvalue()}, data=fields)
    place = sent.headers["location"]
    answerer.answer()
    first = client.get(place).json()["result"]
    assert first["region"]
    mapped = answerer.encoder.mapped
    following = ask(client, cursor=first["next_cursor"])
    assert payload_of(following)["region"] == first["region"]
    answerer.answer()
    second = client.get(following.headers["location"]).json()["result"]
    assert second["region"] == first["region"]
    assert answerer.encoder.mapped == mapped
    shown = [row["listing_id"] for page in (first, second) for row in page["results"]]
    assert len(shown) == len(set(shown)) == 4


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
    {"cursor": "x", "text": "kettle"},
    {"text": ""},
    {"text": "?"},
    {"text": "-kettle"},
    {"text": "a" * 501},
    {"text": "kett\x00le"},
    {"text": "kettle", "min_similarity": 0.5},
    {"text": "kettle", "region": REGION},
    {"text": "kettle", "negative": [SOMEBODY]},
    {"text": "kettle", "rank": {"weights": {"price": -1}}},
    {"text": "kettle", "rank": {"weights": {"size": 1}}},
    {"text": "kettle", "rank": {"price": "-1"}},
    {"text": "kettle", "rank": {"half_km": 0}},
    {"text": "kettle", "near": {"lat": 91, "lon": 0}},
    {"text": "kettle", "diversity": {"strength": 1.1}},
    {"text": "kettle", "diversity": {"per_seller": 0}},
    {"text": "kettle", "fusion": "sum"},
    {"text": "kettle", "facets": ["size"]},
    {"text": "kettle", "facets": ["attributes. "]},
    {"text": "kettle", "facets": [{"name": "price", "edges": [2, 1]}]},
    {"listing_id": SOMEBODY, "min_similarity": 1.5},
    {"cursor": "malformed"},
    {"cursor": ""},
    {"cursor": "A" * 60_000},
    {"cursor": "\x00"},
]


RANKED: dict[str, Any] = {
    "text": "red ",
    "rank": {"weights": {"freshness": 0.2}, "price": "20.00", "currency": "GBP", "half_km": 5},
    "near": {"lat": 53.8, "lon": -1.55},
    "diversity": {"strength": 0.2, "per_seller": 2},
    "min_similarity": 0.25,
    "fusion": "rrf",
    "facets": ["category", {"name": "attributes.Size", "values": 3}],
}
PAYLOAD: dict[str, Any] = {
    "negative": [],
    "limit": 10,
    "text": "red ",
    "rank": {
        "weights": {
            "similarity": 1.0,
            "text": 1.0,
            "price": IMPLIED_WEIGHT,
            "distance": IMPLIED_WEIGHT,
            "freshness": 0.2,
            "category": IMPLIED_CATEGORY_WEIGHT,
            "popularity": 0.0,
            "seller": 0.0,
            **dict.fromkeys(OF_USERS, 0.0),
        },
        "price": "20.00",
        "currency": "GBP",
        "half_km": 5.0,
        "half_days": 30.0,
    },
    "near": {"latitude": 53.8, "longitude": -1.55},
    "diversity": {"strength": 0.2, "per_seller": 2},
    "min_similarity": 0.25,
    "fusion": "rrf",
    "facets": [
        {"name": "category", "values": 20, "edges": []},
        {"name": "attributes.size", "values": 3, "edges": []},
    ],
}


def test_what_counts_either_way(client: TestClient, payload_of: PayloadOf) -> None:
    listing_id = offer(client, 1)
    stored = payload_of(ask(client, listing_id=listing_id, **RANKED))
    assert stored == {"positive": [listing_id], **PAYLOAD}
    nested = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in RANKED.items()
    }
    stored = payload_of(send(client, ("photo", 1), **nested))
    assert stored == {"positive": [name_of(1)], **PAYLOAD}


def test_words_alone_rank_nothing(client: TestClient, payload_of: PayloadOf) -> None:
    stored = payload_of(ask(client, text="red kettle"))
    assert stored == {"positive": [], "negative": [], "text": "red kettle", "limit": 10}


def test_what_is_stated_counts_for_its_own_weight(
    client: TestClient, payload_of: PayloadOf
) -> None:
    near = {"lat": 1.0, "lon": 1.0}
    stored = payload_of(ask(client, text="red", near=near, rank={"weights": {"distance": 0}}))
    assert stored["rank"]["weights"]["distance"] == 0
    stored = payload_of(ask(client, text="red", rank={"popularity": " Views "}))
    assert stored["rank"]["popularity"] == "views"
    assert stored["rank"]["weights"]["popularity"] == IMPLIED_WEIGHT


def test_settings_say_what_counts_where_a_search_does_not(make_client: MakeClient) -> None:
    client = make_client(rank_weights="freshness=0.3,text=2", rank_popularity="saves")
    place = ask(client, text="red").headers["location"].rpartition("/")[2]
    assert UUID(place)
    listing_id = offer(client, 1)
    for body in ({"text": "red"}, {"listing_id": listing_id}):
        job_id = UUID(ask(client, **body).json()["id"])
        with client.app.state.resources.database.read() as session:  # type: ignore[attr-defined]
            payload = payload_as(reading.get(session, job_id), SearchPayload)
        assert payload.rank is not None
        assert payload.rank.weights == RankWeights(text=2, freshness=0.3)
        assert payload.rank.popularity == "saves"


def test_pages_through_a_ranked_search(client: TestClient, answerer: Answerer) -> None:
    """By look and words, and by words alone."""
    ids = [offer(client, seed) for seed in range(1, 6)]
    answerer.embed_listings()
    for body in (
        {"positive": [name_of(1)], "text": "kettle"},
        {"text": "kettle"},
        {"text": "kettle", "diversity": {"strength": 0.3}},
        {"positive": [name_of(1)], "near": {"lat": 1, "lon": 2}},
    ):
        response = ask(client, **body, limit=2)
        found: list[str] = []
        while True:
            place = response.headers["location"]
            answerer.answer()
            result = client.get(place).json()["result"]
            found += [row["listing_id"] for row in result["results"]]
            assert all(row["score"] is not None for row in result["results"])
            assert (result["encoder"] is None) == ("positive" not in body)
            if result["next_cursor"] is None:
                break
            response = ask(client, cursor=result["next_cursor"])
        assert sorted(found) == sorted(ids)


def test_a_cursor_of_another_kind_of_search_is_none(client: TestClient, answerer: Answerer) -> None:
    for seed in (1, 2, 3):
        offer(client, seed)
    answerer.embed_listings()
    plain = ask(client, positive=[name_of(1)], limit=1).headers["location"]
    ranked = ask(client, positive=[name_of(1)], limit=1, text="kettle").headers["location"]
    answerer.answer()
    cursor = BlockCursor.decode(client.get(ranked).json()["result"]["next_cursor"])
    wrong = replace(cursor, search_id=UUID(plain.rpartition("/")[2]))
    assert_problem(ask(client, cursor=wrong.encode()), 422, "invalid_input")


def test_bad_questions(client: TestClient) -> None:
    for body in BAD_QUESTIONS:
        assert_problem(ask(client, **body), 422, "invalid_input")


def test_positive_and_negative_at_once(client: TestClient) -> None:
    assert_problem(send(client, ("photo", 1), ("negative", 1)), 422, "invalid_input")


@pytest.mark.parametrize(("path", "name"), [("searches", {}), ("saved-searches", {"name": "n"})])
def test_too_many_photos_are_counted_for_the_caller(
    client: TestClient, path: str, name: dict[str, str]
) -> None:
    photos = [
        (part, (f"{seed}.jpg", jpeg(seed)))
        for part in ("photo", "negative")
        for seed in range(MAX_EXAMPLES)
    ]
    fields = {"text": "kettle", "fusion": "rrf", "min_similarity": "0", "limit": "1", **name}
    answer = client.post(f"/v1/{path}", files=photos, data=fields)
    assert_problem(answer, 422, "invalid_input")
    assert answer.json()["detail"] == f"At most {MAX_EXAMPLES} photos make one search."


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
        other = accepting.accept(
            session, some_payload(JobType.EMBEDDING), job_id=uuid4(), now=clock()
        )
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
    near = {"limit": "1", "near": json.dumps({"lat": 53.8, "lon": -1.55})}
    place = submit_photo(client, "search", data=near).headers["location"]
    answerer.answer()
    real = client.get(place).json()
    search = client.get("/openapi.json").json()["paths"]["/v1/searches"]["post"]
    answer = search["responses"]["200"]["content"]["application/json"]["example"]
    answer = {**answer, "error": None, "expected_wait_s": None}  # OpenAPI leaves nulls out
    answer["result"]["generation"] = None  # as nothing was built here
    # As nothing was asked for in words or by a region, and no labels are calibrated.
    answer["result"] |= {"region": None, "corrected": None, "match": None}
    answer["result"]["results"][0]["match"] = None
    assert shape(answer) == shape(real)
    body = search["requestBody"]["content"]
    for example in body["application/json"]["examples"].values():
        assert SearchIn.model_validate(example["value"])
    assert "$ref" not in json.dumps(body)
    stated = {"photo", "negative", "limit", "filter", "region", "user", *RANKED}
    assert stated == set(body["multipart/form-data"]["schema"]["properties"])
