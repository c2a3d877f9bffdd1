"""How vectors are compared, fitted to a sample of the catalogue, once for each of its sizes."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Final, NamedTuple

import numpy as np

from db.session import Database
from db.vectors.covers import last_photo, vectors_of_photos
from models.recommending.whitening import MAX_SAMPLE, MIN_SAMPLE, Whitening

_SEED: Final = 0


class _Fitted(NamedTuple):
    """The whitening of an encoder's vectors, fitted to a sample of the first `size` photos."""

    encoder_id: int
    size: int
    whitening: Whitening | None


class Whitenings:
    """The whitening of the active encoder's vectors, kept in memory: a megabyte.

    The sample is of the photos up to a power of two, the highest that there is: so all workers have
    the same one. When the catalogue has doubled it is fitted again, in a thread of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._held: _Fitted | None = None
        self._fitter = ThreadPoolExecutor(1, "whitening")
        self._fitting: Future[None] | None = None

    def begin(self, encoder_id: int) -> None:
        """Fit that of an encoder in the background: who asks for it then waits less."""
        self._fitter.submit(self.of, encoder_id)

    def of(self, encoder_id: int) -> Whitening | None:
        """The whitening of an encoder's vectors; None where there are too few.

        Takes seconds the first time: not to be called within a transaction.
        """
        with self._lock:
            size = self._size(encoder_id)
            held = self._held
            if held is None or held.encoder_id != encoder_id:
                held = self._held = self._fitted(encoder_id, size)
            elif held.size != size and (self._fitting is None or self._fitting.done()):
                self._fitting = self._fitter.submit(self._fit_again, encoder_id, size)
            return held.whitening

    def close(self) -> None:
        """Wait for what is being fitted."""
        self._fitter.shutdown(cancel_futures=True)

    def _fit_again(self, encoder_id: int, size: int) -> None:
        fitted = self._fitted(encoder_id, size)
        with self._lock:
            if self._held is not None and self._held.encoder_id == encoder_id:
                self._held = fitted

    def _size(self, encoder_id: int) -> int:
        with self._database.read() as session:
            highest = last_photo(session, encoder_id)
        return 0 if highest < MIN_SAMPLE else 1 << (highest.bit_length() - 1)

    def _fitted(self, encoder_id: int, size: int) -> _Fitted:
        if not size:
            return _Fitted(encoder_id, size, None)
        photos = np.arange(1, size + 1)
        if size > MAX_SAMPLE:
            photos = np.sort(np.random.default_rng(_SEED).choice(photos, MAX_SAMPLE, replace=False))
        with self._database.read() as session:
            vectors = vectors_of_photos(session, encoder_id, photos.tolist())
        return _Fitted(encoder_id, size, Whitening.fit(vectors))
