"""The evaluation itself: recommenders beside each other, by the same targets."""

from collections.abc import Mapping, Sequence

from models.evaluation.recommendations.metrics import Answers, Estimates, Metric
from models.evaluation.recommendations.results import COMPARED, Contestant
from models.evaluation.recommendations.targets import Target


def contestants(
    answers: Mapping[str, Answers], targets: Sequence[Target], catalogue: int, seed: int
) -> list[Contestant]:
    """The figures of each recommender, and how much more the first finds than each other."""
    estimates = Estimates(list(answers.values()), targets, catalogue, seed)
    return [
        Contestant(
            name,
            {metric: estimates.of(metric, number) for metric in Metric},
            {metric: estimates.difference(metric, 0, number) for metric in COMPARED}
            if number
            else {},
        )
        for number, name in enumerate(answers)
    ]
