"""How long each part of answering takes."""

from time import perf_counter


class Stopwatch:
    """Milliseconds spent in each named part, since it was made."""

    def __init__(self) -> None:
        self._took_ms: dict[str, float] = {}
        self._started = self._lap = perf_counter()

    def lap(self, part: str) -> None:
        """Add the time since the last lap to `part`."""
        now = perf_counter()
        self._took_ms[part] = self._took_ms.get(part, 0.0) + (now - self._lap) * 1e3
        self._lap = now

    def took_ms(self, queued_ms: float) -> dict[str, float]:
        """The parts, with the `queue` before and the `total` up to now."""
        # Two processes' notions of the database's time differ by less than a millisecond.
        queued_ms = max(queued_ms, 0.0)
        total = queued_ms + (perf_counter() - self._started) * 1e3
        parts = {"queue": queued_ms, **self._took_ms, "total": total}
        return {part: round(taken, 1) for part, taken in parts.items()}
