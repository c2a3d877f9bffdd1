"""Look and words together: how to fuse them, on articles with photos, names, types and colours.

    python -m benchmarks.hybrid FOLDER [--vectors FILE] [--queries N]

FOLDER has `items.csv` (item, prod_name, product_type_name, product_group_name, colour_group_name,
graphical_appearance_name) and `images/<item>.jpg`. Each described article becomes a listing; all
are searched through the database's text index and an exact index of the default network's vectors.

- another colour: a query is a photo and the word of a colour that it is not of. Right is what is of
  the photo's type and of that colour; only colours that ten others of the type have are asked for.
- its own name: a photo and the name of its article. Right is what is of its type.
- its own name, in its colour: the same. Right is what is of its type and colour, of which the name
  says nothing.

Precision at 10 with intervals of 95% over queries, paired between ways.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final
from uuid import UUID, uuid5

import numpy as np
import typer
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos
from db.catalogue.listings import ListingData, upsert_listings
from db.schema_migration import upgrade
from db.session import Database
from models.domain.filters import ListingFilter
from models.domain.searches.block_cursors import Block
from models.domain.searches.options import FusionMethod, RankPart
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.networks.architectures import EFFICIENTNET_LITE, InstalledWeights
from models.encoders.package import write_package
from models.encoders.runtimes import open_encoder
from models.encoders.weights import installed_weights
from models.evaluation.intervals import Means, cluster_means
from models.index.vector_index import VectorIndex
from models.photo_decoding import decode
from models.ranking.fusion import relevance
from workers.search.blocks import Asked, Candidate, Look, candidates_of
from workers.search.words import words_of

Floats = NDArray[np.float32]
Scores = NDArray[np.float64]

NAMESPACE: Final = UUID(int=14)
COLOURS: Final = (
    "black", "white", "red", "blue", "green", "pink", "yellow", "beige", "grey", "orange",
    "purple", "turquoise",
)  # fmt: skip
DEPTH: Final = 10
LEAST_RIGHT: Final = 10
BATCH: Final = 16
TEXT_WEIGHTS: Final = (0.15, 0.25, 0.35, 0.5, 0.7, 0.85, 1.0, 2.0)
SEED: Final = 0
NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Article:
    """An article: its name, its type, and the words of its colour."""

    item: str
    name: str
    group: str
    kind: str
    colour: str
    pattern: str

    @property
    def listing_id(self) -> UUID:
        """Of the listing that it becomes."""
        return uuid5(NAMESPACE, self.item)

    def is_of(self, colour: str) -> bool:
        """Whether it is of a colour, as `Dark Blue` is of blue."""
        return colour in self.colour.casefold().split()


@dataclass(frozen=True, slots=True)
class Question:
    """An article's photo and a text, and which listings are right."""

    row: int
    text: str
    right: frozenset[UUID]


Questions = Callable[[Sequence[Article], int, np.random.Generator], list[Question]]


def main(
    folder: Annotated[Path, typer.Argument(help="With items.csv and images.")],
    *,
    vectors: Annotated[Path | None, typer.Option(help="Keeps the vectors between runs.")] = None,
    queries: Annotated[int, typer.Option(help="Of each kind.")] = 500,
) -> None:
    """Embed, list and search; print both tables."""
    articles = list(described(folder))
    rows = embedded(folder, articles, vectors)
    rng = np.random.default_rng(SEED)
    with TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/hybrid.db"
        upgrade(url)
        database = Database(url)
        index = listed(database, articles, rows)
        print(f"{len(articles)} articles, {queries} queries of each kind", flush=True)
        kinds: dict[str, Questions] = {
            "another colour": other_colours,
            "its own name": partial(own_names, in_its_colour=False),
            "its own name, in its colour": partial(own_names, in_its_colour=True),
        }
        for kind, questions_of in kinds.items():
            asked = questions_of(articles, queries, rng)
            print(f"\n{kind}: {len(asked)} queries")
            report(precisions(database, index, articles, rows, asked), rng)
        database.close()


def described(folder: Path) -> Iterator[Article]:
    """The articles that have a name and a photo."""
    with (folder / "items.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            if row["prod_name"] and (folder / "images" / f"{row['item']}.jpg").exists():
                yield Article(
                    row["item"],
                    row["prod_name"],
                    row["product_group_name"],
                    row["product_type_name"],
                    row["colour_group_name"],
                    row["graphical_appearance_name"],
                )


def embedded(folder: Path, articles: Sequence[Article], kept: Path | None) -> Floats:
    """The default network's vectors (n, dimension) of the articles' photos."""
    if kept is not None and kept.exists():
        stored = np.load(kept)
        by_item = dict(zip(stored["items"].tolist(), stored["vectors"], strict=True))
        return np.stack([by_item[article.item] for article in articles])
    weights = EFFICIENTNET_LITE.weights
    if not isinstance(weights, InstalledWeights):
        raise TypeError("the default network's weights are installed")
    blocks = []
    with TemporaryDirectory() as scratch:
        models_dir = Path(scratch)
        path = installed_weights(weights)
        spec = write_package(models_dir, EFFICIENTNET_LITE, weights=path, facts={}).spec
        encoder = open_encoder(EncoderLibrary(AUTO, None, models_dir), spec, threads=2)
        for start in range(0, len(articles), BATCH):
            some = articles[start : start + BATCH]
            photos = [(folder / "images" / f"{one.item}.jpg").read_bytes() for one in some]
            blocks.append(encoder.embed([decode(photo) for photo in photos]))
            print(f"\r{start + len(some)} embedded", end="", file=sys.stderr)
    found = np.concatenate(blocks)
    if kept is not None:
        np.savez(kept, items=np.array([one.item for one in articles]), vectors=found)
    return found


def listed(database: Database, articles: Sequence[Article], rows: Floats) -> VectorIndex:
    """Store the articles as listings, with their photos; the index of these, by row from 1."""
    with database.write() as session:
        upsert_listings(
            session,
            [
                ListingData(
                    one.listing_id,
                    one.name,
                    category=f"{one.group} / {one.kind}",
                    attributes={"colour": one.colour, "pattern": one.pattern},
                )
                for one in articles
            ],
            NOW,
        )
        hashes = [f"{row:064x}" for row in range(len(articles))]
        ids = ensure_photos(session, [PhotoData(sha256, 160, 160) for sha256 in hashes], NOW)
        shown = {
            one.listing_id: [ids[sha256]] for one, sha256 in zip(articles, hashes, strict=True)
        }
        set_photos(session, shown)
    index = VectorIndex(rows.shape[1])
    index.upsert(np.array([ids[sha256] for sha256 in hashes], np.int64), rows)
    return index


def other_colours(
    articles: Sequence[Article], count: int, rng: np.random.Generator
) -> list[Question]:
    """A photo, and a colour that it is not of."""
    right: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    for article in articles:
        for colour in COLOURS:
            if article.is_of(colour):
                right[article.kind, colour].add(article.listing_id)
    questions: list[Question] = []
    for row in rng.permutation(len(articles)).tolist():
        article = articles[row]
        others = [
            colour
            for colour in COLOURS
            if not article.is_of(colour) and len(right[article.kind, colour]) >= LEAST_RIGHT
        ]
        if others:
            colour = str(rng.choice(others))
            questions.append(Question(row, colour, frozenset(right[article.kind, colour])))
        if len(questions) == count:
            break
    return questions


def own_names(
    articles: Sequence[Article], count: int, rng: np.random.Generator, *, in_its_colour: bool
) -> list[Question]:
    """A photo, and the name of its article."""

    def key(article: Article) -> tuple[str, str]:
        return article.kind, article.colour if in_its_colour else ""

    right: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    for article in articles:
        right[key(article)].add(article.listing_id)
    questions: list[Question] = []
    for row in rng.permutation(len(articles)).tolist():
        article = articles[row]
        others = right[key(article)] - {article.listing_id}
        if len(others) >= LEAST_RIGHT:
            questions.append(Question(row, article.name, frozenset(others)))
        if len(questions) == count:
            break
    return questions


def precisions(
    database: Database,
    index: VectorIndex,
    articles: Sequence[Article],
    rows: Floats,
    questions: Sequence[Question],
) -> dict[str, list[float]]:
    """Precision at 10 of each way, by question."""
    found: dict[str, list[float]] = defaultdict(list)
    with database.read() as session:
        for question in questions:
            own = articles[question.row].listing_id
            candidates = _candidates(session, index, rows[question.row], question, own)
            look, text = _arrays(candidates)
            for way, scores in ways(look, text).items():
                best = np.lexsort([-np.nan_to_num(look), -scores])[:DEPTH]
                hits = [candidates[row].listing_id in question.right for row in best]
                found[way].append(sum(hits) / DEPTH)
    return found


def _candidates(
    session: Session, index: VectorIndex, query: Floats, question: Question, own: UUID
) -> list[Candidate]:
    words = words_of(session, question.text, ListingFilter(), [own], language="english")
    asked = Asked(session, Look(index, [query]), words, excluded=[own])
    return candidates_of(asked, Block()).listings


def _arrays(candidates: Sequence[Candidate]) -> tuple[Scores, Scores]:
    look = [np.nan if one.look is None else one.look.similarity for one in candidates]
    text = [np.nan if one.text is None else one.text for one in candidates]
    return np.array(look), np.array(text)


def ways(look: Scores, text: Scores) -> Mapping[str, Scores]:
    """The scores of each way of ranking the candidates."""
    known = np.nan_to_num(text)
    found: dict[str, Scores] = {"look alone": look, "words alone": known - 1e-9 * _by_number(look)}
    kinds: dict[str, Callable[[], tuple[Scores, Scores]]] = {
        "convex": lambda: _parts(look, text, FusionMethod.CONVEX),
        "convex, min-max": lambda: (_min_max(look), _min_max(known)),
        "rrf": lambda: _parts(look, text, FusionMethod.RRF),
    }
    for kind, parts in kinds.items():
        by_look, by_words = parts()
        for weight in TEXT_WEIGHTS:
            found[f"{kind}, words {weight:g}"] = by_look + weight * by_words
    return found


def _by_number(look: Scores) -> Scores:
    # Words alone know nothing of look: equal scores are in an order of their own.
    return np.random.default_rng(SEED).random(len(look))


def _parts(look: Scores, text: Scores, method: FusionMethod) -> tuple[Scores, Scores]:
    parts = relevance(look, text, method)
    return parts[RankPart.SIMILARITY], parts[RankPart.TEXT]


def _min_max(values: Scores) -> Scores:
    low, high = np.nanmin(values), np.nanmax(values)
    scaled: Scores = (np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-9)
    return scaled


def report(found: Mapping[str, Sequence[float]], rng: np.random.Generator) -> None:
    """Print precision at 10 of each way, and its gains over look alone and words alone."""
    names = list(found)
    values = np.array([found[name] for name in names]).T
    means: Means = cluster_means(values, np.arange(len(values)), rng)
    for column, name in enumerate(names):
        one = means.of(column)
        line = f"{name:28} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
        for base in ("look alone", "words alone"):
            gain = means.difference(column, names.index(base))
            line += f"  {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        print(line)


if __name__ == "__main__":
    typer.run(main)
