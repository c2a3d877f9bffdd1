"""The main job on a running machine: real processes, a real queue, real photos drawn by us."""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psutil
import pytest

from db.access.keys import create_key
from db.session import Database
from models.domain.types import Scope
from ops.demo import HeldOut, search
from ops.machine import machine_up
from settings import Settings
from tests.support.machine import TIMEOUT_S, SeededMachine, marketlens
from tests.support.pictures import jpeg

pytestmark = pytest.mark.e2e


def wait_for(seeded: SeededMachine, place: str) -> dict[str, Any]:
    """Poll a job until it has ended."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        job: dict[str, Any] = seeded.http.get(place).raise_for_status().json()
        if job["status"] not in {"queued", "running"}:
            return job
        time.sleep(0.02)
    raise AssertionError(f"{place} did not end in {TIMEOUT_S} s")


def found(seeded: SeededMachine, photo: bytes) -> list[str]:
    """The listings found by a photo, in one held request."""
    response = seeded.http.post(
        "/v1/searches",
        files={"photo": ("photo.jpg", photo)},
        data={"limit": "100"},
        headers={"Prefer": f"wait={TIMEOUT_S}"},
    )
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "succeeded", response.text
    return [row["listing_id"] for row in response.json()["result"]["results"]]


def post_listing(seeded: SeededMachine, *photos: bytes) -> str:
    """Create a listing over HTTP and wait for its job."""
    response = seeded.http.post(
        "/v1/listings",
        data={"listing": json.dumps({"title": "Just posted", "price": "5.00", "currency": "GBP"})},
        files=[("photos", ("photo.jpg", photo)) for photo in photos],
    )
    assert response.status_code == 202, response.text
    assert wait_for(seeded, response.headers["Location"])["status"] == "succeeded"
    listing_id: str = response.json()["listing_id"]
    return listing_id


@pytest.fixture(scope="module")
def admin(seeded: SeededMachine) -> dict[str, str]:
    """The header of an admin's key."""
    database = Database(seeded.machine.settings.sqlalchemy_url)
    with database.write() as session:
        key = create_key(session, "admin", [Scope.ADMIN], datetime.now(UTC))
    database.close()
    return {"Authorization": f"Bearer {key}"}


def test_held_out_views_find_their_listings(seeded: SeededMachine, views: list[HeldOut]) -> None:
    hits = [search(seeded.http, view.path).top1 == view.listing_id for view in views]
    assert sum(hits) / len(hits) >= 0.6


def test_a_catalogue_photo_finds_its_own_listing_with_full_similarity(
    seeded: SeededMachine,
) -> None:
    listing = seeded.http.get("/v1/listings").json()["items"][0]
    photo = seeded.http.get(listing["photos"][0]["url"]).content
    response = seeded.http.post(
        "/v1/searches", files={"photo": ("p.jpg", photo)}, headers={"Prefer": "wait=30"}
    )
    best = response.json()["result"]["results"][0]
    assert best["listing_id"] == listing["id"]
    assert best["similarity"] >= 0.99


def test_posted_is_found_by_the_next_search_and_deleted_never_again(seeded: SeededMachine) -> None:
    photo = jpeg(1234)
    assert post_listing(seeded, photo) == (listing_id := found(seeded, photo)[0])
    assert seeded.http.delete(f"/v1/listings/{listing_id}").status_code == 204
    for _ in range(5):
        assert listing_id not in found(seeded, photo)


def test_batch_is_embedded_and_found(seeded: SeededMachine) -> None:
    rows = [{"title": f"Row {n}", "photos": [f"p{n}"], "id": str(uuid4())} for n in range(40)]
    rows.append({"title": "Bad", "photos": ["nowhere"], "id": str(uuid4())})
    files = {"listings": ("rows.ndjson", "\n".join(map(json.dumps, rows)).encode())}
    files |= {f"p{n}": (f"{n}.jpg", jpeg(9_000 + n)) for n in range(40)}
    response = seeded.http.post("/v1/listings:batch", files=files)
    assert response.status_code == 202, response.text
    job = wait_for(seeded, response.headers["Location"])
    assert job["status"] == "succeeded"
    assert job["progress"] == {"total": 40, "done": 40, "failed": 0}
    assert [error["row"] for error in job["result"]["errors"]] == [41]
    for number in (0, 17, 39):
        assert found(seeded, jpeg(9_000 + number))[0] == rows[number]["id"]
    for row in rows[:40]:
        seeded.http.delete(f"/v1/listings/{row['id']}").raise_for_status()


def test_no_search_fails_while_generations_change(
    seeded: SeededMachine, views: list[HeldOut], admin: dict[str, str]
) -> None:
    generations = set()
    before = post_listing(seeded, jpeg(77))

    def keep_searching(view: HeldOut) -> None:
        result = search(seeded.http, view.path).result
        assert result.results
        generations.add(result.generation)

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            searches = [pool.submit(keep_searching, view) for view in views[:8]]
            accepted = seeded.http.post("/v1/admin/reindex", headers=admin)
            assert accepted.status_code == 202, accepted.text
            assert wait_for(seeded, accepted.headers["Location"])["status"] == "succeeded"
            for done in searches:
                done.result()
    assert found(seeded, jpeg(77))[0] == before
    live = seeded.http.get("/v1/admin/generations", headers=admin).json()[0]
    assert live["status"] == "live"
    assert live["recall_at_10"] == 1.0
    assert len(generations) > 1


def test_more_like_a_listing(seeded: SeededMachine) -> None:
    listing_id = seeded.http.get("/v1/listings").json()["items"][0]["id"]
    response = seeded.http.post(
        "/v1/searches", json={"listing_id": listing_id}, headers={"Prefer": "wait=30"}
    )
    results = response.json()["result"]["results"]
    assert len(results) == 10
    assert listing_id not in [row["listing_id"] for row in results]


def test_ready_says_which_encoder_serves(seeded: SeededMachine) -> None:
    ready = seeded.http.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["encoder"].startswith("hog-")


def test_api_stays_light(seeded: SeededMachine) -> None:
    """Resident memory of the API, after all tests above."""
    process = seeded.machine.supervisor.process_of("api")
    with open(f"/proc/{process.pid}/status") as file:  # noqa: PTH123 - a file of the kernel's
        resident_kb = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident_kb < 200_000


def test_searches_get_the_cores_first(seeded: SeededMachine) -> None:
    own = os.nice(0)
    for name, niceness in (("search", 4), ("embed", 0), ("index", 15)):
        worker = psutil.Process(seeded.machine.supervisor.process_of(name).pid)
        assert {child.nice() for child in worker.children()} == {own + niceness}, name
        # Linux shares the cores among sessions first: in another one it would have no effect.
        assert os.getsid(worker.pid) == os.getsid(0), name
        assert os.getpgid(worker.pid) != os.getpgid(0), name


def test_the_same_on_postgresql(
    data_dir: Path, sample: Path, views: list[HeldOut], new_postgres_url: Callable[[], str]
) -> None:
    settings = Settings(
        data_dir=data_dir, encoder="hog", port=8250, database_url=new_postgres_url()
    )
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        seeded = marketlens(machine.environment, "seed", str(sample), "--json")
        assert seeded.returncode == 0, seeded.stderr
        report = json.loads(seeded.stdout.splitlines()[-1])
        assert report["embedded"] == report["photos"]["accepted"]
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:
            found_first = [search(http, view.path).top1 == view.listing_id for view in views]
    assert sum(found_first) / len(found_first) >= 0.6
    assert not (data_dir / "marketlens.db").exists()
