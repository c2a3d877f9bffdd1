"""A worker's runtime is what the settings ask for."""

from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from db import jobs
from models.domain.clock import utc_now
from models.domain.job_results import RepairedIndex
from settings import Settings
from tests.support.payloads import result_as
from workers.config import worker_config
from workers.generations.request import accept_reindex
from workers.queue.messages import Queue
from workers.runtime import Runtime
from workers.tasks import run_job

pytest.importorskip("pymilvus", reason="needs marketlens[milvus]")

from tests.support.milvus import milvus_server


def test_where_a_server_keeps_the_index_a_reindex_repairs_it(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    (tmp_path / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    with milvus_server(tmp_path / "milvus") as url:
        given = {"data_dir": tmp_path, "encoder": "hog", "index_url": url}
        runtime = Runtime.start(worker_config(Settings.model_validate(given), Queue.INDEX))
        with closing(runtime.database) as database:
            job_id = accept_reindex(database, job_id=uuid4(), now=utc_now()).id
            run_job(runtime, job_id)
            with database.read() as session:
                assert result_as(jobs.get(session, job_id), RepairedIndex).rows == 0
