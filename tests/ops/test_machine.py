"""What the processes that a machine starts are told."""

from pathlib import Path

import pytest

from ops.machine import child_environment
from settings import Settings


def test_a_child_reads_the_settings_that_its_parent_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path,
            "weights": tmp_path / "weights.safetensors",
            "auto_reindex": False,
            "recall_target": 0.9,
            "geocoder_key": "secret",
        }
    )
    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)
    read = Settings()
    assert read == settings
    assert read.geocoder_key
    assert read.geocoder_key.get_secret_value() == "secret"
