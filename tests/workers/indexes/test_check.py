"""An evaluation tells what searches find at one moment, whatever happens meanwhile."""

import numpy as np
import pytest

from db.catalogue.listings import delete_listing
from models.domain.errors import Conflict
from models.index.generation import Generation, open_generation
from tests.support.workers import WorkerHarness
from workers.indexes.check import IndexCheck, check_index


def live_generation(worker: WorkerHarness) -> Generation:
    result = worker.reindex().result
    assert result
    folder = worker.runtime.config.index.generations_dir / str(result["generation"])
    return open_generation(folder, None, fingerprint=worker.encoder.spec.fingerprint)


def test_what_comes_meanwhile_is_neither_missed_nor_found(worker: WorkerHarness) -> None:
    first = worker.list_pictures(0)
    for seed in range(1, 4):
        worker.list_pictures(seed)
    generation = live_generation(worker)
    worker.list_pictures(4)
    with worker.database.write() as session:
        delete_listing(session, first, worker.now())
    seen: list[str] = []

    def on_progress(what: str, done: int, total: int) -> None:
        if not seen:
            worker.list_pictures(50)
        seen.append(what)
        assert done <= total

    check = check_index(
        worker.database,
        generation,
        worker.encoder_id,
        queries=3,
        seed=0,
        on_progress=on_progress,
    )
    assert list(dict.fromkeys(seen)) == ["drawing", "comparing", "searching"]
    assert (check.rows, check.fresh, check.gone, check.queries) == (4, 1, 1, 3)
    assert check.recall_at_10.value == 1.0

    again = check_index(worker.database, generation, worker.encoder_id, queries=99, seed=0)
    assert (again.rows, again.fresh, again.queries) == (5, 2, 5)


def test_what_searches_miss_is_counted(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation that has lost half of its rows behind everybody's back."""
    for seed in range(16):
        worker.list_pictures(seed)
    generation = live_generation(worker)

    def check() -> IndexCheck:
        return check_index(worker.database, generation, worker.encoder_id, queries=8, seed=1)

    assert check().recall_at_10.value == 1.0
    best = type(generation.searcher).best

    def half_blind(*arguments: object, **options: object) -> object:
        found = best(*arguments, **options)  # type: ignore[arg-type]
        odd = found.ids % 2 == 1
        return found._replace(ids=found.ids[odd], cosines=found.cosines[odd], floor=-np.inf)

    monkeypatch.setattr(type(generation.searcher), "best", half_blind)
    recall = check().recall_at_10
    assert 0.3 < recall.low <= recall.value <= recall.high < 0.8
    assert recall == check().recall_at_10


def test_one_photo_is_not_enough(worker: WorkerHarness) -> None:
    worker.list_pictures(1)
    with pytest.raises(Conflict):
        check_index(worker.database, live_generation(worker), worker.encoder_id, queries=1, seed=0)
