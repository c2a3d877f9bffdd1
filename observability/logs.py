"""Sets up logging: a line of JSON an event, or text where a person reads along.

All of it is the standard library's loggers, those of uvicorn and Celery included; structlog renders
their records.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from observability.context import ids
from observability.options import LogFormat, Observing
from observability.redaction import Redaction

QUIET: Final = {
    # Two lines for every message, probes included, that ours make redundant.
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    # A line whenever a caller states an id that is not taken: anybody could fill the log.
    "asgi_correlation_id": logging.ERROR,
    "httpcore2": logging.INFO,
    "opentelemetry": logging.ERROR,
}
"""The lowest level of loggers that say too much."""
_FIRST: Final = ("time", "level", "event", "logger")
"""The fields that a line begins with: some read it as it is."""


def _with_ids(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    del logger, method
    event.update(ids())
    return event


_BEFORE: Final[Sequence[Processor]] = (
    _with_ids,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)


def set_up_logging(process: str, observing: Observing, stream: TextIO | None = None) -> None:
    """Log to `stream`, standard error by default, as the process of this name."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    is_text = _is_text(observing.log_format, stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_BEFORE,
            processors=_rendering(process, Redaction(observing.secrets), is_text=is_text),
        )
    )
    root = logging.getLogger()
    for other in root.handlers[:]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(observing.log_level)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_broken_thread


def _is_text(form: LogFormat, stream: TextIO) -> bool:
    return form == "text" or (form == "auto" and stream.isatty())


def _rendering(process: str, redaction: Redaction, *, is_text: bool) -> Sequence[Processor]:
    if is_text:
        return (
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Not rich's traceback, which shows the values of variables.
            structlog.processors.ExceptionRenderer(),
            _redacted(redaction),
            structlog.dev.ConsoleRenderer(timestamp_key="time", colors=sys.stderr.isatty()),
        )
    return (
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _named(process),
        _redacted(redaction),
        structlog.processors.JSONRenderer(_as_json),
    )


def _named(process: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        del logger, method
        # uvicorn's event again, for a terminal.
        event.pop("color_message", None)
        first = {name: event.pop(name) for name in _FIRST if name in event}
        return {**first, "process": process, "pid": os.getpid(), **event}

    return add


def _redacted(redaction: Redaction) -> Processor:
    def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        del logger, method
        for name, value in event.items():
            if isinstance(value, str):
                event[name] = redaction(value)
        return event

    return redact


def _as_json(event: object, *, default: Callable[[object], object]) -> str:
    # Values that JSON has no form for, such as ids, as their text. All of it as ASCII: some readers
    # take other characters than a line feed for the end of a line.
    del default
    return json.dumps(event, default=str)


def _log_broken_thread(broken: threading.ExceptHookArgs) -> None:
    if broken.exc_type is SystemExit or broken.exc_value is None:
        return
    name = broken.thread.name if broken.thread else "?"
    logging.getLogger(__name__).error("thread %s broke", name, exc_info=broken.exc_value)
