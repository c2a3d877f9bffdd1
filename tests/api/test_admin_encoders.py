"""What admins see of the encoders."""

from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import register_encoder, set_matching
from models.domain.types import Scope
from models.matching.labels import Calibration, Measured, Precision, SameItem
from tests.support.answering import Answerer
from tests.support.clock import Clock
from tests.support.encoder import ThumbnailEncoder
from tests.support.http import assert_problem, create_listing


def test_only_admins_see_encoders(client: TestClient, key: Callable[..., dict[str, str]]) -> None:
    assert_problem(client.get("/v1/admin/encoders"), 401, "unauthenticated")
    searcher = key(Scope.SEARCH)
    assert_problem(client.get("/v1/admin/encoders", headers=searcher), 403, "forbidden")
    assert client.get("/v1/admin/encoders", headers=key(Scope.ADMIN)).json() == []


def test_each_is_listed_with_what_it_has_embedded(
    client: TestClient,
    key: Callable[..., dict[str, str]],
    database: Database,
    store: PhotoStore,
    tmp_path: Path,
    clock: Clock,
) -> None:
    create_listing(client)  # with two photos
    answerer = Answerer(database, store, tmp_path / "generations")
    answerer.embed_listings()
    other = ThumbnailEncoder("other").spec
    with database.write() as session:
        register_encoder(session, other, clock())
    first, second = client.get("/v1/admin/encoders", headers=key(Scope.ADMIN)).json()
    assert (first["label"], first["status"]) == (answerer.encoder.spec.label, "active")
    assert (first["embedded"], first["missing"], first["generation_id"]) == (2, 0, None)
    assert (second["fingerprint"], second["status"]) == (other.fingerprint, "registered")
    assert (second["embedded"], second["missing"], second["activated_at"]) == (0, 2, None)


def test_match_labels_are_shown_with_their_precision(
    client: TestClient, key: Callable[..., dict[str, str]], database: Database, clock: Clock
) -> None:
    calibration = Calibration(
        photos=1_000,
        listings=500,
        same_item=SameItem(similarity=0.85, ratio=0.5),
        same_item_alone=None,
        very_similar=0.7,
        very_similar_alone=0.8,
        related=0.6,
        stranger=0.6,
        precision=Precision(same_item=Measured(value=0.98, low=0.96, high=0.99, count=400)),
    )
    with database.write() as session:
        encoder_id = register_encoder(session, ThumbnailEncoder().spec, clock())
        register_encoder(session, ThumbnailEncoder("other").spec, clock())
        set_matching(session, encoder_id, calibration.to_json())
    first, second = client.get("/v1/admin/encoders", headers=key(Scope.ADMIN)).json()
    assert first["matching"] == calibration.to_json()
    assert second["matching"] is None
