"""Writes docs/metrics.md from what is counted: `python scripts/metrics_reference.py [--check]`."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import observability.metrics  # noqa: E402, F401 - found beside this folder, not installed
from observability.instruments import Histogram, Instrument, Looked  # noqa: E402

FILE: Final = ROOT / "docs/metrics.md"

HEAD: Final = """\
# Metrics

`GET /metrics` of an API answers for all processes of its machine, in the text format of Prometheus.
How to scrape, see and be told of them: [operations](operations.md#monitoring). This file is made by
`python scripts/metrics_reference.py`.

Values of labels are few and known: no caller can add one. Names, labels and meanings are kept from
release to release, as the HTTP API is.
"""
COUNTED: Final = """
## Counted by each process

Those of a machine's processes are summed; a process that ends takes nothing away. Sum them over
machines.

| metric | kind | labels | meaning |
|---|---|---|---|
"""
LOOKED: Final = """
## Looked up when asked

Those of queues, servers and generations are the same whichever machine is asked: take the largest
of all machines, of `_up` the least. Those of disk and processes are the machine's; processes in
containers of their own see only themselves.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """The whole file."""
    stated = Instrument.stated.values()
    counted = [_row(one) for one in stated if not isinstance(one, Looked)]
    looked = [_row(one) for one in stated if isinstance(one, Looked)]
    return "".join([HEAD, COUNTED, *counted, LOOKED, *looked])


def _row(one: Instrument) -> str:
    return f"| `{one.exposed_name}` | {one.kind} | {_labels(one)} | {_meaning(one)} |\n"


def _labels(one: Instrument) -> str:
    return ", ".join(f"`{label}`" for label in one.labels)


def _meaning(one: Instrument) -> str:
    if not isinstance(one, Histogram):
        return one.help_text
    return f"{one.help_text} Buckets: {', '.join(f'{bound:g}' for bound in one.buckets)}."


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(FILE.read_text() != reference())
    FILE.write_text(reference())
