"""`marketlens index`, as a person runs it, on vectors of an encoder that this machine lacks."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from db.catalogue.listings import delete_listing
from db.jobs import accepting, attempts, claiming, reading
from db.session import Database
from db.vectors.encoders import activate_encoder, register_encoder
from models.domain.clock import utc_now
from models.domain.errors import (
    Conflict,
    GenerationCorrupt,
    NotFound,
    RecallTooLow,
    ReindexRunning,
)
from models.domain.job_payloads import ReindexPayload
from models.domain.job_results.indexes import RepairedIndex
from models.domain.types import EncoderSpec, JobStatus
from models.index.plan import EXACT
from tests.support.commands import invoke, last_line
from tests.support.holding import holding_open
from tests.support.index_commands import ELSEWHERE, LISTINGS, Catalogue, RunIndex
from workers.queue.executors import QueueExecutor
from workers.queue.messages import PublishableJob, Queue

OTHER = EncoderSpec("other", 16, "0" * 64)


def test_a_build_is_told_with_its_reason(catalogue: Catalogue, run_index: RunIndex) -> None:
    report = last_line(run_index("build", "--inline", "--json"))
    assert (report["status"], report["generation"], report["rows"]) == ("succeeded", 1, LISTINGS)
    assert (report["factory"], report["recall_at_10"], report["error"]) == (EXACT, 1.0, None)
    assert report["p50_ms"] <= report["p95_ms"]
    assert f"{LISTINGS} vectors" in report["why"]
    assert report["bytes"] > 0
    assert catalogue.live() == 1
    told = run_index("build", "--inline").stdout
    assert "Generation 2 is live" in told


class RepairingExecutor:
    """Ends each reindex as a worker does whose index is on a server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, accepted: Sequence[PublishableJob]) -> None:
        """Nothing to do: `step` gets their ids."""

    def step(self, queue: Queue, job_ids: Sequence[UUID]) -> None:
        """End them."""
        del queue
        result = RepairedIndex(rows=LISTINGS, added=3, removed=2)
        with self._database.write() as session:
            for job_id in job_ids:
                claim = claiming.claim(session, job_id, utc_now(), timedelta(minutes=1))
                assert claim
                attempts.finish(
                    session, claim, utc_now(), result=result, done=LISTINGS, total=LISTINGS
                )


def test_an_index_on_a_server_is_repaired(
    catalogue: Catalogue, run_index: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = RepairingExecutor(catalogue.database)
    monkeypatch.setattr(
        "workers.commands.index.build.job_executor", lambda *_, **__: nullcontext(executor)
    )
    shown = run_index("build").stdout
    assert re.search(r"repaired.*Added\W+3\W.*Removed\W+2\W", shown, re.DOTALL)
    report = last_line(run_index("build", "--json"))
    assert (report["status"], report["added"], report["removed"]) == ("succeeded", 3, 2)


def test_what_was_asked_for_is_built(catalogue: Catalogue, run_index: RunIndex) -> None:
    catalogue.add(60)
    report = last_line(run_index("build", "--inline", "--factory", "IVF2,SQ8", "--json"))
    assert report["factory"] == "IVF2,SQ8"
    assert report["effort"] >= 1
    assert report["candidates"] >= 10
    with catalogue.database.write() as session:
        other = register_encoder(session, OTHER, utc_now())
    run_index("build", "--inline", "--encoder", OTHER.label)
    rows = {row["generation"]: row for row in last_line(run_index("list", "--json"))["generations"]}
    assert (rows[2]["encoder"], rows[2]["rows"], rows[1]["status"]) == (OTHER.label, 0, "live")
    with catalogue.database.write() as session:
        activate_encoder(session, other, utc_now(), force=True)
    assert catalogue.live() == 2


def test_a_build_that_finds_too_little_is_refused_and_told(
    catalogue: Catalogue, run_index: RunIndex
) -> None:
    run_index("build", "--inline")
    # More than the candidates that are scored again, by a code of two bits.
    catalogue.add(900)
    refused = run_index(
        *("build", "--inline", "--factory", "IVF1,PQ1x2", "--recall-target", "1", "--json"),
        raises=RecallTooLow,
    )
    report = last_line(refused)
    assert report["status"] == "failed"
    assert report["error"] == str(refused.exception)
    assert EXACT in report["error"]
    assert catalogue.live() == 1
    row = last_line(run_index("show", "2", "--json"))
    assert (row["status"], row["error"], row["files_here"]) == ("refused", report["error"], False)


def test_the_option_s_old_name_is_said_to_be_old(catalogue: Catalogue, run_index: RunIndex) -> None:
    told = run_index("build", "--here", "--json")
    assert told.stderr.splitlines()[0] == "--here is now called --inline."
    assert last_line(told)["status"] == "succeeded"
    assert catalogue.live() == 1
    assert "--here" not in run_index("build", "--help").stdout


def test_a_factory_that_makes_no_sense_is_a_failure(run_index: RunIndex) -> None:
    failed = run_index("build", "--inline", "--factory", "Nonsense", raises=Conflict)
    assert "Nonsense" in str(failed.exception)


def test_one_build_at_a_time(catalogue: Catalogue, run_index: RunIndex) -> None:
    with catalogue.database.write() as session:
        accepting.accept(session, ReindexPayload(), job_id=uuid4(), now=utc_now())
    run_index("build", "--inline", raises=ReindexRunning)


@pytest.mark.parametrize("here", [False, True])
def test_ctrl_c_leaves_the_build_to_its_worker_or_stops_it_here(
    catalogue: Catalogue, run_index: RunIndex, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    # The private Redis, which does not run; one that is configured would have to be there.
    monkeypatch.delenv("MARKETLENS_REDIS_URL", raising=False)
    monkeypatch.setattr(QueueExecutor, "step", pressed)
    monkeypatch.setattr("workers.inline.run_job", pressed)
    result = invoke("index", "build", *["--inline"] * here)
    assert result.exit_code == 130
    with catalogue.database.read() as session:
        (job,) = reading.recent(session, 9, None)
    assert job.status is (JobStatus.CANCELLED if here else JobStatus.QUEUED)
    assert ("stopped" if here else "goes on in its worker") in result.stderr
    if here:
        run_index("prune")


def test_the_list_says_what_there_is_and_where(catalogue: Catalogue, run_index: RunIndex) -> None:
    run_index("build", "--inline")
    catalogue.add(2)
    run_index("build", "--inline")
    rows = last_line(run_index("list", "--json"))["generations"]
    assert [(row["generation"], row["status"], row["rows"]) for row in rows] == [
        (2, "live", LISTINGS + 2),
        (1, "retired", LISTINGS),
    ]
    assert all(row["files_here"] and not row["open_here"] for row in rows)
    with holding_open(catalogue.generations_dir / "1"):
        rows = last_line(run_index("list", "--json"))["generations"]
    assert [row["open_here"] for row in rows] == [False, True]
    assert "live" in run_index("list").stdout
    assert last_line(run_index("list", "--limit", "1", "--json"))["generations"] == [rows[0]]


def test_one_generation_is_shown_with_its_manifest(
    catalogue: Catalogue, run_index: RunIndex
) -> None:
    built = last_line(run_index("build", "--inline", "--json"))
    row = last_line(run_index("show", "1", "--json"))
    assert row["manifest"]["why"] == row["why"] == built["why"]
    assert (row["job"], row["p95_ms"]) == (built["job"], built["p95_ms"])
    # Elsewhere built, the job tells as much.
    (catalogue.generations_dir / "1" / "manifest.json").unlink()
    row = last_line(run_index("show", "1", "--json"))
    assert (row["manifest"], row["why"]) == (None, built["why"])
    assert "Recall@10" in run_index("show", "1").stdout
    run_index("show", "7", raises=NotFound)


def test_an_evaluation_counts_what_came_and_went_since(
    catalogue: Catalogue, run_index: RunIndex
) -> None:
    (gone, _) = catalogue.add(2)
    run_index("build", "--inline")
    catalogue.add(5)
    with catalogue.database.write() as session:
        delete_listing(session, gone, utc_now())
    report = last_line(run_index("evaluate", "--against", "exact", "--json"))
    assert (report["generation"], report["against"], report["seed"]) == (1, "exact", 0)
    live = LISTINGS + 6
    assert (report["rows"], report["fresh"], report["gone"]) == (live, 5, 1)
    assert report["queries"] == live
    assert report["recall_at_10"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert 0 < report["p50_ms"] <= report["p95_ms"]
    told = run_index("evaluate", "1", "--queries", "7").stdout
    assert "7 searches" in told
    assert "1.0000" in told


def test_an_evaluation_is_the_same_with_the_same_seed_and_sees_what_is_missed(
    catalogue: Catalogue, run_index: RunIndex
) -> None:
    catalogue.add(400)
    run_index("build", "--inline", "--factory", "IVF8,SQ8", "--recall-target", "0.2")

    def recall(*arguments: str) -> dict[str, float]:
        found: dict[str, float] = last_line(run_index("evaluate", "--json", *arguments))[
            "recall_at_10"
        ]
        return found

    first = recall("--queries", "50", "--seed", "3")
    assert first == recall("--queries", "50", "--seed", "3")
    assert first["low"] < first["value"] < first["high"] < 1
    assert first != recall("--queries", "50", "--seed", "4")


def test_only_what_is_whole_and_kept_is_evaluated(
    catalogue: Catalogue, run_index: RunIndex
) -> None:
    run_index("evaluate", raises=Conflict)
    run_index("build", "--inline")
    with (catalogue.generations_dir / "1" / "ids.npy").open("r+b") as file:
        file.write(b"?")
    run_index("evaluate", raises=GenerationCorrupt)
    for _ in range(2):
        run_index("build", "--inline")
    run_index("prune", "--keep", "2")
    assert "removed" in str(run_index("evaluate", "1", raises=Conflict).exception)
    run_index("evaluate", "9", raises=NotFound)


def test_there_and_back(catalogue: Catalogue, run_index: RunIndex) -> None:
    run_index("rollback", raises=Conflict)
    for _ in range(3):
        run_index("build", "--inline")
    assert "generation 2;" in run_index("rollback").stdout
    assert last_line(run_index("rollback", "--json")) == {"generation": 3, "status": "live"}
    run_index("activate", "1")
    assert catalogue.live() == 1
    # What was live before, and not what was built before.
    assert last_line(run_index("rollback", "--json"))["generation"] == 3
    run_index("activate", "9", raises=NotFound)
    with catalogue.database.write() as session:
        other = register_encoder(session, OTHER, utc_now())
        activate_encoder(session, other, utc_now(), force=True)
    run_index("rollback", raises=Conflict)
    assert (
        last_line(run_index("rollback", "--encoder", ELSEWHERE.label, "--json"))["generation"] == 1
    )


def test_pruning_keeps_so_many_and_what_is_open(catalogue: Catalogue, run_index: RunIndex) -> None:
    for _ in range(3):
        run_index("build", "--inline")
    (catalogue.generations_dir / "77").mkdir()
    (catalogue.generations_dir / "notes").mkdir()
    with holding_open(catalogue.generations_dir / "1"):
        wanted = {
            "keep": 1,
            "forgotten": [1, 2],
            "removed": [2, 77],
            "unpublished": [],
            "held": [1],
        }
        would = last_line(run_index("prune", "--keep", "1", "--dry-run", "--json"))
        assert would == {"dry_run": True} | wanted
        assert catalogue.folders() == {"1", "2", "3", "77", "notes"}
        done = last_line(run_index("prune", "--keep", "1", "--json"))
        assert done == {"dry_run": False} | wanted
        assert catalogue.folders() == {"1", "3", "notes"}
        # It can't be gone back to, whoever still has it open.
        run_index("activate", "1", raises=Conflict)
    assert "1" in run_index("prune").stdout
    assert catalogue.folders() == {"3", "notes"}
    assert last_line(run_index("prune", "--json"))["removed"] == []


def test_what_is_built_is_published_where_others_see_it(
    catalogue: Catalogue, run_index: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETLENS_STORE_URL", f"memory://{uuid4()}/photos")
    for _ in range(2):
        run_index("build", "--inline")
    shutil.rmtree(catalogue.generations_dir / "2")
    (newest, _) = last_line(run_index("list", "--json"))["generations"]
    assert (newest["files_here"], newest["published"]) == (False, True)
    # What is not here is fetched.
    assert last_line(run_index("evaluate", "--json"))["recall_at_10"]["value"] == 1.0
    assert (catalogue.generations_dir / "2").is_dir()
    assert last_line(run_index("prune", "--keep", "1", "--json"))["unpublished"] == [1]


def test_a_plan_needs_no_database_and_no_faiss(tmp_path: Path) -> None:
    code = (
        "import sys; from marketlens import app;"
        "app(standalone_mode=False); print('faiss' in sys.modules)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "index", "plan", "--rows", "1000000", "--json"),
            *("--memory", str(2**30), "--recall-target", "0.9"),
        ],
        env={"MARKETLENS_DATA_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    line, is_heavy = done.stdout.splitlines()
    report = json.loads(line)
    assert (report["rows"], report["dimension"], report["recall_target"]) == (1000000, 2048, 0.9)
    assert report["memory_bytes"] == 2**30
    assert report["read_bytes"] < report["bytes"]
    assert "IVF" in report["factory"]
    assert "1,000,000 vectors" in report["why"]
    assert is_heavy == "False"
    assert not list(tmp_path.iterdir())


def test_a_small_catalogue_is_searched_exactly(run_index: RunIndex) -> None:
    assert last_line(run_index("plan", "--rows", "1000", "--json"))["factory"] == EXACT
    told = run_index("plan", "--rows", "5000000", "--dimension", "512").stdout
    assert "5,000,000 photos" in told
