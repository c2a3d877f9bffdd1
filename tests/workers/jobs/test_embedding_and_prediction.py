"""What workers tell of a photo: its vector, what it likely shows, what it may cost."""

import io
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import update

from db.catalogue.listings import ListingData, delete_listing, upsert_listings
from db.tables import Job, Photo
from db.vectors.embeddings import vectors_of_hashes
from models.domain.errors import InvalidPhoto, NotFound, NothingIndexed
from models.domain.searches.attributes import Attributes
from models.domain.types import JobType
from models.head import CategoryHead, head_path
from models.near_duplicates import LOOKALIKES
from models.photo_decoding import decode, standardise
from tests.support.pictures import grey, jpeg, picture
from tests.support.workers import WorkerHarness
from workers.jobs.photo_reports import MOST_PHOTOS
from workers.jobs.prediction import NEIGHBOURS
from workers.search.query_encoder import NOTHING_TO_COMPARE


def stored_photo(worker: WorkerHarness, photo: bytes) -> str:
    """The SHA-256 of a photo that was sent."""
    return worker.runtime.store.put(standardise(photo).data)


def ask_embedding(worker: WorkerHarness, photo: bytes) -> Job:
    return worker.do(JobType.EMBEDDING, {"photo": stored_photo(worker, photo)})


def ask_prediction(worker: WorkerHarness, asked: bytes | UUID, top: int = 5) -> Job:
    about = (
        {"listing_id": str(asked)}
        if isinstance(asked, UUID)
        else {"photo": stored_photo(worker, asked)}
    )
    return worker.do(JobType.PREDICTION, {**about, "top": top})


def embedding(worker: WorkerHarness, photo: bytes) -> dict[str, Any]:
    """What the job gives."""
    job = ask_embedding(worker, photo)
    assert job.result, (job.error_code, job.error_detail)
    return job.result


def prediction(worker: WorkerHarness, asked: bytes | UUID, top: int = 5) -> dict[str, Any]:
    """What the job gives."""
    job = ask_prediction(worker, asked, top)
    assert job.result, (job.error_code, job.error_detail)
    return job.result


def offered(
    worker: WorkerHarness,
    seed: int,
    category: str | None = None,
    price: int | None = None,
    currency: str = "GBP",
    attributes: Attributes | None = None,
) -> UUID:
    """An embedded listing with a drawn picture, filed, priced and described."""
    listing_id = worker.list_pictures(seed)
    stated = ListingData(
        listing_id,
        f"Thing {seed}",
        category=category,
        price=None if price is None else Decimal(price),
        currency=None if price is None else currency,
        attributes=attributes,
    )
    with worker.database.write() as session:
        upsert_listings(session, [stated], worker.now())
    return listing_id


def saved(photo: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def vector(worker: WorkerHarness, photo: bytes) -> NDArray[np.float32]:
    (row,) = worker.encoder.embed([decode(standardise(photo).data)])
    return np.asarray(row, np.float32)


def give_head(worker: WorkerHarness, **photos: bytes) -> CategoryHead:
    """Keep a head among the models that knows each of its categories by one photo."""
    weight = np.stack([vector(worker, photo) for photo in photos.values()])
    bias = np.zeros(len(photos), np.float32)
    spec = worker.encoder.spec
    head = CategoryHead(tuple(photos), weight, bias, 0.1, spec.fingerprint)
    head.save(head_path(worker.runtime.config.models_dir, spec))
    return head


def test_an_embedding_is_the_encoders_unit_vector(worker: WorkerHarness) -> None:
    result = embedding(worker, jpeg(1))
    spec = worker.encoder.spec
    assert (result["encoder"], result["fingerprint"]) == (spec.label, spec.fingerprint)
    assert result["dimension"] == len(result["embedding"]) == spec.dimension
    assert np.linalg.norm(result["embedding"]) == pytest.approx(1, abs=1e-4)
    assert result["embedding"] == pytest.approx(vector(worker, jpeg(1)).tolist(), abs=1e-6)
    assert {"queue", "decode", "embed", "total"} <= set(result["took_ms"])


def test_of_a_photo_in_the_catalogue_it_is_the_vector_stored_there(worker: WorkerHarness) -> None:
    before = embedding(worker, jpeg(1))
    worker.list_pictures(1)
    calls = worker.encoder.embedded
    after = embedding(worker, jpeg(1))
    assert worker.encoder.embedded == calls
    with worker.database.read() as session:
        sha256 = standardise(jpeg(1)).sha256
        stored = vectors_of_hashes(session, worker.encoder_id, [sha256])[sha256]
    assert stored is not None
    assert after["embedding"] == pytest.approx(stored.tolist(), abs=1e-6)
    # Half precision keeps 11 bits of each number.
    assert before["embedding"] == pytest.approx(after["embedding"], rel=2**-10, abs=1e-6)


def test_a_photo_with_nothing_in_it_has_no_embedding_and_no_prediction(
    worker: WorkerHarness,
) -> None:
    offered(worker, 1, "Bags")
    for job in (ask_embedding(worker, grey()), ask_prediction(worker, grey())):
        assert (job.error_code, job.error_detail) == (InvalidPhoto.code, NOTHING_TO_COMPARE)


def test_without_a_head_the_nearest_listings_vote(worker: WorkerHarness) -> None:
    offered(worker, 1, "Bags / Totes")
    offered(worker, 2, "Bags / Satchels")
    offered(worker, 3, "Toys / Bears")
    offered(worker, 4)
    result = prediction(worker, jpeg(1))
    assert (result["method"], result["calibrated"]) == ("neighbours", False)
    shares = {item["category"]: item["probability"] for item in result["categories"]}
    assert result["categories"][0]["category"] == "Bags / Totes"
    assert shares.keys() == {"Bags / Totes", "Bags / Satchels", "Toys / Bears"}
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert 0.9999 < sum(shares.values()) <= 1
    roots = {item["category"]: item["probability"] for item in result["roots"]}
    assert roots == pytest.approx(
        {
            "Bags": shares["Bags / Totes"] + shares["Bags / Satchels"],
            "Toys": shares["Toys / Bears"],
        },
        abs=1e-5,
    )


def test_top_limits_categories_and_roots(worker: WorkerHarness) -> None:
    for seed in range(4):
        offered(worker, seed, f"Root {seed} / Leaf")
    result = prediction(worker, jpeg(1), top=2)
    assert result["categories"][0]["category"] == "Root 1 / Leaf"
    assert len(result["categories"]) == len(result["roots"]) == 2
    assert sum(item["probability"] for item in result["categories"]) < 1


def test_a_head_is_asked_before_the_neighbours(worker: WorkerHarness) -> None:
    offered(worker, 1, "Bags")
    head = give_head(worker, Lamps=jpeg(1), Rugs=jpeg(2), Toys=jpeg(3))
    result = prediction(worker, jpeg(1))
    assert (result["method"], result["calibrated"]) == ("head", True)
    expected = head.probabilities(vector(worker, jpeg(1))[np.newaxis])[0]
    assert {item["category"]: item["probability"] for item in result["categories"]} == (
        pytest.approx(dict(zip(head.categories, expected.tolist(), strict=True)), abs=1e-3)
    )
    assert result["categories"][0]["category"] == "Lamps"
    assert sum(item["probability"] for item in result["categories"]) <= 1


def test_a_listings_photos_are_classified_together(worker: WorkerHarness) -> None:
    listing_id = worker.list_pictures(1, 2)
    head = give_head(worker, Lamps=jpeg(1), Rugs=jpeg(2), Toys=jpeg(3))
    result = prediction(worker, listing_id)
    each = head.probabilities(np.stack([vector(worker, jpeg(seed)) for seed in (1, 2)]))
    assert {item["category"]: item["probability"] for item in result["categories"]} == (
        pytest.approx(dict(zip(head.categories, each.mean(axis=0).tolist(), strict=True)), abs=1e-3)
    )


def test_the_price_band_is_the_neighbours(worker: WorkerHarness) -> None:
    for seed, price in enumerate((10, 20, 30, 40, 50)):
        offered(worker, seed, price=price)
    offered(worker, 5, price=1, currency="EUR")
    offered(worker, 6)
    assert prediction(worker, jpeg(1))["price_band"] == {
        "currency": "GBP",
        "low": "20.00",
        "median": "30.00",
        "high": "40.00",
        "listings": 5,
        "quantiles": {
            "p10": "14.00",
            "p25": "20.00",
            "p50": "30.00",
            "p75": "40.00",
            "p90": "46.00",
        },
    }


def test_a_price_nobody_means_counts_for_nothing(worker: WorkerHarness) -> None:
    for seed, price in enumerate((10, 20, 30)):
        offered(worker, seed, price=price)
    offered(worker, 4, price=99_999)
    assert prediction(worker, jpeg(1))["price_band"] is None
    offered(worker, 5, price=40)
    band = prediction(worker, jpeg(1))["price_band"]
    assert (band["listings"], band["high"]) == (4, "32.50")


def test_only_the_nearest_count(worker: WorkerHarness) -> None:
    for seed in range(NEIGHBOURS + 3):
        offered(worker, seed, price=10)
    assert prediction(worker, jpeg(1))["price_band"]["listings"] == NEIGHBOURS


def test_what_the_neighbours_agree_on_is_suggested(worker: WorkerHarness) -> None:
    for seed, brand in enumerate(("Acme", "ACME", "acme", "Other")):
        offered(worker, seed, attributes={"brand": brand, "size": seed})
    own = offered(worker, 9, attributes={"brand": "Other", "new": True})
    for asked in (jpeg(0), own):
        (suggested,) = prediction(worker, asked)["attributes"]
        assert suggested.pop("share") > 0.6
        count = 5 if isinstance(asked, bytes) else 4
        assert suggested == {"name": "brand", "value": "Acme", "listings": 3, "of": count}


def framed(thing: str, ground: str) -> bytes:
    """A thing of one colour, in the upper left quarter of a photo of another."""
    photo = Image.new("RGB", (320, 320), ground)
    photo.paste(thing, (40, 40, 120, 120))
    return saved(photo)


def test_a_photos_flaws_and_subjects_are_told(worker: WorkerHarness) -> None:
    offered(worker, 1, "Bags")
    (told,) = prediction(worker, framed("red", "white"))["photos"]
    assert told["photo"] == standardise(framed("red", "white")).sha256
    (subject,) = told["subjects"]
    box = subject["region"]
    assert (box["x"] + box["w"] / 2, box["y"] + box["h"] / 2) == pytest.approx(
        (0.25, 0.25), abs=0.04
    )
    assert subject["share"] == 1
    assert told["short_side"] == 320
    (dark,) = prediction(worker, framed("#300000", "#202020"))["photos"]
    assert "dark" in dark["flaws"]
    assert "dark" not in told["flaws"]


def test_of_a_listing_each_photo_is_looked_at_but_not_any_number(worker: WorkerHarness) -> None:
    offered(worker, 1, "Bags")
    asked = worker.list_pictures(*range(2, 4 + MOST_PHOTOS))
    told = prediction(worker, asked)["photos"]
    expected = [standardise(jpeg(seed)).sha256 for seed in range(2, 2 + MOST_PHOTOS)]
    assert [report["photo"] for report in told] == expected


def test_a_photo_that_is_gone_keeps_no_prediction(worker: WorkerHarness) -> None:
    offered(worker, 1, "Bags")
    asked = worker.list_pictures(2, 3)
    worker.runtime.store.delete(standardise(jpeg(2)).sha256)
    told = prediction(worker, asked)
    assert [report["photo"] for report in told["photos"]] == [standardise(jpeg(3)).sha256]
    assert told["categories"]


def test_duplicates_are_named_with_what_they_are(worker: WorkerHarness) -> None:
    twins = {str(offered(worker, 1, "Bags", 10)), str(offered(worker, 1, "Bags", 12))}
    cropped = picture(1).crop((12, 10, 188, 150))
    other_photo, photo_ids = worker.list_photos(saved(cropped))
    worker.embed(photo_ids)
    for seed in range(2, 2 + LOOKALIKES):
        offered(worker, seed, "Bags", 11)
    told = {
        item["listing_id"]: item["relation"]
        for item in prediction(worker, saved(picture(1), quality=50))["duplicates"]
    }
    assert told == dict.fromkeys(twins, "same_photo") | {str(other_photo): "same_item"}
    assert prediction(worker, jpeg(20))["duplicates"] == []


def test_a_photo_that_was_never_hashed_is_a_duplicate_too(worker: WorkerHarness) -> None:
    twin = offered(worker, 1, "Bags")
    with worker.database.write() as session:
        session.execute(update(Photo).values(phash=None))
    (found,) = prediction(worker, jpeg(1))["duplicates"]
    assert (found["listing_id"], found["relation"]) == (str(twin), "same_photo")
    assert found["category"] == "Bags"


def test_any_photo_of_a_listing_may_be_a_duplicate(worker: WorkerHarness) -> None:
    asked = worker.list_pictures(1, 2)
    twin = offered(worker, 2)
    (found,) = prediction(worker, asked)["duplicates"]
    assert (found["listing_id"], found["relation"]) == (str(twin), "same_photo")


def test_a_listing_is_no_neighbour_and_no_duplicate_of_itself(worker: WorkerHarness) -> None:
    asked, twin = offered(worker, 1, "Bags"), offered(worker, 1, "Toys")
    result = prediction(worker, asked)
    assert [item["category"] for item in result["categories"]] == ["Toys"]
    assert [item["listing_id"] for item in result["duplicates"]] == [str(twin)]


def test_a_deleted_listing_has_no_vote(worker: WorkerHarness) -> None:
    gone = offered(worker, 1, "Bags")
    offered(worker, 2, "Toys")
    assert prediction(worker, jpeg(1))["categories"][0]["category"] == "Bags"
    with worker.database.write() as session:
        delete_listing(session, gone, worker.now())
    result = prediction(worker, jpeg(1))
    assert [item["category"] for item in result["categories"]] == ["Toys"]
    assert result["duplicates"] == []


def test_labels_of_an_earlier_release_are_spelt_as_the_catalogue_is(worker: WorkerHarness) -> None:
    written = {
        "Cafe\u0301\xa0 / A/B": jpeg(1),
        "Caf\u00e9 / A/B": jpeg(2),
        "Home>Rugs": jpeg(3),
    }
    head = give_head(worker, **written)
    result = prediction(worker, jpeg(1))
    expected = head.probabilities(vector(worker, jpeg(1))[np.newaxis])[0].tolist()
    assert {item["category"]: item["probability"] for item in result["categories"]} == (
        pytest.approx(
            {"Caf\u00e9 / A/B": expected[0] + expected[1], "Home / Rugs": expected[2]}, abs=1e-3
        )
    )
    assert {item["category"] for item in result["roots"]} == {"Caf\u00e9", "Home"}


def test_where_nobody_can_vote_only_a_head_can_tell(worker: WorkerHarness) -> None:
    assert ask_prediction(worker, jpeg(1)).error_code == NothingIndexed.code
    alone = offered(worker, 1, "Bags")
    assert ask_prediction(worker, alone).error_code == NothingIndexed.code
    give_head(worker, Lamps=jpeg(1), Rugs=jpeg(2))
    result = prediction(worker, alone)
    assert result["categories"][0]["category"] == "Lamps"
    assert (result["price_band"], result["duplicates"]) == (None, [])


def test_neighbours_without_categories_tell_none(worker: WorkerHarness) -> None:
    offered(worker, 1)
    result = prediction(worker, jpeg(1))
    assert (result["categories"], result["roots"]) == ([], [])


def test_a_listing_deleted_meanwhile_is_not_found(worker: WorkerHarness) -> None:
    gone = offered(worker, 1, "Bags")
    with worker.database.write() as session:
        delete_listing(session, gone, worker.now())
    assert ask_prediction(worker, gone).error_code == NotFound.code


def test_a_prediction_names_its_generation(worker: WorkerHarness) -> None:
    offered(worker, 1, "Bags")
    assert prediction(worker, jpeg(1))["generation"] is None
    assert worker.reindex().result
    result = prediction(worker, jpeg(1))
    assert result["generation"] == worker.index.generation_id is not None
    assert result["encoder"] == worker.encoder.spec.label
    assert {"decode", "embed", "sync", "search", "predict", "total"} <= set(result["took_ms"])


def test_another_encoder_answers_with_its_own_vectors_and_head(worker: WorkerHarness) -> None:
    give_head(worker, Lamps=jpeg(1), Rugs=jpeg(2))
    offered(worker, 1, "Bags")
    other, other_id = worker.add_encoder("other")
    worker.activate(other_id, force=True)
    assert embedding(worker, jpeg(1))["fingerprint"] == other.spec.fingerprint
    # It has neither a head nor a listing that it has seen.
    assert ask_prediction(worker, jpeg(1)).error_code == NothingIndexed.code
