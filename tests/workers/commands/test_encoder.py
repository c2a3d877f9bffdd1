"""`marketlens encoder`, as a person runs it; hog is the one real encoder that needs no weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import select
from typer.testing import Result

from db.catalogue.listings import ListingData
from db.jobs import accepting
from db.session import Database
from db.store.photo_store import PhotoStore
from db.tables import Generation
from db.vectors import generations
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder, all_encoders
from models.domain.errors import Conflict, MarketlensError, NotFound, WeightsRefused
from models.domain.job_payloads import BatchPayload
from models.domain.types import EncoderSpec, GenerationStatus
from tests.support.catalogue import add_listing, stored_photos
from tests.support.clock import Clock
from tests.support.commands import invoke, last_line
from tests.support.encoder import spec_of
from tests.support.holding import holding_open
from tests.support.pictures import jpeg
from workers.encoders.comparison import Comparison

HOG = spec_of("hog", None)
ELSEWHERE = EncoderSpec("resnet50", 16, "e" * 64)
LISTINGS = 8

Run = Callable[..., Result]


@dataclass(frozen=True)
class Install:
    """A data folder whose catalogue is embedded and indexed by an encoder of another machine."""

    folder: Path
    database: Database

    def statuses(self) -> dict[str, str]:
        with self.database.read() as session:
            return {row.spec.label: row.status.value for row in all_encoders(session)}


@pytest.fixture
def install(
    tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Install]:
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(folder))
    monkeypatch.setenv("MARKETLENS_ENCODER", "hog")
    for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
        monkeypatch.delenv(f"MARKETLENS_{name}", raising=False)
    opened = Install(folder, Database(f"sqlite:///{folder / 'marketlens.db'}"))
    fill(opened.database, PhotoStore(str(folder / "photos")))
    yield opened
    opened.database.close()


def fill(database: Database, store: PhotoStore) -> None:
    now = Clock()()
    rng = np.random.default_rng(0)
    with database.write() as session:
        active = activate_initial_encoder(session, ELSEWHERE, now)
        for number in range(LISTINGS):
            photos = stored_photos(store, jpeg(number))
            listing = ListingData(uuid4(), "A thing", category=f"Things {number % 2}")
            _, (photo_id,) = add_listing(session, photos, now, listing=listing)
            vector = rng.standard_normal(ELSEWHERE.dimension).astype(np.float32)
            add_embeddings(session, active.id, {photo_id: vector})
        job = accepting.accept(session, BatchPayload(), job_id=uuid4(), now=now)
        generation = generations.begin(session, active.id, job.id, now)
        generations.activate(session, generation.id, now, rows=LISTINGS)


@pytest.fixture
def run(install: Install) -> Run:
    del install

    def run(*arguments: str, raises: type[MarketlensError] | None = None) -> Result:
        result = invoke("encoder", *arguments)
        if raises is None:
            assert result.exit_code == 0, (result.output, result.exception)
        else:
            assert isinstance(result.exception, raises), (result.output, result.exception)
        return result

    return run


def test_there_and_back(install: Install, run: Run) -> None:
    report = last_line(run("migrate", "hog", "--inline", "--json"))
    assert report.pop("seconds") > 0
    comparison = report.pop("comparison")
    assert report == {
        "encoder": HOG.label,
        "baseline": ELSEWHERE.label,
        "embedded": LISTINGS,
        "failed": 0,
        "generation": 2,
        "activated": True,
        "refusal": None,
    }
    assert comparison["queries"] == LISTINGS
    assert 0 <= comparison["overlap_at_10"] <= 1
    assert install.statuses() == {HOG.label: "active", ELSEWHERE.label: "followed"}

    assert ELSEWHERE.label in run("rollback").stdout
    assert install.statuses() == {HOG.label: "followed", ELSEWHERE.label: "active"}
    assert HOG.label in run("activate", "hog").stdout
    assert install.statuses() == {HOG.label: "active", ELSEWHERE.label: "followed"}


def test_a_migration_is_told_to_people(run: Run) -> None:
    told = run("migrate", "hog", "--inline", "--no-activate").stdout
    for text in (HOG.label, ELSEWHERE.label, "8 photos", "Overlap@10", "Precision@1"):
        assert text in told
    assert "No encoder" in str(run("rollback", raises=Conflict).exception)


def test_an_encoder_that_finds_less_is_not_activated_unless_forced(
    install: Install, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Comparison, "is_worse", property(lambda _: True))
    refused = run("migrate", "hog", "--inline", "--json", raises=Conflict)
    report = last_line(refused)
    assert report["activated"] is False
    assert report["refusal"] == str(refused.exception)
    assert "--force" in report["refusal"]
    assert install.statuses() == {HOG.label: "followed", ELSEWHERE.label: "active"}
    assert last_line(run("migrate", "hog", "--inline", "--force", "--json"))["activated"] is True
    assert install.statuses()[HOG.label] == "active"


def test_what_lacks_photos_or_an_index_is_not_activated_unless_forced(
    install: Install, run: Run
) -> None:
    run("register", "hog")
    refused = run("activate", HOG.label, raises=Conflict)
    assert "8 photos are not embedded" in str(refused.exception)
    run("activate", HOG.label, "--force")
    assert install.statuses()[HOG.label] == "active"


def test_a_retired_encoder_leaves_its_vectors_and_no_files(install: Install, run: Run) -> None:
    run("migrate", "hog", "--inline")
    run("rollback")
    folder = install.folder / "generations" / "2"
    assert (folder / "index.faiss").exists()
    run("retire", "hog")
    assert not folder.exists()
    with install.database.read() as session:
        assert (
            session.scalars(select(Generation.status).where(Generation.id == 2)).one()
            is GenerationStatus.REMOVED
        )
    assert "active" in str(run("retire", ELSEWHERE.label, raises=Conflict).exception)
    run("activate", "hog", raises=Conflict)
    # Back again, only an index is lacking.
    report = last_line(run("migrate", "hog", "--inline", "--json"))
    assert (report["embedded"], report["generation"], report["activated"]) == (0, 3, True)


def test_an_index_that_is_open_is_removed_later(install: Install, run: Run) -> None:
    run("migrate", "hog", "--inline")
    run("rollback")
    folder = install.folder / "generations" / "2"
    with holding_open(folder):
        assert "still open" in run("retire", "hog").stdout
        assert folder.exists()
    assert invoke("index", "prune").exit_code == 0
    assert not folder.exists()


def test_the_list_shows_what_there_is(run: Run) -> None:
    def listed() -> dict[str, dict[str, Any]]:
        return {row["encoder"]: row for row in last_line(run("list", "--json"))["encoders"]}

    before = listed()
    assert before[HOG.label]["status"] == "unregistered"
    elsewhere = before[ELSEWHERE.label]
    assert (elsewhere["status"], elsewhere["files_here"]) == ("active", False)
    assert (elsewhere["embedded"], elsewhere["missing"], elsewhere["generation"]) == (8, 0, 1)
    assert elsewhere["active_since"] == "2030-01-02T03:04:05+00:00"
    run("register", "hog")
    after = listed()[HOG.label]
    assert (after["status"], after["files_here"]) == ("registered", True)
    assert (after["embedded"], after["missing"], after["generation"]) == (0, 8, None)
    for text in (HOG.label, ELSEWHERE.label, "active", "registered"):
        assert text in run("list").stdout


def test_what_is_not_there_or_not_weights_is_refused_before_anything_is_done(
    install: Install, run: Run
) -> None:
    bad = install.folder / "bad.safetensors"
    bad.write_bytes(b"not weights")
    for command in ("register", "migrate"):
        run(command, "vgg", raises=NotFound)
        run(command, str(bad), raises=WeightsRefused)
    assert install.statuses() == {ELSEWHERE.label: "active"}
    assert not (install.folder / "models").exists()
