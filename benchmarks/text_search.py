"""How fast listings are found by words, in a database that `catalogue_at_scale` has filled.

    python benchmarks/text_search.py --database-url URL [--queries N]

Queries are drawn by the same laws as the texts, one to four words each: from the words of one
listing's title (so that something matches), words of the vocabulary by how frequent they are, the
fifty most frequent words, misspelt words, phrases, unfinished words, and words with an exclusion.
Each is resolved and searched by itself, for ten listings and for a thousand. Figures are
milliseconds; processor time is that of this process, which is all of SQLite's and none of
PostgreSQL's server.
"""

import argparse
import json
import random
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter, process_time
from typing import Final

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from benchmarks.catalogue_at_scale import VOCABULARY, Drawing
from db.session import Database
from db.tables import Listing
from db.text.resolve import resolve
from db.text.search import find_texts, text_match_numbers, text_scores
from models.domain.filters import ListingFilter
from models.text.query import parse_query
from models.text.resolved import ResolvedQuery

LANGUAGE: Final = "english"


def queries(session: Session, drawing: Drawing, count: int) -> dict[str, list[str]]:
    """Texts to search for, by kind."""
    rng = random.Random(1)
    highest = session.scalar(select(func.max(Listing.number))) or 1
    numbers = rng.sample(range(1, highest + 1), min(count, highest))
    titles = session.scalars(select(Listing.title).where(Listing.number.in_(numbers))).all()
    words = [title.lower().split() for title in titles]
    frequent = [[drawing.words[n] for n in rng.sample(range(50), 2)] for _ in range(count)]
    drawn = [
        [drawing.words[rank] for rank in drawing.ranks(VOCABULARY, rng.randint(1, 3))]
        for _ in range(count)
    ]
    some = [rng.sample(of, min(len(of), rng.randint(1, 4))) for of in words]
    return {
        "words of a title": [" ".join(of) + " " for of in some],
        "whole titles": [" ".join(of) + " " for of in words],
        "drawn words": [" ".join(of) + " " for of in drawn],
        "two of the 50 commonest words": [" ".join(of) + " " for of in frequent],
        "one of the 50 commonest words": [of[0] + " " for of in frequent],
        "unfinished": [" ".join(of)[:-1] for of in some],
        "misspelt": [f"{_misspelt(of[0], rng)} " for of in some],
        "phrase of two": [f'"{" ".join(of[:2])}"' for of in words],
        "with an exclusion": [f"{of[0]} -{of[1]} " for of in words],
    }


def _misspelt(word: str, rng: random.Random) -> str:
    place = rng.randrange(len(word))
    return f"{word[:place]}x{word[place + 1 :]}"


def measure(work: Callable[[str], object], texts: list[str]) -> dict[str, float]:
    """Wall clock and processor time of each text, in milliseconds."""
    walls, processors = [], []
    for text in texts:
        began, used = perf_counter(), process_time()
        work(text)
        walls.append((perf_counter() - began) * 1e3)
        processors.append((process_time() - used) * 1e3)
    return {
        "p50": round(float(np.percentile(walls, 50)), 2),
        "p95": round(float(np.percentile(walls, 95)), 2),
        "max": round(max(walls), 1),
        "processor p50": round(float(np.percentile(processors, 50)), 2),
    }


def main() -> None:
    """Measure each kind of query and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--way", help="only this one, such as `best 10`")
    options = parser.parse_args()
    database = Database(options.database_url)
    with database.read() as session:
        kinds = queries(session, Drawing(0), options.queries)
        some = list(session.scalars(select(Listing.id).limit(200)))

    def resolved(session: Session, text: str) -> ResolvedQuery:
        return resolve(session, parse_query(text), LANGUAGE)

    def best(limit: int, wanted: ListingFilter) -> Callable[[str], object]:
        def work(text: str) -> object:
            with database.read() as session:
                return find_texts(session, resolved(session, text), limit=limit, wanted=wanted)

        return work

    def scores(text: str) -> object:
        with database.read() as session:
            return text_scores(session, resolved(session, text), some)

    def numbers(text: str) -> object:
        with database.read() as session:
            return text_match_numbers(session, resolved(session, text))

    cheap = ListingFilter(price_max=Decimal(5))
    ways: dict[str, Callable[[str], object]] = {
        "best 10": best(10, ListingFilter()),
        "best 1000": best(1000, ListingFilter()),
        "best 10 of the cheap": best(10, cheap),
        "scores of 200": scores,
        "all numbers": numbers,
    }
    for name, texts in kinds.items():
        for way, work in ways.items():
            if options.way not in {None, way}:
                continue
            work(texts[0])
            print(json.dumps({"queries": name, "way": way} | measure(work, texts)), flush=True)
    database.close()


if __name__ == "__main__":
    main()
