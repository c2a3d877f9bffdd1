"""What logs, counts and ids cost a search: two machines, asked in turns in one run.

    python -m benchmarks.observability [--checkout FOLDER] [--rounds 12] [--seconds 10] [--traces]

Both serve the same drawn sample. One is this checkout as it is by default; the other has
`MARKETLENS_METRICS=false`, or is another checkout, such as of the release before. In each round
each is asked for `--seconds` by `--clients` connections that wait for each answer, in the other
order every time. Said are searches a second, the median time of one, and the processor time that
all processes of a machine took for one: that is the same on a busy machine, too.
"""

import argparse
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median, stdev
from typing import Final

import httpx2
import psutil

from command_line.addresses import free_port
from ops.processes import marketlens_command

HERE: Final = Path(__file__).resolve().parent.parent
READY_WITHIN_S: Final = 600
LISTINGS: Final = 60


@dataclass
class Machine:
    """A running machine, and what was measured of it, a value for each round."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    rate: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far."""
        spent = 0.0
        for process in psutil.Process(self.process.pid).children(recursive=True):
            times = process.cpu_times()
            spent += times.user + times.system
        return spent


@contextmanager
def machine(name: str, checkout: Path, sample: Path, settings: dict[str, str]) -> Iterator[Machine]:
    """A machine of this checkout with the sample in it."""
    with tempfile.TemporaryDirectory(prefix="ml-") as data_dir:
        port = free_port("127.0.0.1", 8470)
        environment = {
            **os.environ,
            "MARKETLENS_DATA_DIR": data_dir,
            "MARKETLENS_PORT": str(port),
            **settings,
        }
        process = subprocess.Popen(
            marketlens_command("up"), cwd=checkout, env=environment, stdout=subprocess.DEVNULL
        )
        try:
            found = Machine(name, f"http://127.0.0.1:{port}", process)
            _wait_until_ready(found)
            seed = marketlens_command("seed", str(sample))
            subprocess.run(
                seed, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL
            )
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _wait_until_ready(found: Machine) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        try:
            if httpx2.get(f"{found.url}/readyz", timeout=5).status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{found.name} is not ready")


def ask(found: Machine, photos: list[bytes], seconds: float, clients: int) -> None:
    """Search for so long, and add what was measured."""
    end = time.monotonic() + seconds

    def run(number: int) -> list[float]:
        took: list[float] = []
        with httpx2.Client(base_url=found.url, timeout=60) as client:
            while time.monotonic() < end:
                photo = photos[(number + len(took)) % len(photos)]
                began = time.perf_counter()
                response = client.post(
                    "/v1/searches",
                    files={"photo": ("photo.jpg", photo, "image/jpeg")},
                    headers={"Prefer": "wait=30"},
                )
                response.raise_for_status()
                took.append((time.perf_counter() - began) * 1e3)
        return took

    before, began = found.cpu_s(), time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        took = [one for of_client in pool.map(run, range(clients)) for one in of_client]
    elapsed = time.monotonic() - began
    found.rate.append(len(took) / elapsed)
    found.p50_ms.append(median(took))
    found.cpu_ms.append((found.cpu_s() - before) / len(took) * 1e3)


def say(measure: str, with_it: list[float], without: list[float]) -> None:
    """The medians, and by how much they differ from round to round."""
    shares = [one / other - 1 for one, other in zip(with_it, without, strict=True)]
    error = stdev(shares) / len(shares) ** 0.5
    print(
        f"{measure:28} with {median(with_it):8.2f}  without {median(without):8.2f}  "
        f"difference {mean(shares):+.1%} ± {1.96 * error:.1%}, median {median(shares):+.1%}"
    )


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, help="what is compared with")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--traces", action="store_true", help="also trace, to where nobody listens")
    options = parser.parse_args()
    traced = {"MARKETLENS_TRACES_URL": "http://127.0.0.1:9"} if options.traces else {}
    without = {} if options.checkout else {"MARKETLENS_METRICS": "false"}
    with ExitStack() as stack:
        sample = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "sample"
        draw = ("sample", str(sample), "--listings", str(LISTINGS), "--seed", "3")
        subprocess.run(marketlens_command(*draw), cwd=HERE, check=True, stdout=subprocess.DEVNULL)
        photos = [path.read_bytes() for path in sorted((sample / "held_out").glob("*.jpg"))]
        pair = (
            stack.enter_context(machine("with", HERE, sample, traced)),
            stack.enter_context(machine("without", options.checkout or HERE, sample, without)),
        )
        for found in pair:
            ask(found, photos, options.seconds, options.clients)
            for measured in (found.rate, found.p50_ms, found.cpu_ms):
                measured.clear()
        for number in range(options.rounds):
            for found in pair if number % 2 else reversed(pair):
                ask(found, photos, options.seconds, options.clients)
        for measure, name in (
            ("searches a second", "rate"),
            ("median time of one, ms", "p50_ms"),
            ("processor time of one, ms", "cpu_ms"),
        ):
            say(measure, *(getattr(found, name) for found in pair))


if __name__ == "__main__":
    main()
