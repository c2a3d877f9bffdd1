"""Rates as callers meet them: 429, `Retry-After`, `RateLimit`; and bulk requests at once."""

import json
import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.limits.bulk_slots import BulkSlots
from models.domain.errors import RateLimited
from models.domain.types import Scope
from tests.support.http import KETTLE, MakeClient, assert_problem, send_batch, submit_photo

Key = Callable[..., dict[str, str]]

SERVED = {"host": "192.0.2.1"}
ROWS = json.dumps({**KETTLE, "photos": ["a"]})


def test_a_key_over_its_rate_is_told_when_to_come_again(make_client: MakeClient, key: Key) -> None:
    client = make_client(**SERVED, rate_reads="2/minute", rate_address="100/minute")
    searcher = key(Scope.SEARCH)
    first = client.get("/v1/listings", headers=searcher)
    assert first.headers["ratelimit-policy"] == '"reads";q=2;w=60, "address";q=100;w=60'
    assert re.fullmatch(
        r'"reads";r=1;t=(59|60), "address";r=99;t=(59|60)', first.headers["ratelimit"]
    )
    assert client.get("/v1/listings", headers=searcher).status_code == 200
    refused = client.get("/v1/listings", headers=searcher)
    assert_problem(refused, 429, "rate_limited")
    assert 58 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"].startswith('"reads";r=0;t=')
    # Other kinds of requests have rates of their own, and health has none.
    assert submit_photo(client, "search", headers=searcher).status_code == 202
    assert client.get("/healthz").status_code == 200
    assert "ratelimit" not in client.get("/healthz").headers


def test_an_error_says_how_the_caller_stands_as_well(make_client: MakeClient, key: Key) -> None:
    client = make_client(**SERVED)
    missing = client.get("/v1/searches/none", headers=key(Scope.SEARCH))
    assert missing.status_code == 404
    assert missing.headers["ratelimit"].startswith('"reads";r=11999;')


def test_who_has_no_key_is_limited_by_address(make_client: MakeClient, key: Key) -> None:
    client = make_client(**SERVED, rate_address="2/minute")
    wrong = {"Authorization": "Bearer mk_wrong"}
    assert_problem(client.get("/v1/jobs"), 401, "unauthenticated")
    assert_problem(client.get("/v1/jobs", headers=wrong), 401, "unauthenticated")
    assert_problem(client.get("/v1/jobs", headers=wrong), 429, "rate_limited")
    assert_problem(client.get(f"/v1/photos/{7:064x}"), 429, "rate_limited")
    assert client.get("/v1/jobs", headers=key(Scope.WRITE)).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_this_machine_is_not_limited_without_a_key(make_client: MakeClient) -> None:
    client = make_client(rate_reads="1/minute", rate_searches="1/minute", rate_address="1/minute")
    for _ in range(3):
        answer = client.get("/v1/listings")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
        assert submit_photo(client, "search").status_code == 202
        assert client.get(f"/v1/photos/{7:064x}").status_code == 404


def test_rates_that_are_off(make_client: MakeClient, key: Key) -> None:
    client = make_client(**SERVED, rate_reads="off", rate_address="off")
    answer = client.get("/v1/listings", headers=key(Scope.SEARCH))
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


def test_a_refused_search_is_not_read(make_client: MakeClient, key: Key) -> None:
    client = make_client(**SERVED, rate_searches="1/minute")
    searcher = key(Scope.SEARCH)
    assert submit_photo(client, "search", headers=searcher).status_code == 202
    broken = submit_photo(client, "search", b"no photo", headers=searcher)
    assert_problem(broken, 429, "rate_limited")


def test_addresses_behind_a_proxy(make_app: Callable[..., FastAPI], key: Key) -> None:
    """Each of two addresses has the rate of one: the proxy's own is not counted."""
    app = make_app(host="192.0.2.1", rate_address="1/minute")
    searcher = key(Scope.SEARCH)
    for address in ("203.0.113.7", "203.0.113.8"):
        with TestClient(app, "http://market.example", client=(address, 1)) as client:
            assert client.get("/v1/listings", headers=searcher).status_code == 200
            assert_problem(client.get("/v1/listings", headers=searcher), 429, "rate_limited")


def test_bulk_requests_at_once_are_bounded(make_client: MakeClient) -> None:
    client = make_client(bulk_at_once=1)
    slots: BulkSlots = client.app.state.resources.bulk_slots  # type: ignore[attr-defined] # Starlette's own
    since = slots.enter()
    refused = send_batch(client, ROWS, "application/x-ndjson")
    assert_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    slots.leave(since)
    for _ in range(3):
        assert send_batch(client, ROWS, "application/x-ndjson").status_code == 202
    # Whatever it is answered with, a request gives its place back.
    assert send_batch(client, "no: json", "application/x-ndjson").status_code in {202, 400, 422}
    assert send_batch(client, ROWS, "application/x-ndjson").status_code == 202
    assert slots.refused == 1


def test_places_that_are_given_back_can_be_had() -> None:
    slots = BulkSlots(2)
    taken = [slots.enter(), slots.enter()]
    with pytest.raises(RateLimited):
        slots.enter()
    slots.leave(taken[0])
    slots.enter()
    with pytest.raises(RateLimited):
        slots.enter()
    assert slots.refused == 2
