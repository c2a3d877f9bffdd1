"""A training run and its folder.

    run.json           what was asked for
    split.json         which listings are used for what
    metrics.json       every figure
    confusion.png      which categories are taken for which
    curves.png         how training went
    worst.png          the greatest mistakes
    tensorboard/       the curves, while they grow

A run that was killed goes on where it was when it is started again in the same folder.
"""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from models.domain.durable_files import write_json
from models.domain.errors import Conflict
from models.encoders.encoder import Encoder
from models.labels import LabelledPhotos
from models.training.charts import draw_confusion, draw_worst
from models.training.data.features import features, unit_vectors
from models.training.data.pixels import PixelSet, squares
from models.training.data.split import Examples, Part, Split, examples, load_split, split_photos
from models.training.measure import Candidate

# Called with what is being done, how much of it is done, and how much there is.
OnStageProgress = Callable[[str, int, int], None]

RUN_FILE: Final = "run.json"
SPLIT_FILE: Final = "split.json"
METRICS_FILE: Final = "metrics.json"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that has begun: its folder, and its photos by what they are used for.

    `config` is what shapes the result, as plain values. `cache` is a folder for what is computed of
    photos, which runs share. `threads` is how many threads networks may compute with.
    """

    folder: Path
    cache: Path
    config: Mapping[str, Any]
    photos: LabelledPhotos
    split: Split
    parts: Mapping[Part, Examples]
    threads: int
    on_progress: OnStageProgress
    on_message: Callable[[str], None]

    @property
    def categories(self) -> int:
        """How many categories are metrics apart."""
        return len(self.split.categories)

    def vectors(self, encoder: Encoder) -> dict[Part, NDArray[np.float32]]:
        """What an encoder sees in the photos of each part, (photos, dimension)."""
        kept = features(self.photos, encoder, self.cache, partial(self.on_progress, "features"))
        return {part: unit_vectors(kept, one.photos) for part, one in self.parts.items()}

    def pixels(self, part: Part, side: int) -> PixelSet:
        """The photos of a part as squares of so many pixels a side."""
        one = self.parts[part]
        on_progress = partial(self.on_progress, f"{part} photos")
        return PixelSet(
            squares(one.photos, side, self.cache, on_progress), one.photos.hashes, one.targets
        )

    def finish(self, candidate: Candidate, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Draw what a candidate makes of the test photos; write and give all figures, last."""
        confusion = np.array(figures["confusion"])
        draw_confusion(self.folder / "confusion.png", self.split.categories, confusion)
        draw_worst(
            self.folder / "worst.png",
            self.split.categories,
            self.parts[Part.TEST],
            candidate.head.probabilities(candidate.vectors[Part.TEST]),
        )
        metrics = {
            **self.config,
            "photos": {part.value: len(one.photos) for part, one in self.parts.items()},
            "listings": {part.value: len(ids) for part, ids in self.split.listings.items()},
            "left_out": dict(self.split.left_out),
            **figures,
        }
        write_json(self.folder / METRICS_FILE, metrics)
        return metrics


@contextmanager
def open_run(
    folder: Path,
    cache: Path,
    photos: LabelledPhotos,
    config: Mapping[str, Any],
    *,
    threads: int,
    on_progress: OnStageProgress,
    on_message: Callable[[str], None],
) -> Generator[Run]:
    """Begin a run, or go on with the one in the folder; no other process can meanwhile.

    `config` is everything else that shapes the result, as plain values, the `seed` among them.
    Raises `Conflict` if the folder's run was asked for something else, its photos have changed, or
    another process has it; `InvalidInput` if there are not two categories to tell apart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _require_same_config(folder / RUN_FILE, config)
            split = _split(folder / SPLIT_FILE, photos, config["seed"])
            parts = examples(photos, split)
            yield Run(folder, cache, config, photos, split, parts, threads, on_progress, on_message)
    except Timeout as error:
        raise Conflict(f"Another process is training in {folder}.") from error


def _require_same_config(path: Path, config: Mapping[str, Any]) -> None:
    """See that what was asked for is what was asked for before, if anything was."""
    if not path.is_file():
        write_json(path, config)
        return
    before = json.loads(path.read_bytes())
    differing = sorted(key for key in before.keys() | config if before.get(key) != config.get(key))
    if differing:
        raise Conflict(
            f"{path.parent} holds a run with another {' and another '.join(differing)}: "
            "start in another folder."
        )


def _split(path: Path, photos: LabelledPhotos, seed: int) -> Split:
    if path.is_file():
        return load_split(path, photos)
    split = split_photos(photos, seed)
    split.save(path)
    return split
