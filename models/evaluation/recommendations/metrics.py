"""Metrics of recommendations: of each target, and of all of them by user. Pure.

Binary relevance: what the user touched on the day of the target is right, all else is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import Estimate, Means, Z, cluster_means
from models.evaluation.recommendations.events import Floats, Integers
from models.evaluation.recommendations.ranking import TOP
from models.evaluation.recommendations.targets import Target


class Metric(StrEnum):
    """What is measured, all of the first 20 recommendations."""

    RECALL = "recall_at_20"
    """The share of a target's listings that is found; the mean over targets."""
    NDCG = "ndcg_at_20"
    """The same, the less the further down: Järvelin and Kekäläinen, 2002."""
    HIT = "hit_at_20"
    """How often anything is found."""
    NEVER_SOLD = "never_sold_found"
    """The share found of the listings that nobody had touched before by a kind that counts."""
    COVERAGE = "coverage"
    """The share of the catalogue that is recommended to anybody."""
    NOVELTY = "novelty"
    """How little known what is recommended is: the bits of information of its share of touches."""


DISCOUNTS: Final = 1 / np.log2(np.arange(2, TOP + 2))

COVERAGE_RESAMPLES: Final = 400


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a recommender answered: `tops` (t, 20), rows of listings, and -1 where there are none.

    `bits` (t,) is the mean information of what was recommended, NaN where nothing was.
    """

    tops: Integers
    bits: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The metrics of one recommender for each of t targets, (t,) each.

    `found` has for each listing of each target whether it was found.
    """

    recall: Floats
    ndcg: Floats
    hit: Floats
    found: Floats


def padded(top: Integers) -> Integers:
    """A list of at most 20 rows as (20,), with -1 at its end."""
    row = np.full(TOP, -1, np.int64)
    row[: len(top)] = top[:TOP]
    return row


def information(counts: NDArray[np.integer], top: Integers) -> float:
    """The mean of -log2 of the share of touches that these listings have, in bits.

    Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS
    2010. `counts` (n,) has how often each listing was touched; one more is counted for each, so
    that one that never was is no infinite news.
    """
    if not len(top):
        return float("nan")
    shares = (counts[top] + 1) / (counts.sum() + len(counts))
    return float(-np.log2(shares).mean())


def scores_of(answers: Answers, targets: Sequence[Target]) -> Scores:
    """The metrics of each target."""
    recall, ndcg, hit, found = [], [], [], []
    for top, target in zip(answers.tops, targets, strict=True):
        is_right = np.isin(top, target.listings)
        ideal = DISCOUNTS[: min(TOP, len(target.listings))].sum()
        recall.append(is_right.sum() / len(target.listings))
        ndcg.append((is_right * DISCOUNTS).sum() / ideal)
        hit.append(float(is_right.any()))
        found.append(np.isin(target.listings, top).astype(np.float64))
    return Scores(np.array(recall), np.array(ndcg), np.array(hit), np.concatenate(found))


class Estimates:
    """The figures of several recommenders, all by the same draws of users."""

    def __init__(
        self, answers: Sequence[Answers], targets: Sequence[Target], catalogue: int, seed: int
    ) -> None:
        self._answers = answers
        self._catalogue = catalogue
        self._seed = seed
        self._users = np.array([target.user for target in targets], np.int64)
        scores = [scores_of(one, targets) for one in answers]
        self._means = {
            Metric.RECALL: self._drawn(np.stack([one.recall for one in scores], axis=1)),
            Metric.NDCG: self._drawn(np.stack([one.ndcg for one in scores], axis=1)),
            Metric.HIT: self._drawn(np.stack([one.hit for one in scores], axis=1)),
        }
        sizes = [len(target.listings) for target in targets]
        is_first = np.concatenate([target.is_first for target in targets])
        self.never_sold = int(is_first.sum())
        if self.never_sold:
            owners = np.repeat(self._users, sizes)[is_first]
            found = np.stack([one.found for one in scores], axis=1)[is_first]
            self._means[Metric.NEVER_SOLD] = cluster_means(found, owners, self._rng())
        self._coverage = [self._coverage_of(one) for one in answers]

    def of(self, metric: Metric, recommender: int) -> Estimate | None:
        """One figure; None where there was nothing to measure."""
        if metric == Metric.COVERAGE:
            return self._coverage[recommender]
        if metric == Metric.NOVELTY:
            return self._novelty(recommender)
        means = self._means.get(metric)
        return None if means is None else means.of(recommender)

    def difference(self, metric: Metric, recommender: int, other: int) -> Estimate | None:
        """How much more one recommender's mean is than another's, on the same draws."""
        means = self._means.get(metric)
        return None if means is None else means.difference(recommender, other)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)

    def _drawn(self, values: Floats) -> Means:
        return cluster_means(values, self._users, self._rng())

    def _novelty(self, recommender: int) -> Estimate | None:
        bits = self._answers[recommender].bits
        known = ~np.isnan(bits)
        if not known.any():
            return None
        return cluster_means(bits[known, None], self._users[known], self._rng()).of(0)

    def _coverage_of(self, answers: Answers) -> Estimate:
        """The share of the catalogue that is recommended.

        Users drawn with replacement are fewer than all, so draws cover less: their spread says how
        sure the figure is, and not their middle. The interval is the normal one around the figure
        (Davison and Hinkley, 1997, section 5.2.1, without the correction of the bias).
        """
        tops = answers.tops
        is_some = tops >= 0
        shown, listing = np.unique(tops[is_some], return_inverse=True)
        users, user = np.unique(self._users, return_inverse=True)
        value = len(shown) / self._catalogue
        if not len(shown):
            return Estimate(0.0, 0.0, 0.0)
        pairs = np.unique(np.repeat(user, TOP)[is_some.reshape(-1)] * len(shown) + listing)
        rng = self._rng()
        drawn = [
            self._covered(rng.integers(0, len(users), len(users)), pairs, len(users), len(shown))
            for _ in range(COVERAGE_RESAMPLES)
        ]
        half = Z * float(np.std(drawn, ddof=1)) / self._catalogue
        return Estimate(value, max(0.0, value - half), min(1.0, value + half))

    @staticmethod
    def _covered(drawn: Integers, pairs: Integers, users: int, shown: int) -> int:
        is_drawn = np.zeros(users, np.bool_)
        is_drawn[drawn] = True
        is_covered = np.zeros(shown, np.bool_)
        is_covered[pairs[is_drawn[pairs // shown]] % shown] = True
        return int(is_covered.sum())
