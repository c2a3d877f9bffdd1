"""`marketlens rank`, as a person runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.rankers import active_ranker, register_ranker
from db.session import Database
from models.domain.clock import utc_now
from models.domain.errors import Conflict, InvalidInput, NotFound, SetupError
from models.domain.recommendations.rankers import Interval, Measured
from models.domain.searches.options import RankPart, RankWeights
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


@pytest.mark.parametrize("words", [("list",), ("show",), ("activate", "1"), ("rollback",)])
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
