"""What recommendations are ranked by where nothing else is stated."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from db.ranking.rankers import active_weights
from models.domain.recommendations.options import RecommendOptions
from models.domain.searches.options import Ranking, RankPart


def recommendation_ranking(
    session: Session,
    stated: Mapping[RankPart, float] | None = None,
    half_km: float | None = None,
    half_days: float | None = None,
) -> Ranking:
    """What is stated, and beside that the learned weights in use, or else the defaults."""
    defaults = RecommendOptions()
    weights = active_weights(session) or defaults.weights
    return Ranking(
        weights.with_stated(dict(stated or {})),
        half_km=defaults.half_km if half_km is None else half_km,
        half_days=defaults.half_days if half_days is None else half_days,
    )
