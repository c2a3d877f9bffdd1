"""Weights of recommendations, learned from the events of the database and tried on later ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from db.events.shown_lists import ListedEvent, newest_lists, user_numbers
from db.rankers import activate_tried, active_ranker, register_ranker, stored_weights
from db.session import Database
from models.domain.errors import InvalidInput
from models.domain.recommendations.options import RecommendOptions
from models.domain.recommendations.rankers import Interval, Measured
from models.domain.searches.options import RankWeights
from models.evaluation.intervals import Estimate
from models.evaluation.recommendations.ranking import Replay
from models.evaluation.recommendations.sources import ArrayCatalogue, Recommendations
from models.ranking.choices import Choice
from models.ranking.learning import BUCKETS
from models.ranking.shown_lists import ListEvent, shown_lists
from models.ranking.train import Trained, train
from models.recommending.choosing import LEARNED, Shown, choice_of_all, choice_of_list
from workers.evaluation.catalogue import StoredCatalogue, milliseconds, stored_catalogue
from workers.evaluation.events import stored_events
from workers.evaluation.recommendations import HISTORY, arrays_of
from workers.rankers.moments import Moment, gains_of_kinds, moments_of

MOMENTS: Final = 3_000
"""The most lists, and the most days of users, that weights are learned from and tried on: of more,
a hundredth of nDCG@20 would be no surer."""

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class LearnedRanker:
    """Weights that were learned, beside those that were in use; `refusal` says why not to use them.

    `compared_with` is the ranker that was in use, None for the defaults.
    """

    weights: RankWeights
    in_use: RankWeights
    compared_with: int | None
    measured: Measured
    refusal: str | None


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What weights are learned from, as of one moment."""

    catalogue: StoredCatalogue
    replay: Replay
    lists: Sequence[ListEvent]
    in_use: RankWeights
    compared_with: int | None


def learn_ranker(
    database: Database,
    options: RecommendOptions,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> LearnedRanker:
    """Learn weights from all events that there are now, and compare them with those in use.

    Stores nothing. `options.weights` are in use where nothing was learned before. Raises
    InvalidInput where there are too few events, SetupError where no photo is embedded.
    """
    report = on_progress or (lambda *_: None)
    with database.read() as session:
        read = _read(session, options.weights, report)
    gains = gains_of_kinds(options.interests.kinds)
    lists = shown_lists(read.lists, gains)
    moments = moments_of(read.replay, lists, options.interests.kinds, MOMENTS)
    if not moments:
        raise InvalidInput(
            "There is nothing to learn from: no user with an earlier event has chosen anything."
        )
    arrays = arrays_of(read.catalogue, read.replay, moments[0].moment)
    asking = _Asking(arrays, replace(options, weights=read.in_use))
    trained = train(
        moments,
        asking.choice_of,
        LEARNED,
        read.in_use,
        seed=seed,
        on_progress=lambda done, total: report("choices", done, total),
    )
    return LearnedRanker(
        trained.learned.weights,
        read.in_use,
        read.compared_with,
        _measured(trained, read.compared_with, has_lists=bool(lists)),
        trained.trial.refusal,
    )


def store_ranker(session: Session, ranker: LearnedRanker, now: datetime, *, activate: bool) -> int:
    """Store learned weights, and use them from this commit on if told so; gives their id.

    Raises ChangedMeanwhile where they would be used in place of others than they were compared
    with.
    """
    row = register_ranker(session, ranker.weights, ranker.measured.model_dump(mode="json"), now)
    if activate:
        activate_tried(session, row.id, ranker.compared_with, now)
    return row.id


def _read(session: Session, defaults: RankWeights, report: OnProgress) -> _Read:
    active = active_ranker(session)
    catalogue = stored_catalogue(
        session, on_progress=lambda done, total: report("vectors", done, total)
    )
    events = stored_events(session, catalogue).events
    rows = {number: row for row, number in enumerate(catalogue.numbers.tolist())}
    users = user_numbers(session)
    lists = [_list_event(one, users, rows) for one in newest_lists(session, MOMENTS)]
    return _Read(
        catalogue,
        Replay(events, len(catalogue.facts), catalogue.lifetimes),
        [one for one in lists if one is not None],
        defaults if active is None else stored_weights(active.weights),
        None if active is None else active.id,
    )


def _list_event(
    event: ListedEvent, users: Mapping[bytes, int], rows: Mapping[int, int]
) -> ListEvent | None:
    """None of a listing that is not in the catalogue."""
    row = rows.get(event.listing_number)
    if row is None:
        return None
    return ListEvent(
        event.search_id,
        users[bytes(event.user_key)],
        row,
        event.kind,
        milliseconds(event.at),
        event.position,
    )


class _Asking:
    """Makes choices of moments, by what was known then."""

    def __init__(self, arrays: ArrayCatalogue, options: RecommendOptions) -> None:
        self._arrays = arrays
        self._options = options
        self._recommendations = Recommendations(arrays, options, HISTORY)

    def choice_of(self, moment: Moment) -> Choice:
        asked = self._arrays.replay.asked(moment.user, moment.moment)
        request, sources = self._recommendations.asked_for(asked)
        if moment.shown is None:
            chosen = {self._id(row): gain for row, gain in moment.gains.items()}
            return choice_of_all(moment.user, request, chosen, sources, self._options)
        shown = {
            self._id(row): Shown(position, gain)
            for row, position, gain in zip(
                moment.shown.listings.tolist(),
                moment.shown.positions.tolist(),
                moment.shown.gains.tolist(),
                strict=True,
            )
        }
        return choice_of_list(moment.user, request, shown, sources, self._options)

    def _id(self, row: int) -> UUID:
        return self._arrays.facts[row].listing_id


def _measured(trained: Trained, compared_with: int | None, *, has_lists: bool) -> Measured:
    trial, learned = trained.trial, trained.learned
    looked_at = dict(zip(BUCKETS.tolist(), learned.propensities.round(4).tolist(), strict=True))
    return Measured(
        learned_from=trained.learned_from,
        tried_on=trial.choices,
        users=trial.users,
        tried_from=datetime.fromtimestamp(trained.tried_from / 1000, UTC),
        compared_with=compared_with,
        in_use=_interval(trial.in_use),
        learned=_interval(trial.learned),
        gain=_interval(trial.gain),
        learned_parts=learned.varying,
        looked_at=looked_at if has_lists else {},
    )


def _interval(estimate: Estimate) -> Interval:
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)
