"""A worker's runtime is what the settings ask for."""

from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from db.jobs import reading
from models.domain.clock import utc_now
from models.domain.job_results.indexes import RepairedIndex
from settings import Settings
from tests.support.payloads import result_as
from workers.config import worker_config
from workers.generations.request import accept_reindex
from workers.queue.messages import Queue
from workers.runtime import Runtime
from workers.tasks import run_job


@pytest.mark.parametrize("queue", [Queue.SEARCH, Queue.EMBED, Queue.INDEX])
def test_only_learning_has_products_of_many_threads(
    queue: Queue, migrated_sqlite: Path, tmp_path: Path
) -> None:
    (tmp_path / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    given = {"data_dir": tmp_path, "encoder": "hog", "threads": 2}
    before = threadpool_limits(user_api="blas")
    try:
        runtime = Runtime.start(worker_config(Settings.model_validate(given), queue))
        with closing(runtime.database):
            (numpys,) = (pool for pool in threadpool_info() if "/numpy.libs/" in pool["filepath"])
            assert numpys["num_threads"] == (2 if queue is Queue.INDEX else 1)
    finally:
        before.restore_original_limits()


def test_where_a_server_keeps_the_index_a_reindex_repairs_it(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    (tmp_path / "marketlens.db").write_bytes(migrated_sqlite.read_bytes())
    pytest.importorskip("pymilvus", reason="needs the extra milvus")
    from tests.support.milvus import milvus_server  # noqa: PLC0415 - needs pymilvus

    with milvus_server(tmp_path / "milvus") as url:
        given = {"data_dir": tmp_path, "encoder": "hog", "index_url": url}
        runtime = Runtime.start(worker_config(Settings.model_validate(given), Queue.INDEX))
        with closing(runtime.database) as database:
            job_id = accept_reindex(database, job_id=uuid4(), now=utc_now()).id
            run_job(runtime, job_id)
            with database.read() as session:
                assert result_as(reading.get(session, job_id), RepairedIndex).rows == 0
