"""Searches by words and look, filtered and by pages, give the same on Milvus as on FAISS."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.catalogue.listings import ListingData
from db.tables import Encoder as EncoderRow
from models.domain.job_results.searches import FoundListing, SearchResult
from models.domain.types import JobType
from models.photo_decoding import standardise
from tests.support.payloads import result_as
from tests.support.pictures import jpeg
from tests.support.workers import WorkerHarness
from workers.jobs import search
from workers.search import blocks
from workers.search.active_engine import ActiveEngine, SearchEngine
from workers.search.blocks import Asked
from workers.search.retrieval import Thresholds

pytest.importorskip("pymilvus", reason="needs the extra milvus")

from tests.support.milvus import milvus_server
from workers.indexes.shared_index import open_shared

LISTINGS = 24
# Engines add up the same products in another order.
CLOSE = 1e-4
Sides = tuple[WorkerHarness, WorkerHarness]

SEARCH = st.fixed_dictionaries(
    {
        "seed": st.none() | st.integers(0, LISTINGS - 1),
        "text": st.sampled_from(["red", "kettle", "red kettle", "kettle -blue", "bowl", "re"]),
        "limit": st.integers(2, 7),
        "filter": st.fixed_dictionaries(
            {},
            optional={
                "price_max": st.sampled_from(["3", "9", "20"]),
                "category": st.sampled_from(["Home", "Home / Bowls"]),
                "attributes": st.sampled_from(
                    [
                        [{"name": "colour", "any_of": ["Red", "green"]}],
                        [{"name": "size", "at_least": 3}],
                    ]
                ),
            },
        ),
        "facets": st.just([{"name": "category"}, {"name": "attributes.colour"}]),
    },
    optional={
        "rank": st.sampled_from([{}, {"weights": {"text": 2, "similarity": 0.5}}]),
        "diversity": st.just({"per_seller": 1}),
        "min_similarity": st.sampled_from([0.0, 0.3]),
    },
)


def listing(number: int) -> ListingData:
    colour = ("red", "blue", "green")[number % 3]
    thing = ("kettle", "bowl")[number // 3 % 2]
    return ListingData(
        UUID(int=number + 1),
        f"{colour.title()} {thing} {number}",
        category=f"Home / {thing.title()}s",
        price=Decimal(number),
        currency="GBP",
        seller=("ann", "bob", None)[number // 5 % 3],
        attributes={"colour": colour, "size": number % 7},
    )


def stock(worker: WorkerHarness) -> None:
    """Listings of one or two photos each; some show a photo of another one."""
    for number in range(LISTINGS):
        seeds = {number, number // 2 * 2 if number % 5 == 0 else number + 100}
        worker.list_pictures_of(listing(number), *sorted(seeds))


@pytest.fixture
def sides(
    worker: WorkerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Sides]:
    """A worker with an index of its own, and one with the server's, on the same rows."""
    # So few listings are to need several blocks, and to pass filters in every way.
    monkeypatch.setattr(search, "Asked", partial(Asked, size=5))
    monkeypatch.setattr(blocks, "Thresholds", partial(Thresholds, exact_up_to=2, select_up_to=9))
    stock(worker)
    row, encoder = worker.engine.current().encoder_id, worker.encoder
    with milvus_server(tmp_path / "milvus") as url:
        index = open_shared(url, encoder.spec, worker.database, row)
        engine = SearchEngine(row, encoder, index, batch=1)
        with closing(index):
            runtime = replace(worker.runtime, engine=ActiveEngine(worker.database, refuse, engine))
            yield worker, replace(worker, runtime=runtime)


def refuse(row: EncoderRow) -> SearchEngine:
    pytest.fail(f"encoder {row.id} became active")


def pages(worker: WorkerHarness, asked: dict[str, Any]) -> list[SearchResult]:
    """All pages of a search, one after the other."""
    seed = asked["seed"]
    payload = {name: value for name, value in asked.items() if name != "seed"}
    if seed is not None:
        payload["positive"] = [worker.runtime.store.put(standardise(jpeg(seed)).data)]
    found = [result_as(worker.do(JobType.SEARCH, payload), SearchResult)]
    while (cursor := found[-1].next_cursor) is not None:
        again = {**payload, "cursor": cursor}
        found.append(result_as(worker.do(JobType.SEARCH, again), SearchResult))
    return found


def numbers(row: FoundListing) -> list[float]:
    """All that may differ by rounding."""
    parts = (row.reasons or {}).items()
    return [row.similarity or 0, row.score or 0, *(value for _, value in sorted(parts))]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=SEARCH)
def test_the_same_is_found(sides: Sides, asked: dict[str, Any]) -> None:
    own, shared = (pages(worker, asked) for worker in sides)
    assert len(own) == len(shared)
    for page, other in zip(own, shared, strict=True):
        assert [row.listing_id for row in page.results] == [row.listing_id for row in other.results]
        assert (page.facets, page.exact) == (other.facets, other.exact)
        for row, its in zip(page.results, other.results, strict=True):
            assert row.photo == its.photo
            assert numbers(row) == pytest.approx(numbers(its), abs=CLOSE)
    ids = [row.listing_id for page in own for row in page.results]
    assert len(set(ids)) == len(ids)
