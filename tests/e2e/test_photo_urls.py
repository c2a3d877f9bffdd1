"""Photos at URLs, fetched by the running embed worker, whatever hosts do and who is killed."""

from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psutil
import pytest
from sqlalchemy import func, select

from db.session import Database
from db.tables import Embedding
from models.photo_decoding import standardise
from ops.machine import machine_up
from settings import Settings
from tests.support.http import listing_form
from tests.support.machine import TIMEOUT_S
from tests.support.photo_hosts import HERE, photo_host
from tests.support.pictures import jpeg
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def test_a_host_that_hangs_delays_nobody_and_a_kill_doubles_nothing(data_dir: Path) -> None:
    settings = Settings(
        data_dir=data_dir,
        encoder="hog",
        port=8300,
        lease_seconds=3,
        photo_urls="all",
        photo_hosts=HERE,
    )
    with (
        photo_host() as host,
        machine_up(settings, print) as machine,
        closing(Database(settings.sqlalchemy_url)) as database,
        httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S) as http,
    ):
        machine.wait_until_ready()

        def job(accepted: dict[str, Any]) -> dict[str, Any]:
            machine.watch()
            found: dict[str, Any] = http.get(f"/v1/jobs/{accepted['job']['id']}").json()
            return found

        def has_ended(accepted: dict[str, Any]) -> bool:
            return job(accepted)["status"] not in {"queued", "running"}

        urls = [
            host.url("hang", HERE),
            host.url("1.jpg", HERE),
            f"http://localhost:{host.server_port}/2.jpg",
        ]
        slow = http.put(f"/v1/listings/{uuid4()}", json={"title": "At URLs", "photos": urls}).json()
        wait_until(lambda: host.asked["/hang"], TIMEOUT_S)
        sent = http.post("/v1/listings", **listing_form({"title": "Sent"}, jpeg(3))).json()
        wait_until(lambda: has_ended(sent), TIMEOUT_S)
        assert job(sent)["status"] == "succeeded"
        assert job(slow)["status"] == "running"

        worker = psutil.Process(machine.supervisor.process_of("embed").pid)
        worker.children()[0].kill()

        def is_asked_again() -> bool:
            machine.watch()
            return host.asked["/hang"] == 2

        wait_until(is_asked_again, TIMEOUT_S)
        host.released.set()
        wait_until(lambda: has_ended(slow), TIMEOUT_S)
        ended = job(slow)
        assert (ended["status"], ended["progress"]["failed"]) == ("succeeded", 1)
        (error,) = ended["result"]["errors"]
        assert (error["position"], error["photo"]) == (2, None)
        assert "not public" in error["detail"]
        listing = http.get(f"/v1/listings/{slow['listing_id']}").json()
        assert [photo["id"] for photo in listing["photos"]] == [
            standardise(jpeg(seed)).sha256 for seed in (0, 1)
        ]
        assert "/2.jpg" not in host.asked
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(Embedding)) == 3
        answer = http.post("/v1/searches", files={"photo": jpeg(1)}, headers={"Prefer": "wait=30"})
        assert answer.status_code == HTTPStatus.OK
        assert answer.json()["result"]["results"][0]["listing_id"] == slow["listing_id"]
