"""`marketlens rank`, as a person runs it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete

from db.events.tables import Event
from db.ranking.rankers import active_ranker, register_ranker
from db.session import Database
from models.domain.clock import utc_now
from models.domain.errors import Conflict, InvalidInput, NotFound, SetupError
from models.domain.recommendations.rankers import Interval, Measured
from models.domain.searches.options import RankPart, RankWeights
from models.ranking import trial
from tests.support.buyers import add_catalogue, add_choices, choices, use_bad_weights
from tests.support.commands import invoke, last_line

WEIGHTS = RankWeights(similarity=0, text=0, price=1.0, freshness=0.25)


@pytest.fixture
def database(
    tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(folder))
    opened = Database(f"sqlite:///{folder / 'marketlens.db'}")
    yield opened
    opened.close()


def register(database: Database, compared_with: int | None = None) -> int:
    measured = Measured(
        learned_from=1_234,
        tried_on=567,
        users=89,
        tried_from=utc_now(),
        compared_with=compared_with,
        in_use=Interval(value=0.01, low=0.008, high=0.012),
        learned=Interval(value=0.0134, low=0.011, high=0.016),
        gain=Interval(value=0.0034, low=0.001, high=0.005),
        learned_parts=(RankPart.PRICE,),
        looked_at={0: 1.0, 1: 0.5},
    )
    with database.write() as session:
        return register_ranker(session, WEIGHTS, measured.model_dump(mode="json"), utc_now()).id


def in_use(database: Database) -> int | None:
    with database.read() as session:
        active = active_ranker(session)
        return None if active is None else active.id


def test_weights_are_activated_and_rolled_back(database: Database) -> None:
    first, second = register(database), register(database)
    for ranker_id in (first, second):
        result = invoke("rank", "activate", ranker_id)
        assert result.stdout == f"Recommendations are made with weights {ranker_id}.\n"
    assert invoke("rank", "rollback").stdout == "Recommendations are made with weights 1.\n"
    assert in_use(database) == first
    assert "the default weights" in invoke("rank", "activate", "default").stdout
    assert in_use(database) is None


def test_what_is_not_there_is_refused_in_words(database: Database) -> None:
    for words, error in (
        (("activate", "7"), NotFound),
        (("activate", "latest"), InvalidInput),
        (("activate", "0"), InvalidInput),
        (("show", "7"), NotFound),
        (("rollback",), Conflict),
    ):
        result = invoke("rank", *words)
        assert isinstance(result.exception, error), words
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
    assert in_use(database) is None


@pytest.mark.parametrize(
    "words", [("list",), ("show",), ("activate", "1"), ("rollback",), ("train",)]
)
def test_no_database_is_made(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETLENS_DATA_DIR", str(tmp_path))
    assert isinstance(invoke("rank", *words).exception, SetupError)
    assert not list(tmp_path.iterdir())


def test_the_list_has_the_defaults_and_what_each_gained(database: Database) -> None:
    first = register(database)
    register(database, compared_with=first)
    invoke("rank", "activate", first)
    rows = last_line(invoke("rank", "list", "--json"))["rankers"]
    assert [(row["id"], row["status"]) for row in rows] == [
        ("default", "registered"),
        (1, "active"),
        (2, "registered"),
    ]
    assert rows[1]["weights"] == {"price": 1.0, "freshness": 0.25}
    assert rows[1]["measured"]["gain"]["low"] == 0.001
    shown = invoke("rank", "list").stdout
    assert "default: +0.0034 (+0.0010 … +0.0050)" in shown
    assert "1: +0.0034" in shown


def test_what_is_known_of_weights_is_shown(database: Database) -> None:
    ranker_id = register(database)
    assert "By default" in invoke("rank", "show").stdout
    invoke("rank", "activate", ranker_id)
    shown = " ".join(invoke("rank", "show").stdout.split())
    assert "price 80.0%" in shown
    assert "Learned from 1,234 choices before" in shown
    assert "567 later ones of 89 users" in shown
    assert "say nothing about them: freshness" in shown
    assert "1: 1.00, 2: 0.50" in shown
    assert last_line(invoke("rank", "show", "default", "--json"))["measured"] is None
    assert last_line(invoke("rank", "show", "--json"))["id"] == ranker_id


NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def chosen(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database of users who choose what looks alike, and are shown what is new."""
    monkeypatch.setattr(trial, "MIN_CHOICES", 30)
    add_catalogue(database, NOW)
    add_choices(database, NOW)
    use_bad_weights(database, NOW)
    return database


def test_better_weights_are_learned_and_used_and_no_better_ones_refused(chosen: Database) -> None:
    result = invoke("rank", "train", "--json")
    assert result.exit_code == 0
    report = last_line(result)
    assert (report["id"], report["active"], report["refusal"]) == (2, True, None)
    assert report["measured"]["compared_with"] == 1
    assert in_use(chosen) == 2

    again = invoke("rank", "train", "--json")
    assert isinstance(again.exception, Conflict)
    assert again.exit_code == 2
    assert "The weights are refused: they are no better than those in use" in again.stderr
    report = last_line(again)
    assert (report["id"], report["active"]) == (None, False)
    assert "nDCG@20" in report["refusal"]
    assert in_use(chosen) == 2

    assert "weights 1" in invoke("rank", "rollback").stdout
    assert len(last_line(invoke("rank", "list", "--json"))["rankers"]) == 3


def test_weights_are_kept_and_not_used_if_told_so(chosen: Database) -> None:
    result = invoke("rank", "train", "--no-activate")
    assert "Weights 2 are kept: `marketlens rank activate 2`." in result.stdout
    assert "interest" in result.stdout
    assert in_use(chosen) == 1


def test_events_of_a_file_are_learned_from_too(chosen: Database, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    with file.open("w") as lines:
        for event in choices(NOW):
            record = {
                "event_id": event.event_id,
                "user": event.user,
                "type": event.kind.value,
                "listing_id": str(event.listing_id),
                "at": event.at.isoformat(),
            }
            lines.write(json.dumps(record) + "\n")
    with chosen.write() as session:
        session.execute(delete(Event))
    assert isinstance(invoke("rank", "train").exception, InvalidInput)
    report = last_line(invoke("rank", "train", file, "--json"))
    assert report["active"]
