"""The evaluation of recommendations: what is compared, by which targets."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from db.events import popularity, together
from db.ranking.rankers import active_ranker, stored_weights
from models.domain.errors import InvalidInput
from models.domain.recommendations.events import EventKind
from models.domain.recommendations.options import RecommendOptions
from models.evaluation.recommendations import item_to_item
from models.evaluation.recommendations.ablations import ABLATIONS
from models.evaluation.recommendations.baselines import (
    MeanVector,
    NearestToAny,
    NearestToLast,
    Popularity,
)
from models.evaluation.recommendations.compare import contestants
from models.evaluation.recommendations.events import DAY
from models.evaluation.recommendations.popularity import PopularityAsOf, PopularityRules
from models.evaluation.recommendations.ranking import Recommender, Replay
from models.evaluation.recommendations.replay import OnProgress, answers_of
from models.evaluation.recommendations.results import Evaluation, Setup
from models.evaluation.recommendations.sources import (
    ArrayCatalogue,
    HistoryLimits,
    Recommendations,
    whitening_of,
)
from models.evaluation.recommendations.targets import (
    TargetOptions,
    Targets,
    first_test_day,
    strongest_kind,
    targets_of,
)
from models.evaluation.recommendations.together import TogetherAsOf, TogetherRules
from workers.evaluation.catalogue import StoredCatalogue, milliseconds
from workers.evaluation.events import ReadEvents
from workers.recommending.history import IMPRESSIONS, TOUCHES
from workers.recommending.sources import TOGETHER_WITH

TEST_SHARE: Final = 0.5
"""Of the span of all events. Nothing is fitted to the part before: it is history."""

EVALUATED: Final = "recommendations"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

HISTORY: Final = HistoryLimits(touches=TOUCHES, impressions=IMPRESSIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is evaluated, and how; see `marketlens evaluate recommendations`.

    `first_day` (since 1970) or `days` say what the test part is, `kinds` what is to be found; what
    is None is chosen by the events. `users` draws so many users.
    """

    first_day: int | None = None
    days: int | None = None
    kinds: Collection[EventKind] | None = None
    min_history: int
    all_listed: bool = False
    users: int | None = None
    ablations: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class InUse:
    """What is evaluated: the options, and when their weights were learned, if they were."""

    options: RecommendOptions
    learned_at: datetime | None = None


def options_in_use(session: Session) -> InUse:
    """The options that recommendations are made by, with the learned weights in use."""
    ranker = active_ranker(session)
    if ranker is None:
        return InUse(RecommendOptions())
    weights = stored_weights(ranker.weights)
    return InUse(replace(RecommendOptions(), weights=weights), ranker.created_at)


def evaluate(
    catalogue: StoredCatalogue,
    read: ReadEvents,
    in_use: InUse,
    options: EvaluationOptions,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """The figures of recommendations, baselines and ablations. Raises `InvalidInput`."""
    if not len(read.events):
        raise InvalidInput("There are no events of these listings.")
    lifetimes = None if options.all_listed else catalogue.lifetimes
    replay = Replay(read.events, len(catalogue.facts), lifetimes, options.seed)
    counted = _target_options(replay, options)
    targets = _drawn(targets_of(read.events, counted, lifetimes), options)
    known = undated(catalogue) if options.all_listed else catalogue
    arrays = arrays_of(known, replay, counted.first_day * DAY)
    recommenders: dict[str, Recommender] = {
        EVALUATED: Recommendations(arrays, in_use.options, HISTORY)
    }
    baselines = _baselines(arrays, counted)
    ablations: dict[str, Recommender] = {
        name: Recommendations(arrays, without(in_use.options), HISTORY)
        for name, without in (ABLATIONS if options.ablations else {}).items()
    }
    answers = answers_of(recommenders | baselines | ablations, replay, targets.targets, on_progress)
    found = contestants(answers, targets.targets, _ever_listed(replay, targets), options.seed)
    return Evaluation(
        _setup(catalogue, read, counted, targets, options),
        found[0],
        found[1 : 1 + len(baselines)],
        found[1 + len(baselines) :],
        [*_notes(read, targets, baselines), *_learned_late(in_use, counted)],
    )


def _target_options(replay: Replay, options: EvaluationOptions) -> TargetOptions:
    events = replay.events
    first_day = options.first_day
    if first_day is None:
        first_day = first_test_day(events, TEST_SHARE, options.days)
    kinds = options.kinds or strongest_kind(events, first_day)
    return TargetOptions(tuple(kinds), first_day, options.min_history)


def undated(catalogue: StoredCatalogue) -> StoredCatalogue:
    """The listings as if all were equally old: when they were listed is not known."""
    return replace(catalogue, facts=[one._replace(created_at=_EPOCH) for one in catalogue.facts])


def _drawn(targets: Targets, options: EvaluationOptions) -> Targets:
    users = np.unique(targets.users)
    if options.users is None or len(users) <= options.users:
        return targets
    rng = np.random.default_rng(options.seed)
    return targets.of_users(rng.choice(users, options.users, replace=False))


def arrays_of(catalogue: StoredCatalogue, replay: Replay, first_moment: int) -> ArrayCatalogue:
    """What recommendations are made of, by the rules by which the database is read."""
    return ArrayCatalogue(
        replay,
        catalogue.similarities,
        PopularityAsOf(replay, popularity_rules()),
        TogetherAsOf(replay, together_rules()),
        catalogue.facts,
        {one.listing_id: row for row, one in enumerate(catalogue.facts)},
        whitening_of(catalogue.similarities, replay.listed(first_moment)),
    )


def popularity_rules() -> PopularityRules:
    """How the database counts popularity."""
    return PopularityRules(
        popularity.FLOOR,
        popularity.HALF_LIFE / timedelta(milliseconds=1),
        popularity.NEWEST,
        popularity.WEIGHTS,
    )


def together_rules() -> TogetherRules:
    """How co-occurrence is read from the database."""
    return TogetherRules(
        popularity.FLOOR,
        together.TOUCHES_OF_LISTING,
        together.TOUCHES_OF_USER,
        TOGETHER_WITH,
    )


def _baselines(arrays: ArrayCatalogue, counted: TargetOptions) -> dict[str, Recommender]:
    replay, similarities = arrays.replay, arrays.similarities
    popular = Popularity(replay, counted.kinds)
    baselines: dict[str, Recommender] = {
        "popularity of 30 days": popular,
        "nearest to the last": NearestToLast(replay, similarities),
        "mean vector": MeanVector(replay, similarities),
        "nearest to any, by age": NearestToAny(replay, similarities),
        "the same, + log popularity": NearestToAny(replay, similarities, popular),
    }
    if item_to_item.is_installed():
        baselines["item-to-item (implicit)"] = item_to_item.ItemToItem(
            replay, counted.first_day * DAY
        )
    return baselines


def _ever_listed(replay: Replay, targets: Targets) -> int:
    """How many listings could be recommended to somebody: those that were listed on some day."""
    days = {target.moment for target in targets.targets}
    ever = np.zeros(replay.n, np.bool_)
    for moment in days:
        ever |= replay.listed(moment)
    return int(ever.sum())


def _setup(
    catalogue: StoredCatalogue,
    read: ReadEvents,
    counted: TargetOptions,
    targets: Targets,
    options: EvaluationOptions,
) -> Setup:
    last_day = int(read.events.at[-1]) // DAY
    return Setup(
        kinds=[kind.value for kind in counted.kinds],
        first_day=_iso(counted.first_day),
        last_day=_iso(last_day),
        min_history=counted.min_history,
        all_listed=options.all_listed,
        encoder=catalogue.encoder,
        catalogue=len(catalogue.facts),
        events=len(read.events),
        targets=len(targets.targets),
        users=len(np.unique(targets.users)),
        to_find=targets.listings,
        never_sold=sum(int(target.is_first.sum()) for target in targets.targets),
        unlisted=targets.unlisted,
        unknown=read.unknown,
        seed=options.seed,
    )


def _iso(day: int) -> str:
    return str(np.datetime64(day, "D"))


def _notes(read: ReadEvents, targets: Targets, baselines: Mapping[str, Recommender]) -> list[str]:
    """What was left out, and why."""
    said = [
        (read.unknown, "events are of listings that are not in the catalogue"),
        (read.invalid, "events lack a user, a known type or a time"),
        (read.repeated, "events repeat the id of another"),
        (
            targets.unlisted,
            "touches are no targets: their listings were not listed before that day "
            "(--all-listed, if the catalogue was filled later than the events)",
        ),
    ]
    notes = [f"{count:,} {what}." for count, what in said if count]
    if not any("implicit" in name for name in baselines):
        notes.append(
            "Item-to-item collaborative filtering is left out: implicit is not installed "
            "(`pip install implicit`)."
        )
    return notes


def _learned_late(in_use: InUse, counted: TargetOptions) -> list[str]:
    """Whether the weights may know what is to be found."""
    learned_at = in_use.learned_at
    if learned_at is None or milliseconds(learned_at) < counted.first_day * DAY:
        return []
    return [
        f"The weights in use were learned on {learned_at:%Y-%m-%d}, perhaps from what is to be "
        "found here: only what users do from then on tells how good they are."
    ]
