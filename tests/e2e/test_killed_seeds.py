"""A seed that is killed again and again leaves what one that was left alone leaves."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db.migrate import upgrade
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Category, Job, Listing, ListingPhoto, Photo
from models.domain.job_payloads import EmbedPayload
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.feeds import image_row, photo_id, product_row, write_feed
from tests.support.machine import marketlens
from tests.support.payloads import payload_as
from tests.support.pictures import jpeg

pytestmark = pytest.mark.e2e

LISTINGS = 300
PHOTOS = 600
KILLS = int(os.environ.get("MARKETLENS_TEST_KILLS", "3"))
"""`make faults` wants more."""

COMMAND = ("--no-wait", "--feed", "killed")


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feed that takes a few seconds, with new categories all the way through."""
    few = [jpeg(number, (800, 600)) for number in range(30)]
    folder = write_feed(
        tmp_path_factory.mktemp("killed") / "feed",
        [
            product_row(number, category=f"Root {number % 7} / Sub {number // 10}")
            for number in range(LISTINGS)
        ],
        [image_row(number, number * LISTINGS // PHOTOS) for number in range(PHOTOS)],
        {},
    )
    for number in range(PHOTOS):
        # Bytes behind the end of a JPEG are not looked at: files differ, some photos are the same.
        (folder / "images" / f"{photo_id(number)}.jpg").write_bytes(
            few[number % 30] + bytes(number)
        )
    return folder


def contents(database: Database) -> dict[str, Any]:
    """All that a seed loads, but for times and the numbers that rows were given."""
    with database.read() as session:
        digests = {row.id: row.sha256 for row in session.scalars(select(Photo))}
        listings = [
            {c.name: getattr(row, c.name) for c in Listing.__table__.c if c.name[-3:] != "_at"}
            for row in session.scalars(select(Listing).order_by(Listing.id))
        ]
        shown = [
            (row.listing_id, row.position, digests[row.photo_id])
            for row in session.scalars(
                select(ListingPhoto).order_by(ListingPhoto.listing_id, ListingPhoto.position)
            )
        ]
        queued = Counter(
            digests[photo]
            for job in session.scalars(select(Job))
            for photo in payload_as(job, EmbedPayload).photo_ids
        )
        return {
            "categories": dict(session.execute(select(Category.path, Category.id)).all()),
            "listings": listings,
            "photos": sorted(digests.values()),
            "shown": shown,
            "queued": queued,
        }


def seed_killed(feed: Path, settings: Settings, moments: random.Random) -> int:
    """Kill seeds at random moments, then let one finish; returns how many died at work."""
    environment = child_environment(settings)
    scratch = settings.data_dir / "intake" / "killed" / "keys.db"
    died = 0
    for _ in range(KILLS):
        scratch.unlink(missing_ok=True)
        process = subprocess.Popen(
            marketlens_command("seed", str(feed), *COMMAND),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not scratch.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 1.5))
        process.kill()
        died += process.wait() == -signal.SIGKILL
    finished = marketlens(environment, "seed", str(feed), *COMMAND)
    assert finished.returncode == 0, finished.stderr
    return died


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_seed_killed_at_random_moments_ends_as_one_that_was_not(
    kind: str, feed: Path, tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    found = {}
    died = 0
    for name in ("clean", "killed"):
        url = new_postgres_url() if kind == "postgresql" else f"sqlite:///{tmp_path / name}.db"
        settings = Settings(data_dir=tmp_path / name, database_url=url, encoder="hog")
        upgrade(url)
        if name == "clean":
            done = marketlens(child_environment(settings), "seed", str(feed), *COMMAND)
            assert done.returncode == 0, done.stderr
        else:
            died = seed_killed(feed, settings, random.Random(7))
        database = Database(url)
        found[name] = contents(database)
        database.close()
        store = PhotoStore(settings.photo_store_url)
        assert all(store.has(digest) for digest in found[name]["photos"])

    assert died > 0
    assert found["killed"] == found["clean"]
    assert set(found["clean"]["queued"].values()) == {1}
    assert len(found["clean"]["listings"]) == LISTINGS
