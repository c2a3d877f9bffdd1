"""Encoders run by torch on the CPU, in float32."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.domain.durable_files import sha256_of
from models.domain.errors import WeightsRefused
from models.domain.types import EncoderSpec
from models.encoders.encoder import FeatureMap, unit_rows
from models.encoders.networks.architectures import Architecture, PhotoTransform
from models.encoders.networks.build import FeatureNetwork, build_network
from models.encoders.preprocessing import to_pixels, whole_photo
from models.encoders.specs import network_spec

# Enough to keep the cores busy, and few enough for the activations to stay under a gigabyte.
BATCH: Final = 16


class TorchEncoder:
    """Embeds photos with a network on the CPU.

    `spec` must be what `network_spec` says of `architecture`, `weights` and `transform`, the
    network's own by default; `threads` is how many threads torch may use in this process.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        architecture: Architecture,
        weights: Path,
        threads: int,
        transform: PhotoTransform | None = None,
    ) -> None:
        self._spec = spec
        self._weights = weights
        self._threads = threads
        self._architecture = architecture
        self._transform = transform or self._architecture.transform
        self._lock = Lock()
        self._running = Lock()
        self._network: FeatureNetwork | None = None

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

        Raises `WeightsRefused` if the file is not of this network, is damaged or unsafe, or has
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
            # Each run uses all threads: two at the same time would wait for each other's.
            with self._running, torch.inference_mode():
                channels = network(torch.from_numpy(pixels).to(memory_format=torch.channels_last))
            vectors[start : start + BATCH] = channels.numpy()
        return unit_rows(vectors)

    def feature_map(self, photo: Image.Image) -> FeatureMap:
        """The last feature map of a whole photo; see `MapsFeatures`."""
        network = self._loaded()
        pixels = torch.from_numpy(whole_photo(photo, self._transform)[None])
        with self._running, torch.inference_mode():
            maps = network.feature_maps(pixels.to(memory_format=torch.channels_last))
        return FeatureMap.of(maps[0].numpy(), self._transform.crop)

    def _loaded(self) -> FeatureNetwork:
        with self._lock:
            if self._network is None:
                torch.set_num_threads(self._threads)
                found = sha256_of(self._weights)
                if network_spec(self._architecture, found, self._transform) != self._spec:
                    raise WeightsRefused(f"The weights in {self._weights} changed while in use.")
                self._network = build_network(self._architecture, self._weights)
            return self._network
