"""What a process has to know to tell of itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LogFormat = Literal["auto", "json", "text"]


@dataclass(frozen=True, slots=True)
class Observing:
    """How a process logs, counts and traces.

    `metrics_dir` is where the processes of a machine keep their counts, None if they keep none.
    `traces_url` is that of an OpenTelemetry collector, None if nothing is traced. `secrets` are
    replaced wherever they would be logged.
    """

    log_level: str = "INFO"
    log_format: LogFormat = "auto"
    metrics_dir: Path | None = None
    traces_url: str | None = None
    secrets: frozenset[str] = frozenset()
