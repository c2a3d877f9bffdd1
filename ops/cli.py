"""`marketlens up` and `marketlens demo`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from command_line.options import command_of
from ops.demo import run_demo
from ops.doctor.examination import require_room
from ops.machine import machine_up
from ops.run_status import ask_for_restart
from settings import Settings

RESTART_WITHIN_S: Final = 1_800.0
"""Five processes load what they need, one after the other, after a migration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The options of `demo`."""

    once: Annotated[bool, typer.Option(help="End after the search, with a line of JSON.")] = False


@command_of(DemoOptions)
def demo(options: DemoOptions) -> None:
    """Draw a sample catalogue, start everything, search by a photo, and serve until Ctrl-C."""
    console = Console()
    with _interruptible(console):
        settings = Settings()
        require_room(settings, partial(console.print, highlight=False, markup=False))
        run_demo(settings, console, once=options.once)


def up() -> None:
    """Start a private Redis, the API, the workers and the relay, until Ctrl-C."""
    console = Console()
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    settings = Settings()
    require_room(settings, say)
    with _interruptible(console), machine_up(settings, say) as machine:
        say(f"Logs: {machine.supervisor.log_dir}")
        machine.wait_until_ready()
        say(f"Page: {machine.url}/   API: {machine.url}/docs")
        machine.serve()


def restart() -> None:
    """Migrate and restart what `up` has started, one process after the other: no call fails."""
    ask_for_restart(Settings().data_dir, RESTART_WITHIN_S)
    typer.echo("Everything was restarted.")


@contextmanager
def _interruptible(console: Console) -> Iterator[None]:
    """Exit the block cleanly on Ctrl-C and on SIGTERM."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        console.print("Stopped.")
