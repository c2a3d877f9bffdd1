import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from typer.testing import Result

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.events.store import NewEvent, store_events
from db.ranking.rankers import activate_ranker, register_ranker
from db.session import Database
from db.vectors.embeddings import add_embeddings
from db.vectors.encoders import activate_initial_encoder
from models.domain.errors import InvalidInput, MarketlensError, SetupError
from models.domain.recommendations.events import EventKind
from models.domain.searches.options import RankWeights
from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows
from models.evaluation.recommendations import item_to_item
from models.evaluation.recommendations.metrics import Metric
from tests.support.commands import invoke

FIRST = datetime(2030, 1, 1, tzinfo=UTC)
TASTES, LISTINGS, USERS, DAYS = 4, 60, 10, 40
FEED = "shop"

Run = Callable[..., Result]


def bought(rng: np.random.Generator) -> list[NewEvent]:
    """Each user likes one kind of thing of four, and now and then another."""
    events = []
    for user in range(USERS):
        liked = [row for row in range(LISTINGS) if row % TASTES == user % TASTES]
        for number, row in enumerate(rng.permutation(liked)[:9].tolist()):
            at = FIRST + timedelta(days=int(rng.integers(DAYS)), hours=int(rng.integers(24)))
            kind = EventKind.SAVED if number % 3 == 0 else EventKind.PURCHASED
            events.append(NewEvent(f"{user} {number}", f"u{user}", kind, UUID(int=row + 1), at))
    return events


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Path]:
    """A data folder with listings of four looks, and `events.csv` as the database has them."""
    folder = tmp_path_factory.mktemp("recommendations")
    (folder / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(TASTES, 8))[np.arange(LISTINGS) % TASTES]
    vectors = unit_rows((looks + 0.1 * rng.normal(size=looks.shape)).astype(np.float32))
    events = bought(rng)
    database = Database(f"sqlite:///{folder / 'marketlens.db'}")
    with database.write() as session:
        listings = [
            ListingData(UUID(int=row + 1), f"Thing {row}", external_id=f"x{row}")
            for row in range(LISTINGS)
        ]
        upsert_listings(session, listings, FIRST - timedelta(days=1), feed=FEED)
        photos = [PhotoData(f"{row:064x}", 3, 4) for row in range(LISTINGS)]
        ids = list(ensure_photos(session, photos, FIRST).values())
        set_photos(session, {one.id: [ids[row]] for row, one in enumerate(listings)})
        encoder = activate_initial_encoder(session, EncoderSpec("hog", 8, "a" * 64), FIRST)
        add_embeddings(session, encoder.id, dict(zip(ids, vectors, strict=True)))
        store_events(session, events, FIRST + timedelta(days=DAYS))
    database.close()
    lines = [
        f"{one.event_id},{one.user},{one.kind.value},x{one.listing_id.int - 1},{one.at.isoformat()}"
        for one in events
    ]
    (folder / "events.csv").write_text("\n".join(["event_id,user,type,listing_id,at", *lines]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKETLENS_DATA_DIR", str(folder))
        for name in ("DATABASE_URL", "REDIS_URL", "STORE_URL", "WEIGHTS"):
            patch.delenv(f"MARKETLENS_{name}", raising=False)
        yield folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    del folder

    def run(*arguments: str | Path) -> Result:
        result = invoke("evaluate", "recommendations", *arguments)
        if isinstance(result.exception, MarketlensError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


def report(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def test_recommendations_are_compared_with_baselines(run: Run) -> None:
    told = report(run("--json"))
    assert told["kinds"] == ["purchased"]
    assert told["catalogue"] == LISTINGS
    assert told["events"] == 9 * USERS
    assert told["users"] > USERS / 2
    assert told["never_sold"] <= told["to_find"]
    assert told["encoder"].startswith("hog-")
    metrics = told["recommender"]["metrics"]
    assert list(metrics) == [metric.value for metric in Metric]
    # What one likes looks alike: of 15, at most 9 are known, and 20 are recommended.
    assert metrics["recall_at_20"]["value"] > 0.9
    popular = told["baselines"][0]
    assert popular["name"] == "popularity of 30 days"
    assert popular["recommender_more"]["recall_at_20"]["low"] > 0
    assert len(told["baselines"]) == 5 + (find_spec("implicit") is not None)
    assert told["ablations"] == []


def test_a_file_says_what_the_database_says(run: Run, folder: Path) -> None:
    of_file = report(run(folder / "events.csv", "--feed", FEED, "--json"))
    of_database = report(run("--json"))
    # Users have other numbers, by which they are drawn for intervals.
    for name in ("targets", "users", "to_find", "never_sold", "events"):
        assert of_file[name] == of_database[name]
    recall = [
        told["recommender"]["metrics"]["recall_at_20"]["value"] for told in (of_file, of_database)
    ]
    assert recall[0] == pytest.approx(recall[1])


def test_the_test_part_and_targets_can_be_stated(run: Run) -> None:
    last = report(run("--test-days", "5", "--targets", "saved, purchased", "--json"))
    assert last["kinds"] == ["purchased", "saved"]
    same = report(run("--test-from", last["first_day"], "--targets", "saved,purchased", "--json"))
    assert same == last
    one = report(run("--users", "1", "--min-history", "5", "--json"))
    assert (one["users"], one["min_history"]) == (1, 5)


def test_what_was_listed_later_is_no_candidate_unless_that_is_not_known(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    early = tmp_path / "early.csv"
    lines = (folder / "events.csv").read_text().replace("2030-", "2020-")
    early.write_text(lines)
    with pytest.raises(InvalidInput, match="There is nothing to find"):
        run(early, "--feed", FEED)
    told = report(run(early, "--feed", FEED, "--all-listed", "--json"))
    assert told["all_listed"]
    assert told["recommender"]["metrics"]["recall_at_20"]["value"] > 0.9


def test_ablations_are_of_each_part(run: Run) -> None:
    told = report(run("--ablations", "--test-days", "8", "--json"))
    assert [one["name"] for one in told["ablations"]] == [
        "one interest",
        "no recency",
        "no popularity",
        "no co-occurrence",
        "no diversity",
    ]


def test_people_get_tables_and_a_page(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    shown = run("--html", page, "--test-days", "8").stdout
    assert "recall@20" in shown
    assert "popularity of 30 days" in shown
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert "What recommendations find" in text


def test_without_implicit_the_rest_is_measured_and_that_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_to_item, "find_spec", lambda _: None)
    told = report(run("--test-days", "8", "--json"))
    assert len(told["baselines"]) == 5
    assert any("pip install implicit" in note for note in told["notes"])
    assert "implicit" in sys.modules or find_spec("implicit") is None


def test_learned_weights_are_those_that_are_evaluated(run: Run, folder: Path) -> None:
    database = Database(f"sqlite:///{folder / 'marketlens.db'}")
    before = report(run("--test-days", "8", "--json"))
    try:
        with database.write() as session:
            # What looks like what was touched is of no interest: only what is popular.
            weights = replace(RankWeights(similarity=0, text=0), popularity=1.0)
            late = FIRST + timedelta(days=DAYS)
            activate_ranker(session, register_ranker(session, weights, {}, late).id, late)
        told = report(run("--test-days", "8", "--json"))
        with database.write() as session:
            activate_ranker(session, None, late)
        assert report(run("--test-days", "8", "--json")) == before
    finally:
        database.close()
    assert told["recommender"]["metrics"] != before["recommender"]["metrics"]
    assert told["baselines"][0]["metrics"] == before["baselines"][0]["metrics"]
    (note,) = told["notes"]
    assert "learned on 2030-02-10" in note


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--test-days", "3", "--test-from", "2030-01-30"], "state one of them"),
        (["--targets", "bought"], "--targets bought is none of purchased"),
        (["--targets", " , "], "is none of"),
        (["--targets", "impression"], "is none of"),
        (["--feed", "other"], "No listing is of a feed with the name other"),
        (["--test-from", "2031-01-01"], "from 2031-01-01 on nobody purchased"),
        (["--min-history", "50"], "after having touched 50 others"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_line(run: Run, arguments: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        run(*arguments)
    assert "\n" not in str(refused.value)


def test_events_of_other_listings_are_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,type,listing_id,at\na,saved,x,2030-01-01\n")
    with pytest.raises(InvalidInput, match="no events of these listings"):
        run(tmp_path / "events.csv")


def test_a_database_that_is_not_there_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path))
    with pytest.raises(SetupError, match="no database yet"):
        run()


def test_evaluate_alone_means_encoders_as_before(folder: Path) -> None:
    del folder
    for words in (["evaluate", "--json"], ["evaluate", "encoders", "--json"]):
        ended = invoke(*words)
        assert "The files of the encoder hog-aaaaaaaa are not in" in str(ended.exception)
