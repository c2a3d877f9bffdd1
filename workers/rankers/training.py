"""Weights of recommendations, learned from the events of the database and tried on later ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from db.events.shown_lists import ListedEvent, newest_lists, user_numbers
from db.ranking.rankers import activate_tried, active_ranker, register_ranker, stored_weights
from models.domain.errors import InvalidInput
from models.domain.recommendations.options import RecommendOptions
from models.domain.recommendations.rankers import Interval, Measured
from models.domain.searches.options import RankWeights
from models.evaluation.intervals import Estimate
from models.evaluation.recommendations.ranking import Replay
from models.evaluation.recommendations.sources import ArrayCatalogue, Recommendations
from models.ranking.choices import Choice
from models.ranking.positions import BUCKETS
from models.ranking.shown_lists import ListEvent, shown_lists
from models.ranking.train import Trained, train
from models.recommending.choosing import LEARNED, Shown, choice_of_all, choice_of_list
from workers.evaluation.catalogue import StoredCatalogue, milliseconds, stored_catalogue
from workers.evaluation.events import events_of_file, stored_events
from workers.evaluation.recommendations import HISTORY, arrays_of, undated
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
class Chosen:
    """What weights are learned from, as of one moment, and those that are in use.

    `replay` has all events, `lists` those of lists that something was chosen from, `ranker_id` is
    the ranker in use, None for the defaults.
    """

    catalogue: StoredCatalogue
    replay: Replay
    lists: Sequence[ListEvent]
    in_use: RankWeights
    ranker_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where events come from: a file, or, without one, the database.

    A file names listings as `feed` does. With `all_listed` every listing was there at any time.
    """

    file: Path | None = None
    feed: str | None = None
    all_listed: bool = False


def read_chosen(
    session: Session, source: Source, defaults: RankWeights, on_progress: OnProgress | None = None
) -> Chosen:
    """Read all that weights are learned from. `defaults` are used where nothing was learned before.

    Raises InvalidInput where there are no listings, SetupError where no photo is embedded.
    """
    report = on_progress or _silent
    active = active_ranker(session)
    catalogue = stored_catalogue(session, source.feed, partial(report, "vectors"))
    if source.file is None:
        events, lists = stored_events(session, catalogue).events, _lists(session, catalogue)
    else:
        events, lists = events_of_file(source.file, catalogue).events, []
    lifetimes = None if source.all_listed else catalogue.lifetimes
    return Chosen(
        undated(catalogue) if source.all_listed else catalogue,
        Replay(events, len(catalogue.facts), lifetimes),
        lists,
        defaults if active is None else stored_weights(active.weights),
        None if active is None else active.id,
    )


def learn_ranker(
    chosen: Chosen,
    options: RecommendOptions,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> LearnedRanker:
    """Learn weights from what users chose, and compare them with those in use. Stores nothing.

    Users of the comparison are drawn by `seed`. Raises InvalidInput where there are too few events.
    """
    kinds = options.interests.kinds
    lists = shown_lists(chosen.lists, gains_of_kinds(kinds))
    moments = moments_of(chosen.replay, lists, kinds, MOMENTS)
    if not moments:
        raise InvalidInput(
            "There is nothing to learn from: nobody has chosen a listing after another one."
        )
    arrays = arrays_of(chosen.catalogue, chosen.replay, moments[0].moment)
    asking = _Asking(arrays, replace(options, weights=chosen.in_use))
    trained = train(
        moments,
        asking.choice_of,
        LEARNED,
        chosen.in_use,
        seed=seed,
        on_progress=partial(on_progress or _silent, "choices"),
    )
    return LearnedRanker(
        trained.learned.weights,
        chosen.in_use,
        chosen.ranker_id,
        _measured(trained, chosen.ranker_id),
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


def _silent(step: str, done: int, total: int) -> None:
    """Report no progress."""


def _lists(session: Session, catalogue: StoredCatalogue) -> list[ListEvent]:
    rows = {number: row for row, number in enumerate(catalogue.numbers.tolist())}
    users = user_numbers(session)
    lists = [_list_event(one, users, rows) for one in newest_lists(session, MOMENTS)]
    return [one for one in lists if one is not None]


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


def _measured(trained: Trained, compared_with: int | None) -> Measured:
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
        looked_at={place: looked_at[place] for place in learned.positions},
    )


def _interval(estimate: Estimate) -> Interval:
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)
