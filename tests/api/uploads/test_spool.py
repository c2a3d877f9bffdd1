"""What is written to a spool is read again, wherever it lies; and nothing is left behind."""

from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.uploads import spool as spools
from api.uploads.spool import Spool, UploadSpace
from models.domain.errors import Overloaded, Unavailable


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(spools, "ALL_IN_MEMORY_BYTES", 300)
    monkeypatch.setattr(spools, "BLOCK", 50)


def written(space: UploadSpace, *pieces: bytes) -> Spool:
    spool = Spool(space)

    async def write() -> None:
        for piece in pieces:
            await spool.write(piece)
        await spool.finish()

    anyio.run(write)
    return spool


@settings(suppress_health_check=list(HealthCheck), max_examples=60)
@given(st.lists(st.binary(max_size=120), max_size=12), st.data())
def test_any_pieces_are_read_again(
    tmp_path: Path, pieces: list[bytes], data: st.DataObject
) -> None:
    space = UploadSpace(tmp_path)
    spool, whole = written(space, *pieces), b"".join(pieces)
    assert spool.size == len(whole)
    start = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.integers(0, len(whole) - start))
    assert spool.read(start, size) == whole[start : start + size]
    assert spool.read(0, len(whole)) == whole
    assert (space.in_files > 0) == (spool._file is not None)
    assert space.in_memory + space.in_files == len(whole)
    spool.close()
    assert (space.in_memory, space.in_files) == (0, 0)


def test_few_bytes_stay_in_memory_and_many_go_to_a_file_without_a_name(tmp_path: Path) -> None:
    space = UploadSpace(tmp_path / "uploads")
    assert written(space, bytes(100))._file is None
    spool = written(space, bytes(60), bytes(60))
    assert spool._file is not None
    assert list((tmp_path / "uploads").iterdir()) == []
    assert (tmp_path / "uploads").stat().st_mode & 0o077 == 0
    spool.close()


def test_all_that_is_in_memory_is_bounded_together(tmp_path: Path) -> None:
    space = UploadSpace(tmp_path)
    spools_of_all = [written(space, bytes(90)) for _ in range(10)]
    assert space.in_memory <= 300
    assert space.in_memory + space.in_files == 900
    for spool in spools_of_all:
        assert spool.read(0, 90) == bytes(90)
        spool.close()
    assert written(space, bytes(90))._file is None


def test_all_that_is_in_files_is_bounded_together(tmp_path: Path) -> None:
    space = UploadSpace(tmp_path, max_file_bytes=1_000)
    first = written(space, bytes(900))
    with pytest.raises(Overloaded) as refused:
        written(space, bytes(200))
    assert refused.value.retry_after_s > 0
    first.close()
    second = written(space, bytes(200))
    assert second.size == 200
    second.close()


def test_a_folder_that_can_not_be_made_is_replaced_by_the_systems_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    space = UploadSpace(tmp_path / "file" / "uploads")
    spool = written(space, bytes(500))
    assert spool.read(0, 500) == bytes(500)
    spool.close()


def test_what_is_closed_is_not_read(tmp_path: Path) -> None:
    spool = written(UploadSpace(tmp_path), bytes(500))
    spool.close()
    with pytest.raises(Unavailable):
        spool.read(0, 1)


def test_memory_is_given_back_after_large_bodies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed: list[bool] = []
    monkeypatch.setattr(spools, "TRIM_EVERY_S", 0.01)
    monkeypatch.setattr(spools, "trim_heaps", lambda: trimmed.append(True))
    space = UploadSpace(tmp_path)

    async def run() -> int:
        async with space.trimming():
            await anyio.sleep(0.1)
            before = len(trimmed)
            spool = Spool(space)
            await spool.write(bytes(500))
            spool.close()
            while space.has_been_used:
                await anyio.sleep(0.01)
            await anyio.sleep(0.1)
        return before

    assert anyio.run(run) == 0
    assert trimmed
