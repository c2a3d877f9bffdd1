"""A checkpoint: tensors and JSON metadata in one file.

The format is safetensors, with the JSON in its header: reading it never runs code.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.domain.durable_files import atomic_file
from models.domain.errors import WeightsRefused

_FACTS = "facts"


def save_state(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
    """Write a checkpoint, durably and atomically."""
    # safetensors stores contiguous tensors only.
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_file(path) as file:
        file.write(save(plain, {_FACTS: json.dumps(facts)}))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read what `save_state` wrote, on the CPU. Raises WeightsRefused if the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})[_FACTS])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsRefused(f"The checkpoint {path} can't be read: remove it.") from error
