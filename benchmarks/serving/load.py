"""Clients that call a server as fast as it answers, in a process of their own.

    python -m benchmarks.serving.load < plan.json

The plan names a URL, a number of clients, and requests; each client takes the next one when its
last was answered. Prints the seconds of each request, its status, and the seconds of all.
"""

import http.client
import json
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from subprocess import run
from threading import local
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

import numpy as np
from pydantic import BaseModel

BOUNDARY: Final = "marketlens"
TIMEOUT_S: Final = 300


class Plan(BaseModel):
    """What to call. Each of `photos` (files) or `bodies` (JSON) is one request; `wait_s` is asked
    for by `Prefer`, if it is not 0.
    """

    url: str
    clients: int
    photos: list[Path] = []
    bodies: list[dict[str, object]] = []
    wait_s: int = 30


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: milliseconds of each request, requests a second, counts of statuses.

    `stages` are the median milliseconds of each part of a search, where the server says so.
    """

    milliseconds: tuple[float, ...]
    per_second: float
    statuses: dict[str, int]
    stages: dict[str, float]

    def percentile(self, share: float) -> float:
        """A percentile of the milliseconds."""
        return float(np.percentile(self.milliseconds, share))


def called(plan: Plan) -> Load:
    """Run the plan in another process."""
    command = [sys.executable, "-m", "benchmarks.serving.load"]
    done = run(command, input=plan.model_dump_json(), capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return Load(
        tuple(answer["milliseconds"]), answer["per_second"], answer["statuses"], answer["stages"]
    )


def main(plan: Plan) -> None:
    """Make all requests, and print what came of them."""
    address = urlsplit(plan.url)
    requests = [_form(path.read_bytes()) for path in plan.photos]
    requests += [_json(body) for body in plan.bodies]
    connections, numbers = local(), count()

    def client(_: int) -> list[tuple[float, int, bytes]]:
        answered: list[tuple[float, int, bytes]] = []
        for number in numbers:
            if number >= len(requests):
                return answered
            body, headers = requests[number]
            if plan.wait_s:
                headers = {**headers, "Prefer": f"wait={plan.wait_s}"}
            if not hasattr(connections, "kept"):
                connections.kept = http.client.HTTPConnection(
                    address.hostname or "", address.port, timeout=TIMEOUT_S
                )
            begun = perf_counter()
            connections.kept.request("POST", address.path, body, headers)
            response = connections.kept.getresponse()
            read = response.read()
            answered.append((perf_counter() - begun, response.status, read))
        return answered

    begun = perf_counter()
    with ThreadPoolExecutor(plan.clients) as threads:
        answers = [one for some in threads.map(client, range(plan.clients)) for one in some]
    seconds = perf_counter() - begun
    print(
        json.dumps(
            {
                "milliseconds": [1e3 * taken for taken, _, _ in answers],
                "per_second": len(answers) / seconds,
                "statuses": Counter(str(status) for _, status, _ in answers),
                "stages": _stages([json.loads(body) for *_, body in answers]),
            }
        )
    )


def _stages(answers: Sequence[object]) -> dict[str, float]:
    took: dict[str, list[float]] = {}
    for answer in answers:
        result = answer.get("result") if isinstance(answer, dict) else None
        for part, milliseconds in (result or {}).get("took_ms", {}).items():
            took.setdefault(part, []).append(milliseconds)
    return {part: round(median(values), 1) for part, values in took.items()}


def _form(photo: bytes) -> tuple[bytes, dict[str, str]]:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def _json(body: dict[str, object]) -> tuple[bytes, dict[str, str]]:
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def split(items: Sequence[Path], parts: int) -> list[list[Path]]:
    """The items in so many parts of equal size, none in two."""
    size = len(items) // parts
    return [list(items[part * size : (part + 1) * size]) for part in range(parts)]


if __name__ == "__main__":
    main(Plan.model_validate_json(sys.stdin.read()))
