"""What can be counted, measured and set; made of prometheus_client's metrics when first used.

An instrument is stated once, at import, which does nothing: whether its values are this
process' own or a machine's is decided by `begin`, when the process starts.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import ClassVar, Final, Generic, Literal, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from observability.allocated_files import AllocatedDict
from observability.slots import Slot

log = logging.getLogger(__name__)

Mode = Literal["livesum", "livemax"]
"""How a gauge's values of several processes become one."""

T = TypeVar("T", bound=MetricWrapperBase)

Values = dict[tuple[str, ...], float]
"""Numbers by the values of their labels."""

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks for the folder of its files, whenever it makes one."""


@dataclass
class _State:
    """The values of this process, and where they are."""

    registry: CollectorRegistry
    folder: Path | None
    slot: Slot | None
    era: int = 0
    making: Lock = field(default_factory=Lock)


_state = _State(CollectorRegistry(), None, None)


def begin(folder: Path, process: str) -> None:
    """Keep what this process counts in files of `folder`, as a process of this name.

    Before anything is counted, and again in each fork. Raises OSError where the folder can't be
    written; then nothing has changed.
    """
    _release()
    slot = Slot(folder, process)
    slot.name()
    os.environ[VARIABLE] = str(folder)
    # It makes files of this name, and takes no other kind.
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]  # imported there
    _begin(values.MultiProcessValue(slot.name), folder, slot)
    for one in Instrument.stated.values():
        if isinstance(one, Counter):
            one.begin_at_zero()


def end() -> None:
    """Keep what this process counts in its memory, from zero."""
    _release()
    os.environ.pop(VARIABLE, None)
    _begin(values.MutexValue, None, None)


def folder() -> Path | None:
    """Where the values of this machine's processes are; None if there are only this one's."""
    return _state.folder


def registry() -> CollectorRegistry:
    """The values of this process alone."""
    return _state.registry


def _release() -> None:
    if _state.slot is not None:
        _state.slot.release()


def _begin(kind: type, folder: Path | None, slot: Slot | None) -> None:
    # A fork may have been made while another thread held it.
    _state.making = Lock()
    values.ValueClass = kind
    _state.registry = CollectorRegistry()
    _state.folder, _state.slot = folder, slot
    _state.era += 1


def _choose_values() -> None:
    # What decides at import is a variable, which programs inherit that count in no file.
    if _state.folder is None:
        values.ValueClass = values.MutexValue


class Instrument:
    """A name, what it tells, and the names of its labels."""

    stated: ClassVar[dict[str, "Instrument"]] = {}
    """Every instrument, by its name."""
    kind: ClassVar[str] = "gauge"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = f"marketlens_{name}"
        self.help_text = help_text
        self.labels = tuple(labels)
        self.stated[self.name] = self

    @property
    def exposed_name(self) -> str:
        """The name as Prometheus reads it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


class _Kept(Instrument, ABC, Generic[T]):
    """One whose values a process keeps."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._made: tuple[T, dict[tuple[str, ...], T]] | None = None
        self._era = -1

    @abstractmethod
    def _make(self) -> T:
        """The library's metric, in the registry of now."""

    def _at(self, labels: tuple[str, ...]) -> T:
        """Where the value of these labels is kept."""
        try:
            return self._kept_at(labels)
        except OSError as error:
            # Counting must not stop what is counted.
            log.warning("The folder of counts can't be written, they are not shown: %s", error)
            end()
            return self._kept_at(labels)

    def _kept_at(self, labels: tuple[str, ...]) -> T:
        made = self._made
        if made is None or self._era != _state.era:
            with _state.making:
                made = self._made
                if made is None or self._era != _state.era:
                    _choose_values()
                    self._made = made = (self._make(), {})
                    self._era = _state.era
        metric, children = made
        # Looked up here first: the library checks the labels each time.
        child = children.get(labels)
        if child is None:
            child = children[labels] = metric.labels(*labels) if labels else metric
        return child


class Counter(_Kept[prometheus_client.Counter]):
    """Counts what happens.

    Where the values of labels are `known`, they count from 0 on: a rate needs two values, and what
    comes into being with its first event has none of that.
    """

    kind = "counter"

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        *,
        known: Sequence[tuple[str, ...]] = (),
    ) -> None:
        super().__init__(name, help_text, labels)
        self._known = tuple(known) if labels else ((),)

    def begin_at_zero(self) -> None:
        """Count nothing of what is known, so that it is there."""
        for labels in self._known:
            self._at(labels)

    def count(self, *labels: str, by: float = 1) -> None:
        """Count it `by` times."""
        self._at(labels).inc(by)

    def _make(self) -> prometheus_client.Counter:
        return prometheus_client.Counter(
            self.name, self.help_text, self.labels, registry=_state.registry
        )


class Gauge(_Kept[prometheus_client.Gauge]):
    """A value that rises and falls, as long as the process runs that has set it."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), *, mode: Mode = "livemax"
    ) -> None:
        super().__init__(name, help_text, labels)
        self._mode: Mode = mode

    def set(self, value: float, *labels: str) -> None:
        """Set it."""
        self._at(labels).set(value)

    def add(self, amount: float, *labels: str) -> None:
        """Add to it."""
        self._at(labels).inc(amount)

    def _make(self) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(
            self.name,
            self.help_text,
            self.labels,
            registry=_state.registry,
            multiprocess_mode=self._mode,
        )


class Histogram(_Kept[prometheus_client.Histogram]):
    """How often a measure was at most each of its `buckets`."""

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), *, buckets: Sequence[float]
    ) -> None:
        super().__init__(name, help_text, labels)
        self.buckets = tuple(buckets)

    def observe(self, value: float, *labels: str) -> None:
        """Take in one measure."""
        self._at(labels).observe(value)

    def _make(self) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            self.name,
            self.help_text,
            self.labels,
            registry=_state.registry,
            buckets=self.buckets,
        )


class Looked(Instrument):
    """A value that is looked up when somebody asks for it, such as in the database."""

    _family: ClassVar[type[GaugeMetricFamily | CounterMetricFamily]] = GaugeMetricFamily

    def family(self, values_of: Values) -> Metric:
        """The values as Prometheus has them, by those of the labels."""
        family = self._family(self.name, self.help_text, labels=self.labels)
        for labels, value in values_of.items():
            family.add_metric(labels, value)
        return family


class LookedCount(Looked):
    """A count that is looked up, such as what the system has counted of a process."""

    kind = "counter"
    _family = CounterMetricFamily
