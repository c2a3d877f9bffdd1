"""Charts of a run, as PNG. matplotlib is imported when one is drawn."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.domain.durable_files import atomic_file
from models.domain.optional_dependencies import requires_extra
from models.photos import decode
from models.training.data.split import Examples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST_SHOWN: Final = 20
_COLUMNS: Final = 5


def draw_confusion(path: Path, categories: Sequence[str], confusion: NDArray[np.int64]) -> None:
    """The confusion matrix: true categories (rows), predicted (columns), as shares of each row."""
    count = len(categories)
    side = 3 + 0.4 * count
    figure = _figure(side, side)
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(count), categories, rotation=90, parse_math=False)
    axes.set_yticks(range(count), categories, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.argwhere(confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"  # noqa: PLR2004 - half of blue
        axes.text(
            column, row, confusion[row, column], ha="center", va="center", color=colour, size=8
        )
    _save(figure, path)


def draw_curves(
    path: Path,
    x: tuple[str, Sequence[float]],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x_scale: str = "linear",
) -> None:
    """Panels side by side: by title, the lines in it by name; all over `x`, a name and values."""
    name, values = x
    figure = _figure(5.0 * len(panels), 4.0)
    for axes, (title, lines) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for label, line in lines.items():
            axes.plot(values, line, marker="o", label=label)
        axes.set_xscale(x_scale)
        axes.set_title(title)
        axes.set_xlabel(name)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def draw_worst(
    path: Path,
    categories: Sequence[str],
    test: Examples,
    probabilities: NDArray[np.float32],
) -> None:
    """The photos that were misclassified with the highest confidence.

    `probabilities` are of the test photos, (photos, categories). Raises as `LabelledPhotos.read`
    does.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.targets)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:WORST_SHOWN]
    rows = max(1, -(-len(worst) // _COLUMNS))
    figure = _figure(3.0 * _COLUMNS, 3.6 * rows)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, row in zip(panels, worst, strict=False):
        axes.imshow(np.asarray(decode(test.photos.read(int(row)))))
        confidence = probabilities[row, predicted[row]]
        axes.set_title(
            f"{categories[predicted[row]]} ({confidence:.0%})\nis {categories[test.targets[row]]}",
            size=8,
            # A category's name is text, whatever it holds.
            parse_math=False,
        )
    if not len(worst):
        figure.suptitle("no mistakes")
    _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    """A figure of its own, in inches: without pyplot nothing is shared, and no screen is needed.

    Raises SetupError where matplotlib is not installed.
    """
    with requires_extra("train"):
        # Imported here: serving machines have no matplotlib.
        from matplotlib.figure import Figure  # noqa: PLC0415
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    with atomic_file(path) as file:
        file.write(picture.getbuffer())
