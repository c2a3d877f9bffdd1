"""Asks recommenders for each target as of its day, and keeps what they answer. Pure."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from models.evaluation.recommendations.events import Integers
from models.evaluation.recommendations.metrics import Answers, information, padded
from models.evaluation.recommendations.ranking import Recommender, Replay
from models.evaluation.recommendations.targets import Target

OnProgress = Callable[[int, int], None]


class Touched:
    """How often each listing was touched before a moment; moments may only go on."""

    def __init__(self, replay: Replay) -> None:
        events = replay.events
        self._touches = events.touches
        self._counts = np.zeros(replay.n, np.int64)
        self._counted = 0

    def before(self, moment: int) -> Integers:
        """The counts (n,)."""
        end = int(np.searchsorted(self._touches.at, moment))
        since = self._touches.listings[self._counted : end]
        self._counts += np.bincount(since, minlength=len(self._counts))
        self._counted = end
        return self._counts


def answers_of(
    recommenders: Mapping[str, Recommender],
    replay: Replay,
    targets: Sequence[Target],
    on_progress: OnProgress | None = None,
) -> dict[str, Answers]:
    """What each recommender answers to each target; targets are in order of day."""
    tops: dict[str, list[Integers]] = {name: [] for name in recommenders}
    bits: dict[str, list[float]] = {name: [] for name in recommenders}
    touched = Touched(replay)
    for done, target in enumerate(targets, start=1):
        asked = replay.asked(target.user, target.moment)
        counts = touched.before(target.moment)
        for name, recommender in recommenders.items():
            top = recommender.top(asked)
            tops[name].append(padded(top))
            bits[name].append(information(counts, top))
        if on_progress is not None:
            on_progress(done, len(targets))
    return {name: Answers(np.stack(tops[name]), np.array(bits[name])) for name in recommenders}
