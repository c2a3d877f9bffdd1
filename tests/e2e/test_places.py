"""A machine in a folder of any name, and at any address of its own."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from models.domain.errors import ExitCode
from ops.machine import child_environment, machine_up
from ops.processes import marketlens_command
from settings import Settings
from tests.support.machine import TIMEOUT_S, marketlens
from tests.support.paths import REPOSITORY
from tests.support.pictures import jpeg
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e

HELD = {"Prefer": f"wait={TIMEOUT_S}"}


def search_what_was_posted(http: httpx2.Client) -> None:
    """Post a listing and find it by its photo."""
    posted = http.post(
        "/v1/listings",
        data={"listing": json.dumps({"title": "A lamp"})},
        files=[("photos", ("photo.jpg", jpeg(1)))],
        headers=HELD,
    ).raise_for_status()
    while http.get(posted.headers["Location"]).json()["status"] in {"queued", "running"}:
        time.sleep(0.05)
    found = http.post("/v1/searches", files={"photo": ("p.jpg", jpeg(1))}, headers=HELD)
    (result,) = found.json()["result"]["results"]
    assert result["listing_id"] == posted.json()["listing_id"]


@pytest.mark.parametrize(
    ("name", "host", "url"),
    [
        ("a#b?c%41&d", "::1", "http://[::1]:"),
        ("~x", "0.0.0.0", "http://127.0.0.1:"),  # noqa: S104 - keys are the point
        ("каталог 商品::[b]", "localhost", "http://localhost:"),
    ],
)
def test_everything_lies_beneath_the_folder(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, host: str, url: str
) -> None:
    monkeypatch.chdir(data_dir)
    # The processes are those of this tree, wherever they start.
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    settings = Settings(data_dir=Path(name), encoder="hog", auto_optimise=False, host=host, port=0)
    headers = {}
    if host == "0.0.0.0":  # noqa: S104 - compared with
        assert marketlens(child_environment(settings), "migrate").returncode == 0
        key = marketlens(
            child_environment(settings), "keys", "create", "me", "--scope", "admin"
        ).stdout.strip()
        headers = {"Authorization": f"Bearer {key}"}
    with machine_up(settings, print) as machine:
        assert machine.url.startswith(url)
        assert not machine.url.endswith(":0")
        machine.wait_until_ready()
        with httpx2.Client(base_url=machine.url, timeout=TIMEOUT_S, headers=headers) as http:
            search_what_was_posted(http)
        assert (Path(name) / "run" / "redis.sock").is_socket()
    folder = Path(name)
    assert list(data_dir.iterdir()) == [data_dir / name]
    assert {"marketlens.db", "photos", "up.lock", "log"} <= {path.name for path in folder.iterdir()}
    assert len(list((folder / "photos").rglob("*.jpg"))) == 1


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("up",), ExitCode.TRY_AGAIN),
        (("worker", "embed"), ExitCode.TRY_AGAIN),
        (("migrate",), ExitCode.TRY_AGAIN),
        (("api",), None),
        (("relay",), None),
    ],
)
def test_a_database_that_is_away(
    tmp_path: Path, command: tuple[str, ...], expected: ExitCode | None
) -> None:
    """Supervisors start again what ends with 75; what needs no database to begin waits for it."""
    url = f"postgres://me:secret@127.0.0.1:{free_port()}/shop"
    settings = Settings(data_dir=tmp_path, database_url=url, encoder="hog", port=0)
    with subprocess.Popen(
        marketlens_command(*command),
        env={**os.environ, **child_environment(settings)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        if expected is None:
            assert "Trying again." in first
            process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert "Traceback" not in first + rest
    assert "secret" not in first + rest
    if expected is not None:
        assert process.returncode == expected
        assert first.startswith("marketlens: The database can't be reached")
        assert rest == ""
