"""The running server answers as its OpenAPI document says, whatever it is asked.

`make fuzz` asks more: MARKETLENS_TEST_FUZZ is the number of requests to each operation.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from models.domain.text import clean_line
from ops.machine import child_environment, machine_up
from settings import Settings
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.pictures import jpeg

pytestmark = pytest.mark.e2e

MORE: Final = os.environ.get("MARKETLENS_TEST_FUZZ")
REQUESTS: Final = int(MORE or 10)
MADE_UP: Final = settings(
    deadline=None,
    # The same requests each time, but for a search of new ones.
    derandomize=MORE is None,
    database=None,
    # Big forms are slow to make up and often do not fit; that says nothing about the server.
    suppress_health_check=list(HealthCheck),
)

# Why a request that fits its schema is refused: what no JSON schema can say, by code and sentence.
BEYOND_SCHEMA: Final = re.compile(
    "|".join(
        [
            # Bytes are no photo, and many photos no form.
            r"(invalid|unsupported)_photo: ",
            # What the photos of a form are together.
            r"invalid_input: At most \d+ photos make one search",
            r"invalid_input: What is positive can't be negative too",
            r"invalid_input: A region needs exactly one photo",
            # An attribute's name of which nothing is left when it is cleaned.
            r"invalid_input: One of the facets can't be counted",
            # A key that another request has, as made-up ones often do.
            r"idempotency_key_reused: ",
            # Cursors are of this server's making.
            r"invalid_input: The cursor is malformed",
            # Fields that contradict or need each other, and texts of a syntax: validators of ours.
            r"invalid_input: ([\w.]+: )?Value error, ",
            r"invalid_input: The text has (no word|only words)",
            # Beside a photo that is the body, what a form must have is in the query.
            r"invalid_input: name: Field required",
            # Texts are measured when they are cleaned: of a control character nothing is left.
            r"invalid_input: [\w.]+: String should have at least 1 character",
            # Decimals: a schema knows no digits of a number, and a text may be one or not.
            r"invalid_input: [\w.]+: (Input should be a valid decimal|Decimal input should have)",
            # A field of a form is a text that is JSON.
            r"invalid_input: \w+(\.box)?: (Invalid JSON|Input should be a valid (dictionary|list))",
            # Photos are parts of the form, or named in the listing, and then stored or allowed.
            r"invalid_input: The form needs a file in its part 'photos'",
            r"invalid_input: photos: ",
            r"invalid_input: Photos at URLs are not fetched here",
            # In a patch, null removes an attribute; others are as those of a listing.
            r"invalid_input: attributes: ",
            # Which URLs a webhook may be sent to.
            r"invalid_input: The webhook's URL ",
            # A tag that the listing does not have.
            r"changed_meanwhile: ",
            # What the bytes of a table are.
            r"invalid_input: The (part 'listings'|column) ",
            r"malformed_body: The part 'listing' is not JSON",
        ]
    )
)
SHORTEST_LIMIT: Final = 64
"""Of a text that is cleaned, in characters."""
CONFORMANCE: Final[list[CheckFunction]] = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]


@dataclass(frozen=True)
class Api:
    """What a running machine says of itself, and the headers that let a caller do all of it."""

    description: schemathesis.BaseSchema
    headers: dict[str, str]

    @property
    def operations(self) -> list[Operation]:
        read = []
        for found in self.description.get_all_operations():
            assert isinstance(found, Ok), found.err()
            read.append(found.ok())
        return read


@pytest.fixture(scope="module")
def api(sample: Path) -> Iterator[Api]:
    """A machine of its own with the sample in it. It asks for a key, as it does off loopback."""
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    public = Settings(data_dir=folder, encoder="hog", host="0.0.0.0", port=8300)  # noqa: S104 - on purpose
    environment = child_environment(public)
    assert marketlens(environment, "migrate").returncode == 0
    created = marketlens(environment, "keys", "create", "fuzz", "--scope", "admin")
    assert created.returncode == 0, created.stderr
    headers = {"Authorization": f"Bearer {created.stdout.strip()}"}
    with machine_up(public, print) as machine:
        machine.wait_until_ready()
        seeded = marketlens(machine.environment, "seed", str(sample))
        assert seeded.returncode == 0, seeded.stderr
        description = schemathesis.openapi.from_url(
            f"{machine.url}/openapi.json",
            config=schemathesis.Config.from_dict(
                {"generation": {"with-security-parameters": False}}
            ),
        )
        with httpx2.Client(base_url=machine.url, headers=headers, timeout=TIMEOUT_S) as http:
            put_into_paths(description, existing_ids(http))
        yield Api(description, headers)
    shutil.rmtree(folder)


def existing_ids(http: httpx2.Client) -> dict[str, list[str]]:
    """Ids of what the machine holds, by the beginning of the paths that lead there."""

    def asked(path: str, **fields: str) -> str:
        answer = http.post(path, files={"photo": jpeg(1)}, data=fields)
        return str(answer.raise_for_status().json()["id"])

    def listed(path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = http.get(path).raise_for_status().json()["items"]
        return items

    ids = {path: [asked(path)] for path in ("/v1/searches", "/v1/embeddings", "/v1/predictions")}
    recommended = http.post("/v1/recommendations", json={"user": "u"}).raise_for_status()
    ids["/v1/recommendations"] = [recommended.json()["id"]]
    ids["/v1/saved-searches"] = [asked("/v1/saved-searches", name=f"{n}") for n in range(5)]
    listings = listed("/v1/listings")
    # The first half is replaced and deleted, so the photos are those of the other half.
    half = len(listings) // 2
    ids["/v1/listings"] = [row["id"] for row in listings[:half]]
    ids["/v1/photos"] = [photo["id"] for row in listings[half:] for photo in row["photos"]]
    ids["/v1/users"] = ["ann", "a/b"]
    ids["/v1/jobs"] = [row["id"] for row in listed("/v1/jobs")]
    return ids


def put_into_paths(description: schemathesis.BaseSchema, ids: dict[str, list[str]]) -> None:
    """Make every other path lead to something that exists: a made-up id never does."""

    def flatmap_path_parameters(
        context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
    ) -> st.SearchStrategy[dict[str, Any] | None]:
        assert context.operation is not None
        path = context.operation.path
        existing = next((ids[prefix] for prefix in ids if path.startswith(prefix)), [])
        made_up = st.just(path_parameters)
        if not existing or not path_parameters:
            return made_up
        (name,) = path_parameters
        return made_up | st.sampled_from(existing).map(lambda value: {name: value})

    description.hook(flatmap_path_parameters)


def unfit(case: Case, response: schemathesis.Response) -> list[CheckFunction]:
    """The checks that say nothing of this answer to this request."""
    checks: list[CheckFunction] = []
    if is_refused_beyond_schema(response):
        checks.append(positive_data_acceptance)
    # A condition that is not met is said before the body is read.
    unmet = response.status_code == HTTPStatus.PRECONDITION_FAILED
    if unmet or has_empty_part(case) or has_text_to_clean(case):
        checks.append(negative_data_rejection)
    return checks


def is_refused_beyond_schema(response: schemathesis.Response) -> bool:
    """Whether it is refused for what its schema can't say."""
    if not 400 <= response.status_code < 500:
        return False
    said = response.json()
    return bool(BEYOND_SCHEMA.match(f"{said['code']}: {said['detail']}"))


def has_text_to_clean(case: Case) -> bool:
    """Whether a text changes when it is cleaned, before it is measured."""
    in_query = any(clean_line(text) != text for text in texts_in(dict(case.query or {})))
    # In a body it matters where a text is too long before, and not afterwards.
    return in_query or any(
        len(text) > SHORTEST_LIMIT and len(clean_line(text)) < len(text)
        for text in texts_in(case.body)
    )


def texts_in(value: object) -> Iterator[str]:
    """All texts of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)


def has_empty_part(case: Case) -> bool:
    """Whether a part of a form is empty: it is as if not sent, which a schema can't say."""
    if case.media_type != "multipart/form-data" or not isinstance(case.body, dict):
        return False
    values = [
        value
        for stated in case.body.values()
        for value in (stated if isinstance(stated, list) else [stated])
    ]
    return any(value in ("", b"") for value in values)


def test_every_operation_answers_as_described(api: Api, subtests: pytest.Subtests) -> None:
    """No 5xx; statuses, content types, headers and bodies as described; no way round a key."""
    for operation in api.operations:
        requests = [
            operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode
        ]

        @settings(MADE_UP, max_examples=REQUESTS)
        @given(case=st.one_of(requests))
        def check(case: Case) -> None:
            response = case.call(headers=api.headers)
            excluded = unfit(case, response)
            case.validate_response(response, headers=api.headers, excluded_checks=excluded)

        with subtests.test(operation.label):
            check()


def test_an_unknown_key_is_refused_as_described(api: Api, subtests: pytest.Subtests) -> None:
    protected = [item for item in api.operations if "security" in item.definition.raw]
    assert len(protected) > len(api.operations) / 2
    for operation in protected:

        @settings(MADE_UP, max_examples=1)
        @given(case=operation.as_strategy())
        def check(case: Case) -> None:
            response = case.call(headers={"Authorization": "Bearer unknown"})
            assert response.status_code == 401
            case.validate_response(response, checks=CONFORMANCE)

        with subtests.test(operation.label):
            check()
