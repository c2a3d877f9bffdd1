"""What tests of logs, metrics and traces share."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from observability import instruments, logs
from observability.exposition import exposition
from observability.options import Observing

_SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class LoggedLines:
    """What was logged as JSON."""

    def __init__(self) -> None:
        self.stream = StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def logged(observing: Observing | None = None) -> Iterator[LoggedLines]:
    """Logs as a process does, to be read; afterwards as before."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, threading.excepthook
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    found = LoggedLines()
    try:
        logs.set_up_logging("test", observing or Observing(log_format="json"), found.stream)
        yield found
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        threading.excepthook = hook
        logging.captureWarnings(capture=False)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


@contextmanager
def counted_in(folder: Path, process: str = "test") -> Iterator[None]:
    """Counts in files, as the processes of a machine do."""
    instruments.begin(folder, process)
    try:
        yield
    finally:
        instruments.end()


def samples(text: bytes) -> Samples:
    """The values of a text of Prometheus, by name and labels."""
    found: Samples = {}
    for line in text.decode().splitlines():
        if not line.startswith("#") and (match := _SAMPLE.fullmatch(line)):
            labels = frozenset(_LABEL.findall(match["labels"] or ""))
            found[match["name"], labels] = float(match["value"])
    return found


def counted(name: str, folder: Path | None = None, **labels: str) -> float:
    """A value of this process, or of all that count in a folder; 0 if nobody has counted it."""
    found = samples(exposition(folder))
    return found.get((f"marketlens_{name}", frozenset(labels.items())), 0.0)
