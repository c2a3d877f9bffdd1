"""Queries that are answered together: searches, recommendations, embeddings and predictions.

All answers come from one engine. What the database holds is read in one transaction before photos
are embedded, and in one after that. What keeps one query from being answered keeps no other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from db.catalogue.listings import views_of
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from models.columns.columns import Columns
from models.domain.job_payloads import (
    EmbeddingPayload,
    JobPayload,
    PredictionPayload,
    RecommendationPayload,
    SearchPayload,
)
from models.domain.job_results.base import JobResult
from models.domain.job_results.embeddings import EmbeddingResult
from models.domain.job_results.recommendations import RecommendationResult
from models.domain.job_results.searches import SearchResult
from models.domain.regions import Region
from models.head import find_head
from models.recommending.whitening import Whitening
from models.text.languages import TextLanguage
from workers.indexes.live_columns import LiveColumns
from workers.jobs.embedding import shown_vector
from workers.jobs.photo_reports import photo_reports
from workers.jobs.prediction import Predicted, likely_duplicates, predict
from workers.jobs.search import (
    SearchPage,
    SearchTools,
    find_listings,
    needs_columns,
    uses_columns,
)
from workers.recommending.page import (
    RecommendedPage,
    RecommendTools,
    needs_index,
    recommend_page,
)
from workers.recommending.results import RecommendedDetails
from workers.recommending.whitenings import Whitenings
from workers.search.active_engine import SearchEngine
from workers.search.match_labels import Labeller
from workers.search.query import Query, listings_named, query_of
from workers.search.query_encoder import QueryEncoder
from workers.search.results import Details, surest
from workers.search.stopwatch import Stopwatch

Answer = JobResult | Exception
"""The result of a query, or what kept it from being answered."""


@dataclass(frozen=True, slots=True)
class QueryTools:
    """What answering needs beside an engine. `models_dir` has the category heads.

    `columns` say what passes filters once they have been read; facets are counted by them alone.
    `language` is that of the listings' words, `whitenings` are how recommendations compare vectors.
    """

    database: Database
    store: PhotoStore
    models_dir: Path
    clock: Callable[[], datetime]
    columns: LiveColumns
    whitenings: Whitenings
    language: TextLanguage = "english"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A claimed query, and the examples that it is about."""

    claim: Claim
    payload: JobPayload
    query: Query

    @property
    def compares_vectors(self) -> bool:
        """Whether it is a recommendation that vectors are compared for."""
        return isinstance(self.payload, RecommendationPayload) and needs_index(self.payload)

    @property
    def needs_no_index(self) -> bool:
        """Whether it is of words alone, or for anybody."""
        if isinstance(self.payload, RecommendationPayload):
            return not needs_index(self.payload)
        return isinstance(self.payload, SearchPayload) and not self.payload.positive


class Answered(NamedTuple):
    """The answer of each query, and how many photos had to be embedded."""

    answers: list[tuple[Claim, Answer]]
    embedded: int


def answer_queries(claims: Sequence[Claim], engine: SearchEngine, tools: QueryTools) -> Answered:
    """Answer queries together. Raises what keeps all of them from being answered."""
    return _Batch(claims, engine, tools).answered()


class _Batch:
    """Queries, and what came of them so far."""

    def __init__(self, claims: Sequence[Claim], engine: SearchEngine, tools: QueryTools) -> None:
        self._claims = claims
        self._engine = engine
        self._index = engine.index
        self._indexing = engine.indexing
        self._tools = tools
        self._encoder = QueryEncoder(tools.store, engine)
        self._begun = tools.clock()
        self._watch = Stopwatch()
        self._answers: dict[UUID, Answer] = {}
        self._predicted: dict[UUID, Predicted] = {}
        self._regions: dict[UUID, Region | None] = {}
        self._recommended: dict[UUID, RecommendedPage] = {}
        self._whitening: Whitening | None = None

    def answered(self) -> Answered:
        """Answer them."""
        with self._tools.database.read() as session:
            asked = self._asked(session)
            photos = [photo for one in asked for photo in one.query.photos]
            self._encoder.look_up(session, photos)
        embedded = self._encoder.embed(photos, self._watch)
        self._give_vectors(asked)
        if any(needs_columns(one.payload) for one in asked):
            # Not within a transaction, nor while others wait for the index.
            self._tools.columns.wait()
        if any(one.compares_vectors for one in asked):
            self._whitening = self._tools.whitenings.of(self._engine.encoder_id)
        with self._tools.database.read() as session:
            looking = [one for one in asked if not one.needs_no_index]
            found: dict[UUID, SearchPage] = {}
            generation: int | None = None
            if looking:
                with self._indexing:
                    self._index.sync(session)
                    columns = self._columns(session, looking)
                    self._watch.lap("sync")
                    found = self._found(session, looking, columns)
                    generation = self._index.generation_id
            others = [one for one in asked if one.needs_no_index]
            found |= self._found(session, others, self._columns(session, others))
            self._watch.lap("search")
            if found:
                listings = chain.from_iterable(page.listings for page in found.values())
                self._show(found, Details.of(session, listings), generation)
            self._show_recommended(session, generation)
        self._complete_predictions(asked)
        answers = [(claim, self._answers[claim.job_id]) for claim in self._claims]
        return Answered(answers, embedded)

    def _asked(self, session: Session) -> list[_Asked]:
        """Those that can be asked; why the others can't is their answer."""
        parsed: list[tuple[Claim, JobPayload]] = []
        for claim in self._claims:
            with self._answering(claim):
                parsed.append((claim, claim.payload))
        named = set().union(*(listings_named(payload) for _, payload in parsed))
        views = views_of(session, named) if named else {}
        photos_of = {listing_id: view.photos for listing_id, view in views.items()}
        asked: list[_Asked] = []
        for claim, payload in parsed:
            with self._answering(claim):
                asked.append(_Asked(claim, payload, query_of(payload, photos_of)))
        return asked

    def _columns(self, session: Session, asked: Sequence[_Asked]) -> Columns | None:
        """The columns in step with the session, if there are some and a search has use for them."""
        if not any(uses_columns(one.payload) for one in asked):
            return None
        return self._tools.columns.sync(session)

    def _found(
        self, session: Session, asked: Sequence[_Asked], columns: Columns | None
    ) -> dict[UUID, SearchPage]:
        """The pages of those that are searches, by job; predictions are made."""
        found: dict[UUID, SearchPage] = {}
        tools = SearchTools(
            session,
            self._encoder,
            self._engine.encoder_id,
            self._index,
            columns,
            self._tools.language,
            self._watch,
        )
        labeller = Labeller(session, self._engine)
        for one in asked:
            job_id = one.claim.job_id
            with self._answering(one.claim, session):
                if isinstance(one.payload, SearchPayload):
                    self._regions[job_id] = self._encoder.region_of(one.query)
                    page = find_listings(one.claim, one.payload, one.query, tools)
                    found[job_id] = self._labelled(labeller, one.query, page)
                elif isinstance(one.payload, RecommendationPayload):
                    page_tools = self._recommend_tools(session, one, columns)
                    self._recommended[job_id] = recommend_page(one.claim, one.payload, page_tools)
                elif isinstance(one.payload, PredictionPayload):
                    self._predicted[job_id] = predict(
                        one.payload,
                        one.query,
                        session=session,
                        encoder=self._encoder,
                        index=self._index,
                        head=find_head(self._tools.models_dir, self._encoder.spec),
                        watch=self._watch,
                    )
        return found

    def _labelled(self, labeller: Labeller, query: Query, page: SearchPage) -> SearchPage:
        if not page.by_look:
            return page
        vectors = self._encoder.queries_of(query)
        return replace(
            page, listings=labeller.labelled(query, vectors, page.listings, page.nearest)
        )

    def _complete_predictions(self, asked: Sequence[_Asked]) -> None:
        """Complete the predictions by what photos have to be read for."""
        for one in asked:
            predicted = self._predicted.get(one.claim.job_id)
            if predicted is None:
                continue
            with self._answering(one.claim):
                hashes = [photo.sha256 for photo in one.query.photos]
                duplicates = likely_duplicates(
                    self._tools.database, self._tools.store, hashes, predicted.neighbours
                )
                photos = photo_reports(self._tools.store, self._encoder.encoder, hashes)
                self._watch.lap("predict")
                took_ms = self._took_ms(one.claim)
                self._answers[one.claim.job_id] = predicted.result.model_copy(
                    update={"duplicates": duplicates, "photos": photos, "took_ms": took_ms}
                )

    def _give_vectors(self, asked: Sequence[_Asked]) -> None:
        spec = self._encoder.spec
        for one in asked:
            if not isinstance(one.payload, EmbeddingPayload):
                continue
            with self._answering(one.claim):
                (vector,) = self._encoder.vectors_of(one.query.photos)
                self._answers[one.claim.job_id] = EmbeddingResult(
                    encoder=spec.label,
                    fingerprint=spec.fingerprint,
                    dimension=spec.dimension,
                    embedding=shown_vector(vector),
                    took_ms=self._took_ms(one.claim),
                )

    def _show(
        self, found: Mapping[UUID, SearchPage], details: Details, generation: int | None
    ) -> None:
        searches = [claim for claim in self._claims if claim.job_id in found]
        shown = {claim.job_id: details.shown(found[claim.job_id].listings) for claim in searches}
        self._watch.lap("rank")
        for claim in searches:
            page = found[claim.job_id]
            self._answers[claim.job_id] = SearchResult(
                generation=generation if page.by_look else None,
                encoder=self._encoder.spec.label if page.by_look else None,
                exact=page.exact,
                took_ms=self._took_ms(claim),
                results=shown[claim.job_id],
                region=self._regions[claim.job_id],
                match=surest(shown[claim.job_id]),
                next_cursor=page.cursor,
                facets=page.facets,
                corrected=page.corrected,
                left_out=page.left_out,
                nothing_indexed=page.nothing_indexed,
            )

    def _recommend_tools(
        self, session: Session, one: _Asked, columns: Columns | None
    ) -> RecommendTools:
        return RecommendTools(
            session,
            self._encoder.spec,
            self._engine.encoder_id,
            None if one.needs_no_index else self._index.index,
            columns,
            self._whitening,
            self._watch,
        )

    def _show_recommended(self, session: Session, generation: int | None) -> None:
        if not self._recommended:
            return
        details = RecommendedDetails.of(session, self._recommended.values())
        for claim in self._claims:
            page = self._recommended.get(claim.job_id)
            if page is None:
                continue
            self._answers[claim.job_id] = RecommendationResult(
                generation=generation if page.by_look else None,
                encoder=self._encoder.spec.label if page.by_look else None,
                took_ms=self._took_ms(claim),
                results=details.shown(page.listings),
                next_cursor=page.cursor,
            )

    def _took_ms(self, claim: Claim) -> dict[str, float]:
        return self._watch.took_ms((self._begun - claim.created_at).total_seconds() * 1e3)

    @contextmanager
    def _answering(self, claim: Claim, session: Session | None = None) -> Iterator[None]:
        """What is raised within is the answer to this one query."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whoever records the answer, logs it
            self._answers[claim.job_id] = error
            if session is not None:
                # PostgreSQL does nothing more in a transaction in which a statement has failed.
                session.rollback()
