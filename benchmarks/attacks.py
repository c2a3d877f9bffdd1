"""What hostile requests are answered with, and what they cost: a table in Markdown.

    python -m benchmarks.attacks [--only NAME] [--smaller 10] [--into docs/reliability.md]

A machine is started (API, workers, Redis, SQLite), with as few descriptors as most have, and each
attack is sent to it while health is asked for.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from settings import Settings
from tests.support.attack_watch import Seen
from tests.support.attacked_machine import attacked_machine
from tests.support.attacks import ATTACKS
from tests.support.hostile_client import NO_ANSWER, Answer
from tests.support.ports import free_port

HEADER: Final = (
    "| attack | answers | API, MB | after, MB | its decoders, MB | health p99, s | longest, s "
    "| processor, s |"
)
BEGIN, END = "<!-- attacks -->", "<!-- /attacks -->"
AFTER_S: Final = 12.0
"""Seconds after an attack at which memory is looked at again: it is given back every ten."""


def main(
    only: Annotated[str, typer.Option(help="Only those whose name has this.")] = "",
    smaller: Annotated[int, typer.Option(help="By how much attacks are smaller.")] = 1,
    into: Annotated[Path | None, typer.Option(help="A page whose table is replaced.")] = None,
) -> None:
    """Attack, and print the table."""
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1)]
    with tempfile.TemporaryDirectory(prefix="ml-") as folder:
        settings = Settings(data_dir=Path(folder), encoder="hog", port=free_port())
        with attacked_machine(settings) as attacked:
            for name, attack in ATTACKS.items():
                if only in name:
                    answers, seen = attacked.attack(attack, smaller, after_s=AFTER_S)
                    lines.append(_row(attack.__doc__ or name, answers, seen))
                    print(lines[-1])
                    sys.stdout.flush()
    if into is not None:
        before, _, rest = into.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        table = "\n".join([BEGIN, *lines, END])
        into.write_text(before + table + after, encoding="utf-8")


def _row(name: str, answers: Sequence[Answer], seen: Seen) -> str:
    what = name.strip().splitlines()[0].removesuffix(".")
    return (
        f"| {what} | {'; '.join(_told(answers))} | {seen.peak_mb:.0f} "
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
