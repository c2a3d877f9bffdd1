"""What the tests of training share. Run as a program it is a fine-tuning that can be killed."""

import io
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from models.encoders.networks.architectures import RESNET50
from models.encoders.networks.build import FeatureNetwork
from models.encoders.networks.pooling import pooling_named
from models.encoders.networks.resnet50 import ResNet50
from models.encoders.networks.torchvision_cpu import Bottleneck, ResNet
from models.labels import LabelledPhotos
from models.training.data.pixels import PixelSet, squares
from models.training.data.split import Part, examples, split_photos
from models.training.finetune import FineTuning
from models.training.network import FineTunedNetwork
from models.training.recipe import MetricLoss, Recipe
from models.training.state import save_state

COLOURS = {"Home / Lamps": (200, 60, 60), "Home / Rugs": (60, 180, 60), "Toys": (60, 60, 200)}
RECIPE = Recipe(
    stages=1, size=32, epochs=3, batch=8, lr=1e-3, metric_loss=MetricLoss.SUPCON, seed=3
)
TRANSFORM = replace(RESNET50.transform, resize=33, crop=32)


@cache
def jpeg_of(path: str, number: int) -> bytes:
    """Noise around the colour of a category."""
    noise = np.random.default_rng(number).normal(COLOURS[path], 40, (48, 60, 3))
    file = io.BytesIO()
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def catalogue(listings: int = 30) -> LabelledPhotos:
    """Listings of three categories in turn, every third with two photos."""
    paths = list(COLOURS)
    rows = [(number, view) for number in range(listings) for view in range(1 + (number % 3 == 0))]
    files = {
        f"{number:03}-{view}": jpeg_of(paths[number % len(paths)], 2 * number + view)
        for number, view in rows
    }
    return LabelledPhotos(
        hashes=tuple(files),
        listings=tuple(f"listing {number:03}" for number, _ in rows),
        categories=tuple(paths[number % len(paths)] for number, _ in rows),
        fetch=files.__getitem__,
    )


class SmallResNet(ResNet50):
    """A ResNet with one narrow block in each stage, and without its last layer."""

    def __init__(self) -> None:
        ResNet.__init__(self, Bottleneck, [1, 1, 1, 1], width_per_group=8)
        self.fc = nn.Identity()


def small_resnet(seed: int = 0) -> FeatureNetwork:
    """One that has learned nothing."""
    torch.manual_seed(seed)
    network = FeatureNetwork(SmallResNet(), pooling_named(RESNET50.pooling))
    network.requires_grad_(False)
    return network


def small_tuned(stages: int = 1, categories: int = len(COLOURS)) -> FineTunedNetwork:
    """The same, about to be fine-tuned, with a head of random directions."""
    weight = torch.randn(categories, 2048, generator=torch.Generator().manual_seed(1))
    return FineTunedNetwork(small_resnet(), stages, weight, scale=16.0, mixed=False)


def pixel_set(part: Part, cache_folder: Path, side: int) -> PixelSet:
    """The photos of one part of the catalogue."""
    photos = catalogue()
    one = examples(photos, split_photos(photos, seed=0))[part]
    arrays = squares(one.photos, side, cache_folder, lambda _done, _total: None)
    return PixelSet(arrays, one.photos.hashes, one.targets)


def tuning(folder: Path, recipe: Recipe = RECIPE) -> FineTuning:
    """A fine-tuning of the small network on the catalogue."""
    return FineTuning(
        small_tuned(recipe.stages),
        pixel_set(Part.TRAIN, folder / "cache", TRANSFORM.resize),
        pixel_set(Part.VALIDATION, folder / "cache", TRANSFORM.resize),
        recipe,
        TRANSFORM,
        torch.device("cpu"),
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Fine-tune in the folder given, telling each step, and write the result there."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    run = tuning(folder)
    run.run(
        folder / "checkpoint.safetensors",
        lambda number, _epoch: _say(f"epoch {number}"),
        lambda done, _total: _say(f"step {done}"),
    )
    history = [asdict(epoch) for epoch in run.history]
    save_state(
        folder / "result.safetensors", run.network.trainable_parameters(), {"history": history}
    )


if __name__ == "__main__":
    main()
