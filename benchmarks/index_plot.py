"""Recall against searches a second, one line a kind of index."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend comes first


def draw(kinds: Sequence[Mapping[str, Any]], rows: int, flat_ms: float, folder: Path) -> None:
    """Write `index.svg` and `index.png` to `folder`: each kind's points, and exact search."""
    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for kind in kinds:
        points = sorted(kind["points"], key=lambda point: point["recall_at_10"])
        axes.plot(
            [point["recall_at_10"] for point in points],
            [1e3 / point["p50_ms"] for point in points],
            marker="o",
            label=f"{kind['factory']}, {kind['index_bytes_per_vector']:.0f} bytes a vector",
        )
    axes.plot([1.0], [1e3 / flat_ms], marker="*", markersize=14, linestyle="", label="Flat")
    axes.set(
        title=f"{rows:,} vectors of 2,048 numbers, the best candidates scored again",
        xlabel="recall@10",
        ylabel="searches a second (one after the other)",
        yscale="log",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
    for kind_of_file in ("svg", "png"):
        figure.savefig(folder / f"index.{kind_of_file}", dpi=150)
    plt.close(figure)
