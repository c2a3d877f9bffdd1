"""What is found is never found by what came later, and does not hang on who is numbered how."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain.recommendations.events import EventKind
from models.evaluation.recommendations.events import DAY, Lifetimes
from models.evaluation.recommendations.metrics import scores_of
from models.evaluation.recommendations.replay import answers_of
from models.evaluation.recommendations.targets import TargetOptions, Targets, targets_of
from tests.support.replayed_events import SOLD, Did, events_of, recommenders_of

LISTINGS: Final = 12
USERS: Final = 5
FIRST_DAY: Final = 10
LIFETIMES: Final = Lifetimes(
    np.array([-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, 17], np.int64) * DAY,
    np.array([99, 99, 13, 99, 16, 99, 99, 99, 99, 99, 99, 99], np.int64) * DAY,
)
# So that there is always a target.
ALWAYS: Final = (Did(USERS, 0, 1), Did(USERS, 5, 19.5))

EVENTS = st.lists(
    st.builds(
        Did,
        user=st.integers(0, USERS - 1),
        listing=st.integers(0, LISTINGS - 1),
        day=st.integers(0, 80).map(lambda quarter: quarter / 4),
        kind=st.sampled_from([*EventKind, EventKind.PURCHASED, EventKind.PURCHASED]),
    ),
    min_size=20,
    max_size=90,
    unique_by=lambda one: one.day * 1000 + one.user * 50 + one.listing,
)
MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.data_too_large])


def _targets(done: Sequence[Did], options: TargetOptions, lifetimes: Lifetimes | None) -> Targets:
    return targets_of(events_of([*done, *ALWAYS]), options, lifetimes)


@MANY
@given(done=EVENTS, day=st.integers(FIRST_DAY, 20), lifetimes=st.sampled_from([None, LIFETIMES]))
def test_what_comes_later_changes_nothing(
    done: list[Did], day: int, lifetimes: Lifetimes | None
) -> None:
    replay, recommenders = recommenders_of(done, LISTINGS, lifetimes)
    before = [one for one in done if one.day < day]
    if not before:
        return
    past, past_recommenders = recommenders_of(before, LISTINGS, lifetimes)
    for user in sorted({one.user for one in before}):
        asked = replay.asked(user, day * DAY)
        known = past.asked(user, day * DAY)
        assert asked.candidates.tolist() == known.candidates.tolist()
        for name, recommender in recommenders.items():
            assert recommender.top(asked).tolist() == past_recommenders[name].top(known).tolist(), (
                name
            )


@MANY
@given(done=EVENTS, lifetimes=st.sampled_from([None, LIFETIMES]))
def test_only_candidates_are_recommended_each_once(
    done: list[Did], lifetimes: Lifetimes | None
) -> None:
    replay, recommenders = recommenders_of(done, LISTINGS, lifetimes)
    for target in _targets(done, TargetOptions(SOLD, FIRST_DAY, 1), lifetimes).targets:
        if target.user == USERS:
            continue
        asked = replay.asked(target.user, target.moment)
        touched = {
            one.listing
            for one in done
            if one.user == target.user
            and one.day < target.day
            and one.kind is not EventKind.IMPRESSION
        }
        for name, recommender in recommenders.items():
            top = recommender.top(asked).tolist()
            assert len(top) == len(set(top)), name
            assert not touched & set(top), name
            if lifetimes is not None:
                assert (lifetimes.listed_at[top] < target.moment).all(), name
                assert (lifetimes.ended_at[top] >= target.moment).all(), name


@MANY
@given(done=EVENTS, order=st.permutations(range(USERS)))
def test_how_users_are_numbered_changes_nothing(done: list[Did], order: list[int]) -> None:
    # Events of one moment are counted in order of user where only so many are.
    apart = [one._replace(day=one.day + place / 10_000) for place, one in enumerate(done)]
    found = []
    for number in (range(USERS), order):
        renumbered = [one._replace(user=number[one.user]) for one in apart]
        replay, recommenders = recommenders_of([*renumbered, *ALWAYS], LISTINGS)
        targets = targets_of(replay.events, TargetOptions(SOLD, FIRST_DAY, 1), None).targets
        answers = answers_of(recommenders, replay, targets)
        found.append(
            {
                (name, target.user, target.day): (top.tolist(), bits, scores)
                for name, answer in answers.items()
                for target, top, bits, scores in zip(
                    targets,
                    answer.tops,
                    answer.bits.tolist(),
                    scores_of(answer, targets).recall.tolist(),
                    strict=True,
                )
            }
        )
    before, after = found
    assert len(before) == len(after)
    for (name, user, day), answer in before.items():
        renamed = order[user] if user < USERS else user
        assert repr(after[name, renamed, day]) == repr(answer), name


def test_listings_without_a_photo_are_recommended_by_what_else_is_known() -> None:
    done = [Did(user, row, 5) for user in range(1, 4) for row in (0, 3)] + [Did(0, 0, 9)]
    replay, recommenders = recommenders_of(done, LISTINGS)
    asked = replay.asked(0, 10 * DAY)
    assert recommenders["recommendations"].top(asked).tolist()[0] != 0
    assert 3 in recommenders["recommendations"].top(asked).tolist()
    assert recommenders["popularity"].top(asked).tolist()[0] == 3
