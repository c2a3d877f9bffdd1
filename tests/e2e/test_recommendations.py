"""What is new is recommended by the next request after its job; what is hidden, never again."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tests.support.http import KETTLE, listing_form
from tests.support.machine import SeededMachine, marketlens
from tests.support.pictures import jpeg

pytestmark = pytest.mark.e2e

USER = "buyer 4711"
WAIT = {"Prefer": "wait=30"}


def test_from_a_new_listing_to_one_that_is_hidden(seeded: SeededMachine) -> None:
    http = seeded.http

    def did(kind: str, listing_id: str) -> None:
        at = datetime.now(UTC).isoformat()
        event = {"event_id": str(uuid4()), "user": USER, "type": kind, "at": at}
        http.post(
            "/v1/events", json={"events": [{**event, "listing_id": listing_id}]}
        ).raise_for_status()

    def recommended(**asked: object) -> list[str]:
        asked = {"user": USER, "limit": 100, **asked}
        answer = http.post("/v1/recommendations", json=asked, headers=WAIT).raise_for_status()
        assert answer.json()["status"] == "succeeded", answer.text
        return [one["listing_id"] for one in answer.json()["result"]["results"]]

    before = recommended()
    did("saved", before[-1])
    created = http.post("/v1/listings", **listing_form(KETTLE, jpeg(1)), headers=WAIT)
    job = created.raise_for_status().json()["job"]
    new = created.json()["listing_id"]
    while job["status"] not in {"succeeded", "failed"}:
        job = http.get(f"/v1/jobs/{job['id']}").json()
    assert new in recommended()
    assert new in recommended(listing_id=before[0])

    shown = marketlens(seeded.machine.environment, "recommend", USER, "--limit", "100", "--json")
    assert shown.returncode == 0, shown.stderr
    result = json.loads(shown.stdout)
    assert [one["listing_id"] for one in result["results"]] == recommended()
    table = marketlens(seeded.machine.environment, "recommend", USER)
    assert "because you saved" in table.stdout
    nobody = marketlens(seeded.machine.environment, "recommend", "--listing", str(uuid4()))
    assert nobody.returncode != 0
    assert "There is no such listing." in nobody.stderr

    did("hidden", new)
    assert new not in recommended()
    assert new not in recommended(listing_id=before[0])

    http.delete(f"/v1/users/{USER}").raise_for_status()
    http.delete(f"/v1/listings/{new}").raise_for_status()
    assert recommended() == before
