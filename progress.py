"""Named progress bars on one console."""

from time import monotonic
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

# Drawing takes longer than most of the steps that are counted.
DRAW_EVERY_S = 0.1


class Bars:
    """Named bars on one console. A context manager: drawing stops when it exits.

    By default they are drawn on standard error, so that standard output is the command's report.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._drawn: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            _Amount(),
            _Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console or Console(stderr=True),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # Stopping without a bar would print an empty line.
        if self._progress.tasks:
            self._progress.stop()

    def show(self, name: str, done: int, total: int, *, in_bytes: bool = False) -> None:
        """Move the bar of this name, adding it when it is new."""
        now = monotonic()
        if done < total and now - self._drawn.get(name, 0) < DRAW_EVERY_S:
            return
        self._drawn[name] = now
        for task in self._progress.tasks:
            if task.description == name:
                self._progress.update(task.id, completed=done, total=total)
                return
        self._progress.start()
        self._progress.add_task(name, completed=done, total=total, in_bytes=in_bytes)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bars."""
        self._progress.console.print(sentence, highlight=False, markup=False)


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        done, total = int(task.completed), int(task.total or 0)
        if task.fields["in_bytes"]:
            return Text(f"{decimal(done)}/{decimal(total)}")
        return Text(f"{done:,}/{total:,}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{decimal(int(speed))}/s" if task.fields["in_bytes"] else f"{speed:,.0f}/s")
