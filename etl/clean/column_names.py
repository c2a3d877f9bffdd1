"""Names of columns, compared as people mean them."""

import re
from collections.abc import Collection
from difflib import get_close_matches

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def folded(column: str) -> str:
    """A column's name in lower case, its words parted by underscores; `g:` is left out.

    `Image Src`, `image-src`, `imageSrc`, `IMAGE_SRC` are one; a dot, which parts the names of
    nested fields, stays.
    """
    parts = column.strip().removeprefix("g:").split(".")
    words = (_BETWEEN_WORDS.sub("_", _CAMEL.sub("_", part).casefold()).strip("_") for part in parts)
    return ".".join(words)


def nearest(name: str, known: Collection[str]) -> str | None:
    """Of these names the one that a folded name may be meant for; None if none is near."""
    # `price_eur`, `product_price`: the longest that is part of it.
    if parts := [one for one in known if f"_{one}_" in f"_{name}_"]:
        return max(parts, key=len)
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.75)), None)
