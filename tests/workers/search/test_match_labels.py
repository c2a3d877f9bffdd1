"""Whether a query is a stranger is asked of what an adapted encoder has not learned."""

from typing import NamedTuple

import numpy as np
import pytest

from db.vectors.embeddings import add_embeddings, vector_of_photo
from db.vectors.encoders import matching_of, register_encoder, set_matching
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.adaptation.adapted_package import write_adapted_package
from models.adaptation.learn import learn
from models.domain.errors import NotFound
from models.domain.types import Match, MatchLabel
from models.matching.labels import Calibration, SameItem
from tests.support.adaptation import open_adapted
from tests.support.pictures import picture
from tests.support.workers import WorkerHarness
from workers.indexes.live import LiveIndex
from workers.search.active_engine import SearchEngine
from workers.search.match_labels import Labeller
from workers.search.query import Query, QueryPhoto
from workers.search.results import Found

ONE_PHOTO = Query([[QueryPhoto("a" * 64)]], [], set())


class Adapted(NamedTuple):
    encoder: AdaptedEncoder
    encoder_id: int
    photo_id: int
    found: Found


@pytest.fixture
def adapted(worker: WorkerHarness) -> Adapted:
    """An encoder that was adapted to drawn pictures, and its vector of one that is listed."""
    vectors = worker.encoder.embed([picture(seed) for seed in range(60)])
    adaptation = learn(vectors, np.arange(60) % 4)
    package = write_adapted_package(
        worker.runtime.config.models_dir,
        worker.encoder.spec,
        adaptation.to_bytes(),
        adaptation.dimension,
        {},
    )
    encoder = open_adapted(package, worker.encoder)
    listing_id = worker.list_pictures(3)
    with worker.database.write() as session:
        encoder_id = register_encoder(session, encoder.spec, worker.now())
        add_embeddings(session, encoder_id, {1: encoder.embed([picture(3)])[0]})
        calibration = Calibration(
            photos=60,
            listings=60,
            same_item=SameItem(similarity=0.0, ratio=2),
            same_item_alone=-1,
            very_similar=0,
            very_similar_alone=-1,
            related=-1,
            stranger=0.8,
        )
        set_matching(session, encoder_id, calibration.to_json())
    return Adapted(encoder, encoder_id, 1, Found(listing_id, 1, 0.9))


@pytest.mark.parametrize(
    ("seed", "label"), [(3, MatchLabel.SAME_ITEM), (77, MatchLabel.NONE)], ids=["known", "stranger"]
)
def test_the_nearest_photo_has_to_look_like_the_query(
    worker: WorkerHarness, adapted: Adapted, seed: int, label: MatchLabel
) -> None:
    index = LiveIndex(adapted.encoder.spec, adapted.encoder_id, worker.runtime.config.models_dir)
    engine = SearchEngine(adapted.encoder_id, adapted.encoder, index, batch=1)
    found = [adapted.found]
    nearest = [Match(adapted.photo_id, 0.9)]
    with worker.database.read() as session:
        given = Labeller(session, engine).labelled(
            ONE_PHOTO, adapted.encoder.embed([picture(seed)]), found, nearest
        )
    assert [one.match for one in given] == [label]


def test_what_is_stored_with_an_encoder_is_read_back(worker: WorkerHarness) -> None:
    with worker.database.read() as session:
        assert matching_of(session, worker.encoder_id) is None
        assert vector_of_photo(session, worker.encoder_id, 1) is None
    with worker.database.write() as session:
        set_matching(session, worker.encoder_id, {"format": 1, "related": 0.5})
    with worker.database.read() as session:
        assert matching_of(session, worker.encoder_id) == {"format": 1, "related": 0.5}
        assert matching_of(session, 999) is None
        with pytest.raises(NotFound):
            set_matching(session, 999, {})
