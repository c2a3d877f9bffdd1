"""Embeds a job's photos one by one, to find the one that ends the process or breaks the job."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from sqlalchemy.orm import Session

from db.jobs.attempts import ClaimLost, update_owned
from db.jobs.claiming import Claim
from db.tables import Job
from models.domain.errors import MarketlensError
from models.domain.job_payloads import EmbedPayload, OneByOne
from models.domain.job_results.embeddings import PhotoError
from models.domain.processes import be_nice
from workers.embedding.photos import (
    NICENESS,
    Embedded,
    EmbedTools,
    decoded,
    embedded_by_all,
    store_embedded,
)

log = logging.getLogger(__name__)

ATTEMPTS_ALONE: Final = 2
"""Of a photo that was among those of an attempt that has ended without a word. It may have ended
for another reason, and even the first of these."""

GIVEN_UP: Final = "attempts_exhausted"


class OneByOneEmbedding:
    """The photos of a job, SHA-256 by id, of which an attempt has died or broken before.

    Before a photo is worked on, the job's row says so, in the transaction that stores the vectors
    of the one before. If the process then dies, the next attempt knows whose fault it was: it does
    the others first and that photo last, and gives it up after `ATTEMPTS_ALONE`. So one death more
    finds it, whichever of the photos it is, and others are stored meanwhile. Attempts that died
    with a photo are counted for that photo, and not for the job.
    """

    def __init__(
        self,
        claim: Claim,
        payload: EmbedPayload,
        tools: EmbedTools,
        hashes: dict[int, str],
        lacking: dict[int, set[int]],
    ) -> None:
        self._claim = claim
        self._payload = payload
        self._tools = tools
        self._hashes = hashes
        self._lacking = lacking
        # Another attempt had begun with a photo and did not end it.
        self._state = (payload.one_by_one or OneByOne()).blame()
        self._stored_trying = False
        self._unstored = Embedded.by(tools.encoders)

    def embed(self, beat: Callable[[], None]) -> Embedded:
        """Embed and store the photos, but for the last one: that `store_last` does.

        Raises what has broken with a photo that is to be tried again, and ClaimLost.
        """
        done, raised = Embedded.by(self._tools.encoders), None
        broken = self._state.broken
        with ThreadPoolExecutor(1, "one-by-one", be_nice, (NICENESS,)) as worker:
            for photo_id in sorted(self._hashes, key=lambda one: broken.get(one, 0)):
                if self._is_given_up(photo_id):
                    done.unreadable.append(self._given_up(photo_id))
                    continue
                try:
                    worker.submit(self._try, photo_id, done).result()
                except ClaimLost:
                    raise
                except MarketlensError:
                    self._forgive()
                    raise
                except Exception as error:
                    log.exception("photo %s breaks its job", self._hashes[photo_id])
                    self._state = self._state.blame()
                    if self._is_given_up(photo_id):
                        done.unreadable.append(self._given_up(photo_id))
                    else:
                        raised = error
                beat()
        if raised is not None:
            with self._tools.database.write() as session:
                self.store_last(session)
            raise raised
        return done

    def store_last(self, session: Session) -> None:
        """Store what was done last, and that no photo is worked on any more. Raises ClaimLost."""
        self._state = self._state.end()
        self._store(session)

    def _try(self, photo_id: int, done: Embedded) -> None:
        self._state = self._state.begin(photo_id)
        with self._tools.database.write() as session:
            self._store(session)
        new = Embedded.by(self._tools.encoders)
        photos = new.photos_of(
            {photo_id: decoded(self._tools, self._hashes[photo_id])}, self._hashes
        )
        if photos:
            new.add(embedded_by_all(self._tools, photos, self._lacking))
        self._unstored = new
        done.add(new.vectors)
        done.unreadable.extend(new.unreadable)
        done.missing.extend(new.missing)

    def _store(self, session: Session) -> None:
        trying = self._state.trying is not None
        payload = self._payload.model_copy(update={"one_by_one": self._state})
        # While a photo is worked on, the attempt is not one at the job, should it end here.
        before = Job.attempts_before + (int(trying) - int(self._stored_trying))
        update_owned(
            session, self._claim, {"payload": payload.to_json(), "attempts_before": before}
        )
        store_embedded(session, self._tools, self._payload, self._unstored)
        self._unstored = Embedded.by(self._tools.encoders)
        self._stored_trying = trying

    def _forgive(self) -> None:
        """Note that it is not the photo's fault that the attempt ends."""
        with suppress(Exception), self._tools.database.write() as session:
            self.store_last(session)

    def _is_given_up(self, photo_id: int) -> bool:
        return self._state.broken.get(photo_id, 0) >= ATTEMPTS_ALONE

    def _given_up(self, photo_id: int) -> PhotoError:
        detail = (
            f"Given up after {ATTEMPTS_ALONE} attempts with this photo alone: each has ended its "
            "worker, taken too long or broken. See the worker's log."
        )
        return PhotoError(photo=self._hashes[photo_id], code=GIVEN_UP, detail=detail)
