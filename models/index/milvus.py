"""The index on a Milvus server: one collection an encoder, shared by all who search it."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient, MilvusException

from models.domain.errors import InvalidInput, SetupError, Unavailable
from models.domain.types import EncoderSpec, Match
from models.index.milvus_schema import (
    FLAT,
    NO_VECTOR,
    collection_of,
    ensure_collections,
    position_of,
)
from models.index.photo_index import DEFAULT_MATCHES
from models.index.unit_vectors import as_query, as_rows, cosines
from models.vectors import as_stored

SCHEMES: Final = ("http", "https", "tcp")
CONNECT_TIMEOUT_S: Final = 5.0
# A batch on a busy server takes seconds; a server that takes longer counts as unreachable.
CALL_TIMEOUT_S: Final = 60.0

MAX_MATCHES: Final = 16_384
"""Milvus gives no more for one query, nor rows for one look-up."""

# A thousand vectors of 2,048 numbers are 8 MB: well within the 64 MB that a server takes at once.
ROWS_PER_CALL: Final = 1_000
IDS_PER_CALL: Final = 10_000

# The least size of a graph search's candidate list: fewer miss neighbours.
MIN_EF: Final = 256

# Milvus may sum products in another order.
SCORE_TOLERANCE: Final = 1e-5

_POSITION_ID: Final = 0

T = TypeVar("T")


class MilvusIndex:
    """Vectors of `dimension` numbers and unit length, one a photo, searched by cosine.

    Its scores are Milvus' own: inner products of float32, as exact as FAISS'. Every call sees all
    earlier writes of every client (consistency level Strong). For one thread. All methods raise
    Unavailable when the server can't be reached or fails.
    """

    def __init__(
        self, client: MilvusClient, server: str, collection: str, dimension: int, index_type: str
    ) -> None:
        self._client = client
        self._server = server
        self._collection = collection
        self._dimension = dimension
        self._index_type = index_type

    @property
    def rows(self) -> int:
        """Photos that can be found."""
        found = self._call(
            self._client.query, self._collection, filter="", output_fields=["count(*)"]
        )
        return int(found[0]["count(*)"])

    @property
    def exact(self) -> bool:
        """Whether every search finds the true best; a graph may miss some."""
        return self._index_type == FLAT["index_type"]

    @property
    def position(self) -> int | None:
        """The last change number that the collection reflects; None before it was first filled."""
        found = self._call(
            self._client.get,
            position_of(self._collection),
            ids=[_POSITION_ID],
            output_fields=["change"],
        )
        return int(found[0]["change"]) if found else None

    def record(self, position: int) -> None:
        """Note that the collection reflects every change up to this number.

        Written after the rows it covers: a crash in between only causes a replay.
        """
        row = {"id": _POSITION_ID, "vector": NO_VECTOR, "change": position}
        self._call(self._client.upsert, position_of(self._collection), data=[row])

    def upsert(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Make photos `ids` (n,) findable by `vectors` (n, dimension); doing so twice is fine.

        Raises InvalidInput for unusable vectors, having changed nothing.
        """
        vectors = as_stored(as_rows(ids, vectors, self._dimension))
        for start in range(0, len(ids), ROWS_PER_CALL):
            batch = slice(start, start + ROWS_PER_CALL)
            rows = [
                {"id": photo_id, "vector": vector}
                for photo_id, vector in zip(ids[batch].tolist(), vectors[batch], strict=True)
            ]
            self._call(self._client.upsert, self._collection, data=rows)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Make photos `ids` (n,) unfindable; those that are not there are ignored."""
        for start in range(0, len(ids), IDS_PER_CALL):
            batch = ids[start : start + IDS_PER_CALL].tolist()
            self._call(self._client.delete, self._collection, ids=batch)

    def flush(self) -> None:
        """Flush written rows, so that the server indexes them now: after a load."""
        self._call(self._client.flush, self._collection)

    def ids(self) -> NDArray[np.int64]:
        """The photos that can be found, (rows,) ascending."""
        found = [np.empty(0, np.int64)]
        with _failures_of(self._server):
            pages = self._client.query_iterator(
                self._collection,
                batch_size=IDS_PER_CALL,
                output_fields=["id"],
                timeout=CALL_TIMEOUT_S,
            )
            while page := pages.next():
                found.append(_ids_of(page))
            pages.close()
        return np.unique(np.concatenate(found))

    def matches(
        self, query: NDArray[np.float32], *, expect: int = DEFAULT_MATCHES
    ) -> Iterator[Match]:
        """The `MAX_MATCHES` best photos, best first, equal ones by id; each looked for when asked.

        `expect` is how many the caller likely takes: more cost another search.
        Raises InvalidInput if `query` is not a finite vector of this dimension and unit length.
        """
        return self._ranked(as_query(query, self._dimension), expect, wanted="")

    def only(
        self,
        query: NDArray[np.float32],
        photo_ids: NDArray[np.int64],
        *,
        expect: int = DEFAULT_MATCHES,
    ) -> Iterator[Match]:
        """As `matches`, of these photos (n,) alone."""
        query = as_query(query, self._dimension)
        if not len(photo_ids):
            return iter(())
        # Formatted into the expression: Lite does not support expression templates.
        return self._ranked(query, expect, wanted=f"id in {photo_ids.tolist()}")

    def among(self, query: NDArray[np.float32], photo_ids: NDArray[np.int64]) -> list[Match]:
        """Those of these photos (n,) that are there, best first, equal ones by id: exact."""
        query = as_query(query, self._dimension)
        return list(_in_order(*self._scored(query, photo_ids)))

    def vectors_of(
        self, photo_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of these photos (n,), each once, that are there, and their vectors."""
        ids, vectors = [np.empty(0, np.int64)], [np.empty((0, self._dimension), np.float32)]
        for found, rows in self._fetched(photo_ids):
            ids.append(found)
            vectors.append(rows)
        return np.concatenate(ids), np.concatenate(vectors)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _fetched(
        self, photo_ids: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        wanted = np.unique(photo_ids)
        for start in range(0, len(wanted), ROWS_PER_CALL):
            rows = self._call(
                self._client.get,
                self._collection,
                ids=wanted[start : start + ROWS_PER_CALL].tolist(),
                output_fields=["id", "vector"],
            )
            if rows:
                yield _ids_of(rows), np.array([row["vector"] for row in rows], np.float32)

    def _scored(
        self, query: NDArray[np.float32], photo_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the photos that are there, and their exact cosines."""
        ids, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for found, vectors in self._fetched(photo_ids):
            ids.append(found)
            scores.append(cosines(vectors, query))
        return np.concatenate(ids), np.concatenate(scores)

    def _ranked(self, query: NDArray[np.float32], expect: int, wanted: str) -> Iterator[Match]:
        given: set[int] = set()
        # One more than wanted, because the last may be tied with rows beyond it.
        limit = expect + 1
        while True:
            limit = min(limit, MAX_MATCHES)
            found, last = self._best(query, limit, wanted)
            everything = len(found) < limit or limit == MAX_MATCHES
            ids, scores = self._scored(query, found)
            above = scores > (-np.inf if everything else last + SCORE_TOLERANCE)
            for match in _in_order(ids[above], scores[above]):
                if match.photo_id not in given:
                    given.add(match.photo_id)
                    yield match
            if everything:
                return
            limit *= 2

    def _best(
        self, query: NDArray[np.float32], limit: int, wanted: str
    ) -> tuple[NDArray[np.int64], float]:
        """The best photos, and what Milvus scores the last of them."""
        params = {} if self.exact else {"ef": max(limit, MIN_EF)}
        hits = self._call(
            self._client.search,
            self._collection,
            data=[query],
            filter=wanted,
            limit=limit,
            # Without an explicit field, Lite returns all of them, vectors included.
            output_fields=["id"],
            search_params={"metric_type": "IP", "params": params},
        )[0]
        return _ids_of(hits), float(hits[-1]["distance"]) if hits else -np.inf

    def _call(self, method: Callable[..., T], *args: object, **kwargs: object) -> T:
        with _failures_of(self._server):
            return method(*args, timeout=CALL_TIMEOUT_S, **kwargs)


def open_milvus(url: str, encoder: EncoderSpec) -> MilvusIndex:
    """The index of one encoder's vectors on the Milvus server at `url`, made if it is not there.

    `url` is `http[s]://[user:password@]host[:port][/database]`, or a path that ends in `.db`, where
    Milvus Lite then runs inside this process: only one may use it at a time. Of several processes
    only one may make a collection at a time.
    Raises SetupError for another kind of URL, InvalidInput for vectors of another dimension, and
    Unavailable when the server can't be reached or fails.
    """
    server = _server_name(url)
    if _is_path(url):
        Path(url).parent.mkdir(parents=True, exist_ok=True)
    # pymilvus logs each error that it raises, with a traceback.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    collection = collection_of(encoder)
    with _failures_of(server):
        client = MilvusClient(url, timeout=CONNECT_TIMEOUT_S)
        ensure_collections(client, collection, encoder.dimension)
        # Lite does not keep collections loaded across restarts.
        for name in (collection, position_of(collection)):
            client.load_collection(name, timeout=CALL_TIMEOUT_S)
        fields = client.describe_collection(collection)["fields"]
        index_type = client.describe_index(collection, "vector")["index_type"]
    dimension = next(field["params"]["dim"] for field in fields if field["name"] == "vector")
    if dimension != encoder.dimension:
        raise InvalidInput(
            f"Milvus' collection {collection} holds vectors of {dimension} numbers,"
            f" {encoder.label} makes {encoder.dimension}."
        )
    return MilvusIndex(client, server, collection, dimension, index_type)


def _is_path(url: str) -> bool:
    return "://" not in url and url.endswith(".db")


def _server_name(url: str) -> str:
    """The server's name for messages, without credentials. Raises SetupError."""
    if _is_path(url):
        return url
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise SetupError(
            "The index' URL has to be a Milvus server's, such as http://localhost:19530,"
            " or a path that ends in .db."
        )
    return parts.netloc.rpartition("@")[2]


@contextmanager
def _failures_of(server: str) -> Generator[None]:
    try:
        yield
    except MilvusException as error:
        reason = error.message.strip().rstrip(".")
        raise Unavailable(f"Milvus at {server} can't be used now: {reason}.") from error


def _ids_of(rows: Iterable[Mapping[str, object]]) -> NDArray[np.int64]:
    return np.array([row["id"] for row in rows], np.int64)


def _in_order(ids: NDArray[np.int64], scores: NDArray[np.float32]) -> Iterator[Match]:
    """The matches, best first, equal ones by id."""
    # Rounding can carry the product of two unit vectors just past 1.
    similarities = np.clip(scores, -1.0, 1.0)
    for place in np.lexsort((ids, -similarities)).tolist():
        yield Match(int(ids[place]), float(similarities[place]))
