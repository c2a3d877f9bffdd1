"""How fast a large feed's tables are taken in, and in how much memory.

    python benchmarks/feed_intake.py [--products N] [--database-url URL]

writes a feed of N products and 1.5 N images in the real dialect (no photos), seeds it into an empty
database (SQLite, or the one given), then seeds it again, which must write nothing. The figures are
those that `marketlens seed --json` gives.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

WORDS = (
    *("vintage", "oak", "table", "lamp", "sofa", "garden", "bike", "mirror", "chair", "leather"),
    *("winter", "coat", "retro", "camera", "shelf", "children", "toy", "kitchen", "set", "barely"),
    *("used", "good", "condition", "collection", "only", "cash", "please", "home", "bargain"),
    *("original", "box", "works", "perfectly", "small", "scratch", "on", "the", "side", "photos"),
)
PLACES = ("Poole, Dorset", "Luton, Bedfordshire", "Cardiff, Cardiff", "Leeds, West Yorkshire")
PRICES = ("N/A", "Free", "£5.00", "£1,250.00", "£40.00", "£12.50", "£1,234,567.00")
CATEGORIES = [f"Root {root} / Sub {sub}" for root in range(13) for sub in range(8)]


def write_feed(folder: Path, products: int, seed: int) -> None:
    """Draw a feed; the same seed draws the same one."""
    rng = random.Random(seed)
    ids = [UUID(int=rng.getrandbits(128), version=4) for _ in range(products)]
    with (folder / "Products.csv").open("w", encoding="utf-8", newline="") as file:
        # Not by the csv module: it would quote bare carriage returns, which the real feed does not.
        file.write(",id,product_name,category,product_description,price,location\n")
        for number, product_id in enumerate(ids):
            file.write(f"{number},{product_id},{','.join(product(rng))}\n")
    with (folder / "Images.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", "id", "product_id"])
        for number in range(products * 3 // 2):
            image_id = UUID(int=rng.getrandbits(128), version=4)
            writer.writerow([number, image_id, ids[number * 2 // 3]])


def product(rng: random.Random) -> Iterator[str]:
    """A product's fields behind its id."""
    title = " ".join(rng.choices(WORDS, k=4)).capitalize()
    place = rng.choice(PLACES)
    yield f'"{title} | in {place} | Gumtree"'
    yield rng.choice(CATEGORIES)
    yield "\r".join(
        " ".join(rng.choices(WORDS, k=rng.randint(4, 20))).capitalize()
        for _ in range(rng.randint(1, 5))
    )
    price = rng.choice(PRICES)
    yield f'"{price}"' if "," in price else price
    yield f'"{place}"'


def run_seed(feed: Path, data_dir: Path, database_url: str | None) -> dict[str, object]:
    """One run of the product's own command; gives its report."""
    environment = os.environ | {"MARKETLENS_DATA_DIR": str(data_dir), "MARKETLENS_ENCODER": "hog"}
    if database_url:
        environment["MARKETLENS_DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "marketlens", "seed", str(feed), "--no-wait", "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


def main() -> None:
    """Write the feed, seed it twice, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--database-url", help="an empty PostgreSQL; SQLite by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        feed = Path(place) / "feed"
        feed.mkdir()
        write_feed(feed, options.products, options.seed)
        for run in ("first", "second"):
            report = run_seed(feed, Path(place) / "var", options.database_url)
            rate = options.products / float(str(report["seconds"]))
            print(f"{run} run: {rate:,.0f} products a second")
            print(json.dumps(report))


if __name__ == "__main__":
    main()
