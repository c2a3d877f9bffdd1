import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from models.domain.errors import Conflict
from models.labels import LabelledPhotos
from models.training.data.split import Part
from models.training.runs import Run, open_run
from tests.support.training import catalogue

ASKED = {"mode": "probe", "level": "sub", "seed": 3}


def opened(
    folder: Path, asked: Mapping[str, Any] = ASKED, photos: LabelledPhotos | None = None
) -> AbstractContextManager[Run]:
    return open_run(
        folder / "run",
        folder / "cache",
        photos or catalogue(),
        asked,
        threads=1,
        on_progress=lambda _what, _done, _total: None,
        on_message=lambda _sentence: None,
    )


def test_a_run_goes_on_with_its_split(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        first = run.split
    with opened(tmp_path) as run:
        assert run.split == first
    assert first.seed == 3


def test_the_split_that_is_there_counts(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    path = tmp_path / "run" / "split.json"
    values = json.loads(path.read_bytes())
    values["train"], values["test"] = values["test"], values["train"]
    path.write_text(json.dumps(values))
    with opened(tmp_path) as run:
        assert sorted(run.split.listings[Part.TRAIN]) == values["train"]


def test_a_run_that_was_asked_for_something_else_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with (
        pytest.raises(Conflict, match="another level and another seed"),
        opened(tmp_path, ASKED | {"level": "root", "seed": 4}),
    ):
        pass


def test_a_run_of_other_photos_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with pytest.raises(Conflict, match="have changed"), opened(tmp_path, photos=catalogue(31)):
        pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        opened(tmp_path),
        pytest.raises(Conflict, match="Another process"),
        opened(tmp_path),
    ):
        pass
    with opened(tmp_path):
        pass
