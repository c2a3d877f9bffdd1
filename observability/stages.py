"""The stages of the job that a thread does, in milliseconds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter


class Stages:
    """Milliseconds spent in each named stage, since it was made."""

    def __init__(self) -> None:
        self._took_ms: dict[str, float] = {}
        self.outcome: str | None = None
        """How the attempt has ended, where whoever does it knows better than who has called it."""
        self._began = self._lap = perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to `stage`."""
        now = perf_counter()
        self._took_ms[stage] = self._took_ms.get(stage, 0.0) + (now - self._lap) * 1e3
        self._lap = now

    @property
    def total_ms(self) -> float:
        """All milliseconds since it was made."""
        return (perf_counter() - self._began) * 1e3

    @property
    def took_ms(self) -> dict[str, float]:
        """The stages, in the order in which they were first left."""
        return dict(self._took_ms)


_current: ContextVar[Stages | None] = ContextVar("stages", default=None)


@contextmanager
def recording() -> Iterator[Stages]:
    """Have `lap` record into what this gives."""
    stages = Stages()
    token = _current.set(stages)
    try:
        yield stages
    finally:
        _current.reset(token)


def lap(stage: str) -> None:
    """A stage of the current job has ended; nothing where no job is recorded."""
    if (stages := _current.get()) is not None:
        stages.lap(stage)


def end_as(outcome: str) -> None:
    """Say how the current attempt at a job has ended; what was said first counts."""
    stages = _current.get()
    if stages is not None and stages.outcome is None:
        stages.outcome = outcome


def sentence(took_ms: Mapping[str, float]) -> str:
    """The stages in a few words: `queue 12 ms, embed 340 ms`."""
    return ", ".join(f"{stage} {taken:,.0f} ms" for stage, taken in took_ms.items())
