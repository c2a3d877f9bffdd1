"""Events sent to running servers: by many clients at once, with no trace of whose they are."""

import base64
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import rmtree
from threading import Barrier
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest

from db.session import Database
from models.domain.clock import utc_now
from ops.machine import child_environment, machine_up
from settings import Settings
from tests.support.api_process import ApiProcess, api_processes
from tests.support.event_model import assert_is_as_counted, rows_of
from tests.support.events import add_listings
from tests.support.machine import TIMEOUT_S, marketlens

pytestmark = pytest.mark.e2e

CLIENTS: Final = 100
LISTINGS: Final = 10
KINDS: Final = ["viewed", "impression", "saved", "hidden", "contacted", "purchased"]


def events(count: int, user: str = "user") -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"{user} {n}",
            "user": f"{user} {n % 7}",
            "type": KINDS[n % len(KINDS)],
            "listing_id": str(UUID(int=n % LISTINGS + 1)),
            "at": utc_now().isoformat(),
            "position": n,
        }
        for n in range(count)
    ]


def test_a_hundred_clients_that_send_the_same_events_store_each_once(
    any_database: Database, tmp_path: Path
) -> None:
    """To two processes, each in an order of its own."""
    add_listings(any_database, LISTINGS, utc_now())
    url = any_database.engine.url.render_as_string(hide_password=False)
    nobody = f"redis+socket://{tmp_path}/nobody.sock"
    here = Settings(data_dir=tmp_path, database_url=url, redis_url=nobody)
    batch = events(200)
    together = Barrier(CLIENTS)

    def send(api: ApiProcess, turn: int) -> dict[str, Any]:
        together.wait()
        body = {"events": batch[turn:] + batch[:turn]}
        answer = httpx2.post(f"{api.url}/v1/events", json=body, timeout=TIMEOUT_S)
        return answer.raise_for_status().json()  # type: ignore[no-any-return]

    with api_processes(here, here) as apis, ThreadPoolExecutor(CLIENTS) as clients:
        sent = [clients.submit(send, apis[n % 2], n) for n in range(CLIENTS)]
        told = [one.result() for one in sent]
    assert sum(one["stored"] for one in told) == len(batch)
    assert sum(one["duplicates"] for one in told) == len(batch) * (CLIENTS - 1)
    assert len(rows_of(any_database)) == len(batch)
    assert_is_as_counted(any_database)


def spellings(user: str) -> list[bytes]:
    """How a user's id may stand in a file."""
    plain = user.encode()
    return [
        plain,
        plain.upper(),
        plain.hex().encode(),
        plain.hex().upper().encode(),
        base64.b64encode(plain)[:-4],
        quote(user).encode(),
        user.encode("utf-16-le"),
    ]


def test_no_file_of_ours_ever_has_the_id_of_a_user(tmp_path: Path) -> None:
    """Database, its log, logs and all else, also where requests are refused or break."""
    user = "Zoë/pseudonym-4711"
    folder = Path(tempfile.mkdtemp(prefix="ml-"))
    here = Settings(data_dir=folder, encoder="hog", port=8410, log_level="DEBUG")
    environment = child_environment(here)
    assert marketlens(environment, "migrate").returncode == 0
    database = Database(here.sqlalchemy_url)
    add_listings(database, LISTINGS, utc_now())
    path = f"/v1/users/{quote(user, safe='')}"
    file = tmp_path / "events.csv"
    lines = [f"{user},{kind},{UUID(int=1)},{utc_now().isoformat()}" for kind in [*KINDS, "liked"]]
    file.write_text("\n".join(["user,type,listing_id,at", *lines]), encoding="utf-8")
    with machine_up(here, print) as machine, httpx2.Client(base_url=machine.url) as http:
        machine.wait_until_ready()
        sent = events(50, user) + [
            {**event, "listing_id": str(UUID(int=99))} for event in events(3, f"{user} unknown")
        ]
        assert http.post("/v1/events", json={"events": sent}).json()["stored"] == 50
        for wrong in (
            {"events": [{**sent[0], "type": user}]},
            {"events": [{**sent[0], "user": user * 20}]},
            {"events": [{**sent[0], user: "x"}]},
        ):
            assert http.post("/v1/events", json=wrong).status_code == 422
        assert http.post("/v1/events", content=f'{{"{user}').status_code in {400, 415}
        assert http.post(path).status_code == 405
        assert http.get(f"{path}{'x' * 200}").status_code == 422
        assert http.get(path, params={"cursor": user}).status_code == 422
        assert marketlens(environment, "events", "import", str(file)).returncode == 1
        mine = http.get(path).json()["items"]
        assert len(mine) == len(KINDS)
        # What breaks is logged, with a traceback.
        with sqlite3.connect(folder / "marketlens.db") as broken:
            broken.execute(
                "UPDATE events SET kind = 77 WHERE number = (SELECT max(number) FROM events)"
            )
        # By a connection of its own, which is closed then.
        assert httpx2.get(f"{machine.url}{path}").status_code == 500
        assert http.delete(path).status_code == 204
        assert http.get(path).json()["items"] == []
    database.close()
    logs = "".join(log.read_text() for log in folder.rglob("*.log"))
    assert "/v1/users/{user:path} broke" in logs
    found = [
        (each.name, spelling)
        for each in folder.rglob("*")
        if each.is_file()
        for spelling in spellings(user)
        if spelling in each.read_bytes()
    ]
    assert found == []
    rmtree(folder)
