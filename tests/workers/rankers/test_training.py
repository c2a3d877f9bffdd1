"""Weights are learned from the events of a database, on both kinds."""

from datetime import UTC, datetime

import pytest

from db.ranking.rankers import active_weights, all_rankers
from db.session import Database
from models.domain.errors import ChangedMeanwhile, InvalidInput
from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.options import RankPart
from models.ranking import trial
from tests.support.buyers import add_catalogue, add_choices, use_bad_weights
from workers.rankers.training import (
    LearnedRanker,
    Source,
    learn_ranker,
    read_chosen,
    store_ranker,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
OPTIONS = RecommendOptions()


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "MIN_CHOICES", 30)


def learn(database: Database, source: Source | None = None) -> LearnedRanker:
    with database.read() as session:
        chosen = read_chosen(session, source or Source(), OPTIONS.weights)
    return learn_ranker(chosen, OPTIONS)


def test_weights_are_learned_stored_and_used(any_database: Database) -> None:
    add_catalogue(any_database, NOW)
    add_choices(any_database, NOW)
    bad = use_bad_weights(any_database, NOW)
    ranker = learn(any_database)
    assert ranker.refusal is None
    assert ranker.compared_with == bad
    assert ranker.weights.interest == 1
    assert ranker.measured.gain.low > 0.1
    # Each user's first day has no history to learn from; a part of the others comes later.
    assert ranker.measured.learned_from + ranker.measured.tried_on <= 24 * 7
    assert ranker.measured.looked_at == {}
    with any_database.write() as session:
        assert store_ranker(session, ranker, NOW, activate=True) == bad + 1
    with any_database.read() as session:
        assert active_weights(session) == ranker.weights
    assert learn(any_database).refusal is not None


def test_lists_that_were_shown_are_learned_from_with_their_positions(
    any_database: Database,
) -> None:
    add_catalogue(any_database, NOW)
    add_choices(any_database, NOW, lists=True)
    use_bad_weights(any_database, NOW)
    ranker = learn(any_database)
    assert ranker.refusal is None
    assert ranker.weights.interest == 1
    # Also the first day, of users without a history.
    assert ranker.measured.learned_from + ranker.measured.tried_on == 24 * 8
    # Listings of lists were shown at places drawn: all are looked at alike, more or less.
    places = [ranker.measured.looked_at[place] for place in range(6)]
    assert min(places) > 0.2


def test_default_weights_that_find_all_are_not_replaced(database: Database) -> None:
    add_catalogue(database, NOW)
    add_choices(database, NOW)
    ranker = learn(database)
    assert ranker.refusal is not None
    assert ranker.compared_with is None
    assert ranker.in_use == OPTIONS.weights
    # The same events give the same weights.
    assert learn(database) == ranker
    # Parts that no choice tells of keep their weight.
    told = ranker.measured.learned_parts
    assert RankPart.SIMILARITY not in told
    assert RankPart.DISTANCE not in told
    ratio = OPTIONS.weights.distance / OPTIONS.weights.similarity
    assert ranker.weights.distance / ranker.weights.similarity == pytest.approx(ratio, abs=1e-3)


def test_too_few_events_are_said_so(database: Database) -> None:
    add_catalogue(database, NOW)
    with pytest.raises(InvalidInput, match="nobody has chosen"):
        learn(database)
    add_choices(database, NOW, days=2)
    with pytest.raises(InvalidInput, match="choices of 20 users at least"):
        learn(database)


def test_of_two_trainings_at_once_the_later_one_is_refused(any_database: Database) -> None:
    add_catalogue(any_database, NOW)
    add_choices(any_database, NOW)
    use_bad_weights(any_database, NOW)
    ranker = learn(any_database)
    with any_database.write() as session:
        store_ranker(session, ranker, NOW, activate=True)
    with pytest.raises(ChangedMeanwhile), any_database.write() as session:
        store_ranker(session, ranker, NOW, activate=True)
    with any_database.read() as session:
        assert [row.status for row in all_rankers(session)] == ["retired", "active"]
    with any_database.write() as session:
        store_ranker(session, ranker, NOW, activate=False)
    with any_database.read() as session:
        assert [row.status for row in all_rankers(session)] == ["retired", "active", "registered"]
