"""Where a feed's places are: out of the database, and from a geocoding service for new ones."""

import inspect
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
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

from db.catalogue.places import Coordinates, known_places, store_places
from db.session import Database
from models.domain.errors import SetupError, Unavailable

log = logging.getLogger(__name__)

# The most that https://operations.osmfoundation.org/policies/nominatim/ allows.
DELAY_S = 1.0
TIMEOUT_S = 10.0
RETRIES = 2
# A service that answers for so many names in a row with an error is taken to be down.
FAILURES_IN_A_ROW = 3

# Asking again would not help, and be rude where the quota is used up.
_FINAL_ERRORS = (
    GeocoderQueryError,
    GeocoderQuotaExceeded,
    GeocoderAuthenticationFailure,
    GeocoderInsufficientPrivileges,
)
# What geopy's services call the one credential that most of them want.
_KEY_ARGUMENTS = ("api_key", "apikey", "subscription_key", "username")


class Geocoder:
    """Asks a geocoding service where a place is, at most once every `delay_s` seconds.

    `service` is its name in geopy, `url` a server of one's own that speaks the same language, and
    `api_key` the credential of a service that wants one. Raises SetupError when geopy knows no such
    service, or it wants something else.
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
        # geopy writes whole URLs into its log, and services take their key in the URL.
        logging.getLogger("geopy").disabled = True
        self._service = service
        self._client = _client(service, url, api_key, user_agent=user_agent, timeout=timeout_s)
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
        except Exception as error:  # noqa: BLE001 - geopy reads any answer as if it were right
            # Without its cause: what a service answers may repeat the URL, and with it the key.
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


class Gazetteer:
    """Finds places by name: in the database, else by asking the geocoder, if there is one.

    Each answer is kept at once, so that no name is asked about twice. A geocoder that keeps failing
    is asked no more. `failed` counts the names that it gave no answer for, or that it should have
    been asked about by then: they are nowhere in this run, and asked about in the next.
    """

    def __init__(
        self,
        database: Database,
        geocoder: Callable[[str], Coordinates | None] | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._geocoder = geocoder
        self._clock = clock
        self._unanswered: set[str] = set()
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
        if self._geocoder:
            new = [name for name in places if name not in known and name not in self._unanswered]
            for done, name in enumerate(new):
                on_progress(done, len(new))
                known |= self._look_up(self._geocoder, name)
        return places | known

    def _look_up(
        self, geocoder: Callable[[str], Coordinates | None], name: str
    ) -> dict[str, Coordinates | None]:
        """The answer to one name, kept for good; nothing where there was none."""
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


def _client(service: str, url: str | None, api_key: str | None, **options: Any) -> Any:
    """geopy's client of a service. Raises SetupError."""
    try:
        make = get_geocoder_for_service(service)
    except GeocoderNotFound as error:
        raise SetupError(f"geopy knows no geocoder {service!r}.") from error
    parameters = inspect.signature(make).parameters
    given: dict[str, Any] = {}
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
        return make(**given, **options, adapter_factory=URLLibAdapter)
    except ConfigurationError as error:
        raise SetupError(f"The geocoder {service} can't be used so: {error}") from error
