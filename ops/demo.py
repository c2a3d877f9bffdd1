"""The demo: a sample catalogue, a running machine, and a photo search over HTTP."""

import csv
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from command_line.resources import database_of
from db.catalogue.listing_photos import count_photos
from db.catalogue.listings import count_listings, feed_size
from db.session import Database
from db.tables import Encoder
from db.vectors.encoders import active_encoder
from models.domain.errors import SetupError
from models.domain.job_results.searches import SearchResult
from models.encoders.library import EncoderLibrary
from ops.machine import Machine, machine_up
from ops.processes import marketlens_command
from settings import Settings
from workers.encoders.active_encoder import ensure_active_encoder, force_configured_encoder

LISTINGS = 39
SEED = 7
RESULTS_SHOWN = 5
SEARCH_TIMEOUT_S = 60
SEARCHES_AT_ONCE = 2
HELD_S = 30


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A photo of a listing that is not in the catalogue, to search with."""

    listing_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Found:
    """A search's result, and its duration as the caller measured it."""

    result: SearchResult
    took_ms: float

    @property
    def top1(self) -> str | None:
        """The first listing found."""
        results = self.result.results
        return str(results[0].listing_id) if results else None


def choose_encoder(
    feed: str, database: Database, library: EncoderLibrary, models_dir: Path, now: datetime
) -> Encoder:
    """Activate the settings' encoder at once if all listings are of the demo's feed.

    With other listings, only `encoder migrate` changes the active encoder.
    """
    with database.read() as session:
        is_demo = count_listings(session) == feed_size(session, feed)[0]
        active = active_encoder(session)
    may_stay = active is not None and library.may_stay(active.spec)
    choose = force_configured_encoder if is_demo and not may_stay else ensure_active_encoder
    return choose(database, library, models_dir, now)


@contextmanager
def demo_machine(settings: Settings, console: Console) -> Iterator[tuple[Machine, Path]]:
    """A running machine with the sample catalogue seeded and searchable."""
    sample = settings.data_dir / f"sample-{LISTINGS}-{SEED}"
    choose = partial(choose_encoder, sample.name)
    say = partial(console.print, markup=False)
    with machine_up(settings, say, choose) as machine:
        if not sample.exists():
            options = ("--listings", str(LISTINGS), "--seed", str(SEED))
            _run(machine.environment, "sample", str(sample), *options)
        machine.wait_until_ready()
        _run(machine.environment, "seed", str(sample))
        yield machine, sample


def _run(environment: dict[str, str], *arguments: str) -> None:
    """Run a command in a process of its own, with its progress bars in this terminal."""
    done = subprocess.run(  # noqa: S603 - the command is our own
        marketlens_command(*arguments), env=environment, check=False
    )
    if done.returncode:
        raise SetupError(f"`marketlens {' '.join(arguments)}` failed.")


def held_out_views(sample: Path) -> list[HeldOut]:
    """The held-out view of every listing of a sample, in the catalogue's order."""
    with (sample / "Products.csv").open(newline="\n", encoding="utf-8") as file:
        # The csv module takes bare carriage returns in the feed's text for line ends.
        rows = csv.DictReader(line.replace("\r", " ") for line in file)
        ids = [row["id"] for row in rows]
    return [HeldOut(listing_id, sample / "held_out" / f"{listing_id}.jpg") for listing_id in ids]


def search(client: httpx2.Client, photo: Path, held_s: int = 0) -> Found:
    """Submit a photo and poll until its search has ended; the server may hold it `held_s`."""
    started = time.perf_counter()
    files = {"photo": (photo.name, photo.read_bytes(), "image/jpeg")}
    response = client.post("/v1/searches", files=files, headers={"Prefer": f"wait={held_s}"})
    response.raise_for_status()
    place = response.headers["Location"]
    job = response.json()
    while job["status"] in {"queued", "running"}:
        if time.perf_counter() - started > SEARCH_TIMEOUT_S:
            raise SetupError(f"A search took longer than {SEARCH_TIMEOUT_S} s.")
        time.sleep(0.01)
        job = client.get(place).raise_for_status().json()
    if job["status"] != "succeeded":
        raise SetupError(f"The search {job['status']}: {job['error']}.")
    result = SearchResult.model_validate(job["result"])
    return Found(result, round((time.perf_counter() - started) * 1e3, 1))


def recall_at_1(client: httpx2.Client, views: list[HeldOut], console: Console) -> float:
    """The share of held-out views whose own listing is found first."""

    def hits(view: HeldOut) -> bool:
        return search(client, view.path, held_s=HELD_S).top1 == view.listing_id

    with ThreadPoolExecutor(SEARCHES_AT_ONCE) as pool:
        searches = pool.map(hits, views)
        found = track(
            searches, "Searching by every held-out view", total=len(views), console=console
        )
        return sum(found) / len(views)


def result_table(found: Found, expected: str) -> Table:
    """The results of a search as a table; the listing that was searched for is marked."""
    encoder = found.result.encoder
    title = f"Listings that look like the photo (encoder {encoder})"
    if encoder is not None and encoder.startswith("hog"):
        title += "\nhog needs no weights and is a baseline: networks find more"
    table = Table(title=title)
    table.add_column("similarity", justify="right")
    table.add_column("title")
    table.add_column("price", justify="right")
    table.add_column("category")
    for row in found.result.results[:RESULTS_SHOWN]:
        mark = "[green]✔[/green] " if str(row.listing_id) == expected else "  "
        price = "-" if row.price is None else f"{row.price} {row.currency}"
        table.add_row(f"{row.similarity:.3f}", mark + row.title, price, row.category)
    return table


def run_demo(settings: Settings, console: Console, *, once: bool) -> None:
    """Show the main job end to end, then serve until Ctrl-C; `once` ends after the search."""
    with demo_machine(settings, console) as (machine, sample):
        views = held_out_views(sample)
        with httpx2.Client(base_url=machine.url, timeout=SEARCH_TIMEOUT_S) as client:
            found = search(client, views[0].path)
            console.print(result_table(found, views[0].listing_id))
            recall = recall_at_1(client, views, console)
        console.print(f"Found first by its held-out view: {recall:.0%} of {len(views)} listings.")
        console.print(
            f"Page: {machine.url}/   API: {machine.url}/docs", highlight=False, markup=False
        )
        if once:
            summary = _summary(machine.settings, found, views[0].listing_id, recall)
            console.file.write(json.dumps(summary) + "\n")
            return
        console.print("Serving until Ctrl-C.")
        machine.serve()


def _summary(settings: Settings, found: Found, expected: str, recall: float) -> dict[str, object]:
    with database_of(settings) as database, database.read() as session:
        listings, images = count_listings(session), count_photos(session)
    return {
        "listings": listings,
        "images": images,
        "generation": found.result.generation,
        "encoder": found.result.encoder,
        "search_ms": found.took_ms,
        "results": len(found.result.results),
        "top1": found.top1,
        "expected": expected,
        "recall_at_1": round(recall, 4),
    }
