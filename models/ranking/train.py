"""Weights learned from earlier choices, and tried on later ones. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from models.domain.searches.options import RankPart, RankWeights
from models.ranking.choices import Choice, Choices
from models.ranking.learning import Learned, learn
from models.ranking.trial import Trial, require_enough, try_weights

LEARNED_SHARE: Final = 0.7
"""Of the choices, the earlier ones: they are learned from, and the others tried on."""

OnProgress = Callable[[int, int], None]


class Timed(Protocol):
    """A moment at which something was chosen; `moment` is a time in any unit."""

    @property
    def moment(self) -> int:
        """When."""
        ...


Moment = TypeVar("Moment", bound=Timed)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Learned weights with their trial, on choices from the moment `tried_from` on."""

    learned: Learned
    trial: Trial
    learned_from: int
    tried_from: int


def train(
    moments: Sequence[Moment],
    choice_of: Callable[[Moment], Choice],
    parts: Sequence[RankPart],
    in_use: RankWeights,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Trained:
    """Learn weights of these parts from the earlier moments, and compare them on the later ones.

    `choice_of` is called for one after the other, in order of time. Raises InvalidInput where there
    is too little to learn from or to try on, or choices say nothing.
    """
    ordered = sorted(moments, key=lambda one: one.moment)
    tried_from = ordered[int(LEARNED_SHARE * len(ordered))].moment if ordered else 0
    earlier = [one for one in ordered if one.moment < tried_from]
    made = _Made(choice_of, len(ordered), on_progress)
    choices = Choices.of(made.of(earlier), parts)
    require_enough(choices, "earlier")
    learned = learn(choices, in_use)
    later = Choices.of(made.of(ordered[len(earlier) :]), parts)
    require_enough(later, "later")
    return Trained(
        learned, try_weights(later, learned, in_use, seed=seed), choices.chosen, tried_from
    )


class _Made(Generic[Moment]):
    """Makes choices, and counts them."""

    def __init__(
        self,
        choice_of: Callable[[Moment], Choice],
        total: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._choice_of = choice_of
        self._total = total
        self._done = 0
        self._on_progress = on_progress

    def of(self, moments: Sequence[Moment]) -> Iterator[Choice]:
        for moment in moments:
            yield self._choice_of(moment)
            self._done += 1
            if self._on_progress is not None:
                self._on_progress(self._done, self._total)
