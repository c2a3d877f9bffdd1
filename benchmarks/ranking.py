"""How many of the nearest listings a ranking needs, to be that of all listings.

    python -m benchmarks.ranking [--listings 1000000] [--queries 50]

Draws a catalogue of one photo a listing (see `benchmarks.features`) with prices, places, ages and
views that have nothing to do with how it looks, which is the worst case: then what counts beside
look may lift any listing. Compares the first ten of the order of all with the first ten of the
order of the K nearest, for weights of each part beside a weight of 1 of similarity.
"""

from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.features import DrawnFeatures
from models.ranking.features import POPULARITY_HALF

Scores = NDArray[np.float64]

SIZES: Final = (10, 50, 100, 200, 400, 800, 2_000, 10_000)
WEIGHTS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
DEPTH: Final = 10
SEED: Final = 0
DIMENSION: Final = 1_280
HALF_KM: Final = 25.0
HALF_DAYS: Final = 30.0


def main(
    *,
    listings: Annotated[int, typer.Option(min=1_000, help="In the catalogue.")] = 100_000,
    queries: Annotated[int, typer.Option(min=1, help="Photos that are searched with.")] = 50,
) -> None:
    """Draw, rank all and the nearest, print the overlaps."""
    rng = np.random.default_rng(SEED)
    world = DrawnFeatures(SEED, DIMENSION)
    asked = world.photos(world.items(queries, rng), rng)
    blocks = [asked @ batch.vectors.T for batch in world.catalogue(listings, rng)]
    similarity = np.concatenate(blocks, axis=1)
    parts = drawn_parts(listings, rng)
    nearest = np.argsort(-similarity, axis=1)[:, : max(SIZES)]
    tenth = float(np.mean(similarity[np.arange(queries), nearest[:, DEPTH - 1]]))
    print(f"{listings:,} listings, {queries} queries; the tenth nearest has {tenth:.3f}")
    for kind, chosen in {"one part": ["distance"], "four parts": list(parts)}.items():
        print(f"\n{kind}: overlap of the first ten, by K")
        print("weight " + "".join(f"{size:>8,}" for size in SIZES))
        for weight in WEIGHTS:
            extra = weight * np.sum([parts[name] for name in chosen], axis=0)
            row = [overlap(similarity, nearest[:, :size], extra) for size in SIZES]
            print(f"{weight:6g} " + "".join(f"{share:8.3f}" for share in row), flush=True)


def drawn_parts(count: int, rng: np.random.Generator) -> dict[str, Scores]:
    """Parts of a ranking, (n,) each, as a country's marketplace might have them."""
    km = np.hypot(rng.uniform(0, 300, count), rng.uniform(0, 600, count))
    days = rng.exponential(40, count)
    views = rng.pareto(1.1, count) * 10
    ratio = np.exp(-np.abs(rng.normal(0, 1.0, count)))
    return {
        "distance": 2.0 ** -(km / HALF_KM),
        "freshness": 2.0 ** -(days / HALF_DAYS),
        "popularity": views / (views + POPULARITY_HALF),
        "price": ratio,
    }


def overlap(similarity: NDArray[np.float32], nearest: NDArray[np.int64], extra: Scores) -> float:
    """The share of the first ten of all that is among the first ten of the nearest."""
    shares = []
    for row, near in zip(similarity, nearest, strict=True):
        scores = row + extra
        best = np.argpartition(-scores, DEPTH)[:DEPTH]
        among = near[np.argsort(-scores[near])[:DEPTH]]
        shares.append(len(np.intersect1d(best, among)) / DEPTH)
    return float(np.mean(shares))


if __name__ == "__main__":
    typer.run(main)
