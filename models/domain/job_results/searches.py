"""What a search has found, and its facets."""

from models.domain.job_results.base import JobResult, Milliseconds, Part, PhotoName
from models.domain.job_results.listings import ShownListing
from models.domain.regions import Region
from models.domain.searches.options import RankPart
from models.domain.types import JobType, MatchLabel


class FoundListing(ShownListing):
    """A listing at the time of the search; `photo` is the one of its photos that matches best.

    `similarity` is the cosine, in [-1, 1]: None where nothing was compared, as when it was found by
    words and none of its photos is embedded. Then `photo` is its first, None if it has none. Of a
    search that ranks, `score` in [0, 1] is the weighted mean of `reasons`, its parts by name.
    `match` says how sure it is that this is what was searched for; None where that is not known.
    """

    photo: PhotoName | None
    similarity: float | None
    score: float | None = None
    reasons: dict[RankPart, float] | None = None
    match: MatchLabel | None = None


class CategoryCount(Part):
    """How many listings are in a category, those below it included."""

    category: str
    count: int


class ValueCount(Part):
    """How many listings have a value; a text is as one of them writes it."""

    value: bool | str
    count: int


class Band(Part):
    """How many listings have a number from `at_least` on and `below` another; None is no bound."""

    at_least: float | None
    below: float | None
    count: int


class Bands(Part):
    """All numbers of an attribute, or all prices in a `currency`, in bands."""

    currency: str | None = None
    count: int
    bands: tuple[Band, ...]


class Facet(Part):
    """How the listings that a search could find are spread, by what `name` says.

    `listings` have it at all. A category is counted with all above it, most frequent first, a list
    of texts by each of its texts. `values` are the most frequent; `other_values` others there are.
    """

    name: str
    listings: int
    categories: tuple[CategoryCount, ...] = ()
    values: tuple[ValueCount, ...] = ()
    other_values: int = 0
    bands: tuple[Bands, ...] = ()


class SearchResult(JobResult):
    """A page of listings, best first.

    `generation` is that of the index, None if there is none. `exact` says whether the search was
    exhaustive. A search by text alone has neither encoder nor generation. `facets` are in the order
    in which they were asked for. `match` is the surest of the results' labels: with `none`, nothing
    in the catalogue is like what was searched for. None where nothing has a label.
    `region` is the part of the photo that was searched by, drawn or found, None for all of it.
    `corrected` are the words that were searched for where some that were stated are in no listing,
    and `left_out` those that no listing has beside the others. With `nothing_indexed`, nothing was
    found because no photo of the listings has been embedded yet, and something may be soon.
    """

    job_type = JobType.SEARCH

    generation: int | None
    encoder: str | None
    exact: bool = False
    took_ms: Milliseconds
    results: tuple[FoundListing, ...]
    match: MatchLabel | None = None
    next_cursor: str | None = None
    region: Region | None = None
    facets: tuple[Facet, ...] = ()
    corrected: str | None = None
    left_out: tuple[str, ...] = ()
    nothing_indexed: bool = False
