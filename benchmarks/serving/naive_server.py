"""The server that most people would write: one synchronous route, with torch in the request.

    python -m benchmarks.serving.naive_server VECTORS WEIGHTS NETWORK PORT [--reload]

`VECTORS` is a `.npy` of unit vectors (n, dimension), indexed exactly. With `--reload`, weights and
index are loaded anew for each request. It has no queue, no database and no listings: it answers row
numbers.
"""

import io
import sys
from pathlib import Path
from typing import Annotated, Final

import faiss
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Form, UploadFile
from PIL import Image

from models.encoders.networks.architectures import Architecture, architecture_named
from models.encoders.networks.build import build_network
from models.encoders.preprocessing import to_pixels

LIMIT: Final = 10


class Loaded:
    """The network and the index."""

    def __init__(self, vectors: Path, weights: Path, architecture: Architecture) -> None:
        self._transform = architecture.transform
        self._network = build_network(architecture, weights)
        rows = np.load(vectors)
        self._index = faiss.IndexFlatIP(rows.shape[1])
        self._index.add(rows)

    def nearest(self, photo: bytes) -> list[int]:
        """The rows whose vectors are most like this photo's."""
        image = Image.open(io.BytesIO(photo)).convert("RGB")
        pixels = torch.from_numpy(to_pixels(image, self._transform))[None]
        with torch.inference_mode():
            vector = self._network(pixels).numpy()
        faiss.normalize_L2(vector)
        _, found = self._index.search(vector, LIMIT)
        rows: list[int] = found[0].tolist()
        return rows


def main(vectors: Path, weights: Path, name: str, port: int, *, reload: bool) -> None:
    """Serve until stopped."""
    architecture = architecture_named(name)
    once = None if reload else Loaded(vectors, weights, architecture)
    app = FastAPI()

    @app.post("/v1/searches")
    def search(photo: UploadFile, limit: Annotated[int, Form()] = LIMIT) -> list[int]:
        del limit
        loaded = once or Loaded(vectors, weights, architecture)
        return loaded.nearest(photo.file.read())

    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[3],
        int(sys.argv[4]),
        reload="--reload" in sys.argv,
    )
