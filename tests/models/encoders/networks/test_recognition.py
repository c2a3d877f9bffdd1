"""A file of weights is recognised by what is in it, or refused, before anything is done with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.domain.durable_files import sha256_of
from models.domain.errors import WeightsRefused
from models.encoders.networks.architectures import ARCHITECTURES, RESNET50
from models.encoders.networks.build import recognise
from models.encoders.networks.efficientnet_lite import EfficientNetLite
from models.encoders.networks.recognition import recognised
from models.encoders.networks.resnet50 import ResNet50
from tests.support.networks import NETWORK, write_weights


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_variants_of_one_network_are_told_apart(tmp_path: Path, variant: int) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(EfficientNetLite(variant).state_dict(), path)
    assert recognise(path) == ARCHITECTURES[f"efficientnet-lite{variant}"]


def test_another_process_reads_the_file(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "weights")
    assert recognised(path, sha256_of(path)) == NETWORK
    path.write_bytes(b"\x80\x02cut")
    with pytest.raises(WeightsRefused, match="more than tensors, or are"):
        recognised(path, sha256_of(path))


def test_resnet50_is_recognised(tmp_path: Path) -> None:
    with torch.device("meta"):
        state = ResNet50().state_dict()
    path = tmp_path / "weights.safetensors"
    save_file({name: torch.zeros(value.shape) for name, value in state.items()}, path)
    assert recognise(path) == RESNET50


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code was run",)


def _without_a_tensor(path: Path) -> None:
    state = EfficientNetLite(0).state_dict()
    del state["_conv_head.weight"]
    save_file(state, path)


def _with_code(path: Path) -> None:
    torch.save(_Harmful(), path)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("not weights at all"), "neither safetensors nor"),
    "nothing": (lambda path: path.write_bytes(b""), "neither safetensors nor"),
    "a cut pickle": (lambda path: path.write_bytes(b"\x80\x02cut"), "more than tensors, or are"),
    "code": (_with_code, "code is never loaded"),
    "a cut safetensors": (lambda path: path.write_bytes(b"\xff\0\0\0\0\0\0\0{"), "damaged"),
    "another network": (lambda path: save_file({"a": torch.zeros(1)}, path), "lack"),
    "a network without a tensor": (_without_a_tensor, "lack _conv_head.weight"),
}


NO_WEIGHTS = {"text", "nothing"}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_else_is_refused_in_one_line(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights"
    write, reason = REFUSED[kind]
    write(path)
    with pytest.raises(WeightsRefused, match=reason) as refused:
        # What may be weights is read by another process, as above; here by this one.
        (recognised(path, sha256_of(path)) if kind in NO_WEIGHTS else recognise(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "code was run" not in "".join(capfd.readouterr())
