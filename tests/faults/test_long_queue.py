"""A queue that nobody consumes does not grow: what waits is not published again."""

import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from db.jobs import accepting
from db.session import Database
from models.domain.job_payloads import EmbedPayload
from ops.machine import child_environment
from ops.processes import marketlens_command
from settings import Settings
from tests.support.faults import FaultRow, in_rounds, record
from tests.support.redis import redis_server
from tests.support.waiting import wait_until
from workers.queue.broker import Broker
from workers.queue.messages import Queue
from workers.queue.relay import NO_PROBE_FROM
from workers.queue.waiting_messages import WaitingMessages

pytestmark = pytest.mark.e2e

JOBS: Final = 3_000
WATCHED_S: Final = 120


@in_rounds
def test_three_thousand_queued_jobs_stay_three_thousand_messages(
    any_database: Database, tmp_path: Path
) -> None:
    url = any_database.engine.url.render_as_string(hide_password=False)
    with any_database.write() as session:
        for _ in range(JOBS):
            payload = EmbedPayload(photo_ids=())
            accepting.accept(session, payload, job_id=uuid4(), now=any_database.now())
    with redis_server() as redis_url:
        settings = Settings(data_dir=tmp_path, database_url=url, redis_url=redis_url)
        broker = Broker(redis_url, any_database)
        with (
            closing(WaitingMessages(broker)) as messages,
            subprocess.Popen(
                marketlens_command("relay"),
                env=child_environment(settings),
                stderr=subprocess.DEVNULL,
            ) as relay,
        ):
            try:
                wait_until(lambda: messages.length(Queue.EMBED) >= JOBS)
                time.sleep(WATCHED_S)
                read = messages.read(Queue.EMBED)
            finally:
                relay.terminate()
    kind = any_database.engine.dialect.name
    note = f"{read.length} messages after {WATCHED_S} s"
    record(FaultRow(f"{JOBS} jobs that nobody takes", kind, 1, JOBS, note=note))
    assert read.job_ids is not None
    assert len(read.job_ids) == JOBS
    assert read.length <= JOBS + NO_PROBE_FROM
