"""Progress bars, one for each thing that is counted."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bars:
    """Named bars on one console. Use it as a context: they live until it ends."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # With nothing shown there is nothing to end: it would only print an empty line.
        if self._progress.tasks:
            self._progress.stop()

    def show(self, name: str, done: int, total: int) -> None:
        """Move the bar of this name, adding it when it is new."""
        for task in self._progress.tasks:
            if task.description == name:
                self._progress.update(task.id, completed=done, total=total)
                return
        self._progress.start()
        self._progress.add_task(name, completed=done, total=total)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bars."""
        self._progress.console.print(sentence, highlight=False)
