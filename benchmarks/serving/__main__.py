"""The whole path from the caller's side: the machine as it starts by default, and naive servers.

    python -m benchmarks.serving [--data FEED] [--weights WEIGHTS] [--quick] [--into FOLDER]

Seeds the feed, or one that it draws, waits until nothing is done by itself any more, and calls with
1 to 32 clients, in turns and each with photos that nobody has sent before: the machine, and the
server that most people would write; then the one that loads model and index for each request (both
in `naive_server`), searches whose vectors are known, searches that are only accepted, on SQLite and
on PostgreSQL, searches while listings are enqueued, and clients that only wait. The clients run on
the same cores. The bare encoder is the active one, with nothing beside it. Writes RESULTS.md,
results.json and plots.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final
from urllib.parse import urlsplit

import psutil
import typer
from sqlalchemy import create_engine, func, select, text
from threadpoolctl import threadpool_limits

from benchmarks.serving.load import Load, Plan, called, split
from benchmarks.serving.report import write_report
from benchmarks.serving.servers import naive_server, say, seconds_of, settle, unseen
from command_line.addresses import free_port
from command_line.resources import library_of
from db.catalogue.listings import recent_listings
from db.session import Database
from db.tables import Job
from db.vectors.encoders import active_encoder, all_encoders
from models.domain.errors import SetupError
from models.domain.types import EncoderSpec, JobType
from models.encoders.onnx import BATCH
from models.encoders.runtimes import open_encoder
from models.photo_decoding import decode
from ops.machine import Machine, machine_up
from sample.catalogue import draw_catalogue
from settings import Settings
from tests.support.postgres import postgres_server

RESULTS: Final = Path(__file__).parent.parent
CLIENTS: Final = (1, 2, 4, 8, 16, 32)
QUICK_CLIENTS: Final = (1, 8)
DRAWN_LISTINGS: Final = 400
KNOWN: Final = 600
RELOADING_SEARCHES: Final = 8
WAITING_CLIENTS: Final = 64
WAIT_S: Final = 5
BATCH_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One server, under so many clients."""

    server: str
    clients: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    statuses: dict[str, int]
    stages: dict[str, float]

    @classmethod
    def of(cls, server: str, clients: int, load: Load) -> "Row":
        """The figures of one measurement, which are also said."""
        p50, p95, p99 = (round(load.percentile(share), 1) for share in (50, 95, 99))
        rate = round(load.per_second, 1)
        say(f"{server}, {clients}: {rate}/s, p50 {p50} ms, p95 {p95} ms")
        return cls(server, clients, rate, p50, p95, p99, load.statuses, load.stages)


@dataclass(slots=True)
class Figures:
    """All that was measured. Rates are photos or searches a second."""

    encoder: str = ""
    photos: int = 0
    seed_s: float = 0.0
    seeding: dict[str, float] = field(default_factory=dict)
    bare: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    enqueued: int = 0
    enqueued_s: float = 0.0
    waiting_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    clients: tuple[int, ...]
    searches: int
    enqueued: int


FULL: Final = Sizes(CLIENTS, searches=160, enqueued=2_000)
QUICK: Final = Sizes(QUICK_CLIENTS, searches=60, enqueued=300)


def main(
    data: Annotated[
        Path | None, typer.Option(help="Products.csv, Images.csv, images/<id>.jpg; else drawn.")
    ] = None,
    *,
    weights: Annotated[
        Path | None, typer.Option(help="Weights; the installed ones by default.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less of each, in four minutes.")] = False,
    into: Annotated[Path, typer.Option(help="Where the results are written.")] = RESULTS,
) -> None:
    """Seed, wait, measure, write."""
    sizes = QUICK if quick else FULL
    figures = Figures()
    with TemporaryDirectory() as name:
        folder = Path(name)
        if data is None:
            data = folder / "feed"
            draw_catalogue(data, DRAWN_LISTINGS, 0)
        settings = Settings(
            data_dir=folder / "data", port=free_port("127.0.0.1", 8950), weights=weights
        )
        with machine_up(settings, say) as machine:
            first, active, photos = seeded(machine, data, folder, sizes, figures)
            with naive_server(machine, active, folder) as naive:
                figures.rows += in_turns(machine, naive, photos, sizes)
            with naive_server(machine, active, folder, reload=True) as reloading:
                plan = Plan(
                    url=f"{reloading}/v1/searches", clients=1, photos=photos[-RELOADING_SEARCHES:]
                )
                figures.rows.append(Row.of("naive, loaded for each", 1, called(plan)))
            known, accepted = by_listing(machine, "SQLite")
            figures.rows += [known, accepted]
            mixed(machine, photos, sizes, figures)
            figures.waiting_share = waiting_share(machine, photos)
            drain(machine)
        threadpool_limits(1, user_api="blas")  # as workers do
        figures.bare = {
            spec.label: round(bare_speed(settings, spec, photos), 1)
            for spec in dict.fromkeys((active, library_of(settings).base_of(active), first))
        }
        with on_postgresql(data, folder, weights) as machine:
            figures.rows.append(by_listing(machine, "PostgreSQL")[1])
    write_report(asdict(figures), into)
    say(f"Written: {into / 'RESULTS.md'}")


def seeded(
    machine: Machine, data: Path, folder: Path, sizes: Sizes, figures: Figures
) -> tuple[EncoderSpec, EncoderSpec, list[Path]]:
    """Seed and settle; the encoder that began, the one that is then active, and unseen photos."""
    machine.wait_until_ready()
    figures.seed_s = round(seconds_of("seed", str(data), machine=machine), 1)
    with closing(Database(machine.settings.sqlalchemy_url)) as database:
        with database.read() as session:
            (first, *_) = all_encoders(session)
            done, begun, ended = session.execute(
                select(
                    func.sum(Job.done), func.min(Job.started_at), func.max(Job.finished_at)
                ).where(Job.type == JobType.EMBED)
            ).one()
        if begun is None or ended is None:
            raise SetupError("Nothing was embedded.")
        figures.photos = int(done)
        rate = figures.photos / (ended - begun).total_seconds()
        figures.seeding = {first.spec.label: round(rate, 1)}
        say(f"seed: {figures.seed_s} s, embedded at {rate:.1f} photos/s")
        settle(machine)
        with database.read() as session:
            active = active_encoder(session)
    if active is None:
        raise SetupError("There is no active encoder.")
    figures.encoder = active.spec.label
    number = sizes.searches * (len(sizes.clients) * 2 + 2) + RELOADING_SEARCHES
    return first.spec, active.spec, unseen(data, folder, number)


def in_turns(machine: Machine, naive: str, photos: list[Path], sizes: Sizes) -> Iterator[Row]:
    """Both servers in turns, with more and more clients."""
    servers = {"naive": naive, "Marketlens": machine.url}
    parts = iter(split(photos, len(photos) // sizes.searches))
    for url in servers.values():  # whatever is done the first time
        for clients in (1, 4):
            called(Plan(url=f"{url}/v1/searches", clients=clients, photos=photos[-8:]))
    for clients in sizes.clients:
        for name, url in servers.items():
            plan = Plan(url=f"{url}/v1/searches", clients=clients, photos=next(parts))
            yield Row.of(name, clients, called(plan))


def by_listing(machine: Machine, database_name: str) -> tuple[Row, Row]:
    """Searches by listings, whose vectors are stored: answered, and then only accepted."""
    with closing(Database(machine.settings.sqlalchemy_url)) as database, database.read() as session:
        listings = [str(view.listing.id) for view in recent_listings(session, KNOWN, None)]
    bodies: list[dict[str, object]] = [{"listing_id": listing} for listing in listings]
    while len(bodies) < KNOWN:
        bodies += bodies[: KNOWN - len(bodies)]
    url = f"{machine.url}/v1/searches"
    known = called(Plan(url=url, clients=8, bodies=bodies))
    accepted = called(Plan(url=url, clients=8, bodies=bodies, wait_s=0))
    drain(machine)
    return (
        Row.of(f"known vectors, {database_name}", 8, known),
        Row.of(f"accepted, {database_name}", 8, accepted),
    )


def drain(machine: Machine) -> None:
    """Wait until no job is open."""
    with closing(Database(machine.settings.sqlalchemy_url)) as database:
        while True:
            with database.read() as session:
                statement = select(func.count()).where(Job.finished_at.is_(None))
                if not session.scalar(statement):
                    return
            time.sleep(0.1)


def mixed(machine: Machine, photos: list[Path], sizes: Sizes, figures: Figures) -> None:
    """Searches of four clients, idle and while listings are enqueued and embedded."""
    url = f"{machine.url}/v1/searches"
    idle, busy = (photos[-part * sizes.searches :][: sizes.searches] for part in (1, 2))
    figures.rows.append(Row.of("idle", 4, called(Plan(url=url, clients=4, photos=idle))))
    begun = time.perf_counter()
    enqueuing = threading.Thread(target=enqueue, args=(machine, photos, sizes.enqueued))
    enqueuing.start()
    time.sleep(1)
    loads = Row.of("while listings come", 4, called(Plan(url=url, clients=4, photos=busy)))
    enqueuing.join()
    drain(machine)
    figures.rows.append(loads)
    figures.enqueued = sizes.enqueued
    figures.enqueued_s = round(time.perf_counter() - begun, 1)


def enqueue(machine: Machine, photos: list[Path], number: int) -> None:
    """Create so many listings, each with a photo, in bulk."""
    address = urlsplit(machine.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=300)
    for start in range(0, number, BATCH_ROWS):
        names = [f"p{number}" for number in range(start, start + BATCH_ROWS)]
        rows = "\n".join(json.dumps({"title": name, "photos": [name]}) for name in names)
        parts = [("listings", "application/x-ndjson", rows.encode())]
        for place, name in enumerate(names, start=start):
            parts.append((name, "image/jpeg", photos[place % len(photos)].read_bytes()))
        body = b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            f"Content-Type: {kind}\r\n\r\n".encode()
            + content
            + b"\r\n"
            for name, kind, content in parts
        )
        connection.request(
            "POST",
            "/v1/listings:batch",
            body + b"--b--\r\n",
            {"Content-Type": "multipart/form-data; boundary=b"},
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != HTTPStatus.ACCEPTED:
            raise SetupError(f"A batch was answered with {answer.status}.")


def waiting_share(machine: Machine, photos: list[Path]) -> float:
    """The share of a core that the API takes while many clients wait and nothing is answered."""
    search = [one for one in psutil.process_iter() if _is(one, "worker search", machine)]
    (api,) = (one for one in psutil.process_iter() if _is(one, "api", machine))
    url = f"{machine.url}/v1/searches"
    plan = Plan(url=url, clients=WAITING_CLIENTS, photos=photos[:WAITING_CLIENTS], wait_s=30)
    for process in search:
        process.send_signal(signal.SIGSTOP)
    try:
        clients = threading.Thread(target=called, args=(plan,))
        clients.start()
        time.sleep(4)
        before = sum(api.cpu_times()[:2])
        time.sleep(WAIT_S)
        used = sum(api.cpu_times()[:2]) - before
    finally:
        for process in search:
            process.send_signal(signal.SIGCONT)
    clients.join()
    return round(used / WAIT_S, 4)


def _is(process: psutil.Process, command: str, machine: Machine) -> bool:
    try:
        if not " ".join(process.cmdline()).endswith(f"marketlens {command}"):
            return False
        data_dir = process.environ().get("MARKETLENS_DATA_DIR")
    except psutil.Error:
        return False
    return data_dir == str(machine.settings.data_dir)


def bare_speed(settings: Settings, spec: EncoderSpec, photos: list[Path]) -> float:
    """Photos a second from files to vectors of an encoder alone."""
    threads = len(os.sched_getaffinity(0))
    library = library_of(settings)
    encoder = open_encoder(
        library, spec, threads, lambda base: open_encoder(library, base, threads)
    )
    files = [path.read_bytes() for path in photos[: 12 * BATCH]]
    encoder.embed([decode(file) for file in files[:BATCH]])
    begun = time.perf_counter()
    for start in range(0, len(files), BATCH):
        encoder.embed([decode(file) for file in files[start : start + BATCH]])
    return len(files) / (time.perf_counter() - begun)


@contextmanager
def on_postgresql(data: Path, folder: Path, weights: Path | None) -> Iterator[Machine]:
    """A machine on PostgreSQL, whose commits are durable, with the feed."""
    with postgres_server(durable=True) as url:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE DATABASE marketlens"))
        engine.dispose()
        settings = Settings(
            data_dir=folder / "data-postgresql",
            database_url=url.replace("/postgres?", "/marketlens?"),
            port=free_port("127.0.0.1", 8960),
            weights=weights,
            auto_optimise=False,
            encoder="hog",
        )
        with machine_up(settings, say) as machine:
            machine.wait_until_ready()
            seconds_of("seed", str(data), machine=machine)
            yield machine


if __name__ == "__main__":
    typer.run(main)
