"""Attributes are cleaned by one rule, and conditions compare what it has made."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.searches.attributes import (
    AttributeCondition,
    clean_attributes,
    scalar_of_text,
)

NAMES = st.text(min_size=1, max_size=20)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(-1e15, 1e15),
    st.text(max_size=40),
    st.lists(st.text(max_size=20), max_size=8),
)


@pytest.mark.parametrize(
    ("stated", "stored"),
    [
        ({"Brand": " Adidas  Originals"}, {"brand": "Adidas Originals"}),
        ({"size": 42.0, "Age": 3}, {"age": 3, "size": 42}),
        ({"size": 42.5}, {"size": 42.5}),
        ({"new": True}, {"new": True}),
        ({"colour": ["Red", "red", " ", "Blue"]}, {"colour": ["Red", "Blue"]}),
        ({"colour": [" "], "brand": "\u200b", "size": None}, {}),
    ],
)
def test_attributes_are_cleaned(stated: dict[str, Any], stored: dict[str, Any]) -> None:
    assert clean_attributes(stated) == stored


@pytest.mark.parametrize(
    ("stated", "wrong"),
    [
        ({" ": "x"}, "needs a name"),
        ({"n" * 65: "x"}, "over 64"),
        ({"Size": 1, "size": 2}, "stated twice"),
        ({"size": "x" * 501}, "over 500 characters"),
        ({"size": [f"{n}" for n in range(33)]}, "more than 32 texts"),
        ({"size": [1]}, "which is no text"),
        ({"size": {"eu": 42}}, "neither a text"),
        ({"size": float("nan")}, "is no number"),
        ({"size": float("inf")}, "is no number"),
        ({"size": 10**16}, "is no number"),
        ({"size": 10**400}, "is no number"),
        ({f"n{n}": n for n in range(65)}, "at most 64"),
    ],
)
def test_what_is_no_attribute_is_refused_in_words(stated: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        clean_attributes(stated)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_cleaned_stays_as_it_is(stated: dict[str, Any]) -> None:
    try:
        once = clean_attributes(stated)
    except ValueError:
        return
    assert clean_attributes(once) == once


@pytest.mark.parametrize(
    ("condition", "passing", "failing"),
    [
        (AttributeCondition("colour", ("RED",)), ["red", ["Blue", "Red"]], ["blue", ["blue"], 1]),
        (AttributeCondition("size", (42,)), [42, 42.0], ["42", True, 43]),
        (AttributeCondition("new", (True,)), [True], [False, 1, "true"]),
        (AttributeCondition("size", ("S", 42)), ["s", 42], ["M", 41]),
        (AttributeCondition("size", at_least=40), [40, 99], [39.5, "41", True]),
        (AttributeCondition("size", at_least=40, at_most=42), [40, 42], [39, 43, ["41"]]),
    ],
)
def test_conditions(condition: AttributeCondition, passing: list[Any], failing: list[Any]) -> None:
    assert all(condition.is_met({condition.name: value}) for value in passing)
    assert not any(condition.is_met({condition.name: value}) for value in failing)
    assert not condition.is_met({})


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("42", 42),
        ("-0.5", -0.5),
        ("42.0", 42),
        ("0", 0),
        ("007", "007"),
        ("1e5", "1e5"),
        ("+1", "+1"),
        (".5", ".5"),
        ("5012345678900123456", "5012345678900123456"),
        ("٤٢", "٤٢"),
        ("nan", "nan"),
        (" Extra large ", "Extra large"),
        ("red|blue", "red|blue"),
    ],
)
def test_a_cell_states_a_number_a_boolean_or_a_text(cell: str, value: Any) -> None:
    stated = scalar_of_text(cell)
    assert (stated, type(stated)) == (value, type(value))


@given(st.text(max_size=30) | st.floats().map(str) | st.integers().map(str))
def test_what_a_cell_states_can_be_stored(cell: str) -> None:
    clean_attributes({"cell": scalar_of_text(cell)})
