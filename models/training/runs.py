"""A training run and its folder.

    run.json           the configuration
    split.json         which listings are used for what
    metrics.json       every figure
    confusion.png      the confusion matrix
    curves.png         the learning curves
    worst.png          the most confident mistakes
    tensorboard/       the learning curves during training

A killed run resumes when it is started again in the same folder.
"""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from models.domain.durable_files import write_json
from models.domain.errors import Conflict
from models.encoders.encoder import Encoder
from models.labels import LabelledPhotos
from models.training.charts import draw_confusion, draw_worst
from models.training.data.features import (
    StoredVectors,
    features,
    nothing_stored,
    unit_vectors,
)
from models.training.data.pixels import PixelSet, squares
from models.training.data.split import Examples, Part, Split, examples, load_split, split_photos
from models.training.finetune import Epoch
from models.training.measure import Candidate, Gain, HeadMetrics

# Called with what is being done, how much of it is done, and how much there is.
OnStageProgress = Callable[[str, int, int], None]

Config = Mapping[str, str | int | float]
"""What shapes a run's result, by name, the `seed` among it."""

RUN_FILE: Final = "run.json"
SPLIT_FILE: Final = "split.json"
METRICS_FILE: Final = "metrics.json"


@dataclass(frozen=True, slots=True)
class ProbeDetails:
    """How a linear probe was trained: the inverse of its L2 penalty, and seconds by stage."""

    strength: float
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FineTuneDetails:
    """How a network was fine-tuned.

    `probe` measures a linear probe on the network before fine-tuning, `gain` the difference to it.
    `best_epoch` counts from 1; `seconds` are by stage.
    """

    probe: HeadMetrics
    gain: Gain
    best_epoch: int
    epochs: list[Epoch]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """Every figure of a finished run.

    `photos` and `listings` are counted by part; `left_out` counts the listings of each category
    that has too few of them.
    """

    config: Config
    photos: Mapping[str, int]
    listings: Mapping[str, int]
    left_out: Mapping[str, int]
    head: HeadMetrics
    details: ProbeDetails | FineTuneDetails

    def to_json(self) -> dict[str, object]:
        """The figures as plain values; those of the head and the training replace the config's."""
        return {
            **self.config,
            "photos": dict(self.photos),
            "listings": dict(self.listings),
            "left_out": dict(self.left_out),
            **asdict(self.head),
            **asdict(self.details),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A training run: its folder, its configuration, and its photos by part.

    `cache` is a folder, shared by runs, for what is computed from photos; `stored` has vectors that
    were computed before. `threads` is how many threads networks may compute with.
    """

    folder: Path
    cache: Path
    config: Config
    photos: LabelledPhotos
    split: Split
    parts: Mapping[Part, Examples]
    threads: int
    on_progress: OnStageProgress
    on_message: Callable[[str], None]
    stored: StoredVectors

    @property
    def categories(self) -> int:
        """The number of categories."""
        return len(self.split.categories)

    def vectors(self, encoder: Encoder) -> dict[Part, NDArray[np.float32]]:
        """An encoder's vectors of the photos of each part, (photos, dimension)."""
        on_progress = partial(self.on_progress, "features")
        kept = features(self.photos, encoder, self.cache, on_progress, self.stored)
        return {part: unit_vectors(kept, one.photos) for part, one in self.parts.items()}

    def pixels(self, part: Part, side: int) -> PixelSet:
        """The photos of a part as squares of so many pixels a side."""
        one = self.parts[part]
        on_progress = partial(self.on_progress, f"{part} photos")
        return PixelSet(
            squares(one.photos, side, self.cache, on_progress), one.photos.hashes, one.targets
        )

    def finish(
        self,
        candidate: Candidate,
        head: HeadMetrics,
        details: ProbeDetails | FineTuneDetails,
    ) -> RunMetrics:
        """Draw a candidate's results on the test photos; write all figures last and return them."""
        confusion = np.array(head.confusion)
        draw_confusion(self.folder / "confusion.png", self.split.categories, confusion)
        draw_worst(
            self.folder / "worst.png",
            self.split.categories,
            self.parts[Part.TEST],
            candidate.head.probabilities(candidate.vectors[Part.TEST]),
        )
        metrics = RunMetrics(
            config=self.config,
            photos={part.value: len(one.photos) for part, one in self.parts.items()},
            listings={part.value: len(ids) for part, ids in self.split.listings.items()},
            left_out=self.split.left_out,
            head=head,
            details=details,
        )
        write_json(self.folder / METRICS_FILE, metrics.to_json())
        return metrics


@contextmanager
def open_run(
    folder: Path,
    cache: Path,
    photos: LabelledPhotos,
    config: Config,
    *,
    threads: int,
    on_progress: OnStageProgress,
    on_message: Callable[[str], None],
    stored: StoredVectors = nothing_stored,
) -> Generator[Run]:
    """Start a run, or resume the one in the folder, which is locked against other processes.

    Raises `Conflict` if the folder's run has another configuration, its photos have changed, or
    another process trains in it; `InvalidInput` if there are fewer than two categories.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _require_same_config(folder / RUN_FILE, config)
            split = _split(folder / SPLIT_FILE, photos, int(config["seed"]))
            parts = examples(photos, split)
            yield Run(
                folder,
                cache,
                config,
                photos,
                split,
                parts,
                threads,
                on_progress,
                on_message,
                stored,
            )
    except Timeout as error:
        raise Conflict(f"Another process is training in {folder}.") from error


def _require_same_config(path: Path, config: Config) -> None:
    """Write a new run's configuration; raise Conflict if a resumed run has another one."""
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
