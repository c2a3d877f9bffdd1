"""Networks exported to ONNX, in float32 or int8, run by ONNX Runtime on the CPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from models.domain.errors import WeightsRefused
from models.domain.types import EncoderSpec
from models.encoders.encoder import FeatureMap, unit_rows
from models.encoders.networks.architectures import PhotoTransform
from models.encoders.package import verify_file
from models.encoders.preprocessing import to_pixels, whole_photo

# Enough to keep the cores busy: more than this gained nothing, and each photo costs memory.
BATCH: Final = 8

INPUT: Final = "pixels"
OUTPUT: Final = "embedding"
FEATURE_MAP: Final = "feature_map"
"""The output of a graph that `feature_map_graph` made."""

# Errors only: warnings are about the graph's internals.
_ERRORS_ONLY: Final = 3


class OnnxEncoder:
    """Embeds photos with an exported network.

    `network` must hash to `network_sha256` when it is loaded; `threads` is how many threads it may
    compute with. Where threads embed at the same time, each computes with half as many: two that
    compute side by side take less time than two that wait for all threads in turns.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        network: Path,
        network_sha256: str,
        transform: PhotoTransform,
        threads: int,
    ) -> None:
        self._spec = spec
        self.network = network
        self._sha256 = network_sha256
        self._transform = transform
        self._threads = threads
        self._lock = Lock()
        self._opening = Lock()
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}
        self._mapping: onnxruntime.InferenceSession | None = None
        self._running = 0

    @property
    def spec(self) -> EncoderSpec:
        """The identity of this encoder, known before it is loaded."""
        return self._spec

    @property
    def runtime(self) -> str:
        """The runtime of the network."""
        return f"ONNX Runtime, {self._spec.precision}"

    def load(self) -> None:
        """Read the network, once.

        Raises `WeightsMissing` if the file is not there, `WeightsRefused` if its hash differs.
        """
        self._opened(self._threads)

    def embed(self, photos: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embed upright RGB photos; see `Encoder.embed`."""
        vectors = np.empty((len(photos), self._spec.dimension), np.float32)
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            pixels = np.stack([to_pixels(photo, self._transform) for photo in batch])
            with self._session() as session:
                vectors[start : start + BATCH] = session.run([OUTPUT], {INPUT: pixels})[0]
        return unit_rows(vectors)

    def feature_map(self, photo: Image.Image) -> FeatureMap:
        """The last feature map of a whole photo; see `MapsFeatures`.

        By a session of its own, opened when a map is first asked for: what embeds stays as it is.
        """
        pixels = whole_photo(photo, self._transform)[None]
        (maps,) = self._mapping_session().run([FEATURE_MAP], {INPUT: pixels})
        return FeatureMap.of(maps[0], self._transform.crop)

    def _mapping_session(self) -> onnxruntime.InferenceSession:
        with self._opening:
            if self._mapping is None:
                # Embedding does without the library that edits graphs.
                from models.encoders.networks.feature_map_graph import (  # noqa: PLC0415
                    feature_map_graph,
                )

                graph = feature_map_graph(verify_file(self.network, self._sha256))
                self._mapping = open_network(graph, self._threads)
            return self._mapping

    @contextmanager
    def _session(self) -> Iterator[onnxruntime.InferenceSession]:
        with self._lock:
            is_shared = self._running > 0
            self._running += 1
        try:
            yield self._opened(max(1, self._threads // 2) if is_shared else self._threads)
        finally:
            with self._lock:
                self._running -= 1

    def _opened(self, threads: int) -> onnxruntime.InferenceSession:
        with self._opening:
            if threads not in self._sessions:
                network = verify_file(self.network, self._sha256)
                self._sessions[threads] = open_network(network, threads)
            return self._sessions[threads]


def open_network(network: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU, of a file or of its content.

    Raises `WeightsRefused` if it is not a network.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Threads that spin between two calls would compete with photo decoding for the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base but Exception
        name = network if isinstance(network, Path) else "The graph"
        raise WeightsRefused(f"{name} is not a network that ONNX Runtime can run.") from error
