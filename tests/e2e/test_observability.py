"""What the processes of a real machine tell of themselves."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from ops.processes import marketlens_command
from tests.support.machine import SeededMachine, marketlens
from tests.support.observing import Samples, samples
from tests.support.pictures import jpeg
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def scraped(seeded: SeededMachine) -> Samples:
    response = seeded.http.get("/metrics")
    assert response.status_code == 200
    return samples(response.content)


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"marketlens_{name}", frozenset(labels.items())), 0.0)


def search(seeded: SeededMachine, request_id: str) -> dict[str, Any]:
    photo = jpeg(hash(request_id) % 1_000)
    response = seeded.http.post(
        "/v1/searches",
        files={"photo": ("photo.jpg", photo, "image/jpeg")},
        headers={"Prefer": "wait=30", "X-Request-ID": request_id},
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def logged_by(seeded: SeededMachine, process: str) -> list[dict[str, Any]]:
    log: Path = seeded.machine.supervisor.log_dir / f"{process}.log"
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_one_scrape_shows_all_processes_of_the_machine(seeded: SeededMachine) -> None:
    search(seeded, "first")
    found = scraped(seeded)
    seen = {
        dict(labels)["process"]
        for name, labels in found
        if name == "marketlens_process_memory_bytes"
    }
    assert {"api-0", "search-0", "embed-0", "index-0", "relay-0"} <= seen
    assert value(found, "jobs_ended_total", type="search", outcome="succeeded") >= 1
    assert value(found, "jobs_ended_total", type="embed", outcome="succeeded") >= 1
    assert value(found, "photos_embedded_total", purpose="listing") >= 26
    assert value(found, "jobs_published_total", queue="search") >= 1
    assert value(found, "job_stage_seconds_count", type="search", stage="search") >= 1
    for queue in ("search", "embed", "index", "relay"):
        assert ("marketlens_queue_unseen_seconds", frozenset({("queue", queue)})) in found
    wait_until(lambda: value(scraped(seeded), "index_rows") >= 26)


def test_the_command_prints_the_same_without_an_api(seeded: SeededMachine) -> None:
    done = marketlens(seeded.machine.environment, "metrics")
    assert done.returncode == 0, done.stderr
    printed = samples(done.stdout.encode())
    assert value(printed, "photos_embedded_total", purpose="listing") >= 26


def test_a_request_is_followed_through_the_logs_of_api_and_worker(seeded: SeededMachine) -> None:
    job = search(seeded, "followed-7")
    assert job["request_id"] == "followed-7"

    def lines() -> list[dict[str, Any]]:
        return [
            line for line in logged_by(seeded, "search") if line.get("request_id") == "followed-7"
        ]

    wait_until(lambda: bool(lines()))
    assert {line["job_id"] for line in lines()} == {job["id"]}
    assert {line["process"] for line in lines()} == {"search"}


def test_all_that_processes_log_is_json_and_without_users(seeded: SeededMachine) -> None:
    user = f"user-{uuid4()}"
    seeded.http.get(f"/v1/users/{user}")
    seeded.http.post("/v1/recommendations", json={"user": user}, headers={"Prefer": "wait=30"})
    folder = seeded.machine.supervisor.log_dir
    for process in ("api", "search", "embed", "index", "relay"):
        text = (folder / f"{process}.log").read_text()
        assert user not in text
        for line in filter(None, text.splitlines()):
            told = json.loads(line)
            assert {"time", "level", "event", "logger", "process", "pid"} <= set(told), line


def test_a_machine_without_an_api_serves_what_it_has_counted(seeded: SeededMachine) -> None:
    port = free_port()
    process = subprocess.Popen(
        marketlens_command("metrics", "--port", str(port)), env=seeded.machine.environment
    )
    try:
        wait_until(lambda: _answers(port), 60)
        answer = httpx2.get(f"http://127.0.0.1:{port}/metrics")
        found = samples(answer.content)
        assert value(found, "photos_embedded_total", purpose="listing") >= 26
        # Queues are the API's to tell.
        assert ("marketlens_database_up", frozenset()) not in found
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/metrics").status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False
