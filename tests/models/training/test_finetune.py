import signal
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from models.domain.errors import InvalidInput, WeightsRefused
from models.encoders.preprocessing import to_pixels
from models.photos import decode
from models.training.data.split import Part
from models.training.finetune import Epoch, FineTuning
from models.training.recipe import Recipe
from models.training.state import load_state
from tests.support.paths import REPOSITORY
from tests.support.training import RECIPE, TRANSFORM, catalogue, pixel_set, tuning


def finish(folder: Path, recipe: Recipe = RECIPE) -> FineTuning:
    run = tuning(folder, recipe)
    run.run(folder / "checkpoint.safetensors", lambda _number, _epoch: None, lambda _d, _t: None)
    return run


def run_until(folder: Path, last_line: str | None) -> None:
    """Fine-tune in a process of its own, killed as soon as it says this."""
    command = [sys.executable, "-m", "tests.support.training", str(folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == last_line:
                process.kill()
    assert process.returncode == (-signal.SIGKILL if last_line else 0)


def without_seconds(history: list[Epoch]) -> list[tuple[float, ...]]:
    return [astuple(epoch)[:-1] for epoch in history]


def test_killed_and_started_again_it_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    # In the first epoch, and while the second is checked and saved.
    for last_line in ("step 2", "step 6", None):
        run_until(tmp_path / "broken", last_line)
    unbroken = finish(tmp_path / "unbroken")
    weights, facts = load_state(tmp_path / "broken" / "result.safetensors")
    broken = TypeAdapter(list[Epoch]).validate_python(facts["history"])
    assert torch.tensor(without_seconds(broken)) == pytest.approx(
        torch.tensor(without_seconds(unbroken.history)), abs=1e-5
    )
    for name, value in unbroken.network.trainable_parameters().items():
        torch.testing.assert_close(weights[name], value.detach(), atol=1e-5, rtol=1e-4)


def test_it_learns(tmp_path: Path) -> None:
    history = finish(tmp_path, replace(RECIPE, epochs=4)).history
    assert history[-1].loss < history[0].loss
    assert max(epoch.validation_accuracy for epoch in history) > 0.6  # of three categories


def test_validation_photos_are_seen_as_encoders_see_them(tmp_path: Path) -> None:
    run = tuning(tmp_path)
    validation = pixel_set(Part.VALIDATION, tmp_path / "cache", TRANSFORM.resize)
    pixels = [
        to_pixels(decode(catalogue().bytes_of(digest)), TRANSFORM) for digest in validation.hashes
    ]
    with torch.no_grad():
        logits = run.network(torch.from_numpy(np.stack(pixels))).logits
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(validation.targets))
    assert run.validate()[0] == pytest.approx(expected.item(), rel=4e-3)


def test_another_seed_gives_another_result(tmp_path: Path) -> None:
    one = finish(tmp_path / "one", replace(RECIPE, epochs=1))
    other = finish(tmp_path / "other", replace(RECIPE, epochs=1, seed=4))
    assert one.history[0].loss != other.history[0].loss


def test_the_network_is_left_as_after_its_best_epoch(tmp_path: Path) -> None:
    finish(tmp_path)
    # So great a rate that all is forgotten.
    run = finish(tmp_path, replace(RECIPE, epochs=5, lr=9.0))
    losses = [epoch.validation_loss for epoch in run.history]
    assert run.best < len(losses) - 1
    assert losses[run.best] == min(losses)
    assert run.validate()[0] == pytest.approx(losses[run.best], rel=1e-5)


def test_it_ends_early_when_nothing_gets_better(tmp_path: Path) -> None:
    # Too small a rate to change a prediction, or what validation photos come to.
    run = finish(tmp_path, replace(RECIPE, epochs=6, lr=0.0, patience=2))
    assert len(run.history) == 3


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = finish(tmp_path)
    second = finish(tmp_path)
    assert second.history == first.history
    for name, value in second.network.trainable_parameters().items():
        assert torch.equal(value, first.network.trainable_parameters()[name])


def test_too_great_a_rate_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--lr"):
        finish(tmp_path, replace(RECIPE, epochs=2, lr=1e30))
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(b"\x10\0\0\0\0\0\0\0{not a checkpoint")
    with pytest.raises(WeightsRefused, match="checkpoint"):
        finish(tmp_path)
