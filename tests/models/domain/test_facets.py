"""What a facet may be named, and how many values and edges it may have."""

import pytest

from models.domain.searches.facets import FacetRequest


@pytest.mark.parametrize(
    ("stated", "name", "attribute"),
    [
        ("category", "category", None),
        (" price", "price", None),
        ("attributes.Shoe  Size", "attributes.shoe size", "shoe size"),
        ("attributes.a.b", "attributes.a.b", "a.b"),
    ],
)
def test_names(stated: str, name: str, attribute: str | None) -> None:
    facet = FacetRequest(stated)
    assert (facet.name, facet.attribute) == (name, attribute)
    assert FacetRequest(facet.name) == facet


@pytest.mark.parametrize(
    "name", ["", "colour", "Category", "attributes.", "attributes. ", "seller"]
)
def test_names_of_no_facet(name: str) -> None:
    with pytest.raises(ValueError, match=r"facet|name"):
        FacetRequest(name)


@pytest.mark.parametrize(
    "edges", [(2.0, 1.0), (1.0, 1.0), (float("nan"),), (1e99,), tuple(range(51))]
)
def test_edges_that_part_nothing(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="edge"):
        FacetRequest("price", edges=edges)


@pytest.mark.parametrize("values", [0, 1_001])
def test_numbers_of_values(values: int) -> None:
    with pytest.raises(ValueError, match="values"):
        FacetRequest("category", values)
