"""Clients that ask for searches at a rate of their own, whatever is answered, in another process.

    python -m tests.support.flood < plan.json

Unlike clients that ask again once they are answered, these do not slow down with the server. Each
waits for its answer within its request (`Prefer: wait`). Prints an `Answer` for each, as JSON.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from subprocess import PIPE, Popen
from time import monotonic
from typing import Final, NamedTuple

import aiohttp
from pydantic import BaseModel

WAIT_S: Final = 30
TIMEOUT_S: Final = 120
MOST_OPEN: Final = 900
"""Requests under way at most: for more there would be no descriptors."""
NO_ANSWER: Final = 0


class Plan(BaseModel):
    """Ask so often a second, for so long, each time with the next of `photos` (files).

    With `closed` so many clients, each asks again when it was answered, instead of a rate.
    """

    url: str
    photos: list[Path]
    seconds: float
    per_second: float = 0
    clients: int = 0


class Answer(NamedTuple):
    """When a request was sent (of `time.monotonic`), how long it took, and what it was answered."""

    at: float
    took_s: float
    status: int
    retry_after_s: int
    job: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a flood."""

    all: Sequence[Answer]

    def of(self, *statuses: int) -> list[Answer]:
        """Those with one of these statuses."""
        return [answer for answer in self.all if answer.status in statuses]

    @property
    def per_second(self) -> float:
        """Searches answered a second, from the first request's to the last one's time."""
        times = [answer.at for answer in self.all]
        answered = [one for one in self.of(200) if one.at + one.took_s <= max(times)]
        return len(answered) / (max(times) - min(times))


def percentile(seconds: Sequence[float], share: float) -> float:
    """The percentile of some seconds; 0 of none."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@contextmanager
def flooding(plan: Plan) -> Iterator["Popen[str]"]:
    """Run a plan in the background, until it ends or the block does."""
    command = [sys.executable, "-m", "tests.support.flood"]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin
        process.stdin.write(plan.model_dump_json())
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            process.kill()


def flooded(plan: Plan) -> Answers:
    """Run a plan, and give what came of it."""
    with flooding(plan) as process:
        return answers_of(process)


def answers_of(process: "Popen[str]") -> Answers:
    """What came of a plan, once it has ended."""
    out, _ = process.communicate()
    assert process.returncode == 0
    return Answers([Answer(*answer) for answer in json.loads(out)])


class _Flood:
    def __init__(self, plan: Plan, http: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._http = http
        self._bodies = cycle([path.read_bytes() for path in plan.photos])
        self._answers: deque[Answer] = deque()
        self._open = 0

    async def run(self) -> list[Answer]:
        ends_at = monotonic() + self._plan.seconds
        async with asyncio.TaskGroup() as tasks:
            if self._plan.clients:
                for _ in range(self._plan.clients):
                    tasks.create_task(self._ask_until(ends_at))
            else:
                await self._ask_at_rate(tasks, ends_at)
        return list(self._answers)

    async def _ask_until(self, ends_at: float) -> None:
        while monotonic() < ends_at:
            await self._ask()

    async def _ask_at_rate(self, tasks: asyncio.TaskGroup, ends_at: float) -> None:
        began, sent = monotonic(), 0
        while (now := monotonic()) < ends_at:
            while sent < (now - began) * self._plan.per_second:
                sent += 1
                if self._open < MOST_OPEN:
                    tasks.create_task(self._ask())
            await asyncio.sleep(0.005)

    async def _ask(self) -> None:
        self._open += 1
        began = monotonic()
        status, retry_after_s, job = NO_ANSWER, 0, ""
        headers = {"Content-Type": "image/jpeg", "Prefer": f"wait={WAIT_S}"}
        try:
            async with self._http.post(
                self._plan.url, data=next(self._bodies), headers=headers
            ) as answer:
                await answer.read()
                status, job = answer.status, answer.headers.get("Location", "")
                retry_after_s = int(answer.headers.get("Retry-After", 0))
        except (aiohttp.ClientError, TimeoutError):
            pass
        self._answers.append(Answer(began, monotonic() - began, status, retry_after_s, job))
        self._open -= 1


async def main(plan: Plan) -> None:
    """Run the plan, and print what came of it."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
    ) as http:
        sys.stdout.write(json.dumps(await _Flood(plan, http).run()))


if __name__ == "__main__":
    asyncio.run(main(Plan.model_validate_json(sys.stdin.read())))
