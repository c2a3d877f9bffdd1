"""Counts of several processes, some of which are killed, become those of a machine."""

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from observability import instruments, slots
from observability.allocated_files import FIRST_BYTES
from observability.exposition import about_machine, exposition
from observability.metrics import (
    DELIVERIES,
    EMBEDDED_TOGETHER,
    IN_FLIGHT,
    INDEX_ROWS,
    REQUEST_SECONDS,
)
from tests.support.observing import counted, counted_in, samples


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with counted_in(tmp_path / "metrics", "api"):
        yield tmp_path / "metrics"
    for pid in list(Child.running):
        Child.end(pid)


class Child:
    """A fork that counts as a process of its own, and lives until it is killed."""

    running: ClassVar[set[int]] = set()

    def __init__(self, folder: Path, work: Callable[[], None]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                instruments.begin(folder, "search")
                work()
                os.write(writing, b"!")
                signal.pause()
            finally:
                # Whatever happens: this must not go on with the tests.
                os._exit(1)
        self.running.add(self.pid)
        os.close(writing)
        assert os.read(reading, 1) == b"!"
        os.close(reading)

    def kill(self) -> None:
        self.end(self.pid)

    @classmethod
    def end(cls, pid: int) -> None:
        cls.running.remove(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_counts_of_processes_are_summed_and_survive_them(folder: Path) -> None:
    DELIVERIES.count("delivered")
    REQUEST_SECONDS.observe(0.2, "/x", "GET")

    def work() -> None:
        DELIVERIES.count("delivered", by=2)
        REQUEST_SECONDS.observe(0.02, "/x", "GET")

    def sums() -> tuple[float, float, float]:
        return (
            counted("webhook_deliveries_total", folder, outcome="delivered"),
            counted("http_request_seconds_count", folder, route="/x", method="GET"),
            counted("http_request_seconds_bucket", folder, route="/x", method="GET", le="0.1"),
        )

    first, second = Child(folder, work), Child(folder, work)
    assert sums() == (5, 3, 2)
    first.kill()
    second.kill()
    assert sums() == (5, 3, 2)


def test_no_more_files_than_processes_at_once_however_often_they_start(folder: Path) -> None:
    for number in range(1, 6):
        child = Child(folder, lambda: DELIVERIES.count("refused"))
        assert counted("webhook_deliveries_total", folder, outcome="refused") == number
        child.kill()
    assert {path.name for path in folder.glob("*search*")} == {
        "counter_search-0.db",
        "search-0.lock",
    }


def test_what_a_process_has_only_while_it_runs_ends_with_it(folder: Path) -> None:
    IN_FLIGHT.add(1)

    def work() -> None:
        IN_FLIGHT.add(2)
        INDEX_ROWS.set(70)

    child = Child(folder, work)
    assert counted("http_requests_in_flight", folder) == 3
    assert counted("index_rows", folder) == 70
    child.kill()
    found = samples(exposition(folder))
    assert found["marketlens_http_requests_in_flight", frozenset()] == 1
    assert ("marketlens_index_rows", frozenset()) not in found


def test_a_slot_that_is_taken_again_begins_without_what_only_lived(folder: Path) -> None:
    Child(folder, lambda: INDEX_ROWS.set(70)).kill()
    # Without anybody having asked meanwhile.
    child = Child(folder, lambda: DELIVERIES.count("delivered"))
    assert ("marketlens_index_rows", frozenset()) not in samples(exposition(folder))
    child.kill()


def test_a_fork_that_begins_nothing_counts_for_itself(folder: Path) -> None:
    DELIVERIES.count("delivered")
    pid = os.fork()
    if pid == 0:
        DELIVERIES.count("delivered", by=10)
        os._exit(0)
    os.waitpid(pid, 0)
    DELIVERIES.count("delivered")
    assert counted("webhook_deliveries_total", folder, outcome="delivered") == 12


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xff" * 64, b"\x40\x00\x00\x00" + b"\x00" * 60])
def test_damaged_counts_are_left_out_and_begun_anew(folder: Path, damage: bytes) -> None:
    DELIVERIES.count("delivered")
    Child(folder, lambda: DELIVERIES.count("delivered")).kill()
    (folder / "counter_search-0.db").write_bytes(damage)
    assert counted("webhook_deliveries_total", folder, outcome="delivered") == 1
    child = Child(folder, lambda: DELIVERIES.count("delivered"))
    assert counted("webhook_deliveries_total", folder, outcome="delivered") == 2
    child.kill()


def test_processes_are_seen_while_they_run(folder: Path) -> None:
    def seen() -> set[str]:
        found = samples(exposition(folder, lambda: about_machine(folder, folder)))
        return {
            dict(labels)["process"]
            for name, labels in found
            if name == "marketlens_process_memory_bytes"
        }

    child = Child(folder, lambda: None)
    assert seen() == {"api-0", "search-0"}
    child.kill()
    assert seen() == {"api-0"}
    (holder,) = slots.holders(folder)
    assert holder.pid == os.getpid()


def test_without_a_folder_a_process_counts_for_itself(tmp_path: Path) -> None:
    with counted_in(tmp_path):
        DELIVERIES.count("delivered")
    assert counted("webhook_deliveries_total", outcome="delivered") == 0
    DELIVERIES.count("delivered")
    assert counted("webhook_deliveries_total", outcome="delivered") == 1
    assert counted("webhook_deliveries_total", tmp_path, outcome="delivered") == 1


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(OSError, match="file"):
        instruments.begin(blocked / "metrics", "api")


def test_counting_goes_on_where_its_folder_has_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "metrics"
    with counted_in(folder):
        shutil.rmtree(folder)
        EMBEDDED_TOGETHER.observe(3, "gone")
        assert instruments.folder() is None
        EMBEDDED_TOGETHER.observe(4, "gone")
        assert counted("photos_embedded_together_sum", purpose="gone") == 7
    assert "can't be written" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can allocate them")
def test_every_byte_of_a_file_has_its_block_before_it_is_counted_in(folder: Path) -> None:
    """Where a full disk has none for it, writing through memory would end the process."""
    for number in range(2_000):
        DELIVERIES.count(f"outcome {number}")
    files = list(folder.glob("*.db"))
    assert max(path.stat().st_size for path in files) > FIRST_BYTES
    for path in files:
        assert path.stat().st_blocks * 512 >= path.stat().st_size, path.name


@pytest.mark.usefixtures("folder")
def test_a_full_disk_is_counted_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    DELIVERIES.count("before")
    monkeypatch.setattr("os.posix_fallocate", refuse)
    for number in range(2_000):
        DELIVERIES.count(f"outcome {number}")
    assert instruments.folder() is None
    assert counted("webhook_deliveries_total", outcome="outcome 1999") == 1
