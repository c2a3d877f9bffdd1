"""Every kind of item, drawn twice, and its photographs."""

from random import Random

import numpy as np
import pytest
from PIL import Image

from sample.article import Article, Kind, Stance
from sample.drawing.camera import photograph
from sample.kinds import kinds_by_root

KINDS = [kind for root in kinds_by_root() for kind in root]


def outline(picture: Image.Image) -> float:
    """The share of the picture that the item covers."""
    return float((np.asarray(picture.getchannel("A")) > 0).mean())


def test_each_root_category_has_at_least_three_kinds_of_its_own() -> None:
    for root in kinds_by_root():
        assert len({kind.category for kind in root}) >= 3
        assert len({kind.category.split(" / ")[0] for kind in root}) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.category)
def test_items_of_a_kind_differ_and_say_what_they_are(kind: Kind) -> None:
    one, other = kind.draw(Random("one")), kind.draw(Random("other"))
    for article in (one, other):
        assert article.picture.mode == "RGBA"
        assert article.picture.getchannel("A").getbbox() == (0, 0, *article.picture.size)
        assert outline(article.picture) > 0.08
        assert article.name
        assert all(article.details)
    assert one.picture.tobytes() != other.picture.tobytes()
    assert (one.name, one.details) != (other.name, other.details)


@pytest.fixture(scope="module")
def kettle() -> Article:
    return KINDS[0].draw(Random("kettle"))


@pytest.mark.parametrize("stance", list(Stance))
def test_photographs_of_one_item_differ_but_a_generator_repeats_itself(
    kettle: Article, stance: Stance
) -> None:
    rng = Random("photos")
    one, two = (photograph(kettle.picture, stance, rng) for _ in range(2))
    again = photograph(kettle.picture, stance, Random("photos"))
    assert one.tobytes() != two.tobytes()
    assert one.tobytes() == again.tobytes()


@pytest.mark.parametrize("stance", list(Stance))
@pytest.mark.parametrize("size", [(900, 300), (300, 900)])
def test_the_item_fills_most_of_the_frame_and_stays_in_sight(
    size: tuple[int, int], stance: Stance
) -> None:
    # Pure red is a colour no surface has.
    picture = Image.new("RGBA", size, (255, 0, 0, 255))
    for seed in range(8):
        photo = np.asarray(photograph(picture, stance, Random(seed)), dtype=float)
        red = (photo[..., 0] > 150) & (photo[..., 1] < 80)
        long, short = max(photo.shape[:2]), min(photo.shape[:2])
        across, down = (int(red.any(axis=axis).sum()) for axis in (0, 1))
        assert max(across, down) > 0.7 * short
        assert red.sum() > 0.75 * (size[0] * size[1]) / max(size) ** 2 * max(across, down) ** 2
        assert max(across, down) <= long
