"""What is stored of learned weights beside themselves: what a trial has measured."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from models.domain.searches.options import RankPart


class Interval(BaseModel):
    """A figure, and the ends of its 95% interval."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: float
    low: float
    high: float


class Measured(BaseModel):
    """What weights were learned from, and how good they were on later choices.

    Choices before `tried_from` were learned from, the others tried on. `compared_with` is the
    ranker that was in use, None for the defaults; the figures are nDCG@20 by user. `learned_parts`
    are those that the choices could say something about. `looked_at` is how often a position is
    looked at, by the first of its range, from 0 on; empty where no lists were shown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    learned_from: int
    tried_on: int
    users: int
    tried_from: datetime
    compared_with: int | None
    in_use: Interval
    learned: Interval
    gain: Interval
    learned_parts: tuple[RankPart, ...]
    looked_at: dict[int, float] = {}
