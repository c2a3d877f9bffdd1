from pathlib import Path

import pytest
import torch

from models.domain.errors import WeightsRefused
from models.training.state import load_state, save_state


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    tensors = {
        "map": torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "step": torch.tensor(7.0),
        "part": torch.rand(4, 4)[:, 1],
    }
    facts = {"history": [{"loss": 0.1}], "naïve": None}
    save_state(tmp_path / "state", tensors, facts)
    found, told = load_state(tmp_path / "state")
    assert told == facts
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(found[name], value)


def test_one_takes_the_place_of_another_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / ".state.part").write_bytes(b"what a killed process left")
    for number in range(2):
        save_state(tmp_path / "state", {"n": torch.tensor(number)}, {})
    assert load_state(tmp_path / "state")[0]["n"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_what_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    save_state(tmp_path / "state", {"n": torch.tensor(1)}, {})
    with pytest.raises(TypeError):
        save_state(tmp_path / "state", {"n": torch.tensor(2)}, {"not": object()})
    assert load_state(tmp_path / "state")[0]["n"] == 1


@pytest.mark.parametrize("cut", [0, 5, 60, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, cut: int) -> None:
    save_state(tmp_path / "state", {"n": torch.zeros(30)}, {})
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:cut])
    with pytest.raises(WeightsRefused, match="can't be read"):
        load_state(tmp_path / "state")
