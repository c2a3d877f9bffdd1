"""The processes as the image runs them: another user, nothing writable but data and memory.

In a mount namespace instead of a container, with the rights that `docker-compose.yml` leaves.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import psutil
import pytest

from ops.processes import PROCESSES, marketlens_command
from tests.support.faults import in_rounds
from tests.support.http import KETTLE, listing_form
from tests.support.paths import REPOSITORY
from tests.support.pictures import jpeg
from tests.support.ports import free_port

USER: Final = 10001
"""The image's, see the Dockerfile."""
WITHIN_S: Final = 120
CONFINED: Final = REPOSITORY / "tests" / "support" / "confined.sh"
UNSHARE: Final = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.getuid() else [])]


def can_confine() -> bool:
    """Whether this machine has namespaces and the programs that use them."""
    if not all(shutil.which(name) for name in ("unshare", "setpriv", "findmnt")):
        return False
    return subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0


def opened_python() -> dict[str, str]:
    """What tells `confined.sh` where this Python is, if other users can't enter that folder."""
    base = Path(sys.base_prefix)
    for folder in reversed(base.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return {"PYTHON_AT": str(base), "CLOSED_FOLDER": str(folder)}
    return {}


pytestmark = pytest.mark.skipif(not can_confine(), reason="no namespaces here (util-linux)")


@dataclass(frozen=True)
class Confined:
    """Commands that are confined, on one data folder."""

    data: Path
    user: int
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        return [*UNSHARE, "sh", str(CONFINED), str(self.data), str(self.user), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def confined() -> Iterator[Confined]:
    data = Path(tempfile.mkdtemp(prefix="ml-"))
    # Another user can be had by root only.
    user = 0 if os.getuid() else USER
    if user:
        os.chown(data, user, user)
    environment = {
        **opened_python(),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MARKETLENS_DATA_DIR": "/mnt",
        "MARKETLENS_ENCODER": "hog",
        "MARKETLENS_PORT": str(free_port()),
    }
    yield Confined(data, user, environment)
    shutil.rmtree(data)


def test_nothing_but_data_and_memory_can_be_written(confined: Confined) -> None:
    places = [str(REPOSITORY), "/", "/etc", "/usr", sys.prefix, "/mnt", "/tmp"]  # noqa: S108
    script = (
        "import os, sys\n"
        "for place in sys.argv[1:]:\n"
        "    try:\n"
        "        os.close(os.open(place + '/written', os.O_CREAT | os.O_WRONLY))\n"
        "        print(place)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    done = confined.run(sys.executable, "-c", script, *places)
    assert done.stdout.split() == ["/mnt", "/tmp"], done.stderr  # noqa: S108


def test_commands_that_prepare_need_no_more(confined: Confined) -> None:
    for words in (("migrate",), ("keys", "create", "ops", "--scope", "admin"), ("keys", "list")):
        done = confined.run(*marketlens_command(*words))
        assert done.returncode == 0, done.stderr
    (file,) = confined.data.glob("marketlens.db")
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (confined.user, 0o600)


@in_rounds
def test_a_whole_machine_takes_a_listing_and_finds_it(confined: Confined) -> None:
    url = f"http://127.0.0.1:{confined.environment['MARKETLENS_PORT']}"
    made = confined.run(*marketlens_command("migrate"))
    assert made.returncode == 0, made.stderr
    with (
        (confined.data / "up.log").open("w") as log,
        subprocess.Popen(
            confined.command(*marketlens_command("up")),
            env=confined.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as machine,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        try:
            await_ready(http, machine, confined.data / "up.log")
            check_rights(psutil.Process(machine.pid), confined.user)
            put = http.put("/v1/listings/" + "0" * 31 + "1", **listing_form(KETTLE, jpeg(1)))
            assert put.status_code == 202, put.text
            found = search(http)
            assert [item["title"] for item in found] == ["Red kettle ☕"]
        finally:
            machine.send_signal(signal.SIGTERM)


def await_ready(http: httpx2.Client, machine: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        assert machine.poll() is None, log.read_text()
        try:
            if http.get("/readyz").status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def search(http: httpx2.Client) -> list[dict[str, object]]:
    """What is found by the photo of the listing, as soon as it is found."""
    deadline = time.monotonic() + WITHIN_S
    found: list[dict[str, object]] = []
    while not found and time.monotonic() < deadline:
        files = {"photo": ("photo.jpg", jpeg(1), "image/jpeg")}
        asked = http.post("/v1/searches", files=files, headers={"Prefer": "wait=20"})
        found = (asked.json().get("result") or {}).get("results", [])
    return found


def check_rights(machine: psutil.Process, user: int) -> None:
    """No process has a capability, or can get one; none is root, but where only root is there."""
    processes = [machine, *machine.children(recursive=True)]
    assert len(processes) > len(PROCESSES)
    for process in processes:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        name = " ".join(process.cmdline())
        assert status["NoNewPrivs"] == "1", name
        assert int(status["CapBnd"], 16) == 0, name
        assert int(status["CapEff"], 16) == 0, name
        if user:
            assert set(status["Uid"].split()) == {str(user)}, name
