from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray

from models.training.data.arrays import CHUNK, photo_arrays

HASHES = [f"{number:04}" for number in range(CHUNK + 10)]


class Killed(Exception):
    pass


class Computer:
    """Computes of each photo its number, until its strength is at an end."""

    def __init__(self, chunks: int = 99) -> None:
        self.computed: list[str] = []
        self._chunks = chunks

    def __call__(self, hashes: Sequence[str]) -> NDArray[np.float32]:
        if not self._chunks:
            raise Killed
        self._chunks -= 1
        self.computed += hashes
        return np.array([[int(digest), 1] for digest in hashes], np.float32)


def test_each_photo_gets_its_own_in_any_order(tmp_path: Path) -> None:
    arrays = photo_arrays(tmp_path, reversed(HASHES), Computer(), lambda _done, _total: None)
    assert arrays.take(["0260", "0001", "0260"]).tolist() == [[260, 1], [1, 1], [260, 1]]


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    for chunks, expected in ((1, CHUNK), (99, 10), (99, 0)):
        computer = Computer(chunks)
        try:
            photo_arrays(tmp_path, HASHES * 2, computer, lambda _done, _total: None)
        except Killed:
            assert chunks == 1
        assert len(computer.computed) == expected


def test_other_photos_are_computed(tmp_path: Path) -> None:
    photo_arrays(tmp_path, HASHES[:5], Computer(), lambda _done, _total: None)
    arrays = photo_arrays(tmp_path, HASHES[1:6], Computer(), lambda _done, _total: None)
    assert arrays.take(HASHES[1:6])[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_progress_counts_photos(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    photo_arrays(tmp_path, HASHES, Computer(), lambda done, total: told.append((done, total)))
    assert told == [(CHUNK, len(HASHES)), (len(HASHES), len(HASHES))]


def test_what_was_not_computed_can_not_be_had(tmp_path: Path) -> None:
    arrays = photo_arrays(tmp_path, HASHES[:5], Computer(), lambda _done, _total: None)
    with pytest.raises(KeyError):
        arrays.take(["other"])


def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    computer = Computer()
    barrier = Barrier(2)

    def run() -> list[list[float]]:
        barrier.wait()
        arrays = photo_arrays(tmp_path, HASHES, computer, lambda _done, _total: None)
        rows: list[list[float]] = arrays.take(HASHES).tolist()
        return rows

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(run), pool.submit(run)
    assert one.result() == other.result() == [[number, 1] for number in range(len(HASHES))]
    assert sorted(computer.computed) == HASHES
