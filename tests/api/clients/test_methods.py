"""HEAD, OPTIONS, conditional requests and old HTTP versions, over a real connection."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from tests.support.http import KETTLE, UNKNOWN_ID
from tests.support.pictures import jpeg
from tests.support.raw_http import BOUNDARY, RawServer, form_of, serving

PHOTO = ('Content-Disposition: form-data; name="photo"; filename="a.jpg"', jpeg(1))
LISTING = [
    ('Content-Disposition: form-data; name="listing"', json.dumps(KETTLE).encode()),
    ('Content-Disposition: form-data; name="photos"; filename="a.jpg"', jpeg(1)),
]
# What differs between two requests for the same.
VARYING = {"date", "ratelimit", "x-request-id"}


@pytest.fixture
def places(server: RawServer) -> dict[str, str]:
    """Paths of what exists, by the names of parameters in the paths of the reference."""
    listing = json.loads(server.post_form("/v1/listings", *LISTING).body)
    path = f"/v1/listings/{listing['listing_id']}"
    photo = json.loads(server.ask(f"GET {path}").body)["photos"][0]["id"]
    ids = {"sha256": photo, "listing_id": listing["listing_id"]}
    for kind, name in (("searches", "search_id"), ("embeddings", ""), ("predictions", "")):
        accepted = json.loads(server.post_form(f"/v1/{kind}", PHOTO).body)
        ids[name or f"job_id of /v1/{kind}"] = accepted["id"]
    return {**ids, "job_id of /v1/jobs": ids["search_id"]}


def filled(path: str, ids: dict[str, str]) -> str:
    """A path of the reference with ids of what exists."""
    head, _, rest = path.partition("{")
    if not rest:
        return path
    name, _, tail = rest.partition("}")
    found = ids.get(name) or ids.get(f"{name} of {head.rstrip('/')}") or UNKNOWN_ID
    return head + found + tail


def test_head_wherever_get_is(server: RawServer, places: dict[str, str]) -> None:
    described = json.loads(server.ask("GET /openapi.json").body)["paths"]
    read = [filled(path, places) for path, calls in described.items() if "get" in calls]
    other = ["/", "/docs", "/openapi.json", "/static/app.js", "/v1/photos/nothing", "/nowhere"]
    asked = [path for path in [*read, *other] if not path.endswith("/events")]
    assert len(asked) > 15
    for path in asked:
        got, head = (server.ask(f"{method} {path}") for method in ("GET", "HEAD"))
        assert head.status == got.status, path
        assert head.body == b"", path
        differing = {name for name, value in got.headers.items() if head.headers.get(name) != value}
        # Each request is counted, and makes what is told of them longer.
        if path != "/metrics":
            # The policy of the reference is made of its body, which HEAD has none of.
            made_of_body = {"content-security-policy"} if path == "/docs" else set()
            assert differing <= VARYING | made_of_body, path
            assert head.headers["content-length"] == str(len(got.body)), path


def test_a_stream_of_events_has_no_head(server: RawServer, places: dict[str, str]) -> None:
    described = json.loads(server.ask("GET /openapi.json").body)["paths"]
    streams = [path for path, calls in described.items() if "text/event-stream" in str(calls)]
    assert streams == [
        "/v1/searches/{search_id}/events",
        "/v1/recommendations/{recommendation_id}/events",
        "/v1/jobs/{job_id}/events",
    ]
    for path in (f"/v1/searches/{places['search_id']}", f"/v1/jobs/{places['search_id']}"):
        response = server.ask(f"HEAD {path}/events")
        assert (response.status, response.headers["allow"]) == (405, "GET, OPTIONS")


def test_a_head_is_no_range(server: RawServer) -> None:
    response = server.ask("HEAD /static/app.js", "Range: bytes=0-9")
    assert (response.status, response.body) == (200, b"")
    assert server.ask("GET /static/app.js", "Range: bytes=0-9").status == 206


ALLOWED = [
    ("/", "GET, HEAD, OPTIONS"),
    ("/healthz", "GET, HEAD, OPTIONS"),
    ("/openapi.json", "GET, HEAD, OPTIONS"),
    ("/docs", "GET, HEAD, OPTIONS"),
    ("/static/app.js", "GET, HEAD, OPTIONS"),
    ("/v1/listings", "GET, HEAD, POST, OPTIONS"),
    (f"/v1/listings/{UNKNOWN_ID}", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
    ("/v1/listings:batch", "POST, OPTIONS"),
    ("/v1/searches", "POST, OPTIONS"),
    (f"/v1/searches/{UNKNOWN_ID}", "GET, HEAD, DELETE, OPTIONS"),
    (f"/v1/jobs/{UNKNOWN_ID}/events", "GET, OPTIONS"),
]


@pytest.mark.parametrize(("path", "allowed"), ALLOWED)
def test_allow_tells_the_truth(server: RawServer, path: str, allowed: str) -> None:
    options = server.ask(f"OPTIONS {path}")
    assert (options.status, options.headers["allow"], options.body) == (204, allowed, b"")
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
        response = server.ask(f"{method} {path}")
        if method in allowed.split(", "):
            assert response.status != 405, method
        else:
            assert (response.status, response.headers["allow"]) == (405, allowed), method
    assert server.ask(f"PATCH {path}").headers["content-type"] == "application/problem+json"


def test_options_of_nothing(server: RawServer) -> None:
    assert server.ask("OPTIONS /nowhere").status == 404


def test_methods_are_described_once(server: RawServer) -> None:
    described = json.loads(server.ask("GET /openapi.json").body)["paths"]
    assert not [path for path, calls in described.items() if {"head", "options"} & set(calls)]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_health_check_of_http_1_0_without_a_host(server: RawServer, path: str) -> None:
    expected = server.ask(f"GET {path}").status
    for method in ("GET", "HEAD"):
        response = server.send(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        assert response.status == expected != 403
    assert server.ask("GET /healthz").status == 200


def test_a_request_with_an_absolute_target(server: RawServer) -> None:
    response = server.ask(f"GET http://127.0.0.1:{server.port}/healthz?a=b")
    assert (response.status, json.loads(response.body)) == (200, {"status": "alive"})


@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.example",
        "Host: 127.0.0.1.evil.example",
        "Origin: http://evil.example",
        "Origin: null",
        "Host: \r\nOrigin: http://evil.example",
    ],
)
def test_pages_of_others_are_refused_as_before(server: RawServer, headers: str) -> None:
    for version in ("1.0", "1.1"):
        for method in ("GET", "HEAD", "OPTIONS"):
            head = f"{method} /healthz HTTP/{version}\r\n{headers}\r\nConnection: close\r\n\r\n"
            assert server.send(head.encode()).status == 403


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_of_a_key_in_any_case(
    make_app: Callable[..., FastAPI], key: Callable[..., dict[str, str]], scheme: str
) -> None:
    secret = key("search")["Authorization"].removeprefix("Bearer ")
    with serving(make_app(host="192.0.2.1")) as server:
        for method in ("GET", "HEAD"):
            assert server.ask(f"{method} /v1/listings").status == 401
            line = f"Authorization: {scheme} {secret}"
            assert server.ask(f"{method} /v1/listings", line).status == 200


def test_photos_and_pages_that_the_client_has(server: RawServer, places: dict[str, str]) -> None:
    for path in (f"/v1/photos/{places['sha256']}", "/", "/static/style.css"):
        whole = server.ask(f"GET {path}")
        tag = whole.headers["etag"]
        assert whole.body
        for stated in (tag, f"W/{tag}", f'"x", {tag}', f'"a,b",W/{tag} , "y"', "*"):
            for method in ("GET", "HEAD"):
                held = server.ask(f"{method} {path}", f"If-None-Match: {stated}")
                assert (held.status, held.body) == (304, b""), stated
                assert held.headers["etag"] == tag
        for stated in ('"x"', f'"{tag[1:-2]}"', tag.strip('"'), ""):
            assert server.ask(f"GET {path}", f"If-None-Match: {stated}").status == 200
    two = ['If-None-Match: "x"', f'If-None-Match: "{places["sha256"]}"']
    assert server.ask(f"GET /v1/photos/{places['sha256']}", *two).status == 304


def test_what_is_held_of_a_deleted_listing_is_gone(
    server: RawServer, places: dict[str, str]
) -> None:
    assert server.ask(f"DELETE /v1/listings/{places['listing_id']}").status == 204
    response = server.ask(f"GET /v1/photos/{places['sha256']}", "If-None-Match: *")
    assert response.status == 404


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "identity, gzip", "x-what"])
def test_a_compressed_body_is_refused_in_words(server: RawServer, coding: str) -> None:
    plain = form_of(PHOTO)
    body = zlib.compress(plain) if coding == "deflate" else gzip.compress(plain)
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    response = server.ask("POST /v1/searches", kind, f"Content-Encoding: {coding}", body=body)
    assert response.status == 415
    assert response.headers["accept-encoding"] == "identity"
    assert response.headers["content-type"] == "application/problem+json"
    problem = json.loads(response.body)
    assert problem["code"] == "unsupported_body"
    assert "compressed" in problem["detail"]


@pytest.mark.parametrize("coding", ["identity", "", "Identity, identity"])
def test_a_body_that_is_said_not_to_be_compressed(server: RawServer, coding: str) -> None:
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    line = f"Content-Encoding: {coding}"
    assert server.ask("POST /v1/searches", kind, line, body=form_of(PHOTO)).status == 202
