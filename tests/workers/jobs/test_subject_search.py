"""Searches for what a photo shows, wherever in it that is."""

import io
from dataclasses import asdict
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from models.domain.errors import WeightsRefused
from models.domain.job_results.searches import SearchResult
from models.domain.regions import Region
from models.domain.types import JobType
from models.encoders.encoder import FeatureMap
from models.photo_decoding import standardise
from tests.support.payloads import result_as
from tests.support.pictures import picture
from tests.support.workers import WorkerHarness

THING = (32, 48, 112, 144)


def saved(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, "PNG")
    return file.getvalue()


def thing(seed: int) -> Image.Image:
    """A picture without anything white, which the background is."""
    left, upper, right, lower = THING
    return picture(seed, (right - left, lower - upper)).point(lambda value: value // 2)


def cluttered(seed: int) -> bytes:
    """That picture, small on a white photo."""
    photo = Image.new("RGB", (320, 320), "white")
    photo.paste(thing(seed), THING)
    return saved(photo)


def search(worker: WorkerHarness, photo: bytes, region: object = None) -> SearchResult:
    sha256 = worker.runtime.store.put(standardise(photo).data)
    asked: dict[str, Any] = {"positive": [sha256], "limit": 10}
    if region is not None:
        asked["region"] = region
    return result_as(worker.do(JobType.SEARCH, asked), SearchResult)


def listed(worker: WorkerHarness, photo: bytes) -> UUID:
    listing_id, photo_ids = worker.list_photos(photo)
    worker.embed(photo_ids)
    return listing_id


def test_a_small_thing_is_found_and_searched_for(worker: WorkerHarness) -> None:
    listed(worker, saved(thing(1)))
    (plain,) = search(worker, cluttered(1)).results
    found = search(worker, cluttered(1), "auto")
    (row,) = found.results
    assert row.similarity
    assert plain.similarity
    assert row.similarity > plain.similarity + 0.3
    box = found.region
    assert box
    left, upper, right, lower = (edge / 320 for edge in THING)
    assert (box.x, box.y) == pytest.approx((left, upper), abs=0.08)
    assert (box.x + box.w, box.y + box.h) == pytest.approx((right, lower), abs=0.08)
    assert found.took_ms["subject"] >= 0
    # The same as by the box that it tells.
    again = search(worker, cluttered(1), asdict(box))
    assert again.region == box
    assert again.results == found.results


def test_all_of_a_photo_that_its_subject_fills_is_searched_for(worker: WorkerHarness) -> None:
    listed(worker, saved(picture(1)))
    photo = Image.new("RGB", (320, 320), "white")
    photo.paste("navy", (20, 20, 300, 300))
    for filled in (saved(photo), saved(Image.new("RGB", (64, 64), "red"))):
        plain, auto = search(worker, filled), search(worker, filled, "auto")
        assert auto.region is None
        assert [row.listing_id for row in auto.results] == [row.listing_id for row in plain.results]


def test_who_does_not_ask_pays_nothing(worker: WorkerHarness) -> None:
    listed(worker, cluttered(1))
    for region in (None, asdict(Region(0, 0, 0.5, 0.5))):
        found = search(worker, cluttered(1), region)
        assert "subject" not in found.took_ms
    assert worker.encoder.mapped == 0


def test_who_asks_twice_gets_the_same(worker: WorkerHarness) -> None:
    listed(worker, saved(thing(1)))
    first, second = (search(worker, cluttered(1), "auto") for _ in range(2))
    assert (first.region, first.results) == (second.region, second.results)


def test_a_map_that_can_not_be_made_fails_only_who_asked_for_it(
    worker: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Image.Image) -> FeatureMap:
        raise WeightsRefused("It has no feature map that is pooled.")

    listed(worker, saved(thing(1)))
    monkeypatch.setattr(worker.encoder, "feature_map", refuse)
    sha256 = worker.runtime.store.put(standardise(cluttered(1)).data)
    asked = {"positive": [sha256], "region": "auto", "limit": 10}
    assert worker.do(JobType.SEARCH, asked).error_code == WeightsRefused.code
    assert search(worker, cluttered(1)).results
