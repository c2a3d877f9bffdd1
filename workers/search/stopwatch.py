"""How long each part of a job takes."""

from time import perf_counter


class Stopwatch:
    """Milliseconds spent in each named part of a job."""

    def __init__(self, queued_ms: float) -> None:
        self._took_ms = {"queue": round(queued_ms, 1)}
        self._started = self._lap = perf_counter()

    def lap(self, part: str) -> None:
        """Add the time since the last lap to `part`."""
        now = perf_counter()
        self._took_ms[part] = round(self._took_ms.get(part, 0.0) + (now - self._lap) * 1e3, 1)
        self._lap = now

    def stop(self) -> dict[str, float]:
        """The parts, with the `total` from the job's acceptance to now."""
        total = self._took_ms["queue"] + (perf_counter() - self._started) * 1e3
        return {**self._took_ms, "total": round(total, 1)}
