"""Forms as browsers and other clients send them, over a real connection."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.jobs import reading
from db.session import Database
from models.photo_decoding import standardise
from tests.support.http import KETTLE, assert_problem, listing_form, submit_photo
from tests.support.pictures import jpeg
from tests.support.raw_http import RawResponse, RawServer

Payload = Callable[[], dict[str, Any]]

PHOTO = ('Content-Disposition: form-data; name="photo"; filename="a.jpg"', jpeg(1))
# What browsers send for a file input in which no file was chosen.
NO_FILE = 'filename=""\r\nContent-Type: application/octet-stream'
FILTER = {"category": "Appliances", "price_max": "25.00"}
REGION = {"x": 0.5, "y": 0.0, "w": 0.5, "h": 1.0}
AS_BLOB = 'filename="blob"\r\nContent-Type: application/json'
# How clients mark a part that has JSON.
MARKS = [
    "",
    AS_BLOB,
    "\r\nContent-Type: application/json",
    "\r\nContent-Type: Application/JSON; charset=UTF-8",
    "\r\nContent-Type: text/plain; charset=us-ascii",
    "filename*=UTF-8''filter.json",
    "filename=filter.json\r\nContent-Type: application/octet-stream",
    "\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit",
]
# How clients call the file that holds a photo.
FILE_NAMES = [
    'filename="photo.jpg"',
    "filename=photo.jpg",
    'filename=""',
    "filename*=UTF-8''f%C3%B6to.jpg",
    "filename=\"a.jpg\"; filename*=UTF-8''f%C3%B6to.jpg",
    'filename="föto ☕.jpg"',
    'filename="a\\"b\\\\c.jpg"',
    'filename="C:\\photos\\kettle.jpg"',
    'FileName="PHOTO.JPG"',
    "",
]


def part(name: str, mark: str, data: bytes | str = b"") -> tuple[str, bytes]:
    """The headers of a part and its bytes."""
    mark = mark if not mark or mark.startswith("\r\n") else f"; {mark}"
    head = f'Content-Disposition: form-data; name="{name}"{mark}'
    return head, data if isinstance(data, bytes) else data.encode()


@pytest.fixture
def payload(database: Database) -> Payload:
    """What a worker is told of the job accepted last."""

    def read() -> dict[str, Any]:
        with database.read() as session:
            return reading.recent(session, 1, None)[0].payload

    return read


def assert_accepted(response: RawResponse) -> None:
    assert response.status == 202, response.body


def test_fields_left_empty_are_as_if_not_sent(server: RawServer, payload: Payload) -> None:
    assert_accepted(server.post_form("/v1/searches", PHOTO))
    plain = payload()
    empty = [part(name, "") for name in ("limit", "filter", "region", "negative", "photo")]
    files = [part(name, NO_FILE) for name in ("negative", "photo", "filter")]
    assert_accepted(server.post_form("/v1/searches", *files, *empty, PHOTO))
    assert payload() == plain


def test_no_file_was_chosen(server: RawServer) -> None:
    for path in ("searches", "embeddings", "predictions"):
        response = server.post_form(f"/v1/{path}", part("photo", NO_FILE))
        assert response.status == 422
        assert b"needs a file in its part" in response.body


@pytest.mark.parametrize("path", ["embeddings", "predictions"])
def test_a_second_file_left_empty(server: RawServer, path: str) -> None:
    empty = [part("photo", NO_FILE), part("top", ""), part("submit", "")]
    assert_accepted(server.post_form(f"/v1/{path}", PHOTO, *empty))


def test_empty_inputs_of_a_listing(server: RawServer) -> None:
    listing = part("listing", "", json.dumps(KETTLE))
    photo = part("photos", FILE_NAMES[0], jpeg(1))
    assert_accepted(server.post_form("/v1/listings", listing, photo, part("photos", NO_FILE)))
    response = server.post_form("/v1/listings", part("listing", ""), photo)
    assert response.status == 422
    assert b"needs a part 'listing'" in response.body


def test_empty_inputs_of_a_bulk_form(server: RawServer) -> None:
    rows = part("listings", "filename=rows.csv", "title,photos\nLamp,a\n")
    empty = [part("b", NO_FILE), part("listings", NO_FILE), part("c", "")]
    response = server.post_form("/v1/listings:batch", rows, part("a", "", jpeg(1)), *empty)
    assert json.loads(response.body)["result"]["accepted"] == 1


@pytest.mark.parametrize("mark", MARKS)
def test_json_in_a_part_however_it_is_marked(
    server: RawServer, payload: Payload, mark: str
) -> None:
    parts = [
        part("filter", mark, json.dumps(FILTER)),
        part("region", mark, json.dumps(REGION)),
        part("limit", mark, "7"),
    ]
    assert_accepted(server.post_form("/v1/searches", PHOTO, *parts))
    told = payload()
    assert told["filter"]["category"] == FILTER["category"]
    assert (told["region"], told["limit"]) == (REGION, 7)
    listing = part("listing", mark, json.dumps(KETTLE))
    assert_accepted(server.post_form("/v1/listings", listing, part("photos", "", jpeg(1))))
    assert_accepted(server.post_form("/v1/predictions", PHOTO, part("top", mark, "7")))
    assert payload()["top"] == 7


@pytest.mark.parametrize("charset", ["utf-8", "UTF-16", "iso-8859-1", "windows-1252"])
def test_json_in_the_charset_that_its_part_states(server: RawServer, charset: str) -> None:
    title = "Kettle “café”" if charset != "iso-8859-1" else "Kettle café"
    text = json.dumps({**KETTLE, "title": title}, ensure_ascii=False)
    mark = f'\r\nContent-Type: text/plain; charset="{charset}"'
    listing = part("listing", mark, text.encode(charset))
    response = server.post_form("/v1/listings", listing, part("photos", "", jpeg(1)))
    assert_accepted(response)
    path = f"/v1/listings/{json.loads(response.body)['listing_id']}"
    assert json.loads(server.ask(f"GET {path}").body)["title"] == title


@pytest.mark.parametrize("mark", ["", AS_BLOB, "\r\nContent-Type: text/plain; charset=idna"])
def test_text_that_is_no_utf_8(server: RawServer, mark: str) -> None:
    listing = part("listing", mark, b'{"title": "caf\xe9"}')
    response = server.post_form("/v1/listings", listing, part("photos", "", jpeg(1)))
    assert response.status == 422
    assert b"The part 'listing' is not UTF-8." in response.body


@pytest.mark.parametrize("kind", ["", "\r\nContent-Type: image/jpeg"])
@pytest.mark.parametrize("file_name", FILE_NAMES)
def test_a_photo_whatever_its_file_is_called(
    server: RawServer, payload: Payload, file_name: str, kind: str
) -> None:
    # Larger than what starlette lets a part without a file name be.
    data = jpeg(1) + bytes(2_000_000)
    for path in ("searches", "embeddings", "predictions"):
        assert_accepted(server.post_form(f"/v1/{path}", part("photo", file_name + kind, data)))
    assert payload()["photo"] == standardise(jpeg(1)).sha256


NAMES = ["front", "f r o n t", "фото ☕", "a.jpg", "a\\b", "50%", "%22", "a'b", "x" * 300]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file_name", FILE_NAMES[:1] + FILE_NAMES[3:5] + FILE_NAMES[-1:])
def test_photos_of_rows_by_the_names_of_their_parts(
    server: RawServer, name: str, file_name: str
) -> None:
    row = json.dumps({"title": "Lamp", "photos": [name]})
    photo = part(name.replace("\\", "\\\\"), file_name, jpeg(1))
    response = server.post_form("/v1/listings:batch", part("listings", "", row), photo)
    assert json.loads(response.body)["result"]["errors"] == []


@pytest.mark.parametrize("written", ['7\\" lamp', "7%22 lamp", " 7%22 lamp "])
def test_quotes_in_the_name_of_a_part(server: RawServer, written: str) -> None:
    row = json.dumps({"title": "Lamp", "photos": ['7" lamp']})
    photo = part(written, FILE_NAMES[0], jpeg(1))
    response = server.post_form("/v1/listings:batch", part("listings", "", row), photo)
    assert json.loads(response.body)["result"]["errors"] == []


def test_two_photos_of_one_name_are_not_told_apart(client: TestClient) -> None:
    files = [
        ("listings", ("rows", b'{"title": "Lamp", "photos": ["photos"]}')),
        *[("photos", (f"{seed}.jpg", jpeg(seed))) for seed in (1, 2)],
    ]
    response = client.post("/v1/listings:batch", files=files)
    assert_problem(response, 422, "invalid_input")
    assert "Two parts are named" in response.json()["detail"]


def test_a_path_in_place_of_a_file(client: TestClient) -> None:
    files = {"photo": (None, "kettle.jpg")}
    response = client.post("/v1/searches", files=files)
    assert_problem(response, 422, "invalid_input")
    assert "-F photo=@FILE" in response.json()["detail"]


def test_a_part_that_is_encoded(server: RawServer) -> None:
    mark = f"{FILE_NAMES[0]}\r\nContent-Transfer-Encoding: base64"
    response = server.post_form("/v1/searches", part("photo", mark, b"/9j/4AAQ"))
    assert response.status == 422
    assert b"base64" in response.body


@pytest.mark.parametrize(
    ("kind", "wrong", "near"),
    [("search", "limt", "limit"), ("prediction", "tpo", "top"), ("embedding", "fotos", "photo")],
)
def test_a_part_that_is_not_known_is_refused(
    client: TestClient, kind: str, wrong: str, near: str
) -> None:
    response = submit_photo(client, kind, data={wrong: "5"})
    assert_problem(response, 422, "invalid_input")
    assert f"'{wrong}' is unknown; did you mean '{near}'?" in response.json()["detail"]


def test_a_photo_of_a_listing_in_a_part_that_is_not_known(client: TestClient) -> None:
    form = listing_form(KETTLE, jpeg(1))
    form["files"].append(("photo", ("2.jpg", jpeg(2))))
    response = client.post("/v1/listings", **form)
    assert_problem(response, 422, "invalid_input")
    assert "'photo' is unknown; did you mean 'photos'?" in response.json()["detail"]


def test_a_field_twice(client: TestClient) -> None:
    response = submit_photo(client, "search", data={"limit": ["3", "4"]})
    assert_problem(response, 422, "invalid_input")
    assert "takes one" in response.json()["detail"]


def test_more_photos_than_a_call_takes(client: TestClient) -> None:
    two = [("photo", (f"{seed}.jpg", jpeg(seed))) for seed in (1, 2)]
    assert_problem(client.post("/v1/embeddings", files=two), 422, "invalid_input")
    seventeen = two * 8 + [("negative", ("3.jpg", jpeg(3)))]
    assert_problem(client.post("/v1/searches", files=seventeen), 422, "invalid_input")


EMPTY_PARTS = st.lists(
    st.tuples(
        st.sampled_from(["limit", "filter", "region", "negative", "photo", "submit"]),
        st.sampled_from(["", NO_FILE, "\r\nContent-Type: text/plain"]),
    ),
    max_size=6,
)


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    database=None,
)
@given(
    before=EMPTY_PARTS,
    after=EMPTY_PARTS,
    file_name=st.sampled_from(FILE_NAMES),
    mark=st.sampled_from(MARKS),
)
def test_any_form_of_a_search(
    server: RawServer,
    payload: Payload,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    file_name: str,
    mark: str,
) -> None:
    parts = [
        *[part(*stated) for stated in before],
        part("photo", file_name, jpeg(1)),
        part("filter", mark, json.dumps(FILTER)),
        *[part(*stated) for stated in after],
    ]
    assert_accepted(server.post_form("/v1/searches", *parts))
    told = payload()
    assert told["positive"] == [standardise(jpeg(1)).sha256]
    assert (told["negative"], told["limit"]) == ([], 10)
    assert told["filter"]["price_max"] == FILTER["price_max"]
