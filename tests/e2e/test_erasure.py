"""What is erased on a machine that runs leaves no trace in any of its files, the index included."""

import json
import os
import time
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select

from db.retention.tables import Erasure
from db.session import Database
from db.tables import Embedding, ListingPhoto, Photo
from ops.machine import machine_up
from settings import Settings
from tests.support.http import KETTLE, listing_form
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.pictures import jpeg
from tests.support.traces import in_files
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

WORDS = ["xylobrandt", "quorvelith", "zmirnotaff"]
KEPT, *ERASED = WORDS


def put(http: httpx2.Client, word: str, seed: int) -> UUID:
    """Store a listing that has a word of its own, and wait until it can be found."""
    stated = KETTLE | {"title": f"Kettle {word}", "seller": f"{word} & sons"}
    accepted = http.post("/v1/listings", **listing_form(stated, jpeg(seed))).json()

    def is_embedded() -> bool:
        job = http.get(f"/v1/jobs/{accepted['job']['id']}").json()
        return bool(job["status"] == "succeeded")

    wait_until(is_embedded)
    return UUID(accepted["listing_id"])


def search(http: httpx2.Client, **asked: object) -> list[str]:
    body = http.post("/v1/searches", json=asked, headers={"Prefer": "wait=30"}).json()
    return [one["listing_id"] for one in body["result"]["results"]]


def traces_of(database: Database, word: str, listing_id: UUID) -> list[str | UUID | bytes]:
    with database.read() as session:
        rows = session.execute(
            select(Photo.sha256, Embedding.vector)
            .join(ListingPhoto, ListingPhoto.photo_id == Photo.id)
            .join(Embedding, Embedding.photo_id == Photo.id)
            .where(ListingPhoto.listing_id == listing_id)
        ).all()
    found: list[str | UUID | bytes] = [word, listing_id]
    for sha256, vector in rows:
        found += [sha256, bytes(vector)[:32]]
    return found


def test_nothing_is_left_in_the_files_of_a_machine_that_runs(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, encoder="hog", port=8260)
    with machine_up(settings, print) as machine:
        machine.wait_until_ready()
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http:
            ids = {word: put(http, word, seed) for seed, word in enumerate(WORDS)}
            # Not by the words: what somebody has asked is theirs.
            assert set(search(http, text="kettle")) == {str(one) for one in ids.values()}
            for word in WORDS:
                search(http, listing_id=str(ids[word]))
            built = marketlens(machine.environment, "index", "build", "--json")
            assert built.returncode == 0, built.stderr
            database = Database(settings.sqlalchemy_url)
            traces = {word: traces_of(database, word, ids[word]) for word in WORDS}
            found = list(in_files(data_dir, traces[ERASED[0]]))
            assert any("vectors" in one or "faiss" in one for one in found), found
            # As if they had not been stored within the hour.
            for path in (data_dir / "photos").rglob("*.jpg"):
                os.utime(path, (time.time() - 7_200,) * 2)
            by_api, by_command = ERASED
            erased = http.delete(f"/v1/listings/{ids[by_api]}", params={"erase": "true"})
            assert erased.status_code == 204
            assert str(ids[by_api]) not in search(http, text="kettle")
            command = ("erase", "listing", str(ids[by_command]), "--rebuild", "--json")
            report = marketlens(machine.environment, *command)
            assert report.returncode == 0, report.stderr
            assert json.loads(report.stdout.splitlines()[-1])["finished"] is True

            def is_finished() -> bool:
                with database.read() as session:
                    return None not in session.scalars(select(Erasure.finished_at)).all()

            wait_until(is_finished)
            database.close()
            left = [one for word in ERASED for one in in_files(data_dir, traces[word])]
            assert left == []
            assert list(in_files(data_dir, traces[KEPT]))
            assert search(http, text="kettle") == [str(ids[KEPT])]
