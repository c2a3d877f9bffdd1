"""What links hold together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.connected_components import DisjointSets, Links

SIZE = 12
PAIRS = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=20)


def reachable(start: int, pairs: list[tuple[int, int]]) -> set[int]:
    """All that pairs lead to from here, looked for until nothing is added."""
    found = {start}
    while True:
        more = {b for pair in pairs for a, b in (pair, pair[::-1]) if a in found and b not in found}
        if not more:
            return found
        found |= more


@given(PAIRS)
def test_sets_are_what_pairs_lead_to(pairs: list[tuple[int, int]]) -> None:
    sets = DisjointSets(SIZE)
    for one, other in pairs:
        sets.merge(one, other)
    expected = [min(reachable(number, pairs)) for number in range(SIZE)]
    assert sets.roots().tolist() == expected
    assert [sets.find(number) for number in range(SIZE)] == expected


@given(PAIRS, PAIRS)
def test_groups_are_the_sets_of_what_is_linked(
    given_pairs: list[tuple[int, int]], linked: list[tuple[int, int]]
) -> None:
    sets = DisjointSets(SIZE)
    for one, other in given_pairs:
        sets.merge(one, other)
    links = Links(sets, np.zeros(SIZE, np.float32))
    for one, other in linked:
        links.add(one, other, 0.5)
    all_pairs = given_pairs + linked
    touched = {number for pair in linked for number in pair}
    expected = {frozenset(reachable(number, all_pairs) & touched) for number in touched}
    groups = [group.tolist() for group in links.groups()]
    assert {frozenset(group) for group in groups} == expected
    assert len(groups) == len(expected)
    for one, other in [(0, 1), (3, 7)]:
        assert links.joined(one, other) == (other in reachable(one, all_pairs))


def test_the_best_link_counts() -> None:
    links = Links(DisjointSets(3), np.zeros(3, np.float32))
    for similarity in (0.5, 0.75, 0.25):
        links.add(0, 1, similarity)
    assert links.similarities.tolist() == [0.75, 0.75, 0]


def test_a_copy_goes_its_own_way() -> None:
    links = Links(DisjointSets(3), np.zeros(3, np.float32))
    more = links.copy()
    more.add(0, 1, 0.5)
    assert more.joined(0, 1)
    assert not links.joined(0, 1)
    assert links.groups() == []
