"""Searches from the caller's side: the machine as it starts by default, and naive servers.

    python -m benchmarks.serving --data FEED [--weights WEIGHTS] [--searches 120] [--json]

Seeds the feed, waits until nothing is done by itself any more, and then calls with 1 to 32 clients,
in turns and each with photos that nobody has sent before: the machine, and the server that most
people would write; then the one that loads model and index for each request (see
`benchmarks.naive_server`), searches whose vectors are known, and searches that are only accepted.
The clients run on the same cores. The bare encoder is the active one, with nothing beside it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.load import Load, Plan, called, split
from benchmarks.photo_shapes import read_catalogue
from command_line.resources import library_of
from db import jobs
from db.catalogue.listings import recent_listings
from db.session import Database
from db.vectors.embeddings import live_vectors
from db.vectors.encoders import active_encoder, find_encoder
from models.domain.errors import SetupError
from models.domain.types import EncoderSpec, JobType
from models.encoders.onnx import BATCH
from models.encoders.runtimes import open_encoder
from models.photo_decoding import decode
from ops.machine import Machine, machine_up
from ops.processes import free_port, marketlens_command
from settings import Settings

CLIENTS: Final = (1, 8, 16, 32)
LISTINGS: Final = 600
READY_TIMEOUT_S: Final = 600
RELOADING_SEARCHES: Final = 8
QUIET_FOR_S: Final = 25
"""Seconds without a job after which nothing is expected any more."""


@dataclass(frozen=True, slots=True)
class Row:
    """One server, under so many clients."""

    server: str
    clients: int
    per_second: float
    p50_ms: float
    p95_ms: float
    statuses: dict[str, int]


def main(
    data: Annotated[Path, typer.Option(help="Products.csv, Images.csv and images/<id>.jpg.")],
    *,
    weights: Annotated[
        Path | None, typer.Option(help="Weights; the installed ones by default.")
    ] = None,
    searches: Annotated[int, typer.Option(help="Searches of each measurement.")] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Seed, wait, measure; print the tables."""
    with TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder) / "data", port=free_port("127.0.0.1", 8950), weights=weights
        )
        with machine_up(settings, say) as machine:
            machine.wait_until_ready()
            say(f"seed: {seconds_of('seed', str(data), machine=machine):.1f} s")
            settle(machine)
            database = Database(machine.settings.sqlalchemy_url)
            with closing(database), database.read() as session:
                active = active_encoder(session)
            if active is None:
                raise SetupError("There is no active encoder.")
            photos = unseen(data, Path(folder), searches * len(CLIENTS) * 2 + RELOADING_SEARCHES)
            with naive_server(machine, active.spec, Path(folder)) as naive:
                rows = list(measured(machine, naive, photos, searches))
                with naive_server(machine, active.spec, Path(folder), reload=True) as reloading:
                    plan = Plan(
                        url=f"{reloading}/v1/searches",
                        clients=1,
                        photos=photos[-RELOADING_SEARCHES:],
                    )
                    rows.append(row("naive, loaded for each", 1, called(plan)))
            rows += known(machine)
        bare = bare_speed(settings, active.spec, photos)
    Console().print(table(rows, active.spec, bare))
    if as_json:
        found = {"encoder": active.spec.label, "bare_per_second": bare}
        typer.echo(json.dumps({**found, "rows": [asdict(one) for one in rows]}))


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
                if any(jobs.count_open(session, job_type) for job_type in JobType):
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
    command = [sys.executable, "-m", "benchmarks.naive_server"]
    command += [str(vectors), str(weights), base.name, str(port)]
    process = subprocess.Popen([*command, "--reload"] if reload else command)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str) -> None:
    """Return when a server answers."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/openapi.json"):  # noqa: S310 - our own
                return
        except URLError:
            time.sleep(0.2)
    raise SetupError(f"{url} does not answer.")


def measured(machine: Machine, naive: str, photos: list[Path], searches: int) -> Iterator[Row]:
    """Both servers in turns, with more and more clients."""
    servers = {"naive": naive, "Marketlens": machine.url}
    parts = iter(split(photos, len(photos) // searches))
    for url in servers.values():  # whatever is done the first time
        called(Plan(url=f"{url}/v1/searches", clients=1, photos=photos[-4:]))
    for clients in CLIENTS:
        for name, url in servers.items():
            plan = Plan(url=f"{url}/v1/searches", clients=clients, photos=next(parts))
            yield row(name, clients, called(plan))


def row(server: str, clients: int, load: Load) -> Row:
    """The figures of one measurement."""
    p50, p95 = load.percentile(50), load.percentile(95)
    say(f"{server}, {clients}: {load.per_second:.1f}/s, p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    return Row(server, clients, load.per_second, p50, p95, load.statuses)


def known(machine: Machine) -> Iterator[Row]:
    """Searches by listings, whose vectors are stored: answered, then accepted only."""
    with closing(Database(machine.settings.sqlalchemy_url)) as database, database.read() as session:
        listings = [str(view.listing.id) for view in recent_listings(session, LISTINGS, None)]
    bodies: list[dict[str, object]] = [{"listing_id": listing} for listing in listings]
    url = f"{machine.url}/v1/searches"
    yield row("known vectors", 8, called(Plan(url=url, clients=8, bodies=bodies)))
    yield row("accepted only", 8, called(Plan(url=url, clients=8, bodies=bodies, wait_s=0)))


def bare_speed(settings: Settings, active: EncoderSpec, photos: list[Path]) -> float:
    """Photos a second from files to vectors of the active encoder alone."""
    threads = len(os.sched_getaffinity(0))
    library = library_of(settings)
    encoder = open_encoder(
        library, active, threads, lambda spec: open_encoder(library, spec, threads)
    )
    files = [path.read_bytes() for path in photos[: 8 * BATCH]]
    encoder.embed([decode(file) for file in files[:BATCH]])
    begun = time.perf_counter()
    for start in range(0, len(files), BATCH):
        encoder.embed([decode(file) for file in files[start : start + BATCH]])
    return len(files) / (time.perf_counter() - begun)


def table(rows: list[Row], active: EncoderSpec, bare: float) -> Table:
    """The figures for people."""
    shown = Table(title=f"{active.label}, alone: {bare:.1f} photos/s", title_justify="left")
    for name in ("server", "clients", "per second", "p50, ms", "p95, ms", "statuses"):
        shown.add_column(name, justify="left" if name == "server" else "right")
    for one in rows:
        figures = (f"{one.per_second:.1f}", f"{one.p50_ms:.0f}", f"{one.p95_ms:.0f}")
        shown.add_row(one.server, str(one.clients), *figures, str(one.statuses))
    return shown


if __name__ == "__main__":
    typer.run(main)
