"""One listing of the sample catalogue: an item, its words, its seller, its photographs."""

import io
import uuid
from dataclasses import dataclass
from random import Random

from PIL import Image

from sample.drawing.camera import photograph
from sample.kinds import kinds_by_root
from sample.sellers import Seller, draw_seller
from sample.wording import Words, words_for

MOST_PHOTOS = 3
_QUALITIES = (85, 90)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph of a listing's item; `jpeg` is the whole file."""

    id: str
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing as the feed knows it, with its photos, and one more that the feed does not have."""

    id: str
    category: str
    words: Words
    seller: Seller
    photos: tuple[Photo, ...]
    held_out: bytes


def draw_listing(seed: int, index: int) -> Listing:
    """Draws listing number `index` (from 0) of the catalogue that `seed` names.

    The root categories take turns, and within each its kinds; all else comes from a generator of
    the listing's own, so that a listing is the same however many are drawn.
    """
    rng = Random(f"{seed}:{index}")
    roots = kinds_by_root()
    turn, place = divmod(index, len(roots))
    kind = roots[place][(turn + seed) % len(roots[place])]
    listing_id = _identifier(rng)
    article = kind.draw(rng)
    words = words_for(article, kind, rng)
    photos = tuple(
        Photo(_identifier(rng), _jpeg(photograph(article.picture, kind.stance, rng), rng))
        for _ in range(rng.randint(1, MOST_PHOTOS))
    )
    held_out = _jpeg(photograph(article.picture, kind.stance, rng), rng)
    seller = draw_seller(seed, index, words.location)
    return Listing(listing_id, kind.category, words, seller, photos, held_out)


def _identifier(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _jpeg(photo: Image.Image, rng: Random) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=rng.randint(*_QUALITIES))
    return buffer.getvalue()
