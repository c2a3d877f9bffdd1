"""What hostile requests are answered with, and what they cost: a table in Markdown.

    python -m benchmarks.attacks [--only NAME] [--smaller 10] [--descriptors 1024]

A machine is started (API, workers, Redis, SQLite), with as few descriptors as most have, and each
attack is sent to it while health is asked for.
"""

import asyncio
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ops.machine import machine_up
from settings import Settings
from tests.support.attack_watch import Seen, watched
from tests.support.attacks import ATTACKS, Target
from tests.support.hostile_client import NO_ANSWER, Answer
from tests.support.ports import free_port


def main(
    only: Annotated[str, typer.Option(help="Only those whose name has this.")] = "",
    smaller: Annotated[int, typer.Option(help="By how much attacks are smaller.")] = 1,
    descriptors: Annotated[int, typer.Option(help="Files and sockets a process may open.")] = 1024,
) -> None:
    """Attack, and print the table."""
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tempfile.TemporaryDirectory(prefix="ml-") as folder:
        settings = Settings(data_dir=Path(folder), encoder="hog", port=free_port())
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
        with machine_up(settings, print) as machine:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            machine.wait_until_ready()
            print(
                "| attack | answers | slowest, s | API, MB | after, MB | its decoders, MB ", end=""
            )
            print(
                "| health p99, s | most, s | processor, s |\n|---|---|---|---|---|---|---|---|---|"
            )
            for name, attack in ATTACKS.items():
                if only not in name:
                    continue
                pid = machine.supervisor.process_of("api").pid
                with watched(settings.port, pid) as watch:
                    answers = asyncio.run(attack(Target(settings.port, smaller)))
                print(_row(attack.__doc__ or name, answers, watch.result))
                sys.stdout.flush()
                machine.watch()


def _row(name: str, answers: Sequence[Answer], seen: Seen) -> str:
    return (
        f"| {name.strip().splitlines()[0]} | {'; '.join(_told(answers))} | {seen.peak_mb:.0f} "
        f"| {seen.after_mb:.0f} | {seen.children_mb:.0f} | {seen.health_p99_s:.2f} "
        f"| {seen.health_max_s:.2f} | {seen.busy_s:.1f} |"
    )


def _told(answers: Sequence[Answer]) -> Iterator[str]:
    """Answers of each kind: how many, and after how many seconds the last one."""
    kinds: dict[str, list[float]] = {}
    for answer in answers:
        kind = f"{answer.status} {answer.code}".strip() if answer.status != NO_ANSWER else "closed"
        kinds.setdefault(f"{answer.to}: {kind}" if answer.to else kind, []).append(answer.seconds)
    for kind, seconds in kinds.items():
        many = f"{len(seconds):,} of " if len(seconds) > 1 else ""
        yield f"{many}{kind} in {max(seconds):.1f} s"


if __name__ == "__main__":
    typer.run(main)
