"""The category head of an encoder: a calibrated linear classifier on its vectors.

numpy and safetensors only, so that prediction needs no torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models.domain.durable_files import atomic_file, make_folder
from models.domain.errors import WeightsMissing, WeightsRefused
from models.domain.text import clean_category
from models.domain.types import EncoderSpec

HEAD_FILE: Final = "head.safetensors"
_TENSORS: Final = frozenset({"weight", "bias", "temperature"})


@dataclass(frozen=True, slots=True, eq=False)
class CategoryHead:
    """A linear classifier on an encoder's unit vectors, with calibrated probabilities.

    `categories` are category paths, in the order of the rows of `weight` (categories, dimension)
    and of `bias` (categories,), both float32; those of the same path are added up. Logits are
    divided by `temperature` before softmax. `fingerprint` is that of the encoder whose vectors it
    was trained on.
    """

    categories: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    fingerprint: str

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each category for unit vectors (n, dimension): (n, categories)."""
        logits = (vectors @ self.weight.T + self.bias) / self.temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float32] = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def save(self, path: Path) -> None:
        """Write it to a file, atomically; missing folders are made."""
        make_folder(path.parent)
        tensors = {
            "weight": np.ascontiguousarray(self.weight),
            "bias": np.ascontiguousarray(self.bias),
            "temperature": np.array([self.temperature], np.float32),
        }
        # Paths hold no line feeds: each is one line wherever it comes from.
        facts = {"categories": "\n".join(self.categories), "fingerprint": self.fingerprint}
        with atomic_file(path) as file:
            file.write(save(tensors, facts))


def head_path(models_dir: Path, spec: EncoderSpec) -> Path:
    """Where the head of an encoder is kept."""
    return models_dir / spec.label / HEAD_FILE


def find_head(models_dir: Path, spec: EncoderSpec) -> CategoryHead | None:
    """The head that was trained for this encoder, if there is one. Raises as `load_head` does."""
    path = head_path(models_dir, spec)
    return load_head(path, spec) if path.is_file() else None


def load_head(path: Path, spec: EncoderSpec) -> CategoryHead:
    """Read a head.

    Raises `WeightsMissing` if there is no such file, and `WeightsRefused` if it is damaged, is not
    a head, or was trained on another encoder's vectors.
    """
    if not path.is_file():
        raise WeightsMissing(f"There is no category head at {path}.")
    try:
        with safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsRefused(f"The category head {path} can't be read.") from error
    categories = tuple(facts.get("categories", "").split("\n"))
    if (
        set(tensors) != _TENSORS
        or tensors["weight"].shape != (len(categories), spec.dimension)
        or tensors["bias"].shape != (len(categories),)
        or tensors["temperature"].shape != (1,)
        or not all(np.isfinite(tensor).all() for tensor in tensors.values())
        or tensors["temperature"][0] <= 0
    ):
        raise WeightsRefused(f"{path} is not a category head for {spec.label}.")
    if facts.get("fingerprint") != spec.fingerprint:
        raise WeightsRefused(f"The category head {path} was trained on another encoder's vectors.")
    return CategoryHead(
        # A file of an earlier release may spell them otherwise than the catalogue does now.
        tuple(map(clean_category, categories)),
        tensors["weight"].astype(np.float32),
        tensors["bias"].astype(np.float32),
        float(tensors["temperature"][0]),
        spec.fingerprint,
    )
