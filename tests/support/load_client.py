"""Who loads a machine: a client that sells and searches, and writes down every 202."""

import json
import time
from contextlib import suppress
from random import Random
from threading import Event
from typing import Final
from uuid import UUID, uuid4

import httpx2

from tests.support.ledger import Entry, Kind, Ledger
from tests.support.pictures import jpeg

RETRY_EVERY_S: Final = 0.2
CLIENT_TIMEOUT_S: Final = 90.0


class LoadClient:
    """Somebody who sells and searches, with a connection of their own."""

    def __init__(
        self,
        http: httpx2.Client,
        ledger: Ledger,
        stop: Event,
        random: Random,
        most_listings: int | None = None,
    ) -> None:
        self._http = http
        self._most_listings = most_listings
        self._ledger = ledger
        self._stop = stop
        self._random = random

    def sell(self) -> None:
        """Create a listing, as often as it takes: with one key it is created once.

        Then delete one, if there are too many.
        """
        self._create()
        photos = self._ledger.photos()
        if self._most_listings is not None and len(photos) > self._most_listings:
            listing_id, _ = photos[0]
            self._ledger.forget(listing_id)
            self._delete(listing_id)

    def _delete(self, listing_id: UUID) -> None:
        while not self._stop.is_set():
            with suppress(httpx2.TransportError):
                # It may have been deleted by a request whose answer was lost.
                if self._http.delete(f"/v1/listings/{listing_id}").status_code in {204, 404}:
                    return
            self._stop.wait(RETRY_EVERY_S)

    def _create(self) -> None:
        seed = self._random.randrange(2**60)
        photo, key = jpeg(seed), str(uuid4())
        form = {"listing": json.dumps({"title": f"Listing {key}"})}
        while not self._stop.is_set():
            began = time.monotonic()
            answer = self._post(
                "/v1/listings", data=form, photo=("photos", photo), headers={"Idempotency-Key": key}
            )
            if answer is not None:
                body = answer.json()
                listing_id = UUID(body["listing_id"])
                self._accepted(Kind.LISTING, answer, listing_id, photo, began)
                return
            self._stop.wait(RETRY_EVERY_S)

    def search(self, wait_s: int = 0) -> None:
        """Search for a listing that must be found."""
        photos = self._ledger.photos()
        if not photos:
            return
        listing_id, photo = self._random.choice(photos)
        began = time.monotonic()
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        answer = self._post(
            "/v1/searches", data={"limit": "5"}, photo=("photo", photo), headers=headers
        )
        if answer is not None:
            self._accepted(Kind.SEARCH, answer, listing_id, photo, began)

    def search_and_wait(self) -> None:
        """The same, with one request for the question and its answer."""
        self.search(wait_s=10)

    def _post(
        self, path: str, *, data: dict[str, str], photo: tuple[str, bytes], headers: dict[str, str]
    ) -> httpx2.Response | None:
        """The answer if something was accepted; other answers are written down."""
        name, content = photo
        try:
            answer = self._http.post(
                path, data=data, files=[(name, ("photo.jpg", content))], headers=headers
            )
        except httpx2.TransportError:
            self._ledger.refuse(0)
            self._stop.wait(RETRY_EVERY_S)
            return None
        if answer.status_code not in {200, 202}:
            self._ledger.refuse(answer.status_code)
            assert answer.status_code in {409, 429, 503}, answer.text
            return None
        return answer

    def _accepted(
        self, kind: Kind, answer: httpx2.Response, listing_id: UUID, photo: bytes, began: float
    ) -> None:
        now = time.monotonic()
        held = "preference-applied" in answer.headers
        job_id = UUID(answer.headers["Location"].rpartition("/")[2])
        self._ledger.accept(
            Entry(
                kind,
                job_id,
                listing_id,
                began if held else now,
                0.0 if held else now - began,
                photo,
            )
        )
