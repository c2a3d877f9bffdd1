"""Whatever is killed between a new listing and its webhook, each match is one, and is sent."""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from ops.machine import Machine, machine_up
from settings import Settings
from tests.support.machine import TIMEOUT_S
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until
from tests.support.webhooks import receiver

pytestmark = pytest.mark.e2e

SEARCHES = 3
LISTINGS = 4
"""Of each picture: more matches than are sent to a host at once."""
TITLES = ("First kettle", "Second kettle", "Third kettle")
MATCHES = (SEARCHES + 1) * LISTINGS
"""One of the searches is for the words of the first listings."""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_match_is_found_once_and_sent(
    data_dir: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("new_postgres_url")() if kind == "postgresql" else None
    settings = Settings(
        data_dir=data_dir,
        database_url=url,
        encoder="hog",
        port=8710,
        lease_seconds=3,
        webhook_hosts="127.0.0.1",
    )
    with (
        receiver() as server,
        machine_up(settings, print) as machine,
        httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http,
    ):
        machine.wait_until_ready()
        searches = [save(http, seed, server.url) for seed in range(SEARCHES)]
        searches.append(save_words(http, "first kettles", server.url))
        server.secrets += [saved["webhook"]["secret"] for saved in searches]
        wait_until(lambda: all(is_active(http, saved["id"]) for saved in searches), TIMEOUT_S)
        server.holds.set()

        listings = [[put(http, seed) for _ in range(LISTINGS)] for seed in range(SEARCHES)]
        kill(machine, "embed")
        wait_until(lambda: watched(machine) and server.received, TIMEOUT_S)
        kill(machine, "relay")
        server.holds.clear()

        def delivered() -> bool:
            machine.watch()
            found = [item for saved in searches for item in matches(http, saved["id"])]
            return len(found) == MATCHES and all(item["delivered_at"] for item in found)

        wait_until(delivered, TIMEOUT_S)
        for saved, wanted in zip(searches, [*listings, listings[0]], strict=True):
            ids = [item["listing_id"] for item in matches(http, saved["id"])]
            assert Counter(ids) == Counter(wanted)
    sent = {
        (
            item.content["data"]["saved_search_id"],
            item.content["data"]["matches"][0]["listing_id"],
        ): item.message_id
        for item in server.received
    }
    assert server.refused == 0
    assert len(sent) == len(set(server.ids)) == MATCHES
    # The kill was between match and webhook: what was on its way was sent again.
    assert len(server.ids) > len(set(server.ids))


def save(http: httpx2.Client, seed: int, url: str) -> dict[str, Any]:
    response = http.post(
        "/v1/saved-searches",
        files={"photo": jpeg(seed)},
        data={"name": f"{seed}", "min_similarity": "0.99", "webhook": json.dumps({"url": url})},
    )
    saved: dict[str, Any] = response.raise_for_status().json()
    return saved


def save_words(http: httpx2.Client, text: str, url: str) -> dict[str, Any]:
    body = {"name": "words", "text": text, "webhook": {"url": url}}
    saved: dict[str, Any] = http.post("/v1/saved-searches", json=body).raise_for_status().json()
    return saved


def put(http: httpx2.Client, seed: int) -> str:
    files = [("photos", jpeg(seed)), ("photos", jpeg(100 + seed))]
    response = http.post(
        "/v1/listings", files=files, data={"listing": json.dumps({"title": TITLES[seed]})}
    )
    return str(response.raise_for_status().json()["listing_id"])


def is_active(http: httpx2.Client, search_id: str) -> bool:
    saved = http.get(f"/v1/saved-searches/{search_id}").raise_for_status().json()
    return bool(saved["status"] == "active")


def matches(http: httpx2.Client, search_id: str) -> list[dict[str, Any]]:
    page = http.get(f"/v1/saved-searches/{search_id}/matches").raise_for_status().json()
    items: list[dict[str, Any]] = page["items"]
    return items


def kill(machine: Machine, name: str) -> None:
    """SIGKILL, for a process and its children."""
    process = psutil.Process(machine.supervisor.process_of(name).pid)
    for one in (*process.children(recursive=True), process):
        one.send_signal(signal.SIGKILL)


def watched(machine: Machine) -> bool:
    machine.watch()
    return True
