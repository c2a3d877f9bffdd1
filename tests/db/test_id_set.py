"""A set of row ids is a set."""

from hypothesis import given
from hypothesis import strategies as st

from db.id_set import IdSet

IDS = st.sets(st.integers(0, 3_000))


@given(IDS, IDS)
def test_it_is_a_set_in_order(first: set[int], second: set[int]) -> None:
    made = IdSet(first)
    assert list(made) == sorted(first)
    assert (len(made), bool(made)) == (len(first), bool(first))
    assert {number for number in range(3_100) if number in made} == first
    assert list(made - IdSet(second)) == sorted(first - second)
    made.update(second)
    assert set(made) == first | second


def test_other_things_are_not_in_it() -> None:
    other: object = "1"
    assert other not in IdSet([1])


def test_millions_are_small() -> None:
    ids = IdSet(range(1_000_000, 1_000_010))
    assert list(ids) == list(range(1_000_000, 1_000_010))
    assert len(ids._bits) <= 1_000_010 // 8 + 1
