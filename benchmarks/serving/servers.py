"""What is measured: a seeded machine that has come to rest, and naive servers beside it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from benchmarks.photo_shapes import read_catalogue
from command_line.addresses import free_port
from command_line.resources import library_of
from db.jobs import counting
from db.session import Database
from db.vectors.embeddings import live_vectors
from db.vectors.encoders import find_encoder
from models.domain.errors import SetupError
from models.domain.types import EncoderSpec, JobType
from models.photo_decoding import decode
from ops.machine import Machine
from ops.processes import marketlens_command

READY_TIMEOUT_S: Final = 600
QUIET_FOR_S: Final = 40
"""Seconds without a job after which nothing is expected any more."""


def say(line: str) -> None:
    """Tell a person."""
    print(line, file=sys.stderr, flush=True)


def seconds_of(*arguments: str, machine: Machine) -> float:
    """How long one of our commands takes."""
    begun = time.perf_counter()
    subprocess.run(
        marketlens_command(*arguments), env=machine.environment, capture_output=True, check=True
    )
    return time.perf_counter() - begun


def settle(machine: Machine) -> None:
    """Wait until nothing is done by itself any more. Raises SetupError if it does not end."""
    quiet_since = time.monotonic()
    deadline = quiet_since + READY_TIMEOUT_S
    with closing(Database(machine.settings.sqlalchemy_url)) as database:
        while time.monotonic() - quiet_since < QUIET_FOR_S:
            machine.watch()
            with database.read() as session:
                if any(counting.count_open(session, job_type) for job_type in JobType):
                    quiet_since = time.monotonic()
            if time.monotonic() > deadline:
                raise SetupError("The machine is still busy by itself.")
            time.sleep(0.5)


def unseen(data: Path, folder: Path, number: int) -> list[Path]:
    """Files of photos of the feed, cut at the border and compressed anew: bytes that are new."""
    known = read_catalogue(data, None).photos
    rng = np.random.default_rng(0)
    made = []
    for name, source in enumerate(rng.choice(len(known), number, replace=number > len(known))):
        image = decode(known[source])
        left, top = (int(rng.integers(side // 20 + 1)) for side in image.size)
        file = BytesIO()
        image.crop((left, top, *image.size)).save(file, "JPEG", quality=int(rng.integers(70, 95)))
        made.append(folder / f"unseen-{name}.jpg")
        made[-1].write_bytes(file.getvalue())
    return made


@contextmanager
def naive_server(
    machine: Machine, active: EncoderSpec, folder: Path, *, reload: bool = False
) -> Iterator[str]:
    """The URL of a naive server with the network of the machine in torch, and the same photos."""
    library = library_of(machine.settings)
    base = library.base_of(active)
    weights, _ = library.weights_of(base)
    vectors = folder / "vectors.npy"
    with closing(Database(machine.settings.sqlalchemy_url)) as database:
        with database.read() as session:
            row = find_encoder(session, base)
        if row is None:
            raise SetupError(f"{base.label} has embedded nothing.")
        np.save(vectors, np.concatenate([some for _, some in live_vectors(database.read, row.id)]))
    port = free_port("127.0.0.1", 8970)
    command = [sys.executable, "-m", "benchmarks.serving.naive_server"]
    command += [str(vectors), str(weights), base.name, str(port)]
    process = subprocess.Popen([*command, "--reload"] if reload else command)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    """Return when a server answers."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/openapi.json"):  # noqa: S310 - our own
                return
        except URLError:
            time.sleep(0.2)
    raise SetupError(f"{url} does not answer.")
