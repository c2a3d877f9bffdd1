"""Coordinates of a feed's places: from the database, a list of towns, or a geocoding service."""

import inspect
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from geopy.adapters import URLLibAdapter
from geopy.exc import (
    ConfigurationError,
    GeocoderAuthenticationFailure,
    GeocoderInsufficientPrivileges,
    GeocoderNotFound,
    GeocoderQueryError,
    GeocoderQuotaExceeded,
)
from geopy.extra.rate_limiter import RateLimiter
from geopy.geocoders import get_geocoder_for_service
from geopy.geocoders.base import Geocoder as GeopyGeocoder
from pydantic import TypeAdapter

from db.catalogue.places import Coordinates, known_places, store_places
from db.session import Database
from models.domain.errors import SetupError, Unavailable
from models.domain.processes import ProgramFailed, run_program

log = logging.getLogger(__name__)

PROGRAM: Final = "etl.load.gazetteer_program"
_COORDINATES: Final = TypeAdapter(Coordinates)

# The most that https://operations.osmfoundation.org/policies/nominatim/ allows.
DELAY_S = 1.0
TIMEOUT_S = 10.0
RETRIES = 2
# After so many failures in a row the service is considered to be down.
FAILURES_IN_A_ROW = 3

# Errors that a retry can't fix.
_FINAL_ERRORS = (
    GeocoderQueryError,
    GeocoderQuotaExceeded,
    GeocoderAuthenticationFailure,
    GeocoderInsufficientPrivileges,
)
# The parameter names that geopy's services use for their credential.
_KEY_ARGUMENTS = ("api_key", "apikey", "subscription_key", "username")


class Geocoder:
    """Asks a geocoding service where a place is, at most once every `delay_s` seconds.

    `service` is its name in geopy, `url` another server of the same API, and `api_key` the
    credential of a service that needs one. Raises SetupError when geopy has no such service, or it
    needs other parameters.
    """

    def __init__(
        self,
        service: str,
        *,
        user_agent: str,
        url: str | None = None,
        api_key: str | None = None,
        delay_s: float = DELAY_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        # geopy logs whole URLs, which contain the API key.
        logging.getLogger("geopy").disabled = True
        self._service = service
        self._client = _client(service, url, api_key, user_agent, timeout_s)
        self._ask_slowly = RateLimiter(
            self._ask,
            min_delay_seconds=delay_s,
            error_wait_seconds=delay_s,
            max_retries=RETRIES,
            swallow_exceptions=False,
        )

    def __call__(self, name: str) -> Coordinates | None:
        """Where a place is, None when there is none of this name. Raises Unavailable."""
        try:
            found: Coordinates | None = self._ask_slowly(name)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - geopy does not validate answers
            # Without its cause: an answer may repeat the URL, which contains the key.
            raise self._failure(error) from None
        return found

    def _ask(self, name: str) -> Coordinates | None:
        try:
            place = self._client.geocode(name)
        except _FINAL_ERRORS as error:
            raise self._failure(error) from None
        return None if place is None else Coordinates(place.latitude, place.longitude)

    def _failure(self, error: Exception) -> Unavailable:
        return Unavailable(f"The geocoder {self._service} gives no answer: {type(error).__name__}.")


def offline_gazetteer(names: Sequence[str], currency: str) -> dict[str, Coordinates]:
    """Where those of these places are that GeoNames' list of towns knows, without a network.

    Of towns of one name, one in a country of this currency is meant before others.
    """
    try:
        found = run_program(PROGRAM, currency, given=json.dumps(list(names)))
    except ProgramFailed as error:
        log.warning("Places can't be located offline: %s", error)
        return {}
    return {name: _COORDINATES.validate_python(degrees) for name, degrees in found.items()}


class Gazetteer:
    """Finds places by name: in the database, then `offline`, then by asking the geocoder.

    Each answer is stored at once, so that no name is looked up twice. A geocoder that fails
    repeatedly is not called again. `failed` counts the names without an answer: they have no
    coordinates in this run, and are looked up again in the next.
    """

    def __init__(
        self,
        database: Database,
        geocoder: Callable[[str], Coordinates | None] | None,
        clock: Callable[[], datetime],
        offline: Callable[[Sequence[str]], Mapping[str, Coordinates]] | None = None,
    ) -> None:
        self._database = database
        self._geocoder = geocoder
        self._offline = offline
        self._clock = clock
        self._unanswered: set[str] = set()
        self._not_offline: set[str] = set()
        self._failures_in_a_row = 0

    @property
    def failed(self) -> int:
        """How many names have met a geocoder's failure."""
        return len(self._unanswered)

    def locate(
        self,
        names: Iterable[str],
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> dict[str, Coordinates | None]:
        """Where each of these places is; None where that is not known.

        Takes as long as the geocoder does for the new ones; no transaction is open meanwhile.
        """
        places: dict[str, Coordinates | None] = dict.fromkeys(names)
        with self._database.read() as session:
            known = known_places(session, places)
        known |= self._look_up_offline([name for name in places if name not in known])
        if self._geocoder:
            new = [name for name in places if name not in known and name not in self._unanswered]
            for done, name in enumerate(new):
                on_progress(done, len(new))
                known |= self._look_up(self._geocoder, name)
        return places | known

    def _look_up_offline(self, names: Iterable[str]) -> dict[str, Coordinates | None]:
        """Those that are known without asking, which are stored; the others stay to be asked."""
        new = [name for name in names if name not in self._not_offline]
        if not new or self._offline is None:
            return {}
        found = dict[str, Coordinates | None](self._offline(new))
        self._not_offline.update(name for name in new if name not in found)
        if found:
            with self._database.write() as session:
                store_places(session, found, self._clock())
        return found

    def _look_up(
        self, geocoder: Callable[[str], Coordinates | None], name: str
    ) -> dict[str, Coordinates | None]:
        """The stored answer for one name; empty if the geocoder failed."""
        if self._failures_in_a_row == FAILURES_IN_A_ROW:
            self._unanswered.add(name)
            return {}
        try:
            answer = {name: geocoder(name)}
        except Unavailable as error:
            self._unanswered.add(name)
            self._failures_in_a_row += 1
            if self._failures_in_a_row == FAILURES_IN_A_ROW:
                log.warning("%s It is asked no more in this run.", error)
            return {}
        self._failures_in_a_row = 0
        with self._database.write() as session:
            store_places(session, answer, self._clock())
        return answer


def _client(
    service: str, url: str | None, api_key: str | None, user_agent: str, timeout_s: float
) -> GeopyGeocoder:
    """geopy's client of a service. Raises SetupError."""
    try:
        make = get_geocoder_for_service(service)
    except GeocoderNotFound as error:
        raise SetupError(f"geopy knows no geocoder {service!r}.") from error
    parameters = inspect.signature(make).parameters
    given: dict[str, str] = {}
    if url:
        parts = urlsplit(url)
        given |= {"scheme": parts.scheme, "domain": parts.netloc + parts.path}
    if api_key:
        given[next((name for name in _KEY_ARGUMENTS if name in parameters), "api_key")] = api_key
    unknown = sorted(given.keys() - parameters.keys())
    if unknown:
        raise SetupError(f"The geocoder {service} takes no {' and no '.join(unknown)}.")
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in given
    ]
    if missing:
        raise SetupError(f"The geocoder {service} needs its {' and '.join(missing)}.")
    try:
        # geopy's adapter for `requests` repeats failed requests by itself, and faster than allowed.
        return make(
            **given, user_agent=user_agent, timeout=timeout_s, adapter_factory=URLLibAdapter
        )
    except ConfigurationError as error:
        raise SetupError(f"The geocoder {service} can't be used so: {error}") from error
