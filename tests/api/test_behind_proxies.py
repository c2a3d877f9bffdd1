"""Who is trusted without a key: this machine itself, and nobody who comes through a proxy on it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.caller import is_loopback, is_of_this_machine
from models.domain.types import Scope
from tests.support.http import MakeClient, assert_problem, submit_photo

Key = Callable[..., dict[str, str]]

ADDED = [
    {"Forwarded": "for=192.0.2.60;proto=http;by=203.0.113.43"},
    {"X-Forwarded-For": "203.0.113.7"},
    {"X-Forwarded-For": ""},
    {"x-forwarded-proto": "https"},
    {"X-Forwarded-Host": "market.example"},
    {"X-Real-IP": "203.0.113.7"},
    {"Via": "1.1 proxy.example"},
    {"CF-Connecting-IP": "203.0.113.7"},
]


@pytest.mark.parametrize("added", ADDED, ids=lambda added: next(iter(added)))
def test_what_a_proxy_forwards_needs_a_key(
    client: TestClient, key: Key, added: dict[str, str]
) -> None:
    assert client.get("/v1/jobs").status_code == 200
    assert_problem(client.get("/v1/jobs", headers=added), 401, "unauthenticated")
    assert_problem(submit_photo(client, "search", headers=added), 401, "unauthenticated")
    assert submit_photo(client, "search", headers={**added, **key(Scope.SEARCH)}).is_success
    assert_problem(client.get("/v1/jobs", headers={**added, **key(Scope.SEARCH)}), 403, "forbidden")
    # Who only wants to know whether it is alive, needs none.
    assert client.get("/healthz", headers=added).status_code == 200


def test_a_proxy_may_pass_the_name_that_callers_know_it_by(client: TestClient, key: Key) -> None:
    named = {"Host": "market.example", "X-Forwarded-For": "203.0.113.7"}
    assert_problem(client.get("/v1/jobs", headers=named), 401, "unauthenticated")
    assert client.get("/v1/jobs", headers={**named, **key(Scope.WRITE)}).status_code == 200


@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.1", "::ffff:10.0.0.1", "no address"])
def test_what_does_not_come_from_loopback_needs_a_key(
    make_app: Callable[..., FastAPI], address: str
) -> None:
    with TestClient(make_app(), "http://127.0.0.1", client=(address, 4_711)) as client:
        assert_problem(client.get("/v1/jobs"), 401, "unauthenticated")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_has_several_addresses(make_app: Callable[..., FastAPI], address: str) -> None:
    assert is_loopback(address)
    with TestClient(make_app(), "http://127.0.0.1", client=(address, 4_711)) as client:
        assert client.get("/v1/jobs").status_code == 200


def test_where_a_proxy_is_trusted_every_call_needs_a_key(make_client: MakeClient, key: Key) -> None:
    client = make_client(trusted_proxies="127.0.0.1")
    assert_problem(client.get("/v1/jobs"), 401, "unauthenticated")
    named = {**key(Scope.WRITE), "Host": "market.example", "Origin": "https://market.example"}
    assert client.get("/v1/jobs", headers=named).status_code == 200


def request_of(**changed: Any) -> dict[str, Any]:
    """An ASGI scope of a request from this machine."""
    return {"client": ("127.0.0.1", 1), "http_version": "1.1", "headers": [], **changed}


def test_a_proxy_that_adds_nothing_is_known_by_its_http_1_0() -> None:
    assert is_of_this_machine(request_of())
    assert not is_of_this_machine(request_of(http_version="1.0"))
    assert not is_of_this_machine(request_of(client=None))


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"host", b"accept", b"cookie", b"via", b"forwarded"]),
            st.binary(max_size=4),
        ),
        max_size=5,
    ),
    suffix=st.none() | st.text("abcdefghijklmnopqrstuvwxyz-", max_size=10),
)
def test_any_header_of_a_proxy_counts(
    headers: list[tuple[bytes, bytes]], suffix: str | None
) -> None:
    names = {name for name, _ in headers}
    if suffix is not None:
        headers = [*headers, (b"x-forwarded-" + suffix.encode(), b"")]
    expected = suffix is None and not names & {b"via", b"forwarded"}
    assert is_of_this_machine(request_of(headers=headers)) == expected
