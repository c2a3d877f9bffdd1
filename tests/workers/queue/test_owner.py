"""A job whose process is known to be dead is taken up at once, and no other."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from db.jobs import accepting, claiming, reading, relaying
from db.session import Database
from models.domain.job_payloads import EmbedPayload
from models.domain.types import JobStatus
from tests.support.clock import Clock
from workers.queue.owner import end_leases_of_dead, is_dead, this_process

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems tell nothing about processes: leases run out"
)

LEASE = timedelta(seconds=60)
NAMED = "from workers.queue.owner import this_process; print(this_process(), flush=True); input()"


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, and its name."""
    with subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def claimed(database: Database, clock: Clock, owner: str | None) -> UUID:
    job_id = uuid4()
    with database.write() as session:
        accepting.accept(session, EmbedPayload(photo_ids=()), job_id=job_id, now=clock())
        assert claiming.claim(session, job_id, clock(), LEASE, owner=owner)
    return job_id


def status(database: Database, job_id: UUID) -> JobStatus:
    with database.read() as session:
        return reading.get(session, job_id).status


def release(database: Database, clock: Clock) -> int:
    clock.advance(seconds=1)
    with database.write() as session:
        return relaying.release_expired(session, clock(), max_attempts=3)


def test_a_process_that_was_killed_is_dead_also_before_its_parent_knows() -> None:
    with another_process() as (process, owner):
        assert not is_dead(owner)
        process.send_signal(signal.SIGKILL)
        while not is_dead(owner):
            pass
        process.wait()
        assert is_dead(owner)


def test_this_process_lives_and_another_of_its_number_does_not() -> None:
    own = this_process()
    assert own
    assert not is_dead(own)
    before, _, started = own.rpartition(" ")
    assert is_dead(f"{before} {int(started) - 1}")


def test_containers_of_one_host_know_nothing_of_each_other() -> None:
    """They may share its name, and have process ids of their own."""
    own = this_process()
    assert own
    machine, pid, started = own.split(" ")
    assert machine.endswith(str(Path("/proc/self/ns/pid").readlink()))
    another = f"{machine.rpartition('/')[0]}/pid:[1]"
    assert not is_dead(f"{another} {pid} {int(started) - 1}")


@pytest.mark.parametrize("owner", ["", "nonsense", "elsewhere/0 1 2", "a b c d"])
def test_of_other_machines_nothing_is_known(owner: str) -> None:
    assert not is_dead(owner)


def test_jobs_of_the_dead_are_queued_again_at_once(any_database: Database, clock: Clock) -> None:
    with another_process() as (process, owner):
        of_another = claimed(any_database, clock, owner)
        own = claimed(any_database, clock, this_process())
        elsewhere = claimed(any_database, clock, "elsewhere/0 1 2")
        unknown = claimed(any_database, clock, None)
        assert end_leases_of_dead(any_database, clock()) == 0
        assert release(any_database, clock) == 0
        process.kill()
        process.wait()
        assert end_leases_of_dead(any_database, clock()) == 1
    assert release(any_database, clock) == 1
    assert status(any_database, of_another) is JobStatus.QUEUED
    for job_id in (own, elsewhere, unknown):
        assert status(any_database, job_id) is JobStatus.RUNNING
    assert end_leases_of_dead(any_database, clock()) == 0


def test_whoever_claims_it_next_owns_it(any_database: Database, clock: Clock) -> None:
    with another_process() as (process, owner):
        job_id = claimed(any_database, clock, owner)
        process.kill()
        process.wait()
    end_leases_of_dead(any_database, clock())
    clock.advance(seconds=1)
    with any_database.write() as session:
        assert claiming.claim(session, job_id, clock(), LEASE, owner=this_process())
    assert end_leases_of_dead(any_database, clock()) == 0
    assert release(any_database, clock) == 0
