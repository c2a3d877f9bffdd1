"""What is for sale: a drawn item with the words that are true of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from PIL import Image


class Stance(StrEnum):
    """How an item is put before the camera."""

    STANDING = "standing"
    LYING = "lying"
    HANGING = "hanging"


@dataclass(frozen=True, slots=True)
class Article:
    """One item.

    `picture` is RGBA, cut to the item's edges; `name` reads like "red spotted kettle"; `details`
    are sentences that the picture bears out.
    """

    picture: Image.Image
    name: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of item: its sub category, how it is photographed, what it costs, how it is drawn.

    `price` is the lowest and the highest in pounds. `draw` takes everything that varies from one
    item to the next out of the generator it is given.
    """

    category: str
    stance: Stance
    price: tuple[int, int]
    draw: Callable[[Random], Article]


def chance(rng: Random, probability: float) -> bool:
    """Whether something with this probability happens."""
    return rng.random() < probability
