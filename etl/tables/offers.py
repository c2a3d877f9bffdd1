"""Whether a shop's product is on offer, and at which price: what several of its columns say."""

import re
from collections.abc import Iterable
from typing import Final

from etl.clean.not_stated import is_stated
from models.domain.types import ListingStatus

_NO_WORD = re.compile(r"[\W_]+")
_COUNT = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")

_YES: Final = ("1", "true", "yes", "y", "on")
_NO: Final = ("0", "false", "no", "n", "off")

# Without spaces and hyphens, in lower case; schema.org's are the ends of URLs.
_STATUSES: Final = {
    **dict.fromkeys(
        (
            *_YES,
            *("instock", "available", "active", "availablefororder", "limitedavailability"),
            *("preorder", "presale", "backorder", "onbackorder", "backordered", "instoreonly"),
            *("onlineonly", "forsale", "notify", "madetoorder", "publish", "published", "enabled"),
        ),
        ListingStatus.ACTIVE,
    ),
    **dict.fromkeys(
        (
            *_NO,
            *("outofstock", "sold", "soldout", "discontinued", "unavailable", "notforsale"),
            *("ended", "closed"),
        ),
        ListingStatus.SOLD,
    ),
    **dict.fromkeys(("reserved", "onhold", "pending"), ListingStatus.RESERVED),
}
_HIDDEN: Final = frozenset(
    {"draft", "archived", "private", "unpublished", "unlisted", "inactive", "disabled", "hidden"}
    | {"trash", "deleted", "removed"}
)
_PUBLISHED: Final = frozenset(
    {*_YES, "active", "published", "publish", "enabled", "visible", "live", "online", "global"}
)
# Magento's `product_online` is 2 for a disabled product, WooCommerce's `Published` -1 for a draft.
_UNPUBLISHED: Final = frozenset({*_NO, *_HIDDEN, "2", "pending", "future"})


class NotOfferedError(ValueError):
    """The shop does not show this product."""


def listing_status(
    published: Iterable[str], availability: Iterable[str], stock: Iterable[str]
) -> ListingStatus:
    """The status by the cells of these columns; of the last two, by the first that is stated.

    Raises NotOfferedError, and ValueError with the reason for a word that is not known.
    """
    for cell in filter(is_stated, published):
        word = _word(cell)
        if word in _UNPUBLISHED:
            raise NotOfferedError("is not published")
        if word not in _PUBLISHED:
            raise ValueError("is not understood")
    for cell in filter(is_stated, availability):
        word = _word(cell)
        if word in _HIDDEN:
            raise NotOfferedError("is not published")
        if word not in _STATUSES:
            raise ValueError("is not understood")
        return _STATUSES[word]
    for cell in filter(is_stated, stock):
        if not _COUNT.fullmatch(cell.strip()):
            raise ValueError("is not a number")
        return (
            ListingStatus.ACTIVE
            if float(cell.strip().replace(",", ".")) > 0
            else ListingStatus.SOLD
        )
    return ListingStatus.ACTIVE


def _word(cell: str) -> str:
    # `-1` is a word of its own; `https://schema.org/InStock` is its last part.
    text = cell.strip().casefold().rpartition("/")[2]
    return "0" if text == "-1" else _NO_WORD.sub("", text)
