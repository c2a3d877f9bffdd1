"""What a running machine needs: memory by process, the sizes of its database and photo store."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
import psutil
from sqlalchemy import func, select, text

from db.tables import Job, Listing, Photo
from ops.processes import PROCESSES
from tests.support.loaded_machine import LoadedMachine

mpl.use("Agg")
import matplotlib.pyplot as plt

MB = 1e6
NAMES = (*(spec.name for spec in PROCESSES), "redis")


@dataclass(frozen=True, slots=True)
class Use:
    """At one moment: megabytes by process, its children included, and what is stored."""

    at_s: float
    memory_mb: dict[str, float]
    database_mb: float
    store_mb: float
    rows: dict[str, int]


@dataclass
class UseOverTime:
    """Samples of a machine that is under load."""

    loaded: LoadedMachine
    began_at: float = field(default_factory=time.monotonic)
    samples: list[Use] = field(default_factory=list)
    kills: list[tuple[float, str]] = field(default_factory=list)

    def sample(self) -> None:
        """Look once."""
        self.samples.append(
            Use(
                time.monotonic() - self.began_at,
                {name: self._memory_mb(name) for name in NAMES},
                self._database_mb(),
                _folder_mb(Path(self.loaded.machine.settings.photo_store_url)),
                self._rows(),
            )
        )

    def killed(self, name: str) -> None:
        """Write down that a process was killed."""
        self.kills.append((time.monotonic() - self.began_at, name))

    def growth(self, name: str) -> float:
        """A process' largest memory in the last third of the time, over that in the second."""
        memory = [use.memory_mb[name] for use in self.samples]
        third = len(memory) // 3
        return max(memory[2 * third :]) / max(memory[third : 2 * third])

    def draw(self, file: Path, title: str) -> None:
        """Draw it into a file."""
        minutes = [use.at_s / 60 for use in self.samples]
        figure, (memory, stored, rows) = plt.subplots(
            3, 1, figsize=(9, 10), sharex=True, layout="constrained"
        )
        for name in NAMES:
            memory.plot(minutes, [use.memory_mb[name] for use in self.samples], label=name)
        memory.set(title=title, ylabel="memory of its own, MB", ylim=(0, None))
        for at_s, _ in self.kills:
            memory.axvline(at_s / 60, color="grey", alpha=0.2, linewidth=0.8)
        stored.plot(minutes, [use.database_mb for use in self.samples], label="database")
        stored.plot(minutes, [use.store_mb for use in self.samples], label="photo store")
        stored.set(ylabel="MB", ylim=(0, None))
        for name in self.samples[0].rows:
            rows.plot(minutes, [use.rows[name] for use in self.samples], label=name)
        rows.set(ylabel="rows", xlabel="minutes", ylim=(0, None))
        for axes in (memory, stored, rows):
            axes.grid(visible=True, alpha=0.3)
            axes.legend(fontsize="small")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
        plt.close(figure)

    def _memory_mb(self, name: str) -> float:
        total = 0
        try:
            process = psutil.Process(self.loaded.machine.supervisor.process_of(name).pid)
            for each in (process, *process.children(recursive=True)):
                total += each.memory_full_info().uss
        except psutil.NoSuchProcess:
            pass
        return total / MB

    def _database_mb(self) -> float:
        engine = self.loaded.database.engine
        if engine.dialect.name == "sqlite":
            file = Path(str(engine.url.database))
            return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*")) / MB
        with self.loaded.database.read() as session:
            size = session.scalar(text("SELECT pg_database_size(current_database())"))
        return float(size or 0) / MB

    def _rows(self) -> dict[str, int]:
        with self.loaded.database.read() as session:
            return {
                table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
                for table in (Job, Listing, Photo)
            }


def _folder_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MB


def peaks(samples: Sequence[Use]) -> dict[str, int]:
    """The largest memory of each process, in megabytes."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for use in samples:
        for name, memory in use.memory_mb.items():
            by_name[name].append(memory)
    return {name: round(float(np.max(each))) for name, each in by_name.items()}
