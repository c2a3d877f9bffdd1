"""How many candidates are taken from each source."""

import pytest

from models.domain.recommendations.options import SourceLimits


@pytest.mark.parametrize(
    ("interests", "each"), [(1, 200), (2, 200), (3, 200), (4, 150), (8, 75), (12, 50), (100, 50)]
)
def test_all_interests_share_what_is_looked_at_around_them(interests: int, each: int) -> None:
    limits = SourceLimits(nearest=200, nearest_of_all=600, nearest_at_least=50)
    assert limits.nearest_of_each(interests) == each


def test_without_interests_nothing_is_divided_by_them() -> None:
    assert SourceLimits(nearest=20).nearest_of_each(0) == 20
