"""Places are asked about once, slowly, of a service that may fail; keys stay secret.

The service is a real HTTP server that speaks Nominatim's JSON.
"""

import json
import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from db.catalogue.places import Coordinates, known_places
from db.session import Database
from etl.load.geocode import FAILURES_IN_A_ROW, RETRIES, Gazetteer, Geocoder
from models.domain.errors import SetupError, Unavailable
from tests.support.clock import Clock

LEEDS = Coordinates(53.7974, -1.5438)
YORK = Coordinates(53.9591, -1.0815)
KEY = "sesame-open-42"


class Nominatim(ThreadingHTTPServer):
    """Knows a few places; `answers` are given instead while there are any.

    In an answer, PATH stands for what was asked for.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.places = {"Leeds": LEEDS, "York": YORK}
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.answers: list[tuple[HTTPStatus, str]] = []
        self.stalled = Event()
        self.stalled.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/maps"

    def answer(self, name: str) -> tuple[HTTPStatus, str]:
        self.stalled.wait()
        self.asked.append(name)
        if self.answers:
            return self.answers.pop(0)
        found = [self.places[name]] if name in self.places else []
        places = [{"lat": str(lat), "lon": str(lon), "display_name": name} for lat, lon in found]
        return HTTPStatus.OK, json.dumps(places)


class _Handler(BaseHTTPRequestHandler):
    server: Nominatim

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        assert url.path in {"/maps/search", "/maps/v1/forward"}
        self.server.agents.add(self.headers["User-Agent"])
        status, text = self.server.answer(parse_qs(url.query)["q"][0])
        # Whoever asked may have lost patience.
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.replace("PATH", self.path).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def nominatim() -> Iterator[Nominatim]:
    with Nominatim() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stalled.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def geocoder(nominatim: Nominatim) -> Geocoder:
    return Geocoder("nominatim", user_agent="tests/1", url=nominatim.url, delay_s=0)


def test_each_name_is_asked_about_once_ever(
    any_database: Database, nominatim: Nominatim, geocoder: Geocoder, clock: Clock
) -> None:
    everywhere = {"Leeds": LEEDS, "York": YORK, "Atlantis": None}
    for names in (["Leeds", "Atlantis", "Leeds"], ["Atlantis", "York"], list(everywhere)):
        gazetteer = Gazetteer(any_database, geocoder, clock)
        for _ in range(2):
            assert gazetteer.locate(names) == {name: everywhere[name] for name in names}
        assert gazetteer.failed == 0
    assert nominatim.asked == ["Leeds", "Atlantis", "York"]
    assert nominatim.agents == {"tests/1"}


def test_without_a_geocoder_what_is_known_stays_known(
    any_database: Database, geocoder: Geocoder, clock: Clock
) -> None:
    Gazetteer(any_database, geocoder, clock).locate(["Leeds", "Atlantis"])
    offline = Gazetteer(any_database, None, clock)
    assert offline.locate(["York", "Leeds", "Atlantis"]) == {
        "York": None,
        "Leeds": LEEDS,
        "Atlantis": None,
    }
    assert offline.failed == 0


def test_what_is_known_offline_is_stored_and_asked_of_nobody(
    any_database: Database, nominatim: Nominatim, geocoder: Geocoder, clock: Clock
) -> None:
    looked_up: list[str] = []

    def offline(names: Sequence[str]) -> dict[str, Coordinates]:
        looked_up.extend(names)
        return {"Leeds": LEEDS} if "Leeds" in names else {}

    gazetteer = Gazetteer(any_database, geocoder, clock, offline)
    for _ in range(2):
        assert gazetteer.locate(["Leeds", "York"]) == {"Leeds": LEEDS, "York": YORK}
    assert (looked_up, nominatim.asked) == (["Leeds", "York"], ["York"])
    again = Gazetteer(any_database, None, clock, offline)
    assert again.locate(["Leeds", "Atlantis"]) == {"Leeds": LEEDS, "Atlantis": None}
    assert again.locate(["Atlantis"]) == {"Atlantis": None}
    assert looked_up == ["Leeds", "York", "Atlantis"]


def test_requests_are_spaced(nominatim: Nominatim) -> None:
    geocoder = Geocoder("nominatim", user_agent="tests/1", url=nominatim.url, delay_s=0.1)
    started = monotonic()
    # The second is asked again after an error, and waits its turn for that too.
    nominatim.answers = [(HTTPStatus.OK, "[]"), (HTTPStatus.BAD_GATEWAY, "")]
    for name in ("Atlantis", "Leeds", "York"):
        geocoder(name)
    assert len(nominatim.asked) == 4
    assert monotonic() - started >= 3 * 0.1


def test_a_passing_error_is_asked_over(
    database: Database, nominatim: Nominatim, geocoder: Geocoder, clock: Clock
) -> None:
    nominatim.answers = [(HTTPStatus.SERVICE_UNAVAILABLE, "")] * RETRIES
    gazetteer = Gazetteer(database, geocoder, clock)
    assert gazetteer.locate(["Leeds"]) == {"Leeds": LEEDS}
    assert gazetteer.failed == 0


@pytest.mark.parametrize(
    ("status", "tries"),
    [
        (HTTPStatus.INTERNAL_SERVER_ERROR, 1 + RETRIES),
        (HTTPStatus.TOO_MANY_REQUESTS, 1),
        (HTTPStatus.PAYMENT_REQUIRED, 1),
        (HTTPStatus.UNAUTHORIZED, 1),
        (HTTPStatus.FORBIDDEN, 1),
    ],
)
def test_a_failing_service_is_given_up_for_this_run(
    any_database: Database,
    nominatim: Nominatim,
    geocoder: Geocoder,
    clock: Clock,
    status: HTTPStatus,
    tries: int,
) -> None:
    nominatim.answers = [(status, "no")] * 1000
    names = [f"Place {number}" for number in range(10)] + ["Leeds"]
    gazetteer = Gazetteer(any_database, geocoder, clock)
    for _ in range(2):
        assert gazetteer.locate(names) == dict.fromkeys(names)
    assert gazetteer.failed == len(names)
    assert len(nominatim.asked) == FAILURES_IN_A_ROW * tries

    nominatim.answers.clear()
    next_run = Gazetteer(any_database, geocoder, clock)
    assert next_run.locate(names)["Leeds"] == LEEDS
    assert next_run.failed == 0


def test_failures_between_answers_are_borne(
    database: Database, nominatim: Nominatim, geocoder: Geocoder, clock: Clock
) -> None:
    refused, empty = (HTTPStatus.FORBIDDEN, ""), (HTTPStatus.OK, "[]")
    nominatim.answers = [refused, refused, empty] * 3
    names = [f"Place {number}" for number in range(9)]
    gazetteer = Gazetteer(database, geocoder, clock)
    gazetteer.locate(names)
    assert nominatim.asked == names
    assert gazetteer.failed == 6


def test_a_service_that_is_not_there(database: Database, clock: Clock) -> None:
    with Nominatim() as closed:
        url = closed.url
    geocoder = Geocoder("nominatim", user_agent="tests/1", url=url, delay_s=0)
    gazetteer = Gazetteer(database, geocoder, clock)
    assert gazetteer.locate(["Leeds"]) == {"Leeds": None}
    assert gazetteer.failed == 1


def test_a_service_that_does_not_answer_in_time(nominatim: Nominatim) -> None:
    geocoder = Geocoder(
        "nominatim", user_agent="tests/1", url=nominatim.url, delay_s=0, timeout_s=0.05
    )
    nominatim.stalled.clear()
    with pytest.raises(Unavailable, match="TimedOut"):
        geocoder("Leeds")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "7",
        '{"error": "busy"}',
        "[1]",
        '[{"lat": "north", "lon": "0"}]',
        '[{"lat": 99}]',
    ],
)
def test_an_answer_that_makes_no_sense_is_a_failure(
    nominatim: Nominatim, geocoder: Geocoder, text: str
) -> None:
    nominatim.answers = [(HTTPStatus.OK, text)] * (1 + RETRIES)
    with pytest.raises(Unavailable):
        geocoder("Leeds")


def test_a_killed_run_keeps_its_answers(any_database: Database, clock: Clock) -> None:
    def killed_at_york(name: str) -> Coordinates:
        if name == "York":
            raise KeyboardInterrupt
        # Nor is a connection held while the service thinks.
        assert any_database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        return LEEDS

    with pytest.raises(KeyboardInterrupt):
        Gazetteer(any_database, killed_at_york, clock).locate(["Leeds", "Otley", "York"])
    with any_database.read() as session:
        assert known_places(session, ["Leeds", "Otley", "York"]) == {"Leeds": LEEDS, "Otley": LEEDS}


def test_progress_counts_the_new_names(
    database: Database, geocoder: Geocoder, clock: Clock
) -> None:
    seen: list[tuple[int, int]] = []
    gazetteer = Gazetteer(database, geocoder, clock)
    gazetteer.locate(["Leeds"])
    gazetteer.locate(["Leeds", "York", "Otley"], lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2)]


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_GATEWAY])
def test_the_key_is_in_no_log_and_no_error(
    database: Database,
    nominatim: Nominatim,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    status: HTTPStatus,
) -> None:
    geocoder = Geocoder(
        "pickpoint", user_agent="tests/1", url=nominatim.url, api_key=KEY, delay_s=0
    )
    nominatim.answers = [(status, "What is PATH?")] * 100
    with caplog.at_level(logging.DEBUG):
        Gazetteer(database, geocoder, clock).locate(["Leeds", "York", "Otley", "Hull"])
        with pytest.raises(Unavailable) as caught:
            geocoder("Leeds")
    assert "pickpoint" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"service": "sextant"}, "knows no geocoder 'sextant'"),
        ({"service": "azure"}, "needs its subscription_key"),
        ({"service": "liveaddress", "api_key": KEY}, "takes no api_key"),
        ({"service": "photon", "api_key": KEY}, "takes no api_key"),
        ({"service": "yandex", "api_key": KEY, "url": "https://maps.example"}, None),
        ({"service": "what3words", "api_key": KEY, "url": "https://w3w.example"}, "no scheme"),
        ({"service": "nominatim", "url": "ftp://maps.example"}, "http"),
        ({"service": "nominatim", "user_agent": "my-application"}, "user_agent"),
        ({"service": "herev7", "api_key": KEY}, None),
        ({"service": "geonames", "api_key": KEY}, None),
    ],
)
def test_what_a_service_wants_is_asked_for(options: dict[str, str], complaint: str | None) -> None:
    def make() -> Geocoder:
        return Geocoder(**({"user_agent": "tests/1"} | options))  # type: ignore[arg-type]

    if complaint is None:
        make()
        return
    with pytest.raises(SetupError, match=complaint) as caught:
        make()
    assert KEY not in str(caught.value)
