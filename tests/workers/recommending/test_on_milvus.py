"""A shared index on Milvus recommends what a worker's own index does."""

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from db.catalogue.listings import ListingData
from models.domain.recommendations.events import EventKind
from tests.support.recommended import Shop, around, without_times
from tests.support.workers import WorkerHarness
from workers.search.active_engine import SearchEngine

pytest.importorskip("pymilvus", reason="needs the extra milvus")

from tests.support.milvus import milvus_server
from workers.indexes.shared_index import open_shared

LISTINGS = 18


def test_the_same_is_recommended(worker: WorkerHarness, tmp_path: Path) -> None:
    shop = Shop(worker)
    shop.put(*(ListingData(UUID(int=one), f"Thing {one}") for one in range(1, LISTINGS + 1)))
    directions = list(np.eye(worker.encoder.spec.dimension, dtype=np.float32)[:3])
    shop.show(dict(enumerate(around(directions, LISTINGS // 3, 0.05), start=1)))
    for kind, number in (
        (EventKind.SAVED, 2),
        (EventKind.VIEWED, 8),
        (EventKind.HIDDEN, 3),
        (EventKind.PURCHASED, 9),
    ):
        shop.did("ann", kind, number)
    asked: tuple[dict[str, Any], ...] = ({}, {"listing_id": UUID(int=14)}, {"limit": 5})
    own = [without_times(shop.ask("ann", **one)) for one in asked]
    with milvus_server(tmp_path / "milvus") as url:
        spec, encoder_id = worker.encoder.spec, worker.encoder_id
        shared = open_shared(url, spec, worker.database, encoder_id)
        with worker.database.read() as session:
            shared.sync(session)
        shop.engine = SearchEngine(encoder_id, worker.encoder, shared, batch=1)
        found = [without_times(shop.ask("ann", **one)) for one in asked]
        shared.close()
    assert found == own
