"""A seller's words for an item, its price and its place, as they stand in the feed."""

from random import Random
from typing import NamedTuple

from sample.article import Article, Kind
from sample.drawing.colours import PALETTE
from sample.sellers import PLACES

_CONDITIONS = (
    "barely used", "good condition", "like new", "well loved", "used but clean", "great condition",
    "very good condition", "unwanted gift", "looks lovely", "no longer needed",
)  # fmt: skip
_CLOSINGS = (
    "Collection only", "Cash on collection please", "Can post for £4", "From a smoke free home",
    "No offers please", "Open to sensible offers", "Can deliver locally, just ask",
    "Moving house, must go", 'No "is this available" messages please', "First to see will buy",
    "Selling as we have no space", "Ring the bell, side door",
)  # fmt: skip
_UNPRICED = 0.05
_ODD_PENCE = 0.1
_STEPS = ((10, 1), (50, 5), (200, 10), (10_000, 25))


class Words(NamedTuple):
    """The text columns of a listing, in the feed's dialect."""

    product_name: str
    product_description: str
    price: str
    location: str
    condition: str
    colour: str


def words_for(article: Article, kind: Kind, rng: Random) -> Words:
    """What a seller writes about the item.

    The description parts its lines with bare carriage returns, which the feed does not quote.
    """
    place = rng.choice(tuple(PLACES))
    condition = rng.choice(_CONDITIONS)
    opening = f"{_sentence(article.name)}, {condition}"
    details = [_sentence(detail) for detail in article.details]
    closings = rng.sample(_CLOSINGS, k=rng.randint(1, 2))
    lead = rng.choice((opening, _sentence(article.name), _sentence(condition)))
    body = "\r".join(f"{line}." for line in (lead, *details))
    return Words(
        product_name=f"{opening} | in {place} | Gumtree",
        product_description=f"{body}\r\r{'. '.join(closings)}",
        price=_price(kind, rng),
        location=place,
        condition=condition,
        colour=_colour(article.name),
    )


def _colour(name: str) -> str:
    """The colour that an item's name begins with, or nothing."""
    return next((colour for colour in PALETTE if name.startswith(f"{colour} ")), "")


def _price(kind: Kind, rng: Random) -> str:
    if rng.random() < _UNPRICED:
        return "N/A"
    low, high = kind.price
    # Log-uniform: cheap items are common, expensive ones rare.
    pounds = low * (high / low) ** rng.random()
    step = next(step for limit, step in _STEPS if pounds < limit)
    asked = max(low, round(pounds / step) * step)
    pence = 0.5 if rng.random() < _ODD_PENCE else 0
    return f"£{asked + pence:,.2f}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
