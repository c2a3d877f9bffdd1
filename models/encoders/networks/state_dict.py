"""Safe loading of weights files: no code is executed, and incomplete files are refused."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from models.domain.errors import WeightsRefused


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file or a state dict saved by `torch.save`, on the CPU.

    Raises `WeightsRefused` if the file is damaged, of another format, or holds more than tensors.
    """
    try:
        if _is_safetensors(path):
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsRefused(
            f"The weights in {path} hold more than tensors, or are damaged; code is never loaded."
        ) from error
    except Exception as error:  # a crafted file can make the unpickler raise anything
        raise WeightsRefused(
            f"The weights in {path} are damaged, or neither safetensors nor a state dict."
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and _is_plain_tensor(value) for name, value in content.items()
    ):
        raise WeightsRefused(f"The weights in {path} are not a state dict: named tensors only.")
    return content


def fit_state_dict(
    weights: Mapping[str, Tensor], network: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """Convert weights to exactly the names, shapes and types of a network's state dict.

    `path` is named in errors. Half precision is widened; the count of training batches, which
    inference does not use, may be absent. Raises `WeightsRefused` if anything else differs or a
    value is not finite.
    """
    optional = {name for name in network if name.endswith(".num_batches_tracked")}
    _refuse_any(path, "lack", network.keys() - weights.keys() - optional)
    _refuse_any(path, "have unknown", weights.keys() - network.keys())
    _refuse_any(
        path,
        "have a wrong shape for",
        {name for name, value in weights.items() if value.shape != network[name].shape},
    )
    _refuse_any(
        path,
        "are not floating-point numbers in",
        {name for name in weights.keys() - optional if not weights[name].is_floating_point()},
    )
    _refuse_any(
        path,
        "have infinite or undefined values in",
        {name for name, value in weights.items() if not torch.isfinite(value).all()},
    )
    return {
        name: weights[name].to(expected.dtype)
        if name in weights
        else torch.zeros_like(expected, device="cpu")
        for name, expected in network.items()
    }


def _is_safetensors(path: Path) -> bool:
    """Whether a JSON header follows the eight bytes of its length."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _is_plain_tensor(value: object) -> bool:
    """Whether the value is a dense CPU tensor."""
    return (
        isinstance(value, Tensor) and value.device.type == "cpu" and value.layout is torch.strided
    )


def _refuse_any(path: Path, problem: str, names: set[str]) -> None:
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise WeightsRefused(f"The weights in {path} {problem} {min(names)}{more}.")
