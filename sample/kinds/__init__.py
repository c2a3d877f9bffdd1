"""The kinds of item that can be drawn, one module for each root category of the feed."""

from sample.article import Kind
from sample.kinds import (
    appliances,
    computers,
    diy,
    games,
    home,
    media,
    office,
    other,
    phones,
    sports,
)
from sample.kinds.wear import baby, beauty, clothes


def kinds_by_root() -> tuple[tuple[Kind, ...], ...]:
    """For each of the feed's 13 root categories, the kinds of item drawn for it."""
    modules = (
        appliances, baby, clothes, computers, diy, beauty, home, media, office, other, phones,
        sports, games,
    )  # fmt: skip
    return tuple(module.kinds() for module in modules)
