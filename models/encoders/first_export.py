"""The export of a network that is used for the first time, by a process of its own.

Exported, the same network computes the same vectors faster. That process imports torch; this one
need not.
"""

import json
from pathlib import Path
from typing import Final

from filelock import FileLock

from models.domain.durable_files import write_json
from models.domain.processes import ProgramFailed, run_program
from models.domain.types import EncoderSpec, Precision
from models.encoders.package import read_package_if_any

PROGRAM: Final = "models.encoders.first_export_program"
"""The program; it prints one JSON object: `REFUSED` with the reason, or the speeds."""
REFUSED: Final = "refused"
EXPORT_RECIPE: Final = 1
"""Raise it when an export that was refused may be accepted now."""

OUTCOME_FILE: Final = "first-export.json"
"""In the package: why the exported network was not taken, so that nobody tries again."""


def is_exported(models_dir: Path, spec: EncoderSpec) -> bool:
    """Whether there is nothing to export: no network, or one that was exported, or refused."""
    package = read_package_if_any(models_dir / spec.label)
    return (
        spec.precision is not Precision.FLOAT32
        or package is None
        or package.network is not None
        or _refusal(package.folder) is not None
    )


def export_once(models_dir: Path, spec: EncoderSpec, threads: int) -> str | None:
    """Export an encoder's network to ONNX in float32, unless `is_exported`: what came of it.

    The encoder stays the same, and its vectors but for rounding. Takes seconds, in which other
    processes that need the same wait. A network that is not faithful or not faster is not taken,
    and torch goes on running it.
    """
    if is_exported(models_dir, spec):
        return None
    try:
        return _exported_alone(models_dir, spec, threads)
    except OSError as error:  # the folder may be read-only
        return f"{spec.label} is run by torch: {models_dir} can't be written to ({error.strerror})."


def _exported_alone(models_dir: Path, spec: EncoderSpec, threads: int) -> str | None:
    """What came of the export, while no other process tries; None if another has just done it."""
    with FileLock(models_dir / ".first-export.lock"):
        if is_exported(models_dir, spec):
            return None
        try:
            answer = run_program(PROGRAM, str(models_dir), spec.label, str(threads))
        except ProgramFailed as error:
            return f"{spec.label} is run by torch: its export has failed ({error})."
        if REFUSED in answer:
            write_json(models_dir / spec.label / OUTCOME_FILE, {**answer, "recipe": EXPORT_RECIPE})
            return f"{spec.label} is run by torch: {answer[REFUSED]}"
    return (
        f"{spec.label} was exported: {answer['exported']:.1f} photos/s, "
        f"{answer['torch']:.1f} by torch."
    )


def _refusal(folder: Path) -> str | None:
    """Why this release's export was refused, if it was."""
    try:
        outcome = json.loads((folder / OUTCOME_FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return str(outcome.get(REFUSED)) if outcome.get("recipe") == EXPORT_RECIPE else None
