"""Facets: what a search is asked to count beside what it finds.

A facet is named `category`, `price` or `attributes.NAME`. Counts are of the listings that a search
could find: of all that pass its filter, and have its text where it has one. Every condition of the
filter counts, also one on what the facet itself is about.
"""

from dataclasses import dataclass
from typing import Final

from models.domain.searches.attributes import MAX_ATTRIBUTE_NUMBER, attribute_name

CATEGORY_FACET: Final = "category"
PRICE_FACET: Final = "price"
_ATTRIBUTE_PREFIX: Final = "attributes."

MAX_FACET_VALUES: Final = 1_000
DEFAULT_FACET_VALUES: Final = 20
"""Of a facet, the most frequent ones first."""
MAX_FACET_EDGES: Final = 50
FACET_BANDS: Final = 6
"""Of a facet for which no edges are stated, about."""


@dataclass(frozen=True, slots=True)
class FacetRequest:
    """A facet: at most `values` of its values, and the `edges` of its bands, ascending.

    Without edges, numbers and prices are parted at round numbers near their quantiles, prices by
    currency. Raises ValueError with what is wrong.
    """

    name: str
    values: int = DEFAULT_FACET_VALUES
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        name = self.name.strip()
        if name.startswith(_ATTRIBUTE_PREFIX):
            name = _ATTRIBUTE_PREFIX + attribute_name(name.removeprefix(_ATTRIBUTE_PREFIX))
        elif name not in {CATEGORY_FACET, PRICE_FACET}:
            raise ValueError("a facet is category, price or attributes.NAME")
        if not 1 <= self.values <= MAX_FACET_VALUES:
            raise ValueError(f"a facet has from 1 to {MAX_FACET_VALUES:,} values")
        if len(self.edges) > MAX_FACET_EDGES:
            raise ValueError(f"a facet has at most {MAX_FACET_EDGES} edges")
        # Not a number fails as well.
        if not all(abs(edge) <= MAX_ATTRIBUTE_NUMBER for edge in self.edges):
            raise ValueError(f"an edge is a number up to {MAX_ATTRIBUTE_NUMBER:g}")
        if any(one >= other for one, other in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("the edges of a facet ascend")
        # The dataclass is frozen: its fields can't be assigned to.
        object.__setattr__(self, "name", name)

    @property
    def attribute(self) -> str | None:
        """The attribute that it is of, if it is of one."""
        if not self.name.startswith(_ATTRIBUTE_PREFIX):
            return None
        return self.name.removeprefix(_ATTRIBUTE_PREFIX)
