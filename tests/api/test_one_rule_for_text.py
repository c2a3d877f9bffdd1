"""What the API takes, it takes by the rules of the feed: what it shows can be asked for."""

import json
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import given
from hypothesis import strategies as st

from api.listings.schemas import ListingIn
from api.searches.schemas import FilterIn
from db.session import Database
from db.store.photo_store import PhotoStore
from etl.clean.transform import parse_category, parse_name
from models.domain.limits import MAX_DESCRIPTION, MAX_LOCATION, MAX_SELLER, MAX_TITLE
from tests.support.answering import Answerer
from tests.support.feeds import image_row, listing_id, write_feed
from tests.support.http import assert_problem, create_listing, listing_form, send_batch
from tests.support.pictures import jpeg
from tests.support.redis import broker_at
from tests.support.seeding import intake_context_in, seeder
from workers.queue.publisher import JobPublisher

NDJSON = "application/x-ndjson"

# How a feed spells categories and sellers, and how the API shows them.
SPELT = {
    "TV/DVD": "TV/DVD",
    "Electronics / TV/DVD": "Electronics / TV/DVD",
    "Home>Garden": "Home / Garden",
    "Home / Bed/Bath": "Home / Bed/Bath",
    "Cafe\u0301\xa0 & The\u0301": "Caf\u00e9 & Th\u00e9",
}
SELLERS = ["Jose\u0301\xa0 Garci\u0301a", "sam  4711", "o\u2019brien", "TV/DVD", "Home>Garden"]
SHOWN_SELLERS = ["Jos\u00e9 Garc\u00eda", "sam 4711", "o\u2019brien", "TV/DVD", "Home>Garden"]


def spellings(text: str) -> set[str]:
    """Other ways to write a text whose difference nobody sees."""
    decomposed = unicodedata.normalize("NFD", text)
    return {
        decomposed,
        decomposed.replace(" ", "\xa0"),
        f"\u200b {text.replace(' ', '  ')}\xa0",
        f"\n{text.replace(' ', chr(0x2009))}\t",
    }


@pytest.fixture
def answerer(database: Database, store: PhotoStore, tmp_path: Path) -> Answerer:
    """A worker on the application's own database and store."""
    return Answerer(database, store, tmp_path / "generations")


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[JobPublisher]:
    """A publisher whose broker is down."""
    opened = JobPublisher(broker_at(f"redis+socket://{tmp_path}/nothing.sock"))
    yield opened
    opened.close()


@pytest.fixture
def seed_again(
    tmp_path: Path,
    database: Database,
    store: PhotoStore,
    answerer: Answerer,
    publisher: JobPublisher,
) -> Callable[[], int]:
    """Seeds a feed of these categories and sellers; returns how many listings it has changed."""
    rows = [
        [str(listing_id(number)), "Lamp  one", category, "Two  lines.\rGood.\xa0", "£5", place, who]
        for number, (category, who, place) in enumerate(
            zip(SPELT, SELLERS, ["Orle\u0301ans,\xa0 Loiret"] * len(SPELT), strict=True)
        )
    ]
    images = [image_row(number, number) for number in range(len(rows))]
    feed = write_feed(tmp_path / "feed", [], images, {n: jpeg(n) for n in range(len(rows))})
    header = [
        "id",
        "product_name",
        "category",
        "product_description",
        "price",
        "location",
        "seller",
    ]
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in [header, *rows])
    (feed / "Products.csv").write_text(text + "\n", encoding="utf-8", newline="")
    run = seeder(intake_context_in(tmp_path, store), publisher, lambda: datetime.now(UTC))

    def seed() -> int:
        seeded = run(feed, database, encoder=answerer.encoder.spec)
        assert not seeded.rejects
        return seeded.loaded.listings.created + seeded.loaded.listings.updated

    assert seed() == len(rows)
    answerer.embed_listings()
    return seed


def found(client: TestClient, answerer: Answerer, **wanted: str) -> set[str]:
    """The ids of the listings that a search by the first one's photo finds."""
    body = {"positive": [shown(client, 0)["photos"][0]["id"]], "filter": wanted}
    response = client.post("/v1/searches", json=body)
    assert response.status_code == 202, response.text
    answerer.answer()
    results = client.get(response.headers["location"]).json()["result"]["results"]
    return {item["listing_id"] for item in results}


def shown(client: TestClient, number: int) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/v1/listings/{listing_id(number)}").json()
    return answer


def test_what_a_feed_has_brought_is_found_as_it_is_spelt_and_shown(
    client: TestClient, answerer: Answerer, seed_again: Callable[[], int]
) -> None:
    del seed_again
    everybody = {str(listing_id(number)) for number in range(len(SPELT))}
    assert found(client, answerer) == everybody
    for number, (written, path) in enumerate(SPELT.items()):
        assert shown(client, number)["category"] == path
        for spelt in {written, path, *spellings(path)}:
            assert found(client, answerer, category=spelt) == {str(listing_id(number))}, spelt
    for number, (written, name) in enumerate(zip(SELLERS, SHOWN_SELLERS, strict=True)):
        assert shown(client, number)["seller"] == name
        for spelt in {written, name, *spellings(name)}:
            rest = everybody - {str(listing_id(number))}
            assert found(client, answerer, exclude_seller=spelt) == rest, spelt
    assert found(client, answerer, category="Electronics") == {str(listing_id(1))}
    assert found(client, answerer, category="TV / DVD") == set()
    assert found(client, answerer, category="tv/dvd") == set()


def test_putting_what_is_shown_changes_nothing(
    client: TestClient, seed_again: Callable[[], int]
) -> None:
    before = [shown(client, number) for number in range(len(SPELT))]
    assert before[0]["title"] == "Lamp one"
    assert before[0]["description"] == "Two lines.\nGood."
    assert before[0]["location"] == "Orl\u00e9ans, Loiret"
    rows = []
    for number, listing in enumerate(before):
        stated = {name: listing[name] for name in ListingIn.model_fields}
        place = f"/v1/listings/{listing['id']}"
        assert client.put(place, **listing_form(stated, jpeg(number))).status_code == 202
        rows.append(stated | {"id": listing["id"], "photos": [listing["photos"][0]["id"]]})
    in_bulk = send_batch(client, "\n".join(map(json.dumps, rows)), NDJSON)
    assert in_bulk.json()["result"]["accepted"] == len(rows)
    # `updated_at` is among what is compared.
    assert [shown(client, number) for number in range(len(SPELT))] == before
    assert seed_again() == 0


@pytest.mark.parametrize("way", ["one", "bulk", "csv"])
def test_what_the_api_takes_is_spelt_as_a_feed_is(
    client: TestClient, answerer: Answerer, way: str
) -> None:
    stated = {
        "title": " Cafe\u0301\xa0 table\n",
        "category": "Home\n& Garden>Cafe\u0301 / TV/DVD ",
        "description": "Two  lines.\r\n\n\n\nGo\u200bod.\xa0",
        "location": "Orle\u0301ans,\xa0 Loiret",
        "seller": "Jose\u0301\u2003Garci\u0301a",
    }
    if way == "one":
        assert create_listing(client, **stated).status_code == 202
    elif way == "bulk":
        send_batch(client, json.dumps(stated | {"photos": ["a"]}), NDJSON, a=jpeg(1))
    else:
        cells = ",".join(f'"{cell}"' for cell in [*stated.values(), "a"])
        send_batch(client, f"{','.join(stated)},photos\n{cells}\n", "text/csv", a=jpeg(1))
    (listing,) = client.get("/v1/listings").json()["items"]
    assert {name: listing[name] for name in stated} == {
        "title": "Caf\u00e9 table",
        "category": "Home & Garden / Caf\u00e9 / TV/DVD",
        "description": "Two lines.\n\nGood.",
        "location": "Orl\u00e9ans, Loiret",
        "seller": "Jos\u00e9 Garc\u00eda",
    }
    answerer.embed_listings()
    place = client.post("/v1/predictions", files={"photo": ("p.jpg", jpeg(1))}).headers["location"]
    answerer.answer()
    (told,) = client.get(place).json()["result"]["categories"]
    assert told["category"] == listing["category"]


def test_text_that_shows_nothing_is_not_stated(client: TestClient) -> None:
    nothing = " \u200b\xa0\n"
    names = ("category", "location", "seller")
    assert create_listing(client, **dict.fromkeys(names, nothing)).status_code == 202
    (listing,) = client.get("/v1/listings").json()["items"]
    assert [listing[name] for name in names] == [None] * 3
    assert_problem(create_listing(client, title=nothing), 422, "invalid_input")
    stated = FilterIn.model_validate({"category": " > ", "exclude_seller": nothing}).to_filter()
    assert not stated.narrows


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("title", MAX_TITLE),
        ("description", MAX_DESCRIPTION),
        ("location", MAX_LOCATION),
        ("seller", MAX_SELLER),
    ],
)
def test_limits_are_those_of_what_remains(field: str, most: int) -> None:
    def taken(text: str) -> str:
        listing = ListingIn.model_validate({"title": "x", field: text})
        return str(getattr(listing, field))

    assert len(taken("e\u0301" * most + " \u200b" * most)) == most
    assert taken("e\u0301" * most) == "\u00e9" * most
    # U+0958 has no composed form: it is two characters in NFC.
    for long in ("x" * (most + 1), "x" * (most - 1) + "\u0958"):
        with pytest.raises(ValueError, match=field):
            taken(long)


@pytest.mark.parametrize("text", ["a\0b", "\0"])
def test_nul_is_refused_in_every_text(text: str) -> None:
    for field in ("title", "description", "category", "location", "seller"):
        with pytest.raises(ValueError, match="NUL"):
            ListingIn.model_validate({"title": "x", field: text})
    for field in ("category", "exclude_seller"):
        with pytest.raises(ValueError, match="NUL"):
            FilterIn.model_validate({field: text})


def test_half_of_a_surrogate_pair_is_refused_in_every_text(client: TestClient) -> None:
    half = "a\ud800"
    for field in ("title", "description", "category", "location", "seller"):
        with pytest.raises(ValueError, match="surrogate"):
            ListingIn.model_validate({"title": "x", field: half})
        assert create_listing(client, **{field: half}).status_code in {400, 422}
        row = json.dumps({"title": "x", "photos": ["a"], field: half})
        for rows in (row, f"[{row}]"):
            answer = send_batch(client, rows, "application/json", a=jpeg(1)).json()
            assert [error["row"] for error in answer["result"]["errors"]] == [1]
    for field in ("category", "exclude_seller"):
        with pytest.raises(ValueError, match="surrogate"):
            FilterIn.model_validate({field: half})
        assert post_filter(client, {field: half}).status_code in {400, 422}
    assert client.get("/v1/listings").json()["items"] == []


def post_filter(client: TestClient, wanted: dict[str, str]) -> Response:
    """Ask for a search by a photo with this filter."""
    return client.post(
        "/v1/searches", data={"filter": json.dumps(wanted)}, files={"photo": ("p.jpg", jpeg(1))}
    )


@given(
    st.lists(
        st.sampled_from("/ >aÉ\n\xa0\u0301\u0338\u200b")
        | st.characters(codec="utf-8", exclude_characters="\0"),
        max_size=12,
    ).map("".join)
)
def test_feed_and_api_agree_on_any_text(text: str) -> None:
    stated = ListingIn.model_validate({"title": "x", "category": text, "seller": text})
    listing = stated.to_data(listing_id(1))
    assert parse_category(text) in {listing.category, None}
    assert parse_name(text) in {listing.seller, None}
    wanted = FilterIn.model_validate({"category": text, "exclude_seller": text}).to_filter()
    assert (wanted.category, wanted.exclude_seller) == (listing.category, listing.seller)
    shown = ListingIn.model_validate(
        {"title": "x", "category": listing.category, "seller": listing.seller}
    )
    assert shown.to_data(listing_id(1)) == listing


def test_rows_name_photo_parts_in_any_spelling(client: TestClient) -> None:
    parts = {"cafe\u0301\xa0table.jpg": jpeg(1), "sam": jpeg(2)}
    row = {"title": "Table", "photos": ["Caf\u00e9 table.jpg".lower(), " sam\u200b"]}
    answer = send_batch(client, json.dumps(row), NDJSON, **parts).json()
    assert answer["result"]["errors"] == []
    (listing,) = client.get("/v1/listings").json()["items"]
    assert len(listing["photos"]) == 2


def test_two_photos_under_one_name_are_refused(client: TestClient) -> None:
    row = json.dumps({"title": "Table", "photos": ["caf\u00e9"]})
    parts = {"caf\u00e9": jpeg(1), "cafe\u0301": jpeg(2)}
    assert_problem(send_batch(client, row, NDJSON, **parts), 422, "invalid_input")
