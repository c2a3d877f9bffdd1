"""ResNet-50 without its last layer: 2,048 channels, averaged over the picture.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, as torchvision lays it out.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from models.domain.durable_files import sha256_of
from models.domain.errors import WeightsRefused
from models.domain.types import EncoderSpec
from models.encoders.encoder import unit_rows
from models.encoders.preprocessing import to_pixels
from models.encoders.specs import RESNET50_TRANSFORM, ResNet50Transform, resnet50_spec
from models.encoders.state_dict import fit_state_dict, read_state_dict
from models.encoders.torchvision_cpu import ResNet, resnet50

# Enough to keep the cores busy, and few enough for the activations to stay under a gigabyte.
BATCH: Final = 16


class ResNet50Encoder:
    """Embeds photos with ResNet-50 on the CPU, in float32.

    `spec` must be what `resnet50_spec` says of `weights` and `transform`; `threads` is how many
    threads torch may use in this process.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        weights: Path,
        threads: int,
        transform: ResNet50Transform = RESNET50_TRANSFORM,
    ) -> None:
        self._spec = spec
        self._weights = weights
        self._threads = threads
        self._lock = Lock()
        self._network: ResNet | None = None
        self._transform = transform

    @property
    def spec(self) -> EncoderSpec:
        """The identity of this encoder, known before it is loaded."""
        return self._spec

    @property
    def runtime(self) -> str:
        """The runtime of the network."""
        return f"torch, {self._spec.precision}"

    def load(self) -> None:
        """Read the weights and build the network, once.

        Raises `WeightsRefused` if the file is not a ResNet-50, is damaged or unsafe, or has
        changed since `spec` was made of it.
        """
        self._loaded()

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed upright RGB photos; see `Encoder.embed`."""
        network = self._loaded()
        vectors = np.empty((len(photos), self._spec.dimension), np.float32)
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            pixels = np.stack([to_pixels(photo, self._transform) for photo in batch])
            with torch.inference_mode():
                channels = network(torch.from_numpy(pixels).to(memory_format=torch.channels_last))
            vectors[start : start + BATCH] = channels.numpy()
        return unit_rows(vectors)

    def _loaded(self) -> ResNet:
        with self._lock:
            if self._network is None:
                torch.set_num_threads(self._threads)
                if resnet50_spec(sha256_of(self._weights), self._transform) != self._spec:
                    raise WeightsRefused(f"The weights in {self._weights} changed while in use.")
                self._network = build_network(self._weights)
            return self._network


def build_network(weights: Path) -> ResNet:
    """The network with these weights and without its last layer, for float32 on the CPU.

    Takes normalised photos as (photos, 3, height, width), gives (photos, 2048). Raises
    `WeightsRefused`.
    """
    # Built without storage, so that no value can be left untrained: `assign` puts the file's
    # tensors in place, and whatever it did not fill could not be computed with.
    with torch.device("meta"):
        network = resnet50(weights=None)
    network.fc = nn.Identity()
    tensors = {
        name: value
        for name, value in read_state_dict(weights).items()
        if not name.startswith("fc.")  # the classes of whatever it was trained on
    }
    network.load_state_dict(fit_state_dict(tensors, network.state_dict(), weights), assign=True)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
